//! A wall clock that is set anew voids no lease and stops nothing.
//!
//! What is held or put off until a time is stored by the wall clock, which may be stepped by hours. Every transaction that
//! writes first compares that clock with the machine's monotonic one, which all processes on it share, and moves such times
//! along with a step before anything is judged by them. A call that was made before a step and comes to be written after
//! it is refused, to be made again. What was held before the machine was started anew is held by nobody.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use pixmill_engine::code::Code;
use pixmill_engine::fault::{Blame, Fault};
use pixmill_engine::port::boards::Board;
use pixmill_engine::port::clock::Clock;
use rusqlite::{Connection, OptionalExtension, params};

/// Clocks are slewed and read one after another: what they drift by less than this is no step.
const TOLERANCE_MS: i64 = 1_000;

/// Reading both clocks takes no longer, or something came in between.
const READING: Duration = Duration::from_millis(50);

/// The furthest that anything is put off.
const FURTHEST_MS: i64 = 24 * 3_600_000;

/// How far the wall clock was ahead of the monotonic one when times were stored, and in which run of the machine.
pub(super) const MIGRATION: &str = "CREATE TABLE wall_clock (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  boot TEXT NOT NULL,
  ahead INTEGER NOT NULL
) STRICT";

/// Watches the wall clock.
#[derive(Clone)]
pub(super) struct Steps {
    clock: Arc<dyn Clock>,
    /// Names this run of the machine; none where the system tells none: then times are left as they are.
    boot: Option<Arc<str>>,
}

impl Steps {
    pub(super) fn new(clock: Arc<dyn Clock>, boot: Option<String>) -> Self {
        Steps { clock, boot: boot.map(Into::into) }
    }

    /// How far the wall clock is ahead of the monotonic one, milliseconds.
    fn ahead(&self) -> i64 {
        loop {
            let before = self.clock.instant();
            let wall = self.clock.wall();
            if self.clock.instant().since(before) < READING {
                return wall.0.saturating_sub(i64::try_from(before.0.as_millis()).unwrap_or(i64::MAX));
            }
        }
    }

    /// Takes note of the clocks as a call is made.
    pub(super) fn called(&self) -> Called {
        Called { ahead: self.ahead(), steps: self.clone() }
    }

    /// Moves what is stored along with a step, within the transaction that is open.
    pub(super) fn follow(&self, connection: &Connection) -> rusqlite::Result<()> {
        let Some(boot) = &self.boot else { return Ok(()) };
        let ahead = self.ahead();
        let known = connection
            .prepare_cached("SELECT boot, ahead FROM wall_clock")?
            .query_row([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))
            .optional()?;
        match known {
            Some((_, known)) if !is_step(ahead, known) => return Ok(()),
            Some((known_boot, known)) if known_boot == **boot => {
                tracing::warn!(
                    seconds = (ahead - known) / 1_000,
                    "the machine's clock was set anew: leases go on"
                );
                shift(connection, ahead - known)?;
            }
            Some(_) => start_anew(connection, self.clock.wall().0)?,
            None => {}
        }
        connection
            .prepare_cached("INSERT OR REPLACE INTO wall_clock (one, boot, ahead) VALUES (1, ?1, ?2)")?
            .execute(params![boot, ahead])?;
        Ok(())
    }
}

/// When a call was made, by both clocks.
pub(super) struct Called {
    ahead: i64,
    steps: Steps,
}

impl Called {
    /// # Errors
    /// Transient: the clock was set anew since, and the times that the call names are of before.
    pub(super) fn is_current(&self) -> Result<(), Fault> {
        if is_step(self.ahead, self.steps.ahead()) {
            return Err(Fault::transient(
                Code::BackendUnavailable,
                "the machine's clock was set anew while records were being written",
            )
            .of(Blame::Backend));
        }
        Ok(())
    }
}

fn is_step(one: i64, other: i64) -> bool {
    one.abs_diff(other) >= TOLERANCE_MS.unsigned_abs()
}

/// Moves all that is held or put off until a time. Times that are only shown stay.
fn shift(connection: &Connection, by: i64) -> rusqlite::Result<()> {
    for statement in [
        "UPDATE images SET lease_until = lease_until + ?1 WHERE lease_until IS NOT NULL",
        "UPDATE images SET due = due + ?1 WHERE due IS NOT NULL",
        "UPDATE events SET due = due + ?1 WHERE due IS NOT NULL",
        "UPDATE requests SET touched = touched + ?1 WHERE status = 'receiving'",
    ] {
        connection.execute(statement, [by])?;
    }
    let mut held = connection.prepare("UPDATE boards SET until = until + ?1 WHERE board = ?2")?;
    for board in Board::ALL.into_iter().filter(|board| board.holds()) {
        held.execute(params![by, board.as_str()])?;
    }
    Ok(())
}

