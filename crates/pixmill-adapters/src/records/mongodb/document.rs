//! What documents say, however sparse: an app leaves out what it does not know.

use mongodb::bson::{Bson, DateTime, Document, doc};
use pixmill_engine::code::Code;
use pixmill_engine::model::id::{ImageId, RequestId};
use pixmill_engine::model::image::{Candidate, Failure, ImageStatus, Output};
use pixmill_engine::model::request::{Progress, RequestStatus};
use pixmill_engine::model::row::Slot;
use pixmill_engine::model::time::Timestamp;

use super::id::{stand_in_row, text};

/// A moment as documents hold it.
pub(super) fn date(moment: Timestamp) -> DateTime {
    DateTime::from_millis(moment.0)
}

/// The ends that a document counts, a request or an event.
pub(super) fn ends(document: &Document) -> Progress {
    let count = |name| whole(document, name).unwrap_or_default();
    Progress {
        completed: count("completedImages"),
        failed: count("failedImages"),
        cancelled: count("cancelledImages"),
        bytes_before: count("bytesBefore"),
        bytes_after: count("bytesAfter"),
        ..Progress::default()
    }
}

/// A moment in a document.
pub(super) fn moment(document: &Document, name: &str) -> Option<Timestamp> {
    document.get_datetime(name).ok().map(|date| Timestamp(date.timestamp_millis()))
}

/// A whole number in a document, of whatever type; nothing where it is missing or negative.
pub(super) fn whole(document: &Document, name: &str) -> Option<u64> {
    match document.get(name)? {
        Bson::Int32(number) => u64::try_from(*number).ok(),
        Bson::Int64(number) => u64::try_from(*number).ok(),
        Bson::Double(number) if *number >= 0.0 => Some(*number as u64),
        _ => None,
    }
}

/// A text in a document, empty where there is none.
pub(super) fn string<'d>(document: &'d Document, name: &str) -> &'d str {
    document.get_str(name).unwrap_or_default()
}

/// The value of a field, for a compare-and-set: what is missing equals null.
pub(super) fn as_it_is(document: &Document, name: &str) -> Bson {
    document.get(name).cloned().unwrap_or(Bson::Null)
}

/// The state that a request's document tells. Without one, or with one that pixmill does not know, it is pending.
pub(super) fn request_status(document: &Document) -> RequestStatus {
    let told = string(document, "status");
    RequestStatus::ALL.into_iter().find(|status| status.as_str() == told).unwrap_or(RequestStatus::Pending)
}

/// The state that an image's document tells. One with an output is completed whatever its status, for another worker
/// may have written it; without a status, or with one that pixmill does not know, it is pending.
pub(super) fn image_status(document: &Document) -> ImageStatus {
    if !string(document, "outputUrl").is_empty() {
        return ImageStatus::Completed;
    }
    let told = string(document, "status");
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

/// Matches the status of requests that are open: pending, processing, or something that only their app knows.
pub(super) fn open() -> Document {
    let closed = RequestStatus::ALL.into_iter().filter(|status| !status.is_open());
    doc! { "$nin": closed.map(RequestStatus::as_str).collect::<Vec<_>>() }
}

/// Whether the document says that pixmill made it.
pub(super) fn is_own(document: &Document) -> bool {
    string(document, super::schema::MADE_BY) == super::schema::PIXMILL
}

/// The fields of a [`Candidate`].
pub(super) fn candidate_fields() -> Document {
    doc! { "requestId": 1, "inputUrl": 1, "attempts": 1 }
}

/// An image that may be claimed in a round of its request; none where its ids or its input can't be read.
pub(super) fn candidate(document: &Document, round: u32) -> Option<Candidate> {
    Some(Candidate {
        image: image_id(document)?,
        request: request_id(document)?,
        input: document.get_str("inputUrl").ok()?.to_owned(),
        round,
        attempts: whole(document, "attempts").unwrap_or_default() as u32,
    })
}

/// The id of an image's document.
pub(super) fn image_id(document: &Document) -> Option<ImageId> {
    document.get("_id").and_then(text).map(ImageId::from)
}

/// The request that an image's document names.
pub(super) fn request_id(document: &Document) -> Option<RequestId> {
    document.get("requestId").and_then(text).map(RequestId::from)
}

/// Row and position of an image.
pub(super) fn place(document: &Document) -> (u64, u32) {
    let position = whole(document, "position").and_then(|position| u32::try_from(position).ok());
    let row = whole(document, "row").unwrap_or_else(|| stand_in_row(&as_it_is(document, "_id")));
    (row, position.unwrap_or_default())
}

/// The fields of a [`Slot`].
pub(super) fn slot_fields() -> Document {
    doc! { "status": 1, "outputUrl": 1, "bytesBefore": 1, "bytesAfter": 1, "error": 1 }
}

/// An image on its way into results.
pub(super) fn slot(document: &Document, request: RequestStatus) -> Slot {
    let status = image_status(document);
    match status {
        ImageStatus::Completed => Slot { status, output: Some(output(document)), failure: None },
        ImageStatus::Failed => Slot { status, output: None, failure: Some(failure(document)) },
        // Until the cancelling has reached them all.
        _ if request == RequestStatus::Cancelled => {
            Slot { status: ImageStatus::Cancelled, output: None, failure: None }
        }
        status => Slot { status, output: None, failure: None },
    }
}

fn output(document: &Document) -> Output {
    Output {
        location: string(document, "outputUrl").to_owned(),
        bytes_before: whole(document, "bytesBefore").unwrap_or_default(),
        bytes_after: whole(document, "bytesAfter").unwrap_or_default(),
    }
}

/// Why an image failed; another worker may have kept a text of its own, or none.
pub(super) fn failure(document: &Document) -> Failure {
    match document.get("error") {
        Some(Bson::Document(error)) => Failure {
            code: Code::parse(string(error, "code")).unwrap_or(Code::AttemptsExhausted),
            message: string(error, "message").to_owned(),
        },
        Some(Bson::String(told)) => Failure { code: Code::AttemptsExhausted, message: told.clone() },
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
        let ours = doc! { "error": { "code": "fetch.dns", "message": "no such host" } };
        assert_eq!(failure(&ours).code, Code::FetchDns);
        assert_eq!(failure(&doc! { "error": "ECONNREFUSED" }).message, "ECONNREFUSED");
        assert!(!failure(&doc! {}).message.is_empty());
    }
}
