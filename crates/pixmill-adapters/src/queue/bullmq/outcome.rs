//! What became of a job, shown as people expect it: state, reason, return value, progress and log.

use std::fmt::Display;
use std::time::SystemTime;

use pixmill_engine::model::image::{Failure, Output};
use pixmill_engine::port::queue::Delivered;
use serde_json::json;

use super::driver::Driver;
use super::job;
use super::jobs::{End, Taken};

/// Processes a job that was taken: hands it over, waits, and shows what became of it.
pub(super) async fn process(driver: &Driver, taken: Taken) {
    let jobs = &driver.jobs;
    if let Some(reason) = taken.job.deferred_failure() {
        // Its parent failed, or another worker gave it up.
        note(jobs.finish(&taken, End::Failed(reason)).await, &taken);
        return;
    }
    let Ok(read) = job::read(&taken.job, &driver.names) else {
        // Somebody edited it since it was looked at.
        note(jobs.give_back(&taken).await, &taken);
        return;
    };
    let ours = job::is_ours(&read);
    match driver.hands.deliver(read).await {
        Some(Delivered::Completed(output)) => completed(driver, &taken, &output).await,
        Some(Delivered::Failed(failure)) => {
            let reason = reason(&failure);
            note(jobs.log(&taken, &reason).await, &taken);
            note(jobs.finish(&taken, End::Failed(&reason)).await, &taken);
        }
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

async fn completed(driver: &Driver, taken: &Taken, output: &Output) {
    let line = format!("{} bytes were fetched, {} stored", output.bytes_before, output.bytes_after);
    note(driver.jobs.worked_off(taken, &line).await, taken);
    let value = json!({ "secure_url": output.location, "bytes": output.bytes_after }).to_string();
    note(driver.jobs.finish(taken, End::Completed(&value)).await, taken);
}

fn reason(failure: &Failure) -> String {
    format!("{}: {}", failure.code, failure.message)
}

/// Takes note of what could not be shown, and says whether it could. Nothing is lost: records know.
fn note<T, E: Display>(shown: Result<T, E>, taken: &Taken) -> bool {
    if let Err(error) = &shown {
        tracing::debug!(job = taken.job.id(), %error, "what became of a job could not be shown");
    }
    shown.is_ok()
}
