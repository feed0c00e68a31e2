//! What is done to jobs in Redis, each in one step.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bullmq::redis_connection::RedisConnection;
use bullmq::types::{KeepJobs, RemoveOnFinish};
use bullmq::{Job, QueueKeys};
use redis::{ErrorKind, RedisError, Script, ScriptInvocation, ToRedisArgs};
use serde_json::Value;
use uuid::Uuid;

use super::{job, pack};

static ADD: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/add.lua")));
static REMOVE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/remove.lua")));
static TAKE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/take.lua")));
/// The key of whoever looked last for what dead workers hold.
const LOOKING: &str = "pixmill-looks";

static RECOVER: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/recover.lua")));
static EXTEND: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/extend.lua")));
static FINISH: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/moveToFinished-14.lua")));
static DELAY: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/moveToDelayed-11.lua")));
static GIVE_BACK: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("lua/moveJobFromActiveToWait-9.lua")));

/// What a worker is called where a job says who took it.
const WORKER: &str = "pixmill";

/// How many lines of a stack trace are kept with a job, as BullMQ keeps them unless told otherwise.
const MOST_TRACES: usize = 10;

/// A job that was taken, and the right to end it.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) job: Job,
    pub(super) token: String,
    /// Its reasons for failing so far.
    traces: Vec<Value>,
}

