//! Tops the queue's window up from records: what was put back and is due first, then fresh images, requests in turn.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::super::{Scope, Supply};
use crate::fault::Fault;
use crate::lead::Lead;
use crate::model::id::{ImageId, RequestId};
use crate::port::clock::Instant;
use crate::port::records::page::{Bytes, PAGE_BYTES, may_go_on};
use crate::port::records::{Opened, Right};

/// Images read from records at a time, and bytes after which no more are read before these are in the window.
const READ: usize = 1_000;
const READ_BYTES: usize = 4 * PAGE_BYTES;

/// How often records are asked for what is due while something is, and for new requests.
const DUE_EVERY: Duration = Duration::from_millis(250);
const REQUESTS_EVERY: Duration = Duration::from_secs(1);

/// How often, while all that is due is in the window already.
const DUE_KNOWN_EVERY: Duration = Duration::from_secs(1);

/// How often records are asked at least, as a part of a lease: upkeep, which looks as often, and other processes put
/// images back too.
const DUE_AT_LEAST_EVERY: u32 = 4;

/// A shared queue may lose jobs, or end them without an end in records; and a request may grow. So what was fed once is
/// fed again after a while: soon where that added anything, then less and less often, but often where the window is empty.
const AGAIN_FIRST: Duration = Duration::from_secs(1);
const AGAIN_EMPTY: Duration = Duration::from_secs(4);
const AGAIN_LAST: Duration = Duration::from_secs(64);

/// Requests of a tenant whose images are read side by side: the others of it wait for their turn, so that what is in hand
/// and what it costs to look after it depend on tenants, not on how many requests are open.
const SIDE_BY_SIDE: usize = 64;

/// How often more requests are begun at a time, where those in hand have no more to give.
const MORE_REQUESTS: usize = 8;

/// Requests that are read from before whoever feeds does something else: the tenants that follow come next.
const READS: usize = 256;

/// While the window is full, tenants of whom nothing waits in it get so many places between them, so often.
const OTHERS: usize = 256;
const OTHERS_EVERY: Duration = Duration::from_millis(500);

/// Looking for new requests may take such a part of the time.
const REQUESTS_SHARE: u32 = 20;

/// Looking again at all that is open may take such a part of the time.
const AGAIN_SHARE: u32 = 50;

/// How far the fresh images of a request have been read.
struct Cursor {
    request: RequestId,
    after: Option<ImageId>,
}

/// The open requests of a tenant, in the order in which they were opened.
#[derive(Default)]
struct Line {
    /// Those that have more to give, as far as is known.
    cursors: Vec<Cursor>,
    /// The last one that was begun, unless the line is one request.
    last: Option<Opened>,
    /// More may come after it.
    more: bool,
}

impl Line {
    /// The line of one request.
    fn of(request: RequestId) -> Self {
        Line { cursors: vec![Cursor { request, after: None }], last: None, more: false }
    }

    fn add(&mut self, opened: Opened) {
        self.cursors.push(Cursor { request: opened.request.clone(), after: None });
        self.last = Some(opened);
    }
}

/// The feeder. Fresh images are read in order; whatever is put back returns through what is due.
pub(super) struct Feed {
    supply: Supply,
    scope: Scope,
    lead: Lead,
    leads: bool,
    lines: BTreeMap<String, Line>,
    /// The last tenant that was read from.
    turn: String,
    requests_at: Instant,
    others_at: Instant,
    due_at: Instant,
    /// The window, as far as it is known: the most room there ever was.
    window: usize,
    fed_at: Instant,
    again_after: Duration,
    /// How long reading all that is open has taken since it was begun anew.
    took: Duration,
    lease: Duration,
}

impl Feed {
    pub(super) fn new(supply: Supply, scope: Scope, lease: Duration) -> Self {
        let now = supply.clock.instant();
        let right = supply.queue.is_shared().then_some(Right::Feeding);
        let mut feed = Feed {
            lead: Lead::new(right, lease, now),
            leads: false,
            supply,
            scope,
            lines: BTreeMap::new(),
            turn: String::new(),
            requests_at: Instant::default(),
            others_at: Instant::default(),
            due_at: Instant::default(),
            window: 0,
            fed_at: now,
            again_after: AGAIN_FIRST,
            took: Duration::ZERO,
            lease,
        };
        feed.start_over();
        feed
    }

    /// When something may be due that is not yet.
    pub(super) fn next_due(&self, now: Instant) -> Option<Instant> {
        (self.due_at > now).then_some(self.due_at)
    }

    /// Something is put back that may be due then.
    pub(super) fn comes_back(&mut self, at: Instant) {
        self.due_at = self.due_at.min(at);
    }

