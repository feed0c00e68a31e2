//! Boards on which processes leave word for each other: a document a notice. Notices run out by the server's clock, for
//! whoever reads one may be on another machine than whoever wrote it.

use async_trait::async_trait;
use mongodb::Collection;
use mongodb::bson::{Document, doc};
use pixmill_engine::fault::Fault;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::boards::{Board, Boards, FOR_GOOD, Notice};

use super::clock::Shift;
use super::command::{self, Again, Reading, find};
use super::document::{date, moment, said};
use super::fault::fault;
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

#[async_trait]
impl Boards for Mongodb {
    async fn put_up(&self, board: Board, notices: Vec<Notice>, now: Timestamp) -> Result<(), Fault> {
        let shift = self.shared.shift(now).await?;
        // What another program keeps in a collection of this name is not pixmill's.
        let over = doc! {
            "until": { "$lte": date(shift.of_server(now)) },
            "board": { "$in": Board::ALL.map(Board::as_str).to_vec() },
        };
        command::delete(&self.shared.database, schema::BOARDS, over).await?;
        let put = |notice: Notice| {
            let until = date(until_at(shift, notice.until));
            let set = doc! { "$set": { "board": board.as_str(), "text": notice.text, "until": until } };
            let mut put = command::one(doc! { "_id": id(board, &notice.name) }, set);
            put.insert("upsert", true);
            put
        };
        let puts = notices.into_iter().map(put).collect();
        command::update(&self.shared.database, schema::BOARDS, puts, Again::Safe).await.map(drop)
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

    async fn take_off(&self, board: Board, name: &str) -> Result<bool, Fault> {
        let taken = self.shared.boards().delete_one(doc! { "_id": id(board, name) }).await;
        taken.map(|taken| taken.deleted_count == 1).map_err(|error| fault(&error))
    }
}

/// A notice as its document tells it; none where it can't be read, which is told of once.
fn notice(document: &Document, first: &str, shift: Shift) -> Option<Notice> {
    let read = || {
        let name = said(document, "_id")?.strip_prefix(first)?.to_owned();
        let until = moment(document, "until")?;
        let until = if until == FOR_GOOD { until } else { shift.of_caller(until) };
        Some(Notice { name, text: said(document, "text")?.to_owned(), until })
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
}
