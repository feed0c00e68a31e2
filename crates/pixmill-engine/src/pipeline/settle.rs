//! Settle: ends are written by compare-and-set, many in one durable write.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Ports, Scope};
use crate::fault::Fault;
use crate::model::image::{Outcome, Settlement};
use crate::model::time::Timestamp;
use crate::port::clock::{Clock, Instant};
use crate::port::queue::Backoff;
use crate::port::records::Records;

/// Most ends in one write.
const BATCH: usize = 512;

/// How often a write of a single request's ends is tried while records can't be reached, and how long in between.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(500);

struct Given {
    settlement: Settlement,
    at: Moment,
    written: oneshot::Sender<bool>,
}

/// One moment by both clocks.
#[derive(Debug, Clone, Copy)]
struct Moment {
    wall: Timestamp,
    instant: Instant,
}

impl Moment {
    fn now(clock: &dyn Clock) -> Moment {
        Moment { wall: clock.wall(), instant: clock.instant() }
    }
}

/// The end as it is written `now`: an image that waits for another attempt waits for what is left of its time, however
/// far the wall clock was set since the end was `given`.
fn due_again(settlement: &Settlement, given: Moment, now: Moment) -> Settlement {
    let mut settlement = settlement.clone();
    if let Outcome::Retry(due) = &mut settlement.outcome {
        let left = due.since(given.wall).saturating_sub(now.instant.since(given.instant));
        *due = now.wall + left;
    }
    settlement
}

/// Hands ends to the settle stage.
#[derive(Clone)]
pub(super) struct Settler {
    given: mpsc::Sender<Given>,
    clock: Arc<dyn Clock>,
}

impl Settler {
    /// Returns once the end is durable, and says whether it won. `None` when records failed for good: the stage has
    /// stopped the pipeline and says why.
    pub(super) async fn settle(&self, settlement: Settlement) -> Option<bool> {
        let (written, answer) = oneshot::channel();
        let at = Moment::now(&*self.clock);
        self.given.send(Given { settlement, at, written }).await.ok()?;
        answer.await.ok()
    }
}

/// Starts the stage. It ends when every [`Settler`] is gone, or with the fault that stopped it.
pub(super) fn start(
    ports: &Ports,
    scope: &Scope,
    completed: Arc<Notify>,
    stop: CancellationToken,
) -> (Settler, JoinHandle<Result<(), Fault>>) {
    let (given, queue) = mpsc::channel(2 * BATCH);
    let tries = match scope {
        Scope::Request(_) => TRIES,
        Scope::All => u32::MAX,
    };
    let writing = Writing { records: ports.records.clone(), clock: ports.clock.clone(), tries, completed };
    let stage = tokio::spawn(async move {
        let settled = writing.write_batches(queue).await;
        if settled.is_err() {
            stop.cancel();
        }
        settled
    });
    (Settler { given, clock: ports.clock.clone() }, stage)
}

struct Writing {
    records: Arc<dyn Records>,
    clock: Arc<dyn Clock>,
    tries: u32,
    completed: Arc<Notify>,
}

impl Writing {
    /// While one batch is being written the next one gathers, so batches grow with the load and nothing waits for a
    /// timer.
    async fn write_batches(&self, mut queue: mpsc::Receiver<Given>) -> Result<(), Fault> {
        let mut batch = Vec::with_capacity(BATCH);
        while queue.recv_many(&mut batch, BATCH).await > 0 {
            let settled = self.write(&batch).await?;
            for (given, won) in batch.drain(..).zip(settled) {
                // Whoever waited may have been stopped; the end is written all the same.
                let _ = given.written.send(won);
            }
        }
        Ok(())
    }

