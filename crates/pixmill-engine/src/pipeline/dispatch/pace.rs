//! How many requests a second an origin takes, learnt from what it refuses: the rate is halved at a refusal and creeps
//! up again (AIMD), beside the limit of requests under way.
//!
//! A refusal of a request that had begun before the last one was taken to heart says nothing new. Refusals without an
//! answer between them say that the origin is shut, not that the rate is still too high: then one request at a time
//! looks, after pauses that grow.

use std::time::Duration;

use crate::port::clock::Instant;

const SECOND: Duration = Duration::from_secs(1);
/// How long is paused after a refusal that asks for no time of its own; twice as long each time while it is shut.
const FIRST_PAUSE: Duration = SECOND;
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The slowest that is gone, requests a second.
const SLOWEST: f64 = 1.0 / 60.0;
/// How much of the rate that was refused is won back in a second.
const CREEP: f64 = 1.0 / 20.0;
/// A limit is forgotten once it has not been met for so long, and would allow so many times what is asked.
const UNMET: Duration = Duration::from_secs(60);
const AMPLE: f64 = 4.0;

/// What is known of an origin's pace.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Requests begun in the second that began then, and in the one before.
    second: Instant,
    begun: u32,
    begun_before: u32,
    limit: Option<Limit>,
    refusals: u64,
}

#[derive(Debug)]
struct Limit {
    /// Requests a second.
    rate: f64,
    /// The rate that was refused last.
    refused: f64,
    /// When the next request may begin.
    next: Instant,
    /// When a refusal was last taken to heart, and when the rate last crept up.
    cut: Instant,
    crept: Instant,
    pause: Duration,
    /// Nothing that began since the last refusal has been answered.
    shut: bool,
}

/// Whether a request may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum May {
    /// Now.
    Begin,
    /// Not before then.
    Wait(Instant),
    /// Not while another is under way.
    AfterTheOther,
}

impl Pace {
    /// Whether a request may begin beside those under way.
    pub(super) fn may_begin(&self, now: Instant, under_way: usize) -> May {
        match &self.limit {
            Some(limit) if now < limit.next => May::Wait(limit.next),
            Some(limit) if limit.shut && under_way > 0 => May::AfterTheOther,
            _ => May::Begin,
        }
    }

    /// A request begins.
    pub(super) fn begun(&mut self, now: Instant) {
        self.turn(now);
        self.begun += 1;
        if let Some(limit) = &mut self.limit {
            limit.next = now + Duration::from_secs_f64(1.0 / limit.rate);
        }
    }

    /// A request that began at `began` was refused, perhaps with a time to wait.
    pub(super) fn refused(&mut self, began: Instant, wait: Option<Duration>, now: Instant) {
        self.turn(now);
        self.refusals += 1;
        let measured = f64::from(self.begun.max(self.begun_before).max(1));
        let limit = match &mut self.limit {
            Some(limit) if began <= limit.cut => {
                limit.next = limit.next.max(now + wait.unwrap_or_default());
                return;
            }
            Some(limit) if limit.shut => {
                limit.pause = (limit.pause * 2).min(LONGEST_PAUSE);
                limit
            }
            limit => {
                let refused = limit.as_ref().map_or(measured, |limit| limit.rate.min(2.0 * measured));
                limit.insert(Limit {
                    rate: (refused / 2.0).max(SLOWEST),
                    refused,
                    next: now,
                    cut: now,
                    crept: now,
                    pause: FIRST_PAUSE,
                    shut: true,
                })
            }
        };
        limit.cut = now;
        limit.next = now + wait.unwrap_or(limit.pause);
    }

    /// A request that began at `began` was answered.
    pub(super) fn answered(&mut self, began: Instant, now: Instant) {
        self.turn(now);
        let used = f64::from(self.begun.max(self.begun_before).max(1));
        let Some(limit) = &mut self.limit else { return };
        if began <= limit.cut {
            return;
        }
        if std::mem::take(&mut limit.shut) {
            limit.pause = FIRST_PAUSE;
            limit.crept = now;
        }
        // What was idle has learnt nothing meanwhile.
        let since = now.since(limit.crept).min(2 * SECOND);
        limit.rate += limit.refused * CREEP * since.as_secs_f64();
        limit.refused = limit.refused.max(limit.rate);
        limit.crept = now;
        if now.since(limit.cut) > UNMET && limit.rate > AMPLE * used {
            self.limit = None;
        }
    }

    /// Requests a second that are allowed, where that is limited, and how many were refused.
    pub(super) fn learnt(&self) -> (Option<f64>, u64) {
        (self.limit.as_ref().map(|limit| limit.rate), self.refusals)
    }

    /// Whether there is nothing worth remembering.
    pub(super) fn is_fresh(&self) -> bool {
        self.limit.is_none()
    }

    /// Whether so many can't begin within a time.
    pub(super) fn is_short_of(&self, many: usize, within: Duration) -> bool {
        self.limit.as_ref().is_some_and(|limit| (many as f64) > limit.rate * within.as_secs_f64())
    }

