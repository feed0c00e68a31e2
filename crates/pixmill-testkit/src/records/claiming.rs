//! Promises of the backlog.

use pixmill_engine::model::image::{Candidate, Standing};
use pixmill_engine::model::lease::LEASE;
use pixmill_engine::port::records::{Opened, Right, Void};

use super::*;

pub(super) async fn suite<M, F>(make: &M)
where
    M: Fn() -> F,
    F: Future<Output = Arc<dyn RecordsForTests>>,
{
    a_claim_takes_only_pending_images_and_counts_the_attempt(make().await).await;
    an_image_is_claimed_once_whoever_asks(make().await).await;
    the_first_claim_makes_its_request_processing(make().await).await;
    what_follows_another_image_is_not_claimed(make().await).await;
    unknown_images_are_passed_over(make().await).await;
    open_requests_are_told_oldest_first(make().await).await;
    open_requests_of_a_tenant_are_told_some_at_a_time(make().await).await;
    fresh_images_are_told_in_order_after_one_of_them(make().await).await;
    a_retry_waits_for_its_time(make().await).await;
    giving_back_returns_the_attempt(make().await).await;
    what_is_put_off_waits_without_an_attempt(make().await).await;
    what_is_due_is_told_by_request(make().await).await;
    a_renewed_lease_holds(make().await).await;
    a_candidate_tells_its_round_and_attempts(make().await).await;
    how_images_stand_is_told_in_order(make().await).await;
    images_that_nobody_may_see_are_unknown(make().await).await;
    one_process_leads_until_its_lease_runs_out(make().await).await;
}

async fn a_claim_takes_only_pending_images_and_counts_the_attempt(records: Arc<dyn RecordsForTests>) {
    let id = take_in_distinct(&records, 3).await;
    let images = fresh(&records, &id).await;
    let lease = Lease::from(START);
    let first = records.claim(&images[..2], lease, START).await.unwrap();
    assert_eq!(first.iter().map(|claim| &claim.image).collect::<Vec<_>>(), [&images[0], &images[1]]);
    for (row, claim) in first.iter().enumerate() {
        assert_eq!((claim.row, claim.position, claim.attempt), (row as u64, 0, 1));
        assert_eq!((&claim.input, &claim.request, claim.token), (&url(row), &id, lease.token));
    }
    let second = records.claim(&images, Lease::from(START), START).await.unwrap();
    assert_eq!(second.iter().map(|claim| &claim.image).collect::<Vec<_>>(), [&images[2]]);
    assert_eq!(fresh(&records, &id).await, []);
    let told = audit(&records, &id).await;
    assert_eq!((told.pending, told.processing), (0, 3));
}

async fn an_image_is_claimed_once_whoever_asks(records: Arc<dyn RecordsForTests>) {
    let id = take_in_distinct(&records, 100).await;
    let images = fresh(&records, &id).await;
    let claims = (0..8).map(|_| {
        let (records, images) = (records.clone(), images.clone());
        tokio::spawn(async move {
            let mut claims = Vec::new();
            for eight in images.chunks(8) {
                claims.extend(records.claim(eight, Lease::from(START), START).await.unwrap());
            }
            claims
        })
    });
    let mut claimed = Vec::new();
    for claims in claims.collect::<Vec<_>>() {
        claimed.extend(claims.await.unwrap().into_iter().map(|claim| claim.image));
    }
    claimed.sort();
    assert_eq!(claimed, images);
    audit(&records, &id).await;
}

async fn the_first_claim_makes_its_request_processing(records: Arc<dyn RecordsForTests>) {
    let id = take_in_distinct(&records, 2).await;
    assert_eq!(status(&records, &id).await, RequestStatus::Pending);
    claim_fresh(&records, &id, START).await;
    assert_eq!(status(&records, &id).await, RequestStatus::Processing);
    assert_eq!(open(&*records).await, [id]);
}

async fn what_follows_another_image_is_not_claimed(records: Arc<dyn RecordsForTests>) {
    let single = take_in_inputs(&records, &[&["http://h/a.jpg"], &["http://h/b.jpg"]]).await;
    let double = take_in_inputs(&records, &[&["http://h/a.jpg"], &["http://h/a.jpg"]]).await;
    let candidates = fresh(&records, &double).await;
    assert_eq!((fresh(&records, &single).await.len(), candidates.len()), (2, 1));
    let claims = claim_fresh(&records, &double, START).await;
    assert_eq!(claims.len(), 1);
    settle(&records, [settlement(&claims[0], Outcome::Retry(START))], START).await;
    let (due, _) = records.due(Some(&double), START, 10).await.unwrap();
    assert_eq!(due.iter().map(|candidate| &candidate.image).collect::<Vec<_>>(), [&candidates[0]]);
    assert_eq!(audit(&records, &double).await.pending, 2);
}

