//! `kill -9` at seeded moments of a backup and of a restore: whatever has a backup's name is whole, records are those of
//! before or those of the backup, and what was there before is never lost.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::seeded::{Random, seeds};
use crate::server::Server;

/// Where each kills itself.
const BACKUP: [&str; 5] =
    ["backup_copied", "backup_gathered", "backup_ending", "backup_written", "backup_named"];
const RESTORE: [&str; 5] =
    ["restore_unpacked", "restore_marked", "restore_kept", "restore_put", "restore_lifted"];

/// Files that a restore puts in place.
const PUT: u64 = 3;

struct Round {
    server: Server,
    folder: tempfile::TempDir,
}

impl Round {
    /// A server's state with requests and outputs, an earlier backup of it, and other records to restore over.
    async fn new() -> Self {
        let (server, folder) = (Server::new(), tempfile::tempdir().expect("a temporary folder"));
        let rows: String = (0..500).map(|row| format!("https://shop.example/{row}.jpg\n")).collect();
        server.accept(&format!("url\n{rows}"), None).await;
        fs::write(server.data().join("webhook-secret"), "whsec_bmV3\n").expect("it can be written");
        let outputs = server.data().join("images/processed_images/a");
        fs::create_dir_all(&outputs).expect("folders can be made");
        (0..20).for_each(|number| {
            fs::write(outputs.join(format!("{number}.jpg")), vec![7; 9000]).expect("room")
        });
        let round = Round { server, folder };
        round.done(&["backup", "kept/earlier.tar", "--outputs"]);
        let other = round.other();
        fs::create_dir_all(other.join("images/processed_images/b")).expect("folders can be made");
        fs::write(other.join("images/processed_images/b/1.jpg"), "old").expect("it can be written");
        fs::write(other.join("webhook-secret"), "whsec_b2xk\n").expect("it can be written");
        let made = round.command(&["keys", "create", "--name", "old", "--data", "other"]).output();
        assert!(made.expect("pixmill runs").status.success());
        round
    }

    fn other(&self) -> PathBuf {
        self.folder.path().join("other")
    }

    fn kept(&self) -> PathBuf {
        self.folder.path().join("kept")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.server.pixmill(arguments);
        command.current_dir(self.folder.path());
        if arguments[0] == "backup" && arguments[1] != "verify" {
            command.arg("--data").arg(self.server.data());
        }
        command.stdin(Stdio::null());
        command
    }

