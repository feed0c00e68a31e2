//! Many at the same images, through connections of their own, as processes are.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use mongodb::event::EventHandler;
use mongodb::event::command::CommandEvent;
use pixmill_engine::code::Code;
use pixmill_engine::model::id::ImageId;
use pixmill_engine::model::image::{Claim, Failure};
use pixmill_engine::model::request::NewRequest;
use pixmill_engine::model::row::{NewImage, NewRow};
use pixmill_engine::port::records::{Intake, IntakeEnd};

use super::super::GATHER;
use super::*;

/// Takes in a request with so many images, no two the same.
async fn take_in(records: &Mongodb, images: usize) -> RequestId {
    let id = RequestId::new();
    let new = NewRequest {
        id: id.clone(),
        tenant: "default".to_owned(),
        header: String::new(),
        catalogue: String::new(),
        traceparent: None,
    };
    let rows = (0..images).map(|number| NewRow {
        cells: String::new(),
        name: String::new(),
        images: vec![NewImage { input: format!("http://h/{number}.jpg"), fingerprint: number as i64 }],
        error: None,
    });
    records.begin(new, START).await.unwrap();
    records.append(&id, rows.collect(), START).await.unwrap();
    let end = IntakeEnd {
        options: Default::default(),
        digest: String::new(),
        reading: String::new(),
        rows: images as u64,
        row_errors: vec![],
        row_errors_total: 0,
    };
    records.open(&id, end, START).await.unwrap();
    id
}

async fn fresh(records: &Mongodb, request: &RequestId) -> Vec<ImageId> {
    let mut all: Vec<ImageId> = Vec::new();
    loop {
        let fresh = records.fresh(request, all.last(), 10_000).await.unwrap();
        if fresh.is_empty() {
            return all;
        }
        all.extend(fresh.into_iter().map(|candidate| candidate.image));
    }
}