async fn unknown_images_are_passed_over(records: Arc<dyn RecordsForTests>) {
    let id = take_in_distinct(&records, 1).await;
    let mut images: Vec<ImageId> =
        ["", "x", "6543210fedcba98765432100", RequestId::new().as_str(), id.as_str()]
            .map(ImageId::from)
            .into();
    images.extend(fresh(&records, &id).await);
    assert_eq!(records.claim(&images, Lease::from(START), START).await.unwrap().len(), 1);
    audit(&records, &id).await;
}

async fn open_requests_are_told_oldest_first(records: Arc<dyn RecordsForTests>) {
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(take_in_distinct(&records, 1).await);
    }
    assert_eq!(open(&*records).await, ids);
    let ended = ids.remove(2);
    let claims = claim_fresh(&records, &ended, START).await;
    settle(&records, claims.iter().map(completed), START).await;
    records.cancel(&ids.remove(0), START).await.unwrap();
    assert_eq!(open(&*records).await, ids);
    assert_eq!(records.retry(&ended, START).await.unwrap(), 0);
    assert_eq!(open(&*records).await, ids, "nothing of it was opened again");
}

async fn open_requests_of_a_tenant_are_told_some_at_a_time(records: Arc<dyn RecordsForTests>) {
    let mut ids: Vec<Vec<RequestId>> = vec![Vec::new(); 3];
    for _ in 0..5 {
        for (tenant, ids) in ["a", "b", "c"].into_iter().zip(&mut ids) {
            let new = NewRequest { tenant: tenant.to_owned(), ..new_request() };
            ids.push(new.id.clone());
            take_in_as(&records, new, rows(&[&["http://h/a.jpg"]])).await;
        }
    }
    let (mut known, mut told) = (Vec::<Opened>::new(), vec![Vec::new(); 3]);
    for most in [2, 2, 2, 1] {
        let opened = records.open_requests(&known, most).await.unwrap();
        for (place, tenant) in ["a", "b", "c"].into_iter().enumerate() {
            let of_it: Vec<_> = opened.iter().filter(|opened| opened.tenant == tenant).collect();
            assert!(of_it.len() <= most);
            if let Some(last) = of_it.last() {
                known.retain(|known| known.tenant != tenant);
                known.push((*last).clone());
            }
            told[place].extend(of_it.into_iter().map(|opened| opened.request.clone()));
        }
    }
    assert_eq!(told, ids);
    // What is opened again comes after all that was told.
    let claims = claim_fresh(&records, &ids[0][0], START).await;
    settle(&records, claims.iter().map(failed), START).await;
    records.retry(&ids[0][0], START).await.unwrap();
    let again = records.open_requests(&known, 9).await.unwrap();
    assert_eq!(again.into_iter().map(|opened| opened.request).collect::<Vec<_>>(), [ids[0][0].clone()]);
}

async fn fresh_images_are_told_in_order_after_one_of_them(records: Arc<dyn RecordsForTests>) {
    let other = take_in_distinct(&records, 3).await;
    let id = take_in_distinct(&records, 50).await;
    take_in_distinct(&records, 3).await;
    let all = fresh(&records, &id).await;
    assert_eq!(all.len(), 50);
    let mut told = Vec::new();
    loop {
        let next = records.fresh(&id, told.last(), 7).await.unwrap();
        if next.is_empty() {
            break;
        }
        told.extend(next.into_iter().map(|candidate| candidate.image));
    }
    assert_eq!(told, all);
    // The one to begin after need not be fresh any more.
    records.claim(&all[..10], Lease::from(START), START).await.unwrap();
    let rest = records.fresh(&id, Some(&all[4]), 1).await.unwrap();
    assert_eq!(rest[0].image, all[10]);
    assert_eq!(fresh(&records, &other).await.len(), 3);
}

