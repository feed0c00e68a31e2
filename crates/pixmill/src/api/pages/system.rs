//! How the server is: what it stands on, its disks, its processes.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use pixmill_engine::model::time::Timestamp;

use super::super::Api;
use super::super::access::Caller;
use super::super::problem::Problem;
use super::super::system::{self, DiskBody, SystemBody};
use super::super::workers::WorkerBody;
use super::text::{self, Moment};
use super::{Page, Section, redirect};
use crate::presence::{self, Heard};

#[derive(Template)]
#[template(path = "system.html")]
struct System {
    page: Page,
    tab: &'static str,
    body: SystemBody,
    looked: Moment,
}

impl System {
    /// How full a disk is, in percent.
    fn full(&self, disk: &DiskBody) -> u64 {
        100 - text::percent(disk.free_bytes, disk.total_bytes.max(1)).min(100)
    }

    /// Processes of another version than the one that answers.
    fn others(&self) -> usize {
        self.body.workers.iter().filter(|worker| worker.version != self.body.version).count()
    }

    fn mood(&self, verdict: &str) -> &'static str {
        match verdict {
            "wrong" => "bad",
            "warning" => "warn",
            _ => "good",
        }
    }

    fn word(&self, verdict: &str) -> &'static str {
        match verdict {
            "wrong" => "wrong",
            "warning" => "look at this",
            _ => "well",
        }
    }
}

/// Shows it.
pub(in crate::api) async fn show(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Problem> {
    let body = system::found(&api, &caller).await?;
    let now = api.on.clock.wall();
    let looked = text::moment(Timestamp::parse(&body.looked_at).unwrap_or(now), now);
    let page = Page::of(&api, &caller, Section::System, "System");
    Ok(super::show(StatusCode::OK, &System { page, tab: "system", body, looked }))
}

/// Has every part looked at anew.
pub(in crate::api) async fn look_again(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Problem> {
    system::renew(&api, &caller).await?;
    Ok(redirect(&api, "/system"))
}

#[derive(Template)]
#[template(path = "workers.html")]
struct Workers {
    page: Page,
    tab: &'static str,
    workers: Vec<Line>,
    /// Whether none of them works on images.
    idle: bool,
    per_second: String,
}

/// A process as the page shows it.
struct Line {
    body: WorkerBody,
    started: Moment,
    seen: Moment,
    works: bool,
    /// Told where it differs from that of the process that answers.
    other_version: bool,
    age: String,
}

impl Line {
    fn new(heard: &Heard, now: Timestamp) -> Self {
        let started = Timestamp(heard.presence.started);
        Line {
            body: WorkerBody::new(heard),
            started: text::moment(started, now),
            seen: text::moment(heard.at, now),
            works: heard.presence.works(),
            other_version: heard.presence.version != env!("CARGO_PKG_VERSION"),
            age: text::duration(now.since(started).max(Duration::from_secs(1))),
        }
    }

    /// What it does, in a word.
    fn word(&self) -> &'static str {
        match self.body.under_way {
            _ if !self.works => "answers calls",
            0 => "waits for work",
            _ => "works",
        }
    }

    fn mood(&self) -> &'static str {
        match self.body.under_way {
            _ if !self.works => "still",
            0 => "good",
            _ => "busy",
        }
    }

    fn part(&self) -> &'static str {
        match self.body.role.as_str() {
            "api" => "API",
            "worker" => "worker",
            _ => "API and worker",
        }
    }

    fn memory(&self) -> String {
        self.body.memory_bytes.map_or_else(|| "–".to_owned(), text::bytes)
    }

    fn budget(&self) -> String {
        text::bytes(self.body.memory_budget_bytes)
    }
}

/// Shows the processes that are alive.
pub(in crate::api) async fn workers(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Problem> {
    caller.must_operate()?;
    let now = api.on.clock.wall();
    let heard = presence::alive(&*api.on.ledger, now).await?;
    let workers: Vec<_> = heard.iter().map(|heard| Line::new(heard, now)).collect();
    let per_second: f64 = workers.iter().map(|worker| worker.body.images_per_second).sum();
    let page = Page::of(&api, &caller, Section::System, "Workers");
    let idle = !workers.iter().any(|worker| worker.works);
    let per_second = format!("{per_second:.1}");
    Ok(super::show(StatusCode::OK, &Workers { page, tab: "workers", workers, idle, per_second }))
}
