//! What every queue promises.

use std::sync::Arc;

use pixmill_engine::model::image::Candidate;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::queue::{Delivered, Queue};

fn jobs(range: std::ops::Range<u32>) -> Vec<Candidate> {
    range
        .map(|number| Candidate {
            image: format!("image-{number}").as_str().into(),
            request: "request".into(),
            input: format!("http://example.com/{number}.jpg"),
            suspect: false,
        })
        .collect()
}

async fn add(queue: &Arc<dyn Queue>, range: std::ops::Range<u32>) {
    queue.add(jobs(range)).await.unwrap();
}

/// Runs the suite. `make` gives an empty queue whose window holds 100 jobs.
///
/// # Panics
/// When a promise is broken.
pub async fn suite(make: impl Fn() -> Arc<dyn Queue>) {
    jobs_are_delivered_in_order_and_once(make()).await;
    feeding_twice_adds_once(make()).await;
    a_finished_job_may_be_fed_again(make()).await;
    the_window_tells_its_room(make()).await;
}

async fn jobs_are_delivered_in_order_and_once(queue: Arc<dyn Queue>) {
    add(&queue, 0..10).await;
    assert_eq!(queue.take(4).await.unwrap(), jobs(0..4));
    assert_eq!(queue.take(100).await.unwrap(), jobs(4..10));
    assert!(queue.take(100).await.unwrap().is_empty());
}

async fn feeding_twice_adds_once(queue: Arc<dyn Queue>) {
    add(&queue, 0..3).await;
    assert_eq!(queue.take(1).await.unwrap(), jobs(0..1));
    add(&queue, 0..4).await;
    assert_eq!(queue.take(100).await.unwrap(), jobs(1..4));
}

async fn a_finished_job_may_be_fed_again(queue: Arc<dyn Queue>) {
    for delivered in [Delivered::Returned, Delivered::Later(Timestamp(0)), Delivered::Ended] {
        add(&queue, 0..1).await;
        let taken = queue.take(1).await.unwrap();
        assert_eq!(taken, jobs(0..1));
        queue.finish(&taken[0], delivered).await.unwrap();
    }
}

async fn the_window_tells_its_room(queue: Arc<dyn Queue>) {
    assert_eq!(queue.room().await.unwrap(), 100);
    add(&queue, 0..60).await;
    assert_eq!(queue.room().await.unwrap(), 40);
    queue.take(10).await.unwrap();
    assert_eq!(queue.room().await.unwrap(), 50);
}
