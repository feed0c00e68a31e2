//! A request's life as it happens: Server-Sent Events, read from records, so that a watcher may come back to any
//! process at any time and miss nothing.
//!
//! An event's id is a moment: when the last image told of had ended, and which it was. A watcher holds one page of
//! images at most, and the next is read when it has taken that.

mod looks;

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures::stream;
use http::{HeaderMap, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::{ImageId, RequestId};
use pixmill_engine::model::image::Moment;
use pixmill_engine::model::request::{Progress, RequestStatus};
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::records::RequestView;
use pixmill_engine::port::records::page::may_go_on;
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use super::access::Caller;
use super::answer;
use super::problem::{Problem, ProblemBody};
use super::query::{Id, Query};
use super::view::{ImageBody, RequestBody};

pub(super) use looks::Looks;

/// How often records are asked what has changed.
const EVERY: Duration = Duration::from_millis(500);

/// Looks after which something is said even where nothing happens, so that nobody in between hangs up.
const QUIET_LOOKS: u32 = 30;

/// Most images that are read at a time.
const PAGE: usize = 100;

/// What an id that is no text is read as: whoever sends one must not begin anew and miss what was in between.
const NO_PLACE: &str = "?";

/// Stands in an id for "all images that had ended by then", after which a round is named.
const ROUND: char = '~';

/// What an image's id may hold that is written as it is in an event's: ids of other programs may hold anything, line ends
/// too, which would begin events of their own.
const ID_LETTERS: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// The longest id that is read.
const LONGEST_ID: usize = 1024;

/// Looks at images after a change of their request that find nothing: records may show an image's end a little later.
const LOOKS_AFTER: u32 = 3;

/// Looks after which images are looked at though nothing seems to have changed.
const LOOKS_ANYHOW: u32 = 20;

/// Watch a request
///
/// `text/event-stream` of `progress` (the request), `image` (an image that ended) and `completed` (the request, with
/// its rows' errors). With `Last-Event-ID` it goes on after that event. After `completed`, and when a request was
/// cancelled, the stream ends, and a watcher that comes back is told by 204 to stay away.
#[utoipa::path(
    get, operation_id = "watchRequest", path = "/v1/requests/{id}/events", tag = "requests",
    params(("id" = String, Path), ("Last-Event-ID" = Option<String>, Header, nullable = false, pattern = "^([0-9]{1,18}:(~[0-9]{0,9}|[0-9A-Za-z._%-]{1,1000}))?$", description = "Also as the parameter lastEventId")),
    responses((status = 200, body = EventBody, content_type = "text/event-stream"), (status = 204, description = "All has been told"), (status = "4XX", body = ProblemBody, content_type = "application/problem+json"))
)]
pub(super) async fn watch(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let standing = api.standing(&caller, &id).await?;
    let last = headers.get("last-event-id").map(|id| id.to_str().unwrap_or(NO_PLACE));
    let last =
        last.or(query.get("lastEventId")).filter(|last| !last.is_empty()).map(Place::parse).transpose()?;
    if last
        .as_ref()
        .is_some_and(|last| !standing.request.status.is_open() && last.round == Some(standing.request.round))
    {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let from = last.map_or(Moment { at: standing.request.updated, image: None }, |last| last.moment);
    let watcher = Watcher::new(api, caller, standing, from);
    let events = stream::try_unfold(watcher, |mut watcher| async move {
        Ok(watcher.next().await?.map(|text| (text.into_bytes(), watcher)))
    });
    Ok(answer::events(events))
}

/// An event.
#[derive(ToSchema)]
#[schema(as = Event)]
#[allow(dead_code, reason = "says in the API's description what is written below")]
pub(super) struct EventBody {
    /// progress, image or completed; none where only the place is told.
    event: Option<String>,
    /// Where to go on after it.
    id: Option<String>,
    /// The request or the image, as JSON.
    data: Option<String>,
}

/// Where a watcher is: after a moment, and at the end of a round where that was told.
#[derive(Debug, PartialEq)]
struct Place {
    moment: Moment,
    round: Option<u32>,
}

impl Place {
    fn parse(text: &str) -> Result<Self, Problem> {
        let wrong = || Problem::parameter("Last-Event-ID", "it is not the id of an event");
        let (at, rest) = text.split_once(':').filter(|_| text.len() <= LONGEST_ID).ok_or_else(wrong)?;
        let at = Timestamp(number(at).ok_or_else(wrong)?);
        Ok(match rest.strip_prefix(ROUND) {
            Some("") => Place { moment: Moment { at, image: None }, round: None },
            Some(round) => {
                let round = Some(number(round).ok_or_else(wrong)?);
                Place { moment: Moment { at, image: None }, round }
            }
            None => {
                let image = Some(image(rest).ok_or_else(wrong)?);
                Place { moment: Moment { at, image }, round: None }
            }
        })
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

/// An image's id as an event's id writes it.
fn image(text: &str) -> Option<ImageId> {
    let written = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'%');
    let plain = !text.is_empty() && text.bytes().all(written);
    plain.then(|| ImageId::from(&*percent_decode_str(text).decode_utf8_lossy()))
}

fn id_of(moment: &Moment) -> String {
    match &moment.image {
        Some(image) => {
            let image = utf8_percent_encode(image.as_str(), ID_LETTERS);
            format!("{}:{image}", moment.at.0)
        }
        None => format!("{}:{ROUND}", moment.at.0),
    }
}

struct Watcher {
    api: Arc<Api>,
    caller: Caller,
    request: RequestId,
    at: Moment,
    /// When the request changed last, and looks at its images since.
    changed: Option<Timestamp>,
    looks: u32,
    /// What was told last of the request as a whole.
    told: Option<(RequestStatus, u32, Progress)>,
    /// Events that are not sent yet: a page of images and what follows them, at most.
    waiting: VecDeque<String>,
    first: Option<RequestView>,
    ended: bool,
    quiet: u32,
}

impl Watcher {
    fn new(api: Arc<Api>, caller: Caller, standing: RequestView, at: Moment) -> Self {
        Watcher {
            api,
            caller,
            request: standing.request.id.clone(),
            at,
            changed: None,
            looks: 0,
            told: None,
            waiting: VecDeque::new(),
            first: Some(standing),
            ended: false,
            quiet: 0,
        }
    }

    /// What is to be sent next; `None` at the end.
    async fn next(&mut self) -> Result<Option<String>, Fault> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                self.quiet = 0;
                return Ok(Some(event));
            }
            if self.ended {
                return Ok(None);
            }
            if let Some(standing) = self.first.take() {
                self.tell_progress(&standing);
                continue;
            }
            self.look().await?;
            if self.waiting.is_empty() && !self.ended {
                tokio::select! {
                    () = self.api.stop.cancelled() => self.ended = true,
                    () = self.api.on.clock.sleep(EVERY) => {}
                }
                self.quiet += 1;
                if self.quiet >= QUIET_LOOKS {
                    self.waiting.push_back(": still here\n\n".to_owned());
                }
            }
        }
    }

    /// Reads what has changed. The request is read first: what it says to have ended is found among the images.
    async fn look(&mut self) -> Result<(), Fault> {
        let standing = self.api.looks.at(&*self.api.on.ledger, &self.request).await?;
        let (Some(standing), true) = (standing, self.api.access.holds(&self.caller).await?) else {
            // Deleted meanwhile, or none of the watcher's any more.
            self.ended = true;
            return Ok(());
        };
        if !self.is_worth_a_look(&standing) {
            return Ok(());
        }
        let ended = self.api.on.ledger.ended_since(&self.request, &self.at, PAGE).await?;
        let whole = !may_go_on(&ended, PAGE);
        for view in &ended {
            self.at = Moment { at: view.ended.unwrap_or_default(), image: Some(view.image.clone()) };
            let body = ImageBody::new(view, &self.api.on.links);
            self.waiting.push_back(event("image", &id_of(&self.at), &body));
        }
        if !whole {
            self.looks = 0;
            return Ok(());
        }
        let over = !standing.request.status.is_open();
        if over && self.at.at < standing.request.updated {
            self.at = Moment { at: standing.request.updated, image: None };
        }
        self.tell_progress(&standing);
        if over {
            self.tell_end(&standing).await?;
        }
        Ok(())
    }

    /// Whether an image may have ended since the last look.
    fn is_worth_a_look(&mut self, standing: &RequestView) -> bool {
        let now = (standing.request.status, standing.request.round, standing.progress);
        let unchanged = self.told == Some(now) && self.changed == Some(standing.request.updated);
        self.changed = Some(standing.request.updated);
        self.looks = if unchanged { self.looks + 1 } else { 0 };
        self.looks <= LOOKS_AFTER || self.looks.is_multiple_of(LOOKS_ANYHOW)
    }

    /// Says how far the request is, when that is news.
    fn tell_progress(&mut self, standing: &RequestView) {
        let now = (standing.request.status, standing.request.round, standing.progress);
        if self.told != Some(now) {
            self.told = Some(now);
            let body = RequestBody::new(standing, &self.api.on.links);
            self.waiting.push_back(event("progress", &id_of(&self.at), &body));
        }
    }

    async fn tell_end(&mut self, standing: &RequestView) -> Result<(), Fault> {
        self.ended = true;
        let id = format!("{}:{ROUND}{}", self.at.at.0, standing.request.round);
        if standing.request.status == RequestStatus::Completed {
            let errors = self.api.on.ledger.row_errors(&self.request).await?;
            let body = RequestBody::new(standing, &self.api.on.links).with_row_errors(errors);
            self.waiting.push_back(event("completed", &id, &body));
        } else {
            // No event, but the place from which nothing is to come.
            self.waiting.push_back(format!("id: {id}\n\n"));
        }
        Ok(())
    }
}

