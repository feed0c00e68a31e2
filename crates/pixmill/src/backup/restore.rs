//! Putting a backup back where no server works.
//!
//! All of it is unpacked beside and found right first. Then a marker is laid down that keeps everybody from opening the
//! records, each file that is in a place gets a second name aside, and what is ready is renamed into its place. Whenever
//! that is broken off, either the records before are there, whole, or the marker says to restore again.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use pixmill_engine::fault::Fault;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::pipeline::OUTPUTS_FOLDER;

use super::manifest::Manifest;
use super::outputs::Amount;
use super::place::{self, Move, Owner};
use super::read::{self, Broke};
use super::staging::{self, Staging};
use super::{RECORDS, SECRET, SETTINGS, Tell, Told, parent, room, unwritable};
use crate::wiring::records_file;

/// What settings of a backup are called in the state folder: they belong into another one, where others may be by now.
const RESTORED_SETTINGS: &str = "restored-pixmill.toml";

/// What is to be restored, and where to.
pub(crate) struct Restoring<'r> {
    /// The backup.
    pub(crate) file: &'r Path,
    /// The state folder.
    pub(crate) data: &'r Path,
    /// The file of records.
    pub(crate) records: &'r Path,
    /// The folder of outputs, where they are files.
    pub(crate) outputs: Option<&'r Path>,
    /// When.
    pub(crate) now: Timestamp,
}

/// What was restored.
pub(crate) struct Restored {
    /// What the backup says of itself.
    pub(crate) manifest: Manifest,
    /// Outputs that came with it.
    pub(crate) outputs: Amount,
    /// Outputs that the records name and that are not there.
    pub(crate) lost: u64,
    /// What was there before.
    pub(crate) aside: Vec<PathBuf>,
    /// The settings that came with it.
    pub(crate) settings: Option<PathBuf>,
}

/// Restores a backup.
///
/// # Errors
/// `state.busy` while somebody works with the records, `backup.invalid`, `disk.*`: nothing was changed then, or the
/// message says what was.
pub(crate) fn restore(order: &Restoring<'_>, tell: Tell<'_>) -> Result<Restored, Fault> {
    read::kind(order.file)?;
    let beside = parent(order.records);
    for folder in [order.data, beside] {
        place::folder(folder).map_err(|error| unwritable(folder, &error))?;
    }
    let alone = match order.records.exists() {
        true => Some(records_file::take(order.records)?),
        false => None,
    };
    let staging = Staging::within(beside).map_err(|error| unwritable(beside, &error))?;
    let length = fs::metadata(order.file).map_or(0, |found| found.len());
    room::needed(beside, length, "restoring")?;
    let mut outputs = Outputs::new(order.outputs);
    let unpacked =
        read::unpack(order.file, staging.path(), &mut |name, from| outputs.take(name, from), tell)?;
    pixmill_engine::fail_point!("restore_unpacked");
    let records = staging.path().join(RECORDS);
    records_file::let_go(&records, order.now)?;
    let synced = fs::File::open(&records).and_then(|file| file.sync_all());
    synced.and_then(|()| outputs.sync()).map_err(|error| unwritable(&records, &error))?;
    let small = beside_state(order, &staging)?;
    let small = small.as_ref().unwrap_or(&staging);
    let moves = Moves::new(order, [&staging, small], &unpacked.manifest, &outputs)?;
    // From here on a signal waits.
    let unstoppable = staging::unstoppable();
    moves.make(order.records, alone)?;
    drop(unstoppable);
    tell(Told::Doing("looking for outputs", 0, 0));
    let lost = match order.outputs {
        Some(root) => records_file::lost(order.records, root)?,
        None => 0,
    };
    let settings = order.data.join(RESTORED_SETTINGS);
    Ok(Restored {
        outputs: if outputs.staging.is_some() { unpacked.outputs } else { Amount::default() },
        settings: moves.0.iter().any(|one| one.place == settings).then_some(settings),
        aside: moves.asides(),
        manifest: unpacked.manifest,
        lost,
    })
}

/// Secret and settings beside the state folder's own, where records lie elsewhere, which may be another disk.
fn beside_state(order: &Restoring<'_>, staging: &Staging) -> Result<Option<Staging>, Fault> {
    if order.data == parent(order.records) {
        return Ok(None);
    }
    let copied = || -> std::io::Result<Staging> {
        let small = Staging::within(order.data)?;
        for name in [SECRET, SETTINGS] {
            if staging.path().join(name).exists() {
                fs::copy(staging.path().join(name), small.path().join(name))?;
                fs::File::open(small.path().join(name))?.sync_all()?;
            }
        }
        Ok(small)
    };
    copied().map(Some).map_err(|error| unwritable(order.data, &error))
}

/// Outputs on their way into the folder of outputs.
struct Outputs<'o> {
    root: Option<&'o Path>,
    staging: Option<Staging>,
    /// The folder was not there.
    made: bool,
}

impl Drop for Outputs<'_> {
    fn drop(&mut self) {
        self.staging = None;
        if let Some(root) = self.root.filter(|_| self.made) {
            // Where something was restored into it, it stays.
            let _ = fs::remove_dir(root);
        }
    }
}

impl<'o> Outputs<'o> {
    fn new(root: Option<&'o Path>) -> Self {
        Outputs { root, staging: None, made: root.is_some_and(|root| !root.exists()) }
    }