    /// Fills the window, if it is this process that feeds it.
    pub(super) async fn top_up(&mut self, now: Instant) -> Result<(), Fault> {
        let led = std::mem::take(&mut self.leads);
        if !self.lead.is_ours(&*self.supply.records, &*self.supply.clock).await? {
            return Ok(());
        }
        if !led {
            // Whoever fed before knew how far it had come; the queue passes over what it holds.
            self.start_over();
        }
        self.leads = true;
        let room = self.supply.queue.room().await?;
        self.window = self.window.max(room);
        if room == 0 || room < READ.min(self.window / 2) {
            return self.feed_others(now).await;
        }
        if self.due_at <= now {
            self.add_due(now).await?;
        }
        self.feed_again(room, now);
        self.add_fresh(room, now).await
    }

    /// One tenant may have the window full for long: others do not wait for that.
    async fn feed_others(&mut self, now: Instant) -> Result<(), Fault> {
        let queue = self.supply.queue.clone();
        if self.scope != Scope::All || now < self.others_at || queue.waiting_of("").is_none() {
            return Ok(());
        }
        self.others_at = now + OTHERS_EVERY;
        let has_none = |tenant: &str| queue.waiting_of(tenant) == Some(0);
        if self.due_at <= now {
            let (due, _) = self.supply.records.due(None, self.supply.clock.wall(), READ).await?;
            queue.add(due.into_iter().filter(|due| has_none(&due.tenant)).take(OTHERS).collect()).await?;
        }
        self.find_requests(now).await?;
        self.add_some(OTHERS, now, has_none).await.map(|_| ())
    }

    /// Lets another process feed.
    pub(super) async fn close(&mut self) -> Result<(), Fault> {
        self.lead.give_back(&*self.supply.records, &*self.supply.clock).await
    }

    /// Begins with the first image of the first request of each tenant.
    fn start_over(&mut self) {
        self.took = Duration::ZERO;
        self.requests_at = Instant::default();
        self.lines.clear();
        if let Scope::Request(request) = &self.scope {
            self.lines.insert(String::new(), Line::of(request.clone()));
        }
    }

    /// Whether there is no more to read, as far as is known.
    pub(super) fn is_exhausted(&self) -> bool {
        self.lines.values().all(|line| line.cursors.is_empty() && !line.more)
    }

    /// Starts over when it is time to look for what has been lost.
    fn feed_again(&mut self, room: usize, now: Instant) {
        let longest = if room >= self.window { AGAIN_EMPTY } else { AGAIN_LAST };
        let pause = self.again_after.min(longest).max(self.took * AGAIN_SHARE);
        if self.scope == Scope::All && now >= self.fed_at + pause && self.is_exhausted() {
            self.start_over();
            self.fed_at = now;
            self.again_after = (self.again_after * 2).min(AGAIN_LAST);
        }
    }

    /// Begins requests where a tenant's line is short; whether any were.
    async fn find_requests(&mut self, now: Instant) -> Result<bool, Fault> {
        let short = |line: &Line| line.more && line.cursors.len() < SIDE_BY_SIDE / 2;
        if self.scope != Scope::All || (now < self.requests_at && !self.lines.values().any(short)) {
            return Ok(false);
        }
        let known: Vec<_> = self.lines.values().filter_map(|line| line.last.clone()).collect();
        let began = self.supply.clock.instant();
        let opened = self.supply.records.open_requests(&known, SIDE_BY_SIDE).await?;
        let took = self.supply.clock.instant().since(began);
        self.requests_at = now + REQUESTS_EVERY.max(took * REQUESTS_SHARE);
        let mut counts: HashMap<String, usize> = HashMap::new();
        for line in self.lines.values_mut() {
            line.more = false;
        }
        let mut begun = false;
        for opened in opened {
            let count = counts.entry(opened.tenant.clone()).or_default();
            *count += 1;
            let line = self.lines.entry(opened.tenant.clone()).or_default();
            // What finds no place now is answered again.
            line.more |= *count == SIDE_BY_SIDE || line.cursors.len() >= SIDE_BY_SIDE;
            if line.cursors.len() < SIDE_BY_SIDE {
                line.add(opened);
                begun = true;
            }
        }
        Ok(begun)
    }

