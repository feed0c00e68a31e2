//! What was learnt of origins' paces, kept for whoever shows it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use pixmill_engine::pipeline::Learnt;

/// Origins that are kept: a catalogue may name a million.
const MOST: usize = 1_000;

/// Origins that refused too many requests, by name.
#[derive(Debug, Default)]
pub(crate) struct Paces(Mutex<BTreeMap<String, Learnt>>);

impl Paces {
    /// Takes what is known now in the place of what was.
    pub(crate) fn take(&self, learnt: Learnt) {
        let mut paces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if paces.len() < MOST || paces.contains_key(&learnt.origin) {
            paces.insert(learnt.origin.clone(), learnt);
        }
    }

    /// All of them, those that refused most first.
    pub(crate) fn list(&self) -> Vec<Learnt> {
        let paces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut list: Vec<_> = paces.values().cloned().collect();
        list.sort_by_key(|learnt| std::cmp::Reverse(learnt.refusals));
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_few_origins_is_kept() {
        let paces = Paces::default();
        let learnt = |origin: usize, refusals| Learnt {
            origin: format!("http://{origin}.example"),
            per_second: Some(2.0),
            refusals,
        };
        for origin in 0..2 * MOST {
            paces.take(learnt(origin, 1));
        }
        paces.take(learnt(7, 9));
        let list = paces.list();
        assert_eq!((list.len(), &list[0]), (MOST, &learnt(7, 9)));
    }
}
