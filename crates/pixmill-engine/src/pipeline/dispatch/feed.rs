//! Tops the queue's window up from records: what was put back and is due first, then fresh images, requests in turn.

use std::time::Duration;

use super::super::{Ports, Scope};
use crate::fault::Fault;
use crate::model::id::{ImageId, RequestId};
use crate::model::time::Timestamp;
use crate::port::queue::Delivered;

/// Images read from records at a time.
const READ: usize = 1_000;

/// How often records are asked for what is due while something is, and for new requests.
const DUE_EVERY: Duration = Duration::from_millis(250);
const REQUESTS_EVERY: Duration = Duration::from_secs(1);

/// How often records are asked at least: upkeep and other processes put images back too.
const DUE_AT_LEAST_EVERY: Duration = Duration::from_secs(15);

struct Cursor {
    request: RequestId,
    after: Option<ImageId>,
    exhausted: bool,
}

/// The feeder. Fresh images are read once, in order; whatever is put back returns through what is due.
pub(super) struct Feed {
    ports: Ports,
    scope: Scope,
    cursors: Vec<Cursor>,
    turn: usize,
    requests_at: Timestamp,
    due_at: Timestamp,
}

impl Feed {
    pub(super) fn new(ports: Ports, scope: Scope) -> Self {
        let cursors = match &scope {
            Scope::Request(request) => {
                vec![Cursor { request: request.clone(), after: None, exhausted: false }]
            }
            Scope::All => Vec::new(),
        };
        Feed {
            ports,
            scope,
            cursors,
            turn: 0,
            requests_at: Timestamp::default(),
            due_at: Timestamp::default(),
        }
    }

    /// When something may be due that is not yet.
    pub(super) fn next_due(&self, now: Timestamp) -> Option<Timestamp> {
        (self.due_at > now).then_some(self.due_at)
    }

    /// An image left; it may be due again at a time.
    pub(super) fn left(&mut self, delivered: &Delivered, now: Timestamp) {
        let due = match delivered {
            Delivered::Later(at) => *at,
            Delivered::Returned => now,
            Delivered::Ended => return,
        };
        self.due_at = self.due_at.min(due);
    }

    /// Fills the window.
    pub(super) async fn top_up(&mut self, now: Timestamp) -> Result<(), Fault> {
        self.find_requests(now).await?;
        let room = self.ports.queue.room().await?;
        if room < READ {
            return Ok(());
        }
        if self.due_at <= now {
            self.add_due(now).await?;
        }
        self.add_fresh(room).await
    }

    async fn find_requests(&mut self, now: Timestamp) -> Result<(), Fault> {
        if self.scope != Scope::All || now < self.requests_at {
            return Ok(());
        }
        self.requests_at = now + REQUESTS_EVERY;
        let open = self.ports.records.open_requests().await?;
        self.cursors.retain(|cursor| open.contains(&cursor.request));
        for request in open {
            if !self.cursors.iter().any(|cursor| cursor.request == request) {
                self.cursors.push(Cursor { request, after: None, exhausted: false });
            }
        }
        Ok(())
    }

    async fn add_due(&mut self, now: Timestamp) -> Result<(), Fault> {
        let request = match &self.scope {
            Scope::Request(request) => Some(request),
            Scope::All => None,
        };
        let (due, next) = self.ports.records.due(request, now, READ).await?;
        let again = now + if due.is_empty() { DUE_AT_LEAST_EVERY } else { DUE_EVERY };
        self.due_at = next.map_or(again, |next| next.min(again));
        self.ports.queue.add(due).await
    }

    /// Requests take turns, so that one with a million images does not starve one with ten.
    async fn add_fresh(&mut self, room: usize) -> Result<(), Fault> {
        let waiting = self.cursors.iter().filter(|cursor| !cursor.exhausted).count();
        if waiting == 0 {
            return Ok(());
        }
        let share = (room / waiting).clamp(1, READ);
        let mut left = room;
        for _ in 0..self.cursors.len() {
            self.turn = (self.turn + 1) % self.cursors.len();
            let cursor = &mut self.cursors[self.turn];
            if cursor.exhausted || left == 0 {
                continue;
            }
            let most = share.min(left);
            let fresh = self.ports.records.fresh(&cursor.request, cursor.after.as_ref(), most).await?;
            cursor.exhausted = fresh.len() < most;
            if let Some(last) = fresh.last() {
                cursor.after = Some(last.image.clone());
            }
            left -= fresh.len();
            self.ports.queue.add(fresh).await?;
        }
        Ok(())
    }

    /// Whether the scope has ended. Asked only while nothing is under way here.
    pub(super) async fn is_over(&mut self) -> Result<bool, Fault> {
        let Scope::Request(request) = &self.scope else { return Ok(false) };
        if self.cursors.iter().any(|cursor| !cursor.exhausted) {
            return Ok(false);
        }
        let found = self.ports.records.request(request).await?;
        Ok(found.is_none_or(|request| !request.status.is_open()))
    }
}
