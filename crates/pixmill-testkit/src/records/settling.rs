//! Promises of settling: one end each, one completion each round.

use std::sync::atomic::{AtomicBool, Ordering};

use pixmill_engine::model::row::Slot;
use pixmill_engine::port::records::Void;

use super::*;

pub(super) async fn suite<M, F>(make: &M)
where
    M: Fn() -> F,
    F: Future<Output = Arc<dyn RecordsForTests>>,
{
    ends_are_read_back(make().await).await;
    ends_absorb(make().await).await;
    a_late_writer_whose_token_is_old_loses(make().await).await;
    an_image_that_is_not_claimed_does_not_end(make().await).await;
    each_image_ends_once_among_many_settlers(make().await).await;
    the_last_end_completes_with_one_event(make().await).await;
    a_request_whose_images_all_failed_completes(make().await).await;
    equal_inputs_end_with_the_first(make().await).await;
    one_batch_settles_many_requests(make().await).await;
    progress_always_sums_to_the_total(make().await).await;
    failures_are_grouped_by_code(make().await).await;
    frames_that_are_lost_are_told_and_counted(make().await).await;
}

async fn ends_are_read_back(records: Arc<dyn RecordsForTests>) {
    let id = take_in_distinct(&records, 4).await;
    let claims = claim_fresh(&records, &id, START).await;
    let batch = [completed(&claims[0]), failed(&claims[1]), settlement(&claims[2], Outcome::Retry(at(9)))];
    assert_eq!(settle(&records, batch, START).await, Settled { won: vec![true; 3], completed: vec![] });
    let slots: Vec<_> = results(&records, &id).await.into_iter().flat_map(|row| row.slots).collect();
    let none = Slot { status: ImageStatus::Pending, output: None, failure: None };
    let failure = Failure { code: Code::FetchStatus, message: "the server answered 404".into() };
    assert_eq!(
        slots,
        [
            Slot { status: ImageStatus::Completed, output: Some(output(&claims[0])), failure: None },
            Slot { status: ImageStatus::Failed, output: None, failure: Some(failure) },
            none.clone(),
            Slot { status: ImageStatus::Processing, ..none },
        ]
    );
    let told = audit(&records, &id).await;
    let expected = Progress {
        pending: 1,
        processing: 1,
        completed: 1,
        failed: 1,
        cancelled: 0,
        bytes_before: 1000,
        bytes_after: 300,
    };
    assert_eq!(told, expected);
}

async fn ends_absorb(records: Arc<dyn RecordsForTests>) {
    let id = take_in_distinct(&records, 2).await;
    let claims = claim_fresh(&records, &id, START).await;
    settle(&records, [completed(&claims[0])], START).await;
    let before = results(&records, &id).await;
    let late = [
        failed(&claims[0]),
        completed(&claims[0]),
        settlement(&claims[0], Outcome::Retry(START)),
        settlement(&claims[0], Outcome::GivenBack),
    ];
    assert_eq!(settle(&records, late, START).await.won, [false; 4]);
    assert_eq!(results(&records, &id).await, before);
    assert_eq!(records.reap(Void::All, ATTEMPTS, START).await.unwrap(), 1);
    assert_eq!(results(&records, &id).await[0], before[0]);
    audit(&records, &id).await;
}

async fn a_late_writer_whose_token_is_old_loses(records: Arc<dyn RecordsForTests>) {
    let id = take_in_distinct(&records, 1).await;
    let late = claim_fresh(&records, &id, START).await;
    records.reap(Void::All, ATTEMPTS, START).await.unwrap();
    let lone = settle(&records, [completed(&late[0])], START).await;
    assert_eq!(lone, Settled { won: vec![false], completed: vec![] });
    let now = claim_due(&records, &id, START).await;
    let all = [
        completed(&late[0]),
        failed(&late[0]),
        settlement(&late[0], Outcome::Retry(START)),
        settlement(&late[0], Outcome::GivenBack),
    ];
    for outcome in all {
        assert_eq!(settle(&records, [outcome], START).await.won, [false]);
    }
    let won = settle(&records, [completed(&now[0])], START).await;
    assert_eq!(won, Settled { won: vec![true], completed: vec![id.clone()] });
    audit(&records, &id).await;
}

