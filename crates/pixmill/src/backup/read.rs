//! Reading a backup: all of it, before anything is done with it. What it holds comes from outside.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::{Component, Path, PathBuf};

use pixmill_engine::fault::Fault;
use sha2::{Digest, Sha256};
use tar::EntryType;

use super::archive::{DIGEST, DIGEST_BYTES, END_BYTES, MANIFEST, OUTPUTS, head};
use super::held::{self, BLOCK, HeldBack, PIECE};
use super::manifest::{Counts, FORMAT, FileEntry, Manifest, OutputsEntry};
use super::outputs::Amount;
use super::{RECORDS, SECRET, SETTINGS, Tell, Told, unusable, unwritable};
use crate::wiring::records_file::{self, Unfit};

/// Longest manifest, bytes.
const MANIFEST_MOST: u64 = 1 << 20;

/// What a file may be, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A tar.
    Archive,
    /// A copy of records alone, as it is made before a schema changes.
    Records,
}

/// Why reading broke off.
pub(super) enum Broke {
    /// The backup can't be used, in words.
    Unusable(String),
    /// What was read could not be written here.
    Unwritable(PathBuf, io::Error),
}

impl Broke {
    fn into_fault(self, file: &Path) -> Fault {
        match self {
            Broke::Unusable(why) => unusable(file, why),
            Broke::Unwritable(path, error) => unwritable(&path, &error),
        }
    }
}

fn broken(why: impl Display) -> Broke {
    Broke::Unusable(why.to_string())
}

/// The backup is damaged or cut short: what a reader stumbled over.
fn damaged(error: impl Display) -> Broke {
    broken(format!("it is damaged or cut short ({error})"))
}

/// Takes an output: its location, and its bytes.
pub(super) type TakeOutput<'o> = &'o mut dyn FnMut(&str, &mut dyn Read) -> Result<u64, Broke>;

/// What a backup held.
pub(super) struct Unpacked {
    pub(super) manifest: Manifest,
    pub(super) outputs: Amount,
}

/// What a file is.
///
/// # Errors
/// `backup.invalid` when it is neither kind.
pub(super) fn kind(file: &Path) -> Result<Kind, Fault> {
    let mut start = Vec::new();
    if file.is_dir() {
        return Err(unusable(file, "it is a folder: name the backup in it"));
    }
    let read = File::open(file).and_then(|file| file.take(BLOCK as u64).read_to_end(&mut start));
    read.map_err(|error| unusable(file, format!("it can't be read ({error})")))?;
    let begins = |with: &[u8]| start.starts_with(with);
    match () {
        () if start.is_empty() => Err(unusable(file, "it is empty")),
        () if begins(records_file::MAGIC) => Ok(Kind::Records),
        () if start.get(257..262) == Some(b"ustar") => Ok(Kind::Archive),
        () if begins(b"\x1f\x8b") || begins(b"\x28\xb5\x2f\xfd") || begins(b"\xfd7zXZ") || begins(b"BZh") => {
            Err(unusable(file, "it is compressed: unpack it first, such as with gunzip or unzstd"))
        }
        () => Err(unusable(file, "it is no backup that pixmill made")),
    }
}

/// Whether a file begins as a backup does.
pub(super) fn is_backup(file: &Path) -> bool {
    let manifest = || -> Option<Manifest> {
        let mut archive = tar::Archive::new(BufReader::new(File::open(file).ok()?));
        let mut first = archive.entries().ok()?.next()?.ok()?;
        manifest_of(&mut first).ok()
    };
    matches!(kind(file), Ok(Kind::Archive)) && manifest().is_some()
}

