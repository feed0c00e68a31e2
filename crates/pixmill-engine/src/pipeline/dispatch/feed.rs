//! Tops the queue's window up from records: what was put back and is due first, then fresh images, requests in turn.

use std::time::Duration;

use super::super::{Scope, Supply};
use super::lead::Lead;
use crate::fault::Fault;
use crate::model::id::{ImageId, RequestId};
use crate::port::clock::Instant;
use crate::port::queue::Delivered;

/// Images read from records at a time.
const READ: usize = 1_000;

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

struct Cursor {
    request: RequestId,
    after: Option<ImageId>,
    exhausted: bool,
}

impl Cursor {
    fn new(request: RequestId) -> Self {
        Cursor { request, after: None, exhausted: false }
    }
}

/// The feeder. Fresh images are read in order; whatever is put back returns through what is due.
pub(super) struct Feed {
    supply: Supply,
    scope: Scope,
    lead: Lead,
    leads: bool,
    cursors: Vec<Cursor>,
    turn: usize,
    requests_at: Instant,
    due_at: Instant,
    /// The window, as far as it is known: the most room there ever was.
    window: usize,
    fed_at: Instant,
    again_after: Duration,
    lease: Duration,
}

impl Feed {
    pub(super) fn new(supply: Supply, scope: Scope, lease: Duration) -> Self {
        let cursors = match &scope {
            Scope::Request(request) => vec![Cursor::new(request.clone())],
            Scope::All => Vec::new(),
        };
        let now = supply.clock.instant();
        Feed {
            lead: Lead::new(supply.queue.is_shared(), lease, now),
            leads: false,
            supply,
            scope,
            cursors,
            turn: 0,
            requests_at: Instant::default(),
            due_at: Instant::default(),
            window: 0,
            fed_at: now,
            again_after: AGAIN_FIRST,
            lease,
        }
    }

    /// When something may be due that is not yet.
    pub(super) fn next_due(&self, now: Instant) -> Option<Instant> {
        (self.due_at > now).then_some(self.due_at)
    }

    /// An image left; it may be due again at a time.
    pub(super) fn left(&mut self, delivered: &Delivered, now: Instant) {
        let due = match delivered {
            Delivered::Retried { wait, .. } | Delivered::PutOff(wait) => now + *wait,
            Delivered::Returned => now,
            Delivered::Completed(_) | Delivered::Failed(_) => return,
        };
        self.due_at = self.due_at.min(due);
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
        self.find_requests(now).await?;
        let room = self.supply.queue.room().await?;
        self.window = self.window.max(room);
        if room == 0 || room < READ.min(self.window / 2) {
            return Ok(());
        }
        if self.due_at <= now {
            self.add_due(now).await?;
        }
        self.feed_again(room, now);
        self.add_fresh(room, now).await
    }

    /// Lets another process feed.
    pub(super) async fn close(&mut self) -> Result<(), Fault> {
        self.lead.give_back(&*self.supply.records, &*self.supply.clock).await
    }

    fn start_over(&mut self) {
        for cursor in &mut self.cursors {
            *cursor = Cursor::new(cursor.request.clone());
        }
    }

    /// Starts over when it is time to look for what has been lost.
    fn feed_again(&mut self, room: usize, now: Instant) {
        let longest = if room >= self.window { AGAIN_EMPTY } else { AGAIN_LAST };
        let time = now >= self.fed_at + self.again_after.min(longest);
        if self.scope == Scope::All && time && self.cursors.iter().all(|cursor| cursor.exhausted) {
            self.start_over();
            self.fed_at = now;
            self.again_after = (self.again_after * 2).min(AGAIN_LAST);
        }
    }

    async fn find_requests(&mut self, now: Instant) -> Result<(), Fault> {
        if self.scope != Scope::All || now < self.requests_at {
            return Ok(());
        }
        let open = self.supply.records.open_requests().await?;
        self.requests_at = now + REQUESTS_EVERY;
        self.cursors.retain(|cursor| open.contains(&cursor.request));
        for request in open {
            if !self.cursors.iter().any(|cursor| cursor.request == request) {
                self.cursors.push(Cursor::new(request));
            }
        }
        Ok(())
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

    /// Requests take turns, image by image, so that one with a million images does not starve one with ten.
    async fn add_fresh(&mut self, room: usize, now: Instant) -> Result<(), Fault> {
        let waiting = self.cursors.iter().filter(|cursor| !cursor.exhausted).count();
        if waiting == 0 {
            return Ok(());
        }
        let share = (room / waiting).clamp(1, READ);
        let (mut left, mut read, mut moved) = (room, Vec::new(), Vec::new());
        for _ in 0..self.cursors.len() {
            self.turn = (self.turn + 1) % self.cursors.len();
            let cursor = &self.cursors[self.turn];
            if cursor.exhausted || left == 0 {
                continue;
            }
            let most = share.min(left);
            let fresh = self.supply.records.fresh(&cursor.request, cursor.after.as_ref(), most).await?;
            left -= fresh.len();
            let after = fresh.last().map(|last| last.image.clone()).or_else(|| cursor.after.clone());
            moved.push((self.turn, after, fresh.len() < most));
            read.push(fresh.into_iter());
        }
        let mut fresh = in_turn(read).peekable();
        while fresh.peek().is_some() {
            if self.supply.queue.add(fresh.by_ref().take(READ).collect()).await? > 0 {
                self.fed_at = now;
                self.again_after = AGAIN_FIRST;
            }
        }
        // Only now are they fed: a fault before leaves the cursors where they were.
        for (turn, after, exhausted) in moved {
            self.cursors[turn].after = after;
            self.cursors[turn].exhausted = exhausted;
        }
        Ok(())
    }

    /// Whether the scope has ended. Asked only while nothing is under way here.
    pub(super) async fn is_over(&mut self) -> Result<bool, Fault> {
        let Scope::Request(request) = &self.scope else { return Ok(false) };
        if self.cursors.iter().any(|cursor| !cursor.exhausted) {
            return Ok(false);
        }
        let found = self.supply.records.request(request).await?;
        Ok(found.is_none_or(|request| !request.status.is_open()))
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
