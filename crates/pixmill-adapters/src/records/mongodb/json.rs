//! Documents as JSON and back: ids and dates as MongoDB's extended JSON has them, though dates as milliseconds.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, DateTime, Document};
use serde_json::{Map, Number, Value, json};

/// As JSON.
pub(super) fn value(bson: Bson) -> Value {
    match bson {
        Bson::String(text) => text.into(),
        Bson::Boolean(flag) => flag.into(),
        Bson::Int32(number) => number.into(),
        Bson::Int64(number) => number.into(),
        Bson::Double(number) => Number::from_f64(number).map_or(Value::Null, Value::Number),
        Bson::ObjectId(id) => json!({ "$oid": id.to_hex() }),
        Bson::DateTime(at) => json!({ "$date": at.timestamp_millis() }),
        Bson::Decimal128(number) => json!({ "$numberDecimal": number.to_string() }),
        Bson::Array(list) => list.into_iter().map(value).collect(),
        Bson::Document(fields) => {
            Value::Object(fields.into_iter().map(|(key, field)| (key, value(field))).collect::<Map<_, _>>())
        }
        Bson::Binary(binary) => {
            binary.to_uuid().map_or(Value::Null, |uuid| json!({ "$uuid": uuid.to_string() }))
        }
        // What no address, id or count is.
        _ => Value::Null,
    }
}

/// From JSON; a document with nothing in it where it is none.
pub(super) fn document(value: &Value) -> Document {
    let Value::Object(fields) = value else { return Document::new() };
    fields.iter().map(|(key, value)| (key.clone(), bson(value))).collect()
}

fn bson(value: &Value) -> Bson {
    match value {
        Value::Null => Bson::Null,
        Value::Bool(flag) => (*flag).into(),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => i32::try_from(number).map_or(Bson::Int64(number), Bson::Int32),
            (None, number) => Bson::Double(number.unwrap_or_default()),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(list) => Bson::Array(list.iter().map(bson).collect()),
        Value::Object(fields) => extended(fields).unwrap_or_else(|| document(value).into()),
    }
}

/// What is more than JSON.
fn extended(fields: &Map<String, Value>) -> Option<Bson> {
    let (key, value) = fields.iter().next().filter(|_| fields.len() == 1)?;
    match (key.as_str(), value) {
        ("$oid", Value::String(id)) => ObjectId::parse_str(id).ok().map(Bson::ObjectId),
        ("$date", Value::Number(at)) => at.as_i64().map(|at| Bson::DateTime(DateTime::from_millis(at))),
        ("$numberDecimal", Value::String(number)) => number.parse().ok().map(Bson::Decimal128),
        ("$uuid", Value::String(uuid)) => mongodb::bson::Uuid::parse_str(uuid).ok().map(Bson::from),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::doc;

    use super::*;

    #[test]
    fn documents_come_back_as_they_were() {
        let id = ObjectId::new();
        let written = doc! {
            "_id": id, "n": 3, "big": 5_000_000_000_i64, "half": 0.5, "at": DateTime::from_millis(1_700_000_000_000),
            "list": ["a", { "b": Bson::Null }], "flag": true,
        };
        let read = value(written.clone().into());
        assert_eq!(read["_id"], json!({ "$oid": id.to_hex() }));
        assert_eq!(read["at"], json!({ "$date": 1_700_000_000_000_i64 }));
        let mut back: Vec<_> = document(&read).into_iter().collect();
        let mut written: Vec<_> = written.into_iter().collect();
        back.sort_by(|one, other| one.0.cmp(&other.0));
        written.sort_by(|one, other| one.0.cmp(&other.0));
        assert_eq!(back, written);
    }

    #[test]
    fn what_only_looks_like_an_id_stays_what_it_is() {
        let value = json!({ "a": { "$oid": "no id" } });
        assert_eq!(document(&value), doc! { "a": { "$oid": "no id" } });
    }
}
