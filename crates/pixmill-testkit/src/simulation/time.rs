//! Time that passes only where a process is run: whenever nothing can go on in its runtime, the next timer is due.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::clock::{Clock, Instant};
use tokio::runtime::{Builder, Runtime};

use crate::clock::BEGINNING;
use crate::memory::Wrong;

/// The timers of a process, and how far it has come in the world's time.
#[derive(Debug, Default)]
pub(super) struct Timers(Mutex<Turn>);

#[derive(Debug, Default)]
struct Turn {
    now: Duration,
    /// How far it may go.
    until: Duration,
    /// Those that sleep, by when they wake, then in the order in which they fell asleep.
    asleep: BTreeMap<(Duration, u64), Waker>,
    slept: u64,
    /// Whoever waits for the turn's end.
    waits: Option<Waker>,
    over: bool,
}

impl Timers {
    /// Those of a process that begins at a time.
    pub(super) fn new(now: Duration) -> Self {
        Timers(Mutex::new(Turn { now, until: now, ..Turn::default() }))
    }

    fn turn(&self) -> MutexGuard<'_, Turn> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far its process has come.
    pub(super) fn now(&self) -> Duration {
        self.turn().now
    }

    /// Lets time pass at which its process stood: all that would have woken it meanwhile does so late.
    pub(super) fn jump(&self, to: Duration) {
        let mut turn = self.turn();
        turn.now = turn.now.max(to);
    }

    /// Nothing can go on: the next one wakes, or the turn is over.
    fn idle(&self) {
        let woken = {
            let mut turn = self.turn();
            match turn.asleep.first_key_value().map(|(key, _)| *key).filter(|(at, _)| *at <= turn.until) {
                Some(key) => {
                    turn.now = turn.now.max(key.0);
                    turn.asleep.remove(&key)
                }
                None => {
                    turn.now = turn.now.max(turn.until);
                    turn.over = true;
                    turn.waits.take()
                }
            }
        };
        if let Some(waker) = woken {
            waker.wake();
        }
    }

    /// A runtime of one thread that goes by these timers.
    pub(super) fn runtime(self: &Arc<Self>) -> Runtime {
        let timers = self.clone();
        Builder::new_current_thread().on_thread_park(move || timers.idle()).build().expect("a runtime")
    }

    /// Runs a runtime of its own until a time.
    pub(super) fn run(&self, runtime: &Runtime, until: Duration) {
        {
            let mut turn = self.turn();
            turn.until = turn.until.max(until);
            turn.over = false;
        }
        runtime.block_on(std::future::poll_fn(|context| {
            let mut turn = self.turn();
            if turn.over {
                return Poll::Ready(());
            }
            turn.waits = Some(context.waker().clone());
            Poll::Pending
        }));
    }

    /// Sleeps for a while.
    pub(super) fn sleep(self: &Arc<Self>, duration: Duration) -> Sleep {
        Sleep { until: self.now() + duration, timers: self.clone(), key: None }
    }
}

/// Wakes at a time.
pub(super) struct Sleep {
    timers: Arc<Timers>,
    until: Duration,
    key: Option<(Duration, u64)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let timers = self.timers.clone();
        let mut turn = timers.turn();
        if turn.now >= self.until {
            return Poll::Ready(());
        }
        let key = self.key.unwrap_or((self.until, turn.slept));
        turn.slept += u64::from(self.key.is_none());
        turn.asleep.insert(key, context.waker().clone());
        drop(turn);
        self.key = Some(key);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.timers.turn().asleep.remove(&key);
        }
    }
}

/// The clock of a process: its wall may be wrong, and its instant goes on also while it stands.
pub(super) struct SimulatedClock {
    pub(super) timers: Arc<Timers>,
    /// How far its wall is from the world's time, milliseconds.
    pub(super) off: AtomicI64,
    wall_only: bool,
}

impl SimulatedClock {
    pub(super) fn new(timers: Arc<Timers>, off: i64, wrong: Option<Wrong>) -> Self {
        let wall_only = wrong == Some(Wrong::WallTimeInIntervals);
        SimulatedClock { timers, off: AtomicI64::new(off), wall_only }
    }

    /// The world's time, as far as its process has come.
    pub(super) fn real(&self) -> Duration {
        self.timers.now()
    }
}

#[async_trait]
impl Clock for SimulatedClock {
    fn wall(&self) -> Timestamp {
        Timestamp((BEGINNING + self.real()).0 + self.off.load(Ordering::Relaxed))
    }

    fn instant(&self) -> Instant {
        if self.wall_only {
            // Long after the clock's own beginning, wherever it is set to.
            let passed = self.wall().0 - BEGINNING.0 + 7 * 24 * 3_600_000;
            return Instant(Duration::from_millis(passed.unsigned_abs()));
        }
        Instant(self.real() + Duration::from_secs(1_000))
    }

    async fn sleep(&self, duration: Duration) {
        self.timers.sleep(duration).await;
    }
}
