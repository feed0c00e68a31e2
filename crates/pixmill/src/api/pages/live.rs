//! A request as it goes on: pieces of its page, sent when they change. Once it has ended a last event says so, which
//! closes the stream for good.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use futures::stream;
use pixmill_engine::fault::Fault;
use pixmill_engine::port::clock::Instant;
use pixmill_engine::port::records::RequestView;

use super::super::Api;
use super::super::access::Caller;
use super::super::answer;
use super::super::problem::Problem;
use super::super::query::Id;
use super::line::{Line, pace};

/// How often records are asked, and looks after which something is said though nothing changed.
const EVERY: Duration = Duration::from_millis(1_000);
const QUIET_LOOKS: u32 = 15;

/// Looks over which the pace is measured.
const WINDOW: usize = 15;

#[derive(Template)]
#[template(path = "live.html")]
struct Live {
    line: Line,
    pace: Option<(String, String)>,
}

/// Sends pieces of a request's page.
pub(in crate::api) async fn watch(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
) -> Result<Response, Problem> {
    let standing = api.standing(&caller, &id).await?;
    let watcher = Watcher { api, caller, standing, seen: VecDeque::new(), told: None, quiet: 0, over: false };
    let pieces = stream::try_unfold(watcher, |mut watcher| async move {
        Ok(watcher.next().await?.map(|text| (text.into_bytes(), watcher)))
    });
    Ok(answer::events(pieces))
}

struct Watcher {
    api: Arc<Api>,
    caller: Caller,
    standing: RequestView,
    /// How many images had ended, and when.
    seen: VecDeque<(Instant, u64)>,
    told: Option<String>,
    quiet: u32,
    over: bool,
}

impl Watcher {
    /// What is to be sent next; `None` at the end.
    async fn next(&mut self) -> Result<Option<String>, Fault> {
        loop {
            if self.over {
                return Ok(None);
            }
            if self.told.is_some() {
                tokio::select! {
                    () = self.api.stop.cancelled() => return Ok(None),
                    () = self.api.on.clock.sleep(EVERY) => {}
                }
                let view = self.api.looks.at(&*self.api.on.ledger, &self.standing.request.id).await?;
                let (Some(view), true) = (view, self.api.access.holds(&self.caller).await?) else {
                    return Ok(Some(self.end()));
                };
                self.standing = view;
            }
            let piece = self.piece();
            self.quiet += 1;
            if !self.standing.request.status.is_open() {
                return Ok(Some(event(&piece) + &self.end()));
            }
            if self.told.as_ref() != Some(&piece) {
                self.quiet = 0;
                self.told = Some(piece.clone());
                return Ok(Some(event(&piece)));
            }
            if self.quiet >= QUIET_LOOKS {
                self.quiet = 0;
                return Ok(Some(": still here\n\n".to_owned()));
            }
        }
    }

    fn piece(&mut self) -> String {
        let progress = self.standing.progress;
        let now = self.api.on.clock.instant();
        if self.seen.back().is_some_and(|(_, ended)| *ended > progress.ended()) {
            self.seen.clear();
        }
        self.seen.push_back((now, progress.ended()));
        if self.seen.len() > WINDOW {
            self.seen.pop_front();
        }
        let (began, before) = self.seen.front().copied().unwrap_or((now, 0));
        let left = progress.pending + progress.processing;
        let during = now.since(began);
        let pace = (during >= Duration::from_secs(2))
            .then(|| pace(progress.ended() - before, left, during))
            .flatten();
        let line = Line::new(&self.standing, self.api.on.clock.wall());
        Live { line, pace }.render().unwrap_or_default()
    }

    /// The event that closes the stream: without it a browser asks again and again.
    fn end(&mut self) -> String {
        self.over = true;
        format!("event: over\ndata: {}\n\n", self.standing.request.status.as_str())
    }
}

/// An unnamed event, whose data is swapped into the page.
fn event(html: &str) -> String {
    let lines: String = html.lines().map(|line| format!("data: {line}\n")).collect();
    lines + "\n"
}