/// Reads all of a backup, its files into a folder, and finds it right.
///
/// # Errors
/// `backup.invalid`, and `disk.*` where its files can't be written.
pub(super) fn unpack(
    file: &Path,
    into: &Path,
    outputs: TakeOutput<'_>,
    tell: Tell<'_>,
) -> Result<Unpacked, Fault> {
    let unpacked = match kind(file)? {
        Kind::Archive => unpack_archive(file, into, outputs, tell),
        Kind::Records => unpack_records(file, into),
    };
    let unpacked = unpacked.map_err(|broke| broke.into_fault(file))?;
    tell(Told::Doing("looking the records through", 0, 0));
    let records = into.join(RECORDS);
    let contents = records_file::examine(&records).map_err(|unfit| match unfit {
        Unfit::Foreign => unusable(file, "it holds a database, but no records of pixmill"),
        Unfit::Damaged(found) => unusable(file, format!("its records are damaged ({found})")),
        Unfit::Newer(told) => {
            unusable(file, told.replace(&records.display().to_string(), &file.display().to_string()))
        }
        Unfit::Fault(fault) => unusable(file, fault.message),
    })?;
    let manifest = unpacked.manifest;
    let manifest = match manifest.format {
        // A copy of records says nothing of itself.
        0 => Manifest { schema: contents.schema, counts: contents.into(), ..manifest },
        _ if manifest.schema == contents.schema && manifest.counts == Counts::from(contents) => manifest,
        _ => return Err(unusable(file, "what it says of its records and what they hold differ")),
    };
    Ok(Unpacked { manifest, ..unpacked })
}

fn unpack_records(file: &Path, into: &Path) -> Result<Unpacked, Broke> {
    let log = records_file::beside(file, "-wal");
    if fs::metadata(&log).is_ok_and(|found| found.len() > 0) {
        return Err(broken(format!(
            "it is in use, or was when it was copied: {} belongs to it. Make a backup with pixmill backup",
            log.display()
        )));
    }
    let mut from = File::open(file).map_err(damaged)?;
    let (bytes, sha256) = pour(&mut from, &into.join(RECORDS), |_| ())?;
    let made = fs::metadata(file).and_then(|found| found.modified()).ok();
    let manifest = Manifest {
        format: 0,
        pixmill: String::new(),
        schema: 0,
        created: made.map(records_file::moment).map(|made| made.to_string()).unwrap_or_default(),
        counts: Counts { requests: 0, rows: 0, images: 0, events: 0 },
        files: vec![FileEntry { name: RECORDS.to_owned(), bytes, sha256 }],
        outputs: OutputsEntry { storage: String::new(), included: false },
    };
    Ok(Unpacked { manifest, outputs: Amount::default() })
}

fn unpack_archive(
    file: &Path,
    into: &Path,
    outputs: TakeOutput<'_>,
    tell: Tell<'_>,
) -> Result<Unpacked, Broke> {
    let from = File::open(file).map_err(damaged)?;
    let length = from.metadata().map_err(damaged)?.len();
    let reader = HeldBack::new(BufReader::with_capacity(PIECE, from));
    let digest = reader.digest_so_far();
    let mut archive = tar::Archive::new(reader);
    let mut entries = archive.entries().map_err(damaged)?;
    let manifest = {
        let mut first = entries.next().ok_or_else(|| broken("it is empty"))?.map_err(damaged)?;
        manifest_of(&mut first)?
    };
    let mut missing: BTreeMap<&str, &FileEntry> =
        manifest.files.iter().map(|entry| (entry.name.as_str(), entry)).collect();
    let mut amount = Amount::default();
    for entry in entries {
        let mut entry = entry.map_err(damaged)?;
        let begins = entry.raw_header_position();
        tell(Told::Doing("reading the backup", begins, length));
        let name = name_of(&entry)?;
        if let Some(wanted) = missing.remove(name.as_str()) {
            let watch = |read| tell(Told::Doing("reading the backup", begins + read, length));
            let (bytes, sha256) = pour(&mut entry, &into.join(&name), watch)?;
            if (bytes, &sha256) != (wanted.bytes, &wanted.sha256) {
                return Err(damaged(format!("{name} is not what it was")));
            }
        } else if let Some(location) = name.strip_prefix(OUTPUTS) {
            amount.bytes += outputs(location, &mut entry)?;
            amount.files += 1;
        } else if name == DIGEST {
            let wanted = digest.borrow().clone();
            is_end(&mut entry, &held::hex(wanted))?;
            drop(entry);
            if length != begins + END_BYTES {
                return Err(damaged("its end is not where it should be"));
            }
            if let Some(name) = missing.keys().next() {
                return Err(damaged(format!("{name} is not in it")));
            }
            is_nothing(&mut archive.into_inner())?;
            return Ok(Unpacked { manifest, outputs: amount });
        } else {
            return Err(broken(format!("{name} is in it, which belongs into no backup")));
        }
    }
    Err(damaged("its end is not there"))
}