fn event(name: &str, id: &str, body: &impl Serialize) -> String {
    let body = serde_json::to_string(body).expect("what is shown can be written");
    let mut text = String::with_capacity(body.len() + id.len() + 32);
    let _ = write!(text, "event: {name}\nid: {id}\ndata: {body}\n\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_back() {
        let ids = ["01890a5d-ac96-774b-bcce-b302fffffffe", "a\nb: c\r\n\u{e9} %", "~1"];
        for image in ids.into_iter().map(|id| Some(ImageId::from(id))).chain([None]) {
            let moment = Moment { at: Timestamp(1_700_000_000_123), image };
            assert!(!id_of(&moment).contains(|letter: char| letter.is_control()));
            assert_eq!(Place::parse(&id_of(&moment)).unwrap(), Place { moment, round: None });
        }
        assert_eq!(Place::parse("17:~3").unwrap().round, Some(3));
        let long = format!("1:{}", "a".repeat(LONGEST_ID));
        for wrong in [
            "",
            "x",
            "17",
            "x:~",
            "17:~x",
            "+17:~",
            "-1:~",
            "17:~+1",
            "17:",
            "1:x\n\nevent: completed",
            "1:x\ry",
            "1:x y",
            "1:\u{9b}",
            &long,
        ] {
            assert!(Place::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
