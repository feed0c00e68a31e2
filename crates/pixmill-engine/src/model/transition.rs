//! The rules of one image: what may be done to it in which state, and what that makes of it.
//!
//! Pure functions from a state, an event and a time to the state after, `None` where the event changes nothing. Records
//! decide by them. Where one statement of theirs decides for many images at once, the suite of records compares what it
//! did with these over generated states.

use crate::code::Code;
use crate::model::image::{Failure, ImageStatus, Outcome};
use crate::model::lease::{Lease, Token, Void};
use crate::model::request::RequestStatus;
use crate::model::time::Timestamp;

/// Of an image, what rules ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageState {
    /// Where it stands.
    pub status: ImageStatus,
    /// Attempts in this round.
    pub attempts: u32,
    /// Not to be claimed before this; none for one that was never put back in this round.
    pub due: Option<Timestamp>,
    /// Whoever works on it.
    pub lease: Option<Lease>,
    /// It is not worked, but ends with an equal input.
    pub follows: bool,
}

/// What becomes of an image whose worker is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rescue {
    /// It is pending again; the attempt counts.
    PutBack(ImageState),
    /// It has no attempt left, and fails with this.
    Exhausted(ImageState, Failure),
}

impl ImageState {
    /// An image that was just taken in.
    pub fn new(follows: bool) -> Self {
        ImageState { status: ImageStatus::Pending, attempts: 0, due: None, lease: None, follows }
    }

    /// Whether it is among what is fed for the first time.
    pub fn is_fresh(&self, request: RequestStatus) -> bool {
        self.is_workable(request) && self.due.is_none()
    }

    /// When it is fed again, for one that was put back.
    pub fn comes_back(&self, request: RequestStatus) -> Option<Timestamp> {
        self.due.filter(|_| self.is_workable(request))
    }

    fn is_workable(&self, request: RequestStatus) -> bool {
        request.is_open() && self.status == ImageStatus::Pending && !self.follows
    }

    /// A worker takes it, which counts as an attempt.
    pub fn claimed(self, request: RequestStatus, lease: Lease, now: Timestamp) -> Option<Self> {
        let may = self.is_workable(request) && self.due.is_none_or(|due| due <= now);
        may.then(|| ImageState {
            status: ImageStatus::Processing,
            attempts: self.attempts.saturating_add(1),
            due: None,
            lease: Some(lease),
            ..self
        })
    }

    /// It is put off, so that it makes room for others.
    pub fn deferred(self, request: RequestStatus, until: Timestamp) -> Option<Self> {
        self.is_workable(request).then_some(ImageState { due: Some(until), ..self })
    }

    /// Its worker prolongs its lease.
    pub fn renewed(self, token: Token, until: Timestamp) -> Option<Self> {
        self.is_held(token).then_some(ImageState { lease: Some(Lease { token, until }), ..self })
    }

    /// Its worker says what became of it. Whoever's token is not the image's loses, and so does all that comes after its
    /// request was closed.
    pub fn settled(
        self,
        request: RequestStatus,
        token: Token,
        outcome: &Outcome,
        now: Timestamp,
    ) -> Option<Self> {
        if !request.is_open() || !self.is_held(token) {
            return None;
        }
        Some(match outcome {
            Outcome::Completed(_) => self.ended(ImageStatus::Completed),
            Outcome::Failed(_) => self.ended(ImageStatus::Failed),
            Outcome::Retry(due) => self.put_back(*due),
            // It was not touched: the attempt is given back.
            Outcome::GivenBack => {
                ImageState { attempts: self.attempts.saturating_sub(1), ..self.put_back(now) }
            }
        })
    }

    fn is_held(&self, token: Token) -> bool {
        self.status == ImageStatus::Processing && self.lease.is_some_and(|lease| lease.token == token)
    }

    fn ended(self, status: ImageStatus) -> Self {
        ImageState { status, lease: None, due: None, ..self }
    }

    fn put_back(self, due: Timestamp) -> Self {
        ImageState { status: ImageStatus::Pending, lease: None, due: Some(due), ..self }
    }

    /// The image that it follows has ended.
    pub fn led(self, lead: ImageStatus) -> Option<Self> {
        let ends = self.follows && self.status == ImageStatus::Pending && lead.is_end();
        ends.then(|| self.ended(lead))
    }