/// How a job ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End<'a> {
    /// With this value, which is JSON.
    Completed(&'a str),
    /// For this reason.
    Failed(&'a str),
}

/// What came of taking.
#[derive(Debug)]
pub(super) struct Haul {
    pub(super) taken: Vec<Taken>,
    /// How many came from delayed to where they wait.
    pub(super) promoted: usize,
    /// Nothing can be taken for so long.
    pub(super) limited: Duration,
}

/// The jobs of one queue.
pub(super) struct Jobs {
    pub(super) keys: QueueKeys,
    pub(super) connection: RedisConnection,
    lock: Duration,
    /// Names this process, and how often it took.
    id: Uuid,
    number: AtomicU64,
}

impl Jobs {
    pub(super) fn new(keys: QueueKeys, connection: RedisConnection, lock: Duration) -> Self {
        Jobs { keys, connection, lock, id: Uuid::new_v4(), number: AtomicU64::new(0) }
    }

    /// Has the server know this connection as a worker's, as those of Node are known.
    pub(super) async fn sign(&self) -> Result<(), RedisError> {
        let name = self.keys.client_name(&format!(":w:{WORKER}"));
        let mut connection = self.connection.connection();
        redis::cmd("CLIENT").arg("SETNAME").arg(name).query_async(&mut connection).await
    }

    async fn run<T: redis::FromRedisValue>(
        &self,
        script: &Script,
        keys: &[String],
        arguments: impl FnOnce(&mut ScriptInvocation<'_>),
    ) -> Result<T, RedisError> {
        let mut invocation = script.prepare_invoke();
        for key in keys {
            invocation.key(key);
        }
        arguments(&mut invocation);
        invocation.invoke_async(&mut self.connection.connection()).await
    }

    /// Adds jobs of ours, each an id and its data, and says how many are new.
    pub(super) async fn add(&self, added: &[(String, String)]) -> Result<usize, RedisError> {
        let keys = &self.keys;
        let named = [keys.wait(), keys.meta(), keys.events(), keys.marker()];
        self.run(&ADD, &named, |invocation| {
            invocation.arg(keys.key_prefix()).arg(now()).arg(job::NAME).arg(job::options());
            each(invocation, added.iter().flat_map(|(id, data)| [id, data]));
        })
        .await
    }

    /// Removes jobs of ours that nobody works on.
    pub(super) async fn remove(&self, ids: &[String]) -> Result<(), RedisError> {
        let keys = &self.keys;
        let named =
            [keys.wait(), keys.prioritized(), keys.delayed(), keys.completed(), keys.failed(), keys.events()];
        self.run(&REMOVE, &named, |invocation| {
            invocation.arg(keys.key_prefix());
            each(invocation, ids.iter());
        })
        .await
    }

    /// Takes those of `waiting` that still wait, and puts those of `due` to where they wait.
    pub(super) async fn take(&self, due: &[String], waiting: &[String]) -> Result<Haul, RedisError> {
        let keys = &self.keys;
        let named = [
            keys.wait(),
            keys.active(),
            keys.prioritized(),
            keys.events(),
            keys.limiter(),
            keys.delayed(),
            keys.meta(),
            keys.pc(),
            keys.marker(),
        ];
        let token = format!("{}:{}", self.id, self.number.fetch_add(1, Ordering::Relaxed));
        type Fields = HashMap<Vec<u8>, Vec<u8>>;
        let (limited, promoted, found): (i64, usize, Vec<(String, Fields)>) = self
            .run(&TAKE, &named, |invocation| {
                invocation.arg(keys.key_prefix()).arg(now()).arg(&token).arg(milliseconds(self.lock));
                invocation.arg(WORKER).arg(due.len());
                each(invocation, due.iter().chain(waiting));
            })
            .await?;
        let taken = found.into_iter().filter_map(|(id, fields)| {
            let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
            let fields = fields.into_iter().map(|(name, value)| (text(name), text(value))).collect();
            Some(Taken::new(Job::from_redis_hash(&id, &fields).ok()?, token.clone(), &fields))
        });
        let limited = Duration::from_millis(u64::try_from(limited).unwrap_or_default());
        Ok(Haul { taken: taken.collect(), promoted, limited })
    }

    /// Extends the locks of jobs, each with its token.
    pub(super) async fn extend(&self, held: &[(String, String)]) -> Result<(), RedisError> {
        let words = held.iter().flat_map(|(id, token)| [id, token]);
        self.run(&EXTEND, &[self.keys.stalled()], |invocation| {
            invocation.arg(self.keys.key_prefix()).arg(milliseconds(self.lock));
            each(invocation, words);
        })
        .await
    }

    /// Whether nobody else has looked for what dead workers hold, for almost as long as a lock lasts. BullMQ's own key for it
    /// is left to BullMQ's workers, who look for jobs that are not for pixmill.
    pub(super) async fn looks_for_the_lost(&self) -> Result<bool, RedisError> {
        let mut first = redis::cmd("SET");
        first
            .arg(self.keys.get(LOOKING))
            .arg(self.id.to_string())
            .arg("NX")
            .arg("PX")
            .arg(milliseconds(self.lock * 9 / 10));
        let said: Option<String> = first.query_async(&mut self.connection.connection()).await?;
        Ok(said.is_some())
    }

    /// Puts those of the jobs back that nobody holds any more, and says how many those were.
    pub(super) async fn recover(&self, active: &[String]) -> Result<usize, RedisError> {
        let keys = &self.keys;
        let named = [keys.active(), keys.wait(), keys.stalled(), keys.meta(), keys.marker(), keys.events()];
        self.run(&RECOVER, &named, |invocation| {
            invocation.arg(keys.key_prefix());
            each(invocation, active.iter());
        })
        .await
    }

    /// Ends a job.
    pub(super) async fn finish(&self, taken: &Taken, end: End<'_>) -> Result<(), RedisError> {
        let (keys, options) = (&self.keys, taken.job.opts());
        let (target, field, value, ended, keep) = match end {
            End::Completed(value) => {
                ("completed", "returnvalue", value, keys.completed(), &options.remove_on_complete)
            }
            End::Failed(reason) => ("failed", "failedReason", reason, keys.failed(), &options.remove_on_fail),
        };
        let named = [
            keys.wait(),
            keys.active(),
            keys.prioritized(),
            keys.events(),
            keys.stalled(),
            keys.limiter(),
            keys.delayed(),
            keys.paused(),
            keys.meta(),
            keys.pc(),
            ended,
            keys.job_key(taken.job.id()),
            keys.get(&format!("metrics:{target}")),
            keys.marker(),
        ];
        let fields = match end {
            End::Completed(_) => Vec::new(),
            End::Failed(reason) => taken.failing(reason),
        };
        let told = pack::finish(&taken.token, self.lock, options.attempts.unwrap_or(0), kept(keep.as_ref()));
        let code = self.run(&FINISH, &named, |invocation| {
            invocation.arg(taken.job.id()).arg(now()).arg(field).arg(value).arg(target).arg("0");
            invocation.arg(keys.key_prefix()).arg(told).arg(fields);
        });
        done(code.await?)
    }

    /// Has a job wait in delayed. A reason is that of an attempt that counts.
    pub(super) async fn delay(
        &self,
        taken: &Taken,
        wait: Duration,
        reason: Option<&str>,
    ) -> Result<(), RedisError> {
        let keys = &self.keys;
        let named = [
            keys.marker(),
            keys.active(),
            keys.prioritized(),
            keys.delayed(),
            keys.job_key(taken.job.id()),
            keys.events(),
            keys.meta(),
            keys.stalled(),
            keys.wait(),
            keys.limiter(),
            keys.pc(),
        ];
        let fields = reason.map(|reason| taken.failing(reason)).unwrap_or_default();
        let told = pack::right(&taken.token, self.lock);
        let code = self.run(&DELAY, &named, |invocation| {
            invocation.arg(keys.key_prefix()).arg(now()).arg(taken.job.id()).arg(&taken.token);
            invocation.arg(milliseconds(wait)).arg(if reason.is_some() { "0" } else { "1" });
            invocation.arg(fields).arg("0").arg(told);
        });
        done(code.await?)
    }

    /// Has a job wait again, as the next one.
    pub(super) async fn give_back(&self, taken: &Taken) -> Result<(), RedisError> {
        let (keys, key) = (&self.keys, self.keys.job_key(taken.job.id()));
        let named = [
            keys.active(),
            keys.wait(),
            keys.stalled(),
            keys.paused(),
            keys.meta(),
            keys.limiter(),
            keys.prioritized(),
            keys.marker(),
            keys.events(),
        ];
        let code = self.run(&GIVE_BACK, &named, |invocation| {
            invocation.arg(taken.job.id()).arg(&taken.token).arg(&key);
        });
        done(code.await?)?;
        let mut connection = self.connection.connection();
        redis::cmd("HINCRBY").arg(&key).arg("ats").arg(-1).query_async(&mut connection).await
    }

    /// Adds a line to a job's log.
    pub(super) async fn log(&self, taken: &Taken, line: &str) -> Result<(), RedisError> {
        let mut written = redis::pipe();
        self.log_in(&mut written, taken, line);
        written.query_async(&mut self.connection.connection()).await
    }

    /// Shows that a job is done, and adds a line to its log.
    pub(super) async fn worked_off(&self, taken: &Taken, line: &str) -> Result<(), RedisError> {
        let (id, mut written) = (taken.job.id(), redis::pipe());
        written.hset(self.keys.job_key(id), "progress", 100).ignore();
        let event = [("event", "progress"), ("jobId", id), ("data", "100")];
        written.xadd(self.keys.events(), "*", &event).ignore();
        self.log_in(&mut written, taken, line);
        written.query_async(&mut self.connection.connection()).await
    }

    fn log_in(&self, written: &mut redis::Pipeline, taken: &Taken, line: &str) {
        let key = format!("{}:logs", self.keys.job_key(taken.job.id()));
        written.rpush(&key, line).ignore();
        if let Some(most) = taken.job.opts().keep_logs {
            written.ltrim(&key, -isize::try_from(most).unwrap_or(isize::MAX), -1).ignore();
        }
    }

    /// Removes a queue that only pixmill used, once its jobs are gone.
    pub(super) async fn abolish(&self) -> Result<(), RedisError> {
        let keys = &self.keys;
        let all = [keys.wait(), keys.meta(), keys.events(), keys.marker()];
        let mut removed = redis::pipe();
        for key in all {
            removed.del(key).ignore();
        }
        removed.query_async(&mut self.connection.connection()).await
    }
}

impl Taken {
    fn new(job: Job, token: String, fields: &HashMap<String, String>) -> Self {
        let traces = fields.get("stacktrace").and_then(|text| serde_json::from_str(text).ok());
        Taken { job, token, traces: traces.unwrap_or_default() }
    }

    /// What is written of an attempt that failed.
    fn failing(&self, reason: &str) -> Vec<u8> {
        let mut traces: Vec<&Value> = self.traces.iter().collect();
        let reason_of_this = Value::from(reason);
        traces.push(&reason_of_this);
        let last = traces.len().saturating_sub(MOST_TRACES);
        let traces = serde_json::to_string(&traces[last..]).unwrap_or_default();
        pack::fields(&[("failedReason", reason), ("stacktrace", &traces)])
    }
}

/// What the options of a job say about how long it is kept once it has ended.
fn kept(option: Option<&RemoveOnFinish>) -> KeepJobs {
    match option {
        Some(RemoveOnFinish::Bool(true)) => KeepJobs { count: Some(0), age: None, limit: None },
        Some(RemoveOnFinish::Count(count)) => KeepJobs { count: Some(*count), age: None, limit: None },
        Some(RemoveOnFinish::Options(keep)) => keep.clone(),
        Some(RemoveOnFinish::Bool(false)) | None => KeepJobs { count: None, age: None, limit: None },
    }
}

/// BullMQ's scripts answer with a number below zero where the job was not as it should be.
fn done(code: redis::Value) -> Result<(), RedisError> {
    let wrong = match code {
        redis::Value::Int(-1) => "the job is gone",
        redis::Value::Int(-2 | -6) => "somebody else holds the job now",
        redis::Value::Int(-3) => "the job is not active any more",
        redis::Value::Int(code) if code < 0 => "the job can't be moved",
        _ => return Ok(()),
    };
    Err(RedisError::from((ErrorKind::UnexpectedReturnType, wrong)))
}

fn each<'a, T: ToRedisArgs + 'a>(invocation: &mut ScriptInvocation<'_>, words: impl Iterator<Item = &'a T>) {
    for word in words {
        invocation.arg(word);
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The time as BullMQ writes it.
pub(super) fn now() -> u64 {
    milliseconds(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}
