//! Storage `file:`: outputs as files below a folder.
//!
//! Written beside, synced, renamed, and the folder synced, before `put` returns: an output that records name survives a
//! power cut, and nobody ever sees half a file. Threads of their own take several outputs at a time, so that one sync
//! of a folder serves them all.

mod temporary;

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use async_trait::async_trait;
use pixmill_engine::checkup::{self, Diagnose, Finding};
use pixmill_engine::code::Code;
use pixmill_engine::fault::{Blame, Fault};
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::storage::{Listing, Storage};
use tokio::sync::oneshot;

use self::temporary::Temporary;

/// Threads that write.
const WRITERS: usize = 4;

/// Outputs that one thread writes before it syncs their folders.
const BATCH: usize = 16;

/// Below the root of a storage that several processes share.
const TEMPORARY: &str = ".pixmill-tmp";

/// Outputs as files below a root, whose locations are their paths relative to it.
#[derive(Debug)]
pub struct DiskStorage {
    root: PathBuf,
    queue: mpsc::Sender<Job>,
    /// Keeps others from removing what is on its way.
    _temporary: Option<Temporary>,
}

#[derive(Debug)]
struct Job {
    path: PathBuf,
    bytes: Vec<u8>,
    done: oneshot::Sender<Result<(), ErrorKind>>,
}

impl DiskStorage {
    /// Outputs below `root`, with files on their way in `temporary`, which must be on the same file system and is
    /// emptied: what is in it belongs to a process that died.
    ///
    /// # Errors
    /// `disk.full`, `disk.read_only` or `store.rejected` when the folders can't be made.
    pub fn open(root: &Path, temporary: &Path) -> Result<Self, Fault> {
        let made = fs::create_dir_all(root).and_then(|()| match fs::remove_dir_all(temporary) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => fs::create_dir_all(temporary),
        });
        made.map_err(|error| fault(&error, root))?;
        Self::start(root, temporary, None)
    }

    /// Outputs below `root`, which other processes may use at the same time.
    ///
    /// # Errors
    /// Those of [`DiskStorage::open`].
    pub fn shared(root: &Path) -> Result<Self, Fault> {
        let made = fs::create_dir_all(root).and_then(|()| Temporary::claim(&root.join(TEMPORARY)));
        let temporary = made.map_err(|error| fault(&error, root))?;
        let folder = temporary.folder.clone();
        Self::start(root, &folder, Some(temporary))
    }

    fn start(root: &Path, temporary: &Path, own: Option<Temporary>) -> Result<Self, Fault> {
        let (queue, jobs) = mpsc::channel();
        let jobs = Arc::new(Mutex::new(jobs));
        let numbers = Arc::new(AtomicU64::new(0));
        for number in 0..WRITERS {
            let mut writer = Writer {
                jobs: jobs.clone(),
                temporary: temporary.to_owned(),
                numbers: numbers.clone(),
                folders: HashSet::new(),
            };
            thread::Builder::new()
                .name(format!("disk-{number}"))
                .spawn(move || writer.run())
                .map_err(|error| fault(&error, root))?;
        }
        Ok(DiskStorage { root: root.to_owned(), queue, _temporary: own })
    }
}

#[async_trait]
impl Diagnose for DiskStorage {
    async fn diagnose(&self, _now: Timestamp) -> Vec<Finding> {
        checkup::round_trip(self, |_| async { Vec::new() }).await
    }
}

#[async_trait]
impl Storage for DiskStorage {
    async fn put(&self, key: &str, _media_type: &'static str, bytes: Vec<u8>) -> Result<String, Fault> {
        let path = self.root.join(key);
        let (done, written) = oneshot::channel();
        let job = Job { path: path.clone(), bytes, done };
        self.queue.send(job).map_err(|_| gone())?;
        written.await.map_err(|_| gone())?.map_err(|kind| fault(&kind.into(), &path))?;
        Ok(key.to_owned())
    }

