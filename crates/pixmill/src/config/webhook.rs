//! Section webhook: who is told when a request is completed, and how it is signed.

use pixmill_engine::pipeline::webhook::sign::Signer;
use url::Url;

use super::listen::web_address;
use super::secret::Secret;

/// The webhook of a server.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Webhook")]
pub(crate) struct WebhookFlags {
    /// Webhook for completed requests that name none of their own [also read: WEBHOOK_URL]
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
    pub(crate) webhook_secret: Option<Secret>,
}

/// One or two that can sign.
fn secrets(text: &str) -> Result<Secret, String> {
    Signer::new(text).map(|_| text.into())
}
