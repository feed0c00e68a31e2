//! The stack that people run today, from outside: workers on Redis, MongoDB and Cloudinary, and what befalls those.

mod seeded;
mod server;
mod stack;

use std::time::Duration;

use pixmill_engine::model::id::RequestId;
use pixmill_testkit::origin::{Origin, Settings};
use pixmill_testkit::services::End;
use pixmill_testkit::services::redis::Persistence;
use pixmill_testkit::sink::{Reply, Sink};
use pixmill_testkit::storage::standin::Trouble;
use server::Process;
use stack::Stack;

/// Rows of the catalogue.
const ROWS: usize = 16;

/// Works a request off while something befalls a backend once some of it is done, and holds what came of it against
/// what should.
async fn survives(persistence: Persistence, befall: impl AsyncFn(&mut Stack)) {
    let mut stack = Stack::start(persistence).await;
    let origin = Origin::start(Settings::serving(seeded::pictures())).expect("the origin starts");
    let sink = Sink::start(|_| Reply::from(200)).expect("a sink");
    let (catalogue, expected) = seeded::catalogue(&origin.url(""), ROWS);
    let request = stack.server.accept(&catalogue, Some(sink.url("/"))).await;
    let arguments = ["--role", "worker", "--connections", "2", "--attempts", "1000"];
    let workers: Vec<_> = (0..2).map(|_| Process::start(&mut stack.server.command(&arguments))).collect();
    until_some_ended(&stack, &request).await;
    befall(&mut stack).await;
    stack.server.wait_for(&request).await;
    stack.server.wait_until_told(&request).await;
    workers.iter().for_each(|worker| worker.signal("TERM"));
    for worker in workers {
        assert_eq!(worker.exit_code(), Some(0), "it waited");
    }
    let wrong = stack.check(&stack.server.results(&request).await, &expected);
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(stack.server.records.completions(&request).await.unwrap().len(), 1);
}

async fn until_some_ended(stack: &Stack, request: &RequestId) {
    while stack.server.records.progress(request).await.unwrap().ended() < 6 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_worked_off() {
    survives(Persistence::AppendOnly, async |_| {}).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_may_be_killed_and_remember() {
    survives(Persistence::AppendOnly, async |stack| stack.restart_redis(End::Killed).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_may_be_killed_and_forget() {
    survives(Persistence::None, async |stack| stack.restart_redis(End::Killed).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_may_be_flushed() {
    survives(Persistence::AppendOnly, async |stack| stack.flush_redis().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mongodb_may_be_started_again() {
    survives(Persistence::AppendOnly, async |stack| stack.restart_mongodb().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cloudinary_may_refuse_for_a_while_and_hang_up_after_it_stored() {
    survives(Persistence::AppendOnly, async |stack| {
        stack.cloudinary.misbehave(|request| match request {
            0..4 => Some(Trouble::Refused(420, Vec::new())),
            4..8 => Some(Trouble::Refused(500, Vec::new())),
            8..12 => Some(Trouble::CutAfter),
            _ => None,
        });
    })
    .await;
}
