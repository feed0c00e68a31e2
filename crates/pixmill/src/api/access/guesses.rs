//! Slows whoever tries keys: so many that are none in a minute, by address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Wrong keys of an address in a window, after which no other is looked at.
const MOST: u32 = 20;
const WINDOW: Duration = Duration::from_secs(60);

/// Addresses that are remembered.
const ADDRESSES: usize = 10_000;

/// Wrong keys by address.
#[derive(Default)]
pub(super) struct Guesses(Mutex<HashMap<IpAddr, (u32, Instant)>>);

/// One who has many addresses: of IPv6 they are counted by network.
pub(in crate::api) fn whose(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

impl Guesses {
    /// How long an address must wait.
    pub(super) fn must_wait(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let wrong = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, since) = wrong.get(&whose(address))?;
        WINDOW.checked_sub(now - *since).filter(|left| *count >= MOST && !left.is_zero())
    }

    /// Counts a key that is none.
    pub(super) fn wrong(&self, address: IpAddr, now: Instant) {
        let mut wrong = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if wrong.len() >= ADDRESSES {
            wrong.retain(|_, (_, since)| now - *since < WINDOW);
        }
        if wrong.len() >= ADDRESSES {
            // So many guess that nobody in particular does.
            wrong.clear();
        }
        let (count, since) = wrong.entry(whose(address)).or_insert((0, now));
        if now - *since >= WINDOW {
            (*count, *since) = (0, now);
        }
        *count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_mistakes_are_free_and_many_must_wait() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        let (one, neighbour): (IpAddr, IpAddr) =
            ("2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap());
        (1..MOST).for_each(|_| guesses.wrong(one, now));
        assert_eq!(guesses.must_wait(one, now), None);
        guesses.wrong(neighbour, now);
        assert_eq!(guesses.must_wait(one, now), Some(WINDOW));
        assert_eq!(guesses.must_wait("192.0.2.1".parse().unwrap(), now), None);
        assert_eq!(guesses.must_wait(one, now + WINDOW), None);
        guesses.wrong(one, now + WINDOW);
        assert_eq!(guesses.must_wait(one, now + WINDOW), None, "counted anew");
    }
}
