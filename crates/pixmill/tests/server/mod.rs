//! A server's state folder, requests put into its records by the accept stage, and processes that work on them.

#![allow(dead_code, reason = "each test file uses its part")]

use std::fs::File;
use std::io::Cursor;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pixmill_adapters::clock::SystemClock;
use pixmill_adapters::records::sqlite::Sqlite;
use pixmill_engine::catalogue::Hints;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::request::{Options, RequestStatus};
use pixmill_engine::model::row::ResultRow;
use pixmill_engine::pipeline::accept::{Intake, Unwatched, accept};
use pixmill_engine::port::records::{Outbox, Records};

/// Names that the ecosystem uses, which must not reach a test's servers from outside.
const ECOSYSTEM: [&str; 11] = [
    "REDIS_URL",
    "NODE_EXTRA_CA_CERTS",
    "MONGODB_URI",
    "MONGO_URI",
    "MONGO_URL",
    "CLOUDINARY_URL",
    "WEBHOOK_URL",
    "PORT",
    "RUST_LOG",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
];

/// How much of what processes said is shown when a test fails, bytes.
const SAID: usize = 16_000;

/// How long anything is waited for, and how often it is looked at: each look costs the server that is waited for.
const PATIENCE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(100);

/// Its number, the same on every Unix.
const SIGTERM: i32 = 15;

/// The state of a server.
pub(crate) struct Server {
    folder: tempfile::TempDir,
    /// The state folder, where it is not in that.
    state: Option<PathBuf>,
    pub(crate) records: Arc<dyn Records>,
    pub(crate) outbox: Arc<dyn Outbox>,
    /// What its processes find in their environment.
    environment: Vec<(&'static str, String)>,
}

impl Server {
    /// One without requests, on embedded defaults.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let records = Arc::new(Sqlite::open(&folder.path().join("data/pixmill.db")).expect("records"));
        Server { folder, state: None, records: records.clone(), outbox: records, environment: Vec::new() }
    }

    /// One whose state is in a folder that is there; what else it needs is beside it.
    pub(crate) fn in_folder(data: PathBuf) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let records = Arc::new(Sqlite::open(&data.join("pixmill.db")).expect("records"));
        let state = Some(data);
        Server { folder, state, records: records.clone(), outbox: records, environment: Vec::new() }
    }

    /// One on other backends, which its processes find by their environment.
    pub(crate) fn on(
        records: Arc<dyn Records>,
        outbox: Arc<dyn Outbox>,
        environment: Vec<(&'static str, String)>,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Server { folder, state: None, records, outbox, environment }
    }

    /// One whose processes find this in their environment too.
    pub(crate) fn told(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    /// The state folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.state.clone().unwrap_or_else(|| self.folder.path().join("data"))
    }

    /// Where outputs are.
    pub(crate) fn storage(&self) -> PathBuf {
        self.data().join("images")
    }

    /// Takes a catalogue in, as an upload does.
    pub(crate) async fn accept(&self, catalogue: &str, webhook: Option<String>) -> RequestId {
        let request = RequestId::new();
        let intake = Intake {
            request,
            tenant: "default".into(),
            catalogue: "shop.csv".into(),
            hints: Hints::default(),
            traceparent: None,
            originals: None,
        };
        let options = std::future::ready(Ok(Options { webhook, ..Options::default() }));
        let bytes = Cursor::new(catalogue.to_owned().into_bytes());
        let records: Arc<dyn Records> = self.records.clone();
        let accepted = accept(&records, &SystemClock, bytes, intake, options, Unwatched);
        accepted.await.expect("the catalogue is accepted")
    }

    /// `pixmill serve` on this state, which may call this machine.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.guarded(arguments);
        command.args(["--allow-address", "127.0.0.0/8"]);
        command
    }

    /// `pixmill serve` on this state, which may call the public internet alone.
    pub(crate) fn guarded(&self, arguments: &[&str]) -> Command {
        let mut command = self.pixmill(&["serve"]);
        command.arg("--data").arg(self.data()).args(arguments);
        command.stdout(Stdio::null()).stderr(self.log());
        command
    }

    /// Any command, which finds the same backends in its environment.
    pub(crate) fn pixmill(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pixmill"));
        command.args(arguments).current_dir(self.folder.path());
        for name in ECOSYSTEM {
            command.env_remove(name);
        }
        // Tests run side by side, so each server takes whatever port is free, unless it is told otherwise.
        command.env("PORT", "0");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Where its processes say what they do.
    fn log(&self) -> File {
        let log = File::options().create(true).append(true).open(self.folder.path().join("log"));
        log.expect("the folder can be written to")
    }

    /// The end of what its processes have said, unless somebody else heard it.
    pub(crate) fn said(&self) -> String {
        let said = std::fs::read(self.folder.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&said[said.len().saturating_sub(SAID)..]).into_owned()
    }

    /// Waits until a request is completed, however long that takes a busy machine.
    ///
    /// # Panics
    /// When no image has ended for a minute or two.
    pub(crate) async fn wait_for(&self, request: &RequestId) {
        let (mut moved, mut before) = (Instant::now(), None);
        loop {
            let found =
                self.records.request(request).await.expect("records can be read").expect("the request");
            if found.status == RequestStatus::Completed {
                return;
            }
            let progress = self.records.progress(request).await;
            let ended = progress.as_ref().ok().map(|progress| progress.ended());
            if ended != before {
                (moved, before) = (Instant::now(), ended);
            }
            assert!(moved.elapsed() < PATIENCE, "{found:?} {progress:?}: {}", self.said());
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until a webhook has taken the request's completion.
    ///
    /// # Panics
    /// When none has within a minute or two.
    pub(crate) async fn wait_until_told(&self, request: &RequestId) {
        let began = Instant::now();
        loop {
            let tries = self.outbox.deliveries(Some(request), None, 100).await.expect("records can be read");
            if tries.iter().any(|made| made.answer.as_ref().is_ok_and(|answer| answer.is_success())) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{tries:?}");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// What became of a request's rows.
    pub(crate) async fn results(&self, request: &RequestId) -> Vec<ResultRow> {
        let mut all = Vec::new();
        loop {
            let rows =
                self.records.rows(request, all.len() as u64, 100_000).await.expect("records can be read");
            if rows.is_empty() {
                return all;
            }
            all.extend(rows);
        }
    }

    /// The secret that its webhooks are signed with.
    pub(crate) fn secret(&self) -> String {
        let text = std::fs::read_to_string(self.data().join("webhook-secret")).expect("a secret");
        text.trim().to_owned()
    }
}

/// A process that is killed when the test is over, however it ends.
pub(crate) struct Process(pub(crate) Child);

impl Process {
    /// Starts it.
    pub(crate) fn start(command: &mut Command) -> Self {
        Process(command.spawn().expect("pixmill starts"))
    }

    /// Sends it a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([format!("-{name}"), self.0.id().to_string()]).status();
        assert!(sent.expect("kill runs").success(), "{name}");
    }

    /// Whether it runs no more.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.0.try_wait().expect("it can be asked for").is_some()
    }

    /// Waits for the end of a process that was sent SIGTERM: whether it stopped cleanly, or had not begun to listen for
    /// signals.
    pub(crate) fn stopped(mut self) -> bool {
        let status = self.0.wait().expect("pixmill ends");
        status.code() == Some(0) || status.signal() == Some(SIGTERM)
    }

    /// Waits for its end and gives its exit code.
    pub(crate) fn exit_code(mut self) -> Option<i32> {
        self.0.wait().expect("pixmill ends").code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
