//! Taking a backup, beside a server that works.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::time::Timestamp;

use super::archive::{Archive, END_BYTES, OUTPUTS};
use super::manifest::{FORMAT, FileEntry, Manifest, OutputsEntry};
use super::outputs::{self, Amount};
use super::staging::Staging;
use super::target::Target;
use super::{RECORDS, SECRET, SETTINGS, Tell, Told, held, keep, parent, room, unwritable};
use crate::wiring::records_file;

/// What is to be backed up, and where to.
pub(crate) struct Taking<'t> {
    /// Where to.
    pub(crate) target: &'t Target,
    /// The state folder.
    pub(crate) data: &'t Path,
    /// The file of records.
    pub(crate) records: &'t Path,
    /// Where outputs lie, without secrets.
    pub(crate) storage: String,
    /// The folder of outputs, where they are files.
    pub(crate) outputs: Option<&'t Path>,
    /// They are wanted.
    pub(crate) with_outputs: bool,
    /// The settings that were read.
    pub(crate) settings: Option<&'t str>,
    /// How many backups the folder keeps.
    pub(crate) keep: Option<usize>,
    /// When.
    pub(crate) now: Timestamp,
}

/// A backup that was taken.
pub(crate) struct Taken {
    /// Where it is.
    pub(crate) file: PathBuf,
    /// How large it is.
    pub(crate) bytes: u64,
    /// What it says of itself.
    pub(crate) manifest: Manifest,
    /// Outputs that are in it, or that are not.
    pub(crate) outputs: Amount,
    /// Older ones that were removed for it.
    pub(crate) removed: Vec<PathBuf>,
}

/// Takes a backup.
///
/// # Errors
/// `disk.*`, `backend.unavailable` where the records can't be read, `backup.invalid` where something else would be
/// overwritten. Nothing is left over.
pub(crate) fn take(order: &Taking<'_>, tell: Tell<'_>) -> Result<Taken, Fault> {
    let folder = order.target.folder()?;
    let beside = folder.as_deref().unwrap_or_else(|| parent(order.records));
    File::open(order.records).map_err(|error| unwritable(order.records, &error))?;
    let size = records_file::size(order.records)?;
    let amount = amount(order)?;
    let copies = if folder.is_some() { 2 } else { 1 };
    let wanted = size * copies + if order.with_outputs { amount.bytes } else { 0 };
    room::needed(beside, wanted, "a backup")?;
    let staging = Staging::within(beside).map_err(|error| unwritable(beside, &error))?;
    let manifest = gather(order, staging.path(), size, tell)?;
    pixmill_engine::fail_point!("backup_gathered");
    let Some(folder) = folder else {
        let (_, bytes) = write(order, &manifest, staging.path(), io::stdout().lock(), tell)?;
        return Ok(Taken { file: "-".into(), bytes, manifest, outputs: amount, removed: Vec::new() });
    };
    let whole = staging.path().join("backup.tar");
    let file = records_file::private_file(&whole).map_err(|error| unwritable(&whole, &error))?;
    let (file, bytes) = write(order, &manifest, staging.path(), file, tell)?;
    file.sync_all().map_err(|error| unwritable(&whole, &error))?;
    pixmill_engine::fail_point!("backup_written");
    let file = order.target.name(&whole, order.now)?;
    records_file::sync_folder(&file).map_err(|error| unwritable(&file, &error))?;
    pixmill_engine::fail_point!("backup_named");
    let removed = match order.keep {
        Some(kept) => keep::newest(&folder, kept)?,
        None => Vec::new(),
    };
    Ok(Taken { file, bytes, manifest, outputs: amount, removed })
}

/// How many outputs there are, where they are files.
fn amount(order: &Taking<'_>) -> Result<Amount, Fault> {
    match order.outputs {
        Some(folder) => outputs::count(folder).map_err(|error| unwritable(folder, &error)),
        None => Ok(Amount::default()),
    }
}

/// Puts together what is backed up, but for outputs.
fn gather(order: &Taking<'_>, into: &Path, size: u64, tell: Tell<'_>) -> Result<Manifest, Fault> {
    let copy = into.join(RECORDS);
    let watch = |bytes| tell(Told::Doing("copying the records", bytes, size));
    let contents = records_file::copy(order.records, &copy, &watch)?;
    pixmill_engine::fail_point!("backup_copied");
    let mut names = vec![RECORDS];
    let secret = order.data.join(SECRET);
    match fs::read(&secret) {
        Ok(bytes) => names.extend(put(into, SECRET, &bytes)?),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(unwritable(&secret, &error)),
    }
    if let Some(settings) = order.settings {
        names.extend(put(into, SETTINGS, settings.as_bytes())?);
    }
    let entry = |name: &str| {
        let path = into.join(name);
        let (bytes, sha256) = held::of_file(&path).map_err(|error| unwritable(&path, &error))?;
        Ok(FileEntry { name: name.to_owned(), bytes, sha256 })
    };
    Ok(Manifest {
        format: FORMAT,
        pixmill: env!("CARGO_PKG_VERSION").to_owned(),
        schema: contents.schema,
        created: order.now.to_string(),
        counts: contents.into(),
        files: names.into_iter().map(entry).collect::<Result<_, Fault>>()?,
        outputs: OutputsEntry { storage: order.storage.clone(), included: order.with_outputs },
    })
}

fn put<'n>(into: &Path, name: &'n str, bytes: &[u8]) -> Result<Option<&'n str>, Fault> {
    let path = into.join(name);
    let written = records_file::private_file(&path).and_then(|mut file| file.write_all(bytes));
    written.map_err(|error| unwritable(&path, &error)).map(|()| Some(name))
}

/// Writes the tar of what was put together, and of outputs as they are now; how long it is.
fn write<W: Write>(
    order: &Taking<'_>,
    manifest: &Manifest,
    from: &Path,
    to: W,
    tell: Tell<'_>,
) -> Result<(W, u64), Fault> {
    let target = match order.target {
        Target::Output => Path::new("standard output"),
        Target::File(path) | Target::Folder(path) => path,
    };
    let total: u64 = manifest.files.iter().map(|entry| entry.bytes).sum();
    let written = || -> io::Result<(W, u64)> {
        let mut archive = Archive::begin(to, manifest)?;
        for entry in &manifest.files {
            let watch = |bytes| tell(Told::Doing("writing the backup", bytes, total));
            archive.add_file(&entry.name, &from.join(&entry.name), watch)?;
        }
        if let Some(folder) = order.outputs.filter(|_| order.with_outputs) {
            outputs::each(folder, &mut |location, path| {
                tell(Told::Doing("writing outputs", archive.bytes(), 0));
                match archive.add_file(&format!("{OUTPUTS}{location}"), path, |_| ()) {
                    // Its request was deleted meanwhile.
                    Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                    added => added,
                }
            })?;
        }
        pixmill_engine::fail_point!("backup_ending");
        let bytes = archive.bytes() + END_BYTES;
        Ok((archive.end()?, bytes))
    };
    written().map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => {
            Fault::permanent(Code::DiskReadOnly, format!("whoever read {} has gone", target.display()))
        }
        _ => unwritable(target, &error),
    })
}
