//! Boards on which processes leave word for each other: a document a notice. Notices run out by the server's clock, for
//! whoever reads one may be on another machine than whoever wrote it.

use async_trait::async_trait;
use mongodb::Collection;
use mongodb::bson::{self, DateTime, Document, doc};
use pixmill_engine::fault::Fault;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::boards::{Board, Boards, Change, FOR_GOOD, Notice, On};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::clock::Shift;
use super::command::{self, Again, Reading, broken, find};
use super::document::{date, said, writable};
use super::fault::{fault, is_duplicate};
use super::{Mongodb, Shared, odd, schema};

/// Parts a board's name from a notice's, and the sign after it, so that a range of ids is a board.
const BETWEEN: &str = "/";
const BEYOND: &str = "0";

fn id(board: Board, name: &str) -> String {
    format!("{}{BETWEEN}{name}", board.as_str())
}

/// What is to stand for good does, whatever the clocks say.
fn until_at(shift: Shift, until: Timestamp) -> Timestamp {
    if until == FOR_GOOD { FOR_GOOD } else { shift.of_server(until).min(FOR_GOOD) }
}

/// Matches the boards on which notices are forgotten. What another program keeps in a collection of this name is not
/// pixmill's.
fn of_a_board() -> Document {
    let boards = Board::ALL.into_iter().filter(|board| *board != Board::Rights);
    doc! { "$in": boards.map(Board::as_str).collect::<Vec<_>>() }
}

#[async_trait]
impl Boards for Mongodb {
    async fn change(&self, changes: Vec<Change>, now: Timestamp) -> Result<Vec<bool>, Fault> {
        let shared = &self.shared;
        let shift = shared.shift(now).await?;
        // Rights are renewed all the time, and there are few.
        if changes.iter().all(|change| change.board != Board::Rights) {
            let over = doc! { "until": { "$lte": date(shift.of_server(now)) }, "board": of_a_board() };
            command::delete(&shared.database, schema::BOARDS, over).await?;
        }
        let mut puts = Vec::new();
        for change in changes.iter().filter(|change| change.on == On::Anything) {
            let Some(standing) = Standing::of(change, shift, None) else { continue };
            let set = doc! { "$set": standing.document()? };
            let mut put = command::one(doc! { "_id": id(change.board, &change.name) }, set);
            put.insert("upsert", true);
            puts.push(put);
        }
        command::update(&shared.database, schema::BOARDS, puts, Again::Safe).await?;
        let mut made = Vec::with_capacity(changes.len());
        for change in changes {
            made.push(match (&change.on, &change.to) {
                (On::Anything, Some(_)) => true,
                (_, None) => shared.take_off(&change, shift.of_server(now)).await?,
                _ => shared.put_if(&change, shift, shift.of_server(now)).await?,
            });
        }
        Ok(made)
    }

    async fn standing(
        &self,
        board: Board,
        before: Option<&str>,
        most: usize,
        now: Timestamp,
    ) -> Result<Vec<Notice>, Fault> {
        let shift = self.shared.shift(now).await?;
        let first = id(board, "");
        let end = before.map_or_else(|| format!("{}{BEYOND}", board.as_str()), |name| id(board, name));
        let standing = doc! {
            "_id": { "$gte": &first, "$lt": end },
            "until": { "$gt": date(shift.of_server(now)) },
        };
        let latest_first = Reading { order: doc! { "_id": -1 }, most, ..Reading::default() };
        let found = find(&self.shared.boards(), standing, latest_first).await?;
        Ok(found.iter().filter_map(|document| notice(document, &first, shift)).collect())
    }
}

/// A notice's document, but for its id.
#[derive(Debug, Serialize, Deserialize)]
struct Standing {
    board: String,
    text: String,
    until: DateTime,
    /// The mark of the change that put it up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<String>,
}

impl Standing {
    /// What a change puts up; none for one that takes off.
    fn of(change: &Change, shift: Shift, by: Option<String>) -> Option<Standing> {
        let (text, until) = change.to.clone()?;
        let until = date(until_at(shift, until));
        Some(Standing { board: change.board.as_str().to_owned(), text, until, by })
    }

    fn document(&self) -> Result<Document, Fault> {
        bson::serialize_to_document(self).map_err(|_| broken("a notice that is to be put up"))
    }
}

/// Matches what stands under a change's name where its condition is about that; none where nothing may stand there.
fn standing(change: &Change, now: Timestamp) -> Document {
    let mut standing = doc! { "_id": id(change.board, &change.name) };
    let (over, until) = (doc! { "$lte": date(now) }, doc! { "$gt": date(now) });
    match &change.on {
        On::Anything => {}
        On::Nothing => _ = standing.insert("until", over),
        On::NothingOr(text) => {
            _ = standing.insert("$or", vec![doc! { "text": text }, doc! { "until": over }])
        }
        On::Text(text) => standing.extend(doc! { "text": text, "until": until }),
    }
    standing
}

/// A notice as its document tells it; none where it can't be read, which is told of once.
fn notice(document: &Document, first: &str, shift: Shift) -> Option<Notice> {
    let read = || {
        let name = said(document, "_id")?.strip_prefix(first)?.to_owned();
        let standing: Standing = bson::deserialize_from_document(document.clone()).ok()?;
        let until = writable(standing.until)?;
        let until = if until == FOR_GOOD { until } else { shift.of_caller(until) };
        Some(Notice { name, text: standing.text, until })
    };
    let notice = read();
    if notice.is_none() {
        odd::tell(schema::BOARDS, document, "it is no notice");
    }
    notice
}

impl Shared {
    fn boards(&self) -> Collection<Document> {
        self.database.collection(schema::BOARDS)
    }

    async fn take_off(&self, change: &Change, now: Timestamp) -> Result<bool, Fault> {
        let taken = self.boards().delete_one(standing(change, now)).await;
        taken.map(|taken| taken.deleted_count == 1).map_err(|error| fault(&error))
    }

    /// Puts a notice up where its condition holds; whether it did. Each try has a mark of its own, so that a lost answer
    /// says nothing wrong.
    async fn put_if(&self, change: &Change, shift: Shift, now: Timestamp) -> Result<bool, Fault> {
        let by = Uuid::new_v4().to_string();
        let Some(put) = Standing::of(change, shift, Some(by.clone())) else { return Ok(false) };
        let put = put.document()?;
        let mut first = put.clone();
        first.insert("_id", id(change.board, &change.name));
        // What is more likely comes first: a right is there mostly, and nothing stands where nothing may.
        if change.on == On::Nothing && self.insert(&first).await? {
            return Ok(true);
        }
        let written = vec![command::one(standing(change, now), doc! { "$set": put })];
        let written = command::update(&self.database, schema::BOARDS, written, Again::Safe).await?;
        if written.may_be_ours() {
            let ours = doc! { "_id": id(change.board, &change.name), "by": by };
            return Ok(self.boards().find_one(ours).await.map_err(|error| fault(&error))?.is_some());
        }
        if written.matched > 0 {
            return Ok(true);
        }
        Ok(matches!(change.on, On::NothingOr(_)) && self.insert(&first).await?)
    }

    /// Puts a notice up where none is, even one that has run out; whether none was.
    async fn insert(&self, notice: &Document) -> Result<bool, Fault> {
        match self.boards().insert_one(notice).await {
            Ok(_) => Ok(true),
            Err(error) if is_duplicate(&error) => Ok(false),
            Err(error) => Err(fault(&error)),
        }
    }
}
