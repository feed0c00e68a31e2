//! Plays a seed: who starts when, what breaks when, and whether all comes to its end.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::image::ImageStatus;
use pixmill_engine::model::request::RequestStatus;

use super::clients::{Wish, ask, catalogue, wish};
use super::foreign::App;
use super::process::{Kind, Process};
use super::world::{Chance, LEASE, World};
use crate::memory::{Wrong, lock};

/// How long everything may take to come to its end once faults have stopped.
const PATIENCE: Duration = Duration::from_secs(900);

/// What a seed came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Played {
    /// What processes did with the world: the same each time that a seed is played.
    pub steps: u64,
    /// How much time passed in it.
    pub time: Duration,
}

/// What does not hold, and how it came to that.
#[derive(Debug)]
pub struct Broken {
    /// The seed.
    pub seed: u64,
    /// What does not hold.
    pub what: String,
    /// What happened, line by line; empty unless it was traced.
    pub trace: Vec<String>,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.trace.iter().rev().take(200).rev() {
            writeln!(f, "{line}")?;
        }
        writeln!(f, "seed {}: {}", self.seed, self.what)?;
        write!(
            f,
            "play it again: PIXMILL_TEST_SIM_SEED={} cargo test -p pixmill-testkit --all-features --test standins simulation",
            self.seed
        )
    }
}

/// Plays a seed.
///
/// # Errors
/// What does not hold.
pub fn play(seed: u64, wrong: Option<Wrong>) -> Result<Played, Broken> {
    Game::new(seed, wrong, false).play()
}

/// Plays a seed, and writes down what happens.
///
/// # Errors
/// What does not hold, with its trace.
pub fn replay(seed: u64, wrong: Option<Wrong>) -> Result<Played, Broken> {
    Game::new(seed, wrong, true).play()
}

struct Game {
    seed: u64,
    world: Arc<World>,
    /// What is decided here, apart from what processes meet.
    chance: Chance,
    kind: Kind,
    processes: Vec<Process>,
    /// Whether each of them works.
    works: Vec<bool>,
    now: Duration,
    generation: u32,
    /// Another program that writes into the same records and queue, in some games.
    app: Option<App>,
}

impl Game {
    fn new(seed: u64, wrong: Option<Wrong>, traced: bool) -> Self {
        fastrand::seed(seed);
        let mut chance = Chance::new(!seed);
        let shared = chance.comes(500);
        let keep = chance.comes(200).then(|| chance.millis(20_000, 60_000));
        Game {
            seed,
            world: Arc::new(World::new(seed, wrong, traced)),
            kind: Kind { shared, keep },
            processes: Vec::new(),
            works: Vec::new(),
            now: Duration::ZERO,
            generation: 0,
            app: App::of(seed),
            chance,
        }
    }

    fn play(mut self) -> Result<Played, Broken> {
        let many = 1 + self.chance.below(4);
        for number in 0..many {
            let works = number == 0 || !self.kind.shared || self.chance.comes(700);
            self.works.push(works);
            let off = if self.chance.comes(300) { self.any_step() } else { 0 };
            let process = self.started(number as usize, off);
            self.processes.push(process);
        }
        let first = catalogue(&mut self.chance);
        ask(&self.processes[0], Wish::Upload(first));
        let chaos = self.chance.millis(20_000, 90_000);
        while self.now < chaos && self.is_whole() {
            self.disturb();
            let turn = self.chance.millis(5, 400);
            self.turn(turn);
        }
        self.calm_down();
        if self.chance.comes(100) {
            self.work_in_peace();
        }
        let until = self.now + PATIENCE;
        while self.now < until && self.is_whole() && !self.is_over() {
            self.turn(Duration::from_millis(500));
        }
        if self.is_whole() {
            self.look_at_the_end();
        }
        self.end()
    }

    fn started(&mut self, number: usize, off: i64) -> Process {
        self.generation += 1;
        let name = format!("p{number}.{}", self.generation);
        Process::start(&self.world, &name, self.kind, self.works[number], self.now, off)
    }

    fn is_whole(&self) -> bool {
        self.world.state().broken.is_none()
    }

    fn any_step(&mut self) -> i64 {
        let most = [900, 70_000, 7_200_000][self.chance.below(3) as usize];
        let step = self.chance.below(most) as i64;
        if self.chance.comes(500) { -step } else { step }
    }

    /// Lets time pass, processes in turns.
    fn turn(&mut self, turn: Duration) {
        self.now += turn;
        let first = self.chance.below(self.processes.len() as u64) as usize;
        for place in 0..self.processes.len() {
            let number = (first + place) % self.processes.len();
            self.processes[number].run_until(self.now);
            if let Some(with) = self.processes[number].ended_by_itself() {
                self.world.break_off(format!("a process ended by itself, with {with}"));
            }
        }
        let alive: Vec<_> =
            self.processes.iter().filter(|process| !process.is_over() && process.stands.is_none()).collect();
        let stands = |name: &str| !alive.iter().any(|process| &*process.here.name == name);
        let mut window = self.world.window.lock().expect("nobody panics");
        window.give_up(self.now, stands);
        window.come_back(self.now);
    }

