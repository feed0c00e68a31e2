//! The network adapter against the port's suite, and what only a process of its own can show.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use pixmill_adapters::net::guard::Guard;
use pixmill_adapters::net::origin::HttpOrigin;
use pixmill_adapters::net::receiver::HttpReceiver;
use pixmill_adapters::net::trust::Trust;
use pixmill_engine::code::Code;
use pixmill_engine::port::origin::{Hop, Origin as _};
use pixmill_engine::port::receiver::{Message, Receiver, SetBy};
use pixmill_testkit::origin::conformance::conforms;
use pixmill_testkit::origin::{Origin, Pictures, Settings};
use pixmill_testkit::sink::{Reply, Sink};
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
        assert_eq!(
            origin(&["127.0.0.1/32"]).get(&Hop::first(Url::parse(&url).unwrap())).await.unwrap().status,
            200
        );
        return;
    }
    let pictures = Pictures::Memory(BTreeMap::from([("a.jpg".to_owned(), Bytes::from_static(b"picture"))]));
    let good = Origin::start(Settings::serving(pictures.clone())).unwrap();
    let proxy = Origin::start(Settings::serving(pictures)).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "net::proxies_of_the_environment_are_not_used"]).env(ASKED, good.url("/a.jpg"));
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        child.env(name, proxy.url(""));
    }
    assert!(child.output().unwrap().status.success());
    assert_eq!((good.connections(), proxy.connections()), (1, 0));
}

fn receiver(allowed: &[&str]) -> HttpReceiver {
    HttpReceiver::new(Guard::new(allowed.iter().map(|range| range.parse().unwrap())), &Trust::default())
}

fn message() -> Message {
    Message {
        headers: vec![("webhook-id".into(), "e1".to_owned())],
        body: r#"{"type":"request.completed"}"#.to_owned(),
    }
}

#[tokio::test]
async fn a_webhook_hears_headers_and_body() {
    let sink = Sink::start(|_| Reply { body: "ä".repeat(2_000), ..Reply::from(201) }).unwrap();
    let url = Url::parse(&sink.url("/hook?a=b")).unwrap();
    let reply = receiver(&["127.0.0.1/32"]).post(&url, SetBy::Client, message()).await.unwrap();
    let answer = reply.answer;
    assert_eq!(
        (answer.status, answer.beginning.as_str()),
        (201, "ä".repeat(512).as_str()),
        "one KiB is kept"
    );
    let heard = sink.heard().remove(0);
    assert_eq!((heard.path.as_str(), &heard.body), ("/hook?a=b", &message().body));
    assert_eq!((heard.header("webhook-id"), heard.header("content-type")), ("e1", "application/json"));
}

#[tokio::test]
async fn only_addresses_that_a_client_sets_are_guarded() {
    let sink = Sink::start(|_| Reply::from(200)).unwrap();
    let url = Url::parse(&sink.url("/")).unwrap();
    let posted = receiver(&[]).post(&url, SetBy::Client, message()).await.map(drop);
    for fault in [posted, receiver(&[]).judge(&url).await].map(Result::unwrap_err) {
        assert_eq!((fault.code, fault.transient), (Code::WebhookAddress, false));
    }
    receiver(&["127.0.0.1/32"]).judge(&url).await.unwrap();
    assert!(sink.heard().is_empty());
    assert_eq!(receiver(&[]).post(&url, SetBy::Server, message()).await.unwrap().answer.status, 200);
}

#[tokio::test]
async fn a_pause_that_a_webhook_asks_for_is_heard() {
    let headers = "retry-after: 90\r\n".to_owned();
    let sink = Sink::start(move |_| Reply { headers: headers.clone(), ..Reply::from(503) }).unwrap();
    let url = Url::parse(&sink.url("/")).unwrap();
    let reply = receiver(&["127.0.0.1/32"]).post(&url, SetBy::Client, message()).await.unwrap();
    assert_eq!((reply.answer.status, reply.retry_after), (503, Some(Duration::from_secs(90))));
}

#[tokio::test]
async fn a_webhook_is_not_followed_elsewhere() {
    let other = Sink::start(|_| Reply::from(200)).unwrap();
    let location = format!("location: {}\r\n", other.url("/"));
    let sink = Sink::start(move |_| Reply { headers: location.clone(), ..Reply::from(307) }).unwrap();
    let url = Url::parse(&sink.url("/")).unwrap();
    let reply = receiver(&["127.0.0.1/32"]).post(&url, SetBy::Client, message()).await.unwrap();
    let answer = reply.answer;
    assert_eq!((answer.status, other.heard().len()), (307, 0));
}
