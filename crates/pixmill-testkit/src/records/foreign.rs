//! What records promise that share their documents with apps: what an app wrote is taken as it is.

use super::*;

/// The kinds of ids that apps use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ids {
    /// What the database makes itself.
    OfDatabase,
    /// Text of the app's own.
    Text,
}

/// A request as an app writes it, with as few fields as it likes.
#[derive(Debug, Clone, Copy)]
pub struct AppRequest<'a> {
    /// What its id is.
    pub ids: Ids,
    /// Its status, if the app writes one.
    pub status: Option<&'a str>,
    /// How many images it says it has.
    pub total: Option<u64>,
    /// When it was written last, if the app says so.
    pub changed: Option<Timestamp>,
}

/// Hands of an app in the database.
#[async_trait]
pub trait RecordsOfApps: RecordsForTests {
    /// Writes a request.
    async fn app_request(&self, request: AppRequest<'_>) -> RequestId;

    /// Writes how many images a request has, as producers do last.
    async fn app_total(&self, request: &RequestId, total: u64);

    /// Writes an image, with a status if the app writes one.
    async fn app_image(&self, request: &RequestId, ids: Ids, input: &str, status: Option<&str>) -> ImageId;

    /// Writes a product with these images.
    async fn app_product(&self, request: &RequestId, name: &str, images: &[ImageId]);

    /// Writes an output beside an image's status, as other workers do.
    async fn app_output(&self, image: &ImageId, output: &str);

    /// What an app reads of a request: `processedImages` and `status`.
    async fn app_reads(&self, request: &RequestId) -> (u64, String);
}

const NEW: AppRequest<'static> =
    AppRequest { ids: Ids::Text, status: Some("pending"), total: None, changed: Some(START) };

/// Runs the suite. `make` gives empty records that pixmill opens for the first time at `START`.
///
/// # Panics
/// When a promise is broken.
pub async fn suite<M, F, R>(make: M)
where
    M: Fn() -> F,
    F: Future<Output = Arc<R>>,
    R: RecordsOfApps + 'static,
{
    documents_are_worked_whatever_their_ids_and_status(make().await).await;
    an_output_counts_as_completed_whatever_the_status(make().await).await;
    a_request_completes_when_its_total_has_ended(make().await).await;
    a_request_with_more_images_than_it_says_waits_for_all(make().await).await;
    a_request_without_a_total_completes_once_no_image_appears(make().await).await;
    an_image_that_appears_later_opens_a_new_round(make().await).await;
    another_workers_ends_complete_a_request(make().await).await;
    what_stands_still_is_taken_over(make().await).await;
    what_stood_still_before_is_left_alone_until_asked_for(make().await).await;
    what_another_worker_failed_is_tried_again_when_asked(make().await).await;
    an_image_left_in_processing_is_claimed_by_its_job(make().await).await;
    products_are_the_rows_of_results(make().await).await;
    nothing_of_an_app_is_deleted(make().await).await;
}

fn dynamic<R: RecordsOfApps + 'static>(records: &Arc<R>) -> Arc<dyn RecordsForTests> {
    records.clone()
}

fn later(minutes: u64) -> Timestamp {
    at(minutes * 60_000)
}

async fn claim<R: RecordsOfApps>(records: &Arc<R>, images: &[ImageId], now: Timestamp) -> Vec<Claim> {
    records.claim(images, Lease::from(now), now).await.unwrap()
}

async fn documents_are_worked_whatever_their_ids_and_status<R: RecordsOfApps + 'static>(records: Arc<R>) {
    for ids in [Ids::OfDatabase, Ids::Text] {
        for status in [None, Some("pending"), Some("queued")] {
            let id = records.app_request(AppRequest { ids, status, total: Some(2), ..NEW }).await;
            let mut images = Vec::new();
            for (ids, input) in [(Ids::OfDatabase, "http://h/a.jpg"), (Ids::Text, "http://h/b.jpg")] {
                images.push(records.app_image(&id, ids, input, status).await);
            }
            let records = dynamic(&records);
            assert_eq!(audit(&records, &id).await.pending, 2);
            let claims = records.claim(&images, Lease::from(START), START).await.unwrap();
            assert_eq!(claims.iter().map(|claim| &claim.image).collect::<Vec<_>>(), [&images[0], &images[1]]);
            assert!(claims.iter().all(|claim| claim.request == id && claim.attempt == 1));
            assert_ne!(claims[0].row, claims[1].row, "outputs are stored by row and position");
            assert_eq!(claims[1].input, "http://h/b.jpg");
            let settled = settle(&records, claims.iter().map(completed), START).await;
            assert_eq!(settled, Settled { won: vec![true; 2], completed: vec![id.clone()] });
            assert_eq!(audit(&records, &id).await.completed, 2);
        }
    }
}

