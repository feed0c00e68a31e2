//! What is done with a job whose image records had to be asked about.

use std::time::Duration;

use crate::code::Code;
use crate::model::image::{Candidate, Failure, Standing};
use crate::model::time::Timestamp;
use crate::port::queue::{Delivered, Job};

/// How soon a job is looked at again whose image somebody else works on, as a part of that one's lease.
const LOOK_AGAIN: u32 = 4;

/// How long after its job an image's document may come: some producers add jobs first, or write to another member of a
/// replica set. In between it is looked for again, later each time.
pub(super) const LATEST_DOCUMENT: Duration = Duration::from_secs(60);
const SOONEST_LOOK: Duration = Duration::from_secs(1);
const LATEST_LOOK: Duration = Duration::from_secs(10);

/// What is done with a job.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Its image may be claimed.
    Start(Candidate),
    /// There is nothing to do for it now.
    Finish(Delivered),
}

/// Decides about a job by how its image stands, where images are held for as long as `lease`. The job has been known here
/// for so long, whatever the clocks say.
pub(super) fn decide(
    job: &Job,
    standing: Standing,
    lease: Duration,
    now: Timestamp,
    known_for: Duration,
) -> Decision {
    let failed = |code, message: String| Decision::Finish(Delivered::Failed(Failure { code, message }));
    match standing {
        Standing::Claimable(candidate, _) if candidate.request != job.request => failed(
            Code::JobUnknown,
            format!("image {} does not belong to request {}, which the job names", job.image, job.request),
        ),
        Standing::Claimable(candidate, from) if from <= now => Decision::Start(candidate),
        Standing::Claimable(_, from) => Decision::Finish(Delivered::PutOff(from.since(now))),
        Standing::Held => Decision::Finish(Delivered::PutOff(lease / LOOK_AGAIN)),
        Standing::Completed(output) => Decision::Finish(Delivered::Completed(output)),
        Standing::Failed(failure) => Decision::Finish(Delivered::Failed(failure)),
        Standing::Cancelled => {
            failed(Code::RequestCancelled, format!("request {} was cancelled", job.request))
        }
        Standing::Unknown => match documents_come(job, now, known_for) {
            Some(wait) => Decision::Finish(Delivered::PutOff(wait)),
            None => failed(
                Code::JobUnknown,
                format!("there is no image {} of request {} in records", job.image, job.request),
            ),
        },
    }
}

/// How soon to look again for the document of a job that was added lately.
fn documents_come(job: &Job, now: Timestamp, known_for: Duration) -> Option<Duration> {
    // A clock that is behind the producer's would find it new for as long as that.
    let age = now.since(job.added?).max(known_for);
    (age < LATEST_DOCUMENT).then(|| age.clamp(SOONEST_LOOK, LATEST_LOOK))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn decide(job: &Job, standing: Standing, now: Timestamp) -> Decision {
        super::decide(job, standing, Duration::from_secs(60), now, Duration::ZERO)
    }

    fn job(request: &str) -> Job {
        Job {
            id: "7".into(),
            image: "image".into(),
            request: request.into(),
            candidate: None,
            retries: None,
            added: None,
        }
    }

    fn candidate() -> Candidate {
        Candidate {
            image: "image".into(),
            request: "request".into(),
            input: "http://a/1.jpg".into(),
            round: 1,
            attempts: 1,
            tenant: String::new(),
        }
    }

    fn code(decision: Decision) -> Option<Code> {
        match decision {
            Decision::Finish(Delivered::Failed(failure)) => Some(failure.code),
            _ => None,
        }
    }

    #[test]
    fn an_image_starts_when_its_time_has_come() {
        let claimable = |from| Standing::Claimable(candidate(), from);
        assert_eq!(decide(&job("request"), claimable(NOW), NOW), Decision::Start(candidate()));
        let later = NOW + Duration::from_secs(3);
        let put_off = Decision::Finish(Delivered::PutOff(Duration::from_secs(3)));
        assert_eq!(decide(&job("request"), claimable(later), NOW), put_off);
    }

    #[test]
    fn an_image_that_somebody_holds_is_looked_at_again_before_the_lease_is_over() {
        let soon = Decision::Finish(Delivered::PutOff(Duration::from_secs(15)));
        assert_eq!(decide(&job("request"), Standing::Held, NOW), soon);
    }

    #[test]
    fn jobs_that_records_do_not_know_fail() {
        assert_eq!(code(decide(&job("request"), Standing::Unknown, NOW)), Some(Code::JobUnknown));
        let strange = decide(&job("another"), Standing::Claimable(candidate(), NOW), NOW);
        assert_eq!(code(strange), Some(Code::JobUnknown));
    }

    #[test]
    fn documents_that_come_up_to_a_minute_after_their_job_are_waited_for() {
        let added = |seconds: i64| Job { added: Some(Timestamp(NOW.0 - seconds * 1_000)), ..job("request") };
        for (seconds, wait) in [(0, 1), (4, 4), (59, 10)] {
            let look_again = Decision::Finish(Delivered::PutOff(Duration::from_secs(wait)));
            assert_eq!(decide(&added(seconds), Standing::Unknown, NOW), look_again);
        }
        assert_eq!(code(decide(&added(60), Standing::Unknown, NOW)), Some(Code::JobUnknown));
    }

    #[test]
    fn a_clock_that_is_behind_makes_no_document_waited_for_longer() {
        let ahead = Job { added: Some(NOW + Duration::from_secs(7_200)), ..job("request") };
        let known_for = |seconds| {
            let lease = Duration::from_secs(60);
            super::decide(&ahead, Standing::Unknown, lease, NOW, Duration::from_secs(seconds))
        };
        assert_eq!(known_for(59), Decision::Finish(Delivered::PutOff(Duration::from_secs(10))));
        assert_eq!(code(known_for(60)), Some(Code::JobUnknown));
    }

    #[test]
    fn an_image_that_ended_ends_its_job_alike() {
        let gone = Failure { code: Code::FetchStatus, message: "404".into() };
        let failed = decide(&job("request"), Standing::Failed(gone.clone()), NOW);
        assert_eq!(failed, Decision::Finish(Delivered::Failed(gone)));
        assert_eq!(code(decide(&job("request"), Standing::Cancelled, NOW)), Some(Code::RequestCancelled));
    }
}
