//! The webhook stage over records in a file, by a clock that the test turns: one receiver's trouble costs only itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use pixmill_adapters::records::sqlite::Sqlite;
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::event::Answer;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::lease::LEASE;
use pixmill_engine::model::request::{NewRequest, Options};
use pixmill_engine::pipeline::webhook::{Webhook, sign::Signer};
use pixmill_engine::pipeline::{Ended, Watcher};
use pixmill_engine::port::clock::{Clock, Instant};
use pixmill_engine::port::receiver::{Message, Receiver, Reply, SetBy};
use pixmill_engine::port::records::{Intake, IntakeEnd, Outbox};
use pixmill_engine::port::traces::Untold;
use pixmill_testkit::clock::TestClock;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use url::Url;

/// More than the stage has at hand.
const EVENTS: usize = 1_500;

/// Receivers by their host: `hung` never answers, `busy` asks for a pause, any other takes what it is told.
struct Receivers {
    clock: Arc<TestClock>,
    calls: Mutex<HashMap<String, Vec<Instant>>>,
}

impl Receivers {
    fn calls(&self, host: &str) -> Vec<Instant> {
        self.calls.lock().unwrap().get(host).cloned().unwrap_or_default()
    }
}

#[async_trait]
impl Receiver for Receivers {
    async fn judge(&self, _url: &Url) -> Result<(), Fault> {
        Ok(())
    }

    async fn post(&self, url: &Url, _set_by: SetBy, _message: Message) -> Result<Reply, Fault> {
        let host = url.host_str().unwrap_or_default().to_owned();
        self.calls.lock().unwrap().entry(host.clone()).or_default().push(self.clock.instant());
        let reply =
            |status, retry_after| Reply { answer: Answer { status, beginning: String::new() }, retry_after };
        match host.as_str() {
            "hung" => std::future::pending().await,
            "refused" => Err(Fault::transient(Code::FetchConnect, "nobody listens")),
            "busy" => Ok(reply(503, Some(Duration::from_secs(600)))),
            _ => Ok(reply(200, None)),
        }
    }
}

struct Nobody;

impl Watcher for Nobody {
    fn ended(&self, _ended: Ended) {}
}

struct Stand {
    clock: Arc<TestClock>,
    records: Arc<Sqlite>,
    receivers: Arc<Receivers>,
    stop: CancellationToken,
    _folder: tempfile::TempDir,
}

impl Stand {
    fn new() -> Self {
        let (clock, folder) = (Arc::new(TestClock::default()), tempfile::tempdir().unwrap());
        let file = folder.path().join("pixmill.db");
        let records = Arc::new(Sqlite::open_by(&file, clock.clone(), None).unwrap());
        let receivers = Arc::new(Receivers { clock: clock.clone(), calls: Mutex::default() });
        Stand { clock, records, receivers, stop: CancellationToken::new(), _folder: folder }
    }

    /// Requests without images, which complete at once.
    async fn complete(&self, host: &str, count: usize) -> Vec<RequestId> {
        let now = self.clock.wall();
        let one = async |number: usize| {
            let id = RequestId::new();
            let new = NewRequest {
                id: id.clone(),
                tenant: "default".into(),
                header: "Input Image Urls".into(),
                catalogue: "a.csv".into(),
                traceparent: None,
            };
            self.records.begin(new, now).await.unwrap();
            let webhook = Some(format!("https://{host}/{number}"));
            let end = IntakeEnd {
                options: Options { webhook, ..Options::default() },
                digest: String::new(),
                reading: String::new(),
                rows: 0,
                row_errors: Vec::new(),
                row_errors_total: 0,
            };
            self.records.open(&id, end, now).await.unwrap();
            id
        };
        futures::future::join_all((0..count).map(one)).await
    }

    fn tell(&self) -> tokio::task::JoinHandle<()> {
        let webhook = Webhook {
            outbox: self.records.clone(),
            receiver: self.receivers.clone(),
            clock: self.clock.clone(),
            traces: Arc::new(Untold),
            watcher: Arc::new(Nobody),
            signer: Arc::new(Signer::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=").unwrap()),
            url: None,
            links: "http://127.0.0.1".into(),
            lease: LEASE,
        };
        let stop = self.stop.clone();
        tokio::spawn(async move { webhook.tend(&Notify::new(), stop).await })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_hangs_delays_nobody_else() {
    let stand = Stand::new();
    let hung = stand.complete("hung", EVENTS).await;
    stand.clock.turn(Duration::from_millis(10));
    stand.complete("refused", 20).await;
    stand.complete("good", 40).await;
    let telling = stand.tell();
    let good = async || stand.receivers.calls("good").len() == 40;
    let after = stand.clock.pass_until("the good one is told", Duration::from_secs(10), good).await;
    println!("{EVENTS} events for one that hangs, 40 for a good one: told after {after:?}");
    // It is called a few times, then once in a while to see whether it is back; its events fail in their turn all the same.
    let all_tried = async || {
        let tried = stand.records.deliveries(hung.last(), None, 9).await.unwrap();
        tried.iter().any(|made| made.answer.is_err())
    };
    stand.clock.pass_until("all are tried", Duration::from_secs(120), all_tried).await;
    let calls = stand.receivers.calls("hung").len();
    assert!((4..=12).contains(&calls), "{calls} calls to a receiver that hangs");
    stand.stop.cancel();
    stand.clock.pass(Duration::from_secs(20), Duration::from_secs(1)).await;
    telling.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receivers_retry_after_is_kept() {
    let stand = Stand::new();
    stand.complete("busy", 12).await;
    let telling = stand.tell();
    stand.clock.pass(Duration::from_secs(595), Duration::from_secs(1)).await;
    let calls = stand.receivers.calls("busy").len();
    assert!((1..=8).contains(&calls), "{calls} calls before the pause that it asked for was over");
    let again = async || stand.receivers.calls("busy").len() > calls;
    stand.clock.pass_until("it is called again", Duration::from_secs(120), again).await;
    stand.stop.cancel();
    stand.clock.turn(Duration::from_secs(20));
    telling.await.unwrap();
}
