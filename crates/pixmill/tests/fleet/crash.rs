//! The crash loop of servers: three workers on one state, killed, frozen past their leases and woken at seeded points,
//! then left alone until all is completed; then the checker. `PIXMILL_TEST_SEEDS` says how many seeds (10).

use std::collections::BTreeSet;
use std::fmt;
use std::ops::AddAssign;
use std::process::Command;
use std::time::{Duration, Instant};

use pixmill_testkit::checker::check_request;
use pixmill_testkit::origin::{Origin, Settings};
use pixmill_testkit::services::mongodb::database;
use pixmill_testkit::services::redis::Persistence;
use pixmill_testkit::sink::{Reply, Sink};

use crate::seeded::{self, POINTS, Random, pictures, seeds};
use crate::server::{Process, Server};
use crate::shop::Habit;
use crate::stack::{self, Stack};

/// Where a worker may kill itself besides: records in MongoDB end what follows an image in a write of its own.
const OF_FOLLOWERS: &str = "after_followers";

const WORKERS: usize = 3;

/// Blows in a row before the workers are left alone.
const BLOWS: u64 = 6;

/// Rows of each order. One is handed in before each blow, so that it strikes workers at work.
const ROWS: usize = 5;

/// How long a worker may take to meet its point before the next blow.
const MEETING: Duration = Duration::from_millis(1_500);

/// How often the workers of a loop were struck.
#[derive(Debug, Clone, Copy, Default)]
struct Blows {
    killed: u64,
    /// Of those, by themselves, at a point.
    at_points: u64,
    frozen: u64,
}

impl AddAssign for Blows {
    fn add_assign(&mut self, more: Blows) {
        self.killed += more.killed;
        self.at_points += more.at_points;
        self.frozen += more.frozen;
    }
}

impl fmt::Display for Blows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} kills ({} at points), {} freezes", self.killed, self.at_points, self.frozen)
    }
}

/// Three workers at the same work.
struct Fleet<C> {
    /// Makes the command of a worker.
    command: C,
    lease: Duration,
    workers: [Option<Process>; WORKERS],
    blows: Blows,
}

impl<C: Fn() -> Command> Fleet<C> {
    /// Three workers that a seed has struck while orders were handed in, and that are left alone from now on.
    async fn struck(seed: u64, lease: Duration, command: C, mut hand_in: impl AsyncFnMut(u64)) -> Self {
        let mut fleet = Fleet { command, lease, workers: Default::default(), blows: Blows::default() };
        let mut random = Random(seed);
        (0..WORKERS).for_each(|place| fleet.start(place, None));
        for blow in 0..BLOWS {
            hand_in(seed + blow).await;
            fleet.blow(&mut random).await;
        }
        // Those that still wait for their point, or met it, make way for some that do not.
        (0..WORKERS).for_each(|place| fleet.start(place, None));
        fleet
    }

    /// Starts a worker in the place of one that is killed, perhaps one that kills itself at a point.
    fn start(&mut self, place: usize, kill_at: Option<String>) {
        if let Some(mut old) = self.workers[place].take() {
            self.blows.killed += 1;
            self.blows.at_points += u64::from(old.has_ended());
        }
        let mut command = (self.command)();
        command.env("PIXMILL_TEST_LEASE_MS", self.lease.as_millis().to_string());
        command.env("PIXMILL_TEST_KILL_AT", kill_at.unwrap_or_else(|| "nowhere:1".to_owned()));
        self.workers[place] = Some(Process::start(&mut command));
    }

