//! The same for a server: an upload under an Idempotency-Key, its images and its webhook, while the server is killed at
//! seeded points. A client that sends again until it is told has one request in the end.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Cursor, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use pixmill_engine::model::id::RequestId;
use pixmill_testkit::checker::check_request;
use pixmill_testkit::origin::{Origin, Settings};
use pixmill_testkit::sink::{Reply, Sink};
use serde_json::Value;
use ureq::{Agent, SendBody};

use crate::seeded::{self, Random, pictures, seeds};
use crate::server::{Process, Server};

/// Where the server kills itself, one kill after the other: in the upload, at work, at the end of it, and in telling.
const STAGES: [[&str; 4]; 4] = [
    [AMID_BODY, "after_begin", "before_open", "after_open"],
    ["after_claim_commit", "after_fetch", "after_save", "after_settle"],
    ["before_settle_commit", "after_settle_commit", "before_completion", "before_settle"],
    ["before_tell", "after_tell", "after_telling", "before_tell"],
];

/// No failpoint: the server is killed when so much of the catalogue was sent.
const AMID_BODY: &str = "amid_body";

/// Rows of the catalogue.
const ROWS: usize = 6;

/// How long a server may take to meet its point.
const MEETING: Duration = Duration::from_secs(10);

/// Longer than anything here takes on a busy machine.
const LONG: Duration = Duration::from_secs(120);

struct Round {
    server: Server,
    sink: Sink,
    catalogue: String,
    agent: Agent,
    /// What the client was told.
    told: Option<String>,
}

/// A body that is cut off by the server's death when so many bytes of it were sent.
struct Cut<'a> {
    body: Cursor<&'a [u8]>,
    at: u64,
    process: &'a Process,
}

impl Read for Cut<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.body.position() >= self.at {
            self.process.signal("KILL");
            return Err(std::io::ErrorKind::ConnectionReset.into());
        }
        let left = (self.at - self.body.position()).min(buffer.len() as u64) as usize;
        self.body.read(&mut buffer[..left])
    }
}

impl Round {
    /// Starts a server; its address, unless it died before it listened.
    fn start(&self, kill_at: &str) -> (Process, Option<String>) {
        let mut command = self.server.command(&["--attempts", "1000"]);
        command.env("PIXMILL_TEST_LEASE_MS", "1000").env("PIXMILL_TEST_WEBHOOK_WAIT_MS", "50");
        let mut process = Process::start(command.env("PIXMILL_TEST_KILL_AT", kill_at).stderr(Stdio::piped()));
        let mut lines = BufReader::new(process.0.stderr.take().expect("piped")).lines().map_while(Result::ok);
        let address = lines.find_map(|line| {
            let told: Value = serde_json::from_str(&line).unwrap_or_default();
            (told["message"] == "listening")
                .then(|| format!("http://{}", told["address"].as_str().unwrap_or("")))
        });
        // Whoever writes into a closed pipe ends.
        std::thread::spawn(move || lines.for_each(drop));
        (process, address)
    }

    /// Sends the catalogue; the status, unless the server died.
    fn upload(&mut self, address: &str, cut: Option<(u64, &Process)>) -> Option<u16> {
        let call = self.agent.post(format!("{address}/v1/requests?webhookUrl={}", self.sink.url("/")));
        let call = call.header("content-type", "text/csv").header("idempotency-key", "order-1");
        let body = self.catalogue.as_bytes();
        let answer = match cut {
            None => call.send(body),
            Some((at, process)) => {
                let mut cut = Cut { body: Cursor::new(body), at, process };
                call.send(SendBody::from_reader(&mut cut))
            }
        };
        let mut answer = answer.ok()?;
        let status = answer.status().as_u16();
        if status == 202 {
            let text = answer.body_mut().read_to_string().ok()?;
            let request: Value = serde_json::from_str(&text).expect("JSON");
            let id = request["id"].as_str().expect("an id").to_owned();
            assert_eq!(*self.told.get_or_insert(id.clone()), id, "one key, one request");
        }
        Some(status)
    }

