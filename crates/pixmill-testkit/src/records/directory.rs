//! Promises to clients: what they see of requests and images, what they change, and keys of both kinds.

use std::collections::BTreeSet;

use pixmill_engine::fault::Blame;
use pixmill_engine::model::event::{Answer, Delivery, Next};
use pixmill_engine::model::id::ImageId;
use pixmill_engine::model::image::{Correction, ImageView, Moment};
use pixmill_engine::model::key::{Key, Role, hash};
use pixmill_engine::model::lease::Token;
use pixmill_engine::model::recipe::{Format, Recipe};
use pixmill_engine::port::records::{Ledger, Oldest, Reservation, Usage, UsagePart};

use super::*;

/// Runs the suite. `make` gives empty records and the same as a server uses them.
///
/// # Panics
/// When a promise is broken.
pub async fn suite<M, F>(make: M)
where
    M: Fn() -> F,
    F: Future<Output = (Arc<dyn RecordsForTests>, Arc<dyn Ledger>)>,
{
    requests_are_listed_latest_first_by_tenant(Case::new(make().await)).await;
    an_intake_is_not_shown(Case::new(make().await)).await;
    a_request_that_cannot_be_read_costs_only_itself(Case::new(make().await)).await;
    images_are_paged_in_order_by_status(Case::new(make().await)).await;
    an_image_is_found_by_its_id_in_its_request_alone(Case::new(make().await)).await;
    failed_images_come_with_their_rows(Case::new(make().await)).await;
    whoever_goes_on_from_the_last_end_misses_none(Case::new(make().await)).await;
    a_retry_takes_ends_back(Case::new(make().await)).await;
    corrections_reopen_what_they_name_and_nothing_else(Case::new(make().await)).await;
    corrections_are_all_or_nothing(Case::new(make().await)).await;
    equal_corrections_are_worked_once(Case::new(make().await)).await;
    what_followed_a_corrected_image_keeps_its_input(Case::new(make().await)).await;
    only_what_has_ended_is_deleted(Case::new(make().await)).await;
    tries_are_shown_to_their_tenant_alone(Case::new(make().await)).await;
    usage_and_census_count_every_image(Case::new(make().await)).await;
    usage_is_told_by_week_and_format(Case::new(make().await)).await;
    what_waits_longest_is_told(Case::new(make().await)).await;
    pages::every_page_is_bounded_by_bytes(make().await).await;
    a_key_makes_one_request(Case::new(make().await)).await;
    a_key_that_lapsed_passes_over(Case::new(make().await)).await;
    keys_are_kept_until_revoked(Case::new(make().await)).await;
}

struct Case {
    records: Arc<dyn RecordsForTests>,
    ledger: Arc<dyn Ledger>,
}

impl Case {
    fn new((records, ledger): (Arc<dyn RecordsForTests>, Arc<dyn Ledger>)) -> Self {
        Case { records, ledger }
    }

    async fn open(&self, tenant: &str, inputs: &[&[&str]], now: Timestamp) -> RequestId {
        let new = NewRequest { tenant: tenant.to_owned(), ..new_request() };
        let id = new.id.clone();
        self.records.begin(new, now).await.unwrap();
        self.records.append(&id, rows(inputs), now).await.unwrap();
        self.records.open(&id, intake_end(inputs.len() as u64), now).await.unwrap();
        id
    }

    async fn listed(&self, tenant: &str, status: Option<RequestStatus>) -> Vec<RequestId> {
        let found = self.ledger.requests_of(tenant, status, None, 100).await.unwrap();
        found.into_iter().map(|standing| standing.request.id).collect()
    }

    async fn images(&self, id: &RequestId, status: Option<ImageStatus>) -> Vec<ImageView> {
        self.ledger.images(id, status, None, 1_000).await.unwrap()
    }

    /// Ends every image: those of even number fail.
    async fn end(&self, id: &RequestId, now: Timestamp) {
        let mut claims = claim_fresh(&self.records, id, now).await;
        claims.extend(claim_due(&self.records, id, now).await);
        let ends = claims.iter().enumerate();
        let ends = ends.map(|(number, claim)| if number % 2 == 0 { failed(claim) } else { completed(claim) });
        settle(&self.records, ends, now).await;
    }
}

