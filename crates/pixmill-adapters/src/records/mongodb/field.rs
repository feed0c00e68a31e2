//! Names of fields, each once. What pixmill adds to documents of others is below `pixmill`; the other names are the
//! ecosystem's, and no other file knows them.
//!
//! `docs/mongodb.md` names every one of these.

// Of an application.

/// Where a request or an image stands. Missing is pending.
pub(super) const STATUS: &str = "status";
/// How many images a request has.
pub(super) const TOTAL_IMAGES: &str = "totalImages";
/// How many of them have ended.
pub(super) const PROCESSED_IMAGES: &str = "processedImages";
/// When it was made.
pub(super) const CREATED_AT: &str = "createdAt";
/// When it was changed last.
pub(super) const UPDATED_AT: &str = "updatedAt";
/// The request of a product or an image.
pub(super) const REQUEST_ID: &str = "requestId";
/// The product of an image.
pub(super) const PRODUCT_ID: &str = "productId";
/// The address of an image.
pub(super) const INPUT_URL: &str = "inputUrl";
/// Where its output is.
pub(super) const OUTPUT_URL: &str = "outputUrl";
/// What apps call the address that is told of a request.
pub(super) const APPS_WEBHOOKS: [&str; 4] = ["webhookUrl", "webhook_url", "webhook", "callback_url"];

// Of pixmill.

/// All of them.
pub(super) const PIXMILL: &str = "pixmill";

/// pixmill made it: only its own are ever deleted.
pub(super) const OWN: &str = "pixmill.own";
/// It was taken over from another program.
pub(super) const ADOPTED: &str = "pixmill.adopted";
/// Whose it is.
pub(super) const TENANT: &str = "pixmill.tenant";
/// Raised by each retry, from 1.
pub(super) const ROUND: &str = "pixmill.round";
/// The name of the file.
pub(super) const CATALOGUE: &str = "pixmill.catalogue";
/// Its columns.
pub(super) const HEADER: &str = "pixmill.header";
/// Its SHA-256.
pub(super) const DIGEST: &str = "pixmill.digest";
/// What it was understood as.
pub(super) const READING: &str = "pixmill.reading";
/// What is done to each image.
pub(super) const RECIPE: &str = "pixmill.recipe";
/// Rows that can be used.
pub(super) const ROWS: &str = "pixmill.rows";
/// Rows that can't.
pub(super) const ROW_ERRORS: &str = "pixmill.rowErrors";
/// The id of its first image, where ids are one series.
pub(super) const FIRST_IMAGE: &str = "pixmill.firstImage";
/// Images by end, written from counts.
pub(super) const COMPLETED_IMAGES: &str = "pixmill.completedImages";
/// The same.
pub(super) const FAILED_IMAGES: &str = "pixmill.failedImages";
/// The same.
pub(super) const CANCELLED_IMAGES: &str = "pixmill.cancelledImages";
/// Bytes fetched.
pub(super) const BYTES_BEFORE: &str = "pixmill.bytesBefore";
/// Bytes stored.
pub(super) const BYTES_AFTER: &str = "pixmill.bytesAfter";
/// When the last image ended.
pub(super) const COMPLETED_AT: &str = "pixmill.completedAt";
/// When its intake wrote last; gone when the intake is over.
pub(super) const TOUCHED_AT: &str = "pixmill.touchedAt";
/// The tenant while its images are fed.
pub(super) const FED: &str = "pixmill.fed";
/// Since when.
pub(super) const OPENED: &str = "pixmill.opened";
/// What is being done to it as a whole.
pub(super) const UNFINISHED: &str = "pixmill.unfinished";
/// The mark of the last change that only one can make.
pub(super) const CHANGED: &str = "pixmill.changed";
/// Of a request the mark of corrections that hold; of an image the correction that waits.
pub(super) const CORRECTION: &str = "pixmill.correction";
/// The mark of a correction that waits.
pub(super) const CORRECTION_MARK: &str = "pixmill.correction.mark";
/// Who is told.
pub(super) const WEBHOOK: &str = "pixmill.webhookUrl";
/// The trace that it belongs to.
pub(super) const TRACEPARENT: &str = "pixmill.traceparent";
/// What is to be told.
pub(super) const EVENTS: &str = "pixmill.events";
/// The id of an event.
pub(super) const EVENT_ID: &str = "pixmill.events.id";
/// When an event is to be told.
pub(super) const EVENT_DUE: &str = "pixmill.events.due";
/// Whoever tells it.
pub(super) const EVENT_LEASE: &str = "pixmill.events.lease";
/// The same of the one event that a statement is about.
pub(super) const THE_EVENT_DUE: &str = "pixmill.events.$[event].due";
/// The same.
pub(super) const THE_EVENT_LEASE: &str = "pixmill.events.$[event].lease";
/// How often it was tried.
pub(super) const THE_EVENT_TRIES: &str = "pixmill.events.$[event].tries";
/// The number of a row, from 0.
pub(super) const ROW: &str = "pixmill.row";
/// The row as it was, for results.
pub(super) const CELLS: &str = "pixmill.cells";
/// Of an image why it failed, of a row why a part of it can't be used.
pub(super) const ERROR: &str = "pixmill.error";
/// Where an image stands in its row, from 0.
pub(super) const POSITION: &str = "pixmill.position";
/// Attempts in this round.
pub(super) const ATTEMPTS: &str = "pixmill.attempts";
/// The worker that has it.
pub(super) const LEASE: &str = "pixmill.lease";
/// That one's token.
pub(super) const LEASE_TOKEN: &str = "pixmill.lease.token";
/// Until when it is held.
pub(super) const LEASE_UNTIL: &str = "pixmill.lease.until";
/// Before when it is not claimed again.
pub(super) const DUE: &str = "pixmill.due";
/// The same where another program feeds it.
pub(super) const WAIT: &str = "pixmill.wait";
/// When it ended.
pub(super) const ENDED: &str = "pixmill.ended";
/// The mark of the write that ended it.
pub(super) const SETTLED: &str = "pixmill.settled";
/// How many pictures the source had, where it had several.
pub(super) const FRAMES: &str = "pixmill.frames";
/// The image with an equal input whose end it shares.
pub(super) const SAME_AS: &str = "pixmill.sameAs";
/// Others share its own.
pub(super) const FOLLOWED: &str = "pixmill.followed";
/// They are yet to be told.
pub(super) const TELLING: &str = "pixmill.telling";

