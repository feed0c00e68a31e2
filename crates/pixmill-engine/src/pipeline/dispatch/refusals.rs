//! Whether a refusal says something of the origin's pace, and costs its image no attempt, or of that one address.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::lanes::{LaneName, Started};
use crate::fault::{Fault, Pressure};
use crate::model::id::ImageId;
use crate::port::clock::Instant;

/// How long an image is put back for nothing, as long as a breaker waits.
const PATIENCE: Duration = Duration::from_secs(600);
/// Refusals of others count for so long.
const RECENT: Duration = Duration::from_secs(60);
/// An image that is refused so often, while no other is and the origin has answered for others, is refused for itself.
const ALONE: u32 = 3;
/// Images that are remembered.
const MOST: usize = 10_000;

/// Refusals, shared by all images under way.
#[derive(Debug)]
pub(super) struct Refusals {
    patient: bool,
    origins: Mutex<HashMap<LaneName, Images>>,
}

type Images = HashMap<ImageId, Refused>;

#[derive(Debug)]
struct Refused {
    first: Instant,
    last: Instant,
    alone: u32,
}

impl Refusals {
    /// Where images have one attempt, `patient` is false: an origin is waited for only when it refuses many.
    pub(super) fn new(patient: bool) -> Self {
        Refusals { patient, origins: Mutex::default() }
    }

    /// Whether an image is put back for nothing after this fault.
    pub(super) fn cost_nothing(&self, started: &Started, fault: &Fault, now: Instant) -> bool {
        if fault.pressure == Pressure::None {
            return false;
        }
        let mut origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
        if origins.values().map(HashMap::len).sum::<usize>() >= MOST {
            origins.clear();
        }
        let images = origins.entry(started.lane.clone()).or_default();
        images.retain(|_, refused| now.since(refused.last) < 2 * PATIENCE);
        let own = &started.job.image;
        let previous = images.get(own).map(|refused| refused.last);
        let of_others = images.iter().filter(|(image, _)| *image != own).map(|(_, refused)| refused.last);
        let latest = of_others.max();
        let refused = images.entry(own.clone()).or_insert(Refused { first: now, last: now, alone: 0 });
        refused.last = now;
        let others_since = latest.is_some_and(|latest| previous.is_none_or(|previous| latest > previous));
        refused.alone = if others_since || !started.answered { 0 } else { refused.alone + 1 };
        if now.since(refused.first) >= PATIENCE || refused.alone > ALONE {
            return false;
        }
        let others_refused = latest.is_some_and(|latest| now.since(latest) < RECENT);
        others_refused || (self.patient && fault.pressure == Pressure::Sure && started.company)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::Code;
    use crate::model::id::RequestId;
    use crate::port::queue::Job;

    fn started(image: &str, company: bool) -> Started {
        let image = ImageId::from(image.to_owned());
        let job = Job {
            id: image.as_str().into(),
            image,
            request: RequestId::from("request"),
            candidate: None,
            retries: None,
            added: None,
        };
        Started {
            job,
            lane: "http://a".into(),
            given_up: None,
            at: Instant::default(),
            company,
            answered: company,
        }
    }

    fn refusal(pressure: Pressure) -> Fault {
        Fault::transient(Code::FetchStatus, "answered 429").under(pressure)
    }

    fn at(seconds: u64) -> Instant {
        Instant(Duration::from_secs(seconds))
    }

    #[test]
    fn an_origin_that_refuses_many_costs_none_of_them_an_attempt() {
        for pressure in [Pressure::Sure, Pressure::Perhaps] {
            let refusals = Refusals::new(true);
            let mut paid = 0;
            for second in 0..500 {
                let image = started(&format!("image-{}", second % 7), true);
                paid += u32::from(!refusals.cost_nothing(&image, &refusal(pressure), at(second)));
            }
            assert_eq!(paid, u32::from(pressure == Pressure::Perhaps), "the first alone says nothing yet");
        }
    }

    #[test]
    fn an_address_that_is_refused_alone_pays_for_itself() {
        let refusals = Refusals::new(true);
        let free = (0..20).filter(|second| {
            refusals.cost_nothing(&started("image", true), &refusal(Pressure::Sure), at(*second))
        });
        assert_eq!(free.count(), ALONE as usize);
        let refusals = Refusals::new(true);
        assert!(!refusals.cost_nothing(&started("only", false), &refusal(Pressure::Sure), at(0)));
    }

    #[test]
    fn after_ten_minutes_every_image_pays() {
        let refusals = Refusals::new(true);
        for second in 0..=1_300 {
            let image = started(&format!("image-{}", second % 2), true);
            let free = refusals.cost_nothing(&image, &refusal(Pressure::Sure), at(second));
            assert_eq!(free, second < 600 + second % 2, "{second}");
        }
    }

    #[test]
    fn with_one_attempt_only_many_refusals_are_waited_for() {
        let refusals = Refusals::new(false);
        assert!(!refusals.cost_nothing(&started("one", true), &refusal(Pressure::Sure), at(0)));
        assert!(refusals.cost_nothing(&started("two", true), &refusal(Pressure::Sure), at(0)));
    }

    #[test]
    fn other_faults_are_none_of_this() {
        let fault = Fault::transient(Code::FetchTimeout, "no answer");
        assert!(!Refusals::new(true).cost_nothing(&started("image", true), &fault, at(0)));
    }
}
