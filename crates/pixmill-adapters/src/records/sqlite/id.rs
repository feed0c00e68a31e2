//! How images are named: by a number within their request, outside as a UUID that begins like the request's.
//!
//! An image's id shares the first 96 bits with its request's, and the last 32 are the request's plus the image's number
//! plus one. So ids take no room in the database, and one is found without an index of its own.

use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::{ImageId, RequestId};
use pixmill_engine::model::request::RequestStatus;
pub(super) use pixmill_engine::port::records::unknown;
use rusqlite::{Connection, OptionalExtension};
use uuid::Uuid;

use super::fault::Broken;

/// Bits of a key that number rows and images within their request.
const NUMBER_BITS: u32 = 32;

/// The key of a row or an image.
pub(super) fn key(request: i64, number: u64) -> i64 {
    request << NUMBER_BITS | number as i64
}

/// The request and the number that a key is made of.
pub(super) fn parts(key: i64) -> (i64, u32) {
    (key >> NUMBER_BITS, key as u32)
}

/// Most rows, and most images, of a request.
pub(super) const MOST: u64 = u32::MAX as u64;

/// The public id of an image.
pub(super) fn image_id(request: Uuid, number: u32) -> ImageId {
    let request = request.as_u128();
    let last = (request as u32).wrapping_add(number).wrapping_add(1);
    ImageId::from(Uuid::from_u128(request & !LAST | u128::from(last)).to_string())
}

/// The last 32 bits of an id.
const LAST: u128 = u32::MAX as u128;

/// An id as it is written; `None` for what pixmill would not have written.
fn parse(text: &str) -> Option<Uuid> {
    let id = Uuid::try_parse(text).ok()?;
    (id.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == text).then_some(id)
}

/// A request, as far as work on its images must know it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner {
    /// `requests.num`.
    pub(super) num: i64,
    pub(super) uuid: Uuid,
    pub(super) status: RequestStatus,
    pub(super) round: u32,
}

const OWNER: &str =
    "SELECT num, id, status, round FROM requests WHERE id BETWEEN ?1 AND ?2 AND status <> 'dropped'";

fn read_owner(connection: &Connection, first: &str, last: &str) -> rusqlite::Result<Option<Owner>> {
    connection
        .prepare_cached(OWNER)?
        .query_row([first, last], |row| {
            Ok(Owner {
                num: row.get(0)?,
                uuid: uuid_in(row, 1)?,
                status: status_in(row, 2)?,
                round: row.get(3)?,
            })
        })
        .optional()
}

/// A request by its id.
pub(super) fn owner(connection: &Connection, id: &RequestId) -> rusqlite::Result<Option<Owner>> {
    read_owner(connection, id.as_str(), id.as_str())
}

/// A request that must be there.
pub(super) fn known_owner(connection: &Connection, id: &RequestId) -> Result<Owner, Broken> {
    owner(connection, id)?.ok_or_else(|| unknown(id).into())
}

/// Refuses an id that can't be a request's, or whose images' ids would be another request's.
pub(super) fn check_new(connection: &Connection, id: &RequestId) -> Result<(), Broken> {
    let Some(uuid) = parse(id.as_str()) else {
        return Err(Fault::permanent(Code::RequestState, format!("'{id}' is no UUID")).into());
    };
    let (first, last) = family(uuid);
    let taken = connection
        .prepare_cached("SELECT 1 FROM requests WHERE id BETWEEN ?1 AND ?2")?
        .exists([first, last])?;
    if taken {
        return Err(Fault::permanent(Code::RequestState, format!("the id {id} is in use")).into());
    }
    Ok(())
}

/// The first and the last id that begin like this one.
fn family(id: Uuid) -> (String, String) {
    let id = id.as_u128();
    (Uuid::from_u128(id & !LAST).to_string(), Uuid::from_u128(id | LAST).to_string())
}

/// Finds images by their ids. Remembers the last request, for images come in runs of the same one.
pub(super) struct Finder<'c> {
    connection: &'c Connection,
    last: Option<(u128, Option<Owner>)>,
}

impl<'c> Finder<'c> {
    pub(super) fn new(connection: &'c Connection) -> Self {
        Finder { connection, last: None }
    }

    /// The image's request and its key; `None` where there is no such request. The image itself may be missing.
    pub(super) fn find(&mut self, image: &ImageId) -> rusqlite::Result<Option<(Owner, i64)>> {
        let Some(id) = parse(image.as_str()) else { return Ok(None) };
        let prefix = id.as_u128() & !LAST;
        let owner = match self.last {
            Some((last, owner)) if last == prefix => owner,
            _ => {
                let (first, last) = family(id);
                let owner = read_owner(self.connection, &first, &last)?;
                self.last = Some((prefix, owner));
                owner
            }
        };
        Ok(owner.map(|owner| {
            let number = (id.as_u128() as u32).wrapping_sub(owner.uuid.as_u128() as u32).wrapping_sub(1);
            (owner, key(owner.num, u64::from(number)))
        }))
    }
}

/// A column that holds an id.
pub(super) fn uuid_in(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Uuid> {
    Uuid::try_parse(row.get_ref(column)?.as_str()?).map_err(|error| broken(column, error))
}

/// A column that holds a request's status.
pub(super) fn status_in(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<RequestStatus> {
    let text = row.get_ref(column)?.as_str()?;
    let status = RequestStatus::ALL.into_iter().find(|status| status.as_str() == text);
    status.ok_or_else(|| broken(column, format!("no status '{text}'")))
}

/// A column that holds what it can't.
pub(super) fn broken(
    column: usize,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_by_request_then_number() {
        assert!(key(1, MOST) < key(2, 0));
        assert!(key(2, 0) < key(2, 1));
        assert_eq!(parts(key(7, 3_000_000_000)), (7, 3_000_000_000));
    }

    #[test]
    fn images_of_a_request_are_numbered_on_even_past_the_last_bits() {
        let request = Uuid::try_parse("01890a5d-ac96-774b-bcce-b302fffffffe").unwrap();
        assert_eq!(image_id(request, 0).as_str(), "01890a5d-ac96-774b-bcce-b302ffffffff");
        assert_eq!(image_id(request, 1).as_str(), "01890a5d-ac96-774b-bcce-b30200000000");
    }

    #[test]
    fn ids_written_otherwise_are_unknown() {
        for id in ["", "x", "01890A5D-AC96-774B-BCCE-B302FFFFFFFE", "01890a5dac96774bbcceb302fffffffe"] {
            assert!(parse(id).is_none(), "{id}");
        }
    }
}
