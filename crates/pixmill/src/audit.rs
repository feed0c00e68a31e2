//! Who did what: a line for each thing that changes what others rely on.

use std::time::Duration;

use pixmill_engine::fault::Fault;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::boards::{Board, Boards, Notice};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How long lines are kept.
const KEPT: Duration = Duration::from_secs(180 * 24 * 3600);

/// The longest text of a line that somebody else chose, characters.
const LONGEST: usize = 300;

/// Something that somebody did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Line {
    /// When, milliseconds since 1970.
    pub(crate) at: i64,
    /// Who: what a key is called, or by what right.
    pub(crate) by: String,
    /// The key's id.
    pub(crate) key: Option<String>,
    /// The address that it came from.
    pub(crate) from: Option<String>,
    /// Whose things it concerns.
    pub(crate) tenant: String,
    /// What was done, such as `key.revoked`.
    pub(crate) action: String,
    /// To what.
    pub(crate) object: String,
    /// How many things it concerns.
    pub(crate) count: Option<u64>,
    /// More about it.
    pub(crate) detail: Option<String>,
}

impl Line {
    /// What was done to something of a tenant's.
    pub(crate) fn of(tenant: &str, action: &str, object: &str) -> Self {
        let (tenant, action, object) = (tenant.to_owned(), action.to_owned(), object.to_owned());
        Line { tenant, action, object, ..Line::default() }
    }

    /// What somebody at the machine's own command line did.
    pub(crate) fn of_command_line(tenant: &str, action: &str, object: &str, detail: String) -> Self {
        let by = "command line".to_owned();
        Line { by, detail: Some(detail), ..Line::of(tenant, action, object) }
    }
}

fn cut(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

/// Writes a line.
///
/// # Errors
/// Those of records.
pub(crate) async fn write(boards: &dyn Boards, line: Line, now: Timestamp) -> Result<(), Fault> {
    let line = Line {
        at: now.0,
        by: cut(&line.by),
        object: cut(&line.object),
        detail: line.detail.as_deref().map(cut),
        ..line
    };
    let text = serde_json::to_string(&line).expect("text and numbers can be written");
    let notice = Notice { name: Uuid::now_v7().to_string(), text, until: now + KEPT };
    boards.put_up(Board::Audit, vec![notice], now).await
}

/// Lines, latest first, `most` at a time: those before a certain one. Each with its id.
///
/// # Errors
/// Those of records.
pub(crate) async fn read(
    boards: &dyn Boards,
    before: Option<&str>,
    most: usize,
    now: Timestamp,
) -> Result<Vec<(String, Line)>, Fault> {
    let standing = boards.standing(Board::Audit, before, most, now).await?;
    let line = |notice: Notice| (notice.name, serde_json::from_str(&notice.text).unwrap_or_default());
    Ok(standing.into_iter().map(line).collect())
}
