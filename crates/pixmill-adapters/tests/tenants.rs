//! Tenants beside each other in one process, by a clock that the test turns.

use std::time::Duration;

use pixmill_engine::model::id::RequestId;

use crate::worker::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_whose_images_fill_window_and_hold_keeps_no_other_waiting() {
    // More than window and hold take together, at one origin that never sends what it promises.
    let stuck = (0..13_000).map(|number| format!("http://promise-0.example/{number}.jpg"));
    let world = World::of(stuck.collect()).await;
    let process = world.work(Duration::from_millis(50));
    world.clock.pass(Duration::from_secs(20), Duration::from_millis(50)).await;
    for round in 1..=3 {
        let good = (0..10).map(|number| format!("http://good-{}.example/{round}/{number}.jpg", number % 2));
        world.take_in(&RequestId::new(), "other", good.collect()).await;
        let done = async || world.ended() == 10 * round;
        let took = world.clock.pass_until("the other's ten are done", Duration::from_secs(60), done).await;
        println!("ten images of another tenant took {took:?}");
        assert!(took <= Duration::from_secs(5), "{took:?}");
    }
    process.killed().await;
}
