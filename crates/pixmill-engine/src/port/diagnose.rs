//! How a backend is, for whoever set it up. Only `doctor` and the page of the system ask.

use async_trait::async_trait;

use crate::fault::Fault;
use crate::model::time::Timestamp;

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// As it should be.
    Well,
    /// It works, within limits that one should know.
    Doubtful,
    /// It does not work, or will lose work.
    Wrong,
}

impl Severity {
    /// The same in a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Well => "ok",
            Severity::Doubtful => "warning",
            Severity::Wrong => "wrong",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at, in a word or two.
    pub about: &'static str,
    /// How it is.
    pub severity: Severity,
    /// What was found, without secrets.
    pub told: String,
    /// What to do; empty when all is well.
    pub advice: String,
}

impl Finding {
    /// All is well.
    pub fn well(about: &'static str, told: impl Into<String>) -> Self {
        Finding { about, severity: Severity::Well, told: told.into(), advice: String::new() }
    }

    /// It works, but.
    pub fn doubtful(about: &'static str, told: impl Into<String>, advice: impl Into<String>) -> Self {
        Finding { about, severity: Severity::Doubtful, told: told.into(), advice: advice.into() }
    }

    /// It must be mended.
    pub fn wrong(about: &'static str, told: impl Into<String>, advice: impl Into<String>) -> Self {
        Finding { about, severity: Severity::Wrong, told: told.into(), advice: advice.into() }
    }

    /// What went wrong, with the advice of its code.
    pub fn fault(about: &'static str, fault: &Fault) -> Self {
        Finding::wrong(about, fault.message.clone(), fault.code.advice())
    }
}

/// What can be asked how it is.
#[async_trait]
pub trait Diagnose: Send + Sync {
    /// What is found. Leaves nothing behind.
    async fn diagnose(&self, _now: Timestamp) -> Vec<Finding> {
        Vec::new()
    }
}
