//! The door of a worker on the stack that people run: what it says while a backend is away, and what it counts.

use pixmill_testkit::services::End;
use pixmill_testkit::services::redis::Persistence;

use crate::caller::Caller;
use crate::stack::Stack;

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_not_ready_while_redis_is_away_and_lives_and_counts_all_the_same() {
    let mut stack = Stack::start(Persistence::None).await;
    let webhook = stack.sink.url("/");
    let arguments = ["--role", "worker", "--listen", "127.0.0.2:0", "--webhook-url", &webhook];
    let door = Caller::start(&stack.server, &arguments);
    let order = stack.accept(4).await;
    stack.until_over(&[&order]).await;
    let figure = |beginning: &str| {
        let text = door.get("/metrics", &[]).text;
        let lines = text.lines().filter(|line| line.starts_with(beginning));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().expect("a number")).sum::<f64>()
    };
    let is_ready = || door.get("/readyz", &[]).status == 200;
    stack.until("the worker is ready", async || is_ready()).await;
    let ended = figure("pixmill_images_total");
    assert!(ended > 0.0);
    assert_eq!(figure("pixmill_webhook_deliveries_total{result=\"delivered\"}"), 1.0);
    stack.redis.stop(End::Killed);
    stack.until("the worker is not ready", async || !is_ready()).await;
    let told = door.get("/readyz", &[]).json();
    assert!(told["backends"].to_string().contains("backend.unavailable"), "{told}");
    assert_eq!(door.get("/healthz", &[]).status, 200);
    assert_eq!((figure("pixmill_ready"), figure("pixmill_images_total")), (0.0, ended));
    stack.redis.start_again().await;
    stack.until("the worker is ready again", async || is_ready()).await;
}
