//! Several processes beside each other, each with its upkeep, by a clock that the test turns.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pixmill_adapters::records::sqlite::Sqlite;
use pixmill_adapters::storage::disk::DiskStorage;
use pixmill_engine::lead::Leading;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::lease::LEASE;
use pixmill_engine::model::request::{NewRequest, RequestStatus};
use pixmill_engine::port::clock::Clock;
use pixmill_engine::port::records::{Intake, IntakeEnd, Report};
use pixmill_engine::upkeep::Upkeep;
use pixmill_engine::upkeep::retain::Retain;
use pixmill_testkit::clock::TestClock;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const LONG: Duration = Duration::from_secs(60);

/// What keeps records in a process, and whether it is this one's to do.
struct Process {
    records: Arc<Sqlite>,
    leading: Leading,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Process {
    fn new(file: &Path, clock: &Arc<TestClock>) -> Self {
        let records = Arc::new(Sqlite::open_by(file, clock.clone(), Some("boot".into())).unwrap());
        let (leading, stop) = (Leading::default(), CancellationToken::new());
        let retain = Retain {
            ledger: records.clone(),
            storage: Arc::new(DiskStorage::shared(&file.with_extension("outputs")).unwrap()),
            outputs: false,
            clock: clock.clone(),
            keep: Some(Duration::from_secs(1)),
        };
        let mut tasks = JoinSet::new();
        let (told, over) = (leading.clone(), stop.clone());
        tasks.spawn(async move { retain.tend(&told, over).await });
        Process { records, leading, stop, tasks }
    }

    fn tend(&mut self, clock: &Arc<TestClock>) {
        let upkeep = Upkeep {
            records: self.records.clone(),
            clock: clock.clone(),
            attempts: 5,
            lease: LEASE,
            leading: self.leading.clone(),
        };
        let over = self.stop.clone();
        self.tasks.spawn(async move { upkeep.tend(over).await });
    }
}

/// A request that ended as it was opened, for it has no image.
async fn ended(records: &Sqlite, clock: &TestClock) -> RequestId {
    let id = RequestId::new();
    let new = NewRequest {
        id: id.clone(),
        tenant: "default".into(),
        header: "Name".into(),
        catalogue: "catalogue.csv".into(),
        traceparent: None,
    };
    records.begin(new, clock.wall()).await.unwrap();
    let end = IntakeEnd {
        options: Default::default(),
        digest: String::new(),
        reading: String::new(),
        rows: 0,
        row_errors: Vec::new(),
        row_errors_total: 0,
    };
    records.open(&id, end, clock.wall()).await.unwrap();
    assert_eq!(records.request(&id).await.unwrap().unwrap().status, RequestStatus::Completed);
    // Nobody is to be told of it.
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_old_is_forgotten_by_the_process_that_does_upkeep_alone() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Arc::new(TestClock::default()));
    let file = folder.path().join("pixmill.db");
    let mut processes = [(); 2].map(|()| Process::new(&file, &clock));
    let old = ended(&processes[0].records, &clock).await;
    let settle = rusqlite::Connection::open(&file).unwrap();
    settle.execute("UPDATE events SET due = NULL", []).unwrap();
    clock.pass(Duration::from_secs(30), Duration::from_millis(500)).await;
    assert!(processes[0].records.request(&old).await.unwrap().is_some(), "upkeep is nobody's to do yet");
    for process in &mut processes {
        process.tend(&clock);
    }
    let records = processes[0].records.clone();
    let forgotten = async || {
        let leading = processes.each_ref().map(|process| process.leading.holds(clock.instant()));
        assert_ne!(leading, [true, true], "one at a time");
        records.request(&old).await.unwrap().is_none()
    };
    clock.pass_until("it is forgotten", LONG, forgotten).await;
    let first = usize::from(!processes[0].leading.holds(clock.instant()));
    processes[first].stop.cancel();
    while processes[first].tasks.join_next().await.is_some() {}
    assert!(!processes[first].leading.holds(clock.instant()));
    let other = &processes[1 - first];
    let follows = async || other.leading.holds(clock.instant());
    clock.pass_until("the other one follows", LEASE / 2, follows).await;
    other.stop.cancel();
}
