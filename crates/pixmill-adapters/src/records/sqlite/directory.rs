//! What clients ask for in sums.

use async_trait::async_trait;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::recipe::Format;
use pixmill_engine::model::request::{Progress, RequestStatus};
use pixmill_engine::model::time::{FIRST_MONDAY, Timestamp, WEEK_MS};
use pixmill_engine::port::records::{Directory, Oldest, Usage, UsagePart};
use rusqlite::params;

use super::Sqlite;
use super::id::status_in;
use super::report::progress_in;

#[async_trait]
impl Directory for Sqlite {
    async fn usage(&self, tenant: &str, from: Timestamp, until: Timestamp) -> Result<Vec<UsagePart>, Fault> {
        let tenant = tenant.to_owned();
        self.read(move |connection| {
            let mut sums = connection.prepare_cached(&format!(
                "SELECT (created - {monday}) / {WEEK_MS}, iif(json_valid(recipe), recipe ->> '$.format', NULL), count(*),
                   {SUMS} FROM requests
                 WHERE tenant = ?1 AND created >= ?2 AND created < ?3 AND status NOT IN ('receiving', 'dropped')
                 GROUP BY 1, 2",
                monday = FIRST_MONDAY.0
            ))?;
            let sums = sums.query_map(params![tenant, from.0, until.0], |row| {
                let format: Option<String> = row.get(1)?;
                let usage = Usage { requests: row.get(2)?, progress: progress_in(row, 3)? };
                Ok(UsagePart { week: row.get(0)?, format: format.as_deref().and_then(Format::named), usage })
            })?;
            Ok(sums.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn census(&self) -> Result<(Vec<(RequestStatus, u64)>, Progress), Fault> {
        self.read(|connection| {
            let mut groups = connection.prepare_cached(CENSUS)?;
            let groups = groups.query_map([], |row| {
                let status = status_in(row, 1)?;
                Ok((status, row.get::<_, u64>(0)?, progress_in(row, 2)?.shown(status)))
            })?;
            let (mut requests, mut all) = (Vec::new(), Progress::default());
            for group in groups {
                let (status, count, progress) = group?;
                requests.push((status, count));
                all += progress;
            }
            Ok((requests, all))
        })
        .await
    }

    async fn oldest(&self) -> Result<Oldest, Fault> {
        self.read(|connection| {
            let first = |statement: &str| {
                let moment: Option<i64> =
                    connection.prepare_cached(statement)?.query_row([], |row| row.get(0))?;
                Ok::<_, rusqlite::Error>(moment.map(Timestamp))
            };
            Ok(Oldest { open: first(OLDEST_OPEN)?, due: first(FIRST_DUE)? })
        })
        .await
    }
}

/// The first of those that are open, which are what the index holds.
pub(super) const OLDEST_OPEN: &str = "SELECT min(created) FROM requests INDEXED BY requests_oldest
  WHERE status IN ('pending', 'processing')";

const FIRST_DUE: &str = "SELECT min(due) FROM events WHERE due IS NOT NULL";

/// Statuses of which nothing is there are not told.
pub(super) const CENSUS: &str =
    "SELECT requests, status, pending_images, processing_images, completed_images, failed_images,
    cancelled_images, bytes_before, bytes_after
  FROM census WHERE status NOT IN ('receiving', 'dropped') AND requests > 0 ORDER BY status";

const SUMS: &str = "coalesce(sum(pending_images), 0), coalesce(sum(processing_images), 0),
    coalesce(sum(completed_images), 0), coalesce(sum(failed_images), 0), coalesce(sum(cancelled_images), 0),
    coalesce(sum(bytes_before), 0), coalesce(sum(bytes_after), 0)";
