//! Boards: small texts under names, each until a time. All that records keep beside requests stands on them: words that
//! processes leave for each other, keys, rights. What a text means, and which change may follow which, is for those to
//! say who write it ([`Keys`](crate::port::records::Keys) and its like); records only compare and set.

use async_trait::async_trait;

use crate::fault::Fault;
use crate::model::time::Timestamp;

/// What a notice is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Board {
    /// Processes that are alive, each by its own id.
    Workers,
    /// What was asked of origins and what came of it, by day and process.
    Tallies,
    /// What operators want of hosts, by host.
    Hosts,
    /// Who did what, by an id that later ones sort after.
    Audit,
    /// Keys that clients show, by their id.
    Keys,
    /// Keys that clients chose for intakes: which request each stands for.
    Intakes,
    /// Requests that are being taken in under such a key, as long as somebody is at it.
    Holders,
    /// Rights that one process has at a time: whose token holds.
    Rights,
}

impl Board {
    /// Every board.
    pub const ALL: [Board; 8] = [
        Board::Workers,
        Board::Tallies,
        Board::Hosts,
        Board::Audit,
        Board::Keys,
        Board::Intakes,
        Board::Holders,
        Board::Rights,
    ];

    /// As written in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Board::Workers => "workers",
            Board::Tallies => "tallies",
            Board::Hosts => "hosts",
            Board::Audit => "audit",
            Board::Keys => "keys",
            Board::Intakes => "intakes",
            Board::Holders => "holders",
            Board::Rights => "rights",
        }
    }

    /// Whether something is held until the times that stand there. Such times follow a wall clock that is set anew.
    pub fn holds(self) -> bool {
        matches!(self, Board::Intakes | Board::Holders | Board::Rights)
    }
}

/// Until then stands what is to stand until it is taken off: the last moment that can be written.
pub const FOR_GOOD: Timestamp = Timestamp(253_402_300_799_999);

/// Something that stands on a board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The one of this name on its board.
    pub name: String,
    /// What it says, JSON of whoever wrote it.
    pub text: String,
    /// From then on it is not shown, and forgotten soon after.
    pub until: Timestamp,
}

/// Under which condition a board is changed: what stands there under the name, if its time is not over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum On {
    /// Whatever stands there.
    Anything,
    /// Nothing does.
    Nothing,
    /// Nothing, or a notice of this text.
    NothingOr(String),
    /// A notice of this text.
    Text(String),
}

impl On {
    /// Whether the change may be made where this stands.
    pub fn allows(&self, standing: Option<&str>) -> bool {
        match (self, standing) {
            (On::Anything, _) | (On::Nothing | On::NothingOr(_), None) => true,
            (On::NothingOr(text) | On::Text(text), Some(standing)) => text == standing,
            (On::Nothing, Some(_)) | (On::Text(_), None) => false,
        }
    }
}

/// A change of a board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which board.
    pub board: Board,
    /// What is put up or taken off is called so.
    pub name: String,
    /// Under which condition.
    pub on: On,
    /// The text, and until when it stands; nothing takes off what stands there.
    pub to: Option<(String, Timestamp)>,
}

impl Change {
    /// Puts a notice up in the place of the one of its name.
    pub fn put(board: Board, notice: Notice) -> Self {
        Change { board, name: notice.name, on: On::Anything, to: Some((notice.text, notice.until)) }
    }
}

/// The boards of a server.
#[async_trait]
pub trait Boards: Send + Sync {
    /// Makes changes, each in one step if its condition holds, those without a condition before the others; whether each
    /// was made. One that takes off is made where something was there. Where a change is about something else than
    /// rights, it forgets some notices that have run out, of any board but that of rights: these are few, and whoever's
    /// clock lags behind a little must find them held.
    async fn change(&self, changes: Vec<Change>, now: Timestamp) -> Result<Vec<bool>, Fault>;

    /// Notices that stand on a board, in the order of their names from the last to the first, `most` at a time: those
    /// before a name.
    async fn standing(
        &self,
        board: Board,
        before: Option<&str>,
        most: usize,
        now: Timestamp,
    ) -> Result<Vec<Notice>, Fault>;

    /// The notice of a name.
    async fn notice(&self, board: Board, name: &str, now: Timestamp) -> Result<Option<Notice>, Fault> {
        // No name comes between one and the same with the least sign behind it.
        let last = self.standing(board, Some(&format!("{name}\u{0}")), 1, now).await?.pop();
        Ok(last.filter(|notice| notice.name == name))
    }

    /// Puts notices up, each in the place of the one of its name.
    async fn put_up(&self, board: Board, notices: Vec<Notice>, now: Timestamp) -> Result<(), Fault> {
        let changes = notices.into_iter().map(|notice| Change::put(board, notice)).collect();
        self.change(changes, now).await.map(drop)
    }

    /// Makes one change; whether it was made.
    async fn change_one(&self, change: Change, now: Timestamp) -> Result<bool, Fault> {
        Ok(self.change(vec![change], now).await?.first() == Some(&true))
    }

    /// Takes a notice off; false where there is none.
    async fn take_off(&self, board: Board, name: &str) -> Result<bool, Fault> {
        let change = Change { board, name: name.to_owned(), on: On::Anything, to: None };
        self.change_one(change, Timestamp::default()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_about_what_stands() {
        let text = || "a".to_owned();
        for (on, nothing, same, other) in [
            (On::Anything, true, true, true),
            (On::Nothing, true, false, false),
            (On::NothingOr(text()), true, true, false),
            (On::Text(text()), false, true, false),
        ] {
            assert_eq!(
                [None, Some("a"), Some("b")].map(|standing| on.allows(standing)),
                [nothing, same, other]
            );
        }
    }
}
