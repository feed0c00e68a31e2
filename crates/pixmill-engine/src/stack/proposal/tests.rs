use async_trait::async_trait;

use super::*;
use crate::stack::table::Table;

/// Documents that are as they were told.
struct Told(Vec<(&'static str, Value)>);

#[async_trait]
impl Documents for Told {
    async fn find(&self, query: Query, most: usize) -> Result<Vec<Value>, Fault> {
        let filter = query.filter.as_object().cloned().unwrap_or_default();
        let of_it = self.0.iter().filter(|(name, _)| *name == query.collection).map(|(_, document)| document);
        let like = |document: &&Value| filter.iter().all(|(key, value)| document.get(key) == Some(value));
        Ok(of_it.filter(like).take(most).cloned().collect())
    }

    async fn collections(&self) -> Result<Vec<String>, Fault> {
        let mut names: Vec<_> = self.0.iter().map(|(name, _)| (*name).to_owned()).collect();
        names.dedup();
        Ok(names)
    }

    async fn count(&self, _: &str, _: Value) -> Result<u64, Fault> {
        panic!("it only reads")
    }

    async fn insert(&self, _: &str, _: Value) -> Result<bool, Fault> {
        panic!("it only reads")
    }

    async fn update(&self, _: &str, _: Value, _: Value) -> Result<bool, Fault> {
        panic!("it only reads")
    }

    async fn delete(&self, _: &str, _: Value) -> Result<(), Fault> {
        panic!("it only reads")
    }
}

/// What is proposed for a job, which is a table that can be read.
async fn proposed(job: Value, documents: Vec<(&'static str, Value)>) -> Proposal {
    let documents: Arc<dyn Documents> = Arc::new(Told(documents));
    let jobs = [("job".to_owned(), job.clone())];
    let proposal = propose("q", "bull", &jobs, Some(&documents)).await.unwrap().unwrap();
    let table =
        Table::read(&proposal.table, &|_| None).unwrap_or_else(|wrong| panic!("{wrong}: {proposal:?}"));
    assert_eq!(table.fits(&job), Ok(()), "{proposal:?}");
    proposal
}

#[tokio::test]
async fn addresses_are_found_wherever_a_job_has_them() {
    let url = "http://shop/1.jpg";
    for (job, keys) in [
        (json!({ "inputUrl": url, "n": 1 }), json!({ "url": "$.inputUrl" })),
        (
            json!({ "data": [{ "url": url, "metadata": {} }] }),
            json!({ "items": "$.data[*]", "url": "$.url" }),
        ),
        (json!({ "urls": [url, url] }), json!({ "items": "$.urls[*]", "url": "$" })),
        (
            json!({ "products": [{ "inputUrls": [url] }], "webhookUrl": "http://shop/hook" }),
            json!({ "products": "$.products[*]", "items": "$.inputUrls[*]", "url": "$" }),
        ),
        (json!({ "a b": { "url": url } }), json!({ "url": "$['a b'].url" })),
        (json!({ "filePath": "/srv/up/1.csv" }), json!({ "file": "$.filePath", "folder": "/srv/up" })),
    ] {
        let proposal = proposed(job, Vec::new()).await;
        for (key, value) in keys.as_object().unwrap() {
            assert_eq!(&proposal.table[key], value, "{proposal:?}");
        }
        assert!(!proposal.unsure.is_empty());
    }
}

#[tokio::test]
async fn documents_that_a_job_names_are_found_by_ids_of_either_kind() {
    let id = "507f1f77bcf86cd799439011";
    let product = json!({
        "_id": { "$oid": id }, "inputImageUrls": ["http://shop/1.jpg"], "outputImageUrls": [], "updatedAt": { "$date": 1 },
    });
    let request = json!({ "_id": { "$oid": "0".repeat(24) }, "requestId": "r", "status": "PENDING", "totalProducts": 2, "processedProducts": 0 });
    let documents = vec![("orders", json!({ "_id": "x" })), ("products", product), ("requests", request)];
    let proposal = proposed(json!({ "requestId": "r", "productId": id }), documents).await;
    let table = &proposal.table;
    assert_eq!(
        table["documents"],
        json!({ "collection": "products", "filter": { "_id": "oid($.productId)" } })
    );
    let set = json!({ "outputImageUrls": ["$output|"], "updatedAt": "$now" });
    assert_eq!(table["write"][0]["update"]["$set"], set);
    assert_eq!(table["request"]["filter"], json!({ "requestId": "$.requestId" }));
    assert_eq!(
        (&table["request"]["total"], &table["request"]["ended"]),
        (&json!("$request.totalProducts"), &json!("$request.processedProducts"))
    );
    assert_eq!(table["request"]["update"]["$set"]["status"], "COMPLETED");
    let text = toml(table);
    assert!(
        text.contains(
            "[stack.documents]\ncollection = \"products\"\nfilter = { _id = \"oid($.productId)\" }\n"
        ),
        "{text}"
    );
    assert!(text.contains("[[stack.write]]"), "{text}");
}

#[tokio::test]
async fn an_empty_queue_says_nothing() {
    assert_eq!(propose("q", "bull", &[], None).await.unwrap(), None);
}
