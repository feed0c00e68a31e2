//! Time, so that tests may turn it: the wall's, which people read and which may jump, and one that only runs on.

use std::ops::{Add, AddAssign};
use std::time::Duration;

use async_trait::async_trait;

use crate::model::time::Timestamp;

/// Tells and passes time.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Now, by the wall: for what is shown or stored. It may jump hours either way, so no interval is measured by it.
    fn wall(&self) -> Timestamp;

    /// Now, on a line that never jumps: for every interval.
    fn instant(&self) -> Instant;

    /// Returns after a while.
    async fn sleep(&self, duration: Duration);
}

/// A moment of a process, told by how long after a beginning of the clock's own choice it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(pub Duration);

impl Instant {
    /// How long after `earlier` this is; nothing when it is not.
    pub fn since(self, earlier: Instant) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;
    fn add(self, duration: Duration) -> Instant {
        Instant(self.0.saturating_add(duration))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}
