//! Why a picture can't be recompressed.

/// The kinds of refusal, each of which is one stable code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Not a byte.
    Empty,
    /// Not a picture, or a kind of picture that is not read.
    Unsupported,
    /// A picture that is broken or cut short.
    Corrupt,
    /// More pixels than [`crate::Limits::max_pixels`].
    TooManyPixels,
    /// More work than a picture of its size deserves: scans, chunks, time.
    TooSlow,
}

impl ErrorKind {
    /// The stable code, `image.…`.
    pub fn code(self) -> &'static str {
        match self {
            ErrorKind::Empty => "image.empty",
            ErrorKind::Unsupported => "image.unsupported",
            ErrorKind::Corrupt => "image.corrupt",
            ErrorKind::TooManyPixels => "image.too_many_pixels",
            ErrorKind::TooSlow => "image.too_slow",
        }
    }
}

/// A refusal, with a sentence for people that says what was wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What kind of refusal.
    pub kind: ErrorKind,
    /// What was wrong, in words; never holds bytes of the picture.
    pub message: String,
}

impl Error {
    /// A refusal of a kind, with what was wrong.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error { kind, message: message.into() }
    }
}

/// A refusal because the picture is broken or cut short.
pub(crate) fn corrupt(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, message)
}

/// A refusal because the kind of picture is not read.
pub(crate) fn unsupported(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unsupported, message)
}

/// A refusal because this build was made without what reads and writes AVIF.
#[cfg(not(feature = "avif"))]
pub(crate) fn without_avif() -> Error {
    unsupported("this build of pixmill does without AVIF (feature `avif`)")
}
