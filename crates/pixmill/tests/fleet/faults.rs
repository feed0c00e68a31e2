//! What befalls the stack while it works, over all three backends together: nothing is lost, nothing is doubled, and
//! each completion is told once.

use mongodb::bson::doc;
use pixmill_testkit::checker::Expected;
use pixmill_testkit::services::End;
use pixmill_testkit::services::mongodb::Mongodb;
use pixmill_testkit::services::node::Node;
use pixmill_testkit::services::redis::Persistence;
use pixmill_testkit::storage::standin::Trouble;
use serde_json::{Value, json};

use crate::ledger::kept;
use crate::server::Process;
use crate::shop::Habit;
use crate::stack::{LEASE, Order, QUEUE, Stack};

/// Rows of each order.
const ROWS: usize = 12;

/// Works off an order of pixmill's and one of a shop's while something befalls the stack, then one more.
async fn survives(mut stack: Stack, befall: impl AsyncFnOnce(&mut Stack, &Order)) {
    let (ours, theirs) = (stack.accept(ROWS).await, stack.documents(ROWS, Habit::Uuid).await);
    stack.add_jobs(&theirs.jobs).await;
    let workers = [stack.worker(), stack.worker()];
    stack.until_some_ended(&ours).await;
    befall(&mut stack, &theirs).await;
    let after = stack.accept(ROWS / 2).await;
    stack.finish(&[&ours, &theirs, &after], workers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_shop_left_is_worked_off_beside_our_own_and_shown_in_bull_board() {
    let stack = Stack::start(Persistence::AppendOnly).await;
    let (ours, theirs) = (stack.accept(4).await, stack.documents(6, Habit::ObjectId).await);
    let jobs = theirs.jobs.iter().map(|data| json!({ "name": "process-image", "data": data }));
    node(&stack, "add", &Value::from_iter(jobs).to_string()).await;
    let workers = [stack.worker(), stack.worker()];
    stack.finish(&[&ours, &theirs], workers).await;

    let board = node(&stack, "show", "").await["board"].take();
    let images = stack.images(&theirs).await;
    let mut shown = 0;
    for state in ["completed", "failed"] {
        for job in board[state].as_array().expect("jobs") {
            let of_it = |id: &str| job["data"]["imageId"] == id;
            let image =
                images.iter().find(|image| image.get_object_id("_id").is_ok_and(|id| of_it(&id.to_hex())));
            let Some(image) = image else { continue };
            shown += 1;
            match kept(image).get_document("error") {
                Err(_) => assert_eq!(job["returnValue"]["secure_url"], image.get_str("outputUrl").unwrap()),
                Ok(error) => {
                    let told =
                        format!("{}: {}", error.get_str("code").unwrap(), error.get_str("message").unwrap());
                    assert_eq!((state, &job["failedReason"]), ("failed", &json!(told)));
                }
            }
        }
    }
    assert_eq!(shown, theirs.jobs.len(), "{board}");
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_may_be_killed_and_remember() {
    let stack = Stack::start(Persistence::AppendOnly).await;
    survives(stack, async |stack, _| {
        stack.redis.stop(End::Killed);
        stack.redis.start_again().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_may_be_killed_and_forget() {
    let stack = Stack::start(Persistence::None).await;
    survives(stack, async |stack, theirs| {
        stack.redis.stop(End::Killed);
        stack.redis.start_again().await;
        // Nobody waits ten minutes for pixmill to take the request over. The jobs are numbered anew.
        stack.add_jobs(theirs.jobs.iter().rev()).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_may_be_flushed() {
    let stack = Stack::start(Persistence::AppendOnly).await;
    survives(stack, async |stack, theirs| {
        stack.redis.forget().await;
        stack.add_jobs(theirs.jobs.iter().rev()).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mongodb_may_be_killed_and_started_again() {
    let mut mongodb = Mongodb::start(&[]).await;
    let stack = Stack::on(Persistence::AppendOnly, &mongodb.url("shop"), |_| 200).await;
    survives(stack, async |_, _| {
        mongodb.stop(End::Killed);
        mongodb.start_again().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cloudinary_may_refuse_for_a_while_and_hang_up_after_it_stored() {
    let stack = Stack::start(Persistence::AppendOnly).await;
    // From the sixth on, whoever is quick: set up once some have ended, it could come after all of them.
    stack.cloudinary.misbehave(|upload| match upload {
        6..10 => Some(Trouble::Refused(420, Vec::new())),
        10..14 => Some(Trouble::Refused(500, Vec::new())),
        14..18 => Some(Trouble::CutAfter),
        18..20 => Some(Trouble::CutBefore),
        _ => None,
    });
    survives(stack, async |stack, _| {
        stack.until("all of it has befallen", async || stack.cloudinary.asked() > 20).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_was_frozen_past_its_leases_changes_nothing_when_it_wakes() {
    let stack = Stack::start(Persistence::AppendOnly).await;
    let slow = |number: usize| stack.origin.url(&format!("/x/slow/2500/caps.jpg?{number}"));
    let rows: Vec<_> = (0..5).map(|number| (vec![slow(number)], vec![Expected::Completed])).collect();
    let order = stack.documents_of(&rows, Habit::Uuid).await;
    // The request stays open, so that only the leases stand between it and who comes too late.
    let (now, later) = order.jobs.split_at(4);
    stack.add_jobs(now).await;
    let frozen = Process::start(stack.command().args(["--timeout", "600"]));
    stack.until("it fetches them all", async || stack.origin.log().len() == now.len()).await;
    frozen.signal("STOP");
    let held = stack.all("images", doc! { "pixmill.lease": { "$exists": true } }).await.len() as u64;
    assert!(held > 0, "it was frozen too late");
    tokio::time::sleep(LEASE).await;
    let other = stack.worker();
    let completed = doc! { "status": "completed" };
    stack
        .until("the other has ended them", async || {
            stack.all("images", completed.clone()).await.len() == now.len()
        })
        .await;
    let (ended, uploads) = (stack.images(&order).await, stack.cloudinary.asked());
    frozen.signal("CONT");
    stack.until("it has gone on", async || stack.cloudinary.asked() >= uploads + held).await;
    frozen.signal("TERM");
    assert_eq!(frozen.exit_code(), Some(0));
    assert_eq!(stack.images(&order).await, ended, "it came too late");
    stack.add_jobs(later).await;
    stack.finish(&[&order], [other]).await;
}

/// Runs a command of `queue.mjs` on the stack's queue.
pub(crate) async fn node(stack: &Stack, command: &str, argument: &str) -> Value {
    let module = include_str!("../../../pixmill-adapters/tests/interop/queue.mjs");
    let said = Node::run(module, &[command, QUEUE, argument], &[("REDIS_URL", &stack.redis.url())]).await;
    serde_json::from_str(&said).expect("JSON")
}
