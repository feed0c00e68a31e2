//! What was seen, for whoever looks again: so many bytes of it, what was asked for longest ago given up first.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;

use crate::fault::Fault;
use crate::port::clock::Instant;

/// What an entry takes beside its bytes.
const ENTRY: u64 = 512;

/// The part of the room that one entry may take.
const PART: u64 = 4;

/// What was seen.
#[derive(Debug)]
pub(super) struct Kept {
    most_bytes: u64,
    bytes: u64,
    entries: HashMap<String, Entry>,
    /// By when they were asked for.
    order: BTreeMap<u64, String>,
    turn: u64,
}

#[derive(Debug)]
struct Entry {
    seen: Result<Bytes, Fault>,
    until: Instant,
    turn: u64,
    bytes: u64,
}

impl Kept {
    /// Nothing yet, and room for so many bytes.
    pub(super) fn new(most_bytes: u64) -> Self {
        Kept { most_bytes, bytes: 0, entries: HashMap::new(), order: BTreeMap::new(), turn: 0 }
    }

    /// What is kept under a key and still holds.
    pub(super) fn get(&mut self, key: &str, now: Instant) -> Option<Result<Bytes, Fault>> {
        if self.entries.get(key)?.until <= now {
            self.give_up(key);
            return None;
        }
        self.turn += 1;
        let entry = self.entries.get_mut(key)?;
        self.order.remove(&entry.turn);
        entry.turn = self.turn;
        self.order.insert(self.turn, key.to_owned());
        Some(entry.seen.clone())
    }

    /// Keeps something until a time. What would take most of the room alone is not kept.
    pub(super) fn keep(&mut self, key: String, seen: Result<Bytes, Fault>, until: Instant) {
        self.give_up(&key);
        let bytes = seen.as_ref().map_or(0, |seen| seen.len() as u64) + key.len() as u64 * 2 + ENTRY;
        if bytes > self.most_bytes / PART {
            return;
        }
        while self.bytes + bytes > self.most_bytes {
            let Some(oldest) = self.order.values().next().cloned() else { break };
            self.give_up(&oldest);
        }
        self.turn += 1;
        self.bytes += bytes;
        self.order.insert(self.turn, key.clone());
        self.entries.insert(key, Entry { seen, until, turn: self.turn, bytes });
    }

    fn give_up(&mut self, key: &str) {
        if let Some(entry) = self.entries.remove(key) {
            self.order.remove(&entry.turn);
            self.bytes -= entry.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::code::Code;

    fn at(seconds: u64) -> Instant {
        Instant(Duration::from_secs(seconds))
    }

    fn of(bytes: usize) -> Result<Bytes, Fault> {
        Ok(Bytes::from(vec![7; bytes]))
    }

    #[test]
    fn what_is_kept_has_a_bound_and_what_was_asked_for_longest_ago_goes_first() {
        let mut kept = Kept::new(10_000);
        for name in ["a", "b", "c", "d"] {
            kept.keep(name.to_owned(), of(1_500), at(9));
        }
        assert!(kept.get("a", at(0)).is_some());
        kept.keep("e".to_owned(), of(1_500), at(9));
        assert!(kept.get("b", at(0)).is_none(), "the one that nobody asked for");
        assert!(kept.get("a", at(0)).is_some() && kept.get("e", at(0)).is_some());
        kept.keep("large".to_owned(), of(5_000), at(9));
        assert!(kept.get("large", at(0)).is_none() && kept.get("a", at(0)).is_some());
        assert!(kept.bytes <= 10_000 && kept.order.len() == kept.entries.len());
    }

    #[test]
    fn what_is_kept_holds_for_a_while_and_faults_are_kept_too() {
        let mut kept = Kept::new(10_000);
        let fault = Fault::permanent(Code::FetchStatus, "404");
        kept.keep("a".to_owned(), Err(fault.clone()), at(5));
        assert_eq!(kept.get("a", at(4)), Some(Err(fault)));
        assert_eq!(kept.get("a", at(5)), None);
        kept.keep("b".to_owned(), of(1), at(5));
        kept.keep("b".to_owned(), of(2), at(9));
        assert_eq!(kept.get("b", at(6)), Some(of(2)));
        assert_eq!(kept.entries.len(), 1);
        assert_eq!(kept.bytes, kept.entries["b"].bytes);
    }
}