    /// Tells of an outage once, however long it lasts.
    async fn write(&self, batch: &[Given]) -> Result<Vec<bool>, Fault> {
        let mut tries = 0;
        loop {
            let now = Moment::now(&*self.clock);
            let ends = batch.iter().map(|given| due_again(&given.settlement, given.at, now)).collect();
            match self.records.settle(ends, now.wall).await {
                Ok(settled) => {
                    for request in &settled.completed {
                        tracing::info!(%request, "request completed");
                    }
                    if !settled.completed.is_empty() {
                        self.completed.notify_one();
                    }
                    return Ok(settled.won);
                }
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

/// The longest wait that a producer's own backoff may ask for.
const LONGEST_OF_OTHERS: Duration = Duration::from_secs(86_400);

/// How often, and after how long, an image is tried again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    pub(super) attempts: u32,
    /// A producer's own word on its job; `None` is pixmill's.
    pub(super) backoff: Option<Backoff>,
    pub(super) longest_retry_after: Duration,
}

/// How long an image waits for another attempt after a fault; `None` where it ends with it.
pub(super) fn wait_after(fault: &Fault, attempt: u32, patience: Patience) -> Option<Duration> {
    if !fault.transient || attempt >= patience.attempts {
        return None;
    }
    let asked = fault.retry_after.unwrap_or_default().min(patience.longest_retry_after);
    Some(wait(patience.backoff, attempt).max(asked))
}

fn wait(backoff: Option<Backoff>, attempt: u32) -> Duration {
    match backoff {
        None => jittered(attempt),
        Some(Backoff::Fixed(wait)) => wait.min(LONGEST_OF_OTHERS),
        Some(Backoff::Exponential(first)) => {
            let times = 1u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
            first.saturating_mul(times).min(LONGEST_OF_OTHERS)
        }
    }
}

/// Exponential backoff with jitter, so that images that failed together do not come back together.
fn jittered(attempt: u32) -> Duration {
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
    use crate::model::id::ImageId;
    use crate::model::lease::Token;

    const CAP: Duration = Duration::from_secs(60);

    fn of(attempts: u32) -> Patience {
        Patience { attempts, backoff: None, longest_retry_after: CAP }
    }

    fn busy(retry_after: Option<u64>) -> Fault {
        Fault::transient(Code::FetchStatus, "503").after(retry_after.map(Duration::from_secs))
    }

    fn wait(fault: Fault, attempt: u32, patience: Patience) -> Duration {
        wait_after(&fault, attempt, patience).expect("it is tried again")
    }

    #[test]
    fn a_wall_clock_that_is_set_while_an_end_waits_changes_no_wait() {
        let given = Moment { wall: Timestamp(9_000_000), instant: Instant(Duration::from_secs(50)) };
        let waits = Settlement {
            image: ImageId::from("a"),
            token: Token(7),
            outcome: Outcome::Retry(Timestamp(9_005_000)),
        };
        for wall in [1_000, 9_002_000, 99_000_000] {
            let now = Moment { wall: Timestamp(wall), instant: Instant(Duration::from_secs(52)) };
            assert_eq!(due_again(&waits, given, now).outcome, Outcome::Retry(Timestamp(wall + 3_000)));
        }
    }

    #[test]
    fn permanent_faults_end_at_once() {
        assert_eq!(wait_after(&Fault::permanent(Code::FetchStatus, "404"), 1, of(5)), None);
    }

    #[test]
    fn transient_faults_are_tried_again_until_the_attempts_are_used_up() {
        assert!(wait_after(&busy(None), 4, of(5)).is_some());
        assert_eq!(wait_after(&busy(None), 5, of(5)), None);
    }

    #[test]
    fn waits_grow_and_stay_bounded() {
        for attempt in 1..6 {
            let wait = wait(busy(None), attempt, of(99));
            let base = FIRST_BACKOFF * 2u32.pow(attempt - 1);
            assert!(wait >= base && wait <= base * 2, "{attempt}: {wait:?}");
        }
        assert!(wait(busy(None), 900, of(1000)) <= LONGEST_BACKOFF * 2);
    }

    #[test]
    fn retry_after_is_honoured_up_to_its_cap() {
        assert!(wait(busy(Some(30)), 1, of(5)) >= Duration::from_secs(30));
        assert!(wait(busy(Some(9999)), 1, of(5)) <= CAP);
    }

    #[test]
    fn a_producers_own_backoff_is_kept() {
        let exponential = Some(Backoff::Exponential(Duration::from_millis(200)));
        let fixed = Some(Backoff::Fixed(Duration::from_secs(3)));
        let of = |backoff| Patience { backoff, ..of(1_000) };
        for (attempt, millis) in [(1, 200), (2, 400), (3, 800)] {
            assert_eq!(wait(busy(None), attempt, of(exponential)).as_millis(), millis);
            assert_eq!(wait(busy(None), attempt, of(fixed)), Duration::from_secs(3));
        }
        assert_eq!(wait(busy(None), 99, of(exponential)), LONGEST_OF_OTHERS);
        assert_eq!(wait(busy(Some(30)), 1, of(fixed)), Duration::from_secs(30));
    }
}
