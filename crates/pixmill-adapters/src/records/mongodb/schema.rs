//! Collections, their indexes, and the fields in them.
//!
//! `requests`, `products` and `images` are the ecosystem's; what pixmill adds to their documents stands beside.

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
pub(super) const ROW_ERRORS: &str = "row_errors";
/// Tries at telling webhooks.
pub(super) const DELIVERIES: &str = "deliveries";
/// Keys that clients show.
pub(super) const KEYS: &str = "pixmill_keys";
/// Keys that clients chose for their intakes.
pub(super) const IDEMPOTENCY: &str = "pixmill_idempotency";
/// What pixmill must remember of the database itself, a document each.
pub(super) const STATE: &str = "pixmill";

/// Who made a document: only pixmill's own are ever deleted.
pub(super) const MADE_BY: &str = "madeBy";
/// What `madeBy` says in pixmill's own.
pub(super) const PIXMILL: &str = "pixmill";

/// Index definitions by collection. The first one of `images` serves feeding (status, then when due, then order) and
/// counting, which reads nothing but the index.
fn indexes() -> [(&'static str, Vec<Document>); 5] {
    [
        (
            REQUESTS,
            vec![
                doc! { "key": { "status": 1, "createdAt": 1 }, "name": "pixmill_status" },
                doc! { "key": { "tenant": 1, "createdAt": -1, "_id": -1 }, "name": "pixmill_tenants" },
                doc! {
                    "key": { "unfinished": 1 },
                    "name": "pixmill_unfinished",
                    "partialFilterExpression": { "unfinished": { "$exists": true } },
                },
                doc! {
                    "key": { "events.due": 1 },
                    "name": "pixmill_events",
                    "partialFilterExpression": { "events.due": { "$exists": true } },
                },
            ],
        ),
        (PRODUCTS, vec![doc! { "key": { "requestId": 1, "row": 1, "_id": 1 }, "name": "pixmill_rows" }]),
        (
            IMAGES,
            vec![
                doc! {
                    "key": { "requestId": 1, "status": 1, "due": 1, "_id": 1, "bytesBefore": 1, "bytesAfter": 1 },
                    "name": "pixmill_backlog",
                },
                // Finds outputs that another worker wrote without a status.
                doc! {
                    "key": { "requestId": 1, "status": 1 },
                    "name": "pixmill_outputs",
                    "partialFilterExpression": { "outputUrl": { "$gt": "" } },
                },
                doc! {
                    "key": { "requestId": 1, "ended": 1, "_id": 1 },
                    "name": "pixmill_ended",
                    "partialFilterExpression": { "ended": { "$exists": true } },
                },
                doc! {
                    "key": { "correction.mark": 1 },
                    "name": "pixmill_corrections",
                    "partialFilterExpression": { "correction.mark": { "$exists": true } },
                },
                doc! {
                    "key": { "due": 1, "_id": 1 },
                    "name": "pixmill_due",
                    "partialFilterExpression": { "due": { "$exists": true } },
                },
                doc! {
                    "key": { "sameAs": 1 },
                    "name": "pixmill_followers",
                    "partialFilterExpression": { "sameAs": { "$exists": true } },
                },
                doc! {
                    "key": { "telling": 1 },
                    "name": "pixmill_telling",
                    "partialFilterExpression": { "telling": { "$exists": true } },
                },
            ],
        ),
        (
            DELIVERIES,
            vec![
                doc! { "key": { "request": 1, "_id": -1 }, "name": "pixmill_deliveries" },
                doc! { "key": { "tenant": 1, "_id": -1 }, "name": "pixmill_tenants" },
                doc! { "key": { "at": 1 }, "name": "pixmill_age" },
            ],
        ),
        (
            IDEMPOTENCY,
            vec![
                doc! { "key": { "request": 1 }, "name": "pixmill_holders" },
                doc! { "key": { "at": 1 }, "name": "pixmill_age" },
            ],
        ),
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
