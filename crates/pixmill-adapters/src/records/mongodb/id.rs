//! Ids of either kind: apps use ObjectIds or strings, and both stay what they are.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, Document, doc};
use pixmill_engine::model::time::Timestamp;

/// An id as text: an ObjectId in hexadecimal. `None` for ids of other kinds, which are passed over.
pub(super) fn text(id: &Bson) -> Option<String> {
    match id {
        Bson::String(text) => Some(text.clone()),
        Bson::ObjectId(id) => Some(id.to_hex()),
        _ => None,
    }
}

/// The ObjectId that a text may stand for.
pub(super) fn object_id(text: &str) -> Option<ObjectId> {
    let lower = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'));
    if lower { ObjectId::parse_str(text).ok() } else { None }
}

/// What matches an id of either kind that reads like this.
pub(super) fn matching(text: &str) -> Bson {
    match object_id(text) {
        Some(id) => doc! { "$in": [id, text] }.into(),
        None => text.into(),
    }
}

/// Matches ids that sort after one that reads like this, any of them: strings come before ObjectIds.
pub(super) fn later(text: &str) -> Vec<Document> {
    match object_id(text) {
        Some(id) => vec![doc! { "_id": { "$gt": id } }],
        None => vec![doc! { "_id": { "$gt": text } }, doc! { "_id": { "$type": "objectId" } }],
    }
}

/// The first ObjectId that can be made at a time.
pub(super) fn first_id_of(time: Timestamp) -> ObjectId {
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(&u32::try_from(time.0.div_euclid(1_000)).unwrap_or_default().to_be_bytes());
    ObjectId::from_bytes(bytes)
}

/// Matches ids that sort before this one, any of them.
pub(super) fn earlier(id: &Bson) -> Vec<Document> {
    let mut earlier = vec![doc! { "_id": { "$lt": id.clone() } }];
    if matches!(id, Bson::ObjectId(_)) {
        earlier.push(doc! { "_id": { "$type": "string" } });
    }
    earlier
}

/// When the id was made, where it says so.
pub(super) fn made(id: &Bson) -> Option<Timestamp> {
    match id {
        Bson::ObjectId(id) => Some(Timestamp(id.timestamp().timestamp_millis())),
        _ => None,
    }
}

/// A number for an image whose app gave it no row: the same each time, and another for each image of a request (an
/// ObjectId's second and counter, or a hash of a string). Below 2^53, as numbers in JSON must be.
pub(super) fn stand_in_row(id: &Bson) -> u64 {
    match id {
        Bson::ObjectId(id) => {
            let bytes = id.bytes();
            let number = |bytes: &[u8]| bytes.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
            (number(&bytes[..4]) << 24 | number(&bytes[9..])) & ((1 << 53) - 1)
        }
        id => {
            // FNV-1a.
            let text = text(id).unwrap_or_default();
            let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            text.bytes().fold(0xcbf2_9ce4_8422_2325, step) >> 11
        }
    }
}

/// Ids of a request's rows or images, which sort in the order of the catalogue.
#[derive(Debug, Clone, Copy)]
pub(super) struct Series {
    /// Seconds since 1970, then random bytes.
    prefix: [u8; 8],
}

impl Series {
    /// A new one.
    pub(super) fn new(now: Timestamp) -> Self {
        let mut prefix = [0; 8];
        let seconds = u32::try_from(now.0 / 1_000).unwrap_or_default();
        prefix[..4].copy_from_slice(&seconds.to_be_bytes());
        prefix[4..].copy_from_slice(&uuid::Uuid::new_v4().as_bytes()[..4]);
        Series { prefix }
    }

    /// The one that has this id.
    pub(super) fn of(id: ObjectId) -> Self {
        let mut prefix = [0; 8];
        prefix.copy_from_slice(&id.bytes()[..8]);
        Series { prefix }
    }

    /// The highest id that there can be.
    pub(super) fn last(&self) -> ObjectId {
        self.id(u32::MAX)
    }

    /// The id of the one with this number, from 0.
    pub(super) fn id(&self, number: u32) -> ObjectId {
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&self.prefix);
        bytes[8..].copy_from_slice(&number.to_be_bytes());
        ObjectId::from_bytes(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_either_kind_are_found_by_their_text() {
        let id = ObjectId::parse_str("6543210fedcba98765432100").unwrap();
        assert_eq!(text(&id.into()).as_deref(), Some("6543210fedcba98765432100"));
        assert_eq!(
            matching("6543210fedcba98765432100"),
            doc! { "$in": [id, "6543210fedcba98765432100"] }.into()
        );
        assert_eq!(matching("order-17"), "order-17".into());
        // Uppercase is not how an ObjectId is written.
        assert_eq!(matching("6543210FEDCBA98765432100"), "6543210FEDCBA98765432100".into());
        assert_eq!(text(&Bson::Int32(7)), None);
    }

    #[test]
    fn a_series_sorts_in_the_order_of_its_numbers() {
        let series = Series::new(Timestamp(1_700_000_000_000));
        let ids: Vec<_> = [0, 1, 255, 256, 65_536, u32::MAX].map(|number| series.id(number)).into();
        assert!(ids.is_sorted());
        assert_eq!(made(&ids[0].into()), Some(Timestamp(1_700_000_000_000)));
        assert_ne!(series.id(0), Series::new(Timestamp(1_700_000_000_000)).id(0));
        assert_eq!(Series::of(ids[3]).last(), ids[5]);
    }

    #[test]
    fn images_without_a_row_get_one_of_their_own() {
        let mut rows: Vec<_> = (0..1_000).map(|_| stand_in_row(&ObjectId::new().into())).collect();
        rows.extend((0..1_000).map(|number| stand_in_row(&format!("image-{number}").into())));
        let count = rows.len();
        rows.sort_unstable();
        rows.dedup();
        assert_eq!(rows.len(), count);
        assert!(rows.iter().all(|row| *row < 1 << 53));
    }
}
