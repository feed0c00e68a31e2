//! Origins of one request that are slow in every way, and a request of somebody else's that comes after it.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use pixmill_testkit::origin::{Origin, Pictures, Settings};

use crate::caller::Caller;
use crate::server::Server;

/// So long after it was handed in, a request of ten pictures is done, however busy the machine; each of what is slow here
/// takes longer.
const SOON: Duration = Duration::from_secs(12);

/// Long enough for what is slow to have taken all that it can.
const SETTLED: Duration = Duration::from_secs(3);

/// An origin at all addresses of this machine over the pictures of the examples.
fn anywhere() -> Origin {
    let pictures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/pictures");
    let all = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let settings = Settings { hosts: vec![all], ..Settings::serving(Pictures::Folder(pictures)) };
    Origin::start(settings).expect("the origin starts")
}

/// One address of this machine of many.
fn host(number: u16) -> IpAddr {
    let [high, low] = number.to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(127, 9, high, low))
}

fn catalogue(urls: impl Iterator<Item = String>) -> String {
    urls.fold("Name,Image Urls\n".to_owned(), |rows, url| rows + "Cap," + &url + "\n")
}

/// How long ten good pictures take that are handed in after a request of bad ones.
fn ten_good_behind(caller: &Caller, good: &str, bad: impl Iterator<Item = String>) -> Duration {
    let bad = caller.post_csv("/v1/requests", &catalogue(bad)).id();
    std::thread::sleep(SETTLED);
    let began = Instant::now();
    let good = (0..10).map(|number| format!("{good}?{number}"));
    let good = caller.wait_for(&caller.post_csv("/v1/requests", &catalogue(good)).id());
    assert_eq!(good["completedImages"], 10, "{good}");
    let bad = caller.get(&format!("/v1/requests/{bad}"), &[]).json();
    assert_eq!(bad["status"], "processing", "it was over before the good one came: {bad}");
    began.elapsed()
}

#[test]
fn two_hundred_origins_that_redirect_to_one_slow_target_hold_up_nobody_else() {
    let (origin, target, server) = (anywhere(), anywhere(), Server::new());
    let caller = Caller::start(&server, &["--timeout", "60"]);
    let slow = target.at(Ipv4Addr::LOCALHOST.into(), "/x/hang").replace(':', "%3A").replace('/', "%2F");
    let bad = (0..200).map(|number| origin.at(host(number), &format!("/x/redirect-to/{slow}")));
    let took = ten_good_behind(&caller, &origin.at(host(0), "/caps.jpg"), bad);
    println!("ten good pictures behind 200 redirects to one slow target: {took:?}");
    assert!(took < SOON, "{took:?}");
}

#[test]
fn one_requests_thousand_slow_hosts_leave_connections_to_others() {
    let (origin, slow, server) = (anywhere(), anywhere(), Server::new());
    let caller = Caller::start(&server, &["--timeout", "60"]);
    let took = ten_good_behind(
        &caller,
        &origin.at(host(0), "/caps.jpg"),
        (0..1_000).map(|number| slow.at(host(number), "/x/hang")),
    );
    println!("ten good pictures behind 1000 slow hosts: {took:?}");
    assert!(took < SOON, "{took:?}");
}

#[test]
fn pictures_that_take_long_to_encode_give_turns_to_others() {
    let (origin, server) = (anywhere(), Server::new());
    let caller = Caller::start(&server, &["--concurrency", "1", "--max-seconds", "600"]);
    let slow = catalogue((1..=60).map(|number| origin.at(host(number), "/caps.jpg")));
    let slow = caller.post_csv("/v1/requests?format=avif&quality=90", &slow).id();
    let ended =
        || caller.get(&format!("/v1/requests/{slow}"), &[]).json()["processedImages"].as_u64().unwrap();
    while ended() == 0 {
        std::thread::sleep(Duration::from_millis(50));
    }
    let before = ended();
    let quick = catalogue([origin.at(host(0), "/river.jpg")].into_iter());
    let quick = caller.wait_for(&caller.post_csv("/v1/requests", &quick).id());
    assert_eq!(quick["completedImages"], 1, "{quick}");
    let after = ended();
    println!("one good picture while {} of another request were encoded", after - before);
    // It is found while one is encoded, waits for the place of that one, and for the decoder while the next is; two more end
    // while records are asked.
    assert!(after - before <= 5, "{before} had ended, then {after}");
}

/// A name server that takes questions and answers none.
const SILENT: Ipv4Addr = Ipv4Addr::new(127, 9, 53, 53);

#[test]
fn names_whose_name_server_never_answers_hold_up_nobody_else() {
    let Ok(_silent) = UdpSocket::bind((SILENT, 53)) else {
        println!("skipped: nobody but the administrator may be a name server here");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let servers = file("resolv.conf", format!("nameserver {SILENT}\noptions timeout:30 attempts:2\n"));
    let order = file("nsswitch.conf", "hosts: files dns\n".to_owned());
    let hosts = file("hosts", format!("{} good.example\n", host(0)));
    // What follows sees these files in their usual places, and nobody else does.
    let script = format!(
        "mount --bind {} /etc/resolv.conf && mount --bind {} /etc/nsswitch.conf && mount --bind {} /etc/hosts \
         && shift && exec \"$@\"",
        servers.display(),
        order.display(),
        hosts.display()
    );
    let apart = ["unshare", "--mount", "sh", "-c", &script, "sh"];
    let try_out = Command::new(apart[0]).args(&apart[1..]).args(["-", "true"]).output();
    if !try_out.is_ok_and(|output| output.status.success()) {
        println!("skipped: no name server can be put in the place of the system's here");
        return;
    }
    let (origin, server) = (anywhere(), Server::new());
    let caller = Caller::start_through(&server, &apart, &[]);
    let bad = (0..600).map(|number| format!("http://gone-{number}.example/a.jpg"));
    let good = format!("http://good.example:{}/caps.jpg", origin.port());
    let took = ten_good_behind(&caller, &good, bad);
    println!("ten good pictures behind 600 names that nobody answers for: {took:?}");
    assert!(took < SOON, "{took:?}");
}
