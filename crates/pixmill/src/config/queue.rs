//! Section queue: what delivers images to workers.

use std::fmt;
use std::path::PathBuf;

use super::secret::Address;

/// The queue of a server.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Queue")]
pub(crate) struct QueueFlags {
    /// 'database', or a Redis on which BullMQ's queue is, as redis:// or rediss:// [also read: REDIS_URL, UPSTASH_REDIS_URL, or REDIS_HOST with REDIS_PORT, REDIS_USERNAME or REDIS_USER, REDIS_PASSWORD, REDIS_DB, REDIS_TLS] [default: database]
    #[arg(long, value_name = "URL", value_parser = queue)]
    queue: Option<QueueChoice>,

    /// Name of the BullMQ queue
    #[arg(long, value_name = "NAME", default_value = "image-processing", value_parser = name)]
    pub(crate) queue_name: String,

    /// Prefix of BullMQ's keys
    #[arg(long, value_name = "PREFIX", default_value = "bull", value_parser = prefix)]
    pub(crate) queue_prefix: String,

    /// Name of the jobs to take, '*' for any name; jobs of other names are left to other programs; repeatable
    #[arg(long, value_name = "NAME", default_value = "process-image", value_delimiter = ',', value_parser = job_name)]
    pub(crate) queue_job_name: Vec<String>,

    /// Certificates (PEM) to trust at rediss:// beside the public ones [also read: NODE_EXTRA_CA_CERTS]
    #[arg(long, value_name = "FILE")]
    pub(crate) queue_ca_file: Option<PathBuf>,
}

impl QueueFlags {
    /// What was chosen.
    pub(crate) fn choice(&self) -> QueueChoice {
        self.queue.clone().unwrap_or(QueueChoice::Database)
    }

    /// Whether it was chosen, by whatever name.
    pub(crate) fn is_named(&self) -> bool {
        self.queue.is_some()
    }
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

pub(crate) fn queue(text: &str) -> Result<QueueChoice, String> {
    let has_host = |rest: &str| !rest.is_empty() && !rest.starts_with('/');
    match text.split_once("://") {
        None if text == "database" => Ok(QueueChoice::Database),
        Some(("redis" | "rediss", rest)) if has_host(rest) => {
            Ok(QueueChoice::Redis(numbered(text)?.as_str().into()))
        }
        _ => Err("allowed are database, redis://HOST:PORT and rediss://USER:PASSWORD@HOST:PORT".to_owned()),
    }
}

/// The addresses, parted by commas, with the database that ioredis reads from `?db=` where the client of Rust looks for it.
fn numbered(addresses: &str) -> Result<String, String> {
    let numbered = addresses.split(',').map(|address| {
        let Some((place, query)) = address.split_once('?') else { return Ok(address.to_owned()) };
        let mut left = query.split('&').filter(|one| !one.starts_with("db=")).collect::<Vec<_>>().join("&");
        let Some(number) = query.split('&').find_map(|one| one.strip_prefix("db=")) else {
            return Ok(address.to_owned());
        };
        let number: u32 =
            number.parse().map_err(|_| "allowed are numbers of databases, such as ?db=2".to_owned())?;
        let (scheme, rest) = place.split_once("://").unwrap_or(("redis", place));
        let host = rest.split('/').next().unwrap_or_default();
        if !left.is_empty() {
            left.insert(0, '?');
        }
        Ok(format!("{scheme}://{host}/{number}{left}"))
    });
    Ok(numbered.collect::<Result<Vec<_>, String>>()?.join(","))
}

/// BullMQ parts its keys by colons and refuses them in a queue's name.
fn name(text: &str) -> Result<String, String> {
    match text {
        "" => Err("a name is needed".to_owned()),
        text if text.contains(':') => Err("allowed are names without a colon".to_owned()),
        text => Ok(text.to_owned()),
    }
}

fn job_name(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("a name is needed, or '*'".to_owned()) } else { Ok(text.to_owned()) }
}

pub(crate) fn prefix(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("a prefix is needed".to_owned()) } else { Ok(text.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_named_in_the_path_or_as_ioredis_reads_it() {
        for (said, meant) in [
            ("redis://:p@h:6379/3", "redis://:p@h:6379/3"),
            ("redis://:p@h:6379?db=3", "redis://:p@h:6379/3"),
            ("rediss://h/0?protocol=resp3&db=12", "rediss://h/12?protocol=resp3"),
            ("redis://a:1,redis://b:2", "redis://a:1,redis://b:2"),
        ] {
            assert_eq!(queue(said), Ok(QueueChoice::Redis(meant.into())));
        }
        assert!(queue("redis://h?db=x").is_err());
    }

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
