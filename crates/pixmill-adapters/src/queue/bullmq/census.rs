//! The queues that stand under a prefix: how many jobs each has, and whether its newest can be read.

use pixmill_engine::checkup::Finding;
use redis::RedisError;

use super::Settings;
use super::jobs::Jobs;
use super::shape::{Names, Waiting, data};

/// What findings are about.
const ABOUT: &str = "queues";

/// Queues that are told of, and how far keys are gone through to find them.
const MOST: usize = 20;
const ROUNDS: usize = 500;
const KEYS_A_ROUND: usize = 1_000;

/// What a queue's metadata are called.
const META: &str = ":meta";

/// A line on each queue, that of the settings first.
pub(super) async fn look(settings: &Settings, jobs: &Jobs) -> Result<Vec<Finding>, RedisError> {
    let mut findings = Vec::new();
    for name in names(settings, jobs).await? {
        findings.push(about(settings, jobs, &name).await?);
    }
    Ok(findings)
}

/// The names of queues under the prefix.
async fn names(settings: &Settings, jobs: &Jobs) -> Result<Vec<String>, RedisError> {
    let mut connection = jobs.connection.connection();
    let literal = settings.prefix.replace(['*', '?', '[', ']', '\\'], "?");
    let (mut names, mut cursor) = (Vec::new(), 0_u64);
    for _ in 0..ROUNDS {
        let mut asked = redis::cmd("SCAN");
        asked.arg(cursor).arg("MATCH").arg(format!("{literal}:*{META}")).arg("COUNT").arg(KEYS_A_ROUND);
        let (next, keys): (u64, Vec<String>) = asked.query_async(&mut connection).await?;
        let begin = format!("{}:", settings.prefix);
        names.extend(keys.iter().filter_map(|key| {
            let name = key.strip_prefix(&begin)?.strip_suffix(META)?;
            (!name.contains(':')).then(|| name.to_owned())
        }));
        cursor = next;
        if cursor == 0 || names.len() >= MOST {
            break;
        }
    }
    names.sort_by_key(|name| (*name != settings.name, name.clone()));
    names.dedup();
    names.truncate(MOST);
    Ok(names)
}

async fn about(settings: &Settings, jobs: &Jobs, name: &str) -> Result<Finding, RedisError> {
    let keys = bullmq::QueueKeys::new(name, Some(&settings.prefix));
    let mut connection = jobs.connection.connection();
    let mut asked = redis::pipe();
    asked.llen(keys.wait()).zcard(keys.prioritized()).zcard(keys.delayed()).llen(keys.active());
    asked.lindex(keys.wait(), 0);
    asked.zrange(keys.prioritized(), -1, -1);
    let (waiting, urgent, delayed, active, newest, other): (u64, u64, u64, u64, Option<String>, Vec<String>) =
        asked.query_async(&mut connection).await?;
    let counts =
        format!("'{name}': {} jobs wait, {delayed} are delayed, {active} are under way", waiting + urgent);
    let Some(newest) = newest.or_else(|| other.into_iter().next()) else {
        return Ok(Finding::well(ABOUT, counts));
    };
    let mut read = redis::cmd("HMGET");
    read.arg(keys.job_key(&newest)).arg(&["name", "data", "rjk"]);
    let (called, text, scheduler): (Option<String>, Option<Vec<u8>>, Option<String>) =
        read.query_async(&mut connection).await?;
    let (called, read) = (called.unwrap_or_default(), text.as_deref().and_then(data));
    let waiting = Waiting { id: &newest, name: &called, data: read.as_ref(), scheduled: scheduler.is_some() };
    let stranger = match waiting.shape(&Names(settings.job_names.clone())) {
        Ok(_) => return Ok(Finding::well(ABOUT, format!("{counts}; the newest fits"))),
        Err(lacks) => waiting.stranger(lacks),
    };
    let told = format!("{counts}; the newest is left alone, as {stranger}");
    Ok(match name == settings.name {
        true => Finding::doubtful(
            ABOUT,
            told,
            "Name such jobs by --queue-job-name, or tell their shape by a [[stack]] table: see docs/stacks.md.",
        ),
        false => Finding::well(ABOUT, told),
    })
}
