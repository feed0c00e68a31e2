//! A clock that a test turns: nothing passes by itself, and its wall may be set anew.

use std::time::Duration;

use async_trait::async_trait;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::clock::{Clock, Instant};
use tokio::sync::watch;

/// What the wall says when nothing has passed.
pub const BEGINNING: Timestamp = Timestamp(1_700_000_000_000);

/// How long a test waits, by the real clock, between two turns: whoever was woken by one gets somewhere.
const PAUSE: Duration = Duration::from_millis(2);

/// A clock that stands until it is turned.
#[derive(Debug)]
pub struct TestClock(watch::Sender<Turned>);

#[derive(Debug, Clone, Copy, Default)]
struct Turned {
    passed: Duration,
    /// How far the wall was stepped in all, milliseconds.
    stepped: i64,
}

impl Default for TestClock {
    fn default() -> Self {
        TestClock(watch::Sender::new(Turned::default()))
    }
}

impl TestClock {
    /// Lets so much time pass at once.
    pub fn turn(&self, by: Duration) {
        self.0.send_modify(|turned| turned.passed += by);
    }

    /// Lets time pass in small turns, each of which whoever sleeps may answer to.
    pub async fn pass(&self, time: Duration, turn: Duration) {
        for _ in 0..time.div_duration_f64(turn).ceil() as u64 {
            self.turn(turn);
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Lets time pass until something holds, some five times as fast as it does by itself. Answers with how much passed.
    ///
    /// # Panics
    /// Where it does not hold after `most`.
    pub async fn pass_until(&self, what: &str, most: Duration, holds: impl AsyncFn() -> bool) -> Duration {
        let began = self.instant();
        while !holds().await {
            let passed = self.instant().since(began);
            assert!(passed < most, "{what}: not after {passed:?}");
            self.pass(Duration::from_millis(50), Duration::from_millis(10)).await;
        }
        self.instant().since(began)
    }

    /// Sets the wall forward, or back, by so many seconds.
    pub fn step(&self, seconds: i64) {
        self.0.send_modify(|turned| turned.stepped += seconds * 1_000);
    }
}

#[async_trait]
impl Clock for TestClock {
    fn wall(&self) -> Timestamp {
        let turned = *self.0.borrow();
        Timestamp((BEGINNING + turned.passed).0 + turned.stepped)
    }

    fn instant(&self) -> Instant {
        Instant(self.0.borrow().passed)
    }

    async fn sleep(&self, duration: Duration) {
        let until = self.instant() + duration;
        let mut turned = self.0.subscribe();
        // The clock outlives whoever sleeps by it.
        let _ = turned.wait_for(|turned| Instant(turned.passed) >= until).await;
    }
}