async fn an_output_counts_as_completed_whatever_the_status<R: RecordsOfApps + 'static>(records: Arc<R>) {
    let id = records.app_request(AppRequest { total: Some(5), ..NEW }).await;
    let mut images = Vec::new();
    for status in [None, Some("pending"), Some("processing"), Some("failed"), Some("odd")] {
        let image = records.app_image(&id, Ids::OfDatabase, "http://h/a.jpg", status).await;
        records.app_output(&image, "http://h/out.jpg").await;
        images.push(image);
    }
    assert_eq!(claim(&records, &images, START).await, [], "there is nothing left to do");
    records.age_snapshots().await;
    let told = records.progress(&id).await.unwrap();
    assert_eq!((told, told.completed), (records.count(&id).await, 5));
    assert_eq!(records.failures(&id).await.unwrap(), []);
    // An output that another worker writes while we hold the image is its end too.
    let other = records.app_request(AppRequest { total: Some(1), ..NEW }).await;
    let image = records.app_image(&other, Ids::OfDatabase, "http://h/a.jpg", None).await;
    claim(&records, std::slice::from_ref(&image), START).await;
    records.app_output(&image, "http://h/out.jpg").await;
    assert_eq!(records.reconcile(START).await.unwrap(), 2);
    audit(&dynamic(&records), &other).await;
}

async fn a_request_completes_when_its_total_has_ended<R: RecordsOfApps + 'static>(records: Arc<R>) {
    let id = records.app_request(AppRequest { total: Some(2), ..NEW }).await;
    let first = records.app_image(&id, Ids::OfDatabase, "http://h/a.jpg", None).await;
    let claims = claim(&records, &[first], START).await;
    let records_for_tests = dynamic(&records);
    assert_eq!(settle(&records_for_tests, [completed(&claims[0])], START).await.completed, []);
    assert_eq!(records.reconcile(later(5)).await.unwrap(), 0, "its second image has not appeared");
    let second = records.app_image(&id, Ids::OfDatabase, "http://h/b.jpg", None).await;
    let claims = claim(&records, &[second], later(5)).await;
    let settled = settle(&records_for_tests, [failed(&claims[0])], later(5)).await;
    assert_eq!(settled.completed, std::slice::from_ref(&id));
    assert_eq!(audit(&records_for_tests, &id).await.ended(), 2);
    assert_eq!(records.app_reads(&id).await, (2, "completed".into()));
}

async fn a_request_with_more_images_than_it_says_waits_for_all<R: RecordsOfApps + 'static>(records: Arc<R>) {
    let id = records.app_request(AppRequest { total: Some(1), ..NEW }).await;
    let mut images = Vec::new();
    for input in ["http://h/a.jpg", "http://h/b.jpg"] {
        images.push(records.app_image(&id, Ids::OfDatabase, input, None).await);
    }
    let claims = claim(&records, &images, START).await;
    let records = dynamic(&records);
    assert_eq!(settle(&records, [completed(&claims[0])], START).await.completed, []);
    assert_eq!(settle(&records, [completed(&claims[1])], START).await.completed, [id]);
}

async fn a_request_without_a_total_completes_once_no_image_appears<R: RecordsOfApps + 'static>(
    records: Arc<R>,
) {
    for total in [None, Some(0)] {
        let id = records.app_request(AppRequest { total, ..NEW }).await;
        let work = async |input: &str, now| {
            let image = records.app_image(&id, Ids::OfDatabase, input, None).await;
            let claims = claim(&records, &[image], now).await;
            let settled = settle(&dynamic(&records), [completed(&claims[0])], now).await;
            assert_eq!((settled.won, settled.completed), (vec![true], vec![]));
        };
        work("http://h/a.jpg", START).await;
        assert_eq!(records.reconcile(START).await.unwrap(), 0);
        work("http://h/b.jpg", at(50_000)).await;
        assert_eq!(records.reconcile(at(59_999)).await.unwrap(), 0);
        assert_eq!(records.reconcile(at(60_000)).await.unwrap(), 0);
        assert_eq!(records.reconcile(at(119_998)).await.unwrap(), 0);
        assert_eq!(records.reconcile(at(119_999)).await.unwrap(), 1);
        audit(&dynamic(&records), &id).await;
    }
}

