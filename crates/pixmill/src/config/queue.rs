//! Section queue: what delivers images to workers.

use std::fmt;
use std::path::PathBuf;

use super::secret::Address;

/// The queue of a server.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Queue")]
pub(crate) struct QueueFlags {
    /// 'database', or a Redis on which BullMQ's queue is, as redis:// or rediss:// [also read: REDIS_URL]
    #[arg(long, value_name = "URL", default_value = "database", value_parser = queue)]
    pub(crate) queue: QueueChoice,

    /// BullMQ's name of the queue
    #[arg(long, value_name = "NAME", default_value = "image-processing", value_parser = name)]
    pub(crate) queue_name: String,

    /// What BullMQ's keys begin with
    #[arg(long, value_name = "PREFIX", default_value = "bull", value_parser = prefix)]
    pub(crate) queue_prefix: String,

    /// Certificates (PEM) to trust at rediss:// beside the public ones [also read: NODE_EXTRA_CA_CERTS]
    #[arg(long, value_name = "FILE")]
    pub(crate) queue_ca_file: Option<PathBuf>,
}

/// Which queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum QueueChoice {
    /// A window in memory over what records hold.
    Database,
    /// BullMQ's, on Redis.
    Redis(Address),
}

impl fmt::Display for QueueChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            QueueChoice::Database => f.write_str("database"),
            QueueChoice::Redis(address) => address.fmt(f),
        }
    }
}

fn queue(text: &str) -> Result<QueueChoice, String> {
    let has_host = |rest: &str| !rest.is_empty() && !rest.starts_with('/');
    match text.split_once("://") {
        None if text == "database" => Ok(QueueChoice::Database),
        Some(("redis" | "rediss", rest)) if has_host(rest) => Ok(QueueChoice::Redis(text.into())),
        _ => Err("allowed are database, redis://HOST:PORT and rediss://USER:PASSWORD@HOST:PORT".to_owned()),
    }
}

/// BullMQ parts its keys by colons and refuses them in a queue's name.
fn name(text: &str) -> Result<String, String> {
    match text {
        "" => Err("a name is needed".to_owned()),
        text if text.contains(':') => Err("allowed are names without a colon".to_owned()),
        text => Ok(text.to_owned()),
    }
}

fn prefix(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("a prefix is needed".to_owned()) } else { Ok(text.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_are_told_by_their_scheme() {
        assert_eq!(queue("database"), Ok(QueueChoice::Database));
        for redis in ["redis://h", "rediss://u:p@h:6380/1"] {
            assert_eq!(queue(redis), Ok(QueueChoice::Redis(redis.into())));
        }
        for wrong in ["", "redis", "redis://", "redis:///1", "amqp://h", "localhost:6379"] {
            assert!(queue(wrong).is_err(), "{wrong}");
        }
        assert!(name("a:b").is_err() && name("").is_err() && name("image-processing").is_ok());
    }
}
