//! Promises of the outbox: every completion is told until it is heard, by one at a time, and each try is written down.

use std::time::Duration;

use pixmill_engine::model::event::{Answer, Completion, Delivery, Next, Telling};
use pixmill_engine::model::lease::LEASE;
use pixmill_engine::model::trace::Traceparent;
use pixmill_engine::port::records::Outbox;

use super::*;

/// Runs the suite. `make` gives empty records and the same as an outbox.
///
/// # Panics
/// When a promise is broken.
pub async fn suite<M, F>(make: M)
where
    M: Fn() -> F,
    F: Future<Output = (Arc<dyn RecordsForTests>, Arc<dyn Outbox>)>,
{
    a_completion_is_due_at_once_with_all_that_is_told(Case::new(make().await)).await;
    one_at_a_time_tells_an_event(Case::new(make().await)).await;
    a_lease_that_ran_out_passes_to_another(Case::new(make().await)).await;
    what_is_told_is_due_no_more(Case::new(make().await)).await;
    a_try_in_vain_comes_back_when_it_is_due(Case::new(make().await)).await;
    what_is_put_off_has_not_been_tried(Case::new(make().await)).await;
    each_round_is_told_as_it_was(Case::new(make().await)).await;
    a_cancelled_request_is_not_told(Case::new(make().await)).await;
    tries_are_listed_latest_first_in_pages(Case::new(make().await)).await;
    a_redelivery_begins_anew_under_the_same_id(Case::new(make().await)).await;
    old_tries_are_forgotten(Case::new(make().await)).await;
}

struct Case {
    records: Arc<dyn RecordsForTests>,
    outbox: Arc<dyn Outbox>,
}

impl Case {
    fn new((records, outbox): (Arc<dyn RecordsForTests>, Arc<dyn Outbox>)) -> Self {
        Case { records, outbox }
    }

    /// A request of two images, of which one fails, completed at a time.
    async fn completed(&self, now: Timestamp) -> Completion {
        let id = take_in_distinct(&self.records, 2).await;
        self.complete(&id, now).await
    }

    async fn complete(&self, id: &RequestId, now: Timestamp) -> Completion {
        let mut claims = claim_fresh(&self.records, id, now).await;
        claims.extend(claim_due(&self.records, id, now).await);
        let ends = claims.iter().enumerate();
        let ends = ends.map(|(number, claim)| if number == 0 { failed(claim) } else { completed(claim) });
        settle(&self.records, ends, now).await;
        self.records.completions(id).await.unwrap().pop().expect("a completion")
    }

    async fn lease(&self, now: Timestamp) -> Vec<Telling> {
        self.outbox.lease_events(100, Lease::from(now), now).await.unwrap()
    }

    async fn settle(&self, telling: &Telling, delivery: Option<Delivery>, next: Next) -> bool {
        self.outbox.settle_event(telling, delivery, next, START).await.unwrap()
    }

    async fn deliveries(&self, request: Option<&RequestId>) -> Vec<Delivery> {
        self.outbox.deliveries(request, None, 100).await.unwrap()
    }
}

