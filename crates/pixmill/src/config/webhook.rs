//! Section webhook: who is told when a request is completed, and how it is signed.

use std::fmt;

use pixmill_engine::pipeline::webhook::sign::Signer;
use url::Url;

use super::listen::web_address;

/// The webhook of a server.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Webhook")]
pub(crate) struct WebhookFlags {
    /// Told of every completed request that names no webhook of its own [also read: WEBHOOK_URL]
    #[arg(long, value_name = "URL", value_parser = web_address)]
    pub(crate) webhook_url: Option<Url>,

    #[command(flatten)]
    pub(crate) signing: SigningFlags,
}

/// What webhooks are signed with.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Webhook")]
pub(crate) struct SigningFlags {
    /// whsec_… (Standard Webhooks), two parted by a space while one takes the other's place [default: made at the first start, in the state folder]
    #[arg(long, value_name = "SECRET", value_parser = secrets)]
    pub(crate) webhook_secret: Option<Secrets>,
}

/// Secrets that sign, found to be right.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secrets(String);

impl Secrets {
    /// As they were set: for the one that signs.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

fn secrets(text: &str) -> Result<Secrets, String> {
    Signer::new(text).map(|_| Secrets(text.to_owned()))
}
