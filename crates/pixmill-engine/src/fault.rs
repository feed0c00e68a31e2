//! Why something did not work: a code, a sentence, what it is about, and whether trying again may help.

use std::time::Duration;

use crate::code::Code;

/// What a fault is about: decided where the fault is made, and all that decides what ends with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Blame {
    /// What was worked on: an image, its origin, its output; or what a caller asked for.
    #[default]
    Image,
    /// A request whose record can't be read. Its images end with it, and nothing else does.
    Request,
    /// Records, the queue, a disk: nothing else could be worked on either.
    Backend,
}

/// A fault with a stable code and a sentence for people. The message names no secret, no query string.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Fault {
    /// From the one list.
    pub code: Code,
    /// What was wrong and where, in words, without the code.
    pub message: String,
    /// Trying again may help.
    pub transient: bool,
    /// The other side asked to be left alone for so long.
    pub retry_after: Option<Duration>,
    /// What it says of how much the other side can take.
    pub pressure: Pressure,
    /// What it is about.
    pub blame: Blame,
}

/// Whether a refusal is about how much is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pressure {
    /// It is no such refusal.
    #[default]
    None,
    /// It may be, where others are refused too.
    Perhaps,
    /// It says so.
    Sure,
}

impl Fault {
    /// A fault that trying again does not mend.
    pub fn permanent(code: Code, message: impl Into<String>) -> Self {
        Fault {
            code,
            message: message.into(),
            transient: false,
            retry_after: None,
            pressure: Pressure::None,
            blame: Blame::default(),
        }
    }

    /// A fault that may be gone next time.
    pub fn transient(code: Code, message: impl Into<String>) -> Self {
        Fault {
            code,
            message: message.into(),
            transient: true,
            retry_after: None,
            pressure: Pressure::None,
            blame: Blame::default(),
        }
    }

    /// The same, about this.
    pub fn of(self, blame: Blame) -> Self {
        Fault { blame, ..self }
    }

    /// The same, with the time that the other side asked for.
    pub fn after(self, retry_after: Option<Duration>) -> Self {
        Fault { retry_after, ..self }
    }

    /// The same, as a refusal of too much.
    pub fn under(self, pressure: Pressure) -> Self {
        Fault { pressure, ..self }
    }
}

impl From<pixmill_codec::Error> for Fault {
    fn from(error: pixmill_codec::Error) -> Self {
        Fault::permanent(error.kind.into(), error.message)
    }
}
