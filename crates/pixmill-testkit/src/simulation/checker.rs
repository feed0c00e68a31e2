//! What must hold whatever happens, looked at after each change in records.

use std::collections::BTreeMap;
use std::time::Duration;

use pixmill_engine::code::Code;
use pixmill_engine::model::event::Telling;
use pixmill_engine::model::id::{ImageId, RequestId};
use pixmill_engine::model::image::{ImageStatus, Outcome, Settlement};
use pixmill_engine::model::lease::{Lease, Token};
use pixmill_engine::model::request::RequestStatus;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::model::transition::ImageState;

use crate::clock::BEGINNING;
use crate::memory::{Entry, Store, image_id};

/// Most attempts at an image.
pub(super) const ATTEMPTS: u32 = 4;

/// How long a lease holds.
pub(super) const LEASE: Duration = Duration::from_secs(10);

/// What is known of records as they were.
#[derive(Debug, Default)]
pub(super) struct Checker {
    requests: BTreeMap<RequestId, Known>,
    rights: BTreeMap<String, Lease>,
    /// Of the ends about to be written, whose token holds.
    holds: BTreeMap<ImageId, Option<Outcome>>,
    /// Of the event about to be written down, whether its teller still has it.
    tells: Option<(String, bool)>,
    /// Until then a process may have been kept from renewing its leases.
    pub(super) disturbed: Duration,
}

#[derive(Debug, Clone)]
struct Known {
    foreign: bool,
    status: RequestStatus,
    round: u32,
    updated: Timestamp,
    images: Vec<Seen>,
    events: Vec<SeenEvent>,
}

#[derive(Debug, Clone, PartialEq)]
struct SeenEvent {
    id: String,
    round: u32,
    due: Option<Timestamp>,
    tries: u32,
    lease: Option<Token>,
}

#[derive(Debug, Clone)]
struct Seen {
    state: ImageState,
    /// When it was claimed, or its lease renewed.
    held: Duration,
    /// Its worker stood before the claim reached records, so that little was left of its lease.
    came_late: bool,
    /// Claims in this round that were not given back.
    claims: u32,
}

type Broken = String;

/// What another program writes is checked like a call, and may do what no call may.
pub(super) const FOREIGN: &str = "foreign";

macro_rules! hold {
    ($holds:expr, $($what:tt)*) => {
        if !$holds {
            return Err(format!($($what)*));
        }
    };
}

impl Checker {
    pub(super) fn settling(&mut self, batch: &[Settlement], store: &Store) {
        self.holds.clear();
        for settlement in batch {
            let image = store.entries.iter().find_map(|entry| {
                let number = (0..entry.images.len())
                    .find(|number| image_id(&entry.request.id, *number) == settlement.image)?;
                Some((entry.status(), entry.images[number].state))
            });
            let holds = image.is_some_and(|(request, state)| {
                let token = state.lease.map(|lease| lease.token);
                request.is_open()
                    && state.status == ImageStatus::Processing
                    && token == Some(settlement.token)
            });
            self.holds.insert(settlement.image.clone(), holds.then(|| settlement.outcome.clone()));
        }
    }

    pub(super) fn settled(&self, batch: &[Settlement], won: &[bool]) -> Result<(), Broken> {
        for (settlement, won) in batch.iter().zip(won) {
            let holds = self.holds.get(&settlement.image).is_some_and(Option::is_some);
            let image = &settlement.image;
            hold!(
                *won == holds,
                "of image {image} an end is said to be written: {won}; its token holds: {holds}"
            );
        }
        Ok(())
    }

    pub(super) fn telling(&mut self, telling: &Telling, store: &Store) {
        let mut events = store.entries.iter().flat_map(|entry| &entry.events);
        let event = events.find(|event| event.completion.id == telling.event.id);
        let holds = event.is_some_and(|event| event.lease == Some(telling.token));
        self.tells = Some((telling.event.id.clone(), holds));
    }

    /// Compares records with what they were; says what changed.
    pub(super) fn look(
        &mut self,
        call: &str,
        store: &Store,
        now: Duration,
        outputs: &BTreeMap<String, usize>,
    ) -> Result<Vec<String>, Broken> {
        let mut changes = Vec::new();
        self.rights(store, now)?;
        self.vanished(call, store)?;
        for entry in store.entries.iter().filter(|entry| entry.status() != RequestStatus::Receiving) {
            let known = self.requests.get(&entry.request.id);
            if known.is_some_and(|known| known.updated == entry.request.updated && known.is_same(entry)) {
                continue;
            }
            let known = known.cloned().unwrap_or_else(|| Known::new(entry));
            let after = self.compare(call, &known, entry, now, outputs, &mut changes)?;
            consistent(entry)?;
            self.requests.insert(entry.request.id.clone(), after);
        }
        if call == "settle" {
            self.holds.clear();
        }
        self.tells = None;
        Ok(changes)
    }