/// The manifest, which must be the first entry.
fn manifest_of(first: &mut tar::Entry<'_, impl Read>) -> Result<Manifest, Broke> {
    if first.path_bytes().as_ref() != MANIFEST.as_bytes() || first.size() > MANIFEST_MOST {
        return Err(broken("it is a tar, but no backup that pixmill made"));
    }
    let mut text = Vec::new();
    first.read_to_end(&mut text).map_err(damaged)?;
    let said: serde_json::Value = serde_json::from_slice(&text).map_err(damaged)?;
    if let Some(format) = said["format"].as_u64().filter(|format| *format > u64::from(FORMAT)) {
        let by = said["pixmill"].as_str().unwrap_or("a newer one");
        return Err(broken(format!(
            "it is of form {format}, which pixmill {by} made, and this is {}, which reads form {FORMAT}: update this \
             one",
            env!("CARGO_PKG_VERSION")
        )));
    }
    let manifest: Manifest = serde_json::from_value(said).map_err(damaged)?;
    let known = [RECORDS, SECRET, SETTINGS];
    let names = || manifest.files.iter().map(|entry| entry.name.as_str());
    if let Some(other) = names().find(|name| !known.contains(name)) {
        return Err(broken(format!("{other} is in it, which belongs into no backup")));
    }
    match names().filter(|name| *name == RECORDS).count() {
        1 if manifest.format == FORMAT => Ok(manifest),
        _ => Err(broken("it holds no records")),
    }
}

/// The name of an entry that is a file; none leads out of where it is put.
fn name_of(entry: &tar::Entry<'_, impl Read>) -> Result<String, Broke> {
    let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
    let plain = Path::new(&name).components().all(|part| matches!(part, Component::Normal(_)));
    if !plain || name.contains('\\') || entry.header().entry_type() != EntryType::Regular {
        return Err(broken(format!("{name:?} is in it, which belongs into no backup")));
    }
    Ok(name)
}

/// The last entry: as it must be, to the byte.
fn is_end(entry: &mut tar::Entry<'_, impl Read>, digest: &str) -> Result<(), Broke> {
    let mut wanted = head(DIGEST_BYTES);
    wanted.set_path(DIGEST).map_err(damaged)?;
    wanted.set_cksum();
    let mut said = Vec::new();
    entry.by_ref().take(2 * DIGEST_BYTES).read_to_end(&mut said).map_err(damaged)?;
    if entry.header().as_bytes() != wanted.as_bytes() || said != format!("{digest}\n").as_bytes() {
        return Err(damaged("its digest is not that of what it holds"));
    }
    Ok(())
}

/// After the end there is nothing.
fn is_nothing(rest: &mut impl Read) -> Result<(), Broke> {
    let mut left = Vec::new();
    rest.take(4 * BLOCK as u64).read_to_end(&mut left).map_err(damaged)?;
    match left.iter().all(|byte| *byte == 0) {
        true => Ok(()),
        false => Err(damaged("something comes after its end")),
    }
}

/// Writes all that comes to a new file, durably, which is its owner's alone; how much it was, and its digest.
pub(super) fn pour(
    from: &mut dyn Read,
    to: &Path,
    mut watch: impl FnMut(u64),
) -> Result<(u64, String), Broke> {
    let unwritable = |error| Broke::Unwritable(to.to_owned(), error);
    let mut file = records_file::private_file(to).map_err(unwritable)?;
    let (mut piece, mut digest, mut bytes) = (vec![0; PIECE], Sha256::new(), 0);
    loop {
        let read = from.read(&mut piece).map_err(damaged)?;
        if read == 0 {
            break;
        }
        file.write_all(&piece[..read]).map_err(unwritable)?;
        digest.update(&piece[..read]);
        bytes += read as u64;
        watch(bytes);
    }
    file.sync_all().map_err(unwritable)?;
    Ok((bytes, held::hex(digest)))
}