    fn turn(&mut self, now: Instant) {
        let passed = now.since(self.second);
        if passed >= SECOND {
            self.begun_before = if passed < 2 * SECOND { self.begun } else { 0 };
            self.begun = 0;
            self.second = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    const LATENCY: Duration = Duration::from_millis(20);

    fn at(milliseconds: u64) -> Instant {
        Instant(Duration::from_secs(1_000) + Duration::from_millis(milliseconds))
    }

    /// Asks for so many at an origin that `allows` at a time, or refuses; eight at once. How long it took, and how many
    /// requests there were.
    fn play(images: usize, allows: &mut dyn FnMut(u64) -> bool) -> (u64, usize) {
        let (mut pace, mut under_way, mut left, mut asked) = (Pace::default(), VecDeque::new(), images, 0);
        for millisecond in 0..1_000_000 {
            let now = at(millisecond);
            while under_way.front().is_some_and(|(began, _)| now.since(*began) >= LATENCY) {
                let (began, allowed): (Instant, bool) = under_way.pop_front().expect("just seen");
                if allowed {
                    pace.answered(began, now);
                } else {
                    left += 1;
                    pace.refused(began, None, now);
                }
            }
            while left > 0 && under_way.len() < 8 && pace.may_begin(now, under_way.len()) == May::Begin {
                pace.begun(now);
                under_way.push_back((now, allows(millisecond)));
                left -= 1;
                asked += 1;
            }
            if left == 0 && under_way.is_empty() {
                return (millisecond / 1_000, asked);
            }
        }
        panic!("no end");
    }

    /// So many in each window of so many milliseconds.
    fn window(many: u32, length: u64) -> impl FnMut(u64) -> bool {
        let (mut current, mut used) = (0, 0);
        move |millisecond| {
            if millisecond / length != current {
                (current, used) = (millisecond / length, 0);
            }
            used += 1;
            used <= many
        }
    }

    #[test]
    fn a_limit_is_found_and_kept_to_with_few_refusals() {
        for (many, length) in [(1, 1_000), (2, 1_000), (3, 1_000), (10, 1_000), (20, 10_000), (60, 60_000)] {
            let least = 120 * length / u64::from(many) / 1_000;
            let (seconds, asked) = play(120, &mut window(many, length));
            assert!(seconds <= 3 * least + 70, "{many} in {length} ms: {seconds} s, at least {least}");
            assert!(asked < 120 + 60, "{many} in {length} ms: {asked} requests for 120");
        }
    }

    #[test]
    fn an_origin_without_a_limit_is_never_slowed() {
        let mut pace = Pace::default();
        for request in 0..10_000 {
            assert_eq!(pace.may_begin(at(request), 7), May::Begin);
            pace.begun(at(request));
            pace.answered(at(request), at(request + 5));
        }
        assert!(pace.is_fresh());
    }

    #[test]
    fn what_was_under_way_at_a_refusal_is_not_held_against_it_twice() {
        let mut pace = Pace::default();
        (0..8).for_each(|_| pace.begun(at(0)));
        (0..5).for_each(|_| pace.refused(at(0), None, at(20)));
        assert_eq!(pace.learnt(), (Some(4.0), 5));
        assert_eq!(pace.may_begin(at(20), 0), May::Wait(at(1_020)));
    }

    #[test]
    fn an_origin_that_is_shut_is_looked_at_ever_more_seldom_and_its_rate_stays() {
        let mut pace = Pace::default();
        (0..8).for_each(|_| pace.begun(at(0)));
        pace.refused(at(0), None, at(10));
        let mut now = at(10);
        for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(pace.may_begin(now, 0), May::Wait(now + Duration::from_secs(pause)));
            now += Duration::from_secs(pause);
            assert_eq!(pace.may_begin(now, 1), May::AfterTheOther);
            pace.begun(now);
            pace.refused(now, None, now + LATENCY);
            now += LATENCY;
        }
        assert_eq!(pace.learnt().0, Some(4.0));
    }

    #[test]
    fn the_time_that_is_asked_for_is_waited() {
        let mut pace = Pace::default();
        pace.begun(at(0));
        pace.refused(at(0), Some(Duration::from_secs(7)), at(10));
        assert_eq!(pace.may_begin(at(10), 0), May::Wait(at(7_010)));
        // One that came back later asks for longer.
        pace.refused(at(0), Some(Duration::from_secs(9)), at(20));
        assert_eq!(pace.may_begin(at(20), 0), May::Wait(at(9_020)));
    }

    #[test]
    fn a_limit_that_is_no_more_is_forgotten() {
        let mut pace = Pace::default();
        (0..8).for_each(|_| pace.begun(at(0)));
        pace.refused(at(0), None, at(10));
        for second in 2..400 {
            pace.begun(at(second * 1_000));
            pace.answered(at(second * 1_000), at(second * 1_000 + 20));
        }
        assert!(pace.is_fresh(), "{pace:?}");
    }
}
