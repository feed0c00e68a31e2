//! One process: a server of the engine's own in a runtime of its own.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::recipe::Limits;
use pixmill_engine::pipeline::webhook::Webhook;
use pixmill_engine::pipeline::webhook::sign::Signer;
use pixmill_engine::pipeline::{Ended, Ports, Settings, Supply, Watcher};
use pixmill_engine::port::queue::Queue;
use pixmill_engine::port::traces::Untold;
use pixmill_engine::serve::{Footing, Ground, Part, Serve};
use pixmill_engine::upkeep::retain::Retain;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::link::Wire;
use super::net::{SimulatedOrigin, SimulatedReceiver};
use super::queue::{SimulatedQueue, WindowOf};
use super::storage::{SimulatedSandbox, SimulatedStorage};
use super::time::{SimulatedClock, Timers};
use super::window::Window;
use super::world::{ATTEMPTS, Here, LEASE, World};
use crate::memory::Memory;

/// What all processes of a world do alike.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    /// They share a queue.
    pub(super) shared: bool,
    /// How long requests are kept, where they are not for ever.
    pub(super) keep: Option<Duration>,
}

/// A process.
pub(super) struct Process {
    pub(super) here: Here,
    runtime: Option<Runtime>,
    stop: CancellationToken,
    server: JoinHandle<Result<(), Fault>>,
    /// It stands until then.
    pub(super) stands: Option<Duration>,
}

impl Process {
    /// Starts one at a time; `works` where it does more than feed the others' queue.
    pub(super) fn start(
        world: &Arc<World>,
        name: &str,
        kind: Kind,
        works: bool,
        at: Duration,
        off: i64,
    ) -> Self {
        let timers = Arc::new(Timers::new(at));
        let runtime = timers.runtime();
        let clock = Arc::new(SimulatedClock::new(timers, off, world.wrong));
        let here = Here { world: world.clone(), clock: clock.clone(), name: name.into() };
        here.say(|| format!("starts, works: {works}, its wall is off by {off} ms"));
        let stop = CancellationToken::new();
        let serve = Serve {
            footing: Arc::new(Floor { here: here.clone(), kind, works }),
            clock,
            settings: settings(),
            watcher: Arc::new(Nobody),
            rules: Arc::default(),
        };
        let stopped = stop.clone();
        let server = runtime.spawn(async move { serve.run(stopped).await });
        Process { here, runtime: Some(runtime), stop, server, stands: None }
    }

    /// Runs until a time, or stands.
    pub(super) fn run_until(&mut self, time: Duration) {
        let Some(runtime) = &self.runtime else { return };
        if self.stands.is_some_and(|until| time < until) {
            return;
        }
        let timers = &self.here.clock.timers;
        if self.stands.take().is_some() {
            timers.jump(time);
        }
        timers.run(runtime, time);
    }

    /// Does something in its runtime.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.runtime {
            runtime.spawn(work);
        }
    }

    /// Ends it at once, whatever it was waiting for.
    pub(super) fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            self.here.say(|| "is killed".to_owned());
            runtime.shutdown_background();
        }
    }

    /// Says something in its name.
    pub(super) fn say(&self, what: &str) {
        self.here.say(|| what.to_owned());
    }

    /// Asks it to end.
    pub(super) fn stop(&self) {
        self.say("is asked to end");
        self.stop.cancel();
    }

    /// Sets its wall by so many milliseconds.
    pub(super) fn step(&self, milliseconds: i64) {
        self.say(&format!("its wall is set by {milliseconds} ms"));
        self.here.clock.off.fetch_add(milliseconds, Ordering::Relaxed);
    }

    pub(super) fn off(&self) -> i64 {
        self.here.clock.off.load(Ordering::Relaxed)
    }

    pub(super) fn is_over(&self) -> bool {
        self.runtime.is_none() || self.server.is_finished()
    }

    /// What it ended with where nobody asked it to.
    pub(super) fn ended_by_itself(&mut self) -> Option<String> {
        if self.stop.is_cancelled() || !self.server.is_finished() {
            return None;
        }
        let runtime = self.runtime.as_ref()?;
        Some(match runtime.block_on(&mut self.server) {
            Ok(Ok(())) => "nothing".to_owned(),
            Ok(Err(fault)) => fault.to_string(),
            Err(broken) => broken.to_string(),
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

struct Nobody;

impl Watcher for Nobody {
    fn ended(&self, _ended: Ended) {}
}

fn settings() -> Settings {
    Settings {
        connections: 6,
        per_origin: 3,
        memory_bytes: 16 << 20,
        limits: Limits::default(),
        max_bytes: 1 << 20,
        timeout: Duration::from_secs(5),
        attempts: ATTEMPTS,
        longest_retry_after: Duration::from_secs(8),
        lease: LEASE,
    }
}

/// What a server stands on.
struct Floor {
    here: Here,
    kind: Kind,
    works: bool,
}

#[async_trait]
impl Footing for Floor {
    async fn open(&self) -> Result<Ground, Fault> {
        let here = || self.here.clone();
        let records = Arc::new(Memory::over(self.here.world.store.clone(), Arc::new(Wire(here()))));
        let window =
            if self.kind.shared { WindowOf::All } else { WindowOf::One(Mutex::new(Window::default())) };
        let queue: Arc<dyn Queue> = Arc::new(SimulatedQueue { here: here(), window });
        let clock = self.here.clock.clone();
        let storage = Arc::new(SimulatedStorage(here()));
        let retain = Retain {
            ledger: records.clone(),
            storage: storage.clone(),
            outputs: true,
            clock: clock.clone(),
            keep: self.kind.keep,
        };
        if !self.works {
            return Ok(Ground { part: Part::Feed(Supply { records, queue, clock }), retain });
        }
        let webhook = Webhook {
            outbox: records.clone(),
            receiver: Arc::new(SimulatedReceiver(here())),
            clock: clock.clone(),
            traces: Arc::new(Untold),
            watcher: Arc::new(Nobody),
            signer: Arc::new(Signer::new("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD").expect("a secret")),
            url: url::Url::parse("http://shop.example/hook").ok(),
            links: "http://pixmill.example".to_owned(),
            lease: Duration::from_secs(18),
        };
        let ports = Ports {
            records,
            queue,
            storage,
            sandbox: Arc::new(SimulatedSandbox(here())),
            origin: Arc::new(SimulatedOrigin(here())),
            files: None,
            clock,
            traces: Arc::new(Untold),
        };
        Ok(Ground { part: Part::Work(ports, Box::new(webhook)), retain })
    }
}
