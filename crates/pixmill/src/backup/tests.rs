//! What becomes of backups that are not whole.

use std::fs;
use std::path::{Path, PathBuf};

use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::time::Timestamp;

use super::*;
use crate::wiring::records_file;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// A state folder, and a backup of it.
struct Stand {
    folder: tempfile::TempDir,
}

impl Stand {
    fn new() -> Self {
        let stand = Stand { folder: tempfile::tempdir().unwrap() };
        let outputs = stand.path("data/images/processed_images/a");
        fs::create_dir_all(&outputs).unwrap();
        fs::write(outputs.join("1.jpg"), vec![7; 1500]).unwrap();
        fs::write(stand.path("data/images/.pixmill-tmp"), "on its way").unwrap();
        records_file::up(&stand.path("data/pixmill.db")).unwrap();
        fs::write(stand.path("data/webhook-secret"), "whsec_bWluZQ==\n").unwrap();
        stand
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn taken(&self, target: &str, with_outputs: bool) -> PathBuf {
        let (target, data) = (Target::of(&self.path(target)), self.path("data"));
        let (records, outputs) = (data.join("pixmill.db"), data.join("images"));
        let order = Taking {
            target: &target,
            data: &data,
            records: &records,
            storage: "file:data/images".to_owned(),
            outputs: Some(&outputs),
            with_outputs,
            settings: Some("quality = 40\n"),
            keep: None,
            now: NOW,
        };
        take(&order, &|_| ()).unwrap().file
    }

    fn restored(&self, file: &Path, data: &str) -> Result<Restored, Fault> {
        let data = self.path(data);
        let (records, outputs) = (data.join("pixmill.db"), data.join("images"));
        let order = Restoring { file, data: &data, records: &records, outputs: Some(&outputs), now: NOW };
        restore(&order, &|_| ())
    }

    /// Names in a folder, of folders with what is in them.
    fn names(&self, folder: &str) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.path(folder))
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn refused<T>(result: Result<T, Fault>) -> String {
    let fault = result.err().expect("it is refused");
    assert_eq!(fault.code, Code::BackupInvalid, "{fault}");
    fault.message
}

#[test]
fn a_backup_holds_what_a_server_needs_and_outputs_where_they_are_asked_for() {
    let stand = Stand::new();
    let file = stand.taken("backups", false);
    assert_eq!(file, stand.path("backups/pixmill-20231114-221320.tar"));
    let (manifest, outputs) = verify(&file, &|_| ()).unwrap();
    let names: Vec<_> = manifest.files.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, [RECORDS, SECRET, SETTINGS]);
    assert_eq!((outputs.files, manifest.outputs.included), (0, false));
    let (manifest, outputs) = verify(&stand.taken("all.tar", true), &|_| ()).unwrap();
    assert_eq!((outputs.files, outputs.bytes, manifest.outputs.included), (1, 1500, true));
    assert_eq!(stand.names("backups").len(), 1, "nothing is left over");
}

#[test]
fn what_was_backed_up_is_restored_and_what_was_there_is_kept() {
    let stand = Stand::new();
    let file = stand.taken("all.tar", true);
    fs::create_dir_all(stand.path("other/images/processed_images/b")).unwrap();
    fs::write(stand.path("other/images/processed_images/b/2.jpg"), "old").unwrap();
    fs::write(stand.path("other/webhook-secret"), "whsec_b2xk\n").unwrap();
    records_file::up(&stand.path("other/pixmill.db")).unwrap();
    let restored = stand.restored(&file, "other").unwrap();
    let read = |name: &str| fs::read(stand.path(&format!("other/{name}"))).unwrap();
    assert_eq!(read("webhook-secret"), b"whsec_bWluZQ==\n");
    assert_eq!(read("restored-pixmill.toml"), b"quality = 40\n");
    assert_eq!(read("images/processed_images/a/1.jpg"), [7; 1500]);
    assert!(!stand.path("other/images/processed_images/b").exists());
    let aside = "before-restore-20231114-221320";
    assert_eq!(read(&format!("{aside}/webhook-secret")), b"whsec_b2xk\n");
    assert_eq!(read(&format!("images/{aside}/processed_images/b/2.jpg")), b"old");
    assert!(records_file::examine(&stand.path(&format!("other/{aside}/pixmill.db"))).is_ok());
    assert_eq!(
        restored.aside,
        [stand.path(&format!("other/{aside}")), stand.path(&format!("other/images/{aside}"))]
    );
    assert_eq!(
        stand.names("other"),
        [aside, "images", "pixmill.db", "restored-pixmill.toml", "webhook-secret"],
        "nothing is left over"
    );
}