/// A field's name within `pixmill`.
pub(super) const fn inside(path: &'static str) -> &'static str {
    path.split_at(PIXMILL.len() + 1).1
}

/// A field's value, in an aggregation.
pub(super) fn value(path: &str) -> String {
    format!("${path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_within_is_what_comes_after_the_beginning() {
        assert_eq!((inside(OWN), inside(LEASE_TOKEN)), ("own", "lease.token"));
        assert_eq!(value(BYTES_AFTER), "$pixmill.bytesAfter");
    }

    /// Names stand in this file alone: what is written elsewhere is of pixmill's own collections, or of MongoDB's.
    #[test]
    fn no_other_file_names_a_field() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/records/mongodb");
        for place in ["", "/amend", "/intake"] {
            for entry in std::fs::read_dir(format!("{folder}{place}")).unwrap() {
                let path = entry.unwrap().path();
                let apart =
                    ["field.rs", "tests.rs", "papers.rs", "json.rs"].iter().any(|file| path.ends_with(file));
                if apart || path.extension().is_none_or(|extension| extension != "rs") {
                    continue;
                }
                let source = std::fs::read_to_string(&path).unwrap();
                let source = source.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
                for name in ["\"pixmill.", "\"requestId\"", "\"inputUrl\"", "\"outputUrl\"", "\"updatedAt\""]
                {
                    assert!(!source.contains(name), "{name} stands in {}", path.display());
                }
            }
        }
    }
}
