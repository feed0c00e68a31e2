//! Promises of upkeep, of retrying and of cancelling.

use pixmill_engine::model::lease::LEASE;
use pixmill_engine::port::records::Void;

use super::*;

pub(super) async fn suite<M, F>(make: &M)
where
    M: Fn() -> F,
    F: Future<Output = Arc<dyn RecordsForTests>>,
{
    images_whose_lease_is_void_are_due_again(make().await).await;
    only_leases_that_ran_out_are_void_while_others_work(make().await).await;
    attempts_are_exhausted_by_crashes(make().await).await;
    only_images_without_an_attempt_left_are_exhausted(make().await).await;
    what_is_whole_is_left_alone(make().await).await;
    reconcile_finishes_a_cancel_that_broke_off(make().await).await;
    a_half_cancelled_request_reads_as_cancelled(make().await).await;
    a_retry_raises_the_round_and_completes_anew(make().await).await;
    a_retry_of_nothing_changes_nothing(make().await).await;
    a_retry_while_others_are_at_work_completes_once(make().await).await;
    cancelling_stops_and_an_end_that_came_first_stands(make().await).await;
    a_settlement_of_a_cancelled_request_loses(make().await).await;
    what_has_ended_is_not_cancelled(make().await).await;
    a_retry_of_a_cancelled_request_opens_what_was_cancelled(make().await).await;
    requests_that_are_unknown_or_receiving_are_not_found(make().await).await;
}

async fn images_whose_lease_is_void_are_due_again(records: Arc<dyn RecordsForTests>) {
    let id = take_in_distinct(&records, 3).await;
    let images = fresh(&records, &id).await;
    records.claim(&images[..2], Lease::from(START), START).await.unwrap();
    assert_eq!(records.reap(Void::All, ATTEMPTS, at(1)).await.unwrap(), 2);
    let (due, _) = records.due(Some(&id), at(1), 10).await.unwrap();
    assert_eq!(due.iter().map(|candidate| &candidate.image).collect::<Vec<_>>(), [&images[0], &images[1]]);
    assert!(due.iter().all(|candidate| candidate.attempts == 1), "the attempt counts");
    let again = claim_due(&records, &id, at(1)).await;
    assert_eq!(again.iter().map(|claim| claim.attempt).collect::<Vec<_>>(), [2, 2]);
    audit(&records, &id).await;
}

async fn only_leases_that_ran_out_are_void_while_others_work(records: Arc<dyn RecordsForTests>) {
    let id = take_in_distinct(&records, 2).await;
    let images = fresh(&records, &id).await;
    for (number, image) in images.iter().enumerate() {
        let now = at(1_000 * number as u64);
        records.claim(std::slice::from_ref(image), Lease::from(now), now).await.unwrap();
    }
    let end = START + LEASE;
    assert_eq!(records.reap(Void::Expired, ATTEMPTS, end - Duration::from_millis(1)).await.unwrap(), 0);
    assert_eq!(records.reap(Void::Expired, ATTEMPTS, end).await.unwrap(), 1);
    assert_eq!(records.reap(Void::Expired, ATTEMPTS, end).await.unwrap(), 0);
    let told = audit(&records, &id).await;
    assert_eq!((told.pending, told.processing), (1, 1));
}

async fn attempts_are_exhausted_by_crashes(records: Arc<dyn RecordsForTests>) {
    let id = take_in_inputs(&records, &[&["http://h/killer.jpg"], &["http://h/killer.jpg"]]).await;
    claim_fresh(&records, &id, START).await;
    for attempt in 2..=3 {
        assert_eq!(records.reap(Void::All, 3, START).await.unwrap(), 1);
        assert_eq!(claim_due(&records, &id, START).await[0].attempt, attempt);
    }
    assert_eq!(records.reap(Void::All, 3, at(7)).await.unwrap(), 1);
    assert_eq!(statuses(&records, &id).await, [ImageStatus::Failed; 2]);
    let groups = records.failures(&id).await.unwrap();
    assert_eq!((groups.len(), groups[0].code, groups[0].images), (1, Code::AttemptsExhausted, 2));
    assert_eq!(records.completions(&id).await.unwrap()[0].at, at(7));
    audit(&records, &id).await;
}

/// However many images a dead worker had in hand, each has only its own attempts to answer for.
async fn only_images_without_an_attempt_left_are_exhausted(records: Arc<dyn RecordsForTests>) {
    let id = take_in_distinct(&records, 3).await;
    let images = fresh(&records, &id).await;
    records.claim(&images[..1], Lease::from(START), START).await.unwrap();
    assert_eq!(records.reap(Void::All, 2, START).await.unwrap(), 1);
    records.claim(&images, Lease::from(START), START).await.unwrap();
    assert_eq!(records.reap(Void::All, 2, at(5)).await.unwrap(), 3);
    let (failed, pending) = (ImageStatus::Failed, ImageStatus::Pending);
    assert_eq!(statuses(&records, &id).await, [failed, pending, pending]);
    let again = claim_due(&records, &id, at(5)).await;
    assert_eq!(again.iter().map(|claim| claim.attempt).collect::<Vec<_>>(), [2, 2]);
    audit(&records, &id).await;
}

