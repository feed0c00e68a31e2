//! Rights that one process has at a time: a notice each, which says whose token holds.

use async_trait::async_trait;

use crate::fault::Fault;
use crate::model::lease::Lease;
use crate::model::time::Timestamp;
use crate::port::boards::{Board, Boards, Change, On};

/// A right that one process has at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Right {
    /// To feed a shared queue.
    Feeding,
    /// To do the upkeep that concerns all.
    Upkeep,
}

impl Right {
    /// As written in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Right::Feeding => "feeding",
            Right::Upkeep => "upkeep",
        }
    }
}

/// Rights of processes.
#[async_trait]
pub trait Rights: Boards {
    /// Takes or renews a right; false while another token's lease holds. A lease that has run out at `now` gives the
    /// right back.
    async fn lead(&self, right: Right, lease: Lease, now: Timestamp) -> Result<bool, Fault> {
        let token = lease.token.0.to_string();
        let take = Change {
            board: Board::Rights,
            name: right.as_str().to_owned(),
            on: On::NothingOr(token.clone()),
            to: Some((token, lease.until)),
        };
        self.change_one(take, now).await
    }
}

impl<T: Boards> Rights for T {}
