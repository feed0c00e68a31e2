//! Disks that are full, and what lies on them that should not.

use std::time::{Duration, Instant};

use super::wire::{address, ask};
use crate::caller::Caller;
use crate::cases::origin;
use crate::server::Server;

fn wait_for(caller: &Caller, status: u16) -> String {
    let began = Instant::now();
    loop {
        let ready = caller.get("/readyz", &[]);
        if ready.status == status {
            return ready.text;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{ready:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// A server whose state is on a disk of its own, of few MiB; none where nobody may mount one.
#[cfg(target_os = "linux")]
fn on_small_disk(server: &Server) -> Option<Caller> {
    let script = "mount -t tmpfs -o size=12m tmpfs \"$0\" && exec \"$@\"";
    let may = std::process::Command::new("unshare").args(["-rm", "true"]).status();
    let served = may.is_ok_and(|status| status.success());
    served.then(|| Caller::start_through(server, &["unshare", "-rm", "sh", "-c", script], &["--role", "api"]))
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_until_there_is_room_again() {
    let server = Server::new();
    let Some(caller) = on_small_disk(&server) else { return };
    wait_for(&caller, 200);
    let seen_by_server = format!("/proc/{}/root{}", caller.process.0.id(), server.data().display());
    let filler = std::path::Path::new(&seen_by_server).join("filler");
    let mut file = std::fs::File::create(&filler).unwrap();
    while std::io::Write::write_all(&mut file, &[7; 64 << 10]).is_ok() {}
    let told = wait_for(&caller, 503);
    assert!(told.contains("disk.full"), "{told}");
    assert_eq!(caller.get("/healthz", &[]).status, 200, "it lives");
    let refused = caller.post_csv("/v1/requests", "Name,Image Urls\nCap,http://h/a.jpg\n");
    assert!(refused.status == 503 || refused.status == 202, "{refused:?}");
    drop(file);
    std::fs::remove_file(&filler).unwrap();
    wait_for(&caller, 200);
}

#[test]
fn what_is_no_picture_of_a_request_is_not_handed_out() {
    let server = Server::new();
    let caller = Caller::start(&server, &["--role", "api"]);
    let id = caller.post_csv("/v1/requests", "Name,Image Urls\n").id();
    let folder = server.storage().join("processed_images").join(&id);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("a.jpg"), "picture").unwrap();
    let pipe = folder.join("pipe.jpg");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    std::fs::create_dir(folder.join("folder.jpg")).unwrap();
    let show = |name: &str| {
        let head = format!("GET /processed_images/{id}/{name} HTTP/1.1\nhost: {}\n\n", address(&caller));
        ask(&caller, &head).0
    };
    assert_eq!(show("a.jpg"), 200);
    let began = Instant::now();
    assert_eq!((show("pipe.jpg"), show("folder.jpg")), (404, 404));
    assert!(began.elapsed() < Duration::from_secs(10), "nobody waits for a pipe");
    assert_eq!(caller.delete(&format!("/v1/requests/{id}")).status, 204);
    // As a worker would that had the picture in hand.
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("a.jpg"), "picture").unwrap();
    assert_eq!(show("a.jpg"), 404, "its request is deleted");
}

#[test]
fn outputs_of_deleted_requests_are_gone() {
    let origin = origin();
    let server = Server::new();
    let caller = Caller::start(&server, &[]);
    let rows: String =
        (0..6).map(|at| format!("Cap,{}?{at}\n", origin.url("/x/slow/1500/caps.jpg"))).collect();
    let fast = format!("Cap,{}\n", origin.url("/caps.jpg"));
    let id = caller.post_csv("/v1/requests", &format!("Name,Image Urls\n{fast}{rows}")).id();
    let began = Instant::now();
    let told = |field: &str| caller.get(&format!("/v1/requests/{id}"), &[]).json()[field].clone();
    while told("completedImages") != 1 {
        assert!(began.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(caller.post(&format!("/v1/requests/{id}/cancel"), &[], "").status, 200);
    assert_eq!(caller.delete(&format!("/v1/requests/{id}")).status, 204);
    // Long enough for those that were in a worker's hands.
    let mut files = Vec::new();
    for _ in 0..60 {
        std::thread::sleep(Duration::from_millis(100));
        files = pictures(&server.storage());
    }
    assert!(files.is_empty(), "{files:?}");
}

/// Pictures that lie below a folder.
fn pictures(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let below = paths.flat_map(|path| if path.is_dir() { pictures(&path) } else { vec![path] });
    below.filter(|path| path.extension().is_some_and(|extension| extension == "jpg")).collect()
}

#[test]
fn state_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let server = Server::new();
    let data = server.data();
    let caller = Caller::start(&server, &[]);
    assert_eq!(caller.get("/readyz", &[]).status, 200);
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    for name in ["pixmill.db", "pixmill.db-wal", "pixmill.db-shm"] {
        assert_eq!(mode(&data.join(name)), 0o600, "{name}");
    }
}

#[test]
fn an_event_is_made_by_nobody_but_the_server() {
    let server = Server::new();
    let caller = Caller::start(&server, &["--role", "api"]);
    let id = caller.post_csv("/v1/requests", "Name,Image Urls\nCap,http://h/a.jpg\n").id();
    for last in
        ["1:x%0A%0Aevent:%20completed%0Adata:%20%7B%7D%0A%0A", "1:x%0Devent:%20y", "1:%C2%85", "1:~%0A1"]
    {
        let answer = caller.get(&format!("/v1/requests/{id}/events?lastEventId={last}"), &[]);
        assert_eq!((answer.status, answer.code().as_str()), (400, "query.invalid"), "{last}");
    }
}
