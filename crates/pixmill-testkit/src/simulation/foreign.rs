//! Another program that shares records and queue: it writes requests of its own, adds jobs for them before or after, ends
//! images itself, adds more of them late, and deletes what it made, without asking anybody.

use std::sync::Arc;
use std::time::Duration;

use pixmill_engine::code::Code;
use pixmill_engine::model::id::{ImageId, RequestId};
use pixmill_engine::model::image::{Failure, Output};

use super::checker::FOREIGN;
use super::clients::address;
use super::window::Waiting;
use super::world::{Chance, World};
use crate::clock::BEGINNING;
use crate::memory::{Store, image_id, lock};

/// Requests that it makes at most.
const REQUESTS: usize = 4;

/// The program.
pub(super) struct App {
    chance: Chance,
    requests: Vec<RequestId>,
    /// Documents that follow their jobs.
    late: Vec<(Duration, RequestId, Vec<String>)>,
}

impl App {
    /// In some games there is one.
    pub(super) fn of(seed: u64) -> Option<Self> {
        let mut chance = Chance::new(seed.rotate_left(17) ^ 0xF0E1);
        chance.comes(350).then(|| App { chance, requests: Vec::new(), late: Vec::new() })
    }

    /// It may do something now; `shared` where there is a queue that it can add jobs to.
    pub(super) fn meddle(&mut self, world: &Arc<World>, now: Duration, shared: bool) {
        self.write_late(world, now);
        match self.chance.below(300) {
            0..=5 if self.requests.len() < REQUESTS => self.make(world, now, shared),
            6..=11 => self.end_one(world, now),
            12 | 13 => self.grow(world, now, shared),
            14 => self.remove(world, now),
            15 | 16 if shared => self.add_stray_job(world, now),
            _ => {}
        }
    }

    /// What it began it ends: documents that are still to come are written.
    pub(super) fn finish(&mut self, world: &Arc<World>, now: Duration) {
        self.late.iter_mut().for_each(|(at, ..)| *at = now);
        self.write_late(world, now);
    }

    fn inputs(&mut self) -> Vec<String> {
        (0..1 + self.chance.below(4)).map(|_| address(&mut self.chance)).collect()
    }

    fn make(&mut self, world: &Arc<World>, now: Duration, shared: bool) {
        let (id, inputs) = (RequestId::from(format!("app-{}", self.requests.len())), self.inputs());
        self.requests.push(id.clone());
        if shared && self.chance.comes(800) {
            add_jobs(world, &id, 0..inputs.len(), now);
        }
        let wait = if self.chance.comes(400) { self.chance.millis(1, 9_000) } else { Duration::ZERO };
        self.late.push((now + wait, id, inputs));
        self.write_late(world, now);
    }

    fn write_late(&mut self, world: &Arc<World>, now: Duration) {
        let (due, late): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.late).into_iter().partition(|(at, ..)| *at <= now);
        self.late = late;
        for (_, id, inputs) in due {
            write(world, now, &format!("makes request {id}: {inputs:?}"), |store| {
                store.foreign_request(&id, &inputs, BEGINNING + now);
            });
        }
    }

    /// One of its requests, with how many images it has.
    fn any(&mut self, world: &Arc<World>) -> Option<(RequestId, usize)> {
        let id = self.requests.get(self.chance.below(self.requests.len() as u64) as usize)?;
        let store = lock(&world.store);
        store.find(id).map(|entry| (id.clone(), entry.images.len()))
    }

    fn end_one(&mut self, world: &Arc<World>, now: Duration) {
        let Some((id, images)) = self.any(world) else { return };
        let image = image_id(&id, self.chance.below(images as u64) as usize);
        let end = if self.chance.comes(700) {
            let location = format!("elsewhere/{image}.jpg");
            world.state().outputs.insert(location.clone(), 1);
            Ok(Output { location, bytes_before: 2, bytes_after: 1, frames: 1 })
        } else {
            let message = "another worker gave it up".to_owned();
            Err(Failure { code: Code::ImageCorrupt, message })
        };
        write(world, now, &format!("ends {image}: {end:?}"), |store| {
            store.foreign_end(&image, end, BEGINNING + now);
        });
    }

    fn grow(&mut self, world: &Arc<World>, now: Duration, shared: bool) {
        let Some((id, images)) = self.any(world) else { return };
        let inputs = self.inputs();
        if shared {
            add_jobs(world, &id, images..images + inputs.len(), now);
        }
        write(world, now, &format!("adds {inputs:?} to {id}"), |store| {
            store.foreign_images(&id, &inputs, BEGINNING + now);
        });
    }

    fn remove(&mut self, world: &Arc<World>, now: Duration) {
        let Some((id, _)) = self.any(world) else { return };
        write(world, now, &format!("deletes {id}"), |store| store.foreign_removal(&id));
    }

    /// A job about an image that is nowhere, or is not of the request that it names.
    fn add_stray_job(&mut self, world: &Arc<World>, now: Duration) {
        let known = self.any(world).filter(|_| self.chance.comes(500));
        let image = known.map_or_else(|| ImageId::from("nowhere/00000000"), |(id, _)| image_id(&id, 0));
        add_job(world, format!("stray-{}", now.as_millis()), image, &RequestId::from("nobody"), now);
    }
}

/// Does what no pixmill does, and has it looked at as a call is.
fn write(world: &Arc<World>, now: Duration, what: &str, work: impl FnOnce(&mut Store)) {
    let mut store = lock(&world.store);
    work(&mut store);
    let mut state = world.state();
    state.say(now, "app", || what.to_owned());
    let outputs = std::mem::take(&mut state.outputs);
    let looked = state.checker.look(FOREIGN, &store, now, &outputs);
    state.outputs = outputs;
    if let Err(broken) = looked {
        state.break_off(format!("{broken} (after an app {what})"));
    }
}

fn add_jobs(world: &Arc<World>, request: &RequestId, numbers: std::ops::Range<usize>, now: Duration) {
    for number in numbers {
        let image = image_id(request, number);
        add_job(world, format!("app:{image}"), image, request, now);
    }
}

fn add_job(world: &Arc<World>, id: String, image: ImageId, request: &RequestId, now: Duration) {
    world.state().say(now, "app", || format!("adds job {id}"));
    let job = Waiting {
        id: id.into(),
        image,
        request: request.clone(),
        candidate: None,
        added: Some(BEGINNING + now),
    };
    world.window.lock().expect("nobody panics").add_foreign(job);
}
