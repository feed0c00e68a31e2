//! What our jobs look like in BullMQ, and what is read from jobs that anybody added.

use std::time::Duration;

use bullmq::JobOptions;
use bullmq::types::BackoffStrategy;
use pixmill_engine::model::id::{ImageId, RequestId};
use pixmill_engine::model::image::Candidate;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::queue::{Backoff, Job, Retries};
use serde_json::json;

use super::shape::{Names, Shape, Waiting};

/// The name of our jobs.
pub(super) const NAME: &str = "process-image";

/// How many of our ended jobs are kept, by their end, and for how long, in seconds.
const KEPT: usize = 1_000;
const KEPT_SECONDS: u64 = 86_400;

/// Jobs of earlier attempts that are looked for: they live on where an attempt was put off.
const EARLIER: u32 = 8;

/// The id of the job of an attempt, from 1. Feeding an attempt twice adds one job. BullMQ forbids colons.
fn id(image: &ImageId, round: u32, attempt: u32) -> String {
    format!("{}-{round}-{attempt}", image.as_str().replace(':', "%3A"))
}

/// The id of the job for a candidate's next attempt.
pub(super) fn next_id(candidate: &Candidate) -> String {
    id(&candidate.image, candidate.round, candidate.attempts + 1)
}

/// The ids under which a candidate may still have a job, the next attempt's first.
pub(super) fn ids(candidate: &Candidate) -> Vec<String> {
    let next = candidate.attempts + 1;
    let attempts = (next.saturating_sub(EARLIER).max(1)..=next).rev();
    attempts.map(|attempt| id(&candidate.image, candidate.round, attempt)).collect()
}

/// Whether this is the id of one of our jobs for the image, and for which round and attempt.
fn ours(id_of_job: &str, image: &ImageId) -> Option<(u32, u32)> {
    let mut parts = id_of_job.rsplitn(3, '-');
    let (attempt, round) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    (id(image, round, attempt) == id_of_job).then_some((round, attempt))
}

/// Whether this is the id of a job of ours for the image.
pub(super) fn is_id_of_ours(id: &str, image: &str) -> bool {
    ours(id, &ImageId::from(image)).is_some()
}

/// The id and data of a job of ours for a candidate's next attempt.
pub(super) fn added(candidate: &Candidate) -> (String, String) {
    let data = json!({
        "requestId": candidate.request.as_str(),
        "imageId": candidate.image.as_str(),
        "inputUrl": candidate.input,
    });
    (next_id(candidate), data.to_string())
}

/// The options of our jobs.
pub(super) fn options() -> String {
    let keep = json!({ "age": KEPT_SECONDS, "count": KEPT });
    json!({ "removeOnComplete": keep, "removeOnFail": keep }).to_string()
}

/// Reads a job that was taken.
///
/// # Errors
/// What it lacks.
pub(super) fn read(job: &bullmq::Job, names: &Names) -> Result<Job, String> {
    let waiting = Waiting {
        id: job.id(),
        name: job.name(),
        data: Some(job.data()),
        scheduled: job.repeat_job_key().is_some(),
    };
    let Shape { request, image, input } = waiting.shape(names)?;
    let (image, request) = (ImageId::from(image), RequestId::from(request));
    let ours = ours(job.id(), &image);
    // Only a first attempt that was never delivered before is as it was when it was fed.
    let fresh = |&(_, attempt): &(u32, u32)| attempt == 1 && job.attempts_started() <= 1;
    Ok(Job {
        id: job.id().into(),
        candidate: ours.filter(fresh).map(|(round, _)| Candidate {
            image: image.clone(),
            request: request.clone(),
            input: input.to_owned(),
            round,
            attempts: 0,
            tenant: String::new(),
        }),
        retries: if ours.is_none() { retries(job.opts()) } else { None },
        added: ours.is_none().then(|| Timestamp(i64::try_from(job.timestamp()).unwrap_or_default())),
        image,
        request,
    })
}

/// Whether pixmill added a job that was read.
pub(super) fn is_ours(job: &Job) -> bool {
    ours(job.id.as_str(), &job.image).is_some()
}