async fn an_image_that_is_not_claimed_does_not_end(records: Arc<dyn RecordsForTests>) {
    let id = take_in_distinct(&records, 1).await;
    let lease = Lease::from(START);
    for image in [fresh(&records, &id).await.remove(0), RequestId::new().as_str().into(), "x".into()] {
        let settlement = Settlement { image, token: lease.token, outcome: Outcome::GivenBack };
        assert_eq!(settle(&records, [settlement], START).await.won, [false]);
    }
    assert_eq!(fresh(&records, &id).await.len(), 1);
    audit(&records, &id).await;
}

async fn each_image_ends_once_among_many_settlers(records: Arc<dyn RecordsForTests>) {
    const IMAGES: usize = 60;
    const SETTLERS: usize = 8;
    let id = take_in_distinct(&records, IMAGES).await;
    let claims = claim_fresh(&records, &id, START).await;
    let settlers = (0..SETTLERS).map(|settler| {
        let (records, claims) = (records.clone(), claims.clone());
        tokio::spawn(async move {
            let (mut wins, mut completions) = (0, 0);
            for some in claims.chunks(settler + 1) {
                let batch = some.iter().map(if settler % 2 == 0 { completed } else { failed });
                let settled = settle(&records, batch, at(settler as u64)).await;
                wins += settled.won.into_iter().filter(|won| *won).count();
                completions += settled.completed.len();
            }
            (wins, completions)
        })
    });
    let (mut wins, mut completions) = (0, 0);
    for settler in settlers.collect::<Vec<_>>() {
        let (won, completed) = settler.await.unwrap();
        wins += won;
        completions += completed;
    }
    assert_eq!((wins, completions), (IMAGES, 1));
    let told = audit(&records, &id).await;
    assert_eq!(told.completed + told.failed, IMAGES as u64);
}

async fn the_last_end_completes_with_one_event(records: Arc<dyn RecordsForTests>) {
    let id = take_in_distinct(&records, 3).await;
    let claims = claim_fresh(&records, &id, START).await;
    for (number, claim) in claims.iter().enumerate() {
        assert_eq!(status(&records, &id).await, RequestStatus::Processing);
        assert_eq!(records.completions(&id).await.unwrap(), []);
        let settled = settle(&records, [completed(claim)], at(number as u64)).await;
        assert_eq!(settled.completed.len(), usize::from(number == 2));
    }
    let events = records.completions(&id).await.unwrap();
    assert_eq!((events.len(), events[0].at, events[0].round), (1, at(2), 1));
    assert_eq!(status(&records, &id).await, RequestStatus::Completed);
    assert_eq!(records.reconcile(at(3)).await.unwrap(), 0);
    audit(&records, &id).await;
}

async fn a_request_whose_images_all_failed_completes(records: Arc<dyn RecordsForTests>) {
    let id = take_in_distinct(&records, 5).await;
    let claims = claim_fresh(&records, &id, START).await;
    assert_eq!(settle(&records, claims.iter().map(failed), START).await.completed, std::slice::from_ref(&id));
    assert_eq!(audit(&records, &id).await.failed, 5);
}

async fn equal_inputs_end_with_the_first(records: Arc<dyn RecordsForTests>) {
    let (a, b) = ("http://h/a.jpg", "http://h/b.jpg");
    let id = take_in_inputs(&records, &[&[a, b, a], &[b, "http://h/c.jpg"], &[a]]).await;
    let claims = claim_fresh(&records, &id, START).await;
    assert_eq!(claims.len(), 3);
    let settled = settle(&records, [completed(&claims[0]), failed(&claims[1])], START).await;
    assert_eq!(settled, Settled { won: vec![true, true], completed: vec![] });
    let told = audit(&records, &id).await;
    let expected = Progress {
        pending: 0,
        processing: 1,
        completed: 3,
        failed: 2,
        cancelled: 0,
        bytes_before: 3000,
        bytes_after: 900,
    };
    assert_eq!(told, expected);
    settle(&records, [completed(&claims[2])], START).await;
    let slots: Vec<_> = results(&records, &id).await.into_iter().map(|row| row.slots).collect();
    for (row, position) in [(0, 2), (2, 0)] {
        assert_eq!(slots[row][position], slots[0][0]);
    }
    assert_eq!(slots[1][0], slots[0][1]);
    assert_eq!(status(&records, &id).await, RequestStatus::Completed);
    audit(&records, &id).await;
}

