//! What each process of a server tells of itself to the others, and to whoever looks.

use std::time::Duration;

use pixmill_engine::fault::Fault;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::boards::{Board, Boards, Notice};
use serde::{Deserialize, Serialize};

/// A process that has not been heard of for so long is gone.
pub(crate) const ALIVE: Duration = Duration::from_secs(30);

/// Processes that are read at most.
const MOST: usize = 1_000;

/// A process, as it tells of itself. One of another version may say less.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Presence {
    /// Its own id, of this run.
    pub(crate) id: String,
    /// The machine's name.
    pub(crate) host: String,
    pub(crate) pid: u32,
    /// What part it has: `all`, `api` or `worker`.
    pub(crate) role: String,
    pub(crate) version: String,
    /// When it began, milliseconds since 1970.
    pub(crate) started: i64,
    /// Images that it ended.
    pub(crate) completed: u64,
    pub(crate) failed: u64,
    /// Images that it has begun, and that wait to be begun by it.
    pub(crate) under_way: usize,
    pub(crate) waiting: usize,
    /// Images a second that it ended lately.
    pub(crate) per_second: f64,
    /// Memory that it takes, and that it may take for pictures.
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) memory_budget: u64,
    /// Pictures that it recompresses at a time.
    pub(crate) concurrency: usize,
    /// Origins that it has to do with, the most noteworthy first.
    pub(crate) origins: Vec<Standing>,
}

/// How an origin stands in a process.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Standing {
    pub(crate) origin: String,
    pub(crate) under_way: usize,
    pub(crate) allowed: usize,
    pub(crate) waiting: usize,
    pub(crate) per_second: Option<f64>,
    pub(crate) refusals: u64,
    /// Left alone for so many milliseconds from when this was told.
    pub(crate) quiet: Option<u64>,
    /// Why.
    pub(crate) code: Option<String>,
    pub(crate) message: Option<String>,
}

/// A process that is alive, and when it was heard of last.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Heard {
    pub(crate) presence: Presence,
    pub(crate) at: Timestamp,
}

impl Presence {
    /// Whether it works on images.
    pub(crate) fn works(&self) -> bool {
        self.role != "api"
    }

    /// As it stands on its board.
    pub(crate) fn notice(&self, now: Timestamp) -> Notice {
        let text = serde_json::to_string(self).expect("text and numbers can be written");
        Notice { name: self.id.clone(), text, until: now + ALIVE }
    }
}

/// Processes that are alive, those first that began last.
///
/// # Errors
/// Those of records.
pub(crate) async fn alive(boards: &dyn Boards, now: Timestamp) -> Result<Vec<Heard>, Fault> {
    let standing = boards.standing(Board::Workers, None, MOST, now).await?;
    let heard = standing.into_iter().filter_map(|notice| {
        let presence = serde_json::from_str(&notice.text).ok()?;
        Some(Heard { presence, at: notice.until - ALIVE })
    });
    Ok(heard.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_version_tells_is_read_as_far_as_it_goes() {
        let notice = r#"{"id":"a","role":"worker","version":"9.0.0","newer":{"x":1}}"#;
        let read: Presence = serde_json::from_str(notice).unwrap();
        assert!(read.works() && read.version == "9.0.0" && read.origins.is_empty());
        let own = Presence { id: "b".into(), role: "api".into(), ..Presence::default() };
        let written = own.notice(Timestamp(5));
        assert_eq!((written.name.as_str(), written.until), ("b", Timestamp(5) + ALIVE));
        assert_eq!(serde_json::from_str::<Presence>(&written.text).unwrap(), own);
        assert!(!own.works());
    }
}
