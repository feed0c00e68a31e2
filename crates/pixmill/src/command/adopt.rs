//! `pixmill adopt`: the table that a queue's jobs ask for, and what would be done with the first of them.

use std::path::PathBuf;

use pixmill_engine::stack::proposal::toml;

use super::{End, Stop, interrupt};
use crate::config::queue::{QueueChoice, prefix, queue};
use crate::config::records::{RecordsChoice, records};
use crate::display;
use crate::wiring::{self, Adopted, Asked};

/// Look at the jobs of a queue and propose the table by which they would be worked off
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct AdoptArgs {
    /// BullMQ's name of the queue
    #[arg(long, value_name = "NAME", required = true)]
    queue: String,

    /// The Redis on which it is [also read: what is read as --queue of 'serve']
    #[arg(long, value_name = "URL", value_parser = queue)]
    redis: Option<QueueChoice>,

    /// What BullMQ's keys begin with
    #[arg(long, value_name = "PREFIX", default_value = "bull", value_parser = prefix)]
    queue_prefix: String,

    /// Certificates (PEM) to trust at rediss:// beside the public ones
    #[arg(long, value_name = "FILE")]
    queue_ca_file: Option<PathBuf>,

    /// The application's MongoDB, mongodb://…/NAME or mongodb+srv://…/NAME, where jobs name documents
    #[arg(long, value_name = "URL", value_parser = records)]
    database: Option<RecordsChoice>,

    /// Certificates (PEM) to trust beside the public ones
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,

    /// A file of variables, such as .env, for what the environment has not
    #[arg(long, value_name = "FILE")]
    #[allow(dead_code, reason = "it is read where the environment is")]
    env_file: Option<PathBuf>,
}

const AFTER_HELP: &str = "\
Nothing is taken or written. What is printed is a file of settings: look at its remarks, then try it beside
the application's own worker.

Examples:
  pixmill adopt --queue image-jobs --env-file .env > shop.toml
  pixmill serve --role worker --env-file .env --config shop.toml

Exit codes: 0 a table is proposed, 1 none is, 2 bad usage or configuration.";

/// Looks and tells.
pub(super) fn run(args: AdoptArgs) -> Result<End, Stop> {
    if args.queue.contains("://") {
        return Err(Stop::Usage("--queue NAME is needed: the name of BullMQ's queue".to_owned()));
    }
    let Some(QueueChoice::Redis(redis)) = args.redis else {
        return Err(Stop::Usage("no Redis is named: set REDIS_URL or --redis".to_owned()));
    };
    let asked = Asked {
        redis,
        queue: args.queue,
        prefix: args.queue_prefix,
        queue_ca_file: args.queue_ca_file,
        documents: match args.database {
            Some(RecordsChoice::Mongodb(address)) => Some(address),
            _ => None,
        },
        ca_file: args.ca_file,
    };
    let runtime = super::runtime()?;
    interrupt::end_at_once(&runtime);
    match runtime.block_on(wiring::adopt(&asked))? {
        Adopted::Proposed { proposal, jobs, waiting, rehearsed } => {
            let mut text = format!(
                "# Of {jobs} jobs of queue '{}', where {waiting} wait; none was taken.\n",
                asked.queue
            );
            text.push_str(&toml(&proposal.table));
            text.push_str("\n# Look at this before:\n");
            proposal.unsure.iter().for_each(|unsure| text.push_str(&format!("# - {unsure}\n")));
            text.push_str("# With the first job it would\n");
            rehearsed.iter().for_each(|line| text.push_str(&format!("# - {line}\n")));
            display::print(&text);
            Ok(End::Done)
        }
        Adopted::Nothing(why) => {
            display::say(&why);
            Ok(End::Refused)
        }
    }
}