    /// Kills a worker, has one kill itself, or freezes one for longer than its leases last.
    async fn blow(&mut self, random: &mut Random) {
        let place = random.below(WORKERS as u64) as usize;
        match random.below(4) {
            0 => {
                tokio::time::sleep(Duration::from_millis(random.below(400))).await;
                self.start(place, None);
            }
            1 => {
                let Some(worker) = &mut self.workers[place] else { return };
                if worker.has_ended() {
                    return;
                }
                worker.signal("STOP");
                tokio::time::sleep(self.lease + self.lease.mul_f64(random.below(100) as f64 / 100.0)).await;
                worker.signal("CONT");
                self.blows.frozen += 1;
            }
            _ => {
                let point = random.below(POINTS.len() as u64 + 1) as usize;
                let point = POINTS.get(point).unwrap_or(&OF_FOLLOWERS);
                self.start(place, Some(format!("{point}:{}", 1 + random.below(5))));
                let began = Instant::now();
                while self.workers[place].as_mut().is_some_and(|worker| !worker.has_ended())
                    && began.elapsed() < MEETING
                {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }

    /// Stops the workers; what is wrong with how they stopped, and the blows that they took.
    fn stop(self) -> (Vec<String>, Blows) {
        let workers = || self.workers.iter().flatten();
        workers().for_each(|worker| worker.signal("TERM"));
        let blows = self.blows;
        let stopped: Vec<_> = self.workers.into_iter().flatten().map(Process::stopped).collect();
        let clean = stopped == [true; WORKERS];
        let wrong = (!clean).then(|| format!("of the workers, {stopped:?} stopped cleanly"));
        (wrong.into_iter().collect(), blows)
    }
}

/// Plays all seeds, some at a time.
fn play<R>(stage: &str, round: fn(u64) -> R)
where
    R: Future<Output = (Vec<String>, Blows)>,
{
    let seeds = seeds();
    let mut blows = Blows::default();
    for took in seeded::play_all(async |seed| {
        let (wrong, took) = round(seed).await;
        assert!(wrong.is_empty(), "seed {seed}: {wrong:#?}");
        took
    }) {
        blows += took;
    }
    assert!(blows.killed >= seeds, "{blows} in {seeds} seeds: the loop proves little");
    eprintln!(
        "{stage}: {seeds} seeds, {WORKERS} workers, {blows}: none lost, none doubled, one completion each"
    );
}

/// A receiver answers the first call of every other seed with 503.
fn status(seed: u64) -> impl Fn(usize) -> u16 + Send + 'static {
    move |call| if call as u64 >= seed % 2 { 200 } else { 503 }
}

async fn on_embedded_defaults(seed: u64) -> (Vec<String>, Blows) {
    let origin = Origin::start(Settings::serving(pictures())).expect("the origin starts");
    let status = status(seed);
    let sink = Sink::start(move |call| Reply::from(status(call))).expect("a sink");
    let server = Server::new();
    let webhook = sink.url("/");
    let arguments = ["--role", "worker", "--attempts", "1000", "--webhook-url", &webhook];
    let (mut requests, mut expected) = (Vec::new(), Vec::new());
    let hand_in = async |_| {
        let (catalogue, ends) = seeded::catalogue(&origin.url(""), ROWS);
        requests.push(server.accept(&catalogue, None).await);
        expected.extend(ends);
    };
    let command = || server.command(&arguments);
    let fleet = Fleet::struck(seed, Duration::from_millis(1_000), command, hand_in).await;
    let (mut results, mut events) = (Vec::new(), BTreeSet::new());
    for request in &requests {
        server.wait_for(request).await;
        server.wait_until_told(request).await;
        results.extend(server.results(request).await);
        let completions = server.records.completions(request).await.expect("records can be read");
        assert_eq!(completions.len(), 1, "{completions:?}");
        events.extend(completions.into_iter().map(|event| event.id));
    }
    let (mut wrong, blows) = fleet.stop();
    wrong.extend(check_request(&server.storage(), &results, &expected));
    let told: BTreeSet<_> = sink.heard().iter().map(|heard| heard.header("webhook-id").to_owned()).collect();
    if told != events {
        wrong.push(format!("{told:?} were told, not {events:?}"));
    }
    (wrong, blows)
}

async fn on_the_stack(seed: u64) -> (Vec<String>, Blows) {
    let stack = Stack::on(Persistence::AppendOnly, &database().await, status(seed)).await;
    let mut orders = Vec::new();
    let hand_in = async |number: u64| {
        let theirs = match number % 4 {
            0 => Some(Habit::Uuid),
            2 => Some(Habit::ObjectId),
            _ => None,
        };
        orders.push(match theirs {
            Some(habit) => {
                let order = stack.documents(ROWS, habit).await;
                stack.add_jobs(&order.jobs).await;
                order
            }
            None => stack.accept(ROWS).await,
        });
    };
    let fleet = Fleet::struck(seed, stack::LEASE, || stack.command(), hand_in).await;
    let orders: Vec<_> = orders.iter().collect();
    stack.until_over(&orders).await;
    let (mut wrong, blows) = fleet.stop();
    wrong.extend(stack.wrong(&orders).await);
    // What many rounds leave makes a server slow.
    stack.database.drop().await.expect("MongoDB is there");
    (wrong, blows)
}

#[test]
fn nothing_is_lost_or_doubled_however_often_workers_die_or_freeze() {
    play("embedded defaults", on_embedded_defaults);
}

#[test]
fn nothing_is_lost_or_doubled_on_redis_mongodb_and_cloudinary_either() {
    play("Redis, MongoDB and Cloudinary", on_the_stack);
}