    async fn add_due(&mut self, now: Instant) -> Result<(), Fault> {
        let request = match &self.scope {
            Scope::Request(request) => Some(request),
            Scope::All => None,
        };
        let wall = self.supply.clock.wall();
        let (due, next) = self.supply.records.due(request, wall, READ).await?;
        let any = !due.is_empty();
        let new = self.supply.queue.add(due).await? > 0;
        let pause = match (any, new) {
            (false, _) => self.lease / DUE_AT_LEAST_EVERY,
            (true, false) => DUE_KNOWN_EVERY,
            (true, true) => DUE_EVERY,
        };
        self.due_at = now + next.map_or(pause, |next| next.since(wall).min(pause));
        Ok(())
    }

    /// Adds fresh images while there is room for them, and begins requests where those in hand have no more.
    async fn add_fresh(&mut self, room: usize, now: Instant) -> Result<(), Fault> {
        let mut left = room;
        let mut begun = self.find_requests(now).await?;
        for _ in 0..MORE_REQUESTS {
            left -= self.add_some(left, now, |_| true).await?;
            if left == 0 || !self.find_requests(now).await? {
                break;
            }
            begun = true;
        }
        if begun || left < room {
            // Looks that find nothing are no part of it: they go on for as long as a request is open.
            self.took += self.supply.clock.instant().since(now);
        }
        Ok(())
    }

    /// Tenants take turns, and so do the requests of each, image by image, so that one with a million images does not
    /// starve one with ten, nor a tenant with a million requests one with one. How many images were read.
    async fn add_some(
        &mut self,
        room: usize,
        now: Instant,
        may: impl Fn(&str) -> bool,
    ) -> Result<usize, Fault> {
        let waiting = self.lines.iter().filter(|(tenant, line)| !line.cursors.is_empty() && may(tenant));
        let waiting: Vec<_> = waiting.map(|(tenant, _)| tenant.clone()).collect();
        if waiting.is_empty() {
            return Ok(0);
        }
        let share = (room / waiting.len()).max(1);
        let (mut left, mut bytes, mut read, mut moved) = (room, 0, Vec::new(), Vec::new());
        let first = waiting.partition_point(|tenant| *tenant <= self.turn);
        for tenant in waiting.iter().cycle().skip(first).take(waiting.len()) {
            let goes_on = left > 0 && moved.len() < READS && bytes < READ_BYTES;
            let Some(line) = self.lines.get(tenant).filter(|_| goes_on) else {
                break;
            };
            self.turn.clone_from(tenant);
            let each = (share / line.cursors.len().max(1)).clamp(1, READ).min(left);
            let cursors = line.cursors.iter().take(left / each);
            // Together, for each question of its own costs more than what is read for it.
            let asked: Vec<_> =
                cursors.clone().map(|cursor| (cursor.request.clone(), cursor.after.clone())).collect();
            let answers = self.supply.records.fresh_of_each(&asked, each).await?;
            let mut fresh_of_it = Vec::with_capacity(answers.len());
            for (at, (cursor, fresh)) in cursors.zip(answers).enumerate() {
                left -= fresh.len();
                bytes += fresh.iter().map(Bytes::bytes).sum::<usize>();
                let after = fresh.last().map(|last| last.image.clone()).or_else(|| cursor.after.clone());
                moved.push((tenant.clone(), at, after, !may_go_on(&fresh, each)));
                fresh_of_it.push(fresh.into_iter());
            }
            read.push(in_turn(fresh_of_it));
        }
        let mut fresh = in_turn(read).peekable();
        while fresh.peek().is_some() {
            if self.supply.queue.add(fresh.by_ref().take(READ).collect()).await? > 0 {
                self.fed_at = now;
                self.again_after = AGAIN_FIRST;
            }
        }
        // Only now are they fed: a fault before leaves the cursors where they were. The last of a line go first.
        for (tenant, at, after, exhausted) in moved.into_iter().rev() {
            let Some(line) = self.lines.get_mut(&tenant) else { continue };
            if exhausted {
                line.cursors.remove(at);
            } else {
                line.cursors[at].after = after;
            }
        }
        for line in self.lines.values_mut().filter(|line| !line.cursors.is_empty()) {
            // Who comes first where there is little room is another one each time.
            line.cursors.rotate_left(1);
        }
        Ok(room - left)
    }
}

/// The first of each, then the second of each, and so on.
fn in_turn<T>(mut rows: Vec<impl Iterator<Item = T>>) -> impl Iterator<Item = T> {
    let mut turn = 0;
    std::iter::from_fn(move || {
        while !rows.is_empty() {
            turn %= rows.len();
            match rows[turn].next() {
                Some(next) => {
                    turn += 1;
                    return Some(next);
                }
                None => drop(rows.remove(turn)),
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_take_turns() {
        let rows = vec!["abc".chars(), "".chars(), "1".chars(), "xy".chars()];
        assert_eq!(in_turn(rows).collect::<String>(), "a1xbyc");
    }
}