/// A try whose id sorts by its number.
fn delivery(telling: &Telling, number: u32, answer: Result<Answer, Failure>) -> Delivery {
    Delivery {
        id: format!("01890a5d-ac96-774b-bcce-b302{number:08x}"),
        event: telling.event.id.clone(),
        request: telling.event.request.clone(),
        url: "https://shop.example/hook".into(),
        at: at(u64::from(number)),
        took: Some(Duration::from_millis(u64::from(number))),
        body: Some(r#"{"type":"request.completed","shop":"Grüße"}"#.into()),
        answer,
    }
}

fn answered(status: u16) -> Result<Answer, Failure> {
    Ok(Answer { status, beginning: "Grüße".into() })
}

fn unreachable() -> Result<Answer, Failure> {
    Err(Failure { code: Code::FetchConnect, message: "nobody answered".into() })
}

async fn a_completion_is_due_at_once_with_all_that_is_told(case: Case) {
    assert_eq!(case.lease(at(1_000)).await, []);
    let trace = Traceparent::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    let own = NewRequest { traceparent: trace.clone(), ..new_request() };
    let id = own.id.clone();
    case.records.begin(own, START).await.unwrap();
    case.records.append(&id, rows(&[&["http://h/a.jpg"], &["http://h/b.jpg"]]), START).await.unwrap();
    let mut end = intake_end(2);
    end.options.webhook = Some("https://shop.example/hook".into());
    case.records.open(&id, end, START).await.unwrap();
    assert_eq!(case.lease(at(1)).await, [], "an open request is not told");
    let event = case.complete(&id, at(5)).await;
    let told = case.lease(at(5)).await;
    assert_eq!(told.len(), 1);
    assert_eq!((&told[0].event, told[0].tries), (&event, 0));
    assert_eq!(told[0].url.as_deref(), Some("https://shop.example/hook"));
    assert_eq!(told[0].progress, case.records.progress(&id).await.unwrap());
    let request = case.records.request(&id).await.unwrap().unwrap();
    assert_eq!((request.webhook, request.traceparent), (told[0].url.clone(), trace.clone()));
    assert_eq!(told[0].traceparent, trace);
    let other = case.completed(at(6)).await;
    let told = case.lease(at(6)).await;
    assert_eq!((&told[0].event, &told[0].url, &told[0].traceparent), (&other, &None, &None));
    let empty = take_in(&case.records, Vec::new()).await;
    assert_eq!(case.lease(at(7)).await[0].event.request, empty, "one without images is told too");
}

async fn one_at_a_time_tells_an_event(case: Case) {
    for number in 0..20 {
        case.completed(at(number)).await;
    }
    let tellers = (0..4).map(|_| {
        let outbox = case.outbox.clone();
        tokio::spawn(async move {
            let mut mine = Vec::new();
            loop {
                let leased = outbox.lease_events(3, Lease::from(at(50)), at(50)).await.unwrap();
                if leased.is_empty() {
                    return mine;
                }
                mine.extend(leased.into_iter().map(|telling| telling.event.id));
            }
        })
    });
    let mut told = Vec::new();
    for teller in tellers.collect::<Vec<_>>() {
        told.extend(teller.await.unwrap());
    }
    told.sort();
    told.dedup();
    assert_eq!(told.len(), 20);
}

async fn a_lease_that_ran_out_passes_to_another(case: Case) {
    case.completed(START).await;
    let slow = case.lease(START).await.remove(0);
    assert_eq!(case.lease(at(1)).await, []);
    let end = START + LEASE;
    let other = case.lease(end).await.remove(0);
    assert_eq!((&other.event, other.tries), (&slow.event, 0));
    assert!(!case.settle(&slow, Some(delivery(&slow, 1, unreachable())), Next::Again(at(9))).await);
    assert!(case.settle(&other, Some(delivery(&other, 2, answered(200))), Next::Nothing).await);
    assert!(!case.settle(&other, None, Next::Again(at(9))).await, "a token is good for one settling");
    assert_eq!(case.lease(end + LEASE).await, []);
    assert_eq!(case.deliveries(None).await.len(), 2, "a try was made, whoever it was");
}

async fn what_is_told_is_due_no_more(case: Case) {
    case.completed(START).await;
    let telling = case.lease(START).await.remove(0);
    assert!(case.settle(&telling, None, Next::Nothing).await);
    assert_eq!(case.lease(at(1 << 40)).await, []);
    assert_eq!(case.deliveries(None).await, [], "with nobody to tell there is no try");
}

async fn a_try_in_vain_comes_back_when_it_is_due(case: Case) {
    let event = case.completed(START).await;
    for tries in 0..3u32 {
        let now = at(u64::from(tries) * 1_000);
        let telling = case.lease(now).await.remove(0);
        assert_eq!((&telling.event, telling.tries), (&event, tries), "the same id each time");
        let next = Next::Again(now + Duration::from_secs(1));
        assert!(case.settle(&telling, Some(delivery(&telling, tries, answered(503))), next).await);
        assert_eq!(case.lease(now + Duration::from_millis(999)).await, []);
    }
}

async fn what_is_put_off_has_not_been_tried(case: Case) {
    case.completed(START).await;
    let telling = case.lease(START).await.remove(0);
    assert!(case.settle(&telling, None, Next::Again(at(500))).await);
    assert_eq!(case.lease(at(499)).await, []);
    assert_eq!(case.lease(at(500)).await[0].tries, 0);
    assert_eq!(case.deliveries(None).await, []);
}

async fn each_round_is_told_as_it_was(case: Case) {
    let first = case.completed(START).await;
    case.records.retry(&first.request, at(10)).await.unwrap();
    let claims = claim_due(&case.records, &first.request, at(10)).await;
    settle(&case.records, claims.iter().map(completed), at(20)).await;
    let told = case.lease(at(20)).await;
    assert_eq!(told.iter().map(|telling| telling.event.round).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(told.iter().map(|telling| telling.progress.failed).collect::<Vec<_>>(), [1, 0]);
    assert_eq!(told[0].event, first);
}

async fn a_cancelled_request_is_not_told(case: Case) {
    let id = take_in_distinct(&case.records, 1).await;
    case.records.cancel(&id, START).await.unwrap();
    assert_eq!(case.lease(at(1)).await, []);
}

async fn tries_are_listed_latest_first_in_pages(case: Case) {
    let mut made = Vec::new();
    for number in 0..3 {
        case.completed(at(number)).await;
        let telling = case.lease(at(number)).await.remove(0);
        let answer = if number == 1 { unreachable() } else { answered(500) };
        made.insert(0, delivery(&telling, number as u32, answer));
        case.settle(&telling, Some(made[0].clone()), Next::Nothing).await;
    }
    assert_eq!(case.deliveries(None).await, made);
    assert_eq!(case.outbox.deliveries(None, None, 2).await.unwrap(), made[..2]);
    assert_eq!(case.outbox.deliveries(None, Some(&made[1].id), 2).await.unwrap(), made[2..]);
    assert_eq!(case.deliveries(Some(&made[1].request)).await, made[1..2]);
    let unknown = case.outbox.deliveries(Some(&RequestId::new()), None, 9).await.unwrap_err();
    assert_eq!(unknown.code, Code::RequestNotFound);
}

async fn a_redelivery_begins_anew_under_the_same_id(case: Case) {
    let event = case.completed(START).await;
    let telling = case.lease(START).await.remove(0);
    let made = delivery(&telling, 1, answered(410));
    case.settle(&telling, Some(made.clone()), Next::Nothing).await;
    assert!(!case.outbox.redeliver("01890a5d-ac96-774b-bcce-b302ffffffff", at(5)).await.unwrap());
    assert!(case.outbox.redeliver(&made.id, at(5)).await.unwrap());
    let again = case.lease(at(5)).await.remove(0);
    assert_eq!((&again.event, again.tries), (&event, 0));
}

async fn old_tries_are_forgotten(case: Case) {
    for number in 0..3 {
        case.completed(at(number)).await;
        let telling = case.lease(at(number)).await.remove(0);
        let made = delivery(&telling, number as u32, answered(200));
        case.settle(&telling, Some(made), Next::Nothing).await;
    }
    assert_eq!(case.outbox.forget_deliveries(at(2)).await.unwrap(), 2);
    assert_eq!(case.deliveries(None).await.len(), 1);
    assert_eq!(case.outbox.forget_deliveries(at(2)).await.unwrap(), 0);
}