    async fn remove(&self, locations: &[String]) -> Result<(), Fault> {
        let paths: Vec<_> = locations.iter().map(|location| self.root.join(location)).collect();
        let removing = tokio::task::spawn_blocking(move || {
            paths.iter().try_for_each(|path| match fs::remove_file(path) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(fault(&error, path)),
                _ => Ok(()),
            })
        });
        removing.await.map_err(|_| gone())?
    }

    async fn clear(&self, folder: &str) -> Result<(), Fault> {
        let path = self.root.join(folder);
        let removing = tokio::task::spawn_blocking(move || match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(fault(&error, &path)),
            _ => Ok(()),
        });
        removing.await.map_err(|_| gone())?
    }

    async fn lost(&self, locations: Vec<String>) -> Result<Vec<String>, Fault> {
        let root = self.root.clone();
        let is_there =
            move |location: &String| fs::metadata(root.join(location)).is_ok_and(|found| found.is_file());
        let looking =
            tokio::task::spawn_blocking(move || locations.into_iter().filter(|one| !is_there(one)).collect());
        looking.await.map_err(|_| gone())
    }

    async fn list(&self, folder: &str) -> Result<Option<Listing>, Fault> {
        let (path, folder) = (self.root.join(folder), folder.to_owned());
        let looking = tokio::task::spawn_blocking(move || {
            listing(&path, &folder).map_err(|error| {
                let told = format!("{} can't be read: {error}", path.display());
                Fault::permanent(Code::StoreUnavailable, told).of(Blame::Backend)
            })
        });
        looking.await.map_err(|_| gone())?.map(Some)
    }
}

/// What lies in a folder: whatever is neither a folder nor a file with a name of text is no output.
fn listing(path: &Path, folder: &str) -> io::Result<Listing> {
    let mut listing = Listing::default();
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(listing),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let location = format!("{folder}/{name}");
        match entry.file_type()? {
            kind if kind.is_dir() => listing.folders.push(location),
            kind if kind.is_file() => listing.locations.push(location),
            _ => {}
        }
    }
    Ok(listing)
}

fn gone() -> Fault {
    Fault::transient(Code::StoreUnavailable, "the thread that writes outputs is gone")
}

/// What an error of the file system means, and where.
pub(crate) fn fault(error: &io::Error, path: &Path) -> Fault {
    let message = format!("{} can't be written: {error}", path.display());
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            Fault::permanent(Code::DiskFull, message).of(Blame::Backend)
        }
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => {
            Fault::permanent(Code::DiskReadOnly, message).of(Blame::Backend)
        }
        ErrorKind::NotADirectory
        | ErrorKind::IsADirectory
        | ErrorKind::AlreadyExists
        | ErrorKind::InvalidFilename => Fault::permanent(Code::StoreRejected, message),
        _ => Fault::transient(Code::StoreUnavailable, message),
    }
}

struct Writer {
    jobs: Arc<Mutex<mpsc::Receiver<Job>>>,
    temporary: PathBuf,
    numbers: Arc<AtomicU64>,
    /// Folders known to exist.
    folders: HashSet<PathBuf>,
}

impl Writer {
    fn run(&mut self) {
        while let Some(batch) = self.next_batch() {
            let written: Vec<_> = batch.into_iter().map(|job| (self.write_again(&job), job)).collect();
            let folders: HashSet<_> = written.iter().filter_map(|(_, job)| job.path.parent()).collect();
            let synced = folders
                .into_iter()
                .map(|folder| (folder.to_owned(), sync_folder(folder).map_err(|error| error.kind())));
            let synced: HashMap<PathBuf, _> = synced.collect();
            for (result, job) in written {
                let synced =
                    job.path.parent().and_then(|folder| synced.get(folder)).copied().unwrap_or(Ok(()));
                // Whoever waited may have been stopped; the output is there all the same.
                let _ = job.done.send(result.and(synced));
            }
        }
    }

    /// Writes once more where a folder was removed meanwhile.
    fn write_again(&mut self, job: &Job) -> Result<(), ErrorKind> {
        let written = match self.write(job) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.folders.clear();
                fs::create_dir_all(&self.temporary).and_then(|()| self.write(job))
            }
            written => written,
        };
        written.map_err(|error| error.kind())
    }

    /// The next job and those that have gathered behind it; `None` once the storage is dropped.
    fn next_batch(&self) -> Option<Vec<Job>> {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let mut batch = vec![jobs.recv().ok()?];
        batch.extend(jobs.try_iter().take(BATCH - 1));
        Some(batch)
    }

    fn write(&mut self, job: &Job) -> io::Result<()> {
        if let Some(folder) = job.path.parent().filter(|folder| !self.folders.contains(*folder)) {
            fs::create_dir_all(folder)?;
            folder.ancestors().nth(1).map_or(Ok(()), sync_folder)?;
            self.folders.insert(folder.to_owned());
        }
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let temporary = self.temporary.join(format!("{number}.part"));
        let written = write_synced(&temporary, &job.bytes).and_then(|()| fs::rename(&temporary, &job.path));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
            // It may be gone because somebody cleaned up; the next try makes it again.
            self.folders.clear();
        }
        written
    }
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_data()
}

/// Makes renames in a folder durable. Only Unix can open a folder; elsewhere the rename itself is all there is.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
