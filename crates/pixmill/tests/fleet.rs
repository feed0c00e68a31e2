//! The crash loop of servers: three workers on one state, killed, frozen past their leases and woken at seeded points,
//! then left alone until the request is completed; then the checker. `PIXMILL_TEST_SEEDS` says how many seeds (10).

mod seeded;
mod server;

use std::collections::BTreeSet;
use std::time::Duration;

use pixmill_engine::model::row::ResultRow;
use pixmill_testkit::checker::{Expected, check_request};
use pixmill_testkit::origin::{Origin, Settings};
use pixmill_testkit::sink::{Reply, Sink};
use seeded::{Random, pictures, seeds};
use server::{Process, Server};

/// Where a worker kills itself.
const POINTS: [&str; 9] = [
    "after_claim_commit",
    "after_claim",
    "after_fetch",
    "after_save",
    "before_settle",
    "after_settle",
    "before_settle_commit",
    "after_settle_commit",
    "before_completion",
];

const WORKERS: usize = 3;

/// Blows in a row before the workers are left alone.
const BLOWS: u64 = 6;

/// Rows of the catalogue.
const ROWS: usize = 24;

/// Short, so that frozen workers soon lose theirs.
const LEASE: Duration = Duration::from_millis(1_000);

struct Fleet<'a> {
    server: &'a Server,
    webhook: String,
    workers: Vec<Option<Process>>,
}

impl Fleet<'_> {
    /// Starts a worker in the place of one that is gone, perhaps one that kills itself at a point.
    fn start(&mut self, place: usize, kill_at: Option<String>) {
        let mut command =
            self.server.command(&["--role", "worker", "--attempts", "1000", "--webhook-url", &self.webhook]);
        command.env("PIXMILL_TEST_LEASE_MS", LEASE.as_millis().to_string());
        command.env("PIXMILL_TEST_KILL_AT", kill_at.unwrap_or_else(|| "nowhere:1".to_owned()));
        self.workers[place] = Some(Process::start(&mut command));
    }

    /// Kills a worker, has one kill itself, or freezes one for longer than its leases last.
    async fn blow(&mut self, random: &mut Random) {
        let place = random.below(WORKERS as u64) as usize;
        match random.below(4) {
            0 => {
                tokio::time::sleep(Duration::from_millis(random.below(400))).await;
                self.workers[place] = None;
            }
            1 => {
                let Some(worker) = &self.workers[place] else { return };
                worker.signal("STOP");
                tokio::time::sleep(LEASE + LEASE.mul_f64(random.below(100) as f64 / 100.0)).await;
                worker.signal("CONT");
                return;
            }
            _ => {
                let point = POINTS[random.below(POINTS.len() as u64) as usize];
                self.start(place, Some(format!("{point}:{}", 1 + random.below(10))));
                return;
            }
        }
        self.start(place, None);
    }
}

/// What a loop plays on, and how its outputs are held against what they should be.
struct Stage {
    server: Server,
    check: Box<dyn Fn(&[ResultRow], &[Vec<Expected>]) -> Vec<String>>,
}

impl Stage {
    /// Embedded defaults, in a folder of its own.
    fn embedded() -> Self {
        let server = Server::new();
        let storage = server.storage();
        Stage { server, check: Box::new(move |results, expected| check_request(&storage, results, expected)) }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_however_often_workers_die_or_freeze() {
    let seeds = seeds();
    for seed in 0..seeds {
        let wrong = play(seed, &Stage::embedded()).await;
        assert!(wrong.is_empty(), "seed {seed}: {wrong:#?}");
    }
    println!(
        "{seeds} seeds of {BLOWS} blows at {WORKERS} workers: none lost, none doubled, one completion each"
    );
}

async fn play(seed: u64, Stage { server, check }: &Stage) -> Vec<String> {
    let mut random = Random(seed);
    let origin = Origin::start(Settings::serving(pictures())).expect("the origin starts");
    let sink = Sink::start(move |call| Reply::from(if call as u64 >= seed % 2 { 200 } else { 503 }))
        .expect("a sink");
    let (catalogue, expected) = seeded::catalogue(&origin.url(""), ROWS);
    let request = server.accept(&catalogue, None).await;
    let mut fleet = Fleet { server, webhook: sink.url("/"), workers: (0..WORKERS).map(|_| None).collect() };
    (0..WORKERS).for_each(|place| fleet.start(place, None));
    for _ in 0..BLOWS {
        fleet.blow(&mut random).await;
    }
    // Those that still wait for their point, or met it, make way for some that are left alone.
    (0..WORKERS).for_each(|place| fleet.start(place, None));
    server.wait_for(&request).await;
    server.wait_until_told(&request).await;
    for worker in fleet.workers.iter().flatten() {
        worker.signal("TERM");
    }
    let stopped: Vec<_> = fleet.workers.into_iter().flatten().map(Process::stopped).collect();
    let mut wrong = check(&server.results(&request).await, &expected);
    if stopped != [true; WORKERS] {
        wrong.push(format!("of the workers, {stopped:?} stopped cleanly"));
    }
    let events = server.records.completions(&request).await.expect("records can be read");
    if events.len() != 1 {
        wrong.push(format!("{events:?} should be one"));
    }
    let ids: BTreeSet<_> = sink.heard().iter().map(|heard| heard.header("webhook-id").to_owned()).collect();
    if ids != events.iter().map(|event| event.id.clone()).collect() {
        wrong.push(format!("{ids:?} were told, not {events:?}"));
    }
    wrong
}
