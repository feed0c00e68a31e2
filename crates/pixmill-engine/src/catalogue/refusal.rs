//! Why a catalogue is not read.

use std::io;

use crate::code::Code;
use crate::fault::Fault;

/// Why a whole catalogue can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {reason}")]
pub struct Refusal {
    /// `catalogue.encoding` or `catalogue.header`.
    pub code: Code,
    /// The line of the file that is to blame, from 1.
    pub line: u64,
    /// What is wrong and what to do. Holds no address.
    pub reason: String,
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Fault::permanent(refusal.code, refusal.reason)
    }
}

/// Why a catalogue could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It can't be used.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It could not be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}
