//! Collections, their indexes, and the fields in them.
//!
//! `requests`, `products` and `images` are the ecosystem's; what pixmill adds to their documents is one subdocument,
//! `pixmill`. Collections of its own have names that begin so. Removing both undoes everything.

use mongodb::Database;
use mongodb::bson::{Document, doc};
use pixmill_engine::fault::Fault;

use super::command::{self, Again};
use super::fault::fault;

/// Catalogues.
pub(super) const REQUESTS: &str = "requests";
/// Rows of catalogues.
pub(super) const PRODUCTS: &str = "products";
/// Images.
pub(super) const IMAGES: &str = "images";
/// A document a request that has rows which can't be used.
pub(super) const ROW_ERRORS: &str = "pixmill_row_errors";
/// Pieces of catalogues as they came.
pub(super) const ORIGINALS: &str = "pixmill_originals";
/// Tries at telling webhooks.
pub(super) const DELIVERIES: &str = "pixmill_deliveries";
/// What stands on boards, a document a notice.
pub(super) const BOARDS: &str = "pixmill_boards";
/// What pixmill must remember of the database itself, a document each.
pub(super) const STATE: &str = "pixmill_state";

/// Says that pixmill made a request: only its own are ever deleted.
pub(super) const OWN: &str = "pixmill.own";

/// An index over some documents only: those that have a field.
fn partial(name: &str, key: Document, field: &str) -> Document {
    doc! { "key": key, "name": name, "partialFilterExpression": { field: { "$exists": true } } }
}

/// Index definitions by collection. The first one of `images` serves feeding (status, then when due, then order) and
/// counting, which reads nothing but the index.
fn indexes() -> [(&'static str, Vec<Document>); 6] {
    [
        (
            REQUESTS,
            vec![
                // What an app has open, by when it says it began or changed.
                doc! { "key": { "status": 1, "createdAt": 1 }, "name": "pixmill_status" },
                doc! { "key": { "status": 1, "updatedAt": 1 }, "name": "pixmill_changes" },
                doc! { "key": { "pixmill.tenant": 1, "createdAt": -1, "_id": -1 }, "name": "pixmill_tenants" },
                // What is fed, by tenant and in the order in which it was opened.
                partial(
                    "pixmill_fed",
                    doc! { "pixmill.fed": 1, "pixmill.opened": 1, "_id": 1 },
                    "pixmill.fed",
                ),
                partial("pixmill_receiving", doc! { "pixmill.touchedAt": 1 }, "pixmill.touchedAt"),
                partial("pixmill_completed", doc! { "pixmill.completedAt": 1 }, "pixmill.completedAt"),
                partial("pixmill_unfinished", doc! { "pixmill.unfinished": 1 }, "pixmill.unfinished"),
                partial("pixmill_events", doc! { "pixmill.events.due": 1 }, "pixmill.events.due"),
            ],
        ),
        (
            PRODUCTS,
            vec![doc! { "key": { "requestId": 1, "pixmill.row": 1, "_id": 1 }, "name": "pixmill_rows" }],
        ),
        (
            IMAGES,
            vec![
                doc! {
                    "key": {
                        "requestId": 1, "status": 1, "pixmill.due": 1, "_id": 1, "pixmill.bytesBefore": 1,
                        "pixmill.bytesAfter": 1,
                    },
                    "name": "pixmill_backlog",
                },
                // Finds outputs that another worker wrote without a status.
                doc! {
                    "key": { "requestId": 1, "status": 1 },
                    "name": "pixmill_outputs",
                    "partialFilterExpression": { "outputUrl": { "$gt": "" } },
                },
                partial(
                    "pixmill_ended",
                    doc! { "requestId": 1, "pixmill.ended": 1, "_id": 1 },
                    "pixmill.ended",
                ),
                partial("pixmill_leases", doc! { "pixmill.lease.until": 1 }, "pixmill.lease.until"),
                partial(
                    "pixmill_corrections",
                    doc! { "pixmill.correction.mark": 1 },
                    "pixmill.correction.mark",
                ),
                partial("pixmill_due", doc! { "pixmill.due": 1, "_id": 1 }, "pixmill.due"),
                partial("pixmill_followers", doc! { "pixmill.sameAs": 1 }, "pixmill.sameAs"),
                partial("pixmill_noted", doc! { "requestId": 1 }, "pixmill.frames"),
                partial("pixmill_telling", doc! { "pixmill.telling": 1 }, "pixmill.telling"),
            ],
        ),
        (ORIGINALS, vec![doc! { "key": { "request": 1, "piece": 1 }, "name": "pixmill_pieces" }]),
        (
            DELIVERIES,
            vec![
                doc! { "key": { "request": 1, "_id": -1 }, "name": "pixmill_requests" },
                doc! { "key": { "tenant": 1, "_id": -1 }, "name": "pixmill_tenants" },
                doc! { "key": { "at": 1 }, "name": "pixmill_age" },
            ],
        ),
        (BOARDS, vec![doc! { "key": { "until": 1 }, "name": "pixmill_until" }]),
    ]
}

/// Makes collections and indexes where they are missing. Building them over many documents takes a while, in which the
/// server goes on with everything else.
///
/// # Errors
/// `backend.unavailable`; permanent when the user may not make indexes.
pub(super) async fn prepare(database: &Database) -> Result<(), Fault> {
    for (collection, indexes) in indexes() {
        let create = doc! { "createIndexes": collection, "indexes": indexes };
        let made = command::run(database, create, Again::Safe).await;
        made.map_err(|fault| Fault {
            message: format!(
                "the indexes of '{collection}' in '{}' can't be made: {}",
                database.name(),
                fault.message
            ),
            ..fault
        })?;
    }
    Ok(())
}

/// The names of indexes that are not there.
///
/// # Errors
/// `backend.unavailable`.
pub(super) async fn missing(database: &Database) -> Result<Vec<String>, Fault> {
    let mut missing = Vec::new();
    for (collection, indexes) in indexes() {
        let there = database.collection::<Document>(collection).list_index_names().await;
        let there = there.map_err(|error| fault(&error))?;
        let wanted = indexes.iter().filter_map(|index| index.get_str("name").ok());
        missing.extend(wanted.filter(|name| !there.iter().any(|there| there == name)).map(str::to_owned));
    }
    Ok(missing)
}
