//! Where outputs live.

use async_trait::async_trait;

use crate::fault::Fault;
use crate::port::diagnose::Diagnose;

/// What lies in a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Folders in it, as keys begin with them.
    pub folders: Vec<String>,
    /// Outputs in it, at the locations that `put` gave.
    pub locations: Vec<String>,
}

/// Keeps outputs under keys; writing a key again overwrites it.
#[async_trait]
pub trait Storage: Diagnose {
    /// Stores an output. Keys are paths of letters of any alphabet, digits and `-._%`. Once this returns it is durable
    /// and readable, and the answer is its location as results show it: a URL, or a path relative to the output folder.
    ///
    /// # Errors
    /// `store.unavailable` (transient), `store.rejected`, `disk.full` or `disk.read_only`.
    async fn put(&self, key: &str, media_type: &'static str, bytes: Vec<u8>) -> Result<String, Fault>;

    /// Removes outputs by the locations that `put` gave; what is not there is no fault.
    ///
    /// # Errors
    /// Those of `put`.
    async fn remove(&self, locations: &[String]) -> Result<(), Fault>;

    /// Removes what is left in a folder that keys begin with, where a storage has folders.
    ///
    /// # Errors
    /// Those of `put`.
    async fn clear(&self, _folder: &str) -> Result<(), Fault> {
        Ok(())
    }

    /// At which of the locations that `put` gave no output is any more, as far as that can be seen without asking a
    /// service for each.
    ///
    /// # Errors
    /// Those of `put`.
    async fn lost(&self, _locations: Vec<String>) -> Result<Vec<String>, Fault> {
        Ok(Vec::new())
    }

    /// What lies in a folder that keys begin with; `None` where a storage does not tell.
    ///
    /// # Errors
    /// Those of `put`.
    async fn list(&self, _folder: &str) -> Result<Option<Listing>, Fault> {
        Ok(None)
    }
}
