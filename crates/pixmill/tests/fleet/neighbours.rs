//! A database that pixmill shares with others: whatever they keep in it, under whichever name, is there afterwards as it
//! was before, but for the fields that the contract names.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use mongodb::bson::{Bson, DateTime, Document, doc};
use pixmill_testkit::services::redis::Persistence;

use crate::caller::Caller;
use crate::server::Process;
use crate::shapes::{COLLECTIONS, is_ours, shapes};
use crate::shop::Habit;
use crate::stack::Stack;

/// What pixmill writes in documents of an app's requests.
const NAMED: [&str; 5] = ["pixmill", "status", "outputUrl", "processedImages", "updatedAt"];

impl Stack {
    async fn plant(&self) {
        for collection in COLLECTIONS {
            let planted = self.database.collection::<Document>(collection);
            planted.insert_many(shapes(collection, DateTime::now())).await.expect("they are written");
        }
    }

    /// All documents that pixmill did not make; of an app's own requests what pixmill may not write.
    async fn of_others(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        for name in self.database.list_collection_names().await.expect("MongoDB is there") {
            let found =
                self.database.collection::<Document>(&name).find(doc! {}).await.expect("it can be read");
            let found: Vec<Document> = found.try_collect().await.expect("it can be read");
            for mut document in found.into_iter().filter(|document| !is_ours(&name, document)) {
                let id = document.get("_id").cloned().unwrap_or(Bson::Null);
                if document.contains_key("__v") {
                    NAMED.iter().for_each(|named| _ = document.remove(named));
                }
                all.insert(format!("{name} {id:?}"), format!("{document:?}"));
            }
        }
        all
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_and_workers_leave_what_others_keep_as_it_is() {
    let stack = Stack::start(Persistence::None).await;
    let shop = stack.documents(4, Habit::ObjectId).await;
    stack.plant().await;
    let before = stack.of_others().await;
    assert!(before.len() > 2_000, "{} documents", before.len());
    let caller = Caller::start(&stack.server, &["--role", "api", "--retention", "1s"]);
    let workers = [(); 2].map(|()| Process::start(stack.command().args(["--retention", "1s"])));
    stack.add_jobs(&shop.jobs).await;
    let own = stack.accept(6).await;
    let csv = format!(
        "Name,Image Urls\nCap,{}\nGone,{}\n",
        stack.origin.url("/caps.jpg"),
        stack.origin.url("/x/status/404")
    );
    let uploaded = caller.post_csv("/v1/requests", &csv).id();
    assert_eq!(caller.wait_for(&uploaded)["status"], "completed");
    stack.until_over(&[&shop, &own]).await;
    // All that is read and written for clients.
    for path in
        ["/v1/requests?limit=1000", "/v1/webhooks/deliveries?limit=1000", "/v1/usage", "/metrics", "/readyz"]
    {
        let answer = caller.get(path, &[]);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    }
    for part in ["", "/images", "/results.csv", "/failed.csv"] {
        let answer = caller.get(&format!("/v1/requests/{}{part}", shop.request), &[]);
        assert_eq!(answer.status, 200, "{part}: {}", answer.text);
    }
    let shops = format!("/v1/requests/{}", shop.request);
    assert_eq!(caller.delete(&shops).code(), "request.state", "it is the shop's");
    // Long enough for several rounds of upkeep, and for what is not kept to be forgotten.
    stack
        .until("what ended is forgotten", async || {
            caller.get(&format!("/v1/requests/{uploaded}"), &[]).status == 404
        })
        .await;
    workers.iter().for_each(|worker| worker.signal("TERM"));
    for worker in workers {
        assert!(worker.stopped(), "a worker gave up: {}", stack.server.said());
    }
    let after = stack.of_others().await;
    let changed: Vec<_> = before
        .iter()
        .filter(|(id, document)| after.get(*id) != Some(document))
        .map(|(id, document)| format!("{id}: {document}\nis now {:?}", after.get(id)))
        .collect();
    assert!(changed.is_empty(), "{} changed:\n{}", changed.len(), changed.join("\n"));
    let new: Vec<_> = after.keys().filter(|id| !before.contains_key(*id)).collect();
    assert!(new.is_empty(), "{new:?}");
}