async fn an_image_that_appears_later_opens_a_new_round<R: RecordsOfApps + 'static>(records: Arc<R>) {
    let id = records.app_request(AppRequest { total: Some(1), ..NEW }).await;
    let work = async |images: &[ImageId], now| {
        let claims = claim(&records, images, now).await;
        settle(&dynamic(&records), claims.iter().map(completed), now).await.completed.len()
    };
    let first = records.app_image(&id, Ids::OfDatabase, "http://h/a.jpg", None).await;
    assert_eq!(work(&[first], START).await, 1);
    // Its job comes at once.
    let second = records.app_image(&id, Ids::OfDatabase, "http://h/b.jpg", None).await;
    assert_eq!(work(&[second], later(1)).await, 1);
    // Upkeep comes first.
    let third = records.app_image(&id, Ids::OfDatabase, "http://h/c.jpg", None).await;
    assert_eq!(records.reconcile(later(2)).await.unwrap(), 1);
    assert_eq!(status(&dynamic(&records), &id).await, RequestStatus::Processing);
    assert_eq!(work(&[third], later(2)).await, 1);
    let rounds: Vec<_> =
        records.completions(&id).await.unwrap().into_iter().map(|event| event.round).collect();
    assert_eq!(rounds, [1, 2, 3]);
    audit(&dynamic(&records), &id).await;
}

async fn another_workers_ends_complete_a_request<R: RecordsOfApps + 'static>(records: Arc<R>) {
    let id = records.app_request(AppRequest { total: None, status: Some("processing"), ..NEW }).await;
    let image = records.app_image(&id, Ids::OfDatabase, "http://h/a.jpg", None).await;
    records.app_output(&image, "http://h/out.jpg").await;
    assert_eq!(records.reconcile(START).await.unwrap(), 0);
    records.app_total(&id, 1).await;
    assert_eq!(records.reconcile(at(1)).await.unwrap(), 1);
    audit(&dynamic(&records), &id).await;
}

async fn what_stands_still_is_taken_over<R: RecordsOfApps + 'static>(records: Arc<R>) {
    let id = records.app_request(AppRequest { total: Some(3), ..NEW }).await;
    let mut images = Vec::new();
    for input in ["http://h/a.jpg", "http://h/b.jpg", "http://h/c.jpg"] {
        images.push(records.app_image(&id, Ids::OfDatabase, input, None).await);
    }
    records.reconcile(later(1)).await.unwrap();
    records.app_output(&images[0], "http://h/out.jpg").await;
    records.reconcile(later(6)).await.unwrap();
    assert_eq!(records.reconcile(later(15)).await.unwrap(), 0, "it moved nine minutes ago");
    assert_eq!(open(&*records).await, []);
    assert_eq!(records.reconcile(later(16)).await.unwrap(), 1);
    assert_eq!(open(&*records).await, std::slice::from_ref(&id));
    let records = dynamic(&records);
    assert_eq!(fresh(&records, &id).await, &images[1..]);
    let claims = claim_fresh(&records, &id, later(16)).await;
    settle(&records, [settlement(&claims[0], Outcome::Retry(later(17)))], later(16)).await;
    let (due, _) = records.due(None, later(17), 10).await.unwrap();
    assert_eq!(due.len(), 1);
    audit(&records, &id).await;
}

async fn what_stood_still_before_is_left_alone_until_asked_for<R: RecordsOfApps + 'static>(records: Arc<R>) {
    let old = START - Duration::from_secs(24 * 3_600 + 1);
    let id = records.app_request(AppRequest { total: Some(1), changed: Some(old), ..NEW }).await;
    let image = records.app_image(&id, Ids::Text, "http://h/a.jpg", Some("failed")).await;
    for minute in [0, 20, 40] {
        assert_eq!(records.reconcile(later(minute)).await.unwrap(), 0);
    }
    assert_eq!(open(&*records).await, []);
    assert_eq!(records.completions(&id).await.unwrap(), []);
    assert_eq!(records.retry(&id, later(41)).await.unwrap(), 1);
    assert_eq!(open(&*records).await, std::slice::from_ref(&id));
    let claims = claim(&records, &[image], later(41)).await;
    let settled = settle(&dynamic(&records), claims.iter().map(completed), later(41)).await;
    assert_eq!(settled.completed, [id]);
}

