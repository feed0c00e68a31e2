//! Jobs of applications in shapes of their own, as tables of the configuration tell them.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use pixmill_adapters::clock::SystemClock;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::request::Options;
use pixmill_engine::stack::table::Table;
use pixmill_engine::stack::{Stack, Watch};
use tokio_util::sync::CancellationToken;

use super::configured::Configured;
use super::optional;
use super::webhook::receiver;

use crate::config::options::Stacks;
use crate::config::serve::Role;

/// How long is waited before a queue that can't be reached is tried again.
const PAUSE: Duration = Duration::from_secs(2);

/// Works them off until stopped; what can't go on with one ends all.
///
/// # Errors
/// What waiting does not mend.
pub(super) async fn carry_out(configured: &Configured, stop: CancellationToken) -> Result<(), Fault> {
    let Some(stacks) = configured.options.stacks.as_ref().filter(|_| configured.options.role != Role::Api)
    else {
        return Ok(());
    };
    let worked = stacks.tables.iter().map(|table| {
        let stop = stop.clone();
        async move {
            let worked = work(configured, stacks, table, stop.clone()).await;
            worked.inspect_err(|_| stop.cancel())
        }
    });
    join_all(worked).await.into_iter().collect()
}

async fn work(
    configured: &Configured,
    stacks: &Stacks,
    table: &Arc<Table>,
    stop: CancellationToken,
) -> Result<(), Fault> {
    let mut told = false;
    let stack = loop {
        let fault = match stack(configured, stacks, table).await {
            Ok(stack) => break stack,
            Err(fault) if fault.transient => fault,
            Err(fault) => return Err(fault),
        };
        if !std::mem::replace(&mut told, true) {
            tracing::warn!(%fault, queue = table.queue, "a queue can't be reached yet, waiting for it");
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(PAUSE) => {}
        }
    };
    tracing::info!(queue = table.queue, prefix = table.prefix, "jobs are worked off as a table tells");
    Arc::new(stack).work(stop).await;
    Ok(())
}

async fn stack(configured: &Configured, stacks: &Stacks, table: &Arc<Table>) -> Result<Stack, Fault> {
    let options = &configured.options;
    Ok(Stack {
        table: table.clone(),
        errands: optional::errands(&stacks.redis, options, table, &configured.strangers).await?,
        records: configured.open_records.ledger().await?,
        documents: match &stacks.documents {
            Some(address) if table.needs_documents() => Some(optional::documents(address, options).await?),
            _ => None,
        },
        receiver: Some(Arc::new(receiver(&options.reach.allow, options.reach.ca_file.as_deref())?)),
        clock: Arc::new(SystemClock),
        lease: options.settings.lease,
        watch: Watch::default(),
        options: Options { recipe: options.recipe, webhook: None },
        links: configured.links.clone(),
    })
}