#[test]
fn a_byte_that_was_changed_anywhere_is_found() {
    let stand = Stand::new();
    let file = stand.taken("all.tar", true);
    let whole = fs::read(&file).unwrap();
    let damaged = stand.path("damaged.tar");
    // The first and last bytes of each block that is no page of a database, some in between, and some of its pages.
    let blocks = (0..whole.len()).step_by(512).filter(|at| at % 8192 < 1024 || *at + 6 * 512 > whole.len());
    for at in blocks.flat_map(|at| [at, at + 100, at + 150, at + 200, at + 511]) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x20;
        fs::write(&damaged, &bytes).unwrap();
        assert!(refused(stand.restored(&damaged, "none")).contains("damaged.tar"), "byte {at}");
    }
    assert_eq!(stand.names("none"), [] as [&str; 0], "nothing was changed");
}

#[test]
fn a_backup_that_was_cut_short_or_goes_on_is_refused() {
    let stand = Stand::new();
    let file = stand.taken("all.tar", true);
    let whole = fs::read(&file).unwrap();
    let cut = stand.path("cut.tar");
    for length in
        [0, 1, 511, 512, 1024, whole.len() / 2, whole.len() - 2048, whole.len() - 1024, whole.len() - 1]
    {
        fs::write(&cut, &whole[..length]).unwrap();
        refused(stand.restored(&cut, "none"));
        refused(verify(&cut, &|_| ()));
    }
    fs::write(&cut, [&whole[..], &[0; 512]].concat()).unwrap();
    refused(stand.restored(&cut, "none"));
    assert_eq!(stand.names("none"), [] as [&str; 0]);
}

/// A tar as others make one.
fn tar_of(path: &Path, entries: &[(&str, &[u8])]) {
    let mut tar = tar::Builder::new(fs::File::create(path).unwrap());
    for (name, bytes) in entries {
        let mut head = archive::head(bytes.len() as u64);
        head.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        head.set_cksum();
        tar.append(&head, *bytes).unwrap();
    }
    tar.finish().unwrap();
}

