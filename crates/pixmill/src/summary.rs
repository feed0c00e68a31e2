//! The closing summary: for people worth a screenshot, for programs the last line.

mod text;

use std::path::{Path, PathBuf};

use pixmill_engine::fault::Fault;
use pixmill_engine::model::row::RowError;
use serde_json::{Value, json};

use crate::display::units::saved_percent;
use crate::report::{OriginFigure, RunReport};

pub(crate) use text::render;

/// Origins that are named.
const ORIGINS: usize = 5;

/// Origins whose pace was learnt that programs are told of.
const PACES: usize = 100;

/// Row errors that are kept.
const ROW_ERRORS: usize = 1000;

/// One catalogue's run, or several taken together.
#[derive(Debug, Clone)]
pub(crate) struct Summary {
    /// The catalogue's path, or how many there were.
    pub(crate) catalogue: String,
    /// Where its results are; none for several.
    pub(crate) output: Option<PathBuf>,
    /// The catalogue with outputs in the places of addresses; none for several.
    pub(crate) again: Option<PathBuf>,
    /// The figures.
    pub(crate) report: RunReport,
}

impl Summary {
    /// The total of several.
    pub(crate) fn total(summaries: &[Summary], seconds: f64) -> Summary {
        let mut total = RunReport { seconds, ..RunReport::default() };
        for summary in summaries {
            add(&mut total, &summary.report);
        }
        total.row_errors.truncate(ROW_ERRORS);
        total.failures.sort_by_key(|group| std::cmp::Reverse(group.images));
        Summary {
            catalogue: format!("{} catalogues", summaries.len()),
            output: None,
            again: None,
            report: total,
        }
    }

    /// Where the results are, or will be when an interrupted run has been resumed.
    fn results(&self) -> Option<PathBuf> {
        self.output
            .as_ref()
            .filter(|_| self.report.refused.is_none())
            .map(|output| output.join("results.csv"))
    }

    /// As the last line of `--json` has it.
    pub(crate) fn to_json(&self) -> Value {
        let report = &self.report;
        let progress = &report.progress;
        let failures = report.failures.iter().map(|group| {
            json!({
                "code": group.code.as_str(),
                "images": group.images,
                "example": without_query(&group.example),
                "message": group.message,
                "advice": group.code.advice(),
            })
        });
        let origins = slowest(&report.origins).into_iter().map(|origin| {
            json!({
                "origin": origin.origin,
                "images": origin.images,
                "mean_ms": origin.mean_ms,
                "slowest_ms": origin.slowest_ms,
            })
        });
        let paces = report.paces.iter().take(PACES).map(|learnt| {
            json!({
                "origin": learnt.origin,
                "requests_per_second": learnt.per_second.map(rounded),
                "refused": learnt.refusals,
            })
        });
        let mut summary = json!({
            "catalogue": self.catalogue,
            "images": progress.total(),
            "completed": progress.completed,
            "failed": progress.failed,
            "pending": progress.pending + progress.processing,
            "noted": report.noted,
            "rows": report.rows,
            "row_errors": report.row_errors.iter().map(row_error).collect::<Vec<_>>(),
            "row_errors_total": report.row_errors_total,
            "bytes_before": progress.bytes_before,
            "bytes_after": progress.bytes_after,
            "saved_percent": saved_percent(progress.bytes_before, progress.bytes_after),
            "seconds": (report.seconds * 1000.0).round() / 1000.0,
            "fetched_now": report.fetched_now,
            "resumed": report.resumed,
            "interrupted": report.interrupted,
            "understood": report.understood.to_json(),
            "results": self.results(),
            "catalogue_again": self.again.as_ref().filter(|_| self.results().is_some()),
            "failures": failures.collect::<Vec<_>>(),
            "slowest_origins": origins.collect::<Vec<_>>(),
            "origins": paces.collect::<Vec<_>>(),
        });
        if let Some(fault) = &report.refused {
            summary["error"] = error(fault);
        }
        json!({ "summary": summary })
    }
}

/// A fault as JSON has it.
pub(crate) fn error(fault: &Fault) -> Value {
    json!({"code": fault.code.as_str(), "message": fault.message, "advice": fault.code.advice()})
}

/// A row that can't be used, as JSON has it.
pub(crate) fn row_error(error: &RowError) -> Value {
    json!({"line": error.line, "code": error.code.as_str(), "message": error.message})
}

fn add(total: &mut RunReport, one: &RunReport) {
    total.rows += one.rows;
    total.row_errors.extend(one.row_errors.iter().cloned());
    total.row_errors_total += one.row_errors_total;
    total.fetched_now += one.fetched_now;
    total.noted += one.noted;
    total.resumed += one.resumed;
    total.interrupted |= one.interrupted;
    total.progress.pending += one.progress.pending;
    total.progress.processing += one.progress.processing;
    total.progress.completed += one.progress.completed;
    total.progress.failed += one.progress.failed;
    total.progress.cancelled += one.progress.cancelled;
    total.progress.bytes_before += one.progress.bytes_before;
    total.progress.bytes_after += one.progress.bytes_after;
    for group in &one.failures {
        match total.failures.iter_mut().find(|known| known.code == group.code) {
            Some(known) => known.images += group.images,
            None => total.failures.push(group.clone()),
        }
    }
    for learnt in &one.paces {
        match total.paces.iter_mut().find(|known| known.origin == learnt.origin) {
            Some(known) => {
                known.refusals += learnt.refusals;
                known.per_second = learnt.per_second;
            }
            None => total.paces.push(learnt.clone()),
        }
    }
    for origin in &one.origins {
        match total.origins.iter_mut().find(|known| known.origin == origin.origin) {
            Some(known) => join(known, origin),
            None => total.origins.push(origin.clone()),
        }
    }
}

/// Requests a second, as they are shown.
fn rounded(per_second: f64) -> f64 {
    (per_second * 100.0).round() / 100.0
}

fn join(known: &mut OriginFigure, other: &OriginFigure) {
    let images = known.images + other.images;
    let milliseconds = known.mean_ms * known.images + other.mean_ms * other.images;
    known.mean_ms = milliseconds / images.max(1);
    known.images = images;
    known.slowest_ms = known.slowest_ms.max(other.slowest_ms);
}

/// The slowest origins, slowest first; local files are none.
fn slowest(origins: &[OriginFigure]) -> Vec<&OriginFigure> {
    let mut origins: Vec<_> = origins.iter().filter(|origin| origin.origin != "file:").collect();
    origins.sort_by(|one, other| other.mean_ms.cmp(&one.mean_ms).then_with(|| one.origin.cmp(&other.origin)));
    origins.truncate(ORIGINS);
    origins
}

/// An input without its query, which may hold a signature, and without a password.
pub(crate) fn without_query(input: &str) -> String {
    let (before, query) = match input.split_once('?') {
        Some((before, _)) if before.contains("://") => (before, "?…"),
        _ => (input, ""),
    };
    match before.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = authority.rsplit('@').next().unwrap_or(authority);
            format!("{scheme}://{host}{path}{query}")
        }
        None => format!("{before}{query}"),
    }
}

/// A path as it is shown.
pub(crate) fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests;
