//! A disk that gets full under a server and under whoever backs up, restores or migrates beside it: a sentence each, and
//! nothing is lost.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

use pixmill_testkit::origin::{Origin, Settings};

use crate::backup::{TO_OLDER_SCHEMA, done, is_root, said};
use crate::seeded::{catalogue, pictures};
use crate::server::Server;

/// Records as an older pixmill left them.
fn of_an_older_schema(folder: &Path) {
    done(folder, &["keys", "create", "--data", "old"]);
    let records = rusqlite::Connection::open(folder.join("old/pixmill.db")).unwrap();
    records.execute_batch(TO_OLDER_SCHEMA).unwrap();
}

/// What is played in a mount namespace of its own, `disk` being a small disk there. Each line that it prints is a promise.
const SCRIPT: &str = r#"
server=http://127.0.0.1:$PORT
cp -r old disk/old
cp -r old disk/untouched
$PIXMILL serve --data disk/data --listen 127.0.0.1:$PORT --allow-address 127.0.0.0/8 2>serve.log &
serving=$!
until $PIXMILL health --listen 127.0.0.1:$PORT 2>/dev/null; do sleep 0.1; done
$PIXMILL submit first.csv --server $server --watch >/dev/null 2>&1
$PIXMILL submit second.csv --server $server 2>/dev/null >second.json

# All but nothing is left, and then what records still had of the room.
cat /dev/zero >disk/filler 2>/dev/null; cat /dev/zero >disk/filler2 2>/dev/null

$PIXMILL backup disk/kept --data disk/data --quiet 2>told.backup; echo "backup exits with $?"
grep -o 'disk.full' told.backup
[ -z "$(find disk/kept -type f 2>/dev/null)" ] && echo 'no half of a backup is left'
$PIXMILL restore one.tar --data disk/other --quiet 2>told.restore; echo "restore exits with $?"
grep -o 'disk.full' told.restore
[ ! -e disk/other/pixmill.db ] && echo 'no half of a restore is left'
$PIXMILL migrate up --data disk/old 2>told.migrate; echo "migrate exits with $?"
grep -o 'disk.full' told.migrate
cmp -s disk/old/pixmill.db disk/untouched/pixmill.db && echo 'the records of before are as they were'
$PIXMILL health --listen 127.0.0.1:$PORT --live && echo 'the server lives'
kill -0 $serving && sleep 2
until ! $PIXMILL health --listen 127.0.0.1:$PORT 2>told.health; do sleep 0.2; done
grep -q 'disk.full' told.health && echo 'the server says that the disk is full'

rm disk/filler disk/filler2
until $PIXMILL health --listen 127.0.0.1:$PORT 2>/dev/null; do sleep 0.2; done
second=$(sed -n 's/.*"id": *"\([^"]*\)".*/\1/p' second.json | head -1)
$PIXMILL watch "$second" --server $server >/dev/null 2>&1
$PIXMILL status "$second" --server $server >ended.json
grep -q '"failedImages": *[^0,]' ended.json || echo 'no image failed of it'
grep -q '"status": *"completed"' ended.json && echo 'what was under way is done'
$PIXMILL migrate up --data disk/old 2>/dev/null && echo 'migrated once there is room'
$PIXMILL restore one.tar --data disk/other --quiet 2>/dev/null && echo 'restored once there is room'
$PIXMILL backup disk/kept --data disk/data --quiet >/dev/null && echo 'backed up once there is room'
$PIXMILL doctor --orphans --data disk/data 2>/dev/null | grep -o 'each named by an image'
kill -TERM $serving; wait $serving; echo "the server ends with $?"
"#;

