//! `pixmill run`: catalogues in, compressed pictures and results out, on this machine.

mod options;
pub(super) mod output;

use std::sync::Arc;
use std::time::Instant;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{End, Stop, interrupt};
use crate::config::options::RunOptions;
use crate::config::talk::TalkFlags;
use crate::display::{self, Display};
use crate::report::RunReport;
use crate::summary::{self, Summary};
use crate::wiring;

pub(super) use options::RunArgs;
pub(crate) use options::readable;

/// Runs one catalogue after the other.
pub(super) fn run(args: RunArgs) -> Result<End, Stop> {
    let talk = args.talk;
    let jobs = args.resolve()?;
    let several = jobs.len() > 1;
    let runtime = super::runtime()?;
    let stop = interrupt::watch(&runtime);
    let (began, mut summaries) = (Instant::now(), Vec::new());
    for options in jobs {
        let summary =
            runtime.block_on(one(options, talk, stop.clone())).inspect_err(|stop| tell(stop, talk))?;
        show(&summary, talk, several);
        summaries.push(summary);
        if stop.is_cancelled() {
            break;
        }
    }
    runtime.shutdown_background();
    if several {
        show(&Summary::total(&summaries, began.elapsed().as_secs_f64()), talk, false);
    }
    Ok(summaries.iter().map(|summary| end(&summary.report)).max().unwrap_or(End::Done))
}

/// Runs one catalogue.
async fn one(options: RunOptions, talk: TalkFlags, stop: CancellationToken) -> Result<Summary, Stop> {
    let _lock = output::claim(&options.output, &options.catalogue)?;
    let options = output::taken_in(options)?;
    let (catalogue, output) = (options.catalogue.display().to_string(), options.output.clone());
    let again = options.output_prefix.as_ref().map(|_| options.again.clone());
    let name = options.catalogue.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let display = Arc::new(Display::new(talk, &name));
    let stopping = tokio::spawn({
        let (display, stop) = (display.clone(), stop.clone());
        async move {
            stop.cancelled().await;
            display.say("stopping: finishing what is under way; run again to resume");
        }
    });
    let ran = wiring::run(options, display.clone(), stop).await;
    stopping.abort();
    display.finish();
    Ok(Summary { catalogue, output: Some(output), again, report: ran? })
}

/// How a run that ended ends the command.
fn end(report: &RunReport) -> End {
    match report {
        _ if report.interrupted => End::Interrupted,
        _ if report.refused.is_some() => End::Refused,
        _ if report.progress.failed > 0 || report.row_errors_total > 0 => End::Partly,
        _ if report.rows > 0 && report.progress.total() == 0 => End::Partly,
        _ => End::Done,
    }
}

/// Shows a summary; says on standard error why a catalogue was refused. When a total follows, `--quiet` waits for it.
fn show(summary: &Summary, talk: TalkFlags, total_follows: bool) {
    if let Some(fault) = &summary.report.refused {
        display::refusal(&summary.catalogue, fault, &summary.report.row_errors);
    }
    match talk {
        TalkFlags { json: true, quiet } => {
            if !(quiet && total_follows) {
                display::print_json(&summary.to_json());
            }
        }
        TalkFlags { quiet: true, .. } => {}
        _ => display::print(&summary::render(summary)),
    }
}

/// Tells programs of a fault that left nothing to sum up.
fn tell(stop: &Stop, talk: TalkFlags) {
    if let (Stop::Fault(fault), true) = (stop, talk.json) {
        display::print_json(&json!({ "error": summary::error(fault) }));
    }
}

#[cfg(test)]
mod tests;