#[test]
fn what_is_no_backup_is_told_in_a_sentence() {
    let stand = Stand::new();
    let file = stand.path("file");
    let told = |bytes: &[u8]| {
        fs::write(&file, bytes).unwrap();
        let told = refused(verify(&file, &|_| ()));
        assert_eq!(refused(stand.restored(&file, "none")), told);
        told
    };
    assert!(told(b"").contains("it is empty"));
    assert!(told(b"S. No.,Product Name\n").contains("no backup that pixmill made"));
    assert!(told(b"\x1f\x8b\x08 and so on").contains("gunzip"));
    assert!(told(&[b"SQLite format 3\0", &[0; 600][..]].concat()).contains("file"));
    assert!(refused(verify(stand.folder.path(), &|_| ())).contains("it is a folder"));
    let tar_told = |entries: &[(&str, &[u8])]| {
        tar_of(&file, entries);
        refused(verify(&file, &|_| ()))
    };
    assert!(tar_told(&[("photos/1.jpg", b"picture")]).contains("no backup that pixmill made"));
    assert!(tar_told(&[("manifest.json", b"{}")]).contains("damaged"));
    let newer = tar_told(&[("manifest.json", br#"{"format": 2, "pixmill": "9.8.7"}"#)]);
    assert!(newer.contains("9.8.7") && newer.contains(env!("CARGO_PKG_VERSION")), "{newer}");
}

#[test]
fn nothing_of_a_backup_leads_out_of_its_place() {
    let stand = Stand::new();
    let (manifest, _) = verify(&stand.taken("all.tar", true), &|_| ()).unwrap();
    let manifest = serde_json::to_vec(&manifest).unwrap();
    let file = stand.path("evil.tar");
    for name in
        ["../evil", "/tmp/evil", "outputs/../../evil", "outputs/processed_images/../../evil", "bin/sh"]
    {
        tar_of(&file, &[("manifest.json", &manifest), (name, b"evil")]);
        let told = refused(stand.restored(&file, "none"));
        assert!(told.contains("belongs into no backup") || told.contains("is no output"), "{told}");
    }
    tar_of(&file, &[("manifest.json", &manifest), ("outputs/elsewhere/a", b"evil")]);
    refused(stand.restored(&file, "none"));
    assert_eq!(stand.names("none"), [] as [&str; 0]);
}

#[test]
fn a_copy_of_records_alone_is_restored_too() {
    let stand = Stand::new();
    let copy = stand.path("before-v2-20200101-000000.db");
    records_file::copy(&stand.path("data/pixmill.db"), &copy, &|_| ()).unwrap();
    stand.restored(&copy, "other").unwrap();
    assert_eq!(stand.names("other"), ["pixmill.db"]);
    fs::write(stand.path("before-v2-20200101-000000.db-wal"), "log").unwrap();
    assert!(
        refused(stand.restored(&copy, "another")).contains("pixmill backup"),
        "a file in use is no backup"
    );
}

#[test]
fn databases_of_others_are_refused() {
    let stand = Stand::new();
    let file = stand.path("other.db");
    let other = rusqlite::Connection::open(&file).unwrap();
    other.execute_batch("CREATE TABLE requests (id); PRAGMA user_version = 3").unwrap();
    drop(other);
    assert!(refused(stand.restored(&file, "none")).contains("no records of pixmill"));
}

#[test]
fn a_newer_schema_is_refused_naming_both_versions() {
    let stand = Stand::new();
    let records = rusqlite::Connection::open(stand.path("data/pixmill.db")).unwrap();
    records.pragma_update(None, "user_version", 99).unwrap();
    records.execute("INSERT INTO schema_changes VALUES (99, 1, '9.8.7', 0, 0, NULL)", []).unwrap();
    records.pragma_update(None, "journal_mode", "delete").unwrap();
    drop(records);
    let told = refused(stand.restored(&stand.path("data/pixmill.db"), "none"));
    assert!(told.contains("9.8.7") && told.contains("schema 99"), "{told}");
    assert!(told.contains(env!("CARGO_PKG_VERSION")) && !told.contains(staging::BEGINNING), "{told}");
}

#[test]
fn the_newest_backups_are_kept_and_other_files_stay() {
    let stand = Stand::new();
    let backup = stand.taken("one.tar", false);
    let folder = stand.path("kept");
    fs::create_dir(&folder).unwrap();
    for day in 1..=5 {
        fs::copy(&backup, folder.join(format!("pixmill-2026010{day}-000000.tar"))).unwrap();
    }
    fs::write(folder.join("pixmill-20250101-000000.tar"), "no backup").unwrap();
    fs::copy(&backup, folder.join("pixmill-before-the-move.tar")).unwrap();
    assert_eq!(keep::newest(&folder, 2).unwrap().len(), 3);
    assert_eq!(
        stand.names("kept"),
        [
            "pixmill-20250101-000000.tar",
            "pixmill-20260104-000000.tar",
            "pixmill-20260105-000000.tar",
            "pixmill-before-the-move.tar"
        ]
    );
}
