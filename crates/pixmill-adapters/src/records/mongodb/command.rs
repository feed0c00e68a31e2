//! Commands with many statements: what the driver has only for servers from 8.0 on.

use std::time::Duration;

use futures::TryStreamExt;
use mongodb::bson::{Bson, Document, doc};
use mongodb::error::{Error, RETRYABLE_WRITE_ERROR};
use mongodb::{Collection, Database};
use pixmill_engine::code::Code;
use pixmill_engine::fault::{Blame, Fault};

use super::document::as_it_is;
use super::fault::{fault, is_of_document, refused};
use super::odd;

/// Statements in one command: fewer than any server's limit.
const STATEMENTS: usize = 1_000;

/// How long a command that broke off waits before it is sent again.
const PAUSE: Duration = Duration::from_millis(100);

/// Whether a command may be sent again when its answer got lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// Sending it twice does what sending it once does.
    Safe,
    /// It counts, or asks what it changed.
    Never,
}

/// What statements did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Written {
    /// Documents that they matched.
    pub(super) matched: u64,
    /// They were sent twice: a first sending may have matched others.
    pub(super) twice: bool,
}

impl Written {
    pub(super) const NOTHING: Written = Written { matched: 0, twice: false };

    /// Whether a change that only one can make was made: it was seen to be, or may have been by a first sending.
    pub(super) fn may_be_ours(self) -> bool {
        self.matched == 0 && self.twice
    }
}

/// One statement: changes one document.
pub(super) fn one(query: Document, update: impl Into<Bson>) -> Document {
    doc! { "q": query, "u": update }
}

/// One statement: changes every document that matches.
pub(super) fn many(query: Document, update: impl Into<Bson>) -> Document {
    doc! { "q": query, "u": update, "multi": true }
}

/// Runs update statements, in no order, acknowledged by a majority. A document that can't be changed as wanted, because
/// its app keeps something else there, is told of once and counts as not matched: it holds up none beside it.
pub(super) async fn update(
    database: &Database,
    collection: &str,
    statements: Vec<Document>,
    again: Again,
) -> Result<Written, Fault> {
    let mut written = Written::NOTHING;
    let mut rest = statements.into_iter().peekable();
    while rest.peek().is_some() {
        let updates: Vec<_> = rest.by_ref().take(STATEMENTS).collect();
        let command = doc! { "update": collection, "updates": updates.clone(), "ordered": false };
        let (answer, twice) = send(database, command, again).await?;
        let answer = checked(pass_over(collection, &updates, answer))?;
        written.matched += number(&answer, "n");
        written.twice |= twice;
    }
    Ok(written)
}

/// Tells of statements that failed for what their document holds, and takes them out of the answer.
fn pass_over(collection: &str, updates: &[Document], mut answer: Document) -> Document {
    let Ok(errors) = answer.get_array_mut("writeErrors") else { return answer };
    errors.retain(|error| {
        let Some(error) = error.as_document().filter(|error| is_of_document(code(error))) else {
            return true;
        };
        let failed = usize::try_from(number(error, "index")).ok().and_then(|index| updates.get(index));
        let query = failed.and_then(|update| update.get_document("q").ok());
        let id = query.map_or(Bson::Null, |query| as_it_is(query, "_id"));
        odd::tell_of(collection, &id, error.get_str("errmsg").unwrap_or_default());
        false
    });
    if errors.is_empty() {
        answer.remove("writeErrors");
    }
    answer
}

/// Deletes every document that matches, acknowledged by a majority. How many.
pub(super) async fn delete(database: &Database, collection: &str, query: Document) -> Result<u64, Fault> {
    let deletes = vec![doc! { "q": query, "limit": 0 }];
    let (answer, _) = run(database, doc! { "delete": collection, "deletes": deletes }, Again::Safe).await?;
    Ok(number(&answer, "n"))
}

/// Runs a command that writes. The answer, and whether the command had to be sent twice.
pub(super) async fn run(
    database: &Database,
    command: Document,
    again: Again,
) -> Result<(Document, bool), Fault> {
    let (answer, twice) = send(database, command, again).await?;
    Ok((checked(answer)?, twice))
}

/// The same, whatever the answer says.
async fn send(database: &Database, mut command: Document, again: Again) -> Result<(Document, bool), Fault> {
    command.insert("writeConcern", doc! { "w": "majority", "j": true });
    match database.run_command(command.clone()).await {
        Ok(answer) => Ok((answer, false)),
        Err(error) if again == Again::Safe && may_help(&error) => {
            tokio::time::sleep(PAUSE).await;
            let answer = database.run_command(command).await.map_err(|error| fault(&error))?;
            Ok((answer, true))
        }
        Err(error) => Err(fault(&error)),
    }
}

fn may_help(error: &Error) -> bool {
    error.contains_label(RETRYABLE_WRITE_ERROR) || fault(error).transient
}

