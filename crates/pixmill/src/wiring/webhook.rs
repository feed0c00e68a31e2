//! The webhook stage on the network, and one call of it for those who try a receiver out.

use std::path::Path;
use std::sync::Arc;

use ipnet::IpNet;
use pixmill_adapters::clock::SystemClock;
use pixmill_adapters::net::guard::Guard;
use pixmill_adapters::net::receiver::HttpReceiver;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::event::Answer;
use pixmill_engine::pipeline::webhook::{self, Webhook, body};
use pixmill_engine::port::clock::Clock;
use pixmill_engine::port::receiver::{Message, SetBy};
use pixmill_engine::port::records::Outbox;
use url::Url;

use super::configured::Configured;
use super::reach::trust;
use super::signing::signer;
use crate::config::secret::Secret;

/// The stage over an outbox.
///
/// # Errors
/// Those of finding or making the secret.
pub(super) fn stage(configured: &Configured, outbox: Arc<dyn Outbox>) -> Result<Webhook, Fault> {
    let options = &configured.options;
    Ok(Webhook {
        outbox,
        receiver: Arc::new(receiver(&options.reach.allow, options.reach.ca_file.as_deref())?),
        clock: Arc::new(SystemClock),
        traces: configured.traces.clone(),
        watcher: configured.figures.clone(),
        signer: Arc::new(signer(options.webhook_secret.as_ref(), &options.data)?),
        url: options.webhook_url.clone(),
        links: configured.links.clone(),
        lease: options.settings.lease,
    })
}

/// Who is told, with these ranges of addresses opened to clients.
///
/// # Errors
/// `config.invalid`: certificates that can't be used.
pub(super) fn receiver(allow: &[IpNet], ca_file: Option<&Path>) -> Result<HttpReceiver, Fault> {
    Ok(HttpReceiver::new(Guard::new(allow.to_vec()), &trust(ca_file)?))
}

/// Posts a sample event to an address, which whoever runs this command vouches for.
///
/// # Errors
/// Those of the secret and of the receiver.
pub(crate) async fn try_out(
    url: &Url,
    secret: Option<&Secret>,
    data: &Path,
    ca_file: Option<&Path>,
    links: &str,
) -> Result<Answer, Fault> {
    let clock = SystemClock;
    let sample = body::sample(clock.wall());
    let body = body::of(&sample, links);
    let headers = signer(secret, data)?.headers(&sample.event.id, sample.event.at, &body);
    let receiver = receiver(&[], ca_file)?;
    let posted = webhook::post(&receiver, &clock, url, SetBy::Server, Message { headers, body });
    Ok(posted.await?.answer)
}