    /// Its lease is looked at: one that is void makes it pending again, or ends it.
    pub fn rescued(self, request: RequestStatus, void: Void, most: u32, now: Timestamp) -> Option<Rescue> {
        let lost = |lease: &Lease| void == Void::All || lease.until <= now;
        if !request.is_open() || !self.lease.as_ref().is_some_and(lost) {
            return None;
        }
        Some(match exhausted(self.attempts, most) {
            Some(failure) => Rescue::Exhausted(self.ended(ImageStatus::Failed), failure),
            None => Rescue::PutBack(self.put_back(now)),
        })
    }

    /// Its request was cancelled.
    pub fn cancelled(self) -> Option<Self> {
        (!self.status.is_end()).then(|| self.ended(ImageStatus::Cancelled))
    }

    /// It is tried again from the beginning, because somebody asks for it.
    pub fn reopened(self, request: RequestStatus, now: Timestamp) -> Option<Self> {
        request.reopens().contains(&self.status).then(|| self.anew(now))
    }

    /// Its output is gone, and is made again.
    pub fn remade(self, now: Timestamp) -> Option<Self> {
        (self.status == ImageStatus::Completed).then(|| self.anew(now))
    }

    /// What is worked is due at once, for whoever feeds may have read past it. The others follow again.
    fn anew(self, now: Timestamp) -> Self {
        ImageState { attempts: 0, due: (!self.follows).then_some(now), ..self.put_back(now) }
    }
}

/// Why an image fails whose worker was lost in its last attempt; `None` while one is left.
pub fn exhausted(attempts: u32, most: u32) -> Option<Failure> {
    (attempts >= most).then(|| Failure {
        code: Code::AttemptsExhausted,
        message: format!("the worker died in each of {attempts} attempts"),
    })
}

