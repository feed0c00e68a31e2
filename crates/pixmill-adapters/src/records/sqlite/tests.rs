//! SQLite records in their port's suites, and what only a file can promise.

pub(super) mod plans;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use pixmill_engine::code::Code;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::image::{Candidate, Claim, Outcome, Output, Settlement};
use pixmill_engine::model::lease::Lease;
use pixmill_engine::model::request::{NewRequest, Progress, RequestStatus};
use pixmill_engine::model::row::{NewImage, NewRow};
use pixmill_engine::model::source::Fingerprint;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::originals::Originals;
use pixmill_engine::port::records::{Backlog, Intake, IntakeEnd, Report, Settle, Upkeep, Void};
use pixmill_testkit::records::RecordsForTests;
use rusqlite::params;
use tempfile::TempDir;

use super::Sqlite;
use super::id::{MOST, key, known_owner};

#[async_trait]
impl RecordsForTests for Sqlite {
    async fn count(&self, request: &RequestId) -> Progress {
        let id = request.clone();
        let counting = self.read(move |connection| {
            let owner = known_owner(connection, &id)?;
            let mut counts = connection.prepare(
                "SELECT status, count(*), total(bytes_before), total(bytes_after) FROM images
                 WHERE id >= ?1 AND id < ?2 GROUP BY status",
            )?;
            let mut counts = counts.query([key(owner.num, 0), key(owner.num, MOST)])?;
            let mut progress = Progress::default();
            while let Some(row) = counts.next()? {
                let images = row.get(1)?;
                match row.get(0)? {
                    0 => progress.pending = images,
                    1 => progress.processing = images,
                    2 => progress.completed = images,
                    3 => progress.failed = images,
                    4 => progress.cancelled = images,
                    status => panic!("no status {status}"),
                }
                progress.bytes_before += row.get::<_, f64>(2)? as u64;
                progress.bytes_after += row.get::<_, f64>(3)? as u64;
            }
            Ok(progress)
        });
        counting.await.unwrap()
    }

    async fn cancel_halfway(&self, request: &RequestId) {
        let id = request.clone();
        let cancelling = self.write(move |transaction| {
            let cancel = "UPDATE requests SET status = 'cancelled' WHERE id = ?1";
            Ok(transaction.connection.execute(cancel, params![id.as_str()])?)
        });
        assert_eq!(cancelling.await.unwrap(), 1);
    }

    async fn garble(&self, request: &RequestId) {
        let id = request.clone();
        let garbling = self.write(move |transaction| {
            let garble = r#"UPDATE requests SET recipe = '{"format":"hologram"}' WHERE id = ?1"#;
            Ok(transaction.connection.execute(garble, params![id.as_str()])?)
        });
        assert_eq!(garbling.await.unwrap(), 1);
    }

    async fn traces(&self, _request: &RequestId) -> u64 {
        // Numbers are not used again, so what belongs to no request is left of a deleted one.
        let counting = self.read(|connection| {
            let known = "(SELECT num FROM requests WHERE status <> 'dropped')";
            let traces = format!(
                "SELECT (SELECT count(*) FROM requests WHERE status = 'dropped')
                   + (SELECT count(*) FROM rows WHERE id >> 32 NOT IN {known})
                   + (SELECT count(*) FROM images WHERE id >> 32 NOT IN {known})
                   + (SELECT count(*) FROM originals WHERE id >> 32 NOT IN {known})
                   + (SELECT count(*) FROM inputs WHERE request NOT IN {known})
                   + (SELECT count(*) FROM row_errors WHERE request NOT IN {known})
                   + (SELECT count(*) FROM events WHERE request NOT IN {known})
                   + (SELECT count(*) FROM deliveries WHERE request NOT IN {known})"
            );
            Ok(connection.query_row(&traces, [], |row| row.get(0))?)
        });
        counting.await.unwrap()
    }
}

/// A folder that makes a file for each records that are asked for.
struct Files {
    folder: TempDir,
    number: AtomicU64,
}

impl Files {
    fn new() -> Self {
        Files { folder: tempfile::tempdir().unwrap(), number: AtomicU64::new(0) }
    }