async fn requests_are_listed_latest_first_by_tenant(case: Case) {
    let mut ids = Vec::new();
    for number in 0..3 {
        ids.insert(0, case.open("a", &[&["http://h/a.jpg"]], at(number)).await);
    }
    let other = case.open("b", &[], at(5)).await;
    assert_eq!(case.listed("a", None).await, ids);
    assert_eq!(case.listed("b", None).await, std::slice::from_ref(&other));
    assert_eq!(case.listed("c", None).await, []);
    let page = case.ledger.requests_of("a", None, Some(&ids[0]), 1).await.unwrap();
    assert_eq!(page[0].request.id, ids[1]);
    assert_eq!(page[0].progress, case.records.progress(&ids[1]).await.unwrap());
    case.records.cancel(&ids[2], at(9)).await.unwrap();
    assert_eq!(case.listed("a", Some(RequestStatus::Cancelled)).await, ids[2..]);
    assert_eq!(case.listed("a", Some(RequestStatus::Pending)).await, ids[..2]);
    let standing = case.ledger.view(&other).await.unwrap().unwrap();
    assert_eq!((standing.request.tenant.as_str(), standing.request.status), ("b", RequestStatus::Completed));
}

async fn a_request_that_cannot_be_read_costs_only_itself(case: Case) {
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(case.open("a", &[&["http://h/a.jpg"], &["http://h/b.jpg"]], START).await);
    }
    case.records.garble(&ids[1]).await;
    for fault in
        [case.records.request(&ids[1]).await.unwrap_err(), case.ledger.view(&ids[1]).await.unwrap_err()]
    {
        assert_eq!((fault.blame, fault.code), (Blame::Request, Code::RecipeInvalid), "{fault}");
        assert!(!fault.transient, "{fault}");
    }
    // A page is filled with what comes after it.
    let page = case.ledger.requests_of("a", None, None, 2).await.unwrap();
    assert_eq!(
        page.into_iter().map(|view| view.request.id).collect::<Vec<_>>(),
        [ids[2].clone(), ids[0].clone()]
    );
    assert_eq!(done(&case.ledger.usage("a", START, at(1)).await.unwrap()).requests, 3);
    // Whoever works on its images ends them, and so the request.
    for id in &ids {
        let claims = claim_fresh(&case.records, id, START).await;
        let ended = settle(&case.records, claims.iter().map(failed), START).await;
        assert_eq!(ended.completed, std::slice::from_ref(id));
    }
    assert_eq!(case.records.reconcile(START).await.unwrap(), 0);
    assert_eq!(case.ledger.lease_events(9, Lease::from(START), START).await.unwrap().len(), 3);
}

async fn an_intake_is_not_shown(case: Case) {
    let new = new_request();
    let id = new.id.clone();
    case.records.begin(new, START).await.unwrap();
    assert_eq!(case.ledger.view(&id).await.unwrap(), None);
    assert_eq!(case.listed("default", None).await, []);
    assert_eq!(case.ledger.view(&RequestId::new()).await.unwrap(), None);
}

async fn images_are_paged_in_order_by_status(case: Case) {
    let id = case.open("a", &[&["http://h/0", "http://h/1"], &["http://h/2"], &["http://h/3"]], START).await;
    let all = case.images(&id, None).await;
    let places: Vec<_> = all.iter().map(|view| (view.row, view.position, view.input.as_str())).collect();
    assert_eq!(
        places,
        [(0, 0, "http://h/0"), (0, 1, "http://h/1"), (1, 0, "http://h/2"), (2, 0, "http://h/3")]
    );
    let page = case.ledger.images(&id, None, Some(&all[1].image), 1).await.unwrap();
    assert_eq!(page, all[2..3]);
    case.end(&id, at(7)).await;
    let failed = case.images(&id, Some(ImageStatus::Failed)).await;
    assert_eq!(
        failed.iter().map(|view| view.image.clone()).collect::<Vec<_>>(),
        [all[0].image.clone(), all[2].image.clone()]
    );
    assert!(
        failed.iter().all(|view| view.ended.is_some() && view.slot.failure.is_some() && view.attempts == 1)
    );
    assert_eq!(case.images(&id, Some(ImageStatus::Completed)).await.len(), 2);
    assert_eq!(case.images(&id, Some(ImageStatus::Pending)).await, []);
    let other = case.open("a", &[&["http://h/9"]], START).await;
    case.records.cancel_halfway(&other).await;
    assert_eq!(case.images(&other, Some(ImageStatus::Pending)).await, []);
    assert_eq!(case.images(&other, Some(ImageStatus::Cancelled)).await.len(), 1);
    assert_eq!(case.images(&RequestId::new(), None).await, []);
}

