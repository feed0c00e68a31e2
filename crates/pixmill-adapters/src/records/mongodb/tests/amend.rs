//! Corrections that break off midway.

use mongodb::bson::oid::ObjectId;
use pixmill_engine::model::image::Correction;
use pixmill_engine::port::records::Amend;

use super::super::amend::Plan;
use super::super::head::Head;
use super::*;

/// A request of two images that failed, and how it stands.
async fn failed(records: &Mongodb) -> (RequestId, Head) {
    let request = own("r", "completed", 2);
    records.shared.requests().insert_one(request).await.unwrap();
    let image = |row: i64| {
        let (id, input) = (ObjectId::new(), format!("http://h/{row}.jpg"));
        let ours = doc! { "row": row, "attempts": 5 };
        doc! { "_id": id, "requestId": "r", "inputUrl": input, "status": "failed", "pixmill": ours }
    };
    records.shared.images().insert_many([0, 1].map(image)).await.unwrap();
    let id = RequestId::from("r");
    let head = records.shared.accepted(&id).await.unwrap();
    (id, head)
}

fn better(row: u64) -> Vec<Correction> {
    vec![Correction { row, position: 0, input: "http://h/better.jpg".into() }]
}

async fn inputs(records: &Mongodb, id: &RequestId) -> Vec<(String, ImageStatus)> {
    let images = records.images(id, None, None, 10).await.unwrap();
    images.into_iter().map(|view| (view.input, view.slot.status)).collect()
}

/// Marks a request and its images, and goes no further.
async fn correct_halfway(records: &Mongodb, head: &Head) -> bool {
    let Plan::Changes(plan) = records.shared.plan(head, &better(0)).await.unwrap() else {
        panic!("an image of that place has failed")
    };
    records.shared.mark_corrected(head, &plan).await.unwrap()
}

#[tokio::test]
async fn corrections_that_were_marked_are_carried_out_by_whoever_finds_them() {
    for finds in ["upkeep", "another correction", "a retry"] {
        let records = empty().await;
        let (id, head) = failed(&records).await;
        assert!(correct_halfway(&records, &head).await);
        match finds {
            "upkeep" => assert_eq!(records.reconcile(START).await.unwrap(), 1),
            "a retry" => assert_eq!(records.retry(&id, START).await.unwrap(), 1),
            _ => assert_eq!(records.correct(&id, better(1), START).await.unwrap(), Vec::<usize>::new()),
        }
        let request = records.request(&id).await.unwrap().unwrap();
        let round = if finds == "upkeep" { 2 } else { 3 };
        assert_eq!((request.status, request.round), (RequestStatus::Pending, round), "{finds}");
        let images = inputs(&records, &id).await;
        assert_eq!(images[0], ("http://h/better.jpg".to_owned(), ImageStatus::Pending), "{finds}");
        let other = if finds == "upkeep" { ImageStatus::Failed } else { ImageStatus::Pending };
        assert_eq!(images[1].1, other, "{finds}");
        let (due, _) = records.due(Some(&id), START, 10).await.unwrap();
        assert!(due.iter().any(|candidate| candidate.attempts == 0 && candidate.input == images[0].0));
    }
}

#[tokio::test]
async fn corrections_of_a_request_that_has_moved_on_mean_nothing() {
    let records = empty().await;
    let (id, head) = failed(&records).await;
    let Plan::Changes(plan) = records.shared.plan(&head, &better(0)).await.unwrap() else {
        panic!("an image of that place has failed")
    };
    records.retry(&id, START).await.unwrap();
    assert!(!records.shared.mark_corrected(&head, &plan).await.unwrap());
    records.reconcile(START).await.unwrap();
    let images = inputs(&records, &id).await;
    assert_eq!(images[0], ("http://h/0.jpg".to_owned(), ImageStatus::Pending));
    assert_eq!(records.request(&id).await.unwrap().unwrap().round, 2);
}
