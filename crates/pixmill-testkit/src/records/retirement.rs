//! Promises of retiring: what ended long ago can be deleted in peace, and nothing else is touched.

use pixmill_engine::model::event::{Answer, Delivery, Next, Telling};
use pixmill_engine::model::image::Correction;
use pixmill_engine::port::records::{Deletion, Ledger};

use super::*;

/// Longer after everything here than any clock says.
const LATE: u64 = 1 << 40;

/// Runs the suite. `make` gives empty records and the same as a server uses them.
///
/// # Panics
/// When a promise is broken.
pub async fn suite<M, F>(make: M)
where
    M: Fn() -> F,
    F: Future<Output = (Arc<dyn RecordsForTests>, Arc<dyn Ledger>)>,
{
    only_what_ended_long_ago_is_retired(Case::new(make().await)).await;
    what_is_still_to_be_told_is_not_retired(Case::new(make().await)).await;
    what_is_retired_is_shown_and_opened_by_nothing(Case::new(make().await)).await;
    what_is_retired_is_found_again_until_it_is_deleted(Case::new(make().await)).await;
    what_is_being_deleted_is_opened_by_nothing_and_found_until_it_is_gone(Case::new(make().await)).await;
    what_a_cancel_left_is_ended_before_its_request_is_deleted(Case::new(make().await)).await;
}

struct Case {
    records: Arc<dyn RecordsForTests>,
    ledger: Arc<dyn Ledger>,
}

impl Case {
    fn new((records, ledger): (Arc<dyn RecordsForTests>, Arc<dyn Ledger>)) -> Self {
        Case { records, ledger }
    }

    /// A request of two images, of which one fails, completed at a time.
    async fn completed(&self, now: Timestamp) -> RequestId {
        let id = take_in_distinct(&self.records, 2).await;
        let claims = claim_fresh(&self.records, &id, now).await;
        settle(&self.records, [failed(&claims[0]), completed(&claims[1])], now).await;
        id
    }

    /// Tells all that is due: a try each.
    async fn tell(&self, now: Timestamp, next: Next) -> Vec<Delivery> {
        let mut made = Vec::new();
        for telling in self.ledger.lease_events(100, Lease::from(now), now).await.unwrap() {
            let delivery = heard(&telling);
            self.ledger.settle_event(&telling, Some(delivery.clone()), next, START).await.unwrap();
            made.push(delivery);
        }
        made
    }

    async fn retire(&self, before: Timestamp) -> Vec<RequestId> {
        let mut retired = self.ledger.retire(before, 100).await.unwrap();
        retired.sort_by(|one, other| one.as_str().cmp(other.as_str()));
        retired
    }
}

fn heard(telling: &Telling) -> Delivery {
    Delivery {
        id: telling.event.id.clone(),
        event: telling.event.id.clone(),
        request: telling.event.request.clone(),
        url: "https://shop.example/hook".into(),
        at: START,
        took: None,
        body: None,
        answer: Ok(Answer { status: 200, beginning: String::new() }),
    }
}

async fn only_what_ended_long_ago_is_retired(case: Case) {
    let early = case.completed(at(10)).await;
    let late = case.completed(at(20)).await;
    let cancelled = take_in_distinct(&case.records, 1).await;
    case.records.cancel(&cancelled, at(10)).await.unwrap();
    let open = take_in_distinct(&case.records, 1).await;
    let intake = new_request();
    case.records.begin(intake.clone(), START).await.unwrap();
    case.tell(at(30), Next::Nothing).await;
    assert_eq!(case.retire(START - Duration::from_secs(1)).await, []);
    assert_eq!(case.retire(at(9)).await, []);
    let before_late = case.retire(at(19)).await;
    assert!(before_late.contains(&early) && !before_late.contains(&late), "{before_late:?}");
    assert_eq!(case.retire(at(LATE)).await.len(), 3, "the two and the cancelled one");
    assert_eq!(case.ledger.retire(at(LATE), 2).await.unwrap().len(), 2);
    assert_eq!(status(&case.records, &open).await, RequestStatus::Pending);
    assert_eq!(status(&case.records, &intake.id).await, RequestStatus::Receiving);
}

async fn what_is_still_to_be_told_is_not_retired(case: Case) {
    let id = case.completed(START).await;
    assert_eq!(case.retire(at(LATE)).await, [], "nobody has been told");
    let lease = Lease::from(START);
    let telling = case.ledger.lease_events(1, lease, START).await.unwrap().remove(0);
    assert_eq!(case.retire(at(LATE)).await, [], "somebody is being told");
    case.ledger.settle_event(&telling, Some(heard(&telling)), Next::Again(at(5)), START).await.unwrap();
    assert_eq!(case.retire(at(LATE)).await, [], "it will be told again");
    case.tell(at(5), Next::Nothing).await;
    assert_eq!(case.retire(at(LATE)).await, [id]);
}