    fn rights(&mut self, store: &Store, now: Duration) -> Result<(), Broken> {
        for (name, lease) in store.rights() {
            let before = self.rights.insert(name.to_owned(), lease);
            let taken = before.filter(|before| before.token != lease.token);
            let free = taken.is_none_or(|before| before.until <= BEGINNING + now);
            hold!(free, "the right of {name} is somebody's, and somebody else has it");
        }
        Ok(())
    }

    fn vanished(&mut self, call: &str, store: &Store) -> Result<(), Broken> {
        if call == FOREIGN {
            self.requests.retain(|id, known| !known.foreign || store.find(id).is_some());
        }
        if call == "delete" {
            let gone = |id: &RequestId| store.find(id).is_none();
            for (id, known) in self.requests.iter().filter(|(id, _)| gone(id)) {
                hold!(!known.status.is_open(), "request {id} was deleted while it was open");
                hold!(!known.foreign, "request {id} was deleted, and is another program's");
            }
            self.requests.retain(|id, _| store.find(id).is_some());
        }
        let lost = self.requests.keys().find(|id| store.find(id).is_none());
        hold!(lost.is_none(), "request {lost:?} was accepted and is gone");
        Ok(())
    }

    fn compare(
        &self,
        call: &str,
        known: &Known,
        entry: &Entry,
        now: Duration,
        outputs: &BTreeMap<String, usize>,
        changes: &mut Vec<String>,
    ) -> Result<Known, Broken> {
        let id = &entry.request.id;
        hold!(entry.request.updated >= known.updated, "request {id} was changed before its last change");
        let status = (known.status, entry.status());
        hold!(
            status.0 == status.1 || status.0.may_become(status.1),
            "request {id} went from {:?} to {:?}",
            status.0,
            status.1
        );
        if status.0 != status.1 {
            changes.push(format!("request {id} is {:?}, round {}", status.1, entry.request.round));
        }
        let opened = entry.request.round > known.round;
        hold!(
            opened || status.0.is_open() || status.0 == status.1,
            "request {id} was opened again in the same round"
        );
        let mut after = Known::new(entry);
        for (number, image) in entry.images.iter().enumerate() {
            // Another program may add some of its own.
            let Some(seen) = known.images.get(number) else { continue };
            let image_id = image_id(id, number);
            let mut now_seen = Seen { state: image.state, ..seen.clone() };
            self.step(call, &image_id, seen, &mut now_seen, opened, now)?;
            if seen.state != image.state {
                changes.push(format!("{image_id} {:?}", image.state));
            }
            if image.state.status == ImageStatus::Completed && seen.state.status != ImageStatus::Completed {
                let location =
                    image.output.as_ref().map(|output| output.location.as_str()).unwrap_or_default();
                let there = outputs.contains_key(location) || entry.is_retired();
                hold!(there, "image {image_id} is completed, and its output {location} is not there");
            }
            // What followed one that was exhausted stays so when its lead is corrected to another address.
            let exhausted =
                image.failure.as_ref().is_some_and(|failure| failure.code == Code::AttemptsExhausted);
            hold!(
                !exhausted
                    || seen.state.status == ImageStatus::Failed
                    || image.state.follows
                    || image.state.attempts >= ATTEMPTS,
                "image {image_id} is exhausted by {} attempts",
                image.state.attempts
            );
            after.images[number] = now_seen;
        }
        self.events(id, &known.events, &after.events)?;
        Ok(after)
    }

