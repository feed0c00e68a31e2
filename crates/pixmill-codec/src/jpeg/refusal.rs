//! Why a picture is not requantised.

/// A reason to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Not of the kind that is read here, or odd in a way that another reader should judge.
    OtherKind,
    /// Broken or cut short, in these words.
    Corrupt(&'static str),
}