    fn done(&self, arguments: &[&str]) -> Output {
        let output = self.command(arguments).output().expect("pixmill runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
        output
    }

    /// Whether it was killed, at a point or after a while.
    fn killed(&self, arguments: &[&str], point: Option<String>, random: &mut Random) -> bool {
        let mut command = self.command(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        match point {
            Some(point) => {
                command.env("PIXMILL_TEST_KILL_AT", point);
                command.status().expect("pixmill runs").signal() == Some(9)
            }
            None => {
                let mut child = command.spawn().expect("pixmill runs");
                std::thread::park_timeout(Duration::from_millis(random.below(120)));
                child.kill().expect("pixmill can be killed");
                child.wait().expect("pixmill ends").signal() == Some(9)
            }
        }
    }

    fn backup_is_killed(&self, random: &mut Random) -> (bool, Vec<String>) {
        let point = BACKUP[random.below(BACKUP.len() as u64) as usize];
        let point = (random.below(4) > 0).then(|| format!("{point}:1"));
        let earlier = fs::read(self.kept().join("earlier.tar")).expect("it is there");
        let killed = self.killed(&["backup", "kept", "--outputs"], point, random);
        let mut wrong = Vec::new();
        if fs::read(self.kept().join("earlier.tar")).ok() != Some(earlier) {
            wrong.push("the earlier backup is not what it was".to_owned());
        }
        for name in names(&self.kept()).iter().filter(|name| name.ends_with(".tar")) {
            let verified = self.command(&["backup", "verify", &format!("kept/{name}")]).output();
            let verified = verified.expect("pixmill runs");
            if !verified.status.success() {
                wrong.push(format!("{name}: {}", String::from_utf8_lossy(&verified.stderr)));
            }
        }
        self.done(&["backup", "kept", "--outputs", "--quiet"]);
        wrong.extend(parts(&self.kept()));
        (killed, wrong)
    }

    fn restore_is_killed(&self, random: &mut Random) -> (bool, Vec<String>) {
        let point = RESTORE[random.below(RESTORE.len() as u64) as usize];
        let count = if point == "restore_put" { 1 + random.below(PUT) } else { 1 };
        let point = (random.below(4) > 0).then(|| format!("{point}:{count}"));
        let arguments = ["restore", "kept/earlier.tar", "--data", "other"];
        let killed = self.killed(&arguments, point, random);
        let mut wrong = Vec::new();
        let looked = self.command(&["migrate", "status", "--data", "other"]).output().expect("pixmill runs");
        let told = String::from_utf8_lossy(&looked.stderr).into_owned();
        match looked.status.success() {
            true => {
                let (requests, secret, outputs) = self.found();
                let old = (0, "whsec_b2xk\n", vec!["b".to_owned()]);
                let new = (1, "whsec_bmV3\n", vec!["a".to_owned()]);
                if (requests, secret.as_str(), outputs.clone()) != old
                    && (requests, secret.as_str(), outputs.clone()) != new
                {
                    wrong.push(format!("half of a restore is opened: {requests} {secret} {outputs:?}"));
                }
            }
            false if told.contains("state.busy") && told.contains("pixmill restore again") => {}
            false => wrong.push(told),
        }
        if !self.has_old() {
            wrong.push("what was there before is lost".to_owned());
        }
        self.done(&arguments);
        if self.found() != (1, "whsec_bmV3\n".to_owned(), vec!["a".to_owned()]) || !self.has_old() {
            wrong.push(format!("{:?} after a restore that was left alone", self.found()));
        }
        wrong.extend(parts(&self.other()));
        wrong.extend(parts(&self.other().join("images")));
        (killed, wrong)
    }

    /// What the folder that is restored to holds: requests, the secret, folders of outputs.
    fn found(&self) -> (i64, String, Vec<String>) {
        let records = rusqlite::Connection::open(self.other().join("pixmill.db")).expect("there are records");
        let requests = records.query_row("SELECT count(*) FROM requests", [], |row| row.get(0));
        let secret = fs::read_to_string(self.other().join("webhook-secret")).unwrap_or_default();
        (requests.unwrap_or(-1), secret, names(&self.other().join("images/processed_images")))
    }

    /// Whether the records and outputs of before are in their place or aside.
    fn has_old(&self) -> bool {
        let with_key = |file: PathBuf| {
            let found =
                rusqlite::Connection::open_with_flags(file, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY);
            let names = "SELECT count(*) FROM boards WHERE board = 'keys' AND text ->> 'name' = 'old'";
            found.and_then(|records| records.query_row(names, [], |row| row.get::<_, i64>(0))).ok() == Some(1)
        };
        let places = |folder: &Path| -> Vec<PathBuf> {
            let asides = names(folder).into_iter().filter(|name| name.starts_with("before-restore-"));
            asides.map(|name| folder.join(name)).chain([folder.to_owned()]).collect()
        };
        let images = self.other().join("images");
        places(&self.other()).iter().any(|folder| with_key(folder.join("pixmill.db")))
            && places(&images).iter().any(|folder| folder.join("processed_images/b/1.jpg").exists())
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// What was left half done.
fn parts(folder: &Path) -> Vec<String> {
    let parts = names(folder).into_iter().filter(|name| name.starts_with(".pixmill-part"));
    parts.map(|name| format!("{name} is left over in {}", folder.display())).collect()
}

#[tokio::test]
async fn no_kill_of_a_backup_or_a_restore_loses_anything() {
    let (mut backups, mut restores) = (0, 0);
    for seed in 0..seeds() {
        let mut random = Random(seed);
        let round = Round::new().await;
        let (killed, wrong) = round.backup_is_killed(&mut random);
        backups += u64::from(killed);
        assert!(wrong.is_empty(), "seed {seed}: {wrong:#?}");
        let (killed, wrong) = round.restore_is_killed(&mut random);
        restores += u64::from(killed);
        assert!(wrong.is_empty(), "seed {seed}: {wrong:#?}");
    }
    assert!(backups * 2 > seeds() && restores * 2 > seeds(), "{backups} and {restores} kills prove little");
    println!("{} seeds: {backups} kills of a backup, {restores} of a restore, nothing lost", seeds());
}
