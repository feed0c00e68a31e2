//! A request with all that belongs to it.

use std::collections::BTreeMap;

use pixmill_engine::fault::Fault;
use pixmill_engine::model::event::{Completion, Delivery};
use pixmill_engine::model::id::ImageId;
use pixmill_engine::model::image::{Candidate, Failure, ImageStatus, ImageView, Outcome, Output, Standing};
use pixmill_engine::model::lease::Token;
use pixmill_engine::model::request::{NewRequest, Options, Progress, Request, RequestStatus, change_time};
use pixmill_engine::model::row::{RowError, Slot};
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::model::transition::ImageState;
use uuid::Uuid;

use super::Wrong;

/// A request.
#[derive(Debug, Clone)]
pub struct Entry {
    /// As it is told.
    pub request: Request,
    /// Its place in the order in which requests were opened.
    pub(super) order: i64,
    /// Made by another program, and fed by pixmill all the same.
    pub(super) adopted: bool,
    pub(super) retired: bool,
    /// Its deletion was begun, with its outputs or without.
    pub(super) deletion: Option<bool>,
    /// A newer pixmill wrote something in it that this one can't read.
    pub(super) garbled: bool,
    pub(super) rows: Vec<Row>,
    /// Its images, in the order of the catalogue.
    pub images: Vec<Image>,
    pub(super) row_errors: Vec<RowError>,
    /// Its completions, oldest first.
    pub events: Vec<Event>,
    pub(super) deliveries: Vec<Delivery>,
    /// Pieces of the catalogue as it came.
    pub(super) originals: BTreeMap<u32, Vec<u8>>,
}

#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) cells: String,
    pub(super) error: Option<String>,
    pub(super) first: usize,
    pub(super) images: usize,
}

/// An image.
#[derive(Debug, Clone)]
pub struct Image {
    /// What rules ask of it.
    pub state: ImageState,
    /// The one that it follows, by its number.
    pub lead: Option<usize>,
    pub(super) row: u64,
    pub(super) position: u32,
    /// The URL or path.
    pub input: String,
    pub(super) fingerprint: i64,
    /// Its output, when completed.
    pub output: Option<Output>,
    /// Why it failed, when it did.
    pub failure: Option<Failure>,
    /// When it ended.
    pub ended: Option<Timestamp>,
}

/// A completion on its way to a webhook.
#[derive(Debug, Clone)]
pub struct Event {
    /// What is told.
    pub completion: Completion,
    /// How its request stood in the write that completed it.
    pub progress: Progress,
    /// When it is told next; none once it has been told or given up.
    pub due: Option<Timestamp>,
    /// Whoever tells it.
    pub lease: Option<Token>,
    /// Tries in vain.
    pub tries: u32,
}

impl Image {
    /// It has ended so.
    pub(super) fn end(&mut self, state: ImageState, ending: Ending<'_>, at: Timestamp) {
        self.state = state;
        self.ended = Some(at);
        (self.output, self.failure) = match ending {
            Ending::Output(output) => (Some(output.clone()), None),
            Ending::Failure(failure) => (None, Some(failure.clone())),
            Ending::Cancelled => (None, None),
        };
    }

    /// It is worked again.
    pub(super) fn open(&mut self, state: ImageState) {
        self.state = state;
        (self.output, self.failure, self.ended) = (None, None, None);
    }

    pub(super) fn slot(&self, request: RequestStatus) -> Slot {
        Slot {
            status: request.shows(self.state.status),
            output: self.output.clone(),
            failure: self.failure.clone(),
        }
    }
}