async fn an_image_is_found_by_its_id_in_its_request_alone(case: Case) {
    let id = case.open("a", &[&["http://h/0", "http://h/1"], &["http://h/2"]], START).await;
    let other = case.open("a", &[&["http://h/3"]], START).await;
    case.end(&id, at(7)).await;
    for view in case.images(&id, None).await {
        assert_eq!(case.ledger.image(&id, &view.image).await.unwrap(), Some(view.clone()));
        assert_eq!(case.ledger.image(&other, &view.image).await.unwrap(), None);
    }
    for unknown in ["elephant", "01890a5d-ac96-774b-bcce-b302fffffffe", "5f0000000000000000000000", ""] {
        assert_eq!(case.ledger.image(&id, &ImageId::from(unknown)).await.unwrap(), None, "{unknown}");
    }
}

async fn failed_images_come_with_their_rows(case: Case) {
    let id = case.open("a", &[&["http://h/0", "http://h/1"], &["http://h/2"]], START).await;
    case.end(&id, at(7)).await;
    let failed = case.ledger.failed(&id, None, 100).await.unwrap();
    let told: Vec<_> = failed.iter().map(|(view, cells)| (view.row, view.position, cells.as_str())).collect();
    assert_eq!(
        told,
        [(0, 0, "0,product 0,\"http://h/0, http://h/1\""), (1, 0, "1,product 1,\"http://h/2\"")]
    );
    let page = case.ledger.failed(&id, Some(&failed[0].0.image), 100).await.unwrap();
    assert_eq!(page, failed[1..]);
}

async fn whoever_goes_on_from_the_last_end_misses_none(case: Case) {
    let inputs: Vec<String> = (0..40).map(url).collect();
    let rows: Vec<Vec<&str>> = inputs.iter().map(|input| vec![input.as_str(), "http://h/same.jpg"]).collect();
    let rows: Vec<&[&str]> = rows.iter().map(Vec::as_slice).collect();
    let id = case.open("a", &rows, START).await;
    let standing = case.ledger.view(&id).await.unwrap().unwrap();
    let mut moment = Moment { at: standing.request.updated, image: None };
    let mut seen = BTreeSet::new();
    let claims = claim_fresh(&case.records, &id, START).await;
    assert_eq!(claims.len(), 41);
    for (number, batch) in claims.chunks(4).enumerate() {
        // The clock goes backwards: ends are told in the order in which they were written all the same.
        settle(&case.records, batch.iter().map(completed), at(50 - number as u64)).await;
        loop {
            let ended = case.ledger.ended_since(&id, &moment, 3).await.unwrap();
            let Some(last) = ended.last() else { break };
            moment = Moment { at: last.ended.unwrap(), image: Some(last.image.clone()) };
            for view in ended {
                assert!(seen.insert(view.image.clone()), "{view:?} was told twice");
            }
        }
    }
    assert_eq!(seen.len(), 80);
    let updated = case.ledger.view(&id).await.unwrap().unwrap().request.updated;
    assert!(updated >= moment.at);
    let rest = case.ledger.ended_since(&id, &Moment { at: updated, image: None }, 9).await.unwrap();
    assert_eq!(rest, [], "nothing ended after the last change");
}

async fn a_retry_takes_ends_back(case: Case) {
    let id = case.open("a", &[&["http://h/0"]], START).await;
    case.end(&id, at(5)).await;
    case.records.retry(&id, at(6)).await.unwrap();
    let view = case.images(&id, None).await.remove(0);
    assert_eq!((view.ended, view.slot.status, view.attempts), (None, ImageStatus::Pending, 0));
}

fn correction(row: u64, position: u32, input: &str) -> Correction {
    Correction { row, position, input: input.to_owned() }
}

