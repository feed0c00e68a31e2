//! Images that were put off because their origins are stuck: for how long, so that few of them come back at a time, however
//! many there are.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::port::clock::Instant;

/// How long they are put off at least, and at most.
const LEAST: Duration = Duration::from_secs(15);
const MOST: Duration = Duration::from_secs(1_200);

/// So many come back in a second, as long as that puts none off for longer than the most.
const A_SECOND: u32 = 100;

/// Those that are put off.
#[derive(Debug, Default)]
pub(super) struct PutOff {
    /// How many come back when.
    back: BTreeMap<Instant, u32>,
    images: u32,
}

impl PutOff {
    /// For how long so many more are put off.
    pub(super) fn wait(&mut self, images: usize, now: Instant) -> Duration {
        while let Some(first) = self.back.first_entry().filter(|first| *first.key() <= now) {
            self.images -= first.remove();
        }
        let wait = (Duration::from_secs(1) * self.images / A_SECOND).clamp(LEAST, MOST);
        let images = u32::try_from(images).unwrap_or(u32::MAX).min(u32::MAX - self.images);
        self.images += images;
        *self.back.entry(now + wait).or_default() += images;
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_are_back_soon_and_of_many_so_many_in_a_second() {
        let (mut put_off, mut now) = (PutOff::default(), Instant::default());
        let mut back = BTreeMap::<u64, usize>::new();
        for _ in 0..40 {
            let wait = put_off.wait(2_000, now);
            *back.entry((now + wait).since(Instant::default()).as_secs()).or_default() += 2_000;
            now += Duration::from_millis(100);
        }
        assert_eq!(back.first_key_value().map(|(at, _)| *at), Some(15));
        let spread = |at: u64| back.range(at..at + 10).map(|(_, images)| images).sum::<usize>();
        assert!((30..190).step_by(10).all(|at| spread(at) <= 2_000), "{back:?}");
        assert_eq!(put_off.wait(1, now + MOST), LEAST, "all are back");
    }

    #[test]
    fn nothing_is_put_off_for_longer_than_the_most() {
        let mut put_off = PutOff::default();
        put_off.wait(10_000_000, Instant::default());
        assert_eq!(put_off.wait(10, Instant::default()), MOST);
    }
}
