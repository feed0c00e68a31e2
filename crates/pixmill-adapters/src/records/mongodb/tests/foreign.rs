//! Documents that a Mongoose app left.

use async_trait::async_trait;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, Document, doc};
use pixmill_engine::model::id::{ImageId, RequestId};
use pixmill_engine::model::image::{Correction, Standing};
use pixmill_engine::model::request::RequestStatus;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::records::Amend;
use pixmill_testkit::records::foreign::{AppRequest, Ids, RecordsOfApps};
use pixmill_testkit::{records, services};

use super::super::command::by_id;
use super::super::document::{string, whole};
use super::super::id::{matching, object_id, text};
use super::*;

fn new_id(ids: Ids) -> Bson {
    match ids {
        Ids::OfDatabase => ObjectId::new().into(),
        Ids::Text => uuid::Uuid::now_v7().to_string().into(),
    }
}

/// The id as the app keeps it.
fn kept(text: &str) -> Bson {
    object_id(text).map_or_else(|| text.into(), Bson::from)
}

fn with(mut document: Document, name: &str, value: Option<impl Into<Bson>>) -> Document {
    if let Some(value) = value {
        document.insert(name, value);
    }
    document
}

#[async_trait]
impl RecordsOfApps for Mongodb {
    async fn app_request(&self, request: AppRequest<'_>) -> RequestId {
        let id = new_id(request.ids);
        let document = with(doc! { "_id": id.clone(), "__v": 0 }, "status", request.status);
        let document = with(document, "totalImages", request.total.map(|total| total as i32));
        let document = with(document, "updatedAt", request.changed.map(date));
        self.shared
            .requests()
            .insert_one(with(document, "createdAt", request.changed.map(date)))
            .await
            .unwrap();
        text(&id).unwrap().into()
    }

    async fn app_total(&self, request: &RequestId, total: u64) {
        let set = doc! { "$set": { "totalImages": total as i32 } };
        self.shared.requests().update_one(doc! { "_id": kept(request.as_str()) }, set).await.unwrap();
    }

    async fn app_image(&self, request: &RequestId, ids: Ids, input: &str, status: Option<&str>) -> ImageId {
        let id = new_id(ids);
        let request = kept(request.as_str());
        let document = doc! { "_id": id.clone(), "requestId": request, "inputUrl": input, "__v": 0 };
        self.shared.images().insert_one(with(document, "status", status)).await.unwrap();
        text(&id).unwrap().into()
    }

    async fn app_product(&self, request: &RequestId, name: &str, images: &[ImageId]) {
        let images: Vec<_> = images.iter().map(|image| kept(image.as_str())).collect();
        let product = doc! { "requestId": kept(request.as_str()), "name": name, "images": images, "__v": 0 };
        self.shared.products().insert_one(product).await.unwrap();
    }

    async fn app_output(&self, image: &ImageId, output: &str) {
        let set = doc! { "$set": { "outputUrl": output } };
        self.shared.images().update_one(doc! { "_id": kept(image.as_str()) }, set).await.unwrap();
    }

