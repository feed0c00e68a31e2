//! Jobs that this process holds: taken from Redis, and not finished.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pixmill_engine::model::id::{ImageId, JobId};
use pixmill_engine::port::queue::{Delivered, Job};
use tokio::sync::{Notify, oneshot};

/// Where the worker's processor hands jobs over, and learns what became of them.
#[derive(Debug, Default)]
pub(super) struct Hands {
    state: Mutex<State>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Not taken yet.
    waiting: VecDeque<Job>,
    /// Not finished yet, taken or not.
    open: HashMap<JobId, Open>,
    /// Names of jobs that are gone from Redis while whoever took them is still at it.
    gone: HashSet<JobId>,
    /// How many jobs were given another name here.
    renamed: u64,
    closed: bool,
}

/// A job that is not finished, and who waits for what becomes of it.
#[derive(Debug)]
struct Open {
    /// Its name in Redis, which one job has at a time.
    in_redis: JobId,
    image: ImageId,
    finish: oneshot::Sender<Delivered>,
}

impl State {
    /// Redis that lost its jobs counts new ones anew. One that is named like one for another image, which is still held
    /// here, goes by a name of its own, so that it is not told what becomes of that one.
    fn rename(&mut self, job: &mut Job) {
        let known = self.open.iter().find(|(_, open)| open.in_redis == job.id);
        match known.map(|(name, open)| (name.clone(), open.image == job.image)) {
            Some((name, true)) => {
                job.id = name;
                return;
            }
            Some((name, false)) => {
                self.open.remove(&name);
                self.gone.insert(name);
            }
            None => {}
        }
        if self.gone.contains(&job.id) {
            self.renamed += 1;
            job.id = format!("{} anew, {}", job.id, self.renamed).into();
        }
    }
}

impl Hands {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a job over and returns what became of it; `None` when it was handed over once more in the meantime, since
    /// its lock was lost, or is gone from Redis.
    pub(super) async fn deliver(&self, mut job: Job) -> Option<Delivered> {
        let finished = {
            let mut state = self.state();
            if state.closed {
                return Some(Delivered::Returned);
            }
            let in_redis = job.id.clone();
            state.rename(&mut job);
            let (finish, finished) = oneshot::channel();
            state.open.insert(job.id.clone(), Open { in_redis, image: job.image.clone(), finish });
            state.waiting.push_back(job);
            finished
        };
        self.arrived.notify_one();
        finished.await.ok()
    }

    /// Jobs in the order in which they came.
    pub(super) fn take(&self, most: usize) -> Vec<Job> {
        let mut state = self.state();
        let most = most.min(state.waiting.len());
        state.waiting.drain(..most).collect()
    }

    /// Returns once a job waits to be taken.
    pub(super) async fn arrival(&self) {
        while self.state().waiting.is_empty() {
            self.arrived.notified().await;
        }
    }

    /// Passes on what became of a job.
    pub(super) fn finish(&self, job: &JobId, delivered: Delivered) {
        let mut state = self.state();
        if state.gone.remove(job) {
            return;
        }
        if let Some(open) = state.open.remove(job) {
            // Whoever waits for it is gone only when the process ends.
            let _ = open.finish.send(delivered);
        }
    }

    /// Hands back what was not taken, and whatever comes from now on.
    pub(super) fn close(&self) {
        let waiting = {
            let mut state = self.state();
            state.closed = true;
            std::mem::take(&mut state.waiting)
        };
        for job in waiting {
            self.finish(&job.id, Delivered::Returned);
        }
    }

    /// Whether every job has been finished.
    pub(super) fn is_empty(&self) -> bool {
        self.state().open.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pixmill_engine::model::image::Output;
    use tokio::task::JoinHandle;

    use super::*;

    fn job(image: &str) -> Job {
        Job {
            id: "5".into(),
            image: image.into(),
            request: "r".into(),
            candidate: None,
            retries: None,
            added: None,
        }
    }

    fn completed(image: &str) -> Delivered {
        Delivered::Completed(Output { location: image.into(), bytes_before: 2, bytes_after: 1, frames: 1 })
    }

    /// Hands a job over and takes it.
    async fn delivered(hands: &Arc<Hands>, image: &str) -> (Job, JoinHandle<Option<Delivered>>) {
        let (deliver, job) = (hands.clone(), job(image));
        let told = tokio::spawn(async move { deliver.deliver(job).await });
        hands.arrival().await;
        (hands.take(1).remove(0), told)
    }

    #[tokio::test]
    async fn a_queue_that_counts_its_jobs_anew_is_not_told_what_became_of_others() {
        let hands = Arc::new(Hands::default());
        let (first, told_of_first) = delivered(&hands, "first").await;
        let (second, told_of_second) = delivered(&hands, "second").await;
        assert_eq!(told_of_first.await.unwrap(), None, "its job is gone");
        let (third, told_of_third) = delivered(&hands, "third").await;
        assert_eq!(told_of_second.await.unwrap(), None);
        hands.finish(&first.id, completed("first"));
        hands.finish(&second.id, completed("second"));
        hands.finish(&third.id, completed("third"));
        assert_eq!(told_of_third.await.unwrap(), Some(completed("third")));
        assert!(hands.is_empty());
    }

    #[tokio::test]
    async fn a_job_that_is_handed_over_again_is_told_by_whoever_is_first() {
        let hands = Arc::new(Hands::default());
        let (first, told_of_first) = delivered(&hands, "same").await;
        let (_, told_of_second) = delivered(&hands, "same").await;
        assert_eq!(told_of_first.await.unwrap(), None);
        hands.finish(&first.id, completed("same"));
        assert_eq!(told_of_second.await.unwrap(), Some(completed("same")));
    }
}
