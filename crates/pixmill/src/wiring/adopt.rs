//! What a queue's jobs ask for.

use std::path::PathBuf;

use pixmill_adapters::clock::SystemClock;
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::port::clock::Clock;
use pixmill_engine::stack::proposal::{Proposal, propose};
use pixmill_engine::stack::rehearsal::rehearse;
use pixmill_engine::stack::table::Table;

use super::optional;
use crate::config::secret::Address;

/// Which queue is asked about, and where it and its documents are.
pub(crate) struct Asked {
    pub(crate) redis: Address,
    pub(crate) queue: String,
    pub(crate) prefix: String,
    pub(crate) queue_ca_file: Option<PathBuf>,
    pub(crate) documents: Option<Address>,
    pub(crate) ca_file: Option<PathBuf>,
}

/// What came of it.
pub(crate) enum Adopted {
    /// A table, from so many jobs, and what it would do with the first.
    Proposed { proposal: Proposal, jobs: usize, waiting: u64, rehearsed: Vec<String> },
    /// None, for this reason.
    Nothing(String),
}

/// Reads jobs and what they name, and proposes a table.
///
/// # Errors
/// `backend.unavailable`, `config.invalid`.
pub(crate) async fn adopt(asked: &Asked) -> Result<Adopted, Fault> {
    let (queue, prefix) = (&asked.queue, &asked.prefix);
    let sample = optional::sample(&asked.redis, queue, prefix, asked.queue_ca_file.as_deref()).await?;
    if sample.of_bull {
        return Ok(Adopted::Nothing(format!(
            "queue '{queue}' under '{prefix}' was made by Bull (3, 4), whose jobs pixmill does not take"
        )));
    }
    let documents = match &asked.documents {
        Some(address) => Some(optional::documents_to_be_read(address, asked.ca_file.as_deref()).await?),
        None => None,
    };
    let Some(proposal) = propose(queue, prefix, &sample.jobs, documents.as_ref()).await? else {
        return Ok(Adopted::Nothing(format!(
            "queue '{queue}' under '{prefix}' has no job that could be read: have the application add one"
        )));
    };
    let rehearsed = match Table::read(&proposal.table, &|_| None) {
        Ok(table) => rehearse(&table, documents.as_ref(), &sample.jobs[0].1, SystemClock.wall()).await?,
        Err(wrong) => vec![format!("do nothing yet, for the table lacks something: {wrong}")],
    };
    if proposal
        .table
        .as_object()
        .is_none_or(|table| !table.contains_key("url") && !table.contains_key("file"))
    {
        return Err(Fault::permanent(
            Code::JobInvalid,
            format!("the jobs of queue '{queue}' name no address: {}", proposal.unsure.join("; ")),
        ));
    }
    Ok(Adopted::Proposed { proposal, jobs: sample.jobs.len(), waiting: sample.waiting, rehearsed })
}