async fn corrections_reopen_what_they_name_and_nothing_else(case: Case) {
    let id =
        case.open("a", &[&["http://h/0"], &["http://h/1"], &["http://h/2"], &["http://h/3"]], START).await;
    case.end(&id, at(5)).await;
    let wrong = case.ledger.correct(&id, vec![correction(2, 0, "http://h/better")], at(6)).await.unwrap();
    assert_eq!(wrong, Vec::<usize>::new());
    let told = case.records.request(&id).await.unwrap().unwrap();
    assert_eq!((told.status, told.round, told.completed), (RequestStatus::Pending, 2, None));
    let progress = audit(&case.records, &id).await;
    assert_eq!((progress.pending, progress.failed, progress.completed), (1, 1, 2));
    let claims = claim_due(&case.records, &id, at(6)).await;
    assert_eq!((claims.len(), claims[0].input.as_str(), claims[0].attempt), (1, "http://h/better", 1));
    settle(&case.records, claims.iter().map(completed), at(7)).await;
    assert_eq!(audit(&case.records, &id).await.failed, 1);
    assert_eq!(case.records.completions(&id).await.unwrap().len(), 2, "the next completion is a new event");
}

async fn corrections_are_all_or_nothing(case: Case) {
    let id = case.open("a", &[&["http://h/0"], &["http://h/1"]], START).await;
    case.end(&id, at(5)).await;
    let corrections = vec![
        correction(0, 0, "http://h/better"),
        correction(1, 0, "http://h/completed"),
        correction(0, 1, "http://h/nowhere"),
        correction(9, 0, "http://h/nowhere"),
        correction(u64::MAX, u32::MAX, "http://h/nowhere"),
    ];
    assert_eq!(case.ledger.correct(&id, corrections, at(6)).await.unwrap(), [1, 2, 3, 4]);
    assert_eq!(status(&case.records, &id).await, RequestStatus::Completed);
    assert_eq!(case.images(&id, None).await[0].input, "http://h/0");
    let unknown = case.ledger.correct(&RequestId::new(), Vec::new(), at(6)).await.unwrap_err();
    assert_eq!(unknown.code, Code::RequestNotFound);
}

async fn equal_corrections_are_worked_once(case: Case) {
    let id = case.open("a", &[&["http://h/0", "http://h/0"], &["http://h/2"], &["http://h/3"]], START).await;
    let claims = claim_fresh(&case.records, &id, START).await;
    settle(&case.records, claims.iter().map(failed), at(5)).await;
    let corrections = vec![
        correction(2, 0, "http://h/better"),
        correction(0, 1, "http://h/wrong"),
        correction(0, 1, "http://H:80/better#part"),
        correction(1, 0, "http://h/better"),
    ];
    assert_eq!(case.ledger.correct(&id, corrections, at(6)).await.unwrap(), Vec::<usize>::new());
    assert_eq!(audit(&case.records, &id).await.pending, 3);
    let claims = claim_due(&case.records, &id, at(6)).await;
    assert_eq!(claims.len(), 1, "{claims:?}");
    settle(&case.records, claims.iter().map(completed), at(7)).await;
    let progress = audit(&case.records, &id).await;
    assert_eq!((progress.completed, progress.failed), (3, 1));
    assert_eq!(status(&case.records, &id).await, RequestStatus::Completed);
}

async fn what_followed_a_corrected_image_keeps_its_input(case: Case) {
    let same = &["http://h/same"][..];
    let id = case.open("a", &[same, same, same], START).await;
    case.end(&id, at(5)).await;
    case.ledger.correct(&id, vec![correction(0, 0, "http://h/better")], at(6)).await.unwrap();
    let claims = claim_due(&case.records, &id, at(6)).await;
    settle(&case.records, claims.iter().map(completed), at(7)).await;
    use ImageStatus::{Completed, Failed};
    assert_eq!(statuses(&case.records, &id).await, [Completed, Failed, Failed]);
    case.records.retry(&id, at(8)).await.unwrap();
    let claims = claim_due(&case.records, &id, at(8)).await;
    let inputs: Vec<_> = claims.iter().map(|claim| claim.input.as_str()).collect();
    assert_eq!(inputs, ["http://h/same"], "equal ones are worked once still");
    settle(&case.records, claims.iter().map(completed), at(9)).await;
    assert_eq!(audit(&case.records, &id).await.completed, 3);
}

async fn only_what_has_ended_is_deleted(case: Case) {
    let id = case.open("a", &[&["http://h/0"]], START).await;
    assert!(!case.ledger.delete(&id).await.unwrap());
    case.end(&id, at(5)).await;
    assert!(case.ledger.delete(&id).await.unwrap());
    assert_eq!(case.ledger.view(&id).await.unwrap(), None);
    assert_eq!(case.records.traces(&id).await, 0);
    assert_eq!(case.ledger.delete(&id).await.unwrap_err().code, Code::RequestNotFound);
}

