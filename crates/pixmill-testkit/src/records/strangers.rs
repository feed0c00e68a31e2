//! What records promise that share a database with other programs: nothing of theirs is deleted, nothing of it is changed
//! but the fields that are named, and what can't be read of it costs itself alone.

use std::collections::BTreeMap;
use std::time::Duration;

use pixmill_engine::model::event::{Answer, Delivery, Next};
use pixmill_engine::model::image::{Correction, Moment};
use pixmill_engine::model::key::{Key, Role};
use pixmill_engine::port::boards::{Board, Notice};
use pixmill_engine::port::records::{Deletion, Ledger, Right, Void};

use super::directory::done;
use super::foreign::{AppRequest, Ids, RecordsOfApps};
use super::*;

/// A database in which others keep documents of every shape.
#[async_trait]
pub trait Neighbourhood: RecordsOfApps + Ledger {
    /// Plants documents of many shapes in every collection that pixmill reads or writes, and in some that sound like it.
    async fn plant(&self);

    /// Every document in the database that is not pixmill's own, whole, by collection and id.
    async fn neighbours(&self) -> BTreeMap<String, String>;

    /// The same without what pixmill may change of a request that was done for its app: `pixmill`, and the four fields.
    async fn neighbours_but_for_what_is_named(&self) -> BTreeMap<String, String>;

    /// Does what the guide says undoes everything: takes `pixmill` out of all documents and drops pixmill's collections.
    async fn undo(&self);
}

/// Runs the suite. `make` gives empty records that pixmill opens for the first time at `START`.
///
/// # Panics
/// When a promise is broken.
pub async fn suite<M, F, R>(make: M)
where
    M: Fn() -> F,
    F: Future<Output = Arc<R>>,
    R: Neighbourhood + 'static,
{
    no_method_touches_what_is_not_its_own(make().await).await;
    what_an_app_asked_for_is_done_beside_strangers(make().await).await;
    requests_that_others_made_are_not_deleted(make().await).await;
    everything_can_be_undone(make().await).await;
}

/// Listed requests that are read in every way there is.
const SHOWN: usize = 60;

fn later(minutes: u64) -> Timestamp {
    at(minutes * 60_000)
}

