//! Section serve: what a server does.

use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::bounds::duration;

/// What a server does.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct ServeFlags {
    /// all: everything; worker: process images and send webhooks; api: answer requests, and keep a queue in Redis fed for
    /// workers elsewhere (those on the embedded queue feed themselves)
    #[arg(long, value_name = "ROLE", default_value = "all", value_parser = roles())]
    pub(crate) role: Role,

    /// How long requests are kept after their end, such as 30d, 36h, 90m or 45s; then they are deleted with their results, and with their outputs under file: [default: until they are deleted]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) retention: Option<Duration>,
}

/// A server's part in the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Everything.
    All,
    /// The HTTP API, and feeding a shared queue.
    Api,
    /// The stages from dispatch to webhook, and upkeep.
    Worker,
}

impl Role {
    /// The role in a word.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Role::All => "all",
            Role::Api => "api",
            Role::Worker => "worker",
        }
    }
}

fn roles() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(["all", "api", "worker"]).map(|name| match name.as_str() {
        "api" => Role::Api,
        "worker" => Role::Worker,
        _ => Role::All,
    })
}
