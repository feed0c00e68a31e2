//! Catalogues whose rows are as wide as rows may be: what a server holds of them is bounded by bytes.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread::sleep;
use std::time::Duration;

use super::wire::address;
use crate::caller::Caller;
use crate::cases::origin;
use crate::server::Server;

/// Rows of either kind, and bytes of what is wide in each.
const ROWS: usize = 100;
const WIDE: usize = 900_000;

/// What a server may take beside what it takes idle, MiB: the catalogue has 180, and so has each answer.
const MOST: u64 = 120;

/// What a process has resident now, or had at most since it was asked last, MiB.
fn resident(process: u32, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let told = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    told.split_whitespace().next().unwrap().parse::<u64>().unwrap() >> 10
}

/// Does something and says what the server took at most meanwhile.
fn peak<T>(process: u32, work: impl FnOnce() -> T) -> (u64, T) {
    fs::write(format!("/proc/{process}/clear_refs"), "5").unwrap();
    let done = work();
    (resident(process, "VmHWM:"), done)
}

/// Asks and reads no more than the beginning of the answer.
fn unread(caller: &Caller, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address(caller)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", address(caller)).unwrap();
    stream.read_exact(&mut [0; 64]).unwrap();
    stream
}

#[test]
fn wide_rows_are_taken_in_worked_off_and_given_in_bounded_memory() {
    let (origin, server) = (origin(), Server::new());
    let caller = Caller::start(&server, &["--attempts", "1"]);
    let process = caller.process.0.id();
    let idle = resident(process, "VmRSS:");
    let mut catalogue = String::from("Name,Text,Image Urls\n");
    for row in 0..ROWS {
        let url = origin.url("/caps.jpg");
        catalogue += &format!("Cap {row},{},{url}?{row}\n", "t".repeat(WIDE));
        // No server answers to an address like this.
        catalogue += &format!("Cap {row},,{url}?{row}{}\n", "u".repeat(WIDE));
    }
    let (intake, id) = peak(process, || caller.post_csv("/v1/requests", &catalogue).id());
    let (work, ended) = peak(process, || caller.wait_for(&id));
    assert_eq!((&ended["completedImages"], &ended["failedImages"]), (&ROWS.into(), &ROWS.into()));
    let path = format!("/v1/requests/{id}/results.csv");
    let (results, length) = peak(process, || caller.get_long(&path));
    assert!(length as usize > catalogue.len(), "all of it");
    let (waiting, streams) = peak(process, || {
        let images = format!("/v1/requests/{id}/images?limit=1000");
        let failed = format!("/v1/requests/{id}/failed.csv");
        let streams = [&path, &path, &images, &failed].map(|path| unread(&caller, path));
        sleep(Duration::from_secs(2));
        streams
    });
    drop(streams);
    println!(
        "idle {idle} MiB; intake {intake}, work {work}, results {results}, four unread answers {waiting}"
    );
    for (what, took) in [("intake", intake), ("work", work), ("results", results), ("unread", waiting)] {
        assert!(took < idle + MOST, "{what}: {took} MiB of {idle} idle");
    }
}
