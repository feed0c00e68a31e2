//! A catalogue from the socket into records, in constant memory, whatever form it comes in.

mod admission;
mod body;
mod coming;
mod form;
mod handover;
mod key;
mod listing;
mod memory;
mod pace;

use std::future::Future;
use std::io::Read;
use std::sync::Arc;

use axum::extract::Request;
use http::{HeaderMap, header};
use pixmill_engine::catalogue::Hints;
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::request::Options;
use pixmill_engine::model::trace::Traceparent;
use pixmill_engine::pipeline::accept::{self, Intake, Unwatched, accept};
use pixmill_engine::port::records::Records;
use pixmill_engine::port::traces::TARGET;
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;
use tracing::{Instrument, field, info_span};
use url::Url;

use super::access::{Caller, revoked};
use super::problem::Problem;
use super::query::Query;
use super::{Api, options};

pub(super) use admission::{Ticket, Uploads};
pub(super) use body::Body;
pub(super) use coming::Coming;
use coming::is_raw;
pub(super) use form::Form;
pub(super) use handover::hand_over;
pub(super) use listing::Listing;
pub(super) use memory::Memory;

/// What a catalogue is called that comes without a name.
const NAMELESS: &str = "upload.csv";

/// The longest name of a catalogue that is kept, bytes.
const LONGEST_NAME: usize = 255;

/// What images are listed in, where it is an object; a catalogue where it is an array.
const JSON: &str = "application/json";

/// Takes a catalogue in, or finds that it was taken in before under the same key.
pub(super) async fn take(
    api: &Arc<Api>,
    caller: &Caller,
    query: Query,
    request: Request,
) -> Result<RequestId, Problem> {
    let id = RequestId::new();
    let began = traceparent(request.headers());
    let span = info_span!(
        target: TARGET, parent: None, "upload", otel.kind = "server", request = %id, code = field::Empty,
        otel.status_code = field::Empty
    );
    if let Some(client) = &began {
        api.on.traces.join(&span, client);
    }
    // Where no span is made, whoever takes the request on goes on with the client's.
    let traceparent = api.on.traces.traceparent(&span).or(began);
    let taken = reserve_and_take(api, caller, query, request, id, traceparent).instrument(span.clone()).await;
    if let Err(problem) = &taken {
        span.record("code", problem.code().as_str()).record("otel.status_code", "ERROR");
    }
    taken
}

async fn reserve_and_take(
    api: &Arc<Api>,
    caller: &Caller,
    query: Query,
    request: Request,
    id: RequestId,
    traceparent: Option<Traceparent>,
) -> Result<RequestId, Problem> {
    let ticket = api.uploads.admit(&caller.tenant)?;
    let holding = key::reserve(api, caller, request.headers(), &id).await?;
    let before = holding.before();
    let upload = Upload { api: api.clone(), caller: caller.clone(), id, traceparent, before };
    let taken = tokio::select! {
        taken = upload.take(query, request, &ticket) => taken,
        problem = ticket.gives_way() => Err(problem),
        problem = api.access.is_revoked(caller) => Err(problem),
        // Runs beside it and has no end of its own.
        never = holding.hold() => match never {},
    };
    holding.end(taken.is_ok()).await;
    taken
}

/// Has a catalogue looked at as it comes, for as long as nobody else needs its place and its key holds. Of so many bytes at
/// most.
///
/// # Errors
/// Those of handing it over, and of ending before.
pub(super) async fn looked_at<T>(
    api: &Api,
    caller: &Caller,
    query: Query,
    request: Request,
    most_bytes: u64,
    look: impl AsyncFnOnce(Coming) -> Result<T, Problem>,
) -> Result<T, Problem> {
    let ticket = api.uploads.admit(&caller.tenant)?;
    let media_type = media_type(request.headers());
    let body = Body::new(request.into_body(), most_bytes, ticket.pace());
    tokio::select! {
        looked = hand_over(&media_type, query, body, look) => looked,
        problem = ticket.gives_way() => Err(problem),
        problem = api.access.is_revoked(caller) => Err(problem),
    }
}

/// An upload under way.
struct Upload {
    api: Arc<Api>,
    caller: Caller,
    /// The request that it makes.
    id: RequestId,
    /// Where its trace goes on.
    traceparent: Option<Traceparent>,
    /// The one that was made before under the same key, which must be the same.
    before: Option<RequestId>,
}

impl Upload {
    async fn take(&self, query: Query, request: Request, ticket: &Ticket) -> Result<RequestId, Problem> {
        let media_type = media_type(request.headers());
        let mut body = Body::new(request.into_body(), self.api.on.most_bytes, ticket.pace());
        if media_type == JSON && body.first().await? != Some(b'[') {
            let name = query.get("name").unwrap_or(NAMELESS).to_owned();
            return listing::take(self, &name, query.0, body).await;
        }
        // What is wrong in the query is told before the body has come.
        let early = if is_raw(&media_type) { Some(self.options(&query.0).await?) } else { None };
        hand_over(&media_type, query, body, async |coming: Coming| {
            let Coming { name, catalogue, hints, said } = coming;
            let options = async {
                match early {
                    Some(options) => Ok(options),
                    None => self.options(&said.whole().await?).await,
                }
            };
            self.consume(&name, catalogue, hints, options, true).await
        })
        .await
    }