async fn what_is_retired_is_shown_and_opened_by_nothing(case: Case) {
    let id = case.completed(START).await;
    let made = case.tell(START, Next::Nothing).await;
    assert_eq!(case.retire(at(LATE)).await, std::slice::from_ref(&id));
    assert!(case.ledger.view(&id).await.unwrap().is_some());
    assert_eq!(case.records.retry(&id, at(1)).await.unwrap_err().code, Code::RequestState);
    let correction = Correction { row: 0, position: 0, input: "http://h/new.jpg".into() };
    let corrected = case.ledger.correct(&id, vec![correction], at(1)).await;
    assert_eq!(corrected.unwrap_err().code, Code::RequestState);
    assert!(!case.ledger.redeliver(&made[0].id, at(1)).await.unwrap());
    assert_eq!(case.records.reconcile(at(1)).await.unwrap(), 0, "nothing about it is to be mended");
    assert_eq!(status(&case.records, &id).await, RequestStatus::Completed);
    assert_eq!(case.ledger.images(&id, Some(ImageStatus::Completed), None, 9).await.unwrap().len(), 1);
}

async fn what_is_retired_is_found_again_until_it_is_deleted(case: Case) {
    let ids = [case.completed(START).await, case.completed(START).await];
    case.tell(START, Next::Nothing).await;
    assert_eq!(case.retire(START).await.len(), 2);
    assert_eq!(case.retire(START).await.len(), 2, "whoever retired them may have crashed");
    assert!(case.ledger.delete(&ids[0]).await.unwrap());
    assert_eq!(case.records.traces(&ids[0]).await, 0);
    assert_eq!(case.retire(START).await, ids[1..]);
}

async fn what_is_being_deleted_is_opened_by_nothing_and_found_until_it_is_gone(case: Case) {
    let id = case.completed(START).await;
    let made = case.tell(START, Next::Nothing).await;
    let open = take_in_distinct(&case.records, 1).await;
    let deletion = |request: &RequestId, outputs| Deletion { request: request.clone(), outputs };
    assert!(!case.ledger.begin_deletion(&deletion(&open, true), START).await.unwrap(), "it is open");
    assert_eq!(case.ledger.deletions(9).await.unwrap(), []);
    assert!(case.ledger.begin_deletion(&deletion(&id, true), START).await.unwrap());
    assert_eq!(case.records.retry(&id, at(1)).await.unwrap_err().code, Code::RequestState);
    let correction = Correction { row: 0, position: 0, input: "http://h/new.jpg".into() };
    let corrected = case.ledger.correct(&id, vec![correction], at(1)).await;
    assert_eq!(corrected.unwrap_err().code, Code::RequestState);
    assert!(!case.ledger.redeliver(&made[0].id, at(1)).await.unwrap());
    assert_eq!(case.records.reconcile(at(1)).await.unwrap(), 0);
    assert_eq!(case.retire(at(LATE)).await, [], "it is not for retention to say what becomes of its outputs");
    assert_eq!(case.ledger.deletions(9).await.unwrap(), [deletion(&id, true)]);
    assert!(case.ledger.begin_deletion(&deletion(&id, false), START).await.unwrap());
    assert_eq!(case.ledger.deletions(9).await.unwrap(), [deletion(&id, false)], "the later word holds");
    assert_eq!(case.ledger.images(&id, Some(ImageStatus::Completed), None, 9).await.unwrap().len(), 1);
    assert!(case.ledger.delete(&id).await.unwrap());
    assert_eq!(case.ledger.deletions(9).await.unwrap(), []);
    assert_eq!(case.records.traces(&id).await, 0);
    let gone = case.ledger.begin_deletion(&deletion(&id, true), START).await.unwrap_err();
    assert_eq!(gone.code, Code::RequestNotFound);
    assert_eq!(status(&case.records, &open).await, RequestStatus::Pending);
}

async fn what_a_cancel_left_is_ended_before_its_request_is_deleted(case: Case) {
    let id = take_in_distinct(&case.records, 2).await;
    let claims = claim_fresh(&case.records, &id, START).await;
    case.records.cancel(&id, START).await.unwrap();
    let deletion = Deletion { request: id.clone(), outputs: true };
    assert!(case.ledger.begin_deletion(&deletion, START).await.unwrap());
    assert_eq!(settle(&case.records, [completed(&claims[0])], START).await.won, [false]);
    assert!(case.ledger.delete(&id).await.unwrap());
    assert_eq!(case.records.traces(&id).await, 0);
}
