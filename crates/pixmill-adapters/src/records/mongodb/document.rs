//! What documents say, however sparse: an app leaves out what it does not know. What pixmill keeps in them is one
//! subdocument, `pixmill`, whose fields are named by their paths.

use std::ops::RangeInclusive;

use mongodb::bson::{Bson, DateTime, Document, doc};
use pixmill_engine::code::Code;
use pixmill_engine::model::id::{ImageId, RequestId};
use pixmill_engine::model::image::{Candidate, Failure, ImageStatus, Output};
use pixmill_engine::model::request::{Progress, RequestStatus};
use pixmill_engine::model::row::Slot;
use pixmill_engine::model::time::Timestamp;

use super::field::{self, inside};
use super::id::{stand_in_row, text};

/// What stands at a path, such as `pixmill.lease.token`.
pub(super) fn at<'d>(document: &'d Document, path: &str) -> Option<&'d Bson> {
    match path.split_once('.') {
        Some((first, rest)) => at(document.get_document(first).ok()?, rest),
        None => document.get(path),
    }
}

/// Matches `pixmill` in documents to which pixmill can add: an app may have a field of that name, of whatever kind.
pub(super) fn addable() -> Document {
    let others = ["double", "string", "array", "binData", "objectId", "bool", "date", "null", "regex", "int"];
    let others = others.into_iter().chain(["long", "decimal", "timestamp", "javascript", "minKey", "maxKey"]);
    doc! { "$not": { "$type": others.collect::<Vec<_>>() } }
}

/// A moment as documents hold it.
pub(super) fn date(moment: Timestamp) -> DateTime {
    DateTime::from_millis(moment.0)
}

/// The ends that a document counts: what pixmill keeps in a request, an event, or sums.
pub(super) fn ends(document: &Document) -> Progress {
    let count = |name| whole(document, name).unwrap_or_default();
    Progress {
        completed: count(inside(field::COMPLETED_IMAGES)),
        failed: count(inside(field::FAILED_IMAGES)),
        cancelled: count(inside(field::CANCELLED_IMAGES)),
        bytes_before: count(inside(field::BYTES_BEFORE)),
        bytes_after: count(inside(field::BYTES_AFTER)),
        ..Progress::default()
    }
}

/// The first and the last moment of the years 0 to 9999: beyond them nothing can be written as text.
pub(super) const WRITABLE: RangeInclusive<Timestamp> =
    Timestamp(-62_167_219_200_000)..=Timestamp(253_402_300_799_999);

/// A moment in a document.
pub(super) fn moment(document: &Document, name: &str) -> Option<Timestamp> {
    writable(*at(document, name)?.as_datetime()?)
}

/// The same of a date; none that can't be written as text.
pub(super) fn writable(date: DateTime) -> Option<Timestamp> {
    let moment = Timestamp(date.timestamp_millis());
    WRITABLE.contains(&moment).then_some(moment)
}

/// A whole number in a document, of whatever type; nothing where it is missing or negative.
pub(super) fn whole(document: &Document, name: &str) -> Option<u64> {
    match at(document, name)? {
        Bson::Int32(number) => u64::try_from(*number).ok(),
        Bson::Int64(number) => u64::try_from(*number).ok(),
        Bson::Double(number) if *number >= 0.0 => Some(*number as u64),
        _ => None,
    }
}

/// The same, as many as there can be of attempts, rounds and positions: what is more than that is not more to us.
pub(super) fn few(document: &Document, name: &str) -> Option<u32> {
    whole(document, name).map(|number| u32::try_from(number).unwrap_or(u32::MAX))
}

/// A number that tells one change from all others.
pub(super) fn number(document: &Document, name: &str) -> Option<i64> {
    at(document, name)?.as_i64()
}

/// Whether a document says so.
pub(super) fn flag(document: &Document, name: &str) -> bool {
    at(document, name).and_then(Bson::as_bool).unwrap_or(false)
}

/// A text in a document, if there is one.
pub(super) fn said<'d>(document: &'d Document, name: &str) -> Option<&'d str> {
    at(document, name)?.as_str()
}

/// A text in a document, empty where there is none.
pub(super) fn string<'d>(document: &'d Document, name: &str) -> &'d str {
    said(document, name).unwrap_or_default()
}

/// The value of a field, for a compare-and-set: what is missing equals null.
pub(super) fn as_it_is(document: &Document, name: &str) -> Bson {
    at(document, name).cloned().unwrap_or(Bson::Null)
}

/// The state that a request's document tells. Without one, or with one that pixmill does not know, it is pending.
pub(super) fn request_status(document: &Document) -> RequestStatus {
    let told = string(document, field::STATUS);
    RequestStatus::ALL.into_iter().find(|status| status.as_str() == told).unwrap_or(RequestStatus::Pending)
}

/// The state that an image's document tells. One with an output is completed whatever its status, for another worker
/// may have written it; without a status, or with one that pixmill does not know, it is pending.
pub(super) fn image_status(document: &Document) -> ImageStatus {
    if !string(document, field::OUTPUT_URL).is_empty() {
        return ImageStatus::Completed;
    }
    let told = string(document, field::STATUS);
    ImageStatus::ALL.into_iter().find(|status| status.as_str() == told).unwrap_or(ImageStatus::Pending)
}

/// Matches images that have no output yet.
pub(super) fn no_output() -> Document {
    doc! { "$in": [Bson::Null, Bson::from("")] }
}

