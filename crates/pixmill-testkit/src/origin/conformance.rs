//! What every adapter of the origin port keeps to, whatever it is built on.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use bytes::Bytes;
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::port::origin::{Answer, Hop, Origin as Port};
use url::Url;

use super::{Origin, Pictures, Settings};

const PICTURE: &str = "/a.jpg";
const LENGTH: usize = 300_000;
/// An address of this machine that the adapter has no leave for.
const CANARY: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// Runs the whole suite. `make` makes the adapter under test, for up to 64 requests at once, with the
/// address ranges, as CIDRs, that it may call besides the public internet.
///
/// # Panics
/// At the first promise that isn't kept.
pub async fn conforms<P: Port>(make: impl Fn(&[&str]) -> P) {
    let leave = || make(&["127.0.0.1/32"]);
    whole_answers_come_as_they_were_sent(&leave()).await;
    statuses_are_answers_and_no_faults(&leave()).await;
    redirects_are_told_and_not_followed(&leave()).await;
    encodings_are_not_asked_for_and_undone(&leave()).await;
    broken_answers_are_transient_faults(&leave()).await;
    an_endless_body_is_let_go_by_dropping_it(&leave()).await;
    a_silent_origin_is_let_go_by_dropping_the_request(&leave()).await;
    ports_without_a_server_are_connect_faults(&leave()).await;
    plain_text_where_tls_is_due_is_a_fault(&leave()).await;
    other_schemes_are_refused(&leave()).await;
    credentials_of_the_url_are_sent_and_never_told(&leave()).await;
    connections_are_used_again(&leave()).await;
    connections_reach_a_plateau(&make(&["127.0.0.0/8"])).await;
    blocked_addresses_are_never_connected_to(&make(&[])).await;
    leave_for_one_address_is_no_leave_for_the_next(&leave()).await;
}

fn picture() -> Bytes {
    (0..LENGTH).map(|at| (at % 251) as u8).collect::<Vec<_>>().into()
}

fn start(hosts: impl IntoIterator<Item = IpAddr>) -> Origin {
    let pictures = Pictures::Memory(BTreeMap::from([("a.jpg".to_owned(), picture())]));
    let hosts = hosts.into_iter().collect();
    Origin::start(Settings { hosts, ..Settings::serving(pictures) }).expect("loopback can be listened on")
}

fn start_here() -> Origin {
    start([Ipv4Addr::LOCALHOST.into()])
}

async fn get(port: &impl Port, url: &str) -> Result<Answer, Fault> {
    port.get(&Hop::first(Url::parse(url).unwrap_or_else(|error| panic!("{url}: {error}")))).await
}

async fn whole(port: &impl Port, url: &str) -> Result<(Answer, Vec<u8>), Fault> {
    let mut answer = get(port, url).await?;
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.body.chunk().await? {
        assert!(!chunk.is_empty(), "an empty piece is no piece");
        bytes.extend_from_slice(&chunk);
    }
    Ok((answer, bytes))
}

async fn fault(port: &impl Port, url: &str) -> Fault {
    match whole(port, url).await {
        Err(fault) => fault,
        Ok((answer, bytes)) => panic!("{url} answered {} and {} bytes", answer.status, bytes.len()),
    }
}

/// Waits until what was begun has come about. A minute is for ever here.
async fn comes_about(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..6000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what} never came about");
}

async fn whole_answers_come_as_they_were_sent(port: &impl Port) {
    let origin = start_here();
    for path in [
        PICTURE,
        "/a.jpg?w=200#top",
        "/x/wrongtype/a.jpg",
        "/x/odd-header/a.jpg",
        "/x/slow/20/a.jpg",
        "/%61.jpg",
    ] {
        let (answer, bytes) = whole(port, &origin.url(path)).await.unwrap();
        assert_eq!((answer.status, answer.content_length), (200, Some(LENGTH as u64)), "{path}");
        assert!(bytes == picture(), "{path}");
    }
    let (answer, bytes) = whole(port, &origin.url("/x/empty")).await.unwrap();
    assert_eq!((answer.status, answer.content_length, bytes.len()), (200, Some(0), 0));
    assert!(
        origin.log().iter().any(|entry| entry.path == "/a.jpg?w=200"),
        "a query is sent, a fragment is not"
    );
}

