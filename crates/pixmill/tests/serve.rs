//! `pixmill serve` from outside: it works requests off, tells of them, waits for what is away and stops cleanly.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

use pixmill_testkit::checker::check_request;
use pixmill_testkit::origin::{Origin, Settings};
use pixmill_testkit::services::node::Node;
use pixmill_testkit::sink::{Heard, Reply, Sink};
use standardwebhooks::Webhook;

use crate::seeded;
use crate::server::{Process, Server};

/// Longer than anything here takes on a busy machine.
const LONG: Duration = Duration::from_secs(60);

fn origin() -> Origin {
    Origin::start(Settings::serving(seeded::pictures())).expect("the origin starts")
}

/// Verifies a call as a receiver does, with the official library.
fn verify(heard: &Heard, secret: &str) {
    let mut headers = http::HeaderMap::new();
    for (name, value) in &heard.headers {
        let name: http::HeaderName = name.parse().expect("a name");
        headers.insert(name, value.parse().expect("a value"));
    }
    Webhook::new(secret)
        .expect("a secret")
        .verify(heard.body.as_bytes(), &headers)
        .expect("a valid signature");
}

/// Verifies a call as a receiver on Node does, with the official library, which refuses what was tampered with.
async fn verify_in_node(heard: &Heard, secret: &str) {
    let module = "
        import { Webhook } from 'standardwebhooks';
        const { secret, body, headers } = JSON.parse(process.env.HEARD);
        console.log(new Webhook(secret).verify(body, headers).type);
        try { new Webhook(secret).verify(`${body} `, headers); } catch (error) { console.log(error.message); }";
    let headers: serde_json::Map<_, _> =
        heard.headers.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    let heard = serde_json::json!({ "secret": secret, "body": heard.body, "headers": headers });
    let said = Node::run(module, &[], &[("HEARD", &heard.to_string())]).await;
    assert_eq!(said.lines().collect::<Vec<_>>(), ["request.completed", "No matching signature found"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_worked_off_and_told_of() {
    let (origin, server) = (origin(), Server::new());
    let sink = Sink::start(|_| Reply::from(204)).expect("the sink starts");
    let (catalogue, expected) = seeded::catalogue(&origin.url(""), 6);
    let request = server.accept(&catalogue, Some(sink.url("/hook?shop=1"))).await;
    let process = Process::start(&mut server.command(&["--public-url", "https://shop.example/"]));
    server.wait_for(&request).await;
    let heard = sink.wait_for(1, LONG);
    assert_eq!(heard.len(), 1, "told once");
    verify(&heard[0], &server.secret());
    verify_in_node(&heard[0], &server.secret()).await;
    let event = server.records.completions(&request).await.unwrap().remove(0);
    assert_eq!((heard[0].path.as_str(), heard[0].header("webhook-id")), ("/hook?shop=1", event.id.as_str()));
    let body: serde_json::Value = serde_json::from_str(&heard[0].body).expect("JSON");
    assert_eq!((&body["type"], &body["requestId"]), (&"request.completed".into(), &request.as_str().into()));
    assert_eq!(body["processedImages"], body["totalImages"]);
    assert_eq!(body["resultsUrl"], format!("https://shop.example/v1/requests/{request}/results.csv"));
    process.signal("TERM");
    assert_eq!(process.exit_code(), Some(0));
    let wrong = check_request(&server.storage(), &server.results(&request).await, &expected);
    assert!(wrong.is_empty(), "{wrong:#?}");
    let inside = format!("processed_images/{request}/");
    let results = server.results(&request).await;
    let outputs = results.iter().flat_map(|row| &row.slots).filter_map(|slot| slot.output.as_ref());
    assert!(
        outputs.into_iter().all(|output| output.location.starts_with(&inside)),
        "requests don't share keys"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_down_gets_the_same_event_again() {
    let server = Server::new();
    let sink =
        Sink::start(|call| if call == 0 { Reply::from(503) } else { Reply::from(200) }).expect("a sink");
    let process = Process::start(&mut server.command(&["--webhook-url", &sink.url("/all")]));
    let request = server.accept("Name,Image Urls\n", None).await;
    let heard = sink.wait_for(2, LONG);
    let ids: Vec<_> = heard.iter().map(|heard| heard.header("webhook-id")).collect();
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[0], ids[1]);
    assert_eq!(heard[0].body, heard[1].body);
    heard.iter().for_each(|heard| verify(heard, &server.secret()));
    process.signal("TERM");
    assert_eq!(process.exit_code(), Some(0));
    let tries = server.outbox.deliveries(Some(&request), None, 10).await.unwrap();
    let statuses: Vec<_> =
        tries.iter().map(|made| made.answer.as_ref().map(|answer| answer.status)).collect();
    assert_eq!(statuses, [Ok(200), Ok(503)], "each try is written down");
}

#[cfg(feature = "failpoints")]
#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_down_for_three_tries_takes_one_event() {
    let server = Server::new();
    let sink = Sink::start(|call| Reply::from(if call < 3 { 503 } else { 200 })).expect("a sink");
    let mut command = server.command(&["--webhook-url", &sink.url("/all")]);
    let process = Process::start(command.env("PIXMILL_TEST_WEBHOOK_WAIT_MS", "100"));
    let request = server.accept("Name,Image Urls\n", None).await;
    server.wait_until_told(&request).await;
    process.signal("TERM");
    assert_eq!(process.exit_code(), Some(0));
    let heard = sink.heard();
    assert_eq!(heard.iter().map(|heard| heard.status).collect::<Vec<_>>(), [503, 503, 503, 200]);
    let event = server.records.completions(&request).await.unwrap().remove(0);
    assert!(heard.iter().all(|heard| heard.header("webhook-id") == event.id), "one event: {heard:#?}");
    verify_in_node(&heard[3], &server.secret()).await;
    let tries = server.outbox.deliveries(Some(&request), None, 10).await.unwrap();
    assert_eq!(tries.len(), 4, "each try is written down");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_cannot_point_a_webhook_into_a_private_network() {
    let server = Server::new();
    let sink = Sink::start(|_| Reply::from(200)).expect("a sink");
    let request = server.accept("Name,Image Urls\n", Some(sink.url("/"))).await;
    let process = Process::start(&mut server.guarded(&[]));
    let mut tries = Vec::new();
    while tries.is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
        tries = server.outbox.deliveries(Some(&request), None, 10).await.unwrap();
    }
    assert_eq!(tries[0].answer.as_ref().unwrap_err().code.as_str(), "webhook.address");
    assert!(sink.heard().is_empty());
    drop(process);
}

#[tokio::test(flavor = "multi_thread")]
async fn three_workers_share_one_file() {
    let (origin, server) = (origin(), Server::new());
    let (catalogue, expected) = seeded::catalogue(&origin.url(""), 24);
    let sink = Sink::start(|_| Reply::from(200)).expect("a sink");
    let arguments = ["--role", "worker", "--webhook-url", &sink.url("/")];
    let workers: Vec<_> = (0..3).map(|_| Process::start(&mut server.command(&arguments))).collect();
    let request = server.accept(&catalogue, None).await;
    server.wait_for(&request).await;
    let heard = sink.wait_for(1, LONG);
    for worker in &workers {
        worker.signal("TERM");
    }
    assert!(workers.into_iter().all(Process::stopped));
    assert_eq!((heard.len(), sink.heard().len()), (1, 1), "three processes tell it once");
    verify(&heard[0], &server.secret());
    let wrong = check_request(&server.storage(), &server.results(&request).await, &expected);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_hands_back_what_is_under_way() {
    let (origin, server) = (origin(), Server::new());
    let slow = origin.url("/x/hang");
    let request = server.accept(&format!("Name,Image Urls\nCap,{slow}\n"), None).await;
    let process = Process::start(&mut server.command(&[]));
    while server.records.progress(&request).await.unwrap().processing == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    process.signal("TERM");
    assert_eq!(process.exit_code(), Some(0));
    let progress = server.records.progress(&request).await.unwrap();
    assert_eq!((progress.pending, progress.processing), (1, 0), "nobody need wait for its lease to run out");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_settings_are_told_without_their_secrets() {
    let server = Server::new();
    for (name, value, what) in [
        ("REDIS_URL", "http://u:secret@h", "REDIS_URL"),
        ("PIXMILL_DATABASE", "postgres://u:secret@h/shop", "PIXMILL_DATABASE"),
        ("CLOUDINARY_URL", "cloud://1:secret@h", "CLOUDINARY_URL"),
        ("PIXMILL_WEBHOOK_SECRET", "secret", "PIXMILL_WEBHOOK_SECRET"),
        ("PORT", "80x", "PORT"),
    ] {
        let output = server.command(&[]).env(name, value).stderr(Stdio::piped()).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(what) && error.contains("allowed are"), "{error}");
        assert!(!error.contains("secret@") && !error.contains("'secret'"), "{error}");
    }
    let output = server.command(&["--queue", "http://u:secret@h"]).stderr(Stdio::piped()).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("--queue") && !error.contains("secret"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_says_what_it_stands_on() {
    let server = Server::new();
    let mut process = Process::start(server.command(&[]).stderr(Stdio::piped()));
    let lines = BufReader::new(process.0.stderr.take().expect("piped")).lines();
    let ready = lines.map_while(Result::ok).find(|line| line.contains("ready")).expect("it gets ready");
    let ready: serde_json::Value = serde_json::from_str(&ready).expect("one JSON object a line");
    assert_eq!((&ready["queue"], &ready["level"]), (&"database".into(), &"INFO".into()));
    assert!(ready["records"].as_str().is_some_and(|records| records.starts_with("sqlite:")), "{ready}");
}

#[test]
fn a_receiver_is_tried_out_with_a_sample() {
    let server = Server::new();
    let sink =
        Sink::start(|call| Reply { body: "thanks".into(), ..Reply::from(if call == 0 { 200 } else { 500 }) })
            .expect("a sink");
    for code in [0, 1] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_pixmill"));
        command.args(["webhook", "test", &sink.url("/hook"), "--data"]).arg(server.data());
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8_lossy(&output.stdout), "thanks\n");
    }
    verify(&sink.heard()[0], &server.secret());
}
