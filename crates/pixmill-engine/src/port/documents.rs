//! Documents of an application's, in its own database: read and written as its tables say.
//!
//! Values are JSON in which `{"$oid": "…"}` is an ObjectId and `{"$date": milliseconds}` a date.

use async_trait::async_trait;
use serde_json::Value;

use crate::fault::Fault;

/// What is looked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// The collection's name.
    pub collection: String,
    /// What its documents must be like, as MongoDB writes it.
    pub filter: Value,
    /// In which order, as MongoDB writes it.
    pub sort: Value,
}

/// An application's documents.
#[async_trait]
pub trait Documents: Send + Sync {
    /// Those that match, up to so many.
    ///
    /// # Errors
    /// `backend.unavailable`.
    async fn find(&self, query: Query, most: usize) -> Result<Vec<Value>, Fault>;

    /// The names of collections of the application's, in order.
    ///
    /// # Errors
    /// `backend.unavailable`.
    async fn collections(&self) -> Result<Vec<String>, Fault>;

    /// How many match.
    ///
    /// # Errors
    /// `backend.unavailable`.
    async fn count(&self, collection: &str, filter: Value) -> Result<u64, Fault>;

    /// Adds a document, unless one of its `_id` is there: whether it did.
    ///
    /// # Errors
    /// `backend.unavailable`, permanent where the database refuses the document.
    async fn insert(&self, collection: &str, document: Value) -> Result<bool, Fault>;

    /// Changes one document that matches: whether there was one.
    ///
    /// # Errors
    /// `backend.unavailable`, permanent where the document does not allow it.
    async fn update(&self, collection: &str, filter: Value, update: Value) -> Result<bool, Fault>;

    /// Deletes those that match, of a collection of ours.
    ///
    /// # Errors
    /// `backend.unavailable`.
    async fn delete(&self, collection: &str, filter: Value) -> Result<(), Fault>;
}
