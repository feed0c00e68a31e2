//! The crash loop of a server: an upload under an Idempotency-Key, its images and its webhook, while the server is
//! killed at seeded points. A client that sends again until it is told has one request in the end.

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
pub(crate) const ROWS: usize = 6;

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
}

/// Plays a seed on a server without requests and what stands behind it; how many kills were where they should be.
/// `left_behind` says in words what should not be in its records in the end.
async fn play<B>(
    seed: u64,
    (server, backends): (Server, B),
    left_behind: impl AsyncFn(&Server, &B) -> Vec<String>,
) -> u64 {
    let origin = Origin::start(Settings::serving(pictures())).expect("the origin starts");
    let mut random = Random(seed);
    let down = random.below(4) as usize;
    let sink = Sink::start(move |call| Reply::from(if call < down { 503 } else { 200 })).expect("a sink");
    let (catalogue, expected) = seeded::catalogue(&origin.url(""), ROWS);
    let agent = Agent::config_builder().http_status_as_error(false).proxy(None).timeout_global(Some(LONG));
    let agent = agent.build().into();
    let mut round = Round { server, sink, catalogue, agent, told: None };
    let kills = STAGES.iter().map(|stage| u64::from(round.kill(stage, &mut random))).sum();
    let request = round.finish().await;
    let results = round.server.results(&request).await;
    let mut wrong = check_request(&round.server.storage(), &results, &expected);
    wrong.extend(left_behind(&round.server, &backends).await);
    let heard = round.sink.heard();
    let events: BTreeSet<_> = heard.iter().map(|heard| heard.header("webhook-id")).collect();
    if events.len() != 1 || heard.iter().all(|heard| heard.status != 200) {
        wrong.push(format!("told of events {events:?}"));
    }
    assert!(wrong.is_empty(), "seed {seed}: {wrong:#?}");
    kills
}

/// Plays all seeds, each on a server of its own with what stands behind it.
pub(crate) fn play_all<B>(
    which: &str,
    start: impl AsyncFn() -> (Server, B) + Sync,
    left_behind: impl AsyncFn(&Server, &B) -> Vec<String> + Sync,
) {
    let seeds = seeds();
    let kills = seeds * STAGES.len() as u64;
    let play_one = async |seed| play(seed, start().await, &left_behind).await;
    let met: u64 = seeded::play_all(play_one).into_iter().sum();
    assert!(met * 2 > kills, "only {met} of {kills} kills where they should be: the loop proves little");
    eprintln!(
        "{which}: {seeds} seeds, {kills} kills of a server, {met} where they should be: none lost, none doubled"
    );
}

/// What differs from what it should be, in words.
pub(crate) fn differing<'w>(counted: impl IntoIterator<Item = (&'w str, i64, i64)>) -> Vec<String> {
    let wrong = counted.into_iter().filter(|(_, found, right)| found != right);
    wrong.map(|(what, found, right)| format!("{found} {what}, should be {right}")).collect()
}
