//! One memory budget, in bytes: half of it for pictures as they were fetched, half for decoded pixels.
//!
//! Two halves, because a decoder that waits for memory holds a fetched picture while it waits: in one pot, fetched
//! pictures could take all there is and no decoder would ever start.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{Mutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use crate::port::sandbox::{Charge, Memory};

const KIB: u64 = 1024;

/// The budget.
#[derive(Debug)]
pub(crate) struct Budget {
    fetched: Half,
    decoded: Half,
    overdraft: Arc<Mutex<()>>,
}

#[derive(Debug)]
struct Half {
    permits: Arc<Semaphore>,
    kib: u32,
}

impl Half {
    fn new(bytes: u64) -> Self {
        let kib = u32::try_from(bytes / KIB).unwrap_or(u32::MAX).clamp(1, Semaphore::MAX_PERMITS as u32);
        Half { permits: Arc::new(Semaphore::new(kib as usize)), kib }
    }

    /// What is larger than the half takes all of it, and so runs alone.
    fn kib_of(&self, bytes: u64) -> u32 {
        u32::try_from(bytes.div_ceil(KIB)).unwrap_or(u32::MAX).min(self.kib)
    }

    async fn take(&self, bytes: u64) -> Share {
        let permits = self.permits.clone().acquire_many_owned(self.kib_of(bytes)).await;
        Share { _permits: vec![permits.expect("the budget is never closed")], _overdraft: None }
    }
}

/// A part of the budget, given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    _permits: Vec<OwnedSemaphorePermit>,
    _overdraft: Option<OwnedMutexGuard<()>>,
}

impl Budget {
    pub(crate) fn new(bytes: u64) -> Self {
        Budget {
            fetched: Half::new(bytes / 2),
            decoded: Half::new(bytes - bytes / 2),
            overdraft: Arc::new(Mutex::new(())),
        }
    }

    /// For a picture of which so much is about to come.
    pub(super) async fn fetched(&self, bytes: u64) -> Share {
        self.fetched.take(bytes).await
    }

    /// For a picture that has grown by so much: what has come is charged, whatever was promised. When nothing is left it
    /// waits, and one picture at a time may overdraw, so that those that hold parts of the budget never wait for each
    /// other in a circle.
    pub(super) async fn grow(&self, share: &mut Share, bytes: u64) {
        if share._overdraft.is_some() {
            return;
        }
        let permits = self.fetched.permits.clone().acquire_many_owned(self.fetched.kib_of(bytes));
        tokio::select! {
            biased;
            permits = permits => share._permits.push(permits.expect("the budget is never closed")),
            overdraft = self.overdraft.clone().lock_owned() => share._overdraft = Some(overdraft),
        }
    }

    /// For a picture about to be decoded, as its header tells.
    pub(super) async fn decoded(&self, bytes: u64) -> Share {
        self.decoded.take(bytes).await
    }
}

#[async_trait]
impl Memory for Budget {
    async fn charge(&self, bytes: u64) -> Charge {
        Box::new(self.decoded(bytes).await)
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn now_or_never<T>(future: impl Future<Output = T>) -> Option<T> {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        }
    }

    #[test]
    fn a_picture_larger_than_the_budget_runs_alone() {
        let budget = Budget::new(2 << 20);
        let small = now_or_never(budget.decoded(4096)).unwrap();
        assert!(now_or_never(budget.decoded(1 << 40)).is_none());
        drop(small);
        let large = now_or_never(budget.decoded(1 << 40)).unwrap();
        assert!(now_or_never(budget.decoded(1)).is_none());
        drop(large);
        assert!(now_or_never(budget.decoded(1)).is_some());
    }

    #[test]
    fn fetched_pictures_never_keep_a_decoder_waiting() {
        let budget = Budget::new(2 << 20);
        let _all = now_or_never(budget.fetched(1 << 40)).unwrap();
        assert!(now_or_never(budget.decoded(1 << 40)).is_some());
    }

    #[test]
    fn one_growing_picture_at_a_time_may_overdraw() {
        let budget = Budget::new(2 << 20);
        let mut one = now_or_never(budget.fetched(512 << 10)).unwrap();
        let mut other = now_or_never(budget.fetched(512 << 10)).unwrap();
        assert!(now_or_never(budget.grow(&mut one, 1 << 20)).is_some());
        assert!(now_or_never(budget.grow(&mut other, 1 << 20)).is_none());
        drop(one);
        assert!(now_or_never(budget.grow(&mut other, 1 << 20)).is_some());
    }
}
