//! Random operations, against the engine's rules applied to one image after another: so statements of records that decide
//! for many images at once are compared with what decides.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use pixmill_engine::model::transition::{ImageState, Rescue};
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
    state: ImageState,
}

/// A request whose every change is decided by the engine's own rules, one image after another.
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
        let images = inputs.iter().enumerate().map(|(number, input)| {
            let lead = inputs[..number].iter().position(|earlier| earlier == input);
            Image { id: None, lead, state: ImageState::new(lead.is_some()) }
        });
        let mut model = Model {
            images: images.collect(),
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
        let mut progress = Progress::default();
        self.images.iter().for_each(|image| progress.add(image.state.status));
        if self.status.is_over(&progress) {
            self.status = RequestStatus::Completed;
            self.events.push(self.round);
        }
    }

    /// Changes an image, and ends with it what follows it; whether a rule allowed it.
    fn change(&mut self, number: usize, after: Option<ImageState>) -> bool {
        let Some(after) = after else { return false };
        let before = self.images[number].state.status;
        assert!(before == after.status || before.may_become(after.status));
        self.images[number].state = after;
        for image in self.images.iter_mut().filter(|image| image.lead == Some(number)) {
            image.state = image.state.led(after.status).unwrap_or(image.state);
        }
        self.complete_if_over();
        true
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
                let off = model.images[number].state.deferred(model.status, until);
                model.change(number, off);
            }
        }
        Operation::Wait(milliseconds) => model.now = now + Duration::from_millis(milliseconds),
        Operation::Reap(all) => reap(records, model, all).await,
        Operation::Retry => {
            let retried = records.retry(id, now).await.unwrap();
            let mut expected = 0;
            for image in &mut model.images {
                if let Some(reopened) = image.state.reopened(model.status, now) {
                    image.state = reopened;
                    expected += 1;
                }
            }
            assert_eq!(retried, expected);
            if expected > 0 {
                model.round += 1;
                model.status = model.status.reopened();
            }
        }
        Operation::Cancel => {
            assert_eq!(records.cancel(id, now).await.unwrap(), model.status.is_open());
            if model.status.is_open() {
                model.status = RequestStatus::Cancelled;
                for image in &mut model.images {
                    image.state = image.state.cancelled().unwrap_or(image.state);
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
        let claimed = model.images[number].state.claimed(model.status, lease, model.now);
        if !model.change(number, claimed) {
            continue;
        }
        let image = &model.images[number];
        let claim = claims.next().expect("a claim was refused");
        assert_eq!((Some(&claim.image), claim.attempt), (image.id.as_ref(), image.state.attempts));
        model.status = model.status.begun();
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
    let settled = settle(records, batch.clone(), model.now).await;
    for ((&which, settlement), won) in which.iter().zip(&batch).zip(settled.won) {
        let number = model.claims[which].0;
        let state = model.images[number].state;
        let after = state.settled(model.status, settlement.token, &settlement.outcome, model.now);
        assert_eq!(won, model.change(number, after));
    }
    assert_eq!(settled.completed.len(), model.events.len() - events);
}

async fn reap(records: &Arc<dyn RecordsForTests>, model: &mut Model, all: bool) {
    let (void, now) = (if all { Void::All } else { Void::Expired }, model.now);
    let reaped = records.reap(void, FEW, now).await.unwrap();
    let mut expected = 0;
    for number in 0..model.images.len() {
        let rescue = model.images[number].state.rescued(model.status, void, FEW, now);
        expected += u64::from(rescue.is_some());
        let after = rescue.map(|rescue| match rescue {
            Rescue::PutBack(state) | Rescue::Exhausted(state, _) => state,
        });
        model.change(number, after);
    }
    assert_eq!(reaped, expected);
}

/// Compares all that records tell with the model.
async fn compare(records: &Arc<dyn RecordsForTests>, id: &RequestId, model: &Model) {
    audit(records, id).await;
    let expected: Vec<_> = model.images.iter().map(|image| image.state.status).collect();
    assert_eq!(statuses(records, id).await, expected);
    let told = records.request(id).await.unwrap().unwrap();
    assert_eq!((told.status, told.round), (model.status, model.round));
    let events = records.completions(id).await.unwrap();
    assert_eq!(events.iter().map(|event| event.round).collect::<Vec<_>>(), model.events);
    let images = model.images.iter();
    let fed = images.clone().filter(|image| image.state.is_fresh(model.status));
    assert_eq!(fresh(records, id).await, fed.filter_map(|image| image.id.clone()).collect::<Vec<_>>());
    let back = images.filter_map(|image| Some((image.state.comes_back(model.status)?, image)));
    let (reached, later): (Vec<_>, Vec<_>) = back.partition(|(due, _)| *due <= model.now);
    let mut expected: Vec<_> = reached
        .into_iter()
        .filter_map(|(_, image)| Some((image.id.clone()?, image.state.attempts)))
        .collect();
    let (due, next) = records.due(None, model.now, 1_000).await.unwrap();
    let mut due: Vec<_> = due.into_iter().map(|candidate| (candidate.image, candidate.attempts)).collect();
    due.sort();
    expected.sort();
    assert_eq!(due, expected);
    assert_eq!(next, later.into_iter().map(|(due, _)| due).min());
}