    async fn app_reads(&self, request: &RequestId) -> (u64, String) {
        let found = by_id(&self.shared.requests(), request.as_str(), doc! {}).await.unwrap().unwrap();
        (whole(&found, "processedImages").unwrap(), string(&found, "status").to_owned())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_of_apps_are_taken_as_they_are() {
    records::foreign::suite(empty).await;
}

#[tokio::test]
async fn text_ids_that_read_like_object_ids_stay_text() {
    let records = empty().await;
    let (request, image) = (ObjectId::new().to_hex(), ObjectId::new().to_hex());
    records.shared.requests().insert_one(doc! { "_id": &request, "totalImages": 1 }).await.unwrap();
    let document = doc! { "_id": &image, "requestId": &request, "inputUrl": "http://h/a.jpg" };
    records.shared.images().insert_one(document).await.unwrap();
    let image = ImageId::from(image);
    let claims = records.claim(std::slice::from_ref(&image), Lease::from(START), START).await.unwrap();
    let output = Output { location: "http://h/out.jpg".into(), bytes_before: 3, bytes_after: 2, frames: 1 };
    let (token, outcome) = (claims[0].token, Outcome::Completed(output));
    let settled = records.settle(vec![Settlement { image, token, outcome }], START).await.unwrap();
    assert_eq!(settled.completed, [RequestId::from(request.as_str())]);
    for (collection, id) in [(records.shared.requests(), &request), (records.shared.images(), &request)] {
        let wrong =
            doc! { "$or": [{ "_id": { "$type": "objectId" } }, { "requestId": { "$type": "objectId" } }] };
        assert_eq!(collection.count_documents(wrong).await.unwrap(), 0, "{id}");
    }
    assert_eq!(records.count(&request.as_str().into()).await.completed, 1);
    assert_ne!(matching(&request), Bson::from(request.as_str()), "it could have been either");
}

#[tokio::test]
async fn who_asks_for_it_takes_over_what_stood_still_before() {
    let address = services::mongodb::database().await;
    let old = START - Duration::from_secs(48 * 3_600);
    let records = connect(&address).await;
    let request = AppRequest { ids: Ids::Text, status: None, total: Some(1), changed: Some(old) };
    let id = records.app_request(request).await;
    records.app_image(&id, Ids::OfDatabase, "http://h/a.jpg", None).await;
    let tend = async |records: &Mongodb| {
        records.reconcile(START).await.unwrap();
        records.reconcile(START + Duration::from_secs(600)).await.unwrap();
        let opened = records.open_requests(&[], 9).await.unwrap();
        opened.into_iter().map(|opened| opened.request).collect::<Vec<_>>()
    };
    assert_eq!(tend(&records).await, []);
    // It is remembered when the first start was.
    let much_later = START + Duration::from_secs(365 * 24 * 3_600);
    let open = async |settings: Settings, now: Timestamp| {
        let options = ClientOptions::parse(&address).await.unwrap();
        Mongodb::open(options, settings, UNGATHERED, now).await.unwrap()
    };
    assert_eq!(tend(&open(Settings::default(), much_later).await).await, []);
    let asked = Settings { adopt_since: Some(old), ..Settings::default() };
    assert_eq!(tend(&open(asked, much_later).await).await, [id]);
}

#[tokio::test]
async fn what_was_seen_before_its_end_opens_no_completed_request_anew() {
    let address = services::mongodb::database().await;
    let (one, other) = (connect(&address).await, connect(&address).await);
    let request = AppRequest { ids: Ids::Text, status: None, total: Some(1), changed: None };
    let id = one.app_request(request).await;
    let images = [one.app_image(&id, Ids::Text, "http://h/a.jpg", None).await];
    assert!(matches!(one.standings(&images, START).await.unwrap()[..], [Standing::Claimable(..)]));
    let claims = other.claim(&images, Lease::from(START), START).await.unwrap();
    let output = Output { location: "http://h/out.jpg".into(), bytes_before: 3, bytes_after: 2, frames: 1 };
    let (token, outcome) = (claims[0].token, Outcome::Completed(output));
    let settled = other.settle(vec![Settlement { image: images[0].clone(), token, outcome }], START).await;
    assert_eq!(settled.unwrap().completed, std::slice::from_ref(&id));
    one.shared.heads.forget(&id);
    assert!(one.claim(&images, Lease::from(START), START).await.unwrap().is_empty());
    let found = one.request(&id).await.unwrap().unwrap();
    assert_eq!((found.status, found.round), (RequestStatus::Completed, 1));
}

#[tokio::test]
async fn requests_of_apps_are_listed_paged_and_corrected() {
    let records = empty().await;
    let request = |ids, changed| AppRequest { ids, status: Some("completed"), total: Some(2), changed };
    let mut ids = Vec::new();
    for (kind, changed) in [(Ids::OfDatabase, Some(START)), (Ids::OfDatabase, None), (Ids::Text, None)] {
        ids.push(records.app_request(request(kind, changed)).await);
    }
    let mut listed: Vec<RequestId> = Vec::new();
    while let [view] = records.requests_of("default", None, listed.last(), 1).await.unwrap().as_slice() {
        listed.push(view.request.id.clone());
    }
    assert_eq!(listed, ids, "those that don't say when they were made come last");
    assert!(records.requests_of("other", None, None, 9).await.unwrap().is_empty());
    let mut images = Vec::new();
    for (kind, input) in [(Ids::Text, "http://h/a.jpg"), (Ids::OfDatabase, "http://h/b.jpg")] {
        images.push(records.app_image(&ids[0], kind, input, Some("failed")).await);
    }
    let mut paged: Vec<ImageId> = Vec::new();
    while let [view] = records.images(&ids[0], None, paged.last(), 1).await.unwrap().as_slice() {
        paged.push(view.image.clone());
    }
    assert_eq!(paged, images);
    let (view, cells) = records.failed(&ids[0], None, 9).await.unwrap().remove(1);
    assert_eq!((&view.image, cells.as_str()), (&images[1], ",,http://h/b.jpg"));
    let better = Correction { row: view.row, position: 0, input: "http://h/better.jpg".into() };
    assert_eq!(records.correct(&ids[0], vec![better], START).await.unwrap(), Vec::<usize>::new());
    let claims = records.claim(&images, Lease::from(START), START).await.unwrap();
    assert_eq!(claims.iter().map(|claim| claim.input.as_str()).collect::<Vec<_>>(), ["http://h/better.jpg"]);
}
