//! What a check has to report.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use pixmill_engine::catalogue::Understood;
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::row::RowError;
use serde_json::{Value, json};

use super::super::End;
use crate::preflight::estimate::{Estimate, Figures};
use crate::preflight::problems::{Problem, Problems};
use crate::preflight::survey::Survey;
use crate::summary;

/// Origins that are named, those with most images first.
const ORIGINS: usize = 100;

/// Problems that are kept.
const KEPT: usize = 1000;

/// One catalogue's check, or several taken together.
#[derive(Debug, Default)]
pub(super) struct CheckReport {
    pub(super) catalogue: String,
    pub(super) understood: Understood,
    pub(super) rows: u64,
    pub(super) images: u64,
    pub(super) distinct: u64,
    pub(super) row_errors: Vec<RowError>,
    pub(super) row_errors_total: u64,
    pub(super) problems: Vec<Problem>,
    pub(super) problems_total: u64,
    pub(super) groups: BTreeMap<Code, (u64, Problem)>,
    pub(super) origins: Vec<OriginReport>,
    /// Origins in all.
    pub(super) origins_total: usize,
    pub(super) estimate: Estimate,
    pub(super) refused: Option<Fault>,
    pub(super) seconds: f64,
}

/// One origin.
#[derive(Debug)]
pub(super) struct OriginReport {
    pub(super) origin: String,
    pub(super) images: u64,
    pub(super) distinct: u64,
    pub(super) figures: Figures,
}

impl CheckReport {
    pub(super) fn new(
        catalogue: &Path,
        survey: Survey,
        problems: Problems,
        figures: &BTreeMap<String, Figures>,
        estimate: Estimate,
        took: Duration,
    ) -> Self {
        let origins_total = survey.origins.len();
        let mut origins: Vec<_> = survey
            .origins
            .into_iter()
            .map(|(origin, share)| OriginReport {
                figures: figures.get(&origin).cloned().unwrap_or_default(),
                origin,
                images: share.images,
                distinct: share.distinct,
            })
            .collect();
        origins.sort_by_key(|origin| std::cmp::Reverse(origin.images));
        origins.truncate(ORIGINS);
        CheckReport {
            catalogue: catalogue.display().to_string(),
            understood: survey.understood,
            rows: survey.rows,
            images: survey.images,
            distinct: survey.distinct,
            row_errors: problems.row_errors,
            row_errors_total: problems.row_errors_total,
            problems: problems.images,
            problems_total: problems.images_total,
            groups: problems.groups,
            origins,
            origins_total,
            estimate,
            refused: survey.refused,
            seconds: took.as_secs_f64(),
        }
    }

    /// The total of several: what can be summed.
    pub(super) fn total(reports: &[CheckReport]) -> Self {
        let mut total =
            CheckReport { catalogue: format!("{} catalogues", reports.len()), ..CheckReport::default() };
        for report in reports {
            total.rows += report.rows;
            total.images += report.images;
            total.distinct += report.distinct;
            total.row_errors.extend(report.row_errors.iter().cloned());
            total.row_errors_total += report.row_errors_total;
            total.problems_total += report.problems_total;
            total.seconds += report.seconds;
            let (sum, one) = (&mut total.estimate, &report.estimate);
            sum.bytes_before = plus(sum.bytes_before, one.bytes_before);
            sum.bytes_after = plus(sum.bytes_after, one.bytes_after);
            sum.seconds = plus(sum.seconds, one.seconds);
        }
        total.row_errors.truncate(KEPT);
        total
    }

    /// How the check ends the command.
    pub(super) fn end(&self) -> End {
        match self {
            _ if self.refused.is_some() => End::Refused,
            _ if self.row_errors_total + self.problems_total > 0 => End::Partly,
            _ if self.rows > 0 && self.images == 0 => End::Partly,
            _ => End::Done,
        }
    }

    /// As a line of `--json` has it.
    pub(super) fn to_json(&self) -> Value {
        let whole = |value: Option<f64>| value.map(|value| value.round() as u64);
        let mut summary = json!({
            "catalogue": self.catalogue,
            "understood": self.understood.to_json(),
            "rows": self.rows,
            "images": self.images,
            "distinct": self.distinct,
            "duplicates": self.images - self.distinct,
            "row_errors": self.row_errors.iter().map(summary::row_error).collect::<Vec<_>>(),
            "row_errors_total": self.row_errors_total,
            "problems": self.problems.iter().map(problem).collect::<Vec<_>>(),
            "problems_total": self.problems_total,
            "origins": self.origins.iter().map(origin).collect::<Vec<_>>(),
            "origins_total": self.origins_total,
            "estimate": {
                "bytes_before": whole(self.estimate.bytes_before),
                "bytes_after": whole(self.estimate.bytes_after),
                "seconds": whole(self.estimate.seconds),
            },
            "seconds": (self.seconds * 1e3).round() / 1e3,
        });
        if let Some(fault) = &self.refused {
            summary["error"] = summary::error(fault);
        }
        json!({ "summary": summary })
    }
}

fn plus(sum: Option<f64>, one: Option<f64>) -> Option<f64> {
    match (sum, one) {
        (Some(sum), Some(one)) => Some(sum + one),
        (sum, one) => sum.or(one),
    }
}

fn problem(problem: &Problem) -> Value {
    json!({
        "line": problem.line,
        "position": problem.position,
        "code": problem.code.as_str(),
        "message": problem.message,
    })
}

fn origin(origin: &OriginReport) -> Value {
    let figures = &origin.figures;
    json!({
        "origin": origin.origin,
        "images": origin.images,
        "distinct": origin.distinct,
        "probed": figures.probed,
        "failed": figures.failed,
        "mean_bytes": figures.mean_bytes(),
        "mean_ms": figures.mean_seconds().map(|seconds| (seconds * 1e3).round() as u64),
        "slowest_ms": figures.slowest.as_millis() as u64,
    })
}
