//! The system's clocks.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::clock::{Clock, Instant};

/// Tells the system's time and sleeps by tokio's timer.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn wall(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn instant(&self) -> Instant {
        monotonic()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// Counted from the machine's start, so that processes on one machine may compare theirs.
#[cfg(unix)]
fn monotonic() -> Instant {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Instant(Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default()))
}

/// Counted from the first time it is asked for.
#[cfg(not(unix))]
fn monotonic() -> Instant {
    static BEGINNING: std::sync::LazyLock<std::time::Instant> =
        std::sync::LazyLock::new(std::time::Instant::now);
    Instant(BEGINNING.elapsed())
}