async fn a_retry_waits_for_its_time(records: Arc<dyn RecordsForTests>) {
    let id = take_in_distinct(&records, 3).await;
    let claims = claim_fresh(&records, &id, START).await;
    let put_back =
        claims.iter().zip([500, 200, 900]).map(|(claim, wait)| settlement(claim, Outcome::Retry(at(wait))));
    assert_eq!(settle(&records, put_back, START).await.won, [true; 3]);
    assert_eq!(fresh(&records, &id).await, [], "what was put back is not fresh");
    assert_eq!(records.due(None, at(100), 10).await.unwrap(), (vec![], Some(at(200))));
    let images: Vec<_> = claims.iter().map(|claim| claim.image.clone()).collect();
    assert_eq!(records.claim(&images, Lease::from(at(100)), at(100)).await.unwrap(), []);
    let (due, next) = records.due(None, at(500), 10).await.unwrap();
    let due: Vec<_> = due.into_iter().map(|candidate| candidate.image).collect();
    assert_eq!((due, next), (vec![images[1].clone(), images[0].clone()], Some(at(900))));
    let again = records.claim(&images, Lease::from(at(500)), at(500)).await.unwrap();
    assert_eq!(again.iter().map(|claim| claim.attempt).collect::<Vec<_>>(), [2, 2]);
    let told = audit(&records, &id).await;
    assert_eq!((told.pending, told.processing), (1, 2));
}

async fn giving_back_returns_the_attempt(records: Arc<dyn RecordsForTests>) {
    let id = take_in_distinct(&records, 1).await;
    for _ in 0..3 {
        let mut claims = claim_fresh(&records, &id, START).await;
        claims.extend(claim_due(&records, &id, START).await);
        assert_eq!(claims[0].attempt, 1);
        assert_eq!(settle(&records, [settlement(&claims[0], Outcome::GivenBack)], START).await.won, [true]);
    }
    let (due, _) = records.due(None, START, 10).await.unwrap();
    assert_eq!((due.len(), due[0].attempts), (1, 0));
    // Of the attempts before it none is given back.
    let claims = claim_due(&records, &id, START).await;
    records.reap(Void::All, ATTEMPTS, START).await.unwrap();
    settle(&records, [settlement(&claims[0], Outcome::GivenBack)], START).await;
    let claims = claim_due(&records, &id, START).await;
    assert_eq!(claims[0].attempt, 2);
    settle(&records, [settlement(&claims[0], Outcome::GivenBack)], START).await;
    assert_eq!(claim_due(&records, &id, START).await[0].attempt, 2);
}

async fn what_is_put_off_waits_without_an_attempt(records: Arc<dyn RecordsForTests>) {
    let id = take_in_distinct(&records, 3).await;
    let images = fresh(&records, &id).await;
    records.claim(&images[..1], Lease::from(START), START).await.unwrap();
    records.defer(&images[..2], at(300), START).await.unwrap();
    assert_eq!(fresh(&records, &id).await, &images[2..]);
    assert_eq!(records.due(None, at(299), 10).await.unwrap(), (vec![], Some(at(300))));
    assert_eq!(records.claim(&images[..2], Lease::from(at(1)), at(1)).await.unwrap(), []);
    let claims = claim_due(&records, &id, at(300)).await;
    assert_eq!(
        claims.iter().map(|claim| (&claim.image, claim.attempt)).collect::<Vec<_>>(),
        [(&images[1], 1)]
    );
    audit(&records, &id).await;
}

async fn what_is_due_is_told_by_request(records: Arc<dyn RecordsForTests>) {
    let mut ids = Vec::new();
    for wait in [100, 50, 20] {
        let id = take_in_distinct(&records, 4).await;
        let claims = claim_fresh(&records, &id, START).await;
        let put_back = claims.iter().map(|claim| settlement(claim, Outcome::Retry(at(wait))));
        settle(&records, put_back, START).await;
        ids.push(id);
    }
    records.cancel(&ids[2], START).await.unwrap();
    let (due, next) = records.due(Some(&ids[0]), at(60), 10).await.unwrap();
    assert_eq!((due.len(), next), (0, Some(at(100))));
    let (due, next) = records.due(None, at(60), 10).await.unwrap();
    assert!(due.iter().all(|candidate| candidate.request == ids[1]), "{due:?}");
    assert_eq!((due.len(), next), (4, Some(at(100))));
    assert_eq!(records.due(None, at(100), 6).await.unwrap().0.len(), 6);
    assert_eq!(records.due(Some(&RequestId::new()), at(100), 6).await.unwrap(), (vec![], None));
}

async fn a_renewed_lease_holds(records: Arc<dyn RecordsForTests>) {
    let id = take_in_distinct(&records, 2).await;
    let claims = claim_fresh(&records, &id, START).await;
    let later = START + LEASE;
    let stranger = Lease::from(START).token;
    let held = [(claims[0].image.clone(), claims[0].token), (claims[1].image.clone(), stranger)];
    records.renew(&held, later + LEASE, later).await.unwrap();
    assert_eq!(records.reap(Void::Expired, ATTEMPTS, later).await.unwrap(), 1);
    let won = settle(&records, claims.iter().map(completed), later).await.won;
    assert_eq!(won, [true, false]);
    audit(&records, &id).await;
}