/// Matches the status of images that may be fed.
pub(super) fn pending() -> Document {
    doc! { "$in": [Bson::Null, Bson::from(ImageStatus::Pending.as_str())] }
}

/// Matches the status of requests that are open: pending, processing, or none at all. What only their app knows is
/// left to it.
pub(super) fn open() -> Document {
    let open = RequestStatus::ALL.into_iter().filter(|status| status.is_open());
    let open = open.map(|status| Bson::from(status.as_str())).chain([Bson::Null]);
    doc! { "$in": open.collect::<Vec<_>>() }
}

/// Whether a request's document tells a state that pixmill knows.
pub(super) fn is_known(document: &Document) -> bool {
    match document.get(field::STATUS) {
        None | Some(Bson::Null) => true,
        Some(Bson::String(told)) => RequestStatus::ALL.into_iter().any(|status| status.as_str() == told),
        Some(_) => false,
    }
}

/// Whether the document says that pixmill made it.
pub(super) fn is_own(document: &Document) -> bool {
    flag(document, field::OWN)
}

/// The fields of a [`Candidate`].
pub(super) fn candidate_fields() -> Document {
    doc! { field::REQUEST_ID: 1, field::INPUT_URL: 1, field::ATTEMPTS: 1 }
}

/// An image that may be claimed in a round of its request; none where its ids or its input can't be read.
pub(super) fn candidate(document: &Document, round: u32, tenant: &str) -> Option<Candidate> {
    Some(Candidate {
        image: image_id(document)?,
        request: request_id(document)?,
        input: document.get_str(field::INPUT_URL).ok()?.to_owned(),
        round,
        attempts: few(document, field::ATTEMPTS).unwrap_or_default(),
        tenant: tenant.to_owned(),
    })
}

/// The id of an image's document.
pub(super) fn image_id(document: &Document) -> Option<ImageId> {
    document.get("_id").and_then(text).map(ImageId::from)
}

/// The request that an image's document names.
pub(super) fn request_id(document: &Document) -> Option<RequestId> {
    document.get(field::REQUEST_ID).and_then(text).map(RequestId::from)
}

/// Row and position of an image.
pub(super) fn place(document: &Document) -> (u64, u32) {
    let position = few(document, field::POSITION);
    let row = whole(document, field::ROW).unwrap_or_else(|| stand_in_row(&as_it_is(document, "_id")));
    (row, position.unwrap_or_default())
}

/// The fields of a [`Slot`].
pub(super) fn slot_fields() -> Document {
    doc! {
        field::STATUS: 1, field::OUTPUT_URL: 1, field::BYTES_BEFORE: 1, field::BYTES_AFTER: 1, field::FRAMES: 1,
        field::ERROR: 1, "error": 1,
    }
}

/// An image on its way into results.
pub(super) fn slot(document: &Document, request: RequestStatus) -> Slot {
    let status = image_status(document);
    match status {
        ImageStatus::Completed => Slot { status, output: Some(output(document)), failure: None },
        ImageStatus::Failed => Slot { status, output: None, failure: Some(failure(document)) },
        status => Slot { status: request.shows(status), output: None, failure: None },
    }
}

fn output(document: &Document) -> Output {
    Output {
        location: string(document, field::OUTPUT_URL).to_owned(),
        bytes_before: whole(document, field::BYTES_BEFORE).unwrap_or_default(),
        bytes_after: whole(document, field::BYTES_AFTER).unwrap_or_default(),
        frames: few(document, field::FRAMES).unwrap_or(1),
    }
}

/// Why an image failed; another worker may have kept a text of its own, or none.
pub(super) fn failure(document: &Document) -> Failure {
    match (at(document, field::ERROR), document.get("error")) {
        (Some(Bson::Document(error)), _) => Failure {
            code: Code::parse(string(error, "code")).unwrap_or(Code::AttemptsExhausted),
            message: string(error, "message").to_owned(),
        },
        (_, Some(Bson::Document(error))) => {
            Failure { code: Code::AttemptsExhausted, message: string(error, "message").to_owned() }
        }
        (_, Some(Bson::String(told))) => Failure { code: Code::AttemptsExhausted, message: told.clone() },
        _ => Failure { code: Code::AttemptsExhausted, message: "another worker ended it so".to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_counts_more_than_a_status() {
        for (document, status) in [
            (doc! {}, ImageStatus::Pending),
            (doc! { "status": Bson::Null }, ImageStatus::Pending),
            (doc! { "status": "queued" }, ImageStatus::Pending),
            (doc! { "status": "failed", "outputUrl": "" }, ImageStatus::Failed),
            (doc! { "outputUrl": "http://h/a.jpg" }, ImageStatus::Completed),
            (doc! { "status": "failed", "outputUrl": "http://h/a.jpg" }, ImageStatus::Completed),
            (doc! { "status": "processing", "outputUrl": Bson::Null }, ImageStatus::Processing),
        ] {
            assert_eq!(image_status(&document), status, "{document}");
        }
    }

    #[test]
    fn failures_of_other_workers_are_read() {
        let ours = doc! { "pixmill": { "error": { "code": "fetch.dns", "message": "no such host" } } };
        assert_eq!(failure(&ours).code, Code::FetchDns);
        assert_eq!(failure(&doc! { "error": "ECONNREFUSED" }).message, "ECONNREFUSED");
        assert!(!failure(&doc! {}).message.is_empty());
    }
}
