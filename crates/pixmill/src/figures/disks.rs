//! Folders of this machine's in which something must be written: what is left there.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::last_backup;
use crate::wiring::records_file;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Folder {
    folder: &'static str,
}

/// What lies on disks of this machine.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disks {
    /// Folders, and what lies in them.
    pub(crate) folders: Vec<(&'static str, PathBuf)>,
    /// The file of records, where they are one.
    pub(crate) records: Option<PathBuf>,
    /// A file that whoever makes backups touches after each.
    pub(crate) backed_up: Option<PathBuf>,
}

impl Disks {
    /// Adds what there is. Reads disks, so not to be called where nothing may wait.
    pub(crate) fn register(&self, registry: &mut Registry) {
        let (free, size) = (Family::<Folder, Gauge>::default(), Family::<Folder, Gauge>::default());
        for (folder, path) in &self.folders {
            if let Some((free_bytes, size_bytes)) = room(path) {
                free.get_or_create(&Folder { folder }).set(gauged(free_bytes));
                size.get_or_create(&Folder { folder }).set(gauged(size_bytes));
            }
        }
        let help = "Room that is left to the process on the disk of a folder";
        registry.register("pixmill_disk_free_bytes", help, free);
        registry.register("pixmill_disk_size_bytes", "Size of the disk of a folder", size);
        if let Some(records) = &self.records {
            let log = records_file::beside(records, "-wal");
            let bytes = fs::metadata(log).map_or(0, |metadata| metadata.len());
            let gauge = Gauge::<f64, AtomicU64>::default();
            gauge.set(bytes as f64);
            let help = "Length of the write-ahead log of embedded records";
            registry.register("pixmill_records_wal_bytes", help, gauge);
        }
        // Where none was made, nothing is told: not everybody makes them here.
        let last = self.backed_up.as_deref().and_then(last_backup::made);
        if let Some(age) = last.map(|last| last.elapsed().unwrap_or_default()) {
            let gauge = Gauge::<f64, AtomicU64>::default();
            gauge.set(age.as_secs_f64());
            registry.register("pixmill_backup_age_seconds", "Since the last backup", gauge);
        }
    }
}

fn gauged(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Bytes that may be written on a folder's disk, and all there are; none where the system does not tell.
#[cfg(unix)]
pub(crate) fn room(folder: &Path) -> Option<(u64, u64)> {
    let found = rustix::fs::statvfs(folder).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Some((bytes(found.f_bavail), bytes(found.f_blocks)))
}

/// This system is not asked.
#[cfg(not(unix))]
pub(crate) fn room(_folder: &Path) -> Option<(u64, u64)> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::encoding::text::encode;

    #[test]
    fn folders_and_the_log_beside_records_are_measured() {
        let folder = tempfile::tempdir().unwrap();
        let records = folder.path().join("pixmill.db");
        fs::write(folder.path().join("pixmill.db-wal"), [0; 77]).unwrap();
        let missing = folder.path().join("not there");
        let folders = vec![("records", folder.path().to_owned()), ("storage", missing)];
        let backed_up = folder.path().join("last-backup");
        fs::write(&backed_up, "").unwrap();
        let hour = std::time::SystemTime::now() - std::time::Duration::from_secs(3_600);
        fs::File::options().write(true).open(&backed_up).unwrap().set_modified(hour).unwrap();
        let mut registry = Registry::default();
        Disks { folders, records: Some(records), backed_up: Some(backed_up) }.register(&mut registry);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        assert!(text.contains("pixmill_records_wal_bytes 77"), "{text}");
        let age = text.lines().find_map(|line| line.strip_prefix("pixmill_backup_age_seconds ")).unwrap();
        assert!((3_600.0..7_200.0).contains(&age.parse::<f64>().unwrap()), "{text}");
        #[cfg(unix)]
        for line in
            ["pixmill_disk_free_bytes{folder=\"records\"} ", "pixmill_disk_size_bytes{folder=\"records\"} "]
        {
            let value = text.lines().find_map(|found| found.strip_prefix(line)).expect(line);
            assert!(value.parse::<u64>().unwrap() > 0, "{text}");
        }
        assert!(!text.contains("storage"), "what can't be asked is left out: {text}");
    }
}
