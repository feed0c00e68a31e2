//! Connections that take room and do nothing with it.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use super::wire::{address, ask, begin, connect};
use crate::caller::Caller;
use crate::server::Server;

/// More than one address is given room for.
const MANY: usize = 1_200;

#[test]
fn heads_that_are_never_finished_keep_nobody_out() {
    let server = Server::new();
    let caller = Caller::start(&server, &["--role", "api"]);
    let slow: Vec<_> = (0..MANY).map(|_| begin(&caller, "GET /healthz HTTP/1.1\nhost:", b"")).collect();
    let health = format!("GET /healthz HTTP/1.1\nhost: {}\n\n", address(&caller));
    assert_eq!(ask(&caller, &health).0, 200, "health, at once");
    let began = Instant::now();
    // Those that have done nothing for long enough make room.
    while caller.get("/v1/requests", &[]).status != 200 {
        assert!(began.elapsed() < Duration::from_secs(30));
        std::thread::sleep(Duration::from_millis(100));
    }
    drop(slow);
}

#[test]
fn watchers_have_a_bound_and_leave_room_for_others() {
    let server = Server::new();
    let caller = Caller::start(&server, &["--role", "api"]);
    let id = caller.post_csv("/v1/requests", "Name,Image Urls\nCap,http://h/a.jpg\n").id();
    let head = format!("GET /v1/requests/{id}/events HTTP/1.1\nhost: {}\n\n", address(&caller));
    let statuses: Vec<_> = (0..400)
        .map(|_| {
            let mut stream = begin(&caller, &head, b"");
            let mut status = [0; 12];
            stream.read_exact(&mut status).unwrap();
            (String::from_utf8_lossy(&status[9..]).into_owned(), stream)
        })
        .collect();
    let of = |wanted: &str| statuses.iter().filter(|(status, _)| status == wanted).count();
    assert_eq!((of("200"), of("429")), (256, 144));
    for path in ["/healthz", "/v1/requests", &format!("/v1/requests/{id}")] {
        assert_eq!(caller.get(path, &[]).status, 200, "{path}");
    }
}

#[test]
fn an_answer_that_nobody_reads_holds_little_memory() {
    let server = Server::new();
    let caller = Caller::start(&server, &["--role", "api"]);
    let images: Vec<_> = (0..100_000).map(|at| format!("http://h/{}/{at}.jpg", "a".repeat(200))).collect();
    let list = serde_json::json!({ "images": images }).to_string();
    let id = caller.post("/v1/requests", &[("content-type", "application/json")], list).id();
    let head = format!("GET /v1/requests/{id}/results.csv HTTP/1.1\nhost: {}\n\n", address(&caller));
    let unread: Vec<_> = (0..40).map(|_| begin(&caller, &head, b"")).collect();
    std::thread::sleep(Duration::from_secs(2));
    let status = std::fs::read_to_string(format!("/proc/{}/status", caller.process.0.id())).unwrap();
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kib: u64 = kib.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kib < 250 << 10, "{kib} KiB for forty answers of 25 MB");
    assert_eq!(caller.get("/v1/requests", &[]).status, 200);
    drop(unread);
}

#[test]
fn a_connection_is_kept_for_the_next_call() {
    let server = Server::new();
    let caller = Caller::start(&server, &["--role", "api"]);
    let mut stream = connect(&caller);
    for _ in 0..3 {
        let call = format!("GET /healthz HTTP/1.1\r\nhost: {}\r\n\r\n", address(&caller));
        stream.write_all(call.as_bytes()).unwrap();
        let (mut read, mut part) = (Vec::new(), [0; 1024]);
        while !read.ends_with(b"}") {
            let more = stream.read(&mut part).unwrap();
            assert!(more > 0, "it ended");
            read.extend_from_slice(&part[..more]);
        }
        assert!(read.starts_with(b"HTTP/1.1 200"));
    }
}