#[test]
fn a_full_disk_is_told_by_all_and_takes_nothing_from_anybody() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::create_dir(folder.join("disk")).unwrap();
    done(folder, &["keys", "create", "--data", "data"]);
    done(folder, &["backup", "one.tar", "--data", "data"]);
    of_an_older_schema(folder);
    let origin = Origin::start(Settings::serving(pictures())).expect("the origin starts");
    fs::write(folder.join("first.csv"), catalogue(&origin.url(""), 4).0).unwrap();
    // Pictures that take their time, so that work is in hand when the disk is full.
    let rows: String =
        (0..80).map(|row| format!("{}\n", origin.url(&format!("/x/slow/1000/caps.jpg?{row}")))).collect();
    fs::write(folder.join("second.csv"), format!("url\n{rows}")).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();

    let script = format!("mount -t tmpfs -o size=24m tmpfs disk || exit 99\n{SCRIPT}");
    let mut command = Command::new("unshare");
    command
        .args(["--map-root-user", "--mount", "timeout", "-k", "5", "240", "sh", "-c", &script])
        .current_dir(folder);
    command.env("PIXMILL", env!("CARGO_BIN_EXE_pixmill")).env("PORT", port.to_string());
    let Ok(output) = command.output() else { return eprintln!("skipped: unshare is not installed") };
    let told = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(99) || told.contains("unshare failed") {
        return eprintln!("skipped: nothing can be mounted here: {told}");
    }
    let log = fs::read_to_string(folder.join("serve.log")).unwrap_or_default();
    let said = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<_> = said.lines().collect();
    let ended = fs::read_to_string(folder.join("ended.json")).unwrap_or_default();
    assert_eq!(
        lines,
        [
            "backup exits with 1",
            "disk.full",
            "no half of a backup is left",
            "restore exits with 1",
            "disk.full",
            "no half of a restore is left",
            "migrate exits with 1",
            "disk.full",
            "the records of before are as they were",
            "the server lives",
            "the server says that the disk is full",
            "no image failed of it",
            "what was under way is done",
            "migrated once there is room",
            "restored once there is room",
            "backed up once there is room",
            "each named by an image",
            "the server ends with 0",
        ],
        "{told}\n{ended}\n{log}"
    );
}

/// Runs a command with a small disk of its own at a folder.
fn on_small_disk(at: &Path, kib: u64, script: &str) -> Option<Output> {
    let mount = format!("mount -t tmpfs -o size={kib}k tmpfs {}", at.display());
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &format!("{mount} || exit 99; {script}")]);
    command.env("PIXMILL", env!("CARGO_BIN_EXE_pixmill")).current_dir(at.parent().unwrap());
    let output = command.output().ok()?;
    if output.status.code() == Some(99) {
        eprintln!("skipped: nothing can be mounted here");
        return None;
    }
    Some(output)
}

#[tokio::test]
async fn a_full_disk_loses_nothing() {
    if !is_root() {
        return;
    }
    let server = Server::new();
    let rows: String = (0..20_000).map(|row| format!("https://shop.example/{row}.jpg\n")).collect();
    server.accept(&format!("url\n{rows}"), None).await;
    let data = server.data();
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    fs::create_dir(&disk).unwrap();
    done(folder.path(), &["backup", "one.tar", "--data", data.to_str().unwrap()]);
    let backup = fs::metadata(folder.path().join("one.tar")).unwrap().len() / 1024;
    // From what is told before, over what breaks off while copying and writing, to what fits.
    for room in [backup / 4, backup + 64, backup * 2 - 64, backup * 2 + 8, backup * 2 + 4096] {
        let script =
            format!("$PIXMILL backup disk --data {}; code=$?; ls -A disk; exit $code", data.display());
        let Some(output) = on_small_disk(&disk, room, &script) else { return };
        let told = said(&output);
        match output.status.code() {
            Some(0) => assert!(told.contains(".tar"), "{told}"),
            Some(1) => {
                assert!(told.contains("disk.full"), "{told}");
                assert!(output.stdout.is_empty(), "nothing is left over: {told}");
            }
            _ => panic!("{told}"),
        }
    }
    for room in [backup + 64, backup + 512, backup * 2 - 128, backup * 2 + 64, backup * 3] {
        let script = "$PIXMILL keys create --data disk/data >key 2>/dev/null; before=$($PIXMILL keys list --data disk/data); \
                      $PIXMILL restore one.tar --data disk/data --quiet; code=$?; \
                      after=$($PIXMILL keys list --data disk/data); \
                      [ $code = 0 ] || [ \"$before\" = \"$after\" ] || echo LOST; \
                      ls -A disk/data | grep part; exit $code";
        let Some(output) = on_small_disk(&disk, room, script) else { return };
        let told = said(&output);
        assert!(output.stdout.is_empty(), "room for {room} KiB: {told}");
        assert!(output.status.code() == Some(0) || told.contains("disk.full"), "{told}");
    }
}
