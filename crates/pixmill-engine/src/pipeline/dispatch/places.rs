//! How many images have their picture in memory: few more than the decoders need, unless origins or storage are slow.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::super::fair::{Fair, Permit};
use crate::model::id::RequestId;
use crate::port::clock::Instant;

/// Places for each decoder at first.
const PER_DECODER: usize = 4;

/// Places for each connection at most, beyond the first ones: one while its picture is fetched, and one while the picture
/// before it waits, as those of a burst do.
const PER_CONNECTION: usize = 2;

/// Pictures at each decoder, the one it works on among them, with which it lacks nothing.
const ENOUGH: usize = 3;

/// A decoder that has been idle for so long while every place was taken says that there are too few.
const IDLE: Duration = Duration::from_millis(5);

/// Places close only once no decoder has been idle for so long: origins may answer in bursts.
const BUSY: Duration = Duration::from_secs(1);

/// Places for images that are fetched, recompressed or saved. They double while decoders are idle, and close one by one
/// while pictures pile up before decoders that never are. Requests take turns.
pub(super) struct Places {
    free: Fair,
    open: AtomicUsize,
    may_close: AtomicBool,
    decoders: usize,
    most: usize,
}

impl Places {
    pub(super) fn new(connections: usize, decoders: usize) -> Self {
        let open = PER_DECODER * decoders;
        Places {
            free: Fair::new(open, false),
            open: AtomicUsize::new(open),
            may_close: AtomicBool::new(false),
            decoders,
            most: open + PER_CONNECTION * connections,
        }
    }

    /// How many there are now.
    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Waits for one.
    pub(super) async fn take(&self, request: &RequestId) -> Permit {
        self.free.take(request).await
    }

    /// Gives one back, or closes it where places may close and so many pictures wait, or are worked on, that the decoders
    /// can do without. It is for a request that has none, where one waits: else those of a request whose pictures pile up
    /// would close one after the other while the next request gets none of them.
    pub(super) fn give_back(&self, place: Permit, waiting: usize) {
        let spare = self.may_close.load(Ordering::Relaxed) && waiting > ENOUGH * self.decoders;
        if spare && !self.free.is_wanted(&place) {
            self.open.fetch_sub(1, Ordering::Relaxed);
            place.close();
        }
    }

    /// Whether a decoder is idle for want of places, so many images under way and so many of their pictures waiting or being
    /// worked on.
    fn are_too_few(&self, under_way: usize, waiting: usize) -> bool {
        waiting < self.decoders && under_way >= self.open()
    }

    /// Whether images have taken all of them, and are not still being claimed.
    fn are_taken(&self) -> bool {
        self.free.free() == 0
    }

    fn double(&self) {
        let more = self.open().min(self.most - self.open());
        self.open.fetch_add(more, Ordering::Relaxed);
        self.free.add(more);
    }
}

/// When more places are opened, and since when none of them lacked.
#[derive(Debug)]
pub(super) struct Opening {
    /// When a decoder was idle last for want of places.
    idle_at: Instant,
    /// When more are opened unless none is idle by then.
    more_at: Option<Instant>,
}

impl Opening {
    pub(super) fn new(now: Instant) -> Self {
        Opening { idle_at: now, more_at: None }
    }

    /// When there may be something to open.
    pub(super) fn wakes(&self) -> Option<Instant> {
        self.more_at
    }

    /// Opens more places where too few have kept decoders idle for a while, and lets some close where they never are: so
    /// many images are under way, and so many of their pictures wait or are worked on.
    pub(super) fn tend(&mut self, places: &Places, under_way: usize, waiting: usize, now: Instant) {
        if !places.are_too_few(under_way, waiting) {
            self.more_at = None;
            places.may_close.store(now.since(self.idle_at) >= BUSY, Ordering::Relaxed);
            return;
        }
        self.idle_at = now;
        places.may_close.store(false, Ordering::Relaxed);
        if places.open() == places.most {
            self.more_at = None;
        } else if now >= *self.more_at.get_or_insert(now + IDLE) {
            if places.are_taken() {
                places.double();
            }
            self.more_at = Some(now + IDLE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn places_double_while_decoders_are_idle_and_stay_bounded() {
        let (places, request) = (Places::new(10, 2), RequestId::from("request"));
        let mut opened = vec![places.open()];
        for _ in 0..3 {
            let open = places.open();
            assert!(!places.are_too_few(open - 1, 0) && !places.are_too_few(open, 2));
            assert!(places.are_too_few(open, 1));
            places.double();
            opened.push(places.open());
        }
        assert_eq!(opened, [8, 16, 28, 28]);
        for _ in 0..28 {
            assert!(!places.are_taken());
            places.take(&request).await.close();
        }
        assert!(places.are_taken());
    }

    #[tokio::test]
    async fn places_close_while_pictures_pile_up_and_no_further() {
        let (places, request) = (Places::new(20, 2), RequestId::from("request"));
        places.double();
        for (may_close, left) in [(false, 16), (true, ENOUGH * 2)] {
            places.may_close.store(may_close, Ordering::Relaxed);
            for waiting in (0..=16).rev() {
                let place = places.take(&request).await;
                places.give_back(place, waiting);
            }
            assert_eq!((places.open(), places.free.free()), (left, left));
        }
    }

    #[tokio::test]
    async fn no_place_closes_while_a_request_waits_that_has_none() {
        let places = Places::new(20, 2);
        places.may_close.store(true, Ordering::Relaxed);
        let [large, small] = ["large", "small"].map(RequestId::from);
        let mut held = Vec::new();
        while !places.are_taken() {
            held.push(places.take(&large).await);
        }
        let open = places.open();
        let waits = tokio::join!(places.take(&small), async {
            places.give_back(held.pop().unwrap(), 16);
            assert_eq!(places.open(), open, "it is the small one's");
        });
        let next = tokio::join!(places.take(&small), async {
            places.give_back(waits.0, 16);
            assert_eq!(places.open(), open, "it is the small one's next");
        });
        places.give_back(held.pop().unwrap(), 16);
        assert_eq!(places.open(), open - 1, "nobody waits who has none");
        places.give_back(next.0, 16);
        assert_eq!(places.open(), open - 2);
    }

    #[tokio::test]
    async fn places_open_while_decoders_lack_pictures_and_may_close_once_they_have_not_for_a_while() {
        let (places, request) = (Places::new(20, 2), RequestId::from("request"));
        let (mut now, mut held) = (Instant::default(), Vec::new());
        let mut opening = Opening::new(now);
        let first = places.open();
        for _ in 0..first {
            held.push(places.take(&request).await);
        }
        opening.tend(&places, first, 0, now);
        assert_eq!((places.open(), opening.wakes()), (first, Some(now + IDLE)), "a moment tells nothing");
        now += IDLE;
        opening.tend(&places, first, 0, now);
        assert_eq!((places.open(), opening.wakes()), (2 * first, Some(now + IDLE)));
        opening.tend(&places, 2 * first, 0, now + IDLE);
        assert_eq!(places.open(), 2 * first, "those that are open are not taken yet");
        now += 2 * IDLE;
        opening.tend(&places, first, 2, now);
        assert!(opening.wakes().is_none() && !places.may_close.load(Ordering::Relaxed));
        opening.tend(&places, first, 2, now + BUSY);
        assert!(places.may_close.load(Ordering::Relaxed));
    }
}
