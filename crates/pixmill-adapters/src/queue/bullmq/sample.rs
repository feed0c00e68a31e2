//! Jobs of a queue, read without taking them.

use bullmq::QueueKeys;
use pixmill_engine::fault::Fault;
use pixmill_engine::port::errands::Sample;
use redis::RedisError;

use super::jobs::Jobs;
use super::shape::data;
use super::{Settings, open};

/// Jobs that are read.
const MOST: isize = 20;

/// How many fields the queue has that tell of it, how many jobs wait in each way, and ids of some.
type Answer = (u64, u64, u64, u64, Ids, Ids, Ids, Ids, Ids, Ids);
type Ids = Vec<String>;

/// Reads jobs that wait; where none do, some that ended.
///
/// # Errors
/// As those of [`super::BullQueue::connect`].
pub async fn sample(settings: &Settings) -> Result<Sample, Fault> {
    let (jobs, address) = open(settings).await?;
    read(&jobs).await.map_err(|error| address.fault(&error))
}

async fn read(jobs: &Jobs) -> Result<Sample, RedisError> {
    let keys: &QueueKeys = &jobs.keys;
    let mut connection = jobs.connection.connection();
    let mut asked = redis::pipe();
    asked.hlen(keys.meta()).llen(keys.wait()).zcard(keys.prioritized()).zcard(keys.delayed());
    asked.lrange(keys.wait(), -MOST, -1).lrange(keys.paused(), -MOST, -1);
    asked.zrange(keys.prioritized(), 0, MOST - 1).zrange(keys.delayed(), 0, MOST - 1);
    asked.zrange(keys.failed(), -MOST, -1).zrange(keys.completed(), -MOST, -1);
    let (meta, waiting, urgent, delayed, a, b, c, d, e, f): Answer =
        asked.query_async(&mut connection).await?;
    let ids = [a, b, c, d, e, f].into_iter().flatten();
    let ids: Vec<_> = ids.filter(|id| !id.starts_with("0:")).take(MOST as usize).collect();
    let mut asked = redis::pipe();
    for id in &ids {
        asked.hmget(keys.job_key(id), &["name", "data"]);
    }
    let read: Vec<(Option<String>, Option<Vec<u8>>)> = match ids.is_empty() {
        true => Vec::new(),
        false => asked.query_async(&mut connection).await?,
    };
    let of_bull = meta == 0 && !ids.is_empty();
    let jobs = read.into_iter().filter_map(|(name, text)| Some((name.unwrap_or_default(), data(&text?)?)));
    Ok(Sample { jobs: jobs.collect(), waiting: waiting + urgent + delayed, of_bull })
}
