//! Random operations, against a model that is simple enough to be right.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use pixmill_engine::model::lease::Token;
use pixmill_engine::port::records::Void;

use super::*;

/// Operations in a run.
const OPERATIONS: std::ops::Range<usize> = 10..80;

/// Attempts that are allowed here: few, so that they run out.
const FEW: u32 = 3;

#[derive(Debug, Clone)]
enum Operation {
    Claim { first: usize, count: usize },
    Settle { first: usize, count: usize, how: u8 },
    SettleLate { which: usize, how: u8 },
    Defer { first: usize, wait: u64 },
    Wait(u64),
    Reap(bool),
    Retry,
    Cancel,
    Reconcile,
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        8 => (0..20usize, 1..6usize).prop_map(|(first, count)| Operation::Claim { first, count }),
        8 => (0..20usize, 1..6usize, 0..4u8).prop_map(|(first, count, how)| Operation::Settle { first, count, how }),
        3 => (0..20usize, 0..4u8).prop_map(|(which, how)| Operation::SettleLate { which, how }),
        1 => (0..20usize, 1..50u64).prop_map(|(first, wait)| Operation::Defer { first, wait }),
        3 => (1..100_000u64).prop_map(Operation::Wait),
        2 => any::<bool>().prop_map(Operation::Reap),
        2 => Just(Operation::Retry),
        1 => Just(Operation::Cancel),
        1 => Just(Operation::Reconcile),
    ]
}