async fn what_another_worker_failed_is_tried_again_when_asked<R: RecordsOfApps + 'static>(records: Arc<R>) {
    let id = records.app_request(AppRequest { total: Some(2), ..NEW }).await;
    let failed = records.app_image(&id, Ids::OfDatabase, "http://h/a.jpg", Some("failed")).await;
    let done = records.app_image(&id, Ids::OfDatabase, "http://h/b.jpg", Some("failed")).await;
    records.app_output(&done, "http://h/out.jpg").await;
    assert_eq!(records.reconcile(START).await.unwrap(), 1);
    let groups = records.failures(&id).await.unwrap();
    assert_eq!((groups.len(), groups[0].images), (1, 1));
    assert_eq!(records.retry(&id, at(1)).await.unwrap(), 1);
    let records = dynamic(&records);
    assert_eq!(claim_due(&records, &id, at(1)).await[0].image, failed);
    audit(&records, &id).await;
}

async fn an_image_left_in_processing_is_claimed_by_its_job<R: RecordsOfApps + 'static>(records: Arc<R>) {
    let id = records.app_request(AppRequest { total: Some(1), ..NEW }).await;
    let image = records.app_image(&id, Ids::OfDatabase, "http://h/a.jpg", Some("processing")).await;
    let claims = claim(&records, std::slice::from_ref(&image), START).await;
    assert_eq!(claims.len(), 1);
    assert_eq!(claim(&records, &[image], START).await, []);
    assert_eq!(settle(&dynamic(&records), [completed(&claims[0])], START).await.completed, [id]);
}

async fn products_are_the_rows_of_results<R: RecordsOfApps + 'static>(records: Arc<R>) {
    let id = records.app_request(AppRequest { ids: Ids::OfDatabase, total: Some(3), ..NEW }).await;
    let mut images = Vec::new();
    for input in ["http://h/a.jpg", "http://h/b,c.jpg", "http://h/d.jpg"] {
        images.push(records.app_image(&id, Ids::Text, input, None).await);
    }
    records.app_output(&images[2], "http://h/out.jpg").await;
    records.app_product(&id, "Teapot, blue", &images[..2]).await;
    records.app_product(&id, "Cup", &images[2..]).await;
    let told = records.rows(&id, 0, 100).await.unwrap();
    let cells: Vec<_> = told.iter().map(|row| row.cells.as_str()).collect();
    assert_eq!(cells, ["1,\"Teapot, blue\",\"http://h/a.jpg, http://h/b,c.jpg\"", "2,Cup,http://h/d.jpg"]);
    let statuses: Vec<_> = told.iter().flat_map(|row| row.slots.iter().map(|slot| slot.status)).collect();
    assert_eq!(statuses, [ImageStatus::Pending, ImageStatus::Pending, ImageStatus::Completed]);
    assert_eq!(records.rows(&id, 1, 1).await.unwrap(), &told[1..]);
    let request = records.request(&id).await.unwrap().unwrap();
    assert_eq!(request.header, "S. No.,Product Name,Input Image Urls");
}

async fn nothing_of_an_app_is_deleted<R: RecordsOfApps + 'static>(records: Arc<R>) {
    let receiving = AppRequest { status: Some("receiving"), total: Some(1), ..NEW };
    let id = records.app_request(receiving).await;
    records.app_image(&id, Ids::OfDatabase, "http://h/a.jpg", None).await;
    let before = records.traces(&id).await;
    records.forget_intakes(later(1_000_000), later(1_000_000)).await.unwrap();
    records.discard(&id).await.unwrap();
    records.reconcile(later(1_000_000)).await.unwrap();
    assert_eq!(records.traces(&id).await, before);
    records.app_request(AppRequest { status: Some("completed"), total: Some(0), ..NEW }).await;
    assert_eq!(records.retire(later(1_000_000), 9).await.unwrap(), []);
}
