//! Facts to be told, each written once in the same write as what they tell of.

use crate::model::id::RequestId;
use crate::model::time::Timestamp;

/// A request was completed. One a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// `webhook-id` of every delivery.
    pub id: String,
    /// Which request.
    pub request: RequestId,
    /// Which round of it, from 1.
    pub round: u32,
    /// When.
    pub at: Timestamp,
}
