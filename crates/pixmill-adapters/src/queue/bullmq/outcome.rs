//! What became of a job, shown as people expect it: state, reason, return value, progress and log.

use std::fmt::Display;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use pixmill_engine::model::image::Failure;
use pixmill_engine::port::queue::Delivered;
use serde_json::json;

use super::driver::Work;
use super::hands::Hands;
use super::job;
use super::jobs::{End, Jobs, Taken};
use super::shape::{Names, Waiting};

/// Jobs that name images: dispatch is asked what becomes of them.
pub(super) struct Images {
    pub(super) hands: Arc<Hands>,
    pub(super) names: Names,
    /// Whether records may know images of other programs.
    pub(super) foreign: bool,
}

/// What a job of another program lacks where records are a file that this server made for itself.
const NO_RECORDS: &str = "its image can be in no records: name those that its program writes (MONGODB_URI)";

#[async_trait]
impl Work for Images {
    fn lacks(&self, waiting: &Waiting<'_>) -> Option<String> {
        let lacks = match waiting.shape(&self.names) {
            Ok(shape) if self.foreign || job::is_id_of_ours(waiting.id, shape.image) => return None,
            Ok(_) => return Some(NO_RECORDS.to_owned()),
            Err(lacks) => lacks,
        };
        let named = waiting.known(&self.names).is_err() && waiting.data.is_some() && !waiting.scheduled;
        Some(if named { format!("{lacks} (--queue-job-name)") } else { lacks })
    }

    async fn process(&self, jobs: &Jobs, taken: Taken) {
        process(self, jobs, taken).await;
    }
}

/// Processes a job that was taken: hands it over, waits, and shows what became of it.
async fn process(images: &Images, jobs: &Jobs, taken: Taken) {
    if let Some(reason) = taken.job.deferred_failure() {
        // Its parent failed, or another worker gave it up.
        note(jobs.finish(&taken, End::Failed(reason)).await, &taken);
        return;
    }
    let Ok(read) = job::read(&taken.job, &images.names) else {
        // Somebody edited it since it was looked at.
        note(jobs.give_back(&taken).await, &taken);
        return;
    };
    let ours = job::is_ours(&read);
    match images.hands.deliver(read).await {
        Some(Delivered::Completed(output)) => {
            let line = format!("{} bytes were fetched, {} stored", output.bytes_before, output.bytes_after);
            let value = json!({ "secure_url": output.location, "bytes": output.bytes_after }).to_string();
            completed(jobs, &taken, &line, &value).await;
        }
        Some(Delivered::Failed(failure)) => failed(jobs, &taken, &reason(&failure)).await,
        Some(Delivered::Retried { wait, fault }) => {
            let at = httpdate::fmt_http_date(SystemTime::now() + wait);
            note(jobs.log(&taken, &format!("{fault}; it is tried again at {at}")).await, &taken);
            note(jobs.delay(&taken, wait, Some(&fault.to_string())).await, &taken);
        }
        Some(Delivered::PutOff(wait)) => {
            let moved = note(jobs.delay(&taken, wait, None).await, &taken);
            if ours && moved {
                // Records feed it again when its time has come; here it would only fill the window.
                note(jobs.remove(&[taken.job.id().to_owned()]).await, &taken);
            }
        }
        Some(Delivered::Returned) => {
            note(jobs.give_back(&taken).await, &taken);
        }
        // It is elsewhere now, or will be once its lock has expired.
        None => {}
    }
}

/// Ends a job that is done with a value, which is JSON, and tells its log.
pub(super) async fn completed(jobs: &Jobs, taken: &Taken, line: &str, value: &str) {
    note(jobs.worked_off(taken, line).await, taken);
    note(jobs.finish(taken, End::Completed(value)).await, taken);
}

/// Ends a job that failed, and tells its log why.
pub(super) async fn failed(jobs: &Jobs, taken: &Taken, reason: &str) {
    note(jobs.log(taken, reason).await, taken);
    note(jobs.finish(taken, End::Failed(reason)).await, taken);
}

fn reason(failure: &Failure) -> String {
    format!("{}: {}", failure.code, failure.message)
}

/// Takes note of what could not be shown, and says whether it could. Nothing is lost: records know.
pub(super) fn note<T, E: Display>(shown: Result<T, E>, taken: &Taken) -> bool {
    if let Err(error) = &shown {
        tracing::debug!(job = taken.job.id(), %error, "what became of a job could not be shown");
    }
    shown.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_of_others_are_left_alone_where_records_can_not_know_them() {
        let data = json!({ "requestId": "r", "imageId": "image", "inputUrl": "http://a/1.jpg" });
        let lacks = |foreign, id| {
            let images = Images { hands: Arc::default(), names: Names(vec![job::NAME.into()]), foreign };
            images.lacks(&Waiting { id, name: job::NAME, data: Some(&data), scheduled: false })
        };
        assert_eq!((lacks(true, "7"), lacks(true, "image-1-1")), (None, None));
        assert_eq!(lacks(false, "image-1-1"), None, "it is ours");
        assert!(lacks(false, "7").is_some_and(|told| told.contains("MONGODB_URI")));
    }
}