pub(super) async fn suite<M, F>(make: &M)
where
    M: Fn() -> F,
    F: Future<Output = Arc<dyn RecordsForTests>>,
{
    // The same runs each time: what fails here fails again.
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[42; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let inputs = prop::collection::vec(0..12usize, 0..16);
    let run = (inputs, prop::collection::vec(operation(), OPERATIONS));
    let runs = make().await.random_runs();
    for number in 0..runs {
        let (inputs, operations) = run.new_tree(&mut runner).unwrap().current();
        eprintln!("run {number}: {inputs:?} {operations:?}");
        run_against_model(make().await, &inputs, &operations).await;
    }
}

#[derive(Debug, Clone, PartialEq)]
struct Image {
    id: Option<ImageId>,
    lead: Option<usize>,
    status: ImageStatus,
    attempts: u32,
    due: Option<Timestamp>,
    lease: Option<(Token, Timestamp)>,
}

struct Model {
    images: Vec<Image>,
    status: RequestStatus,
    round: u32,
    events: Vec<u32>,
    /// Every claim ever made.
    claims: Vec<(usize, Claim)>,
    now: Timestamp,
}

impl Model {
    fn new(inputs: &[usize]) -> Self {
        let images: Vec<_> = inputs
            .iter()
            .enumerate()
            .map(|(number, input)| Image {
                id: None,
                lead: inputs[..number].iter().position(|earlier| earlier == input),
                status: ImageStatus::Pending,
                attempts: 0,
                due: None,
                lease: None,
            })
            .collect();
        let mut model = Model {
            images,
            status: RequestStatus::Pending,
            round: 1,
            events: Vec::new(),
            claims: Vec::new(),
            now: START,
        };
        model.complete_if_over();
        model
    }

    fn leads(&self) -> Vec<usize> {
        (0..self.images.len()).filter(|&number| self.images[number].lead.is_none()).collect()
    }

    fn complete_if_over(&mut self) {
        if self.status.is_open() && self.images.iter().all(|image| image.status.is_end()) {
            self.status = RequestStatus::Completed;
            self.events.push(self.round);
        }
    }

    fn may_be_claimed(&self, number: usize) -> bool {
        let image = &self.images[number];
        self.status.is_open()
            && image.status == ImageStatus::Pending
            && image.due.is_none_or(|due| due <= self.now)
    }

    fn end(&mut self, lead: usize, status: ImageStatus) {
        for number in 0..self.images.len() {
            let image = &mut self.images[number];
            if number == lead || (image.lead == Some(lead) && image.status == ImageStatus::Pending) {
                assert!(image.status.may_become(status));
                image.status = status;
                (image.lease, image.due) = (None, None);
            }
        }
        self.complete_if_over();
    }

    fn put_back(&mut self, number: usize, due: Timestamp) -> &mut Image {
        let image = &mut self.images[number];
        assert!(image.status.may_become(ImageStatus::Pending));
        (image.status, image.lease, image.due) = (ImageStatus::Pending, None, Some(due));
        image
    }
}

async fn run_against_model(records: Arc<dyn RecordsForTests>, inputs: &[usize], operations: &[Operation]) {
    let fingerprint = Fingerprint::new();
    // Two images a row, so that rows and images are numbered apart.
    let rows = inputs.chunks(2).enumerate().map(|(number, inputs)| {
        let inputs: Vec<_> = inputs.iter().map(|input| url(*input)).collect();
        row(number, &inputs.iter().map(String::as_str).collect::<Vec<_>>(), &fingerprint)
    });
    let id = take_in(&records, rows.collect()).await;
    let mut model = Model::new(inputs);
    for (number, image) in model.leads().into_iter().zip(fresh(&records, &id).await) {
        model.images[number].id = Some(image);
    }
    compare(&records, &id, &model).await;
    for operation in operations {
        apply(&records, &id, &mut model, operation).await;
        compare(&records, &id, &model).await;
    }
}

async fn apply(records: &Arc<dyn RecordsForTests>, id: &RequestId, model: &mut Model, operation: &Operation) {
    let now = model.now;
    match *operation {
        Operation::Claim { first, count } => claim(records, model, first, count).await,
        Operation::Settle { first, count, how } => {
            let held: Vec<_> = (0..model.claims.len()).rev().skip(first).take(count).collect();
            settle_some(records, model, &held, how).await;
        }
        Operation::SettleLate { which, how } if which < model.claims.len() => {
            settle_some(records, model, &[which], how).await;
        }
        Operation::SettleLate { .. } => {}
        Operation::Defer { first, wait } => {
            let until = now + Duration::from_millis(wait);
            let leads: Vec<_> = model.leads().into_iter().skip(first).take(3).collect();
            let images: Vec<_> = leads.iter().filter_map(|&number| model.images[number].id.clone()).collect();
            records.defer(&images, until, model.now).await.unwrap();
            for number in leads {
                if model.status.is_open() && model.images[number].status == ImageStatus::Pending {
                    model.images[number].due = Some(until);
                }
            }
        }
        Operation::Wait(milliseconds) => model.now = now + Duration::from_millis(milliseconds),
        Operation::Reap(all) => reap(records, model, all).await,
        Operation::Retry => {
            let retried = records.retry(id, now).await.unwrap();
            let cancelled = model.status == RequestStatus::Cancelled;
            let mut expected = 0;
            for image in &mut model.images {
                if image.status == ImageStatus::Failed
                    || (cancelled && image.status == ImageStatus::Cancelled)
                {
                    expected += 1;
                    (image.status, image.attempts) = (ImageStatus::Pending, 0);
                    image.due = image.lead.is_none().then_some(now);
                }
            }
            assert_eq!(retried, expected);
            if expected > 0 {
                model.round += 1;
                if !model.status.is_open() {
                    model.status = RequestStatus::Pending;
                }
            }
        }
        Operation::Cancel => {
            assert_eq!(records.cancel(id, now).await.unwrap(), model.status.is_open());
            if model.status.is_open() {
                model.status = RequestStatus::Cancelled;
                for image in model.images.iter_mut().filter(|image| !image.status.is_end()) {
                    (image.status, image.lease, image.due) = (ImageStatus::Cancelled, None, None);
                }
            }
        }
        Operation::Reconcile => assert_eq!(records.reconcile(now).await.unwrap(), 0),
    }
}

async fn claim(records: &Arc<dyn RecordsForTests>, model: &mut Model, first: usize, count: usize) {
    let leads: Vec<_> = model.leads().into_iter().skip(first).take(count).collect();
    let images: Vec<_> = leads.iter().filter_map(|&number| model.images[number].id.clone()).collect();
    let lease = Lease::from(model.now);
    let mut claims = records.claim(&images, lease, model.now).await.unwrap().into_iter();
    for number in leads {
        if !model.may_be_claimed(number) {
            continue;
        }
        let image = &mut model.images[number];
        let claim = claims.next().expect("a claim was refused");
        image.attempts += 1;
        assert_eq!((Some(&claim.image), claim.attempt), (image.id.as_ref(), image.attempts));
        (image.status, image.lease, image.due) =
            (ImageStatus::Processing, Some((lease.token, lease.until)), None);
        model.status = RequestStatus::Processing;
        model.claims.push((number, claim));
    }
    assert_eq!(claims.next(), None, "what can't be claimed was");
}

async fn settle_some(records: &Arc<dyn RecordsForTests>, model: &mut Model, which: &[usize], how: u8) {
    let due = model.now + Duration::from_millis(10);
    let batch: Vec<_> = which
        .iter()
        .map(|&which| {
            let claim = &model.claims[which].1;
            match how {
                0 => completed(claim),
                1 => failed(claim),
                2 => settlement(claim, Outcome::Retry(due)),
                _ => settlement(claim, Outcome::GivenBack),
            }
        })
        .collect();
    let events = model.events.len();
    let settled = settle(records, batch, model.now).await;
    for (&which, won) in which.iter().zip(settled.won) {
        let (number, claim) = model.claims[which].clone();
        let holds = model.images[number].lease.is_some_and(|(token, _)| token == claim.token);
        assert_eq!(won, holds && model.status.is_open());
        if !won {
            continue;
        }
        match how {
            0 => model.end(number, ImageStatus::Completed),
            1 => model.end(number, ImageStatus::Failed),
            2 => _ = model.put_back(number, due),
            _ => {
                let now = model.now;
                model.put_back(number, now).attempts -= 1;
            }
        }
    }
    assert_eq!(settled.completed.len(), model.events.len() - events);
}

async fn reap(records: &Arc<dyn RecordsForTests>, model: &mut Model, all: bool) {
    let (void, now) = (if all { Void::All } else { Void::Expired }, model.now);
    let reaped = records.reap(void, FEW, now).await.unwrap();
    let mut expected = 0;
    for number in 0..model.images.len() {
        let image = &model.images[number];
        if image.lease.is_some_and(|(_, until)| all || until <= now) {
            expected += 1;
            if image.attempts >= FEW {
                model.end(number, ImageStatus::Failed);
            } else {
                model.put_back(number, now);
            }
        }
    }
    assert_eq!(reaped, expected);
}

/// Compares all that records tell with the model.
async fn compare(records: &Arc<dyn RecordsForTests>, id: &RequestId, model: &Model) {
    audit(records, id).await;
    let expected: Vec<_> = model.images.iter().map(|image| image.status).collect();
    assert_eq!(statuses(records, id).await, expected);
    let told = records.request(id).await.unwrap().unwrap();
    assert_eq!((told.status, told.round), (model.status, model.round));
    let events = records.completions(id).await.unwrap();
    assert_eq!(events.iter().map(|event| event.round).collect::<Vec<_>>(), model.events);
    let waits =
        |number: &&usize| model.status.is_open() && model.images[**number].status == ImageStatus::Pending;
    let leads = model.leads();
    let expected: Vec<_> = leads
        .iter()
        .filter(waits)
        .filter(|&&number| model.images[number].due.is_none())
        .map(|&number| model.images[number].id.clone().unwrap())
        .collect();
    assert_eq!(fresh(records, id).await, expected);
    let mut expected: Vec<_> = leads
        .iter()
        .filter(waits)
        .filter(|&&number| model.images[number].due.is_some_and(|due| due <= model.now))
        .map(|&number| (model.images[number].id.clone().unwrap(), model.images[number].attempts))
        .collect();
    let (due, next) = records.due(None, model.now, 1_000).await.unwrap();
    let mut due: Vec<_> = due.into_iter().map(|candidate| (candidate.image, candidate.attempts)).collect();
    due.sort();
    expected.sort();
    assert_eq!(due, expected);
    let later = leads.iter().filter(waits).filter_map(|&number| model.images[number].due);
    assert_eq!(next, later.filter(|due| *due > model.now).min());
}
