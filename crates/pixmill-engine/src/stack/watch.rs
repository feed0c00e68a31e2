//! Requests of which jobs ended and others did not, or whose total is not written yet: looked at again, also where the
//! last image of them was another worker's, or its writer died.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::Stack;
use super::scope::{Scope, mix};
use crate::fault::Fault;
use crate::model::time::Timestamp;
use crate::port::documents::Query;

/// Requests that are open.
const OPEN: &str = "pixmill_open";

/// How soon one is looked at again, at first and at most, and for how long.
const SOON: Duration = Duration::from_secs(1);
const LATE: Duration = Duration::from_secs(30);
const GIVEN_UP: Duration = Duration::from_secs(24 * 3_600);

/// Most that are taken up again at a start.
const MOST_OPEN: usize = 10_000;

/// Those that this process knows, by their names.
#[derive(Default)]
pub struct Watch(Mutex<HashMap<String, Open>>);

#[derive(Clone)]
struct Open {
    job: Value,
    since: Timestamp,
    next: Timestamp,
    pause: Duration,
}

impl Watch {
    fn open(&self) -> MutexGuard<'_, HashMap<String, Open>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stack {
    /// Completes the request that a job is of where it can be, and has it be looked at again where it can't.
    ///
    /// # Errors
    /// Those of [`Stack::complete`].
    pub(super) async fn complete_or_watch(&self, scope: &Scope<'_>) -> Result<(), Fault> {
        let (Some(_), Some(request)) = (&self.table.request, scope.request) else {
            // The job is all there is.
            return self.write_results(scope).await;
        };
        let name = format!("{}:{}", self.queue(), request["_id"]);
        if self.complete(scope).await? {
            let known = self.watch.open().remove(&name).is_some();
            if known {
                self.documents()?.delete(OPEN, json!({ "_id": name })).await?;
            }
            return Ok(());
        }
        let open = Open { job: scope.job.clone(), since: scope.now, next: scope.now + SOON, pause: SOON };
        let known = self.watch.open().insert(name.clone(), open).is_some();
        if !known {
            let noted = json!({
                "_id": name, "queue": self.queue(), "job": scope.job.to_string(), "since": { "$date": scope.now.0 },
            });
            self.documents()?.insert(OPEN, noted).await?;
        }
        Ok(())
    }

    /// Looks at open requests again until stopped.
    pub(super) async fn tend_open(&self, stop: &CancellationToken) {
        if self.table.request.as_ref().is_none_or(|request| request.total.is_empty()) {
            return;
        }
        let mut read = false;
        while !stop.is_cancelled() {
            // What can't be read or written is tried again.
            read = read || self.take_up().await.is_ok();
            let now = self.clock.wall();
            let due: Vec<_> = {
                let open = self.watch.open();
                let due = open.iter().filter(|(_, one)| one.next <= now);
                due.map(|(name, one)| (name.clone(), one.clone())).collect()
            };
            for (name, one) in due {
                if let Err(fault) = self.look_again(&name, one, now).await {
                    tracing::debug!(%fault, request = name, "an open request could not be looked at");
                }
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = self.clock.sleep(SOON) => {}
            }
        }
    }

    /// Those that were open when a worker stopped.
    async fn take_up(&self) -> Result<(), Fault> {
        let all = Query {
            collection: OPEN.to_owned(),
            filter: json!({ "queue": self.queue() }),
            sort: json!({ "_id": 1 }),
        };
        let now = self.clock.wall();
        for noted in self.documents()?.find(all, MOST_OPEN).await? {
            let job = noted["job"].as_str().and_then(|text| serde_json::from_str(text).ok());
            let (Some(name), Some(job)) = (noted["_id"].as_str(), job) else { continue };
            let since = noted["since"]["$date"].as_i64().map_or(now, Timestamp);
            let open = Open { job, since, next: now, pause: SOON };
            self.watch.open().entry(name.to_owned()).or_insert(open);
        }
        Ok(())
    }

    async fn look_again(&self, name: &str, one: Open, now: Timestamp) -> Result<(), Fault> {
        let scope = Scope { seed: mix(0, name), ..Scope::of(&one.job, now) };
        if self.complete(&scope).await? || now.since(one.since) > GIVEN_UP {
            self.watch.open().remove(name);
            return self.documents()?.delete(OPEN, json!({ "_id": name })).await;
        }
        if let Some(open) = self.watch.open().get_mut(name).filter(|open| open.next == one.next) {
            open.pause = (open.pause * 2).min(LATE);
            open.next = now + open.pause;
        }
        Ok(())
    }
}
