//! Keys that were revoked, that are guessed, and what they don't open.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use pixmill_testkit::sink::{Reply, Sink};
use serde_json::Value;

use super::wire::{address, answer, begin, is_ended};
use crate::caller::Caller;
use crate::server::Server;

/// A new key.
pub(crate) fn key(server: &Server, arguments: &[&str]) -> String {
    let data = server.data();
    let all = [&["keys", "create", "--data", data.to_str().unwrap()], arguments].concat();
    let output = server.pixmill(&all).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn revoke_all(server: &Server) {
    let data = server.data();
    let run = |arguments: &[&str]| {
        let output =
            server.pixmill(&[arguments, &["--data", data.to_str().unwrap()]].concat()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    for line in run(&["keys", "list"]).lines() {
        let id = serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned();
        run(&["keys", "revoke", &id]);
    }
}

#[test]
fn what_a_key_began_ends_when_it_is_revoked() {
    let server = Server::new();
    let key = key(&server, &[]);
    let bearer = [("authorization", &*format!("Bearer {key}")), ("content-type", "text/csv")];
    let caller = Caller::start(&server, &["--role", "api"]);
    let id = caller.post("/v1/requests", &bearer, "Name,Image Urls\nCap,http://h/a.jpg\n").id();
    let common = format!("host: {}\nconnection: close\nauthorization: Bearer {key}", address(&caller));
    let mut events = begin(&caller, &format!("GET /v1/requests/{id}/events HTTP/1.1\n{common}\n\n"), b"");
    let mut status = [0; 15];
    events.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 200 OK");
    let head = format!(
        "POST /v1/requests HTTP/1.1\n{common}\ncontent-type: text/csv\ntransfer-encoding: chunked\n\n"
    );
    let mut upload = begin(&caller, &head, b"10\r\nName,Image Urls\n\r\n");
    revoke_all(&server);
    assert!(is_ended(&mut events, Duration::from_secs(30)), "the stream goes on");
    // It may have been refused by now.
    let _ = upload.write_all(b"0\r\n\r\n");
    let (status, text) = answer(upload);
    assert!(status == 401 && text.contains("auth.invalid"), "{text}");
}

#[test]
fn whoever_guesses_keys_must_wait_and_holders_need_not() {
    let server = Server::new();
    let key = format!("Bearer {}", key(&server, &[]));
    let caller = Caller::start(&server, &["--role", "api"]);
    let ask = |key: &str| caller.get("/v1/usage", &[("authorization", key)]);
    assert_eq!(ask(&key).status, 200);
    let statuses: Vec<_> = (0..60).map(|at| ask(&format!("Bearer pxm_{at}")).status).collect();
    assert_eq!(&statuses[..5], [401; 5], "a few mistakes are told as such");
    assert_eq!(&statuses[30..], [429; 30]);
    let refused = ask("Bearer pxm_x");
    assert_eq!(refused.code(), "rate.limited");
    assert!((1..=60).contains(&refused.header("retry-after").parse::<u64>().unwrap()));
    assert_eq!(ask(&key).status, 200, "one who was known before");
}

#[test]
fn a_tenant_sees_its_own_figures_alone() {
    let server = Server::new();
    let [one, other, operator] = [&["--tenant", "one"][..], &["--tenant", "other"], &[]]
        .map(|arguments| format!("Bearer {}", key(&server, arguments)));
    let caller = Caller::start(&server, &["--role", "api"]);
    let submit = |key: &str, images: usize| {
        let rows: String = (0..images).map(|at| format!("Cap,http://h/{at}.jpg\n")).collect();
        let headers = [("authorization", key), ("content-type", "text/csv")];
        assert_eq!(caller.post("/v1/requests", &headers, format!("Name,Image Urls\n{rows}")).status, 202);
    };
    submit(&one, 3);
    submit(&other, 40);
    let waiting = |key: &str| {
        let text = caller.get("/metrics", &[("authorization", key)]).text;
        let line =
            text.lines().find(|line| line.contains("state=\"waiting\"")).unwrap_or_default().to_owned();
        (line.rsplit(' ').next().unwrap_or_default().to_owned(), text.contains("pixmill_http_requests"))
    };
    assert_eq!(waiting(&one), ("3".to_owned(), false));
    assert_eq!(waiting(&other), ("40".to_owned(), false));
    assert_eq!(waiting(&operator), ("43".to_owned(), true));
}

#[test]
fn the_servers_own_webhook_is_not_shown_to_tenants() {
    let server = Server::new();
    let sink = Sink::start(|_| Reply { status: 200, headers: String::new(), body: "SECRET".into() }).unwrap();
    let [tenant, operator] =
        [&["--tenant", "shop"][..], &[]].map(|arguments| format!("Bearer {}", key(&server, arguments)));
    let hook = sink.url("/internal/hook");
    let caller = Caller::start(&server, &["--webhook-url", &hook]);
    let own = sink.url("/own");
    for query in [String::new(), format!("?webhookUrl={own}")] {
        let headers = [("authorization", &*tenant), ("content-type", "text/csv")];
        let taken = caller.post(&format!("/v1/requests{query}"), &headers, "Name,Image Urls\n");
        assert_eq!(taken.status, 202, "{taken:?}");
    }
    let deliveries = |key: &str| {
        let began = Instant::now();
        loop {
            let listed = caller.get("/v1/webhooks/deliveries", &[("authorization", key)]);
            if listed.json()["data"].as_array().unwrap().len() == 2
                || began.elapsed() > Duration::from_secs(60)
            {
                return listed.text;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    let shown = deliveries(&tenant);
    assert!(!shown.contains("/internal/hook") && shown.contains(&own), "{shown}");
    assert_eq!(shown.matches("SECRET").count(), 1, "{shown}");
    // A key of the default tenant sees that tenant's alone, so it is the address that counts here.
    let _ = operator;
}
