//! What every queue promises.

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::{ImageId, RequestId};
use pixmill_engine::model::image::{Candidate, Failure, Output};
use pixmill_engine::port::queue::{Delivered, Job, Queue};

/// Within which a condition must come about.
const PATIENCE: Duration = Duration::from_secs(30);

/// Fresh images, numbered; their ids are what pixmill itself would make.
pub fn candidates(range: std::ops::Range<u32>) -> Vec<Candidate> {
    range
        .map(|number| Candidate {
            image: ImageId::from(format!("01890a5d-ac96-774b-bcce-b302{number:08x}")),
            request: RequestId::from("01890a5d-ac96-774b-bcce-b302ffffffff"),
            input: format!("http://example.com/{number}.jpg"),
            round: 1,
            attempts: 0,
            tenant: String::new(),
        })
        .collect()
}

/// Takes until so many jobs have come.
///
/// # Panics
/// When they do not come, or more do.
pub async fn take(queue: &Arc<dyn Queue>, count: usize) -> Vec<Job> {
    let mut taken = Vec::new();
    let all = async {
        while taken.len() < count {
            taken.extend(queue.take(count - taken.len()));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, all).await.is_ok(), "{count} jobs did not come: {taken:?}");
    assert_eq!(taken.len(), count);
    taken
}

/// Waits until the window has so much room.
///
/// # Panics
/// When it does not come to that.
pub async fn await_room(queue: &Arc<dyn Queue>, room: usize) {
    let mut last = 0;
    let found = async {
        loop {
            last = queue.room().await.unwrap();
            if last == room {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, found).await;
    assert!(found.is_ok(), "room is {last}, not {room}");
}

fn output() -> Output {
    Output { location: "http://example.com/out.jpg".into(), bytes_before: 1000, bytes_after: 300, frames: 1 }
}

fn failure() -> Failure {
    Failure { code: Code::FetchStatus, message: "the server answered 404".into() }
}

fn images(jobs: &[Job]) -> Vec<&ImageId> {
    jobs.iter().map(|job| &job.image).collect()
}

/// Runs the suite. `make` gives an empty queue whose window holds 100 jobs and which holds at least 20 here.
///
/// # Panics
/// When a promise is broken.
pub async fn suite<M, F>(make: M)
where
    M: Fn() -> F,
    F: Future<Output = Arc<dyn Queue>>,
{
    jobs_are_delivered_once(make().await).await;
    a_fresh_job_brings_what_was_fed(make().await).await;
    feeding_twice_adds_once(make().await).await;
    a_job_that_ended_may_be_fed_again(make().await).await;
    an_image_comes_again_after_a_fault(make().await).await;
    the_window_tells_its_room(make().await).await;
    a_closed_queue_delivers_no_more(make().await).await;
}

/// Feeds ten jobs and takes them in two parts.
async fn fed_and_taken(queue: &Arc<dyn Queue>) -> (Vec<Candidate>, Vec<Job>) {
    let fed = candidates(0..10);
    assert_eq!(queue.add(fed.clone()).await.unwrap(), 10);
    let mut taken = take(queue, 4).await;
    taken.extend(take(queue, 6).await);
    (fed, taken)
}

async fn jobs_are_delivered_once(queue: Arc<dyn Queue>) {
    let (fed, taken) = fed_and_taken(&queue).await;
    let images: HashSet<_> = images(&taken).into_iter().collect();
    assert_eq!(images, fed.iter().map(|candidate| &candidate.image).collect());
    assert_eq!(taken.iter().map(|job| &job.id).collect::<HashSet<_>>().len(), 10);
    assert!(queue.take(100).is_empty());
}

/// What a queue that is not shared promises besides.
///
/// # Panics
/// When the promise is broken.
pub async fn jobs_are_delivered_in_order(queue: Arc<dyn Queue>) {
    let (fed, taken) = fed_and_taken(&queue).await;
    assert_eq!(images(&taken), fed.iter().map(|candidate| &candidate.image).collect::<Vec<_>>());
}

async fn a_fresh_job_brings_what_was_fed(queue: Arc<dyn Queue>) {
    let fed = candidates(0..1);
    queue.add(fed.clone()).await.unwrap();
    let job = take(&queue, 1).await.remove(0);
    assert_eq!((&job.image, &job.request), (&fed[0].image, &fed[0].request));
    assert_eq!((job.candidate.as_ref(), job.retries), (fed.first(), None));
}

async fn feeding_twice_adds_once(queue: Arc<dyn Queue>) {
    queue.add(candidates(0..3)).await.unwrap();
    let taken = take(&queue, 1).await;
    assert_eq!(queue.add(candidates(0..4)).await.unwrap(), 1);
    let rest = take(&queue, 3).await;
    let all: HashSet<_> = images(&taken).into_iter().chain(images(&rest)).collect();
    assert_eq!(all.len(), 4);
    assert!(queue.take(100).is_empty());
}

async fn a_job_that_ended_may_be_fed_again(queue: Arc<dyn Queue>) {
    for delivered in [Delivered::Completed(output()), Delivered::Failed(failure())] {
        assert_eq!(queue.add(candidates(0..1)).await.unwrap(), 1);
        let taken = take(&queue, 1).await;
        queue.finish(&taken[0].id, delivered);
        await_room(&queue, 100).await;
    }
}

/// Whether the queue kept it or records feed it: once its time has come, it is delivered once.
async fn an_image_comes_again_after_a_fault(queue: Arc<dyn Queue>) {
    let fault = Fault::transient(Code::FetchTimeout, "no answer within 30 s");
    let soon = Duration::from_millis(1);
    let outcomes = [Delivered::Retried { wait: soon, fault }, Delivered::PutOff(soon), Delivered::Returned];
    for (attempts, delivered) in (0..).zip(outcomes) {
        queue.add(candidates(0..1)).await.unwrap();
        let taken = take(&queue, 1).await;
        queue.finish(&taken[0].id, delivered);
        let again = Candidate { attempts: attempts + 1, ..candidates(0..1).remove(0) };
        let mut jobs = Vec::new();
        let comes = async {
            while jobs.is_empty() {
                queue.add(vec![again.clone()]).await.unwrap();
                jobs.extend(queue.take(10));
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, comes).await.is_ok(), "it did not come again");
        assert_eq!(jobs.len(), 1, "{jobs:?}");
        assert_eq!(jobs[0].image, again.image);
        assert!(queue.take(10).is_empty());
        queue.finish(&jobs[0].id, Delivered::Completed(output()));
        await_room(&queue, 100).await;
    }
}

async fn the_window_tells_its_room(queue: Arc<dyn Queue>) {
    await_room(&queue, 100).await;
    queue.add(candidates(0..60)).await.unwrap();
    let room = queue.room().await.unwrap();
    assert!((40..=60).contains(&room), "{room}");
    for job in take(&queue, 20).await {
        queue.finish(&job.id, Delivered::Completed(output()));
    }
    for job in take(&queue, 40).await {
        queue.finish(&job.id, Delivered::Failed(failure()));
    }
    await_room(&queue, 100).await;
}

async fn a_closed_queue_delivers_no_more(queue: Arc<dyn Queue>) {
    queue.add(candidates(0..10)).await.unwrap();
    let taken = take(&queue, 3).await;
    let finish = async {
        for job in &taken {
            queue.finish(&job.id, Delivered::Completed(output()));
        }
    };
    let closed = tokio::time::timeout(PATIENCE, async { tokio::join!(queue.close(), finish) }).await;
    assert!(closed.is_ok(), "closing did not come to an end");
    assert!(queue.take(10).is_empty());
}
