//! How fast a body comes. Only time that is spent waiting for it counts: what waits for the disk is not slow.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What must come in a window of waiting, bytes: far less than a producer that pipes a row now and then.
const WINDOW: Duration = Duration::from_secs(60);
const LEAST: u64 = 256;

/// The longest that a client may say nothing in the middle of a body.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Waiting over which it is known how slow a body is. What comes at once, at its beginning, says nothing.
const KNOWN: Duration = Duration::from_secs(3);

/// Shared by who reads a body and who looks for room.
#[derive(Debug, Default)]
pub(in crate::api) struct Pace(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    waited: Duration,
    came: u64,
    waiting_since: Option<Instant>,
    /// What had been waited and had come when the rate was measured last, and the rate.
    measured: (Duration, u64),
    rate: Option<f64>,
}

impl State {
    fn waited(&self, now: Instant) -> Duration {
        self.waited + self.waiting_since.map_or(Duration::ZERO, |since| now - since)
    }

    /// Bytes a second since that was measured last, where that is long enough ago.
    fn rate_since(&self, now: Instant) -> Option<f64> {
        let (waited, came) = self.measured;
        let since = self.waited(now).saturating_sub(waited);
        (since >= KNOWN).then(|| (self.came - came) as f64 / since.as_secs_f64())
    }
}

impl Pace {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waiting begins: how long it may go on.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        let mut state = self.state();
        state.waiting_since = Some(now);
        match state.came < LEAST {
            true => LONGEST_PAUSE.min(WINDOW.saturating_sub(state.waited)),
            false => LONGEST_PAUSE,
        }
    }

    /// Waiting ends with so many bytes; whether they come fast enough.
    pub(super) fn came(&self, bytes: u64, now: Instant) -> bool {
        let mut state = self.state();
        state.waited = state.waited(now);
        state.waiting_since = None;
        let first = state.came == 0;
        state.came += bytes;
        let rate = state.rate_since(now);
        if first || rate.is_some() {
            state.measured = (state.waited, state.came);
            state.rate = rate.filter(|_| !first).or(state.rate);
        }
        if state.waited < WINDOW {
            return true;
        }
        let fast_enough = state.came >= LEAST;
        *state = State { rate: state.rate, ..State::default() };
        fast_enough
    }

    /// Bytes a second, once that is known. Between two large pieces nothing comes, and that is not slow.
    pub(super) fn rate(&self, now: Instant) -> Option<f64> {
        let state = self.state();
        let (since, before) = (state.rate_since(now), state.rate);
        since.map(|since| before.map_or(since, |before| before.max(since))).or(before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that come every so often: how many times that goes well, up to a hundred.
    fn lives(every: Duration, bytes: u64) -> usize {
        let (pace, mut now) = (Pace::default(), Instant::now());
        (0..100)
            .take_while(|_| {
                let patience = pace.wait(now);
                now += every;
                every <= patience && pace.came(bytes, now)
            })
            .count()
    }

    #[test]
    fn what_drips_ends_and_what_is_slow_lives() {
        assert!(lives(Duration::from_secs(20), 1) <= 3, "a byte in twenty seconds");
        assert!(lives(Duration::from_secs(1), 1) <= 60, "a byte a second");
        assert_eq!(lives(Duration::from_secs(10), 60), 100, "a row in ten seconds");
        assert_eq!(lives(Duration::from_secs(31), 1 << 20), 0, "silence");
        assert_eq!(lives(Duration::from_millis(1), 1 << 10), 100);
    }

    #[test]
    fn a_burst_at_the_beginning_hides_no_dripping() {
        let (pace, now) = (Pace::default(), Instant::now());
        let after = |seconds| now + Duration::from_secs(seconds);
        pace.wait(now);
        pace.came(1 << 20, now);
        pace.wait(now);
        assert_eq!(pace.rate(after(2)), None);
        assert_eq!(pace.rate(after(4)), Some(0.0));
        pace.came(1, after(10));
        pace.wait(after(10));
        assert_eq!(pace.rate(after(14)), Some(0.1));
    }

    #[test]
    fn large_pieces_now_and_then_are_not_slow() {
        let (pace, mut now) = (Pace::default(), Instant::now());
        for _ in 0..3 {
            pace.wait(now);
            now += Duration::from_secs(8);
            pace.came(80_000, now);
        }
        pace.wait(now);
        assert_eq!(pace.rate(now + Duration::from_secs(7)), Some(10_000.0));
    }

    #[test]
    fn time_that_the_server_takes_is_not_the_clients() {
        let (pace, mut now) = (Pace::default(), Instant::now());
        for _ in 0..100 {
            pace.wait(now);
            now += Duration::from_millis(1);
            assert!(pace.came(1, now));
            now += Duration::from_secs(60);
        }
        assert_eq!(pace.rate(now), None);
    }
}