async fn statuses_are_answers_and_no_faults(port: &impl Port) {
    let origin = start_here();
    for status in [400, 403, 404, 410, 429, 500, 503] {
        let (answer, bytes) = whole(port, &origin.url(&format!("/x/status/{status}"))).await.unwrap();
        assert_eq!((answer.status, answer.retry_after), (status, None));
        assert_eq!(bytes, b"as asked\n");
    }
    let (busy, _) = whole(port, &origin.url("/x/flaky/1/a.jpg")).await.unwrap();
    assert_eq!((busy.status, busy.retry_after), (503, Some(Duration::from_secs(1))));
    let (good, _) = whole(port, &origin.url("/x/flaky/1/a.jpg")).await.unwrap();
    assert_eq!((good.status, good.retry_after), (200, None));
}

async fn redirects_are_told_and_not_followed(port: &impl Port) {
    let origin = start_here();
    let relative = get(port, &origin.url("/x/redirect/2/a.jpg")).await.unwrap();
    assert_eq!((relative.status, relative.location.as_deref()), (302, Some("/x/redirect/1/a.jpg")));
    let absolute = get(port, &origin.url("/x/redirect/1/a.jpg")).await.unwrap();
    assert_eq!(absolute.location, Some(origin.url("/x/redirect/0/a.jpg")));
    let elsewhere = get(port, &origin.url("/x/redirect-to/file%3A%2F%2F%2Fetc%2Fpasswd")).await.unwrap();
    assert_eq!(elsewhere.location.as_deref(), Some("file:///etc/passwd"));
    assert_eq!(origin.log().len(), 3);
}

async fn encodings_are_not_asked_for_and_undone(port: &impl Port) {
    let origin = start_here();
    let mut bomb = get(port, &origin.url("/x/gzipbomb")).await.unwrap();
    assert_eq!(bomb.content_length, None, "nobody knows how much it will be");
    let mut bytes = 0;
    while bytes < 20_000_000 {
        let piece = bomb.body.chunk().await.unwrap().expect("a gigabyte");
        assert!(piece.len() <= 1 << 20, "{} bytes at once", piece.len());
        bytes += piece.len();
    }
    let asked_for = origin.log()[0].headers.get("accept-encoding").cloned();
    assert!(asked_for.is_none_or(|encodings| encodings == "identity"));
}

async fn broken_answers_are_transient_faults(port: &impl Port) {
    let origin = start_here();
    for (path, code) in [
        ("/x/reset", Code::FetchConnect),
        ("/x/garbage", Code::FetchConnect),
        ("/x/truncated/a.jpg", Code::FetchTruncated),
        ("/x/cut-chunks", Code::FetchTruncated),
    ] {
        let before = origin.log().len();
        let fault = fault(port, &origin.url(path)).await;
        assert_eq!((fault.code, fault.transient), (code, true), "{path}: {fault}");
        assert_eq!(origin.log().len(), before + 1, "{path} is asked for once: retries are not the adapter's");
    }
}

async fn an_endless_body_is_let_go_by_dropping_it(port: &impl Port) {
    let origin = start_here();
    let mut answer = get(port, &origin.url("/x/endless")).await.unwrap();
    assert_eq!(answer.content_length, None);
    let mut read = 0;
    while read < 1_000_000 {
        read += answer.body.chunk().await.unwrap().expect("it has no end").len();
    }
    drop(answer);
    comes_about("the end of the connection", || origin.open_connections() == 0).await;
}

async fn a_silent_origin_is_let_go_by_dropping_the_request(port: &impl Port) {
    let origin = start_here();
    let url = origin.url("/x/hang");
    let asking = get(port, &url);
    let asked = comes_about("the connection", || origin.open_connections() == 1);
    assert!(first(asking, asked).await.is_none(), "a silent origin answered");
    comes_about("the end of the connection", || origin.open_connections() == 0).await;
}

/// What `left` comes to, unless `right` is done first; both are dropped then.
async fn first<T>(left: impl Future<Output = T>, right: impl Future<Output = ()>) -> Option<T> {
    tokio::select! {
        done = left => Some(done),
        () = right => None,
    }
}

async fn ports_without_a_server_are_connect_faults(port: &impl Port) {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let unused = listener.local_addr().unwrap();
    drop(listener);
    let fault = fault(port, &format!("http://{unused}/a.jpg")).await;
    assert_eq!((fault.code, fault.transient), (Code::FetchConnect, true), "{fault}");
}

