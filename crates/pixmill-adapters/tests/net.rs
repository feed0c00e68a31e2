//! The network adapter against the port's suite, and what only a process of its own can show.

use std::collections::BTreeMap;
use std::process::Command;

use bytes::Bytes;
use pixmill_adapters::net::guard::Guard;
use pixmill_adapters::net::origin::HttpOrigin;
use pixmill_engine::port::origin::Origin as _;
use pixmill_testkit::origin::conformance::conforms;
use pixmill_testkit::origin::{Origin, Pictures, Settings};
use url::Url;

const ASKED: &str = "PIXMILL_TEST_ASKED_URL";

fn origin(allowed: &[&str]) -> HttpOrigin {
    HttpOrigin::new(Guard::new(allowed.iter().map(|range| range.parse().unwrap())), 64)
}

#[tokio::test]
async fn http_origin_conforms() {
    conforms(origin).await;
}

/// The environment can't be changed safely within a process, so the test asks in a child of itself.
#[tokio::test]
async fn proxies_of_the_environment_are_not_used() {
    if let Ok(url) = std::env::var(ASKED) {
        assert_eq!(origin(&["127.0.0.1/32"]).get(&Url::parse(&url).unwrap()).await.unwrap().status, 200);
        return;
    }
    let pictures = Pictures::Memory(BTreeMap::from([("a.jpg".to_owned(), Bytes::from_static(b"picture"))]));
    let good = Origin::start(Settings::serving(pictures.clone())).unwrap();
    let proxy = Origin::start(Settings::serving(pictures)).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "proxies_of_the_environment_are_not_used"]).env(ASKED, good.url("/a.jpg"));
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        child.env(name, proxy.url(""));
    }
    assert!(child.output().unwrap().status.success());
    assert_eq!((good.connections(), proxy.connections()), (1, 0));
}