async fn a_candidate_tells_its_round_and_attempts(records: Arc<dyn RecordsForTests>) {
    let told = |candidate: &Candidate| {
        assert_eq!(candidate.tenant, "default", "whoever feeds is told whose it is");
        (candidate.round, candidate.attempts)
    };
    let id = take_in_distinct(&records, 1).await;
    assert_eq!(told(&records.fresh(&id, None, 1).await.unwrap()[0]), (1, 0));
    let claims = claim_fresh(&records, &id, START).await;
    settle(&records, [settlement(&claims[0], Outcome::Retry(START))], START).await;
    assert_eq!(told(&records.due(None, START, 1).await.unwrap().0[0]), (1, 1));
    let claims = claim_due(&records, &id, START).await;
    settle(&records, [failed(&claims[0])], START).await;
    records.retry(&id, START).await.unwrap();
    assert_eq!(told(&records.due(Some(&id), START, 1).await.unwrap().0[0]), (2, 0));
}

async fn how_images_stand_is_told_in_order(records: Arc<dyn RecordsForTests>) {
    let id = take_in_distinct(&records, 6).await;
    let images = fresh(&records, &id).await;
    let claims = records.claim(&images[..4], Lease::from(START), START).await.unwrap();
    let failure = Failure { code: Code::FetchStatus, message: "the server answered 404".into() };
    let settlements =
        [completed(&claims[0]), failed(&claims[1]), settlement(&claims[2], Outcome::Retry(at(500)))];
    settle(&records, settlements, START).await;
    let mut asked: Vec<_> = images.iter().rev().cloned().collect();
    asked.push(ImageId::from("no image"));
    let told = records.standings(&asked, START).await.unwrap();
    let candidate = |number: usize, attempts| Candidate {
        image: images[number].clone(),
        request: id.clone(),
        input: url(number),
        round: 1,
        attempts,
        tenant: String::new(),
    };
    let Standing::Claimable(fresh, from) = &told[0] else { panic!("{:?}", told[0]) };
    assert_eq!((fresh, *from <= START), (&candidate(5, 0), true));
    assert_eq!(told[2], Standing::Held);
    assert_eq!(told[3], Standing::Claimable(candidate(2, 1), at(500)));
    assert_eq!(told[4..6], [Standing::Failed(failure), Standing::Completed(output(&claims[0]))]);
    assert_eq!(told[6], Standing::Unknown);
    records.cancel_halfway(&id).await;
    let told = records.standings(&images, START).await.unwrap();
    assert_eq!(told[0], Standing::Completed(output(&claims[0])));
    assert_eq!(
        told[2..],
        [Standing::Cancelled, Standing::Cancelled, Standing::Cancelled, Standing::Cancelled]
    );
}

async fn images_that_nobody_may_see_are_unknown(records: Arc<dyn RecordsForTests>) {
    let known = take_in_inputs(&records, &[&["http://h/a.jpg", "http://h/a.jpg"]]).await;
    let lead = fresh(&records, &known).await.remove(0);
    assert!(matches!(records.standings(&[lead], START).await.unwrap()[..], [Standing::Claimable(..)]));
    let new = new_request();
    records.begin(new.clone(), START).await.unwrap();
    let strange = [ImageId::from(""), ImageId::from(new.id.as_str()), ImageId::from(known.as_str())];
    assert_eq!(records.standings(&strange, START).await.unwrap(), [const { Standing::Unknown }; 3]);
    assert_eq!(records.standings(&[], START).await.unwrap(), []);
}

async fn one_process_leads_until_its_lease_runs_out(records: Arc<dyn RecordsForTests>) {
    let (first, second) = (Lease::from(START), Lease::from(START));
    let lead = async |lease: Lease, now| records.lead(Right::Feeding, lease, now).await.unwrap();
    assert!(lead(first, START).await);
    assert!(!lead(second, at(1)).await);
    let renewed = Lease { until: first.until + LEASE, ..first };
    assert!(lead(renewed, at(20_000)).await);
    assert!(!lead(Lease { until: first.until + LEASE, ..second }, first.until).await);
    let taken = Lease { until: renewed.until + LEASE, ..second };
    assert!(lead(taken, renewed.until).await, "what ran out can be taken");
    assert!(!lead(Lease { until: taken.until, ..first }, renewed.until).await);
    assert!(lead(Lease { until: renewed.until, ..second }, renewed.until).await, "it is given back");
    assert!(lead(Lease { until: taken.until, ..first }, renewed.until).await);
    assert!(records.lead(Right::Upkeep, second, START).await.unwrap(), "one right is not another");
}