    /// Lets a server die in a stage; whether it did so where it should.
    fn kill(&mut self, stage: &[&str], random: &mut Random) -> bool {
        let point = stage[random.below(stage.len() as u64) as usize];
        let (mut process, address) = self.start(&format!("{point}:1"));
        let at = random.below(self.catalogue.len() as u64);
        let cut = (point == AMID_BODY).then_some((at, &process));
        if let (Some(address), None) = (&address, &self.told) {
            self.upload(address, cut);
        }
        let began = Instant::now();
        while !process.has_ended() && began.elapsed() < MEETING {
            std::thread::sleep(Duration::from_millis(10));
        }
        let met = process.has_ended();
        let _ = process.0.kill();
        assert_eq!(process.0.wait().expect("it ends").signal(), Some(9));
        met
    }

    /// Leaves a server alone until everything has ended.
    async fn finish(&mut self) -> RequestId {
        let (process, address) = self.start("nowhere:1");
        let (address, began) = (address.expect("it listens"), Instant::now());
        // A server that died in the middle of an upload holds the key for as long as its lease.
        while self.upload(&address, None) != Some(202) {
            assert!(began.elapsed() < LONG, "the upload is never taken");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let request = RequestId::from(self.told.clone().expect("an id"));
        self.server.wait_for(&request).await;
        self.server.wait_until_told(&request).await;
        process.signal("TERM");
        assert_eq!(process.exit_code(), Some(0));
        request
    }

    /// What is left behind, in words.
    fn left_behind(&self) -> Vec<String> {
        let connection = rusqlite::Connection::open(self.server.data().join("pixmill.db")).expect("records");
        let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("a count");
        let wrong = [
            ("requests", "SELECT count(*) FROM requests", 1),
            ("rows", "SELECT count(*) FROM rows", ROWS as i64),
            ("images under way", "SELECT count(*) FROM images WHERE status < 2 OR lease IS NOT NULL", 0),
            (
                "inputs of no request",
                "SELECT count(*) FROM inputs WHERE request NOT IN (SELECT num FROM requests)",
                0,
            ),
            ("events", "SELECT count(*) FROM events", 1),
            ("events under way", "SELECT count(*) FROM events WHERE due IS NOT NULL", 0),
            ("keys", "SELECT count(*) FROM idempotency", 1),
        ];
        let wrong = wrong.into_iter().filter_map(|(what, sql, right)| {
            let found = count(sql);
            (found != right).then(|| format!("{found} {what}, should be {right}"))
        });
        wrong.collect()
    }
}

/// Plays a seed; how many kills were where they should be.
async fn play(seed: u64) -> u64 {
    let origin = Origin::start(Settings::serving(pictures())).expect("the origin starts");
    let mut random = Random(seed);
    let down = random.below(4) as usize;
    let sink = Sink::start(move |call| Reply::from(if call < down { 503 } else { 200 })).expect("a sink");
    let (catalogue, expected) = seeded::catalogue(&origin.url(""), ROWS);
    let agent = Agent::config_builder().http_status_as_error(false).proxy(None).timeout_global(Some(LONG));
    let agent = agent.build().into();
    let mut round = Round { server: Server::new(), sink, catalogue, agent, told: None };
    let kills = STAGES.iter().map(|stage| u64::from(round.kill(stage, &mut random))).sum();
    let request = round.finish().await;
    let results = round.server.results(&request).await;
    let mut wrong = check_request(&round.server.storage(), &results, &expected);
    wrong.extend(round.left_behind());
    let heard = round.sink.heard();
    let events: BTreeSet<_> = heard.iter().map(|heard| heard.header("webhook-id")).collect();
    if events.len() != 1 || heard.iter().all(|heard| heard.status != 200) {
        wrong.push(format!("told of events {events:?}"));
    }
    assert!(wrong.is_empty(), "seed {seed}: {wrong:#?}");
    kills
}

#[test]
fn an_upload_makes_one_request_and_one_event_however_often_the_server_is_killed() {
    let seeds = seeds();
    let met: u64 = seeded::play_all(play).into_iter().sum();
    let kills = seeds * STAGES.len() as u64;
    assert!(met * 2 > kills, "only {met} of {kills} kills where they should be: the loop proves little");
    println!("{seeds} seeds, {kills} kills of a server, {met} where they should be: none lost, none doubled");
}
