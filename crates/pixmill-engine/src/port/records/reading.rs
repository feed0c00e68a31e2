//! What is read of requests, images and attempts to deliver: one query and one page for each of them, whoever asks.

use async_trait::async_trait;

use super::RequestView;
use crate::fault::Fault;
use crate::model::event::Delivery;
use crate::model::id::{ImageId, RequestId};
use crate::model::image::{ImageStatus, ImageView, Moment};
use crate::model::request::RequestStatus;

/// Which requests are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requests {
    /// The one of this id, in state `receiving` too.
    One(RequestId),
    /// Those of a tenant that are not `receiving`, latest first.
    Of {
        /// Whose.
        tenant: String,
        /// Those in this state alone.
        status: Option<RequestStatus>,
        /// Those before this one.
        before: Option<RequestId>,
    },
}

/// Which requests are read, and what of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestQuery {
    /// Which.
    pub which: Requests,
    /// How far they are, too: where that is not asked, what is answered says nothing.
    pub progress: bool,
}

/// Which images of a request are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Images {
    /// In the order of the catalogue.
    InOrder {
        /// Those that are shown in this state alone.
        status: Option<ImageStatus>,
        /// Those after this one.
        after: Option<ImageId>,
    },
    /// The one of this id.
    One(ImageId),
    /// Those that ended after a moment, in the order of their ends. Whoever goes on from the last one misses none,
    /// whatever was written meanwhile.
    EndedAfter(Moment),
}

/// Which images of a request are read, and what of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageQuery {
    /// Which.
    pub which: Images,
    /// The original columns of their rows, too; empty where they are not asked.
    pub columns: bool,
}

/// Which attempts to deliver are read: those of which all holds that is said, latest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeliveryQuery {
    /// Of this tenant's requests.
    pub tenant: Option<String>,
    /// Of this request.
    pub request: Option<RequestId>,
    /// The one of this id.
    pub id: Option<String>,
    /// Those before this one.
    pub before: Option<String>,
}

/// What is read by queries.
#[async_trait]
pub trait Reading: Send + Sync {
    /// Requests, `most` at a time. One that can't be read is left out of lists, and a fault where it alone is asked for.
    async fn read_requests(&self, query: RequestQuery, most: usize) -> Result<Vec<RequestView>, Fault>;

    /// Images of a request that is not `receiving`, `most` at a time, with the columns of their rows.
    async fn read_images(
        &self,
        request: &RequestId,
        query: ImageQuery,
        most: usize,
    ) -> Result<Vec<(ImageView, String)>, Fault>;

    /// Attempts to deliver, `most` at a time.
    async fn read_deliveries(&self, query: DeliveryQuery, most: usize) -> Result<Vec<Delivery>, Fault>;
}

impl RequestQuery {
    /// One request.
    pub fn one(id: &RequestId, progress: bool) -> Self {
        RequestQuery { which: Requests::One(id.clone()), progress }
    }
}