async fn what_is_whole_is_left_alone(records: Arc<dyn RecordsForTests>) {
    let id = take_in_distinct(&records, 3).await;
    let claims = claim_fresh(&records, &id, START).await;
    settle(&records, [completed(&claims[0])], START).await;
    let before = results(&records, &id).await;
    assert_eq!(records.reconcile(START).await.unwrap(), 0);
    assert_eq!(records.reap(Void::Expired, ATTEMPTS, START).await.unwrap(), 0);
    assert_eq!(records.forget_intakes(at(1 << 40), at(1 << 40)).await.unwrap(), 0);
    assert_eq!(results(&records, &id).await, before);
    audit(&records, &id).await;
}

async fn reconcile_finishes_a_cancel_that_broke_off(records: Arc<dyn RecordsForTests>) {
    let id = take_in_distinct(&records, 6).await;
    let images = fresh(&records, &id).await;
    let claims = records.claim(&images[..4], Lease::from(START), START).await.unwrap();
    settle(&records, [completed(&claims[0]), settlement(&claims[1], Outcome::Retry(at(5)))], START).await;
    records.cancel_halfway(&id).await;
    assert_eq!(records.reap(Void::All, ATTEMPTS, START).await.unwrap(), 0, "nothing of it is fed again");
    assert_eq!(records.reconcile(START).await.unwrap(), 1);
    assert_eq!(records.reconcile(START).await.unwrap(), 0);
    let told = audit(&records, &id).await;
    assert_eq!((told.completed, told.cancelled), (1, 5));
    assert_eq!(records.due(None, at(100), 10).await.unwrap(), (vec![], None));
}

async fn a_half_cancelled_request_reads_as_cancelled(records: Arc<dyn RecordsForTests>) {
    let id = take_in_distinct(&records, 3).await;
    let images = fresh(&records, &id).await;
    let claims = records.claim(&images[..2], Lease::from(START), START).await.unwrap();
    settle(&records, [failed(&claims[0])], START).await;
    records.cancel_halfway(&id).await;
    records.age_snapshots().await;
    let told = records.progress(&id).await.unwrap();
    assert_eq!((told.failed, told.cancelled, told.total()), (1, 2, 3));
    let (failed, cancelled) = (ImageStatus::Failed, ImageStatus::Cancelled);
    assert_eq!(statuses(&records, &id).await, [failed, cancelled, cancelled]);
    assert_eq!(fresh(&records, &id).await, []);
    assert_eq!(records.claim(&images, Lease::from(START), START).await.unwrap(), []);
    assert_eq!(settle(&records, [completed(&claims[1])], START).await.won, [false]);
}

async fn a_retry_raises_the_round_and_completes_anew(records: Arc<dyn RecordsForTests>) {
    let (a, b) = ("http://h/a.jpg", "http://h/b.jpg");
    let id = take_in_inputs(&records, &[&[a], &[b], &[b], &["http://h/c.jpg"]]).await;
    let claims = claim_fresh(&records, &id, START).await;
    settle(&records, [completed(&claims[0]), failed(&claims[1]), failed(&claims[2])], START).await;
    let first = records.completions(&id).await.unwrap();
    assert_eq!(records.retry(&id, at(50)).await.unwrap(), 3);
    let told = records.request(&id).await.unwrap().unwrap();
    assert_eq!((told.status, told.round, told.completed), (RequestStatus::Pending, 2, None));
    let progress = audit(&records, &id).await;
    assert_eq!((progress.pending, progress.completed, progress.failed), (3, 1, 0));
    assert_eq!(records.failures(&id).await.unwrap(), []);
    let mut claims = claim_fresh(&records, &id, at(50)).await;
    claims.extend(claim_due(&records, &id, at(50)).await);
    assert_eq!(claims.iter().map(|claim| claim.attempt).collect::<Vec<_>>(), [1, 1]);
    settle(&records, claims.iter().map(completed), at(60)).await;
    let events = records.completions(&id).await.unwrap();
    assert_eq!((events.len(), &events[0], events[1].round, events[1].at), (2, &first[0], 2, at(60)));
    assert_eq!(audit(&records, &id).await.completed, 4);
}

async fn a_retry_of_nothing_changes_nothing(records: Arc<dyn RecordsForTests>) {
    let id = take_in_distinct(&records, 2).await;
    assert_eq!(records.retry(&id, START).await.unwrap(), 0);
    let claims = claim_fresh(&records, &id, START).await;
    settle(&records, claims.iter().map(completed), START).await;
    let before = records.request(&id).await.unwrap();
    assert_eq!(records.retry(&id, at(1)).await.unwrap(), 0);
    assert_eq!(records.request(&id).await.unwrap(), before);
    audit(&records, &id).await;
}