/// The machine was started anew: whoever held something is gone, and nobody knows what the clock was like before.
fn start_anew(connection: &Connection, now: i64) -> rusqlite::Result<()> {
    for statement in [
        "UPDATE images SET lease_until = min(lease_until, ?1) WHERE lease_until IS NOT NULL",
        "UPDATE images SET due = ?1 + ?2 WHERE due > ?1 + ?2",
        "UPDATE boards SET until = min(until, ?1) WHERE board IN ('rights', 'holders')",
        "UPDATE events SET due = ?1 + ?2 WHERE due > ?1 + ?2",
        "UPDATE requests SET touched = min(touched, ?1) WHERE status = 'receiving'",
    ] {
        let mut statement = connection.prepare(statement)?;
        match statement.parameter_count() {
            1 => statement.execute([now])?,
            _ => statement.execute([now, FURTHEST_MS])?,
        };
    }
    Ok(())
}

/// What Linux calls this run of the machine. Other systems tell none in a file.
pub(super) fn boot() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use pixmill_engine::model::id::RequestId;
    use pixmill_engine::model::lease::{LEASE, Lease};
    use pixmill_engine::port::records::{Backlog, Right, Rights, Upkeep, Void};
    use pixmill_testkit::clock::TestClock;

    use super::super::Sqlite;
    use super::super::tests::{claim, take_in};
    use super::*;

    const HOURS: i64 = 3_600;

    struct Stand {
        clock: Arc<TestClock>,
        file: std::path::PathBuf,
        records: Sqlite,
        _folder: tempfile::TempDir,
    }

    impl Stand {
        fn new() -> Self {
            let (clock, folder) = (Arc::new(TestClock::default()), tempfile::tempdir().unwrap());
            let file = folder.path().join("pixmill.db");
            let records = Sqlite::open_by(&file, clock.clone(), Some("boot".into())).unwrap();
            Stand { clock, file, records, _folder: folder }
        }

        /// Another process on the same file.
        fn another(&self, boot: &str) -> Sqlite {
            Sqlite::open_by(&self.file, self.clock.clone(), Some(boot.into())).unwrap()
        }

        async fn held(&self) -> RequestId {
            let id = take_in(&self.records, 4).await;
            assert_eq!(claim(&self.records, &id, 2).await.len(), 2);
            id
        }

        async fn reaped(&self, records: &Sqlite) -> u64 {
            records.reap(Void::Expired, 5, self.clock.wall()).await.unwrap()
        }
    }

    #[tokio::test]
    async fn a_wall_clock_that_is_set_anew_voids_no_lease_and_keeps_none_for_longer() {
        for hours in [-2, 4, -24] {
            let stand = Stand::new();
            stand.held().await;
            stand.clock.step(hours * HOURS);
            let another = stand.another("boot");
            assert_eq!(stand.reaped(&another).await, 0, "{hours}");
            stand.clock.turn(LEASE - Duration::from_secs(1));
            assert_eq!(stand.reaped(&stand.records).await, 0, "{hours}");
            stand.clock.turn(Duration::from_secs(1));
            assert_eq!(stand.reaped(&stand.records).await, 2, "{hours}");
        }
    }

    #[tokio::test]
    async fn what_is_put_off_comes_back_in_time_whatever_the_wall_says() {
        for hours in [-2, 4, -24] {
            let stand = Stand::new();
            let id = stand.held().await;
            let fresh = stand.records.fresh(&id, None, 1).await.unwrap();
            let images = [fresh[0].image.clone()];
            stand
                .records
                .defer(&images, stand.clock.wall() + Duration::from_secs(30), stand.clock.wall())
                .await
                .unwrap();
            stand.clock.step(hours * HOURS);
            stand.reaped(&stand.records).await;
            let due = async || stand.records.due(None, stand.clock.wall(), 10).await.unwrap();
            let (none, next) = due().await;
            assert_eq!(none, [], "{hours}");
            assert_eq!(next, Some(stand.clock.wall() + Duration::from_secs(30)), "{hours}");
            stand.clock.turn(Duration::from_secs(30));
            assert_eq!(due().await.0.len(), 1, "{hours}");
        }
    }

    #[tokio::test]
    async fn one_process_leads_however_the_wall_is_set() {
        let stand = Stand::new();
        let first = Lease::from(stand.clock.wall());
        assert!(stand.records.lead(Right::Feeding, first, stand.clock.wall()).await.unwrap());
        stand.clock.step(4 * HOURS);
        let now = stand.clock.wall();
        assert!(!stand.another("boot").lead(Right::Feeding, Lease::from(now), now).await.unwrap());
    }

    #[tokio::test]
    async fn what_was_held_before_the_machine_was_started_anew_is_held_by_nobody() {
        let stand = Stand::new();
        stand.held().await;
        // Another boot on which the wall lags behind.
        stand.clock.step(-2 * HOURS);
        let records = stand.another("another boot");
        assert_eq!(stand.reaped(&records).await, 2);
    }

    #[tokio::test]
    async fn a_run_of_another_name_on_the_same_clocks_is_the_same_run() {
        let stand = Stand::new();
        stand.held().await;
        let contained = stand.another("as a container names it");
        assert_eq!(stand.reaped(&contained).await, 0);
    }

    #[tokio::test]
    async fn a_call_of_before_a_step_is_to_be_made_again() {
        let stand = Stand::new();
        let called = stand.records.steps.called();
        assert_eq!(called.is_current(), Ok(()));
        stand.clock.step(1);
        assert!(called.is_current().is_err_and(|fault| fault.transient));
    }
}