    fn step(
        &self,
        call: &str,
        image: &ImageId,
        seen: &Seen,
        now_seen: &mut Seen,
        opened: bool,
        now: Duration,
    ) -> Result<(), Broken> {
        use ImageStatus::{Completed, Failed, Pending, Processing};
        let (before, after) = (seen.state, now_seen.state);
        let from_end = before.status.is_end() && before.status != after.status;
        hold!(
            before.status == after.status || before.status.may_become(after.status),
            "image {image} went from {:?} to {:?}",
            before.status,
            after.status
        );
        hold!(!from_end || opened, "image {image} ended and is {:?} again", after.status);
        hold!(
            before.status != Completed || after.status == Completed,
            "image {image} was completed and is opened"
        );
        match (before.status, after.status) {
            (Pending, Processing) => {
                let due = before.due.is_none_or(|due| due <= BEGINNING + now);
                hold!(due, "image {image} is claimed before its time");
                hold!(after.attempts == before.attempts + 1, "a claim of image {image} counts no attempt");
                (now_seen.held, now_seen.claims) = (now, seen.claims + 1);
                let until = after.lease.map(|lease| lease.until).unwrap_or_default();
                now_seen.came_late = until < BEGINNING + now + LEASE / 2;
            }
            (Processing, Processing) => {
                let same = before.lease.map(|lease| lease.token) == after.lease.map(|lease| lease.token);
                hold!(same, "image {image} is claimed while somebody holds it");
                if before.lease != after.lease {
                    now_seen.held = now;
                }
            }
            (Processing, Pending | Failed) if call == "reap" => {
                let held = now.saturating_sub(seen.held);
                let ran_out = before.lease.is_some_and(|lease| lease.until <= BEGINNING + now);
                hold!(ran_out, "the lease of image {image} was voided before it ran out");
                hold!(
                    held >= LEASE / 2 || seen.came_late,
                    "the lease of image {image} was voided after {held:?}"
                );
                let quiet = now.saturating_sub(self.disturbed);
                hold!(
                    quiet < 2 * LEASE,
                    "the lease of image {image} ran out, and nothing kept its worker from renewing it"
                );
                hold!(
                    before.attempts == after.attempts,
                    "image {image} was rescued and counts another attempt"
                );
            }
            (Processing, _) if call == "settle" => {
                let outcome = self.holds.get(image).and_then(Option::as_ref);
                hold!(outcome.is_some(), "image {image} ended under a token that is not its own");
                if outcome == Some(&Outcome::GivenBack) {
                    now_seen.claims = seen.claims.saturating_sub(1);
                }
            }
            (Processing, Pending) => return Err(format!("image {image} was put back by {call}")),
            _ => {}
        }
        if from_end && after.status == Pending {
            now_seen.claims = 0;
        }
        let (claims, attempts) = (now_seen.claims, after.attempts);
        hold!(
            claims == attempts,
            "image {image} was claimed {claims} times, and {attempts} attempts are counted"
        );
        hold!(attempts <= ATTEMPTS, "image {image} was attempted {attempts} times of {ATTEMPTS}");
        Ok(())
    }

    fn events(&self, id: &RequestId, before: &[SeenEvent], after: &[SeenEvent]) -> Result<(), Broken> {
        hold!(after.len() >= before.len(), "an event of request {id} is gone");
        for (before, after) in before.iter().zip(after) {
            hold!(
                before.id == after.id && before.round == after.round,
                "an event of request {id} is another"
            );
            let tried = self.tells.as_ref().filter(|(event, _)| *event == before.id);
            let by_stranger = tried.is_some_and(|(_, holds)| !holds) && before != after;
            hold!(!by_stranger, "who no longer tells event {} says what comes next", before.id);
        }
        Ok(())
    }
}

impl Known {
    fn new(entry: &Entry) -> Self {
        let images = entry.images.iter().map(|image| Seen {
            state: image.state,
            held: Duration::ZERO,
            came_late: false,
            claims: 0,
        });
        Known {
            foreign: entry.request.foreign,
            status: entry.status(),
            round: entry.request.round,
            updated: entry.request.updated,
            images: images.collect(),
            events: seen_events(entry),
        }
    }

    fn is_same(&self, entry: &Entry) -> bool {
        let images = self.images.iter().zip(&entry.images);
        self.status == entry.status()
            && self.images.len() == entry.images.len()
            && images.into_iter().all(|(seen, image)| seen.state == image.state)
            && self.events == seen_events(entry)
    }
}

fn seen_events(entry: &Entry) -> Vec<SeenEvent> {
    let seen = entry.events.iter().map(|event| SeenEvent {
        id: event.completion.id.clone(),
        round: event.completion.round,
        due: event.due,
        tries: event.tries,
        lease: event.lease,
    });
    seen.collect()
}

/// What must hold of a request by itself.
fn consistent(entry: &Entry) -> Result<(), Broken> {
    let (id, progress) = (&entry.request.id, entry.progress());
    let all = entry.images.len() as u64;
    hold!(progress.total() == all, "the progress of request {id} is not its images: {progress:?}");
    let completed = entry.status() == RequestStatus::Completed;
    // What another program writes of its requests is seen by the next round of upkeep.
    let foreign = entry.request.foreign;
    let over = progress.is_complete();
    hold!(
        over || foreign || entry.status().is_open(),
        "request {id} is {:?}, and not all its images have ended",
        entry.status()
    );
    hold!(
        !over || foreign || !entry.status().is_open(),
        "all images of request {id} have ended, and it is open"
    );
    let of_round = |round| entry.events.iter().filter(|event| event.completion.round == round).count();
    let told = of_round(entry.request.round);
    hold!(
        told == usize::from(completed),
        "request {id} has {told} events in its round, completed: {completed}"
    );
    hold!(
        entry.events.iter().all(|event| of_round(event.completion.round) == 1),
        "a round of {id} has two events"
    );
    for (number, image) in entry.images.iter().enumerate() {
        let Some(lead) = image.lead.map(|lead| &entry.images[lead]) else { continue };
        let (ended, followed) = (lead.state.status.is_end(), image.state.status.is_end());
        hold!(ended == followed, "image {number} of {id} does not end with the one that it follows");
        if lead.state.status == ImageStatus::Completed {
            hold!(lead.output == image.output, "image {number} of {id} has another output than its lead");
        }
    }
    Ok(())
}
