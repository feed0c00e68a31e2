//! Documents of every shape, in every collection, that are nobody's business but their app's. Tests of the whole binary
//! plant them too.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{
    Binary, Bson, DateTime, Decimal128, Document, Timestamp as Stamp, doc, spec::BinarySubtype,
};

/// Collections in which others may keep documents: ours by contract, those that earlier names of ours would have met, and
/// those that are pixmill's alone.
pub(crate) const COLLECTIONS: [&str; 13] = [
    "requests",
    "products",
    "images",
    "deliveries",
    "events",
    "row_errors",
    "keys",
    "pixmill_deliveries",
    "pixmill_row_errors",
    "pixmill_originals",
    "pixmill_boards",
    "pixmill_state",
    "pixmill",
];

/// Values of every kind.
fn values(now: DateTime) -> Vec<Bson> {
    let binary = Binary { subtype: BinarySubtype::Generic, bytes: vec![1, 2] };
    vec![
        Bson::Null,
        Bson::Boolean(true),
        Bson::Int32(-7),
        Bson::Int64(i64::MAX),
        Bson::Double(f64::NAN),
        Bson::Double(1e300),
        Bson::String(String::new()),
        Bson::String("A".to_owned()),
        Bson::String("pending".to_owned()),
        Bson::String("archived".to_owned()),
        Bson::String("dropping".to_owned()),
        Bson::DateTime(DateTime::from_millis(now.timestamp_millis() - 40 * 24 * 3_600_000)),
        Bson::DateTime(now),
        Bson::ObjectId(ObjectId::new()),
        Bson::Binary(binary),
        Bson::Timestamp(Stamp { time: 1, increment: 2 }),
        Bson::Decimal128("1.5".parse::<Decimal128>().unwrap()),
        Bson::Array(vec![]),
        Bson::Array(vec!["pending".into(), doc! { "due": DateTime::from_millis(0) }.into()]),
        doc! {}.into(),
        doc! { "token": 1_i64, "until": DateTime::from_millis(0), "due": "x", "own": "yes", "round": "A" }
            .into(),
    ]
}

/// Names of fields that pixmill has, wherever it has them.
const FIELDS: [&str; 34] = [
    "status",
    "totalImages",
    "processedImages",
    "createdAt",
    "updatedAt",
    "completedAt",
    "requestId",
    "productId",
    "inputUrl",
    "outputUrl",
    "images",
    "name",
    "pixmill",
    "own",
    "madeBy",
    "round",
    "tenant",
    "header",
    "recipe",
    "events",
    "unfinished",
    "adopted",
    "fed",
    "due",
    "lease",
    "attempts",
    "error",
    "row",
    "position",
    "sameAs",
    "followed",
    "telling",
    "at",
    "request",
];

/// Ids of every kind that there can be.
fn ids(now: DateTime) -> Vec<Bson> {
    let odd = |id: &Bson| matches!(id, Bson::Array(_) | Bson::Null);
    values(now).into_iter().filter(|id| !odd(id)).collect()
}

pub(crate) fn shapes(collection: &str, now: DateTime) -> Vec<Document> {
    let before = |days: i64| DateTime::from_millis(now.timestamp_millis() - days * 24 * 3_600_000);
    let mut shapes = Vec::new();
    // Each field with each kind of value, in a document that says nothing else, or in one that is almost a request. Of
    // collections that pixmill does not read, a few do.
    let many = ["requests", "images", "products", "pixmill_deliveries"].contains(&collection);
    let values = if many { values(now) } else { values(now).split_off(10) };
    for (place, field) in FIELDS.into_iter().enumerate().filter(|(place, _)| many || place % 5 == 0) {
        for (number, value) in values.iter().cloned().enumerate() {
            if (place + number) % 2 == 0 && field != "status" {
                shapes.push(doc! { "_id": ObjectId::new(), field: value });
                continue;
            }
            let mut almost = doc! {
                "_id": format!("{collection}-{field}-{}", shapes.len()), "status": "archived", "totalImages": 3,
                "createdAt": now, "requestId": "nobody", "at": DateTime::from_millis(0),
                "attempts": 99, "row": "x", "due": DateTime::from_millis(0), "events": "none",
            };
            almost.insert(field, value);
            // A status that pixmill knows makes it a request of an app: without an image document it is still nobody's.
            shapes.push(almost);
        }
    }
    shapes.extend(ids(now).into_iter().map(|id| doc! { "_id": id, "status": "pending", "totalImages": 1 }));
    // What a shop keeps under these names.
    let old = before(90);
    shapes.push(doc! { "_id": ObjectId::new(), "at": old, "parcel": "DE-17", "status": "delivered" });
    shapes.push(
        doc! { "_id": ObjectId::new(), "status": "pending", "createdAt": old, "employee": 7, "days": 3 },
    );
    shapes
}

/// Whether pixmill made it. In its own collections that is what looks so.
pub(crate) fn is_ours(collection: &str, document: &Document) -> bool {
    let own = document.get_document("pixmill").ok();
    match collection {
        "requests" => own.and_then(|own| own.get_bool("own").ok()) == Some(true),
        "images" | "products" => {
            own.is_some_and(|own| own.get_i64("row").is_ok() || own.get_i32("row").is_ok())
        }
        "pixmill_deliveries" => document.get_str("event").is_ok(),
        "pixmill_state" => document.contains_key("since"),
        "pixmill_row_errors" => document.contains_key("errors"),
        "pixmill_originals" => document.contains_key("piece"),
        "pixmill_boards" => document.contains_key("board"),
        _ => false,
    }
}
