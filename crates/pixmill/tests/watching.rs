//! How a server is watched: its health, its figures, what a service manager is told, and what it says.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use pixmill_testkit::origin::{Origin, Settings};
use serde_json::Value;

use crate::caller::Caller;
use crate::seeded;
use crate::server::{Process, Server};

/// Longer than anything here takes on a busy machine.
const LONG: Duration = Duration::from_secs(60);

const TOKEN: &str = "a-token-for-figures";

fn origin() -> Origin {
    Origin::start(Settings::serving(seeded::pictures())).expect("the origin starts")
}

/// The sum of the samples that begin so.
fn figure(text: &str, beginning: &str) -> f64 {
    let lines = text.lines().filter(|line| line.starts_with(beginning));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().expect("a number")).sum()
}

/// One whose port nobody names, so that a worker may be told one.
fn of_no_platform() -> Server {
    Server::new().told("PORT", "")
}

/// `pixmill health` about what listens there: its exit code.
fn health(server: &Server, arguments: &[&str]) -> i32 {
    let output = server.pixmill(&[&["health"], arguments].concat()).output().expect("pixmill runs");
    output.status.code().expect("it ends by itself")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_tells_how_it_is_and_what_it_did_and_nothing_else() {
    let (origin, server) = (origin(), of_no_platform());
    let (catalogue, _) = seeded::catalogue(&origin.url(""), 6);
    let worker = Caller::start(&server, &["--role", "worker", "--listen", "127.0.0.1:0"]);
    let request = server.accept(&catalogue, None).await;
    server.wait_for(&request).await;
    assert_eq!(worker.get("/healthz", &[]).status, 200);
    assert_eq!(worker.get("/readyz", &[]).json()["status"], "ok");
    let text = worker.get("/metrics", &[]).text;
    let progress = server.records.progress(&request).await.unwrap();
    assert!(figure(&text, "pixmill_images_total{result=\"completed\"") > 0.0, "{text}");
    assert!(figure(&text, "pixmill_image_bytes_total{direction=\"stored\"}") > 0.0, "{text}");
    assert!(figure(&text, "pixmill_images_total") <= progress.ended() as f64, "{text}");
    assert_eq!(figure(&text, "pixmill_images_in_progress"), 0.0, "{text}");
    assert!(figure(&text, "pixmill_stage_duration_seconds_count{stage=\"recompress\"}") > 0.0, "{text}");
    assert_eq!((figure(&text, "pixmill_workers"), figure(&text, "pixmill_ready")), (1.0, 1.0), "{text}");
    assert!(!text.contains("bullmq_job_count"), "what records hold is told where calls are answered: {text}");
    for path in ["/v1/requests", "/", "/docs", &format!("/v1/requests/{request}")] {
        assert_eq!(worker.get(path, &[]).status, 404, "{path}");
    }
    assert_eq!(worker.post("/v1/requests", &[], "Name,Image Urls\n").status, 404);
}

#[test]
fn a_worker_listens_nowhere_unless_it_is_told() {
    let server = Server::new();
    let mut worker = server.command(&["--role", "worker"]);
    let mut worker = Process::start(worker.stderr(Stdio::piped()));
    let lines = BufReader::new(worker.0.stderr.take().unwrap()).lines().map_while(Result::ok);
    let mut said = Vec::new();
    for line in lines {
        let told: Value = serde_json::from_str(&line).unwrap();
        said.push(told["message"].as_str().unwrap_or_default().to_owned());
        if said.last().is_some_and(|message| message == "ready") {
            worker.signal("TERM");
        }
    }
    assert!(said.contains(&"stopped".to_owned()) && !said.contains(&"listening".to_owned()), "{said:?}");
}

#[test]
fn figures_of_what_was_done_stay_when_a_request_is_deleted() {
    let (origin, server) = (origin(), Server::new());
    let caller = Caller::start(&server, &[]);
    let (catalogue, _) = seeded::catalogue(&origin.url(""), 4);
    let id = caller.post_csv("/v1/requests", &catalogue).id();
    caller.wait_for(&id);
    let before = caller.get("/metrics", &[]).text;
    assert!(figure(&before, "pixmill_stored_bytes") > 0.0, "{before}");
    assert_eq!(caller.delete(&format!("/v1/requests/{id}")).status, 204);
    let after = caller.get("/metrics", &[]).text;
    assert_eq!(figure(&after, "pixmill_stored_bytes"), 0.0, "it was deleted: {after}");
    for counter in ["pixmill_images_total", "pixmill_image_bytes_total", "pixmill_fetch_total"] {
        assert!(figure(&before, counter) > 0.0, "{counter}: {before}");
        assert_eq!(figure(&after, counter), figure(&before, counter), "{counter}");
    }
}

#[test]
fn a_token_opens_figures_and_nothing_else() {
    let server = of_no_platform();
    let made = server.pixmill(&["keys", "create", "--data"]).arg(server.data()).output().unwrap();
    assert!(made.status.success());
    let bearer = format!("Bearer {TOKEN}");
    let (right, wrong) = ([("authorization", &*bearer)], [("authorization", "Bearer a-token-for-nothing")]);
    let api = Caller::start(&server, &["--role", "api", "--metrics-token", TOKEN, "--listen", "127.0.0.1:0"]);
    assert_eq!(api.get("/metrics", &[]).status, 401);
    assert_eq!(api.get("/metrics", &wrong).status, 401);
    let figures = api.get("/metrics", &right);
    assert!(figures.status == 200 && figures.text.contains("bullmq_job_count"), "{figures:?}");
    assert_eq!(api.get("/v1/requests", &right).status, 401);
    assert_eq!(api.post("/v1/requests", &right, "Name,Image Urls\n").status, 401);
    let arguments = ["--role", "worker", "--listen", "127.0.0.1:0", "--metrics-token", TOKEN];
    let worker = Caller::start(&server, &arguments);
    let statuses = [&[][..], &wrong, &right].map(|shown| worker.get("/metrics", shown).status);
    assert_eq!(statuses, [401, 401, 200]);
    assert_eq!(worker.get("/readyz", &[]).status, 200, "health is for whoever asks");
}

#[test]
fn health_says_whether_the_server_of_this_machine_is_ready() {
    let server = of_no_platform();
    let caller = Caller::start(&server, &["--listen", "127.0.0.1:0"]);
    let address = caller.url.strip_prefix("http://").unwrap().to_owned();
    let everywhere = address.replace("127.0.0.1", "0.0.0.0");
    for listen in [&address, &everywhere] {
        assert_eq!(health(&server, &["--listen", listen]), 0);
        assert_eq!(health(&server, &["--live", "--listen", listen]), 0);
    }
    let as_configured = server.pixmill(&["health"]).env("PIXMILL_LISTEN", &address).status().unwrap();
    assert_eq!(as_configured.code(), Some(0));
    drop(caller);
    assert_eq!(health(&server, &["--listen", &address]), 1);
    assert_eq!(health(&server, &["--listen", "127.0.0.1:0"]), 2);
}

#[cfg(feature = "bullmq")]
#[test]
fn a_server_whose_backend_is_away_lives_and_is_not_ready() {
    let server = Server::new().told("REDIS_URL", "redis://127.0.0.1:1");
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    for role in ["all", "worker"] {
        let _process = Process::start(&mut server.command(&["--role", role, "--listen", &free]));
        let began = Instant::now();
        while health(&server, &["--live", "--listen", &free]) != 0 {
            assert!(began.elapsed() < LONG, "{role} does not live: {}", server.said());
        }
        assert_eq!(health(&server, &["--listen", &free]), 1, "{role}");
    }
}

/// What a service manager hears until it has heard all of this.
#[cfg(target_os = "linux")]
fn heard(socket: &std::os::unix::net::UnixDatagram, wanted: &[&str]) -> Vec<String> {
    let (began, mut heard) = (Instant::now(), Vec::<String>::new());
    let mut room = [0; 4096];
    while !wanted.iter().all(|wanted| heard.iter().any(|state| state.starts_with(wanted))) {
        assert!(began.elapsed() < LONG, "{wanted:?} is not all in {heard:?}");
        if let Ok(length) = socket.recv(&mut room) {
            heard.extend(String::from_utf8_lossy(&room[..length]).lines().map(str::to_owned));
        }
    }
    heard
}

#[cfg(target_os = "linux")]
#[test]
fn a_service_manager_is_told_when_the_server_is_ready_lives_and_stops() {
    let server = Server::new();
    let path = server.data().join("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    for role in ["all", "worker", "api"] {
        let mut command = server.command(&["--role", role]);
        let process = Process::start(command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "400000"));
        heard(&socket, &["READY=1", "WATCHDOG=1"]);
        heard(&socket, &["WATCHDOG=1"]);
        process.signal("TERM");
        heard(&socket, &["STOPPING=1"]);
        assert_eq!(process.exit_code(), Some(0));
    }
}