async fn tries_are_shown_to_their_tenant_alone(case: Case) {
    let mut made = Vec::new();
    for (number, tenant) in ["a", "a", "b"].into_iter().enumerate() {
        case.open(tenant, &[], at(number as u64)).await;
        let telling = case.ledger.lease_events(9, Lease::from(at(9)), at(9)).await.unwrap().remove(0);
        let delivery = Delivery {
            id: format!("01890a5d-ac96-774b-bcce-b302{number:08x}"),
            event: telling.event.id.clone(),
            request: telling.event.request.clone(),
            url: "https://shop.example/hook".into(),
            at: at(9),
            took: None,
            body: None,
            answer: Ok(Answer { status: 200, beginning: String::new() }),
        };
        case.ledger.settle_event(&telling, Some(delivery.clone()), Next::Nothing, START).await.unwrap();
        made.push(delivery);
    }
    let of = |tenant, request, before| case.ledger.deliveries_of(tenant, request, before, 9);
    assert_eq!(of("a", None, None).await.unwrap(), [made[1].clone(), made[0].clone()]);
    assert_eq!(of("a", None, Some(made[1].id.as_str())).await.unwrap(), made[..1]);
    assert_eq!(of("a", Some(&made[1].request), None).await.unwrap(), made[1..2]);
    assert_eq!(of("a", Some(&made[2].request), None).await.unwrap(), []);
    assert_eq!(case.ledger.delivery_of("b", &made[2].id).await.unwrap(), Some(made[2].clone()));
    assert_eq!(case.ledger.delivery_of("a", &made[2].id).await.unwrap(), None);
}

async fn usage_and_census_count_every_image(case: Case) {
    for (tenant, second) in [("a", 1), ("a", 2), ("b", 3)] {
        let id = case.open(tenant, &[&["http://h/0"], &["http://h/1"]], at(second * 1_000)).await;
        case.end(&id, at(second * 1_000)).await;
    }
    case.open("b", &[&["http://h/0"]], at(9_000)).await;
    let usage = done(&case.ledger.usage("a", at(2_000), at(3_000)).await.unwrap());
    assert_eq!((usage.requests, usage.progress.completed, usage.progress.bytes_before), (1, 1, 1000));
    assert_eq!(done(&case.ledger.usage("a", START, at(10_000)).await.unwrap()).progress.failed, 2);
    let (mut requests, all) = case.ledger.census().await.unwrap();
    requests.sort_by_key(|(status, _)| status.as_str());
    assert_eq!(requests, [(RequestStatus::Completed, 3), (RequestStatus::Pending, 1)]);
    assert_eq!((all.total(), all.pending, all.failed), (7, 1, 3));
}

async fn usage_is_told_by_week_and_format(case: Case) {
    let week = START.week();
    let begins = |number| Timestamp::of_week(week + number);
    let asked = [
        (begins(1), Format::Webp),
        (Timestamp(begins(2).0 - 1), Format::Webp),
        (begins(2), Format::Jpeg),
        (begins(2), Format::Keep),
    ];
    for (created, format) in asked {
        let new = NewRequest { tenant: "a".to_owned(), ..new_request() };
        let id = new.id.clone();
        case.records.begin(new, created).await.unwrap();
        case.records.append(&id, rows(&[&["http://h/0"], &["http://h/1"]]), created).await.unwrap();
        let mut end = intake_end(2);
        end.options.recipe = Recipe { format, ..Recipe::default() };
        case.records.open(&id, end, created).await.unwrap();
        case.end(&id, created).await;
    }
    let mut parts = case.ledger.usage("a", begins(0), begins(3)).await.unwrap();
    parts.sort_by_key(|part| (part.week, format!("{:?}", part.format)));
    let told = parts.iter().map(|part| {
        let progress = part.usage.progress;
        (part.week - week, part.format, part.usage.requests, progress.completed, progress.failed)
    });
    let expected = [
        (1, Some(Format::Webp), 2, 2, 2),
        (2, Some(Format::Jpeg), 1, 1, 1),
        (2, Some(Format::Keep), 1, 1, 1),
    ];
    assert_eq!(told.collect::<Vec<_>>(), expected);
    assert_eq!(case.ledger.usage("a", begins(2), begins(3)).await.unwrap().len(), 2);
    assert_eq!(case.ledger.usage("b", begins(0), begins(3)).await.unwrap(), []);
}