    /// What is asked, with a webhook that may be called.
    async fn options(&self, pairs: &[(String, String)]) -> Result<Options, Problem> {
        let options = options::read(pairs, self.api.on.recipe)?;
        if let Some(address) = options.webhook.as_deref().and_then(|address| Url::parse(address).ok()) {
            self.api.on.receiver.judge(&address).await?;
        }
        Ok(options)
    }

    /// The last look before a request is made.
    async fn may_still(&self) -> Result<(), Problem> {
        match self.api.access.holds(&self.caller).await? {
            true => Ok(()),
            false => Err(revoked()),
        }
    }

    /// Makes a request of a catalogue, whose bytes are kept if these are as they came, or compares it with the one that was made before.
    async fn consume(
        &self,
        name: &str,
        catalogue: impl Read + Send + 'static,
        hints: Hints,
        options: impl Future<Output = Result<Options, Problem>> + Send,
        as_it_came: bool,
    ) -> Result<RequestId, Problem> {
        if let Some(before) = &self.before {
            return self.compare(before, catalogue, hints, options).await;
        }
        let intake = Intake {
            request: self.id.clone(),
            tenant: self.caller.tenant.to_string(),
            catalogue: shortened(name),
            hints,
            traceparent: self.traceparent.clone(),
            originals: as_it_came.then(|| self.api.on.ledger.clone() as _),
        };
        // The accept stage knows faults; the problem, which says more, is told here.
        let (tell, told) = oneshot::channel();
        let options = async move {
            let options = match self.may_still().await {
                Ok(()) => options.await,
                Err(problem) => Err(problem),
            };
            options.map_err(|problem| {
                let fault = Fault::permanent(problem.code(), problem.to_string());
                let _ = tell.send(problem);
                fault
            })
        };
        let on = &self.api.on;
        let records: Arc<dyn Records> = on.ledger.clone();
        let accepted = accept(&records, &*on.clock, catalogue, intake, options, Unwatched).await;
        match accepted {
            Ok(id) => Ok(id),
            Err(not) => Err(told.await.unwrap_or_else(|_| not.into())),
        }
    }

    async fn compare(
        &self,
        before: &RequestId,
        catalogue: impl Read + Send + 'static,
        hints: Hints,
        options: impl Future<Output = Result<Options, Problem>> + Send,
    ) -> Result<RequestId, Problem> {
        let digest = accept::apart(move || digest(catalogue, &hints))?.await;
        let digest = digest.ok().and_then(Result::ok);
        let options = options.await?;
        let known = self.api.standing(&self.caller, before.as_str()).await?.request;
        let same = digest.as_ref() == Some(&known.digest)
            && (options.recipe, options.webhook) == (known.recipe, known.webhook);
        if same {
            return Ok(before.clone());
        }
        Err(Problem::new(
            Code::IdempotencyMismatch,
            "this Idempotency-Key was used with another body or other options",
        ))
    }
}

/// Where the client's own trace goes on, when it says so.
fn traceparent(headers: &HeaderMap) -> Option<Traceparent> {
    Traceparent::parse(headers.get("traceparent")?.to_str().ok()?)
}

fn digest(mut catalogue: impl Read, hints: &Hints) -> std::io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match catalogue.read(&mut buffer)? {
            0 => return Ok(accept::digest_of(hasher, hints)),
            read => hasher.update(&buffer[..read]),
        }
    }
}

/// The media type in lower case without parameters, but whole where it is a form's, whose boundary counts.
pub(super) fn media_type(headers: &HeaderMap) -> String {
    let text = headers.get(header::CONTENT_TYPE).and_then(|text| text.to_str().ok()).unwrap_or_default();
    let kind = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match text.split_once(';') {
        Some((_, parameters)) if kind == "multipart/form-data" => format!("{kind};{parameters}"),
        _ => kind,
    }
}

/// A name without control signs, of bounded length.
fn shortened(name: &str) -> String {
    let mut kept = String::new();
    for letter in name.chars().filter(|letter| !letter.is_control()) {
        if kept.len() + letter.len_utf8() > LONGEST_NAME {
            break;
        }
        kept.push(letter);
    }
    if kept.is_empty() { NAMELESS.to_owned() } else { kept }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_are_read_without_what_does_not_count() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, text.parse().unwrap());
            media_type(&headers)
        };
        assert_eq!(of("Text/CSV; charset=utf-8"), "text/csv");
        assert_eq!(of("multipart/form-data; boundary=AaB"), "multipart/form-data; boundary=AaB");
        assert_eq!(media_type(&HeaderMap::new()), "");
    }

    #[test]
    fn names_are_bounded_and_hold_no_control_signs() {
        assert_eq!(shortened("shop\r\nx.csv"), "shopx.csv");
        assert_eq!(shortened("\0"), NAMELESS);
        assert_eq!(shortened(&"é".repeat(300)).len(), 254);
    }
}