fn retries(options: &JobOptions) -> Option<Retries> {
    let attempts = options.attempts.filter(|attempts| *attempts > 0)?;
    let backoff = match &options.backoff {
        Some(BackoffStrategy::Fixed(delay)) => Some(Backoff::Fixed(Duration::from_millis(*delay))),
        Some(BackoffStrategy::Exponential(delay)) => {
            Some(Backoff::Exponential(Duration::from_millis(*delay)))
        }
        // A strategy that its producer's own workers know.
        Some(BackoffStrategy::Custom(_)) => None,
        None => Some(Backoff::Fixed(Duration::ZERO)),
    };
    Some(Retries { attempts, backoff })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn read(job: &bullmq::Job) -> Result<Job, String> {
        super::read(job, &Names(vec![NAME.into()]))
    }

    fn job(id: &str, data: &str, options: &str) -> bullmq::Job {
        let fields =
            [("name", NAME), ("data", data), ("opts", options), ("ats", "1"), ("timestamp", "1700000000000")];
        let fields: HashMap<_, _> =
            fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        bullmq::Job::from_redis_hash(id, &fields).unwrap()
    }

    #[test]
    fn a_job_of_another_program_says_when_it_was_added() {
        assert_eq!(read(&job("i-1-1-1", DATA, "{}")).unwrap().added, None);
        assert_eq!(read(&job("7", DATA, "{}")).unwrap().added, Some(Timestamp(1_700_000_000_000)));
    }

    const DATA: &str = r#"{"requestId":"r","imageId":"i-1","inputUrl":"http://a/1.jpg"}"#;

    #[test]
    fn our_jobs_are_known_by_their_ids() {
        let fresh = read(&job("i-1-2-1", DATA, "{}")).unwrap();
        let candidate = fresh.candidate.as_ref().unwrap();
        assert_eq!((candidate.round, candidate.attempts, candidate.input.as_str()), (2, 0, "http://a/1.jpg"));
        assert!(is_ours(&fresh));
        let again = read(&job("i-1-2-3", DATA, "{}")).unwrap();
        assert!(is_ours(&again) && again.candidate.is_none());
        for id in ["7", "i-1", "i-1-2", "i-2-1-1", "x-i-1-1-1", "i-1-1-01", "i-1--1"] {
            let foreign = read(&job(id, DATA, "{}")).unwrap();
            assert!(!is_ours(&foreign) && foreign.candidate.is_none(), "{id}");
        }
    }

    #[test]
    fn an_id_with_a_colon_is_allowed() {
        let candidate = Candidate {
            image: "a:b".into(),
            request: "r".into(),
            input: "http://a/1.jpg".into(),
            round: 1,
            attempts: 11,
            tenant: String::new(),
        };
        assert_eq!(next_id(&candidate), "a%3Ab-1-12");
        let ids = ids(&candidate);
        assert_eq!((ids.len(), ids[0].as_str(), ids[8].as_str()), (9, "a%3Ab-1-12", "a%3Ab-1-4"));
        let data = r#"{"requestId":"r","imageId":"a:b","inputUrl":"http://a/1.jpg"}"#;
        assert!(is_ours(&read(&job("a%3Ab-1-12", data, "{}")).unwrap()));
    }

    #[test]
    fn a_producers_word_on_retries_is_read() {
        let read = |id, options| read(&job(id, DATA, options)).unwrap().retries;
        assert_eq!(read("7", "{}"), None);
        assert_eq!(read("7", r#"{"attempts":0}"#), None);
        let exponential =
            read("7", r#"{"attempts":3,"backoff":{"type":"exponential","delay":200}}"#).unwrap();
        assert_eq!(exponential.attempts, 3);
        assert_eq!(exponential.backoff, Some(Backoff::Exponential(Duration::from_millis(200))));
        let at_once = read("7", r#"{"attempts":2}"#).unwrap();
        assert_eq!(at_once.backoff, Some(Backoff::Fixed(Duration::ZERO)));
        let custom = read("7", r#"{"attempts":2,"backoff":{"type":"own"}}"#).unwrap();
        assert_eq!(custom.backoff, None);
        assert_eq!(read("i-1-1-1", r#"{"attempts":3}"#), None, "ours are records' business");
    }
}