/// How an image ends.
#[derive(Clone, Copy)]
pub(super) enum Ending<'e> {
    Output(&'e Output),
    Failure(&'e Failure),
    Cancelled,
}

impl<'e> Ending<'e> {
    pub(super) fn of(outcome: &'e Outcome) -> Option<Self> {
        match outcome {
            Outcome::Completed(output) => Some(Ending::Output(output)),
            Outcome::Failed(failure) => Some(Ending::Failure(failure)),
            Outcome::Retry(_) | Outcome::GivenBack => None,
        }
    }
}

impl Entry {
    pub(super) fn new(new: NewRequest, now: Timestamp) -> Self {
        let Options { recipe, webhook } = Options::default();
        Entry {
            request: Request {
                id: new.id,
                tenant: new.tenant,
                foreign: false,
                status: RequestStatus::Receiving,
                round: 1,
                recipe,
                header: new.header,
                catalogue: new.catalogue,
                webhook,
                traceparent: new.traceparent,
                digest: String::new(),
                reading: String::new(),
                rows: 0,
                row_errors: 0,
                created: now,
                updated: now,
                completed: None,
            },
            order: 0,
            adopted: false,
            retired: false,
            deletion: None,
            garbled: false,
            rows: Vec::new(),
            images: Vec::new(),
            row_errors: Vec::new(),
            events: Vec::new(),
            deliveries: Vec::new(),
            originals: BTreeMap::new(),
        }
    }

    /// Where it stands.
    pub fn status(&self) -> RequestStatus {
        self.request.status
    }

    /// Whether it can only be deleted.
    pub fn is_retired(&self) -> bool {
        self.retired || self.deletion.is_some()
    }

    /// Whether somebody has asked for it to be deleted.
    pub fn is_being_deleted(&self) -> bool {
        self.deletion.is_some()
    }

    pub(super) fn is_accepted(&self) -> bool {
        self.status() != RequestStatus::Receiving
    }

    /// Its images, counted.
    pub fn progress(&self) -> Progress {
        let mut progress = Progress::default();
        for image in &self.images {
            progress.add(image.state.status);
            let output = image.output.as_ref();
            progress.bytes_before += output.map_or(0, |output| output.bytes_before);
            progress.bytes_after += output.map_or(0, |output| output.bytes_after);
        }
        progress
    }

    /// Something of it changes now.
    pub(super) fn touch(&mut self, now: Timestamp) -> Timestamp {
        self.request.updated = change_time(self.request.updated, now);
        self.request.updated
    }

    /// Ends an image, and what follows it with it.
    pub(super) fn end(
        &mut self,
        number: usize,
        state: ImageState,
        ending: Ending<'_>,
        at: Timestamp,
        wrong: Option<Wrong>,
    ) {
        self.images[number].end(state, ending, at);
        if wrong == Some(Wrong::FollowersLeftBehind) {
            return;
        }
        for image in self.images.iter_mut().filter(|image| image.lead == Some(number)) {
            if let Some(led) = image.state.led(state.status) {
                image.end(led, ending, at);
            }
        }
    }

    /// Completes it, event and all, when its last image has ended; whether it did.
    pub(super) fn complete_if_over(&mut self, now: Timestamp, wrong: Option<Wrong>) -> bool {
        let progress = self.progress();
        let one_left = progress.pending + progress.processing == 1 && self.status().is_open();
        let early = one_left && wrong == Some(Wrong::CompletionEarly);
        if !early && !self.status().is_over(&progress) {
            return false;
        }
        self.request.status = RequestStatus::Completed;
        self.request.completed = Some(now);
        if wrong == Some(Wrong::EventLost) {
            return true;
        }
        let completion = Completion {
            id: Uuid::now_v7().to_string(),
            request: self.request.id.clone(),
            round: self.request.round,
            at: now,
        };
        self.events.push(Event { completion, progress, due: Some(now), lease: None, tries: 0 });
        true
    }

    /// Opens it again, in a new round.
    pub(super) fn next_round(&mut self, order: i64) {
        self.request.round += 1;
        self.request.completed = None;
        self.request.status = self.status().reopened();
        self.order = order;
    }

    pub(super) fn id_of(&self, number: usize) -> ImageId {
        super::image_id(&self.request.id, number)
    }

    pub(super) fn candidate(&self, number: usize) -> Candidate {
        let image = &self.images[number];
        Candidate {
            image: self.id_of(number),
            request: self.request.id.clone(),
            input: image.input.clone(),
            round: self.request.round,
            attempts: image.state.attempts,
            tenant: self.request.tenant.clone(),
        }
    }

    pub(super) fn standing(&self, number: usize) -> Standing {
        let image = &self.images[number];
        let held = image.state.follows || image.state.status == ImageStatus::Processing;
        let due = image.state.due.unwrap_or_default();
        let candidate = || Candidate { tenant: String::new(), ..self.candidate(number) };
        image.slot(self.status()).standing(held, || Standing::Claimable(candidate(), due))
    }

    pub(super) fn view(&self, number: usize) -> ImageView {
        let image = &self.images[number];
        ImageView {
            image: self.id_of(number),
            row: image.row,
            position: image.position,
            input: image.input.clone(),
            attempts: image.state.attempts,
            ended: image.ended,
            slot: image.slot(self.status()),
        }
    }

    pub(super) fn readable(&self) -> Result<Request, Fault> {
        use pixmill_engine::code::Code;
        use pixmill_engine::fault::Blame;
        if !self.garbled {
            return Ok(self.request.clone());
        }
        let message = format!("what is kept of request {} can't be read", self.request.id);
        Err(Fault::permanent(Code::RecipeInvalid, message).of(Blame::Request))
    }
}