/// A request of pixmill's own that goes through everything there is, looking after each step whether all stays as it was.
async fn no_method_touches_what_is_not_its_own<R: Neighbourhood + 'static>(records: Arc<R>) {
    records.plant().await;
    let before = records.neighbours().await;
    let dynamic: Arc<dyn RecordsForTests> = records.clone();
    let unchanged = async |step: &str| {
        let now = records.neighbours().await;
        for (document, was) in &before {
            assert_eq!(now.get(document), Some(was), "{document} after {step}");
        }
        assert_eq!(now.len(), before.len(), "after {step}");
    };
    // Intake, refused and accepted.
    let refused = new_request();
    let id = refused.id.clone();
    records.begin(refused, START).await.unwrap();
    records.append(&id, rows(&[&["http://h/a.jpg"]]), START).await.unwrap();
    records.discard(&id).await.unwrap();
    unchanged("discard").await;
    records.begin(new_request(), START).await.unwrap();
    records.forget_intakes(later(60), later(60)).await.unwrap();
    unchanged("forget_intakes").await;
    let id = take_in_inputs(&dynamic, &[&["http://h/a.jpg", "http://h/b.jpg"], &["http://h/a.jpg"]]).await;
    unchanged("open").await;
    // Feeding and working.
    let opened = records.open_requests(&[], 1_000).await.unwrap();
    assert_eq!(opened.iter().map(|opened| &opened.request).collect::<Vec<_>>(), [&id], "nothing else is fed");
    let images = fresh(&dynamic, &id).await;
    records.defer(&images[..1], START, START).await.unwrap();
    records.due(None, START, 1_000).await.unwrap();
    records.standings(&images, START).await.unwrap();
    records.lead(Right::Feeding, Lease::from(START), START).await.unwrap();
    let claims = records.claim(&images, Lease::from(START), START).await.unwrap();
    assert_eq!(claims.len(), 2);
    let held: Vec<_> = claims.iter().map(|claim| (claim.image.clone(), claim.token)).collect();
    records.renew(&held, later(2), START).await.unwrap();
    unchanged("claim").await;
    settle(&dynamic, [settlement(&claims[0], Outcome::GivenBack)], START).await;
    settle(&dynamic, [settlement(&claims[1], Outcome::Retry(START))], START).await;
    let claims = claim_due(&dynamic, &id, START).await;
    settle(&dynamic, [failed(&claims[0])], START).await;
    records.reap(Void::Expired, ATTEMPTS, later(10)).await.unwrap();
    records.reap(Void::All, ATTEMPTS, later(10)).await.unwrap();
    unchanged("reap").await;
    // Upkeep, for longer than anything is waited for.
    for minute in [10, 12, 30, 60, 24 * 60, 40 * 24 * 60] {
        records.reconcile(later(minute)).await.unwrap();
        unchanged("reconcile").await;
    }
    records.forget_intakes(later(100_000), later(100_000)).await.unwrap();
    unchanged("forget_intakes").await;
    // Its end, told.
    let claims = claim_due(&dynamic, &id, later(50_000)).await;
    settle(&dynamic, claims.iter().map(failed), later(50_000)).await;
    assert_eq!(status(&dynamic, &id).await, RequestStatus::Completed);
    let tellings = records.lease_events(1_000, Lease::from(later(50_000)), later(50_000)).await.unwrap();
    assert_eq!(tellings.iter().map(|telling| &telling.event.request).collect::<Vec<_>>(), [&id]);
    let told = Delivery {
        id: "019a0000-0000-7000-8000-000000000001".into(),
        event: tellings[0].event.id.clone(),
        request: id.clone(),
        url: "http://h/hook".into(),
        at: later(50_000),
        took: Some(Duration::from_millis(7)),
        body: Some("{}".into()),
        answer: Ok(Answer { status: 204, beginning: String::new() }),
    };
    records.settle_event(&tellings[0], Some(told.clone()), Next::Nothing, later(50_000)).await.unwrap();
    records.redeliver(&told.id, later(50_000)).await.unwrap();
    assert_eq!(records.deliveries(None, None, 1_000).await.unwrap(), std::slice::from_ref(&told));
    assert_eq!(records.delivery_of("default", &told.id).await.unwrap(), Some(told.clone()));
    unchanged("settle_event").await;
    // What people ask for.
    assert_eq!(records.retry(&id, later(50_000)).await.unwrap(), 3);
    assert!(records.cancel(&id, later(50_000)).await.unwrap());
    unchanged("cancel").await;
    let better = Correction { row: 0, position: 1, input: "http://h/c.jpg".into() };
    assert_eq!(records.correct(&id, vec![better], later(50_000)).await.unwrap(), Vec::<usize>::new());
    unchanged("correct").await;
    assert!(records.cancel(&id, later(50_000)).await.unwrap());
    // Reading: what can't be read is passed over.
    let mut listed = Vec::new();
    loop {
        let page = records.requests_of("default", None, listed.last(), 50).await.unwrap();
        if page.is_empty() {
            break;
        }
        listed.extend(page.into_iter().map(|view| view.request.id));
        assert!(listed.len() < 10_000, "the list goes round in circles");
    }
    assert!(listed.contains(&id));
    assert_eq!(listed.iter().collect::<std::collections::BTreeSet<_>>().len(), listed.len());
    for id in listed.iter().take(SHOWN).chain([&id]) {
        records.view(id).await.unwrap();
        records.request(id).await.unwrap();
        records.progress(id).await.unwrap();
        records.rows(id, 0, 100).await.unwrap();
        records.row_errors(id).await.unwrap();
        records.failures(id).await.unwrap();
        records.completions(id).await.unwrap();
        records.images(id, None, None, 100).await.unwrap();
        records.failed(id, None, 100).await.unwrap();
        let beginning = Moment { at: Timestamp::default(), image: None };
        records.ended_since(id, &beginning, 100).await.unwrap();
    }
    records.deliveries_of("default", None, None, 1_000).await.unwrap();
    assert!(
        done(&records.usage("default", Timestamp(0), later(1 << 20)).await.unwrap()).progress.total() >= 3
    );
    assert!(records.census().await.unwrap().1.total() >= 3);
    records.diagnose(later(50_000)).await;
    unchanged("reading").await;
    // Keys.
    let key = Key {
        id: "019a0000-0000-7000-8000-000000000002".into(),
        tenant: "default".into(),
        name: "a".into(),
        hash: "h".into(),
        role: Role::Submit,
        per_minute: None,
        created: START,
        revoked: None,
    };
    records.add_key(key.clone()).await.unwrap();
    assert_eq!(records.keys().await.unwrap(), std::slice::from_ref(&key));
    records.revoke_key(&key.id, START).await.unwrap();
    records.reserve("default", "k", &id, later(1), START).await.unwrap();
    records.hold(&id, later(2), START).await.unwrap();
    records.release(&id).await.unwrap();
    records.reserve("default", "k", &id, later(90_000), later(90_000)).await.unwrap();
    unchanged("keys").await;
    let notice = |name: &str, until| Notice { name: name.into(), text: "{}".into(), until };
    records.put_up(Board::Workers, vec![notice("a", later(1)), notice("b", later(9))], START).await.unwrap();
    records.put_up(Board::Audit, Vec::new(), later(2)).await.unwrap();
    assert_eq!(records.standing(Board::Workers, None, 9, later(2)).await.unwrap(), [notice("b", later(9))]);
    assert!(records.take_off(Board::Workers, "b").await.unwrap());
    unchanged("boards").await;
    // Forgetting.
    records.forget_deliveries(later(1_000_000)).await.unwrap();
    unchanged("forget_deliveries").await;
    let retired = records.retire(later(1_000_000), 1_000).await.unwrap();
    assert!(retired.iter().all(|retired| *retired == id), "{retired:?}");
    unchanged("retire").await;
    let deletion = Deletion { request: id.clone(), outputs: true };
    assert!(records.begin_deletion(&deletion, later(1_000_000)).await.unwrap());
    assert_eq!(records.deletions(1_000).await.unwrap(), [deletion]);
    unchanged("begin_deletion").await;
    assert!(records.delete(&id).await.unwrap());
    unchanged("delete").await;
    assert_eq!(records.traces(&id).await, 0);
}

