//! Tells an application's receivers, with bodies and headers of a table's own: noted before the job ends, and tried again
//! until heard or given up.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::Stack;
use super::scope::Scope;
use super::table::On;
use super::template::{Template, plain, text_of};
use super::writing::mark;
use crate::fault::Fault;
use crate::model::event::Answer;
use crate::model::image::Failure;
use crate::model::time::Timestamp;
use crate::pipeline::webhook::{post, wait_after};
use crate::port::documents::Query;
use crate::port::receiver::{Message, SetBy};

/// What is to be told, and what was.
const TELLINGS: &str = "pixmill_tellings";

/// How often is looked for what is due, and how much is told at a time.
const EVERY: Duration = Duration::from_millis(500);
const AT_A_TIME: usize = 16;

/// How often what was told long ago is forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(3_600);

/// How long is remembered what was told.
const REMEMBERED: Duration = Duration::from_secs(30 * 24 * 3_600);

/// What an event is called.
pub(super) enum Event {
    /// So, always.
    Named(String),
    /// After the round of its job.
    OfRound(u128),
}

impl Stack {
    /// Notes what is to be told of something.
    ///
    /// # Errors
    /// Those of the application's database.
    pub(super) async fn tell_of(&self, on: &[On], scope: &Scope<'_>, event: Event) -> Result<(), Fault> {
        for (number, hook) in self.table.hooks.iter().enumerate().filter(|(_, hook)| on.contains(&hook.on)) {
            let url = text_of(&hook.url.value(scope));
            if url.trim().is_empty() {
                continue;
            }
            let id = match &event {
                Event::Named(name) => format!("{name}-{number}"),
                Event::OfRound(round) => mark(*round, &format!("tell {number} {}", scope.id())),
            };
            let telling = json!({
                "_id": id, "queue": self.queue(), "hook": number, "url": url.trim(), "tries": 0,
                "ours": matches!(hook.url, Template::Said(_)),
                "body": plain(hook.body.value(scope)).to_string(),
                "due": { "$date": scope.now.0 }, "at": { "$date": scope.now.0 },
            });
            self.documents()?.insert(TELLINGS, telling).await?;
        }
        Ok(())
    }

    /// Tells what is due, until stopped.
    pub(super) async fn tell(self: &Arc<Self>, stop: &CancellationToken) {
        if self.table.hooks.is_empty() {
            return;
        }
        let Ok(documents) = self.documents() else { return };
        let mut forgot = Timestamp::default();
        while !stop.is_cancelled() {
            let now = self.clock.wall();
            let due = Query {
                collection: TELLINGS.to_owned(),
                filter: json!({ "queue": self.queue(), "due": { "$lte": { "$date": now.0 } } }),
                sort: json!({ "due": 1 }),
            };
            // Whoever can't be reached now is asked again.
            let due = documents.find(due, AT_A_TIME).await.unwrap_or_default();
            let mut posts = JoinSet::new();
            for telling in due {
                posts.spawn(self.clone().tell_one(telling));
            }
            posts.join_all().await;
            if now.since(forgot) > FORGET_EVERY {
                forgot = now;
                let old = json!({ "$lt": { "$date": (now - REMEMBERED).0 } });
                let _ = documents.delete(TELLINGS, json!({ "queue": self.queue(), "at": old })).await;
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = self.clock.sleep(EVERY) => {}
            }
        }
    }

    /// Makes one try, and notes what came of it.
    async fn tell_one(self: Arc<Self>, telling: Value) {
        let (Ok(documents), Some(receiver)) = (self.documents(), &self.receiver) else { return };
        let now = self.clock.wall();
        let leased = json!({ "$set": { "due": { "$date": (now + self.lease).0 } } });
        let as_read = json!({ "_id": telling["_id"], "due": telling["due"] });
        if !matches!(documents.update(TELLINGS, as_read, leased).await, Ok(true)) {
            return;
        }
        let tries = telling["tries"].as_u64().unwrap_or_default() as u32;
        let (id, url) =
            (telling["_id"].as_str().unwrap_or_default(), telling["url"].as_str().unwrap_or_default());
        let hook = telling["hook"].as_u64().and_then(|hook| self.table.hooks.get(hook as usize));
        let mut headers = vec![("webhook-id".into(), id.to_owned())];
        headers.extend(
            hook.into_iter().flat_map(|hook| hook.headers.clone()).map(|(name, value)| (name.into(), value)),
        );
        let set_by = if telling["ours"] == true { SetBy::Server } else { SetBy::Client };
        let body = telling["body"].as_str().unwrap_or_default().to_owned();
        let answer = match Url::parse(url) {
            Ok(url) => post(&**receiver, &*self.clock, &url, set_by, Message { headers, body }).await,
            Err(error) => {
                Err(Fault::permanent(crate::code::Code::WebhookAddress, format!("it is no address: {error}")))
            }
        };
        let asked = answer.as_ref().ok().and_then(|reply| reply.retry_after);
        let answer: Result<Answer, Failure> = answer.map(|reply| reply.answer).map_err(Failure::from);
        let heard = answer.as_ref().is_ok_and(Answer::is_success);
        let next = wait_after(&answer, tries, asked);
        let what = match &answer {
            Ok(answer) => answer.status.to_string(),
            Err(failure) => failure.message.clone(),
        };
        let change = match next {
            Some(wait) => json!({
                "$set": { "due": { "$date": (self.clock.wall() + wait).0 }, "tries": tries + 1, "answer": what },
            }),
            None => {
                json!({ "$set": { "tries": tries + 1, "answer": what, "heard": heard }, "$unset": { "due": "" } })
            }
        };
        if !heard {
            tracing::warn!(event = id, why = what, given_up = next.is_none(), "webhook not told");
        }
        // What can't be noted is told again once its lease is over.
        let _ = documents.update(TELLINGS, json!({ "_id": telling["_id"] }), change).await;
    }
}