/// Whether the end of an image of an earlier catalogue holds for the one at its place in a later one, given that their
/// inputs are equal. What follows an image ends with it: a failure of its own could never be retried, and an output lies
/// where its lead stood, where a later catalogue may put another picture.
pub fn carries_over(old: &ImageState, new: &ImageState) -> bool {
    new.status == ImageStatus::Pending
        && !new.follows
        && match old.status {
            ImageStatus::Completed => !old.follows,
            ImageStatus::Failed => true,
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::image::Output;

    fn states() -> impl Strategy<Value = ImageState> {
        let status = prop::sample::select(ImageStatus::ALL.as_slice());
        let lease = (0..3i64, 0..9i64)
            .prop_map(|(token, until)| Lease { token: Token(token), until: Timestamp(until) });
        let rest = (0..5u32, prop::option::of((0..9i64).prop_map(Timestamp)), any::<bool>());
        (status, lease, rest).prop_map(|(status, lease, (attempts, due, follows))| ImageState {
            status,
            attempts,
            due: due.filter(|_| status == ImageStatus::Pending),
            lease: (status == ImageStatus::Processing).then_some(lease),
            follows,
        })
    }

    fn requests() -> impl Strategy<Value = RequestStatus> {
        prop::sample::select(RequestStatus::ALL.as_slice())
    }

    fn outcomes() -> impl Strategy<Value = Outcome> {
        let output = Output { location: "a".into(), bytes_before: 2, bytes_after: 1, frames: 1 };
        let failure = Failure { code: Code::FetchStatus, message: "404".into() };
        prop::sample::select(vec![
            Outcome::Completed(output),
            Outcome::Failed(failure),
            Outcome::Retry(Timestamp(7)),
            Outcome::GivenBack,
        ])
    }

    const LEASE: Lease = Lease { token: Token(1), until: Timestamp(5) };
    const NOW: Timestamp = Timestamp(4);

    proptest! {
        /// Whatever happens in whatever order, only steps of the page of states are taken, a lease is there exactly while
        /// somebody works, and an end has neither lease nor due time.
        #[test]
        fn every_step_is_one_of_the_page(state in states(), request in requests(), outcome in outcomes()) {
            let rescue = state.rescued(request, Void::Expired, 3, NOW).map(|rescue| match rescue {
                Rescue::PutBack(state) | Rescue::Exhausted(state, _) => state,
            });
            let after = [
                state.claimed(request, LEASE, NOW),
                state.deferred(request, NOW),
                state.renewed(LEASE.token, NOW),
                state.settled(request, LEASE.token, &outcome, NOW),
                state.led(ImageStatus::Completed),
                rescue,
                state.cancelled(),
                state.reopened(request, NOW),
                state.remade(NOW),
            ];
            for after in after.into_iter().flatten() {
                let same = after.status == state.status;
                prop_assert!(same || state.status.may_become(after.status), "{state:?} {after:?}");
                prop_assert_eq!(after.lease.is_some(), after.status == ImageStatus::Processing);
                prop_assert!(!after.status.is_end() || after.due.is_none());
                prop_assert_eq!(after.follows, state.follows);
            }
        }

        #[test]
        fn attempts_rise_by_claims_alone_and_only_what_was_not_touched_gives_one_back(
            state in states(), request in requests(), outcome in outcomes(),
        ) {
            if let Some(claimed) = state.claimed(request, LEASE, NOW) {
                prop_assert_eq!(claimed.attempts, state.attempts + 1);
                let settled = claimed.settled(RequestStatus::Processing, LEASE.token, &outcome, NOW);
                let attempts = settled.map(|settled| settled.attempts);
                let given_back = outcome == Outcome::GivenBack;
                prop_assert_eq!(attempts, Some(claimed.attempts - u32::from(given_back)));
            }
            if let Some(Rescue::PutBack(after)) = state.rescued(request, Void::All, 3, NOW) {
                prop_assert!(after.attempts == state.attempts && after.attempts < 3);
            }
        }

        #[test]
        fn nothing_is_settled_under_another_token_or_after_its_request_was_closed(
            state in states(), outcome in outcomes(),
        ) {
            prop_assert_eq!(state.settled(RequestStatus::Processing, Token(77), &outcome, NOW), None);
            for closed in [RequestStatus::Completed, RequestStatus::Cancelled, RequestStatus::Receiving] {
                prop_assert_eq!(state.settled(closed, LEASE.token, &outcome, NOW), None);
            }
        }
    }

    #[test]
    fn a_lease_holds_until_its_last_moment_and_no_longer() {
        let open = RequestStatus::Processing;
        let held = ImageState::new(false).claimed(open, LEASE, NOW).unwrap();
        assert_eq!(held.rescued(open, Void::Expired, 3, Timestamp(LEASE.until.0 - 1)), None);
        assert!(held.rescued(open, Void::Expired, 3, LEASE.until).is_some());
        assert!(held.rescued(open, Void::All, 3, NOW).is_some());
        assert_eq!(held.rescued(RequestStatus::Cancelled, Void::All, 3, NOW), None);
    }

    #[test]
    fn an_image_is_exhausted_by_its_last_attempt() {
        assert_eq!(exhausted(2, 3), None);
        assert_eq!(exhausted(3, 3).unwrap().code, Code::AttemptsExhausted);
    }

    #[test]
    fn what_was_put_off_is_claimed_when_its_time_has_come() {
        let open = RequestStatus::Pending;
        let off = ImageState::new(false).deferred(open, Timestamp(5)).unwrap();
        assert_eq!(off.claimed(open, LEASE, Timestamp(4)), None);
        assert!(off.claimed(open, LEASE, Timestamp(5)).is_some());
        assert_eq!((off.is_fresh(open), off.comes_back(open)), (false, Some(Timestamp(5))));
        assert!(ImageState::new(false).is_fresh(open));
        assert!(
            !ImageState::new(true).is_fresh(open)
                && !ImageState::new(false).is_fresh(RequestStatus::Cancelled)
        );
    }

    #[test]
    fn a_retry_begins_anew_and_makes_due_what_is_worked() {
        let failed = ImageState { status: ImageStatus::Failed, attempts: 3, ..ImageState::new(false) };
        let again = failed.reopened(RequestStatus::Completed, NOW).unwrap();
        assert_eq!((again.attempts, again.due, again.status), (0, Some(NOW), ImageStatus::Pending));
        let follower = ImageState { follows: true, ..failed };
        assert_eq!(follower.reopened(RequestStatus::Completed, NOW).unwrap().due, None);
        let cancelled = ImageState { status: ImageStatus::Cancelled, ..failed };
        assert_eq!(cancelled.reopened(RequestStatus::Completed, NOW), None);
        assert!(cancelled.reopened(RequestStatus::Cancelled, NOW).is_some());
    }

    #[test]
    fn ends_are_carried_over_where_a_retry_and_another_picture_can_reach_them() {
        let new = ImageState::new(false);
        let ended = |status, follows| ImageState { status, follows, ..new };
        assert!(carries_over(&ended(ImageStatus::Completed, false), &new));
        assert!(!carries_over(&ended(ImageStatus::Completed, true), &new));
        assert!(carries_over(&ended(ImageStatus::Failed, true), &new));
        assert!(!carries_over(&ended(ImageStatus::Failed, false), &ImageState::new(true)));
        assert!(!carries_over(&ended(ImageStatus::Cancelled, false), &new));
    }
}