    /// Takes one output in; reads over it where outputs are no files.
    fn take(&mut self, location: &str, from: &mut dyn Read) -> Result<u64, Broke> {
        let mut from = from;
        let Some(root) = self.root else {
            return std::io::copy(&mut from, &mut std::io::sink())
                .map_err(|error| Broke::Unusable(format!("it is damaged or cut short ({error})")));
        };
        if !location.starts_with(&format!("{OUTPUTS_FOLDER}/")) {
            return Err(Broke::Unusable(format!("{location:?} is in it, which is no output")));
        }
        let unwritable = |error| Broke::Unwritable(root.to_owned(), error);
        let staging = match &mut self.staging {
            Some(staging) => staging,
            none => {
                place::folder(root).map_err(unwritable)?;
                none.insert(Staging::within(root).map_err(unwritable)?)
            }
        };
        let path = staging.path().join(location);
        let missing: Vec<_> = path.ancestors().skip(1).take_while(|folder| !folder.exists()).collect();
        for folder in missing.into_iter().rev() {
            fs::create_dir(folder).map_err(unwritable)?;
            self.owner().map_or(Ok(()), |owner| owner.give(folder)).map_err(unwritable)?;
        }
        let (bytes, _) = read::pour(from, &path, |_| ())?;
        self.owner().map_or(Ok(()), |owner| owner.give(&path)).map_err(unwritable)?;
        Ok(bytes)
    }

    fn owner(&self) -> Option<Owner> {
        self.root.and_then(Owner::of)
    }

    /// Makes the folders durable; files are.
    fn sync(&self) -> std::io::Result<()> {
        let Some(staging) = &self.staging else { return Ok(()) };
        let mut folders = vec![staging.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    folders.push(entry.path());
                }
            }
            records_file::sync_folder(&folder.join("any"))?;
        }
        Ok(())
    }
}

/// All that is put in place, the records last.
struct Moves(Vec<Move>);

impl Moves {
    fn new(
        order: &Restoring<'_>,
        [large, small]: [&Staging; 2],
        manifest: &Manifest,
        outputs: &Outputs<'_>,
    ) -> Result<Self, Fault> {
        let folders: Vec<&Path> =
            [Some(parent(order.records)), Some(order.data), order.outputs].into_iter().flatten().collect();
        let aside = place::aside(order.now, &folders);
        let mut moves = Vec::new();
        let mut add = |ready: PathBuf, place: PathBuf| {
            let name = place.file_name().unwrap_or_default().to_owned();
            let aside = parent(&place).join(&aside).join(name);
            moves.push(Move { ready, place, aside });
        };
        if let (Some(staging), Some(root)) = (&outputs.staging, order.outputs) {
            add(staging.path().join(OUTPUTS_FOLDER), root.join(OUTPUTS_FOLDER));
        }
        for (name, ready, place) in [
            (SETTINGS, small, order.data.join(RESTORED_SETTINGS)),
            (SECRET, small, order.data.join(SECRET)),
            (RECORDS, large, order.records.to_owned()),
        ] {
            if manifest.files.iter().any(|entry| entry.name == name) {
                add(ready.path().join(name), place);
            }
        }
        let moves = Moves(moves);
        moves.ready().map_err(|(path, error)| unwritable(&path, &error))?;
        Ok(moves)
    }

    /// Has all that is ready on the file system of its place, and its owner's.
    fn ready(&self) -> Result<(), (PathBuf, std::io::Error)> {
        for one in self.0.iter().filter(|one| one.ready.is_file()) {
            let owner =
                if one.place.exists() { Owner::of(&one.place) } else { Owner::of(parent(&one.place)) };
            if let Some(owner) = owner {
                owner.give(&one.ready).map_err(|error| (one.ready.clone(), error))?;
            }
        }
        Ok(())
    }

    /// Puts all in place.
    fn make(&self, records: &Path, alone: Option<records_file::Alone>) -> Result<(), Fault> {
        let last = self.0.last().expect("records are restored always");
        let marker = records_file::Marker::lay(records, parent(&last.aside))?;
        pixmill_engine::fail_point!("restore_marked");
        // Whoever opens the records now finds the marker once it holds them.
        drop(alone);
        for one in &self.0 {
            if let Err(error) = one.keep() {
                let fault = unwritable(&one.place, &error);
                marker.lift()?;
                return Err(fault);
            }
        }
        pixmill_engine::fail_point!("restore_kept");
        let put = || -> Result<(), (PathBuf, std::io::Error)> {
            place::keep_beside(records, &last.aside).map_err(|error| (records.to_owned(), error))?;
            for one in &self.0 {
                one.put().map_err(|error| (one.place.clone(), error))?;
                pixmill_engine::fail_point!("restore_put");
            }
            Ok(())
        };
        put().map_err(|(path, error)| {
            let fault = unwritable(&path, &error);
            let told = format!(
                "{}. Some files are in place and others are not, so restore again; what was there before is in {}",
                fault.message,
                parent(&last.aside).display()
            );
            Fault { message: told, ..fault }
        })?;
        marker.lift()?;
        pixmill_engine::fail_point!("restore_lifted");
        Ok(())
    }

    /// Folders in which something is kept.
    fn asides(&self) -> Vec<PathBuf> {
        let mut folders: Vec<_> = self.0.iter().map(|one| parent(&one.aside).to_owned()).collect();
        folders.retain(|folder| folder.is_dir());
        folders.sort();
        folders.dedup();
        folders
    }
}