/// All of it.
pub(super) fn done(parts: &[UsagePart]) -> Usage {
    parts.iter().map(|part| &part.usage).sum()
}

async fn what_waits_longest_is_told(case: Case) {
    assert_eq!(case.ledger.oldest().await.unwrap(), Oldest::default());
    let first = case.open("a", &[&["http://h/0"]], at(1_000)).await;
    case.open("b", &[&["http://h/0"]], at(2_000)).await;
    assert_eq!(case.ledger.oldest().await.unwrap(), Oldest { open: Some(at(1_000)), due: None });
    case.end(&first, at(5_000)).await;
    let oldest = case.ledger.oldest().await.unwrap();
    assert_eq!(oldest, Oldest { open: Some(at(2_000)), due: Some(at(5_000)) });
    let lease = Lease { token: Token(7), until: at(60_000) };
    let telling = case.ledger.lease_events(1, lease, at(6_000)).await.unwrap().remove(0);
    assert_eq!(case.ledger.oldest().await.unwrap().due, Some(at(60_000)), "somebody tells it");
    case.ledger.settle_event(&telling, None, Next::Nothing, at(6_000)).await.unwrap();
    assert_eq!(case.ledger.oldest().await.unwrap().due, None);
}

async fn a_key_makes_one_request(case: Case) {
    let new = NewRequest { tenant: "a".into(), ..new_request() };
    let id = new.id.clone();
    let reserve = |tenant: &'static str, now| {
        let (ledger, other) = (case.ledger.clone(), RequestId::new());
        async move { ledger.reserve(tenant, "k", &other, at(60_000), now).await.unwrap() }
    };
    let first = case.ledger.reserve("a", "k", &id, at(60_000), START).await.unwrap();
    assert_eq!(first, Reservation::New);
    assert_eq!(reserve("a", at(1)).await, Reservation::InFlight(at(60_000)));
    case.records.begin(new, START).await.unwrap();
    case.ledger.hold(&id, at(90_000), START).await.unwrap();
    assert_eq!(reserve("a", at(61_000)).await, Reservation::InFlight(at(90_000)));
    case.records.open(&id, intake_end(0), START).await.unwrap();
    case.ledger.release(&id).await.unwrap();
    assert_eq!(reserve("a", at(99_000)).await, Reservation::Accepted(id), "accepted is accepted");
    assert_eq!(reserve("b", at(1)).await, Reservation::New, "another tenant's key is another");
    let day = Duration::from_secs(24 * 3600 + 1);
    assert_eq!(reserve("a", START + day).await, Reservation::New, "keys are forgotten after a day");
}

async fn a_key_that_lapsed_passes_over(case: Case) {
    let new = new_request();
    let (id, other) = (new.id.clone(), RequestId::new());
    case.ledger.reserve("default", "k", &id, at(10), START).await.unwrap();
    case.records.begin(new, START).await.unwrap();
    let taken = case.ledger.reserve("default", "k", &other, at(60), at(11)).await.unwrap();
    assert_eq!(taken, Reservation::New);
    let late = case.records.open(&id, intake_end(0), at(12)).await;
    assert!(late.is_err(), "two requests under one key");
    case.ledger.release(&other).await.unwrap();
    let again = case.ledger.reserve("default", "k", &RequestId::new(), at(60), at(13)).await.unwrap();
    assert_eq!(again, Reservation::New);
}

async fn keys_are_kept_until_revoked(case: Case) {
    let key = |number: u32, per_minute| Key {
        id: format!("01890a5d-ac96-774b-bcce-b302{number:08x}"),
        tenant: "a".into(),
        name: format!("shop {number}"),
        hash: hash(&format!("pxm_{number}")),
        role: if number == 1 { Role::Read } else { Role::Admin },
        per_minute,
        created: at(u64::from(number)),
        revoked: None,
    };
    case.ledger.add_key(key(1, None)).await.unwrap();
    case.ledger.add_key(key(2, Some(60))).await.unwrap();
    assert_eq!(case.ledger.keys().await.unwrap(), [key(1, None), key(2, Some(60))]);
    assert!(case.ledger.revoke_key(&key(1, None).id, at(9)).await.unwrap());
    assert!(!case.ledger.revoke_key(&key(1, None).id, at(10)).await.unwrap());
    assert!(!case.ledger.revoke_key("elephant", at(10)).await.unwrap());
    assert_eq!(case.ledger.keys().await.unwrap()[0].revoked, Some(at(9)));
}
