//! Settle: ends are written by compare-and-set, many in one durable write.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Ports, Scope};
use crate::fault::Fault;
use crate::model::image::{Failure, Outcome, Settlement};
use crate::model::time::Timestamp;
use crate::port::clock::Clock;
use crate::port::records::Records;

/// Most ends in one write.
const BATCH: usize = 512;

/// How often a write of a single request's ends is tried while records can't be reached, and how long in between.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(500);

struct Given {
    settlement: Settlement,
    written: oneshot::Sender<bool>,
}

/// Hands ends to the settle stage.
#[derive(Clone)]
pub(super) struct Settler {
    given: mpsc::Sender<Given>,
}

impl Settler {
    /// Returns once the end is durable, and says whether it won. `None` when records failed for good: the stage has
    /// stopped the pipeline and says why.
    pub(super) async fn settle(&self, settlement: Settlement) -> Option<bool> {
        let (written, answer) = oneshot::channel();
        self.given.send(Given { settlement, written }).await.ok()?;
        answer.await.ok()
    }
}

/// Starts the stage. It ends when every [`Settler`] is gone, or with the fault that stopped it.
pub(super) fn start(
    ports: &Ports,
    scope: &Scope,
    stop: CancellationToken,
) -> (Settler, JoinHandle<Result<(), Fault>>) {
    let (given, queue) = mpsc::channel(2 * BATCH);
    let tries = match scope {
        Scope::Request(_) => TRIES,
        Scope::All => u32::MAX,
    };
    let writing = Writing { records: ports.records.clone(), clock: ports.clock.clone(), tries };
    let stage = tokio::spawn(async move {
        let settled = writing.write_batches(queue).await;
        if settled.is_err() {
            stop.cancel();
        }
        settled
    });
    (Settler { given }, stage)
}

struct Writing {
    records: Arc<dyn Records>,
    clock: Arc<dyn Clock>,
    tries: u32,
}

impl Writing {
    /// While one batch is being written the next one gathers, so batches grow with the load and nothing waits for a
    /// timer.
    async fn write_batches(&self, mut queue: mpsc::Receiver<Given>) -> Result<(), Fault> {
        let mut batch = Vec::with_capacity(BATCH);
        while queue.recv_many(&mut batch, BATCH).await > 0 {
            let (settlements, waiting): (Vec<_>, Vec<_>) =
                batch.drain(..).map(|given| (given.settlement, given.written)).unzip();
            let settled = self.write(settlements).await?;
            for (written, won) in waiting.into_iter().zip(settled) {
                // Whoever waited may have been stopped; the end is written all the same.
                let _ = written.send(won);
            }
        }
        Ok(())
    }

    /// Tells of an outage once, however long it lasts.
    async fn write(&self, batch: Vec<Settlement>) -> Result<Vec<bool>, Fault> {
        let mut tries = 0;
        loop {
            match self.records.settle(batch.clone(), self.clock.now()).await {
                Ok(settled) => return Ok(settled.won),
                Err(fault) if fault.transient && tries < self.tries => {
                    if tries == 0 {
                        tracing::warn!(%fault, ends = batch.len(), "ends can't be written, trying again");
                    }
                    tries += 1;
                    self.clock.sleep(PAUSE).await;
                }
                Err(fault) => return Err(fault),
            }
        }
    }
}

const FIRST_BACKOFF: Duration = Duration::from_millis(500);
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);

/// What a fault makes of an image: another attempt later, or its end with the fault's code.
pub(super) fn after_fault(
    fault: Fault,
    attempt: u32,
    attempts: u32,
    longest_retry_after: Duration,
    now: Timestamp,
) -> Outcome {
    if !fault.transient || attempt >= attempts {
        return Outcome::Failed(Failure::from(fault));
    }
    let wait = backoff(attempt).max(fault.retry_after.unwrap_or_default().min(longest_retry_after));
    Outcome::Retry(now + wait)
}

/// Exponential backoff with jitter, so that images that failed together do not come back together.
fn backoff(attempt: u32) -> Duration {
    use backon::BackoffBuilder;
    let waits = backon::ExponentialBuilder::new()
        .with_min_delay(FIRST_BACKOFF)
        .with_max_delay(LONGEST_BACKOFF)
        .without_max_times()
        .with_jitter()
        .build();
    waits.take(attempt.max(1) as usize).last().unwrap_or(LONGEST_BACKOFF)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::Code;

    const NOW: Timestamp = Timestamp(0);
    const CAP: Duration = Duration::from_secs(60);

    fn busy(retry_after: Option<u64>) -> Fault {
        Fault::transient(Code::FetchStatus, "503").after(retry_after.map(Duration::from_secs))
    }

    fn wait(outcome: Outcome) -> Duration {
        match outcome {
            Outcome::Retry(at) => at.since(NOW),
            other => panic!("{other:?} is no retry"),
        }
    }

    #[test]
    fn permanent_faults_end_at_once() {
        let gone = Fault::permanent(Code::FetchStatus, "404");
        assert!(
            matches!(after_fault(gone, 1, 5, CAP, NOW), Outcome::Failed(f) if f.code == Code::FetchStatus)
        );
    }

    #[test]
    fn transient_faults_are_tried_again_until_the_attempts_are_used_up() {
        assert!(matches!(after_fault(busy(None), 4, 5, CAP, NOW), Outcome::Retry(_)));
        assert!(matches!(after_fault(busy(None), 5, 5, CAP, NOW), Outcome::Failed(_)));
    }

    #[test]
    fn waits_grow_and_stay_bounded() {
        for attempt in 1..6 {
            let wait = wait(after_fault(busy(None), attempt, 99, CAP, NOW));
            let base = FIRST_BACKOFF * 2u32.pow(attempt - 1);
            assert!(wait >= base && wait <= base * 2, "{attempt}: {wait:?}");
        }
        assert!(wait(after_fault(busy(None), 900, 1000, CAP, NOW)) <= LONGEST_BACKOFF * 2);
    }

    #[test]
    fn retry_after_is_honoured_up_to_its_cap() {
        assert!(wait(after_fault(busy(Some(30)), 1, 5, CAP, NOW)) >= Duration::from_secs(30));
        assert!(wait(after_fault(busy(Some(9999)), 1, 5, CAP, NOW)) <= CAP);
    }
}