/// An answer that is `ok` may still tell of statements that failed.
fn checked(answer: Document) -> Result<Document, Fault> {
    if let Some(Bson::Document(error)) =
        answer.get_array("writeErrors").ok().and_then(|errors| errors.first())
    {
        return Err(told(error));
    }
    match answer.get_document("writeConcernError") {
        // Written, but perhaps not for good.
        Ok(error) => Err(Fault { transient: true, ..told(error) }),
        Err(_) => Ok(answer),
    }
}

fn told(error: &Document) -> Fault {
    refused(code(error), error.get_str("errmsg").unwrap_or("no reason was told"))
}

fn code(error: &Document) -> i32 {
    error.get_i32("code").unwrap_or_default()
}

/// A number in an answer, of whatever type.
fn number(answer: &Document, name: &str) -> u64 {
    let number = match answer.get(name) {
        Some(Bson::Int32(number)) => i64::from(*number),
        Some(Bson::Int64(number)) => *number,
        Some(Bson::Double(number)) => *number as i64,
        _ => 0,
    };
    u64::try_from(number).unwrap_or_default()
}

/// How documents are read.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// Which fields.
    pub(super) fields: Document,
    /// In which order; none when empty.
    pub(super) order: Document,
    /// How many at most; 0 for all.
    pub(super) most: usize,
    /// How many of the first are passed over.
    pub(super) skip: u64,
}

/// Reads documents.
pub(super) async fn find(
    collection: &Collection<Document>,
    query: Document,
    reading: Reading,
) -> Result<Vec<Document>, Fault> {
    let mut find = collection.find(query).projection(reading.fields).skip(reading.skip);
    if !reading.order.is_empty() {
        find = find.sort(reading.order);
    }
    if reading.most > 0 {
        let most = i64::try_from(reading.most).unwrap_or(i64::MAX);
        // One answer holds them all unless they are large.
        find = find.limit(most).batch_size(u32::try_from(reading.most).unwrap_or(u32::MAX));
    }
    let found = find.await.map_err(|error| fault(&error))?;
    found.try_collect().await.map_err(|error| fault(&error))
}

/// Runs an aggregation.
pub(super) async fn aggregate(
    collection: &Collection<Document>,
    pipeline: Vec<Document>,
) -> Result<Vec<Document>, Fault> {
    let found = collection.aggregate(pipeline).await.map_err(|error| fault(&error))?;
    found.try_collect().await.map_err(|error| fault(&error))
}

/// The one document with this id, of either kind.
pub(super) async fn by_id(
    collection: &Collection<Document>,
    id: &str,
    fields: Document,
) -> Result<Option<Document>, Fault> {
    let found = collection.find_one(doc! { "_id": super::id::matching(id) }).projection(fields).await;
    found.map_err(|error| fault(&error))
}

/// An answer of the server does not look as it must.
pub(super) fn broken(what: &str) -> Fault {
    let message = format!("what MongoDB answers can't be read: {what}");
    Fault::permanent(Code::BackendUnavailable, message).of(Blame::Backend)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_document_holds_fails_its_own_change_alone() {
        let updates = [one(doc! { "_id": "a" }, doc! {}), one(doc! { "_id": "b" }, doc! {})];
        let odd =
            doc! { "index": 1, "code": 28, "errmsg": "Cannot create field 'lease' in element {pixmill: 5}" };
        let answer = doc! { "ok": 1, "n": 1, "writeErrors": [odd.clone()] };
        let answer = checked(pass_over("images", &updates, answer)).unwrap();
        assert_eq!(number(&answer, "n"), 1);
        let full = doc! { "index": 0, "code": 14_031, "errmsg": "no space" };
        let answer = doc! { "ok": 1, "n": 0, "writeErrors": [odd, full] };
        assert!(checked(pass_over("images", &updates, answer)).unwrap_err().message.contains("no space"));
    }

    #[test]
    fn what_failed_in_an_answer_that_is_ok_is_told() {
        assert!(checked(doc! { "ok": 1, "n": 2 }).is_ok());
        let failed =
            doc! { "ok": 1, "n": 0, "writeErrors": [{ "index": 0, "code": 11000, "errmsg": "dup" }] };
        assert!(!checked(failed).unwrap_err().transient);
        let unsure =
            doc! { "ok": 1, "n": 1, "writeConcernError": { "code": 64, "errmsg": "waiting timed out" } };
        assert!(checked(unsure).unwrap_err().transient);
    }

    #[test]
    fn numbers_are_read_whatever_their_type() {
        for answer in [doc! { "n": 3 }, doc! { "n": 3_i64 }, doc! { "n": 3.0 }] {
            assert_eq!(number(&answer, "n"), 3);
        }
        assert_eq!(number(&doc! {}, "n"), 0);
    }
}
