//! Collections, their indexes, and the fields in them.
//!
//! `requests`, `products` and `images` are the ecosystem's; what pixmill adds to their documents is one subdocument,
//! `pixmill`. Collections of its own have names that begin so. Removing both undoes everything.

use mongodb::Database;
use mongodb::bson::{Document, doc};
use pixmill_engine::fault::Fault;

use super::command::{self, Again};
use super::fault::fault;
use super::field;

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
                doc! { "key": { field::STATUS: 1, field::CREATED_AT: 1 }, "name": "pixmill_status" },
                doc! { "key": { field::STATUS: 1, field::UPDATED_AT: 1 }, "name": "pixmill_changes" },
                doc! { "key": { field::TENANT: 1, field::CREATED_AT: -1, "_id": -1 }, "name": "pixmill_tenants" },
                // What is fed, by tenant and in the order in which it was opened.
                partial("pixmill_fed", doc! { field::FED: 1, field::OPENED: 1, "_id": 1 }, field::FED),
                partial("pixmill_receiving", doc! { field::TOUCHED_AT: 1 }, field::TOUCHED_AT),
                partial("pixmill_completed", doc! { field::COMPLETED_AT: 1 }, field::COMPLETED_AT),
                partial("pixmill_unfinished", doc! { field::UNFINISHED: 1 }, field::UNFINISHED),
                partial("pixmill_events", doc! { field::EVENT_DUE: 1 }, field::EVENT_DUE),
            ],
        ),
        (
            PRODUCTS,
            vec![doc! { "key": { field::REQUEST_ID: 1, field::ROW: 1, "_id": 1 }, "name": "pixmill_rows" }],
        ),
        (
            IMAGES,
            vec![
                doc! {
                    "key": {
                        field::REQUEST_ID: 1, field::STATUS: 1, field::DUE: 1, "_id": 1, field::BYTES_BEFORE: 1,
                        field::BYTES_AFTER: 1,
                    },
                    "name": "pixmill_backlog",
                },
                // Finds outputs that another worker wrote without a status.
                doc! {
                    "key": { field::REQUEST_ID: 1, field::STATUS: 1 },
                    "name": "pixmill_outputs",
                    "partialFilterExpression": { field::OUTPUT_URL: { "$gt": "" } },
                },
                partial(
                    "pixmill_ended",
                    doc! { field::REQUEST_ID: 1, field::ENDED: 1, "_id": 1 },
                    field::ENDED,
                ),
                partial("pixmill_leases", doc! { field::LEASE_UNTIL: 1 }, field::LEASE_UNTIL),
                partial("pixmill_corrections", doc! { field::CORRECTION_MARK: 1 }, field::CORRECTION_MARK),
                partial("pixmill_due", doc! { field::DUE: 1, "_id": 1 }, field::DUE),
                partial("pixmill_followers", doc! { field::SAME_AS: 1 }, field::SAME_AS),
                partial("pixmill_noted", doc! { field::REQUEST_ID: 1 }, field::FRAMES),
                partial("pixmill_telling", doc! { field::TELLING: 1 }, field::TELLING),
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
