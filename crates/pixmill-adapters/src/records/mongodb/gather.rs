//! Gathers calls into batches, so that many images share a round trip to the server.

use std::time::Duration;

use pixmill_engine::code::Code;
use pixmill_engine::fault::{Blame, Fault};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// Images that are not kept waiting for more.
const ENOUGH: usize = 32;

/// Calls that one event set off come within this, so a first one waits for them.
const COMPANY: Duration = Duration::from_millis(2);

/// Images in one batch at most, give or take a call, and calls that may wait.
const MOST: usize = 1_000;

/// A call that can be part of a batch.
pub(super) trait Call: Send + 'static {
    /// What it is answered with.
    type Answer: Send + 'static;

    /// How many images it is about.
    fn images(&self) -> usize;
}

struct Waiting<C: Call> {
    call: C,
    answer: oneshot::Sender<Result<C::Answer, Fault>>,
}

/// Where calls gather.
pub(super) struct Gather<C: Call> {
    calls: mpsc::Sender<Waiting<C>>,
}

impl<C: Call> Gather<C> {
    /// Starts gathering. Batches follow one another, each at least `pause` after the one before has begun unless it is
    /// large enough; a first one waits a moment alone, and not at all without a pause. `work` answers every call of a
    /// batch, in order. It goes on until every call has been answered, whether or not anybody still waits.
    pub(super) fn start<W, F>(pause: Duration, work: W) -> Self
    where
        W: Fn(Vec<C>) -> F + Send + 'static,
        F: Future<Output = Result<Vec<C::Answer>, Fault>> + Send,
    {
        let (calls, mut queue) = mpsc::channel::<Waiting<C>>(MOST);
        tokio::spawn(async move {
            let mut begun: Option<Instant> = None;
            while let Some(first) = queue.recv().await {
                let mut images = first.call.images();
                let mut batch = vec![first];
                let now = Instant::now();
                let until = begun.map_or(now, |begun| begun + pause).max(now + pause.min(COMPANY));
                while images < MOST {
                    let next = match images < ENOUGH {
                        true => tokio::time::timeout_at(until, queue.recv()).await.ok().flatten(),
                        false => queue.try_recv().ok(),
                    };
                    let Some(next) = next else { break };
                    images += next.call.images();
                    batch.push(next);
                }
                begun = Some(Instant::now());
                let (calls, answers): (Vec<_>, Vec<_>) =
                    batch.into_iter().map(|waiting| (waiting.call, waiting.answer)).unzip();
                match work(calls).await {
                    Ok(answered) => {
                        for (to, answer) in answers.into_iter().zip(answered) {
                            let _ = to.send(Ok(answer));
                        }
                    }
                    Err(fault) => {
                        for to in answers {
                            let _ = to.send(Err(fault.clone()));
                        }
                    }
                }
            }
        });
        Gather { calls }
    }

    /// Makes a call and waits for its answer.
    pub(super) async fn call(&self, call: C) -> Result<C::Answer, Fault> {
        let (answer, answered) = oneshot::channel();
        let broken =
            || Fault::permanent(Code::BackendUnavailable, "writing to MongoDB broke off").of(Blame::Backend);
        self.calls.send(Waiting { call, answer }).await.map_err(|_| broken())?;
        answered.await.unwrap_or_else(|_| Err(broken()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::sync::Semaphore;

    use super::*;

    struct Number(u32);

    impl Call for Number {
        type Answer = u32;

        fn images(&self) -> usize {
            1
        }
    }

    #[tokio::test]
    async fn calls_that_come_while_a_batch_is_worked_are_worked_together() {
        let (go, sizes) = (Arc::new(Semaphore::new(0)), Arc::new(Mutex::new(Vec::new())));
        let (gate, seen) = (go.clone(), sizes.clone());
        let gather = Arc::new(Gather::start(Duration::ZERO, move |batch: Vec<Number>| {
            seen.lock().unwrap().push(batch.len());
            let gate = gate.clone();
            async move {
                gate.acquire().await.unwrap().forget();
                Ok(batch.into_iter().map(|number| number.0 * 2).collect())
            }
        }));
        let call = |number| {
            let gather = gather.clone();
            tokio::spawn(async move { gather.call(Number(number)).await.unwrap() })
        };
        let first = call(0);
        while sizes.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        let others: Vec<_> = (1..=20).map(call).collect();
        while gather.calls.capacity() > MOST - 20 {
            tokio::task::yield_now().await;
        }
        go.add_permits(2);
        assert_eq!(first.await.unwrap(), 0);
        for (number, other) in (1..).zip(others) {
            assert_eq!(other.await.unwrap(), number * 2);
        }
        assert_eq!(*sizes.lock().unwrap(), [1, 20]);
    }

    #[tokio::test]
    async fn a_fault_is_told_to_every_call_and_the_next_batch_goes_on() {
        let fail = Arc::new(Mutex::new(true));
        let failing = fail.clone();
        let gather = Gather::start(Duration::ZERO, move |batch: Vec<Number>| {
            let fails = std::mem::replace(&mut *failing.lock().unwrap(), false);
            async move {
                if fails {
                    return Err(Fault::transient(Code::BackendUnavailable, "gone"));
                }
                Ok(batch.into_iter().map(|number| number.0).collect())
            }
        });
        assert!(gather.call(Number(1)).await.unwrap_err().transient);
        assert_eq!(gather.call(Number(2)).await.unwrap(), 2);
    }
}