async fn one_batch_settles_many_requests(records: Arc<dyn RecordsForTests>) {
    let mut ids = Vec::new();
    let mut claims = Vec::new();
    for _ in 0..4 {
        let id = take_in_distinct(&records, 3).await;
        claims.push(claim_fresh(&records, &id, START).await);
        ids.push(id);
    }
    let mixed: Vec<_> =
        (0..3).flat_map(|image| claims.iter().map(move |claims| completed(&claims[image]))).collect();
    let mut settled = settle(&records, mixed, START).await;
    settled.completed.sort();
    assert_eq!(settled, Settled { won: vec![true; 12], completed: ids.clone() });
    for id in &ids {
        audit(&records, id).await;
    }
}

async fn progress_always_sums_to_the_total(records: Arc<dyn RecordsForTests>) {
    const IMAGES: u64 = 240;
    let fingerprint = Fingerprint::new();
    let rows = (0..IMAGES as usize).map(|number| row(number, &[&url(number / 2)], &fingerprint));
    let id = take_in(&records, rows.collect()).await;
    let over = Arc::new(AtomicBool::new(false));
    let reader = {
        let (records, id, over) = (records.clone(), id.clone(), over.clone());
        tokio::spawn(async move {
            let (mut ended, mut snapshots) = (0, 0);
            while !over.load(Ordering::Relaxed) {
                let told = records.progress(&id).await.unwrap();
                assert_eq!(told.total(), IMAGES, "{told:?}");
                assert!(told.ended() >= ended, "progress fell: {told:?}");
                ended = told.ended();
                snapshots += 1;
                tokio::task::yield_now().await;
            }
            snapshots
        })
    };
    let mut round = 0;
    loop {
        let mut claims = claim_fresh(&records, &id, START).await;
        claims.extend(claim_due(&records, &id, START).await);
        if claims.is_empty() {
            break;
        }
        for (number, some) in claims.chunks(5).enumerate() {
            let outcome = |claim: &Claim| match (number + round) % 4 {
                0 => settlement(claim, Outcome::Retry(START)),
                1 => failed(claim),
                2 => settlement(claim, Outcome::GivenBack),
                _ => completed(claim),
            };
            settle(&records, some.iter().map(outcome), START).await;
        }
        round += 1;
    }
    over.store(true, Ordering::Relaxed);
    assert!(reader.await.unwrap() > 0);
    assert_eq!(audit(&records, &id).await.ended(), IMAGES);
}

async fn failures_are_grouped_by_code(records: Arc<dyn RecordsForTests>) {
    let id = take_in_distinct(&records, 6).await;
    let claims = claim_fresh(&records, &id, START).await;
    let codes = [Code::FetchDns, Code::FetchStatus, Code::FetchStatus, Code::ImageEmpty, Code::FetchStatus];
    let batch = claims.iter().zip(codes).map(|(claim, code)| {
        let message = format!("message {}", claim.row);
        settlement(claim, Outcome::Failed(Failure { code, message }))
    });
    settle(&records, batch.collect::<Vec<_>>().into_iter().rev(), START).await;
    let told: Vec<_> = records
        .failures(&id)
        .await
        .unwrap()
        .into_iter()
        .map(|group| (group.code, group.images, group.example, group.message))
        .collect();
    assert_eq!(told[0], (Code::FetchStatus, 3, url(1), "message 1".to_owned()));
    assert_eq!(told.len(), 3);
    assert!(told.contains(&(Code::FetchDns, 1, url(0), "message 0".to_owned())));
    assert!(told.contains(&(Code::ImageEmpty, 1, url(3), "message 3".to_owned())));
}

async fn frames_that_are_lost_are_told_and_counted(records: Arc<dyn RecordsForTests>) {
    let id = take_in_inputs(&records, &[&["http://h/a.gif"], &["http://h/b.jpg"], &["http://h/a.gif"]]).await;
    let other = take_in_distinct(&records, 1).await;
    assert_eq!(records.noted(&id).await.unwrap(), 0);
    let claims = claim_fresh(&records, &id, START).await;
    let animated = Output { frames: 6, ..output(&claims[0]) };
    let batch = [settlement(&claims[0], Outcome::Completed(animated)), completed(&claims[1])];
    settle(&records, batch, START).await;
    let slots = results(&records, &id).await.into_iter().flat_map(|row| row.slots);
    let frames: Vec<_> = slots.map(|slot| slot.output.map(|output| output.frames)).collect();
    assert_eq!(frames, [Some(6), Some(1), Some(6)]);
    assert_eq!(records.noted(&id).await.unwrap(), 2, "what follows it counts too");
    assert_eq!(records.noted(&other).await.unwrap(), 0);
}