    fn next(&self) -> PathBuf {
        self.folder.path().join(format!("{}/pixmill.db", self.number.fetch_add(1, Ordering::Relaxed)))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_records_conform() {
    let files = Files::new();
    pixmill_testkit::records::suite(|| async { Arc::new(Sqlite::open(&files.next()).unwrap()) as _ }).await;
    plans::none_walks_through_history();
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_records_conform_as_an_outbox() {
    let files = Files::new();
    pixmill_testkit::records::outbox::suite(|| async {
        let sqlite = Arc::new(Sqlite::open(&files.next()).unwrap());
        (sqlite.clone() as _, sqlite as _)
    })
    .await;
    plans::none_walks_through_history();
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_records_conform_as_a_directory() {
    let files = Files::new();
    pixmill_testkit::records::directory::suite(|| async {
        let sqlite = Arc::new(Sqlite::open(&files.next()).unwrap());
        (sqlite.clone() as _, sqlite as _)
    })
    .await;
    plans::none_walks_through_history();
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_records_conform_in_keeping_catalogues() {
    let files = Files::new();
    pixmill_testkit::records::originals::suite(|| async {
        let sqlite = Arc::new(Sqlite::open(&files.next()).unwrap());
        (sqlite.clone() as _, sqlite as _)
    })
    .await;
    plans::none_walks_through_history();
}

#[tokio::test]
async fn catalogues_without_their_requests_are_counted_once_each() {
    let sqlite = Sqlite::open(&Files::new().next()).unwrap();
    let planting = sqlite.write(|transaction| {
        let plant = "INSERT INTO originals (id, bytes) VALUES (99 << 32, x'00'), ((99 << 32) + 1, x'00'), (7 << 32, x'00')";
        Ok(transaction.connection.execute(plant, [])?)
    });
    assert_eq!(planting.await.unwrap(), 3);
    assert_eq!(sqlite.unclaimed().await.unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_records_conform_as_boards() {
    let files = Files::new();
    pixmill_testkit::records::boards::suite(|| async { Arc::new(Sqlite::open(&files.next()).unwrap()) as _ })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_records_conform_in_retirement() {
    let files = Files::new();
    pixmill_testkit::records::retirement::suite(|| async {
        let sqlite = Arc::new(Sqlite::open(&files.next()).unwrap());
        (sqlite.clone() as _, sqlite as _)
    })
    .await;
    plans::none_walks_through_history();
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_records_conform_in_succession() {
    let files = Files::new();
    pixmill_testkit::records::succession::suite(|| async {
        let sqlite = Arc::new(Sqlite::open(&files.next()).unwrap());
        (sqlite.clone() as _, sqlite as _)
    })
    .await;
    plans::none_walks_through_history();
}

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn rows(range: std::ops::Range<usize>) -> Vec<NewRow> {
    let fingerprint = Fingerprint::new();
    range
        .map(|number| {
            let input = format!("http://example.com/{number}.jpg");
            let image = NewImage { fingerprint: fingerprint.of(&input), input };
            NewRow { cells: format!("{number},p"), name: "p".into(), images: vec![image], error: None }
        })
        .collect()
}

async fn begin(records: &Sqlite) -> RequestId {
    let id = RequestId::new();
    let new = NewRequest {
        id: id.clone(),
        tenant: "default".into(),
        header: "a,b".into(),
        catalogue: "c.csv".into(),
        traceparent: None,
    };
    records.begin(new, NOW).await.unwrap();
    id
}

fn end() -> IntakeEnd {
    IntakeEnd {
        options: Default::default(),
        digest: String::new(),
        reading: String::new(),
        rows: 0,
        row_errors: vec![],
        row_errors_total: 0,
    }
}

pub(super) async fn take_in(records: &Sqlite, images: usize) -> RequestId {
    let id = begin(records).await;
    records.append(&id, rows(0..images), NOW).await.unwrap();
    records.open(&id, end(), NOW).await.unwrap();
    id
}

/// So many fresh images of a request, page by page.
async fn fresh(records: &Sqlite, request: &RequestId, most: usize) -> Vec<Candidate> {
    let mut all: Vec<Candidate> = Vec::new();
    loop {
        let last = all.last().map(|last| &last.image);
        let fresh = records.fresh(request, last, most - all.len()).await.unwrap();
        if fresh.is_empty() {
            return all;
        }
        all.extend(fresh);
    }
}

pub(super) async fn claim(records: &Sqlite, request: &RequestId, most: usize) -> Vec<Claim> {
    let images: Vec<_> =
        fresh(records, request, most).await.into_iter().map(|candidate| candidate.image).collect();
    records.claim(&images, Lease::from(NOW), NOW).await.unwrap()
}

fn completed(claim: &Claim) -> Settlement {
    let output = Output {
        location: format!("processed_images/{}.jpg", claim.row),
        bytes_before: 9,
        bytes_after: 3,
        frames: 1,
    };
    Settlement { image: claim.image.clone(), token: claim.token, outcome: Outcome::Completed(output) }
}

async fn complete(records: &Sqlite, claims: &[Claim]) -> Vec<bool> {
    records.settle(claims.iter().map(completed).collect(), NOW).await.unwrap().won
}

fn log_bytes(file: &std::path::Path) -> u64 {
    std::fs::metadata(file.with_extension("db-wal")).map_or(0, |log| log.len())
}

#[tokio::test]
async fn a_file_opened_again_goes_on_where_it_was() {
    let files = Files::new();
    let file = files.next();
    let records = Sqlite::open(&file).unwrap();
    let id = take_in(&records, 20).await;
    let claims = claim(&records, &id, 8).await;
    complete(&records, &claims[..5]).await;
    drop(records);
    assert!(!file.with_extension("db-wal").exists(), "a clean end leaves one file");
    let records = Sqlite::open(&file).unwrap();
    let opened = records.open_requests(&[], 9).await.unwrap();
    assert_eq!(
        opened.into_iter().map(|opened| opened.request).collect::<Vec<_>>(),
        std::slice::from_ref(&id)
    );
    let told = records.progress(&id).await.unwrap();
    assert_eq!((told.pending, told.processing, told.completed), (12, 3, 5));
    assert_eq!(records.reap(Void::All, 5, NOW).await.unwrap(), 3);
    let (due, _) = records.due(None, NOW, 10).await.unwrap();
    let again: Vec<_> = due.into_iter().map(|candidate| candidate.image).collect();
    assert_eq!(again, claims[5..].iter().map(|claim| claim.image.clone()).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_intake_that_a_process_left_is_found_by_the_next() {
    let files = Files::new();
    let file = files.next();
    let records = Sqlite::open(&file).unwrap();
    let id = begin(&records).await;
    records.append(&id, rows(0..20_000), NOW).await.unwrap();
    drop(records);
    let records = Sqlite::open(&file).unwrap();
    assert_eq!(records.append(&id, rows(0..1), NOW).await.unwrap_err().code, Code::RequestNotFound);
    assert_eq!(records.forget_intakes(NOW, NOW).await.unwrap(), 1);
    assert_eq!(records.traces(&id).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_handles_on_one_file_contend_safely() {
    const IMAGES: usize = 400;
    let files = Files::new();
    let file = files.next();
    let handles: Vec<_> = (0..2).map(|_| Arc::new(Sqlite::open(&file).unwrap())).collect();
    let id = take_in(&handles[0], IMAGES).await;
    let working = handles.iter().map(|records| {
        let (records, id) = (records.clone(), id.clone());
        tokio::spawn(async move {
            let mut wins = 0;
            loop {
                let claims = claim(&records, &id, 7).await;
                wins += complete(&records, &claims).await.into_iter().filter(|won| *won).count();
                if records.progress(&id).await.unwrap().is_complete() {
                    return wins;
                }
            }
        })
    });
    let mut wins = 0;
    for worker in working.collect::<Vec<_>>() {
        wins += worker.await.unwrap();
    }
    assert_eq!(wins, IMAGES);
    assert_eq!(handles[1].completions(&id).await.unwrap().len(), 1);
    assert_eq!(handles[1].count(&id).await, handles[0].progress(&id).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn handles_that_open_one_new_file_together_agree() {
    let files = Files::new();
    for _ in 0..10 {
        let file = files.next();
        let opening = (0..4).map(|_| {
            let file = file.clone();
            tokio::task::spawn_blocking(move || Sqlite::open(&file).map(drop))
        });
        for opened in opening.collect::<Vec<_>>() {
            opened.await.unwrap().unwrap();
        }
    }
}

#[tokio::test]
async fn the_log_reaches_a_plateau_and_is_cut_when_nothing_happens() {
    const PLATEAU: u64 = 64 << 20;
    let files = Files::new();
    let file = files.next();
    let records = Sqlite::open(&file).unwrap();
    let id = begin(&records).await;
    let mut highest = 0;
    // Some 200 MB of rows.
    for batch in 0..50 {
        let mut rows = rows(batch * 1000..(batch + 1) * 1000);
        rows.iter_mut().for_each(|row| row.cells = "x".repeat(4000));
        records.append(&id, rows, NOW).await.unwrap();
        highest = highest.max(log_bytes(&file));
    }
    records.open(&id, end(), NOW).await.unwrap();
    assert!(highest > 0 && highest < PLATEAU, "{highest} bytes");
    for _ in 0..600 {
        if log_bytes(&file) == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{} bytes of log are left", log_bytes(&file));
}

#[tokio::test]
async fn a_full_disk_is_told_and_nothing_that_was_written_is_lost() {
    let files = Files::new();
    let records = Sqlite::open(&files.next()).unwrap();
    let id = take_in(&records, 100).await;
    let claims = claim(&records, &id, 100).await;
    assert_eq!(complete(&records, &claims[..10]).await, [true; 10]);
    let limit = |pages: i64| {
        records.write(move |transaction| {
            let limit = format!("PRAGMA max_page_count = {pages}");
            Ok(transaction.connection.query_row(&limit, [], |_| Ok(()))?)
        })
    };
    limit(1).await.unwrap();
    let other = begin(&records).await;
    records.append(&other, rows(0..20_000), NOW).await.unwrap();
    let full = records.open(&other, end(), NOW).await.unwrap_err();
    assert_eq!((full.code, full.transient), (Code::DiskFull, false), "{full}");
    assert!(full.message.contains("pixmill.db"), "{full}");
    let again = records.open(&other, end(), NOW).await.unwrap_err();
    assert_eq!(again.code, Code::RequestNotFound, "a broken intake is not opened later");
    assert_eq!(records.request(&other).await.unwrap().unwrap().status, RequestStatus::Receiving);
    limit(1_000_000).await.unwrap();
    records.discard(&other).await.unwrap();
    assert_eq!(complete(&records, &claims[10..]).await, [true; 90]);
    let told = records.progress(&id).await.unwrap();
    assert_eq!((told, told.completed), (records.count(&id).await, 100));
    assert_eq!(records.completions(&id).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_follows_another_image_is_not_claimed_by_its_own_id() {
    let files = Files::new();
    let records = Sqlite::open(&files.next()).unwrap();
    let id = begin(&records).await;
    let row = rows(0..1).remove(0);
    records.append(&id, vec![row.clone(), row], NOW).await.unwrap();
    records.open(&id, end(), NOW).await.unwrap();
    let uuid = uuid::Uuid::try_parse(id.as_str()).unwrap();
    let images = [super::id::image_id(uuid, 1), super::id::image_id(uuid, 0)];
    records.defer(&images, NOW, NOW).await.unwrap();
    let claims = records.claim(&images, Lease::from(NOW), NOW).await.unwrap();
    assert_eq!(claims.into_iter().map(|claim| claim.image).collect::<Vec<_>>(), images[1..]);
    assert_eq!(records.due(None, NOW, 10).await.unwrap(), (vec![], None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_fails_takes_no_other_down() {
    let files = Files::new();
    let records = Arc::new(Sqlite::open(&files.next()).unwrap());
    let id = take_in(&records, 50).await;
    let claims = claim(&records, &id, 50).await;
    let mut writing = Vec::new();
    for claim in claims {
        let (settling, failing) = (records.clone(), records.clone());
        writing.push(tokio::spawn(async move { complete(&settling, &[claim]).await == [true] }));
        writing.push(tokio::spawn(async move {
            let work = failing.write(|transaction| {
                transaction.connection.execute("UPDATE images SET status = 4", [])?;
                transaction.connection.execute("INSERT INTO events SELECT * FROM nowhere", [])?;
                Ok(())
            });
            work.await.is_err()
        }));
    }
    for written in writing {
        assert!(written.await.unwrap());
    }
    assert_eq!(records.progress(&id).await.unwrap().completed, 50);
    assert_eq!(records.count(&id).await.completed, 50);
}

#[tokio::test]
async fn more_inputs_than_fit_in_memory_are_still_compared_with_each_other() {
    let files = Files::new();
    let records = Sqlite::open(&files.next()).unwrap();
    let id = begin(&records).await;
    // Other intakes shrink this one's share of memory to a few thousand inputs.
    let mut others = Vec::new();
    for _ in 0..250 {
        others.push(begin(&records).await);
    }
    let fingerprint = Fingerprint::new();
    const ROWS: usize = 60_000;
    const DISTINCT: usize = 25_000;
    for start in (0..ROWS).step_by(1_000) {
        let mut rows = rows(start..start + 1_000);
        for (number, row) in (start..).zip(&mut rows) {
            let input = format!("http://example.com/{}.jpg", number % DISTINCT);
            row.images = vec![NewImage { fingerprint: fingerprint.of(&input), input }];
        }
        records.append(&id, rows, NOW).await.unwrap();
    }
    records.open(&id, end(), NOW).await.unwrap();
    let fresh = fresh(&records, &id, ROWS).await;
    assert_eq!(fresh.len(), DISTINCT);
    let last = records.fresh(&id, Some(&fresh[DISTINCT - 2].image), 10).await.unwrap();
    assert_eq!(last, fresh[DISTINCT - 1..], "the first of equal inputs is the one that is worked");
    assert_eq!(last[0].input, format!("http://example.com/{}.jpg", DISTINCT - 1));
}