#[cfg(all(target_os = "linux", feature = "bullmq"))]
#[test]
fn a_backend_elsewhere_that_is_away_keeps_nobody_waiting_for_the_start() {
    let server = Server::new().told("REDIS_URL", "redis://127.0.0.1:1");
    let path = server.data().join("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let process = Process::start(server.command(&[]).env("NOTIFY_SOCKET", &path));
    let said = heard(&socket, &["READY=1", "STATUS=waiting: backend.unavailable"]);
    assert!(said.iter().all(|state| !state.contains("WATCHDOG")), "nobody watches: {said:?}");
    process.signal("TERM");
    assert_eq!(process.exit_code(), Some(0));
}

#[test]
fn a_service_manager_that_does_not_hear_costs_nothing() {
    let (origin, server) = (origin(), Server::new());
    let server = server.told("NOTIFY_SOCKET", "/nowhere/notify").told("WATCHDOG_USEC", "200000");
    let caller = Caller::start(&server, &[]);
    let (catalogue, _) = seeded::catalogue(&origin.url(""), 2);
    let id = caller.post_csv("/v1/requests", &catalogue).id();
    assert_eq!(caller.wait_for(&id)["status"], "completed");
}

#[test]
fn every_line_is_json_that_names_worker_request_and_image_and_no_secret() {
    let (origin, server) = (origin(), Server::new().told("RUST_LOG", "pixmill=debug"));
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=";
    let server = server.told("PIXMILL_WEBHOOK_SECRET", secret).told("PIXMILL_METRICS_TOKEN", TOKEN);
    let mut command = server.command(&["--webhook-url", "http://127.0.0.1:1/hook?token=planted"]);
    let mut process = Process::start(command.stderr(Stdio::piped()));
    let lines = BufReader::new(process.0.stderr.take().unwrap()).lines().map_while(Result::ok);
    let (catalogue, _) = seeded::catalogue(&origin.url(""), 3);
    let (mut messages, mut workers) = (Vec::new(), std::collections::BTreeSet::new());
    for line in lines {
        let told: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(!line.contains("MfKQ9") && !line.contains("planted") && !line.contains(TOKEN), "{line}");
        workers.insert(told["worker"].as_str().expect("a worker").to_owned());
        let message = told["message"].as_str().unwrap_or_default().to_owned();
        match message.as_str() {
            "listening" => {
                let url = format!("http://{}/v1/requests", told["address"].as_str().unwrap());
                let body = ureq::post(&url).header("content-type", "text/csv").send(&catalogue);
                assert_eq!(body.unwrap().status(), 202);
            }
            "image ended" => assert!(told["request"].is_string() && told["image"].is_string(), "{line}"),
            "request completed" => assert!(told["request"].is_string(), "{line}"),
            "webhook not told" => process.signal("TERM"),
            _ => {}
        }
        messages.push(message);
    }
    for wanted in ["image ended", "request completed", "webhook not told", "stopped"] {
        assert!(messages.iter().any(|message| message == wanted), "{wanted}: {messages:?}");
    }
    assert_eq!(messages.iter().filter(|message| *message == "request completed").count(), 1);
    assert_eq!(workers.len(), 1, "{workers:?}");
}

#[test]
fn people_read_text_wherever_they_ask_for_it() {
    let server = Server::new();
    let mut command = server.command(&["--log-format", "text"]);
    let mut process = Process::start(command.stderr(Stdio::piped()));
    let lines = BufReader::new(process.0.stderr.take().unwrap()).lines().map_while(Result::ok);
    let mut said = Vec::new();
    for line in lines {
        assert!(serde_json::from_str::<Value>(&line).is_err(), "{line}");
        if line.contains("listening address=127.0.0.1:") {
            process.signal("TERM");
        }
        said.push(line);
    }
    assert!(said.iter().any(|line| line.contains(" INFO ") && line.contains("listening")), "{said:?}");
    assert!(!said.concat().contains('\x1b'), "no colours: {said:?}");
}
