//! `pixmill webhook`: for those who write a receiver.

use clap::{Args, Subcommand};
use url::Url;

use super::{End, Stop, interrupt};
use crate::config::listen::{ListenFlags, web_address};
use crate::config::network::TrustFlags;
use crate::config::state::StateFlags;
use crate::config::webhook::SigningFlags;
use crate::{display, wiring};

/// Test the receiver of a webhook
#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(super) struct WebhookArgs {
    #[command(subcommand)]
    command: WebhookCommand,
}

#[derive(Debug, Subcommand)]
enum WebhookCommand {
    Test(TestArgs),
}

/// Send a sample event, signed as a server with the same settings signs
#[derive(Debug, Args)]
#[command(after_help = "\
The receiver must answer 2xx within 15 seconds. Its signature is that of Standard Webhooks: see
https://www.standardwebhooks.com for libraries that verify it.

Example:
  pixmill webhook test https://shop.example/hooks/pixmill

Exit codes: 0 it answered 2xx, 1 it did not, 2 bad usage or configuration.")]
struct TestArgs {
    /// The receiver's address
    #[arg(value_name = "URL", value_parser = web_address)]
    url: Url,

    #[command(flatten)]
    state: StateFlags,

    #[command(flatten)]
    signing: SigningFlags,

    #[command(flatten)]
    listen: ListenFlags,

    #[command(flatten)]
    trust: TrustFlags,
}

/// Runs what was asked for.
pub(super) fn run(args: WebhookArgs) -> Result<End, Stop> {
    match args.command {
        WebhookCommand::Test(args) => test(&args),
    }
}

fn test(args: &TestArgs) -> Result<End, Stop> {
    let runtime = super::runtime()?;
    interrupt::end_at_once(&runtime);
    let secret = args.signing.webhook_secret.as_ref();
    let links = args.listen.public_url();
    let ca_file = args.trust.ca_file.as_deref();
    let answer =
        runtime.block_on(wiring::try_out(&args.url, secret, &args.state.folder(), ca_file, &links))?;
    display::say(&format!("{} answered {}", args.url.origin().ascii_serialization(), answer.status));
    display::print(&format!("{}\n", answer.beginning.trim_end()));
    Ok(if answer.is_success() { End::Done } else { End::Refused })
}
