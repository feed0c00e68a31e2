//! Time, so that tests may turn it.

use std::time::Duration;

use async_trait::async_trait;

use crate::model::time::Timestamp;

/// Tells and passes time.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Now, by the wall.
    fn now(&self) -> Timestamp;

    /// Returns after a while.
    async fn sleep(&self, duration: Duration);
}
