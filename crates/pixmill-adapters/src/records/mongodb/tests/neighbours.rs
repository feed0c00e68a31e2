//! All that others keep in a database, beside every method of the port.

use std::collections::BTreeMap;

use async_trait::async_trait;
use futures::TryStreamExt;
use mongodb::bson::{Bson, DateTime, Document, doc};
use pixmill_testkit::records::strangers::{self, Neighbourhood};

use super::shapes::{COLLECTIONS, is_ours, shapes};
use super::*;

impl Mongodb {
    async fn every(&self, change: impl Fn(&mut Document)) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        for name in self.shared.database.list_collection_names().await.unwrap() {
            let found = self.shared.database.collection::<Document>(&name).find(doc! {}).await.unwrap();
            let found: Vec<Document> = found.try_collect().await.unwrap();
            for mut document in found.into_iter().filter(|document| !is_ours(&name, document)) {
                let id = document.get("_id").cloned().unwrap_or(Bson::Null);
                change(&mut document);
                all.insert(format!("{name} {id:?}"), format!("{document:?}"));
            }
        }
        all
    }
}

#[async_trait]
impl Neighbourhood for Mongodb {
    async fn plant(&self) {
        for collection in COLLECTIONS {
            let planted = self.shared.database.collection::<Document>(collection);
            let now = DateTime::from_millis(START.0);
            planted.insert_many(shapes(collection, now)).await.unwrap();
        }
    }

    async fn neighbours(&self) -> BTreeMap<String, String> {
        self.every(|_| {}).await
    }

    async fn neighbours_but_for_what_is_named(&self) -> BTreeMap<String, String> {
        let named = |document: &mut Document| {
            let of_app = document.contains_key("__v");
            for name in ["pixmill", "status", "outputUrl", "processedImages", "updatedAt"] {
                if of_app {
                    document.remove(name);
                }
            }
        };
        self.every(named).await
    }

    async fn undo(&self) {
        for name in self.shared.database.list_collection_names().await.unwrap() {
            let collection = self.shared.database.collection::<Document>(&name);
            if name.starts_with("pixmill_") {
                collection.drop().await.unwrap();
            } else {
                collection.update_many(doc! {}, doc! { "$unset": { "pixmill": "" } }).await.unwrap();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_others_is_deleted_or_changed() {
    strangers::suite(empty).await;
}
