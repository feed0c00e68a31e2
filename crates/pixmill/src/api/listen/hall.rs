//! Connections under way: so many in all and from each address. Where there is no room, one that does nothing leaves.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::super::access::whose;

/// Most connections, in all and from one address, and those beyond that are only told whether the server is well.
const ALL: usize = 4_096;
const EACH: usize = 1_024;
const STANDING: usize = 64;

/// How long a connection may do nothing while others want its place, and how long its answer may go unread.
const IDLE: Duration = Duration::from_millis(500);
const UNREAD: Duration = Duration::from_secs(3);

/// Where connections are counted.
#[derive(Default)]
pub(super) struct Hall(Mutex<Seats>);

#[derive(Default)]
struct Seats {
    seats: HashMap<u64, Arc<Seat>>,
    by_address: HashMap<IpAddr, usize>,
    next: u64,
}

/// One connection's.
pub(in crate::api) struct Seat {
    address: IpAddr,
    /// Beyond the bound.
    standing: bool,
    state: Mutex<State>,
    lingers: AtomicBool,
    leaves: CancellationToken,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Nothing is asked, or half of it, since then.
    Idle(Instant),
    /// Something is asked.
    Busy,
    /// The answer is not read, since then.
    Unread(Instant),
}

/// A seat that is given back when dropped.
pub(super) struct Taken {
    hall: Arc<Hall>,
    number: u64,
    pub(super) seat: Arc<Seat>,
}

impl Hall {
    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a connection its seat; `None` where there is no room even to stand.
    pub(super) fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<Taken> {
        let (address, now) = (whose(peer), Instant::now());
        let mut seats = self.seats();
        let own = seats.by_address.get(&address).copied().unwrap_or_default();
        let full = own >= EACH || seats.seats.len() >= ALL;
        let standing = full && !seats.make_room((own >= EACH).then_some(address), now);
        if standing && (seats.seats.len() >= ALL + STANDING || own >= EACH + STANDING) {
            return None;
        }
        let (lingers, leaves) = Default::default();
        let state = Mutex::new(State::Idle(now));
        let seat = Arc::new(Seat { address, standing, state, lingers, leaves });
        let number = seats.next;
        seats.next += 1;
        seats.seats.insert(number, seat.clone());
        *seats.by_address.entry(address).or_default() += 1;
        Some(Taken { hall: self.clone(), number, seat })
    }

    /// Has one leave that does nothing, as where descriptors have run out.
    pub(super) fn relieve(&self) {
        self.seats().make_room(None, Instant::now());
    }
}

impl Seats {
    /// Has the one leave that has done nothing for longest, of an address or of that with most; false where none is idle.
    fn make_room(&mut self, address: Option<IpAddr>, now: Instant) -> bool {
        let largest = || self.by_address.iter().max_by_key(|(_, count)| **count).map(|(address, _)| *address);
        let address = address.or_else(largest);
        let of_address = self.seats.iter().filter(|(_, seat)| Some(seat.address) == address);
        let idle = of_address.filter_map(|(number, seat)| Some((seat.idle_for(now)?, *number)));
        let Some((_, number)) = idle.max() else { return false };
        self.remove(number).iter().for_each(|seat| seat.leaves.cancel());
        true
    }

    fn remove(&mut self, number: u64) -> Option<Arc<Seat>> {
        let seat = self.seats.remove(&number)?;
        match self.by_address.get_mut(&seat.address) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(self.by_address.remove(&seat.address)),
        }
        Some(seat)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.hall.seats().remove(self.number);
    }
}

impl Seat {
    fn enter_state(&self, next: State) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = next;
    }

    /// Something is asked or read.
    pub(super) fn is_busy(&self) {
        self.enter_state(State::Busy);
    }

    /// All that was asked is answered.
    pub(super) fn is_idle(&self) {
        self.enter_state(State::Idle(Instant::now()));
    }

    /// The answer is not read.
    pub(super) fn is_unread(&self) {
        self.enter_state(State::Unread(Instant::now()));
    }

    /// How long it has done nothing that counts, where that is long enough to leave.
    fn idle_for(&self, now: Instant) -> Option<Duration> {
        let (since, least) = match *self.state.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Busy => return None,
            State::Idle(since) => (since, IDLE),
            State::Unread(since) => (since, UNREAD),
        };
        Some(now.saturating_duration_since(since)).filter(|idle| *idle >= least)
    }

    /// Whether only health is told here.
    pub(in crate::api) fn is_standing(&self) -> bool {
        self.standing
    }

    /// What still comes of a call is passed over before the connection ends, so that its client gets to read the answer.
    pub(in crate::api) fn linger(&self) {
        self.lingers.store(true, Ordering::Relaxed);
    }

    pub(super) fn lingers(&self) -> bool {
        self.lingers.load(Ordering::Relaxed)
    }

    /// Returns once it must leave for others.
    pub(super) async fn leaves(&self) {
        self.leaves.cancelled().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn idle_since_long(seat: &Seat) {
        let long = Instant::now().checked_sub(Duration::from_secs(9)).expect("the machine runs longer");
        seat.enter_state(State::Idle(long));
    }

    #[test]
    fn an_address_fills_its_own_room_alone() {
        let hall = Arc::new(Hall::default());
        let all: Vec<_> = (0..EACH).map(|_| hall.enter(address(1)).unwrap()).collect();
        assert!(all.iter().all(|taken| !taken.seat.is_standing()));
        let beyond: Vec<_> = (0..STANDING).map(|_| hall.enter(address(1)).unwrap()).collect();
        assert!(beyond.iter().all(|taken| taken.seat.is_standing()));
        assert!(hall.enter(address(1)).is_none());
        assert!(!hall.enter(address(2)).unwrap().seat.is_standing());
    }

    #[test]
    fn the_one_that_did_nothing_for_longest_leaves() {
        let hall = Arc::new(Hall::default());
        let all: Vec<_> = (0..EACH).map(|_| hall.enter(address(1)).unwrap()).collect();
        all.iter().for_each(|taken| taken.seat.is_busy());
        idle_since_long(&all[3].seat);
        let other = hall.enter(address(2)).unwrap();
        idle_since_long(&other.seat);
        let new = hall.enter(address(1)).unwrap();
        assert!(!new.seat.is_standing() && all[3].seat.leaves.is_cancelled());
        assert!(!other.seat.leaves.is_cancelled(), "others pay nothing");
        assert!(hall.enter(address(1)).unwrap().seat.is_standing(), "the rest is busy");
    }

    #[test]
    fn in_all_the_largest_makes_room() {
        let hall = Arc::new(Hall::default());
        let many: Vec<_> = (0..ALL).map(|at| hall.enter(address((at % 5) as u8)).unwrap()).collect();
        many.iter().for_each(|taken| idle_since_long(&taken.seat));
        assert!(!hall.enter(address(9)).unwrap().seat.is_standing());
        assert_eq!(many.iter().filter(|taken| taken.seat.leaves.is_cancelled()).count(), 1);
        drop(many);
        assert!(hall.seats().seats.is_empty() && hall.seats().by_address.is_empty());
    }
}
