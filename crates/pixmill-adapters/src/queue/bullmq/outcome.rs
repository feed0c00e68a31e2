//! What became of a job, shown as people expect it: state, reason, return value, progress and log.

use std::time::SystemTime;

use bullmq::types::JobProgress;
use bullmq::{Error, Job, Queue};
use pixmill_engine::model::image::{Failure, Output};
use pixmill_engine::port::queue::Delivered;
use serde_json::{Value, json};

use super::hands::Hands;
use super::job;

/// Processes a job that the worker took: hands it over, waits, and shows what became of it.
///
/// # Errors
/// How the worker is told that the job failed, or has been moved elsewhere.
pub(super) async fn process(queue: &Queue, hands: &Hands, taken: Job) -> Result<Value, Error> {
    let read = match job::read(&taken) {
        Ok(read) => read,
        Err(failure) => return Err(Error::Unrecoverable(reason(&failure))),
    };
    let ours = job::is_ours(&read);
    match hands.deliver(read).await {
        Some(Delivered::Completed(output)) => return Ok(completed(queue, &taken, &output).await),
        Some(Delivered::Failed(failure)) => {
            let reason = reason(&failure);
            note(taken.log(&reason).await, &taken);
            return Err(Error::Unrecoverable(reason));
        }
        Some(Delivered::Retried { wait, fault }) => {
            let at = SystemTime::now() + wait;
            let line = format!("{fault}; it is tried again at {}", httpdate::fmt_http_date(at));
            note(taken.log(&line).await, &taken);
            note(taken.move_to_delayed(milliseconds(at)).await, &taken);
        }
        Some(Delivered::PutOff(wait)) => {
            let at = SystemTime::now() + wait;
            let moved = note(taken.move_to_delayed(milliseconds(at)).await, &taken);
            if ours && moved {
                // Records feed it again when its time has come; here it would only fill the window.
                note(queue.remove(taken.id()).await, &taken);
            }
        }
        Some(Delivered::Returned) => {
            note(taken.move_to_wait(None).await, &taken);
        }
        None => {}
    }
    // It is elsewhere now, or will be once its lock has expired: the worker is not to touch it.
    Err(Error::Delayed)
}

async fn completed(queue: &Queue, job: &Job, output: &Output) -> Value {
    let line = format!("{} bytes were fetched, {} stored", output.bytes_before, output.bytes_after);
    let progress = queue.update_job_progress(job.id(), JobProgress::Number(100.0));
    let (logged, progressed) = tokio::join!(job.log(&line), progress);
    note(logged, job);
    note(progressed, job);
    json!({ "secure_url": output.location, "bytes": output.bytes_after })
}

fn reason(failure: &Failure) -> String {
    format!("{}: {}", failure.code, failure.message)
}

/// Takes note of what could not be shown, and says whether it could. Nothing is lost: records know.
fn note<T>(shown: Result<T, Error>, job: &Job) -> bool {
    if let Err(error) = &shown {
        tracing::debug!(job = job.id(), %error, "what became of a job could not be shown");
    }
    shown.is_ok()
}

fn milliseconds(at: SystemTime) -> u64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