async fn plain_text_where_tls_is_due_is_a_fault(port: &impl Port) {
    let origin = start_here();
    let fault = fault(port, &origin.url(PICTURE).replace("http:", "https:")).await;
    assert!(matches!(fault.code, Code::FetchTls | Code::FetchConnect), "{fault}");
}

async fn other_schemes_are_refused(port: &impl Port) {
    for url in [
        "ftp://127.0.0.1/a.jpg",
        "data:image/png;base64,AAAA",
        "file:///etc/passwd",
        "gopher://127.0.0.1:70/x",
    ] {
        let fault = fault(port, url).await;
        assert_eq!((fault.code, fault.transient), (Code::UrlScheme, false), "{url}: {fault}");
    }
}

async fn credentials_of_the_url_are_sent_and_never_told(port: &impl Port) {
    let origin = start_here();
    let with = |path: &str| origin.url(path).replace("http://", "http://me:p%40ss@");
    whole(port, &with(PICTURE)).await.unwrap();
    assert_eq!(origin.log()[0].headers.get("authorization").unwrap(), "Basic bWU6cEBzcw==");
    for path in ["/x/reset?key=secret", "/x/truncated/a.jpg?key=secret"] {
        let fault = fault(port, &with(path)).await;
        let told = format!("{fault} {fault:?}");
        assert!(!["p%40ss", "p@ss", "secret"].iter().any(|secret| told.contains(secret)), "{told}");
    }
}

async fn connections_are_used_again(port: &impl Port) {
    let origin = start_here();
    for _ in 0..20 {
        whole(port, &origin.url(PICTURE)).await.unwrap();
        whole(port, &origin.url("/x/status/404")).await.unwrap();
    }
    assert_eq!(origin.connections(), 1);
}

/// Many hosts, again and again: what is open is at most three times the requests that may be under way.
async fn connections_reach_a_plateau(port: &impl Port) {
    let hosts: Vec<IpAddr> = (1..=250).map(|last| Ipv4Addr::new(127, 0, 3, last).into()).collect();
    let origin = start(hosts.iter().copied());
    for _ in 0..3 {
        for host in &hosts {
            whole(port, &origin.at(*host, "/x/status/404")).await.unwrap();
        }
    }
    assert!(origin.open_connections_peak() <= 192, "{} were open at once", origin.open_connections_peak());
}

async fn blocked_addresses_are_never_connected_to(port: &impl Port) {
    let origin = start([Ipv4Addr::LOCALHOST.into(), CANARY]);
    let spellings = [
        "127.0.0.1",
        "127.0.0.2",
        "127.1",
        "2130706433",
        "0x7f.1",
        "017700000001",
        "0",
        "0.0.0.0",
        "localhost",
        "LOCALHOST",
        "me:you@127.0.0.1",
        "images.example.com@127.0.0.1",
        "127。0。0。1",
        "①②⑦.⓪.⓪.①",
        "%31%32%37.0.0.1",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:2]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[2001:0:7f00:1::]",
        "[fe80::5efe:7f00:1]",
    ];
    for spelling in spellings {
        for number in [format!(":{}", origin.port()), String::new()] {
            let url = format!("http://{spelling}{number}/a.jpg");
            let fault = fault(port, &url).await;
            assert_eq!((fault.code, fault.transient), (Code::FetchBlockedAddress, false), "{url}: {fault}");
        }
    }
    assert_eq!(origin.connections(), 0);
}

async fn leave_for_one_address_is_no_leave_for_the_next(port: &impl Port) {
    let canary = start([CANARY]);
    for spelling in ["127.0.0.2", "2130706434", "[::ffff:127.0.0.2]", "127.0.0.2."] {
        let fault = fault(port, &format!("http://{spelling}:{}/a.jpg", canary.port())).await;
        assert_eq!(fault.code, Code::FetchBlockedAddress, "{spelling}: {fault}");
    }
    assert_eq!(canary.connections(), 0);
    let here = start_here();
    let mapped = format!("http://[::ffff:127.0.0.1]:{}/a.jpg", here.port());
    assert_eq!(whole(port, &mapped).await.unwrap().0.status, 200, "the mapped form of an allowed address");
}