fn end(claim: &Claim, completes: bool) -> Settlement {
    let outcome = if completes {
        Outcome::Completed(Output { location: "out.jpg".into(), bytes_before: 3, bytes_after: 2, frames: 1 })
    } else {
        Outcome::Failed(Failure { code: Code::FetchDns, message: "no such host".into() })
    };
    Settlement { image: claim.image.clone(), token: claim.token, outcome }
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_claim_the_same_images_share_them() {
    const IMAGES: usize = 60;
    let address = services::mongodb::database().await;
    let first = Arc::new(connect(&address).await);
    let id = take_in(&first, IMAGES).await;
    let images = fresh(&first, &id).await;
    let mut workers = Vec::new();
    for _ in 0..3 {
        let records = Arc::new(connect(&address).await);
        for _ in 0..3 {
            let (records, images) = (records.clone(), images.clone());
            workers.push(tokio::spawn(async move {
                let (mut worked, mut completed) = (Vec::new(), 0);
                for some in images.chunks(7) {
                    let claims = records.claim(some, Lease::from(START), START).await.unwrap();
                    let ends = claims.iter().map(|claim| end(claim, true)).collect();
                    let settled = records.settle(ends, START).await.unwrap();
                    assert!(settled.won.iter().all(|won| *won));
                    completed += settled.completed.len();
                    worked.extend(claims.into_iter().map(|claim| claim.image));
                }
                (worked, completed)
            }));
        }
    }
    let (mut worked, mut completed) = (Vec::new(), 0);
    for worker in workers {
        let (images, completions) = worker.await.unwrap();
        worked.extend(images);
        completed += completions;
    }
    assert_eq!(worked.len(), IMAGES);
    assert_eq!(worked.into_iter().collect::<HashSet<_>>(), images.into_iter().collect());
    // Each process knows of its own ends alone, so the last one may be found out by a look a moment later, or by upkeep.
    first.reconcile(START).await.unwrap();
    assert!(completed <= 1);
    assert_eq!(first.completions(&id).await.unwrap().len(), 1);
    assert_eq!(first.count(&id).await.completed, IMAGES as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_writers_one_ends_an_image_and_one_completes_its_request() {
    const IMAGES: usize = 40;
    let address = services::mongodb::database().await;
    let first = Arc::new(connect(&address).await);
    let id = take_in(&first, IMAGES).await;
    let claims = first.claim(&fresh(&first, &id).await, Lease::from(START), START).await.unwrap();
    let mut writers = Vec::new();
    for number in 0..4 {
        let (records, claims) = (connect(&address).await, claims.clone());
        writers.push(tokio::spawn(async move {
            let mut won = 0;
            for some in claims.chunks(number + 3) {
                let ends = some.iter().map(|claim| end(claim, number % 2 == 0)).collect();
                let settled = records.settle(ends, START).await.unwrap();
                won += settled.won.into_iter().filter(|won| *won).count();
            }
            records.reconcile(START).await.unwrap();
            won
        }));
    }
    let mut won = 0;
    for writer in writers {
        won += writer.await.unwrap();
    }
    assert_eq!(won, IMAGES);
    first.reconcile(START).await.unwrap();
    assert_eq!(first.completions(&id).await.unwrap().len(), 1);
    assert_eq!(first.count(&id).await.ended(), IMAGES as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_watches_while_many_end_images_misses_no_end_and_sees_none_out_of_order() {
    const IMAGES: usize = 60;
    let address = services::mongodb::database().await;
    let watcher = connect(&address).await;
    let id = take_in(&watcher, IMAGES).await;
    let claims = watcher.claim(&fresh(&watcher, &id).await, Lease::from(START), START).await.unwrap();
    let mut writers = Vec::new();
    for share in claims.chunks(IMAGES / 3) {
        let (records, share) = (connect(&address).await, share.to_vec());
        writers.push(tokio::spawn(async move {
            for some in share.chunks(3) {
                let ends = some.iter().map(|claim| end(claim, true)).collect();
                records.settle(ends, START).await.unwrap();
            }
        }));
    }
    // One whose writing took long is given a later time, and seen again then: on a slow machine that happens.
    let (mut seen, mut moment) = (HashSet::new(), Moment { at: START, image: None });
    let watching = async {
        while seen.len() < IMAGES {
            for view in watcher.ended_since(&id, &moment, 4).await.unwrap() {
                let next = Moment { at: view.ended.unwrap(), image: Some(view.image.clone()) };
                assert!((moment.at, &moment.image) < (next.at, &next.image), "ends are told in order");
                moment = next;
                seen.insert(view.image);
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), watching).await.expect("an end was not told");
    assert_eq!(seen, claims.into_iter().map(|claim| claim.image).collect());
    for writer in writers {
        writer.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_costs_a_fifth_of_a_round_trip() {
    const IMAGES: usize = 1_000;
    const AT_ONCE: usize = 64;
    let commands = Arc::new(AtomicUsize::new(0));
    let counting = commands.clone();
    let mut options = ClientOptions::parse(services::mongodb::database().await).await.unwrap();
    options.command_event_handler = Some(EventHandler::callback(move |event| {
        if matches!(event, CommandEvent::Started(_)) {
            counting.fetch_add(1, Ordering::Relaxed);
        }
    }));
    let records = Arc::new(Mongodb::open(options, Settings::default(), GATHER, START).await.unwrap());
    let id = take_in(&records, IMAGES).await;
    let before = commands.load(Ordering::Relaxed);
    let images = Arc::new(std::sync::Mutex::new(fresh(&records, &id).await));
    let workers: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let (records, images) = (records.clone(), images.clone());
            tokio::spawn(async move {
                loop {
                    let Some(image) = images.lock().unwrap().pop() else { return };
                    let claims = records.claim(&[image], Lease::from(START), START).await.unwrap();
                    records.settle(vec![end(&claims[0], true)], START).await.unwrap();
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    let commands = commands.load(Ordering::Relaxed) - before;
    assert_eq!(records.completions(&id).await.unwrap().len(), 1);
    eprintln!("{commands} commands for {IMAGES} images");
    assert!(commands * 5 <= IMAGES, "{commands} commands for {IMAGES} images");
}
