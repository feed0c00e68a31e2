//! So many of something, shared fairly by requests: whoever has fewest is next, and among those that have as many, who has
//! waited longest for a turn.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::model::id::RequestId;

/// Where room is kept for newcomers, one request that has so many times what is free takes no more, so that the next one
/// finds what it needs though nothing of the first ever ends.
const PART: usize = 7;

/// Permits, which requests take turns for.
#[derive(Debug)]
pub(super) struct Fair(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    free: usize,
    newcomers: bool,
    held: HashMap<RequestId, usize>,
    waiting: HashMap<RequestId, VecDeque<oneshot::Sender<Permit>>>,
    /// Requests that wait, in the order of their turns.
    turns: VecDeque<RequestId>,
}

/// One of them, given back when dropped.
#[derive(Debug)]
pub(super) struct Permit {
    of: Arc<Mutex<State>>,
    request: RequestId,
    /// What becomes of it when dropped.
    end: End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    GivenBack,
    /// It is no more, and its request has one less.
    Closed,
    /// It was never handed out.
    Void,
}

impl Fair {
    /// So many. Where room is kept for newcomers, that is what one request has at most, and beyond it there is a seventh
    /// more, for others.
    pub(super) fn new(count: usize, newcomers: bool) -> Self {
        let free = if newcomers { count + count / PART } else { count };
        Fair(Arc::new(Mutex::new(State { free, newcomers, ..State::default() })))
    }

    /// Waits for one.
    pub(super) async fn take(&self, request: &RequestId) -> Permit {
        let permit = {
            let mut state = lock(&self.0);
            let (turn, permit) = oneshot::channel();
            let line = state.waiting.entry(request.clone()).or_default();
            line.push_back(turn);
            if line.len() == 1 {
                state.turns.push_back(request.clone());
            }
            hand_out(&self.0, &mut state);
            permit
        };
        permit.await.expect("who waits is never forgotten")
    }

    /// One, if it can be had at once.
    pub(super) fn try_take(&self, request: &RequestId) -> Option<Permit> {
        let mut state = lock(&self.0);
        if !state.may_take(request) {
            return None;
        }
        Some(state.give(&self.0, request.clone()))
    }

    /// How many nobody has.
    pub(super) fn free(&self) -> usize {
        lock(&self.0).free
    }

    /// Whether a request waits that has none, once this one is given back.
    pub(super) fn is_wanted(&self, permit: &Permit) -> bool {
        let state = lock(&self.0);
        let left = |request: &RequestId| state.held_by(request) - usize::from(*request == permit.request);
        state.turns.iter().any(|request| left(request) == 0)
    }

    /// Makes so many more.
    pub(super) fn add(&self, more: usize) {
        let mut state = lock(&self.0);
        state.free += more;
        hand_out(&self.0, &mut state);
    }
}

impl Permit {
    /// Ends with it: there is one less from now on.
    pub(super) fn close(mut self) {
        self.end = End::Closed;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.end == End::Void {
            return;
        }
        let mut state = lock(&self.of);
        state.has_one_less(&self.request);
        state.free += usize::from(self.end == End::GivenBack);
        hand_out(&self.of, &mut state);
    }
}

impl State {
    /// One more of them is a request's.
    fn give(&mut self, of: &Arc<Mutex<State>>, request: RequestId) -> Permit {
        self.free -= 1;
        *self.held.entry(request.clone()).or_default() += 1;
        Permit { of: of.clone(), request, end: End::GivenBack }
    }

    fn may_take(&self, request: &RequestId) -> bool {
        self.free > 0 && (!self.newcomers || self.held_by(request) < PART * self.free)
    }

    fn held_by(&self, request: &RequestId) -> usize {
        self.held.get(request).copied().unwrap_or_default()
    }

    fn has_one_less(&mut self, request: &RequestId) {
        if let Some(held) = self.held.get_mut(request) {
            *held -= 1;
            if *held == 0 {
                self.held.remove(request);
            }
        }
    }

    /// Whose turn it is, if anybody's; it waits for its next one behind the others, where it waits for more.
    fn next(&mut self) -> Option<(RequestId, oneshot::Sender<Permit>)> {
        let able = (0..self.turns.len()).filter(|at| self.may_take(&self.turns[*at]));
        let at = able.min_by_key(|at| self.held_by(&self.turns[*at]))?;
        let request = self.turns.remove(at)?;
        let line = self.waiting.get_mut(&request)?;
        let next = line.pop_front()?;
        if line.is_empty() {
            self.waiting.remove(&request);
        } else {
            self.turns.push_back(request.clone());
        }
        Some((request, next))
    }
}

/// Hands out what is free to those who wait and are still there.
fn hand_out(of: &Arc<Mutex<State>>, state: &mut State) {
    while let Some((request, turn)) = state.next() {
        if let Err(mut permit) = turn.send(state.give(of, request)) {
            state.free += 1;
            state.has_one_less(&permit.request);
            permit.end = End::Void;
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn now<F: Future>(future: Pin<&mut F>) -> Option<F::Output> {
        match future.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        }
    }

    fn all_of(fair: &Fair, request: &RequestId) -> Vec<Permit> {
        std::iter::from_fn(|| fair.try_take(request)).collect()
    }

    #[test]
    fn whoever_comes_later_finds_room_however_many_one_wants() {
        let fair = Fair::new(64, true);
        let [first, second, third] = ["a", "b", "c"].map(RequestId::from);
        let held = [&first, &second, &third].map(|request| all_of(&fair, request));
        assert_eq!(held.each_ref().map(Vec::len), [64, 8, 1]);
        for count in 1..300 {
            assert_eq!(all_of(&Fair::new(count, true), &first).len(), count);
        }
        assert_eq!(all_of(&Fair::new(64, false), &first).len(), 64);
    }

    #[test]
    fn whoever_has_fewest_is_next_and_equals_take_turns() {
        let fair = Fair::new(2, false);
        let [large, small] = ["large", "small"].map(RequestId::from);
        let mut held = all_of(&fair, &large);
        let mut waiting = [&large, &large, &small, &small].map(|request| Box::pin(fair.take(request)));
        let mut got = |at: usize| now(waiting[at].as_mut());
        assert!((0..4).all(|at| got(at).is_none()));
        held.pop();
        let first = got(2).expect("the small one has none");
        held.pop();
        assert!(got(1).is_none() && got(3).is_none(), "the larger one's first is next");
        let second = got(0).unwrap();
        drop((first, second));
        let both = (got(1), got(3));
        assert!(both.0.is_some() && both.1.is_some());
        assert_eq!(fair.free(), 0);
        drop(both);
        assert_eq!(fair.free(), 2);
    }

    #[test]
    fn whoever_stops_waiting_takes_nothing_along() {
        let (fair, request) = (Fair::new(1, false), RequestId::from("a"));
        let held = fair.try_take(&request).unwrap();
        {
            let mut gone = pin!(fair.take(&request));
            assert!(now(gone.as_mut()).is_none());
        }
        let mut given = Box::pin(fair.take(&request));
        assert!(now(given.as_mut()).is_none());
        drop(held);
        // It has been given one, and stops before it has heard of it.
        drop(given);
        assert_eq!(fair.free(), 1);
        fair.try_take(&request).unwrap().close();
        assert_eq!((fair.free(), lock(&fair.0).held.len()), (0, 0));
        fair.add(2);
        assert_eq!(fair.free(), 2);
    }
}