async fn a_retry_while_others_are_at_work_completes_once(records: Arc<dyn RecordsForTests>) {
    let id = take_in_distinct(&records, 3).await;
    let claims = claim_fresh(&records, &id, START).await;
    settle(&records, [failed(&claims[0])], START).await;
    assert_eq!(records.retry(&id, START).await.unwrap(), 1);
    assert_eq!(status(&records, &id).await, RequestStatus::Processing);
    settle(&records, claims[1..].iter().map(completed), START).await;
    assert_eq!(status(&records, &id).await, RequestStatus::Processing);
    let again = claim_due(&records, &id, START).await;
    assert_eq!(
        settle(&records, again.iter().map(completed), START).await.completed,
        std::slice::from_ref(&id)
    );
    let events = records.completions(&id).await.unwrap();
    assert_eq!((events.len(), events[0].round), (1, 2));
    audit(&records, &id).await;
}

async fn cancelling_stops_and_an_end_that_came_first_stands(records: Arc<dyn RecordsForTests>) {
    let (a, b) = ("http://h/a.jpg", "http://h/b.jpg");
    let id = take_in_inputs(&records, &[&[a], &[b], &["http://h/c.jpg"], &[b], &[a]]).await;
    let images = fresh(&records, &id).await;
    let claims = records.claim(&images[..2], Lease::from(START), START).await.unwrap();
    settle(&records, [completed(&claims[0])], START).await;
    assert!(records.cancel(&id, START).await.unwrap());
    let (done, cancelled) = (ImageStatus::Completed, ImageStatus::Cancelled);
    assert_eq!(statuses(&records, &id).await, [done, cancelled, cancelled, cancelled, done]);
    assert_eq!(status(&records, &id).await, RequestStatus::Cancelled);
    assert_eq!(records.completions(&id).await.unwrap(), [], "a cancelled request is no completed one");
    assert_eq!(open(&*records).await, []);
    assert_eq!(records.claim(&images, Lease::from(START), START).await.unwrap(), []);
    let told = audit(&records, &id).await;
    assert_eq!((told.completed, told.cancelled, told.bytes_before), (2, 3, 2000));
}

async fn a_settlement_of_a_cancelled_request_loses(records: Arc<dyn RecordsForTests>) {
    let id = take_in_distinct(&records, 4).await;
    let claims = claim_fresh(&records, &id, START).await;
    assert!(records.cancel(&id, START).await.unwrap());
    let late = [
        completed(&claims[0]),
        failed(&claims[1]),
        settlement(&claims[2], Outcome::Retry(START)),
        settlement(&claims[3], Outcome::GivenBack),
    ];
    let settled = settle(&records, late, START).await;
    assert_eq!(settled, Settled { won: vec![false; 4], completed: vec![] });
    assert_eq!(statuses(&records, &id).await, [ImageStatus::Cancelled; 4]);
    audit(&records, &id).await;
}

async fn what_has_ended_is_not_cancelled(records: Arc<dyn RecordsForTests>) {
    let id = take_in_distinct(&records, 1).await;
    let claims = claim_fresh(&records, &id, START).await;
    settle(&records, claims.iter().map(completed), START).await;
    assert!(!records.cancel(&id, START).await.unwrap());
    assert_eq!(status(&records, &id).await, RequestStatus::Completed);
    let other = take_in_distinct(&records, 1).await;
    assert!(records.cancel(&other, START).await.unwrap());
    assert!(!records.cancel(&other, START).await.unwrap());
    audit(&records, &id).await;
}

async fn a_retry_of_a_cancelled_request_opens_what_was_cancelled(records: Arc<dyn RecordsForTests>) {
    for halfway in [false, true] {
        let (a, b) = ("http://h/a.jpg", "http://h/b.jpg");
        let id = take_in_inputs(&records, &[&[a], &[b], &["http://h/c.jpg"], &[b]]).await;
        let images = fresh(&records, &id).await;
        let claims = records.claim(&images[..2], Lease::from(START), START).await.unwrap();
        settle(&records, [failed(&claims[0])], START).await;
        if halfway {
            records.cancel_halfway(&id).await;
        } else {
            records.cancel(&id, START).await.unwrap();
        }
        assert_eq!(records.retry(&id, at(1)).await.unwrap(), 4);
        assert_eq!(audit(&records, &id).await.pending, 4);
        assert_eq!(settle(&records, [completed(&claims[1])], START).await.won, [false], "its lease is void");
        let mut claims = claim_fresh(&records, &id, at(1)).await;
        claims.extend(claim_due(&records, &id, at(1)).await);
        assert_eq!(claims.len(), 3);
        settle(&records, claims.iter().map(completed), at(2)).await;
        let events = records.completions(&id).await.unwrap();
        assert_eq!((events.len(), events[0].round), (1, 2));
        audit(&records, &id).await;
    }
}

async fn requests_that_are_unknown_or_receiving_are_not_found(records: Arc<dyn RecordsForTests>) {
    let new = new_request();
    records.begin(new.clone(), START).await.unwrap();
    for id in [new.id, RequestId::new(), "x".into()] {
        assert_eq!(records.cancel(&id, START).await.unwrap_err().code, Code::RequestNotFound);
        assert_eq!(records.retry(&id, START).await.unwrap_err().code, Code::RequestNotFound);
    }
}