/// Jobs of an app, beside documents that nobody can make sense of.
async fn what_an_app_asked_for_is_done_beside_strangers<R: Neighbourhood + 'static>(records: Arc<R>) {
    let new =
        AppRequest { ids: Ids::OfDatabase, status: Some("pending"), total: Some(2), changed: Some(START) };
    let id = records.app_request(new).await;
    let mut images = Vec::new();
    for input in ["http://h/a.jpg", "http://h/b.jpg"] {
        images.push(records.app_image(&id, Ids::OfDatabase, input, None).await);
    }
    let still = records.app_request(AppRequest { total: Some(1), ..new }).await;
    records.app_image(&still, Ids::Text, "http://h/c.jpg", None).await;
    records.plant().await;
    let before = records.neighbours_but_for_what_is_named().await;
    let dynamic: Arc<dyn RecordsForTests> = records.clone();
    let claims = records.claim(&images, Lease::from(START), START).await.unwrap();
    settle(&dynamic, [completed(&claims[0])], START).await;
    let completed = settle(&dynamic, [failed(&claims[1])], START).await.completed;
    assert_eq!(completed, std::slice::from_ref(&id));
    records.reconcile(START).await.unwrap();
    records.reconcile(later(11)).await.unwrap();
    let opened = records.open_requests(&[], 9).await.unwrap();
    assert_eq!(opened.iter().map(|opened| &opened.request).collect::<Vec<_>>(), [&still], "it stood still");
    assert_eq!(records.app_reads(&id).await, (2, "completed".to_owned()));
    assert_eq!(records.neighbours_but_for_what_is_named().await, before);
}

async fn requests_that_others_made_are_not_deleted<R: Neighbourhood + 'static>(records: Arc<R>) {
    let ended =
        AppRequest { ids: Ids::Text, status: Some("completed"), total: Some(1), changed: Some(START) };
    let id = records.app_request(ended).await;
    records.app_image(&id, Ids::OfDatabase, "http://h/a.jpg", Some("completed")).await;
    let before = records.neighbours().await;
    assert!(records.request(&id).await.unwrap().unwrap().foreign);
    let fault = records.delete(&id).await.unwrap_err();
    assert_eq!((fault.code, fault.transient), (Code::RequestState, false), "{fault}");
    let deletion = Deletion { request: id.clone(), outputs: true };
    assert_eq!(records.begin_deletion(&deletion, START).await.unwrap_err().code, Code::RequestState);
    assert_eq!(records.deletions(9).await.unwrap(), []);
    assert_eq!(records.retire(later(1_000_000), 9).await.unwrap(), []);
    assert_eq!(records.neighbours().await, before);
}

async fn everything_can_be_undone<R: Neighbourhood + 'static>(records: Arc<R>) {
    let new = AppRequest { ids: Ids::Text, status: Some("pending"), total: Some(1), changed: Some(START) };
    let id = records.app_request(new).await;
    let images = [records.app_image(&id, Ids::OfDatabase, "http://h/a.jpg", None).await];
    let before = records.neighbours_but_for_what_is_named().await;
    let claims = records.claim(&images, Lease::from(START), START).await.unwrap();
    let dynamic: Arc<dyn RecordsForTests> = records.clone();
    settle(&dynamic, claims.iter().map(completed), START).await;
    records.reconcile(START).await.unwrap();
    records.undo().await;
    assert_eq!(records.neighbours_but_for_what_is_named().await, before);
    for (document, whole) in records.neighbours().await {
        assert!(!whole.contains("pixmill"), "{document} still says {whole}");
    }
}
