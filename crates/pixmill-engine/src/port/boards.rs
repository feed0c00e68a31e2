//! Boards: where the processes of one server leave word for each other and for whoever looks after them. Nothing that a
//! promise rests on is kept there.

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
}

impl Board {
    /// Every board.
    pub const ALL: [Board; 4] = [Board::Workers, Board::Tallies, Board::Hosts, Board::Audit];

    /// As written in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Board::Workers => "workers",
            Board::Tallies => "tallies",
            Board::Hosts => "hosts",
            Board::Audit => "audit",
        }
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

/// The boards of a server.
#[async_trait]
pub trait Boards: Send + Sync {
    /// Puts notices up, each in the place of the one of its name, and forgets some that have run out, of any board.
    async fn put_up(&self, board: Board, notices: Vec<Notice>, now: Timestamp) -> Result<(), Fault>;

    /// Notices that stand on a board, in the order of their names from the last to the first, `most` at a time: those
    /// before a name.
    async fn standing(
        &self,
        board: Board,
        before: Option<&str>,
        most: usize,
        now: Timestamp,
    ) -> Result<Vec<Notice>, Fault>;

    /// Takes a notice off; false where there is none.
    async fn take_off(&self, board: Board, name: &str) -> Result<bool, Fault>;
}
