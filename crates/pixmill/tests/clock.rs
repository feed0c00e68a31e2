//! A wall clock that jumps by hours under a server with work in hand: nothing stops and no lease is void. The jumps are
//! made by libfaketime, where that is installed; its monotonic clock is the machine's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use pixmill_engine::model::id::RequestId;
use pixmill_testkit::checker::asked_too_often;
use pixmill_testkit::origin::{Origin, Settings};
use pixmill_testkit::sink::{Reply, Sink};

use crate::seeded;
use crate::server::{Process, Server};

/// Leases of the test. Pictures come later than one is renewed, and sooner than it runs out.
const LEASE_MS: u64 = 3_000;
const SLOW_MS: u64 = 2_000;
const IMAGES: usize = 12;

/// Longer than anything here takes on a busy machine.
const LONG: Duration = Duration::from_secs(60);

/// Where distributions put the library.
fn library() -> Option<PathBuf> {
    let places = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"];
    places.iter().map(|place| Path::new(place).join("faketime/libfaketimeMT.so.1")).find(|path| path.exists())
}

/// Has a process read its wall clock's shift from a file, again and again.
fn by_faked_wall(command: &mut Command, library: &Path, shift: &Path) {
    command.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", shift).env("FAKETIME_NO_CACHE", "1");
    command.env("DONT_FAKE_MONOTONIC", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    command.env("PIXMILL_TEST_LEASE_MS", LEASE_MS.to_string());
}

/// A request of pictures that come late.
async fn accept(server: &Server, origin: &Origin, name: &str, hook: &Sink) -> RequestId {
    let mut catalogue = "S. No.,Product Name,Input Image Urls\n".to_owned();
    for number in 0..IMAGES {
        let url = origin.url(&format!("/x/slow/{SLOW_MS}/caps.jpg?{name}-{number}"));
        catalogue += &format!("{number},caps,{url}\n");
    }
    server.accept(&catalogue, Some(hook.url(&format!("/{name}")))).await
}

async fn until_asked(origin: &Origin, name: &str) {
    let began = Instant::now();
    while !origin.log().iter().any(|entry| entry.path.contains(name)) {
        assert!(began.elapsed() < LONG, "{name} was not begun");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wall_clock_that_jumps_under_a_server_stops_nothing_and_voids_no_lease() {
    let Some(library) = library() else {
        eprintln!("skipped: libfaketime is not installed");
        return;
    };
    let origin = Origin::start(Settings::serving(seeded::pictures())).expect("the origin starts");
    let hook = Sink::start(|_| Reply::from(204)).expect("the sink starts");
    let server = Server::new();
    let shift = server.data().join("shift");
    fs::write(&shift, "+0").expect("the folder can be written to");
    let mut command = server.command(&[]);
    by_faked_wall(&mut command, &library, &shift);
    let _process = Process::start(&mut command);
    let mut told = 0;
    for step in ["-2h", "+4h", "-24h"] {
        let before = accept(&server, &origin, &format!("before{step}"), &hook).await;
        until_asked(&origin, &format!("before{step}")).await;
        fs::write(&shift, step).expect("the folder can be written to");
        let after = accept(&server, &origin, &format!("after{step}"), &hook).await;
        let began = Instant::now();
        for request in [before, after] {
            server.wait_for(&request).await;
        }
        println!("{step}: both requests completed {:.1} s after the step", began.elapsed().as_secs_f64());
        told += 2;
        assert_eq!(hook.wait_for(told, LONG).len(), told, "{step}: {}", server.said());
    }
    let asked = origin.log();
    let often = asked_too_often(asked.iter().map(|entry| entry.path.as_str()), 1);
    assert!(often.is_empty(), "no lease was void, so nothing was done twice: {often:#?}\n{}", server.said());
    assert!(server.said().contains("the machine's clock was set anew"), "{}", server.said());
}