    /// Something may happen now.
    fn disturb(&mut self) {
        self.world.state().checker.disturbed = self.now;
        if let Some(app) = &mut self.app {
            app.meddle(&self.world, self.now, self.kind.shared);
        }
        let number = self.chance.below(self.processes.len() as u64) as usize;
        if self.processes[number].is_over() {
            if self.chance.comes(150) {
                let off = self.processes[number].off();
                self.processes[number] = self.started(number, off);
            }
            return;
        }
        match self.chance.below(400) {
            0..=3 => self.processes[number].kill(),
            4 | 5 => self.processes[number].stop(),
            6 | 7 => {
                let until = self.now + self.chance.millis(1_000, 60_000);
                self.processes[number].say(&format!("stands until {until:?}"));
                self.processes[number].stands = Some(until);
            }
            8 | 9 => {
                let step = self.any_step();
                self.processes[number].step(step);
            }
            10..=13 => self.take_away(),
            14..=25 => {
                let requests = self.requests();
                let wish = wish(&mut self.chance, &requests);
                let few = requests.len() < 4 || !matches!(wish, Wish::Upload(_));
                if few {
                    ask(&self.processes[number], wish);
                }
            }
            _ => {}
        }
    }

    fn take_away(&mut self) {
        let long = if self.chance.comes(200) { 40_000 } else { 5_000 };
        let until = self.now + self.chance.millis(100, long);
        let which = self.chance.below(5);
        let mut state = self.world.state();
        let what = match which {
            0 => "records",
            1 => "storage",
            2 => "receiver",
            _ => "host",
        };
        state.say(self.now, "world", || format!("{what} {which} is away until {until:?}"));
        match which {
            0 => state.away.records = until,
            1 => state.away.storage = until,
            2 => state.away.receiver = until,
            host => _ = state.away.hosts.insert(format!("h{}.example", host - 3), until),
        }
    }

    fn requests(&self) -> Vec<RequestId> {
        let store = lock(&self.world.store);
        let accepted = store.entries.iter().filter(|entry| entry.status() != RequestStatus::Receiving);
        accepted.map(|entry| entry.request.id.clone()).collect()
    }

    /// No more faults: whoever is dead is started, whoever stands goes on.
    fn calm_down(&mut self) {
        {
            let mut state = self.world.state();
            state.chaos = false;
            state.say(self.now, "world", || "faults stop".to_owned());
        }
        if let Some(app) = &mut self.app {
            app.finish(&self.world, self.now);
        }
        for number in 0..self.processes.len() {
            self.processes[number].stands = self.processes[number].stands.map(|until| until.min(self.now));
        }
        self.start_ended();
    }

    /// Long after the last fault there is work that takes longer than a lease.
    fn work_in_peace(&mut self) {
        let until = self.now + 3 * LEASE;
        while self.now < until && self.is_whole() {
            self.turn(Duration::from_millis(500));
            self.start_ended();
        }
        let mut text = String::from("S. No.,Product Name,Input Image Urls\n");
        for row in 1..=4 {
            text.push_str(&format!("{row},product {row},http://h0.example/large-{row}.jpg\n"));
        }
        if let Some(process) = self.processes.iter().find(|process| !process.is_over()) {
            ask(process, Wish::Upload(text));
        }
        self.turn(Duration::from_secs(2));
    }

    /// One that was asked to end while there were faults is started again.
    fn start_ended(&mut self) {
        for number in 0..self.processes.len() {
            if self.processes[number].is_over() {
                self.world.state().checker.disturbed = self.now;
                let off = self.processes[number].off();
                self.processes[number] = self.started(number, off);
            }
        }
    }

    /// Whether there is nothing left to do.
    fn is_over(&mut self) -> bool {
        self.start_ended();
        if self.world.window.lock().expect("nobody panics").foreign_left().is_some() {
            return false;
        }
        let store = lock(&self.world.store);
        store.entries.iter().all(|entry| {
            !entry.status().is_open()
                && !entry.is_being_deleted()
                && entry.events.iter().all(|event| event.due.is_none() || event.tries > 0)
        })
    }

    fn look_at_the_end(&self) {
        if let Some(job) = self.world.window.lock().expect("nobody panics").foreign_left() {
            self.world.break_off(format!("job {job} of another program does not come to its end"));
        }
        let store = lock(&self.world.store);
        let mut state = self.world.state();
        for entry in &store.entries {
            let id = &entry.request.id;
            match entry.status() {
                // Upkeep gives up intakes after ten minutes.
                RequestStatus::Receiving => continue,
                status if status.is_open() => {
                    let progress = entry.progress();
                    state.break_off(format!("request {id} does not come to its end: {progress:?}"));
                }
                _ => {}
            }
            for event in &entry.events {
                let (told, event_id) = (event.due.is_none(), &event.completion.id);
                if told && !state.heard.contains(event_id) && event.tries < 8 {
                    state.break_off(format!("event {event_id} of {id} is told no more, and nobody heard it"));
                } else if !told && event.tries == 0 {
                    state.break_off(format!("event {event_id} of {id} is never told"));
                }
            }
            if entry.is_being_deleted() {
                state.break_off(format!("the deletion of {id} was begun, and nobody ends it"));
            }
            for image in entry.images.iter().filter(|_| !entry.is_retired()) {
                let output = image.output.as_ref().filter(|_| image.state.status == ImageStatus::Completed);
                let gone = output.filter(|output| !state.outputs.contains_key(&output.location));
                if let Some(output) = gone {
                    state.break_off(format!("output {} of {id} is gone", output.location));
                }
            }
        }
    }

    fn end(self) -> Result<Played, Broken> {
        let (broken, steps) = {
            let mut state = self.world.state();
            (state.broken.take(), state.steps)
        };
        match broken {
            None => Ok(Played { steps, time: self.now }),
            Some(what) => Err(Broken { seed: self.seed, what, trace: self.world.trace() }),
        }
    }
}
