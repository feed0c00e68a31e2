//! The report as people read it.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};

use super::report::{CheckReport, OriginReport};
use crate::display::units::{Bytes, Count, Seconds, counted};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const RED: Style = AnsiColor::Red.on_default().bold();

/// Origins that are shown.
const ORIGINS: usize = 8;

/// Rows that can't be used that are shown.
const ROWS: usize = 5;

/// The report with ANSI styles, which whoever prints it strips where they are not wanted.
pub(super) fn render(report: &CheckReport) -> String {
    let mut text = String::new();
    // Writing to a String can't fail.
    let _ = figures(&mut text, report)
        .and_then(|()| understood(&mut text, report))
        .and_then(|()| origins(&mut text, report))
        .and_then(|()| problems(&mut text, report))
        .and_then(|()| estimate(&mut text, report));
    text
}

fn figures(text: &mut String, report: &CheckReport) -> std::fmt::Result {
    writeln!(text, "\n{BOLD}{}{BOLD:#}", report.catalogue)?;
    let mut rows = Count(report.rows).to_string();
    if report.row_errors_total > 0 {
        write!(rows, ", and {RED}{} that can't be used{RED:#}", Count(report.row_errors_total))?;
    }
    line(text, "rows", &rows)?;
    let mut images = Count(report.images).to_string();
    if report.distinct < report.images {
        write!(images, ", {} of them distinct", Count(report.distinct))?;
    }
    if report.problems_total > 0 {
        write!(images, ", {RED}{} with problems{RED:#}", Count(report.problems_total))?;
    }
    line(text, "images", &images)
}

fn understood(text: &mut String, report: &CheckReport) -> std::fmt::Result {
    let understood = &report.understood;
    if report.refused.is_some() || understood.columns.is_empty() {
        return Ok(());
    }
    if understood.is_without_pictures() {
        writeln!(text, "\n{RED}no picture was found{RED:#}: name a column with --column")?;
    }
    writeln!(text, "\n{BOLD}understood{BOLD:#}")?;
    let lines = understood.summary().into_iter().chain(understood.counted());
    lines.into_iter().try_for_each(|line| writeln!(text, "  {line}"))
}

fn origins(text: &mut String, report: &CheckReport) -> std::fmt::Result {
    if report.origins.is_empty() {
        return Ok(());
    }
    writeln!(text, "\n{BOLD}origins{BOLD:#}")?;
    let shown = report.origins.iter().take(ORIGINS);
    let width = shown.clone().map(|origin| origin.origin.chars().count()).max().unwrap_or(0);
    for origin in shown {
        writeln!(text, "  {:width$}  {}", origin.origin, probed(origin))?;
    }
    match report.origins_total.saturating_sub(ORIGINS) {
        0 => Ok(()),
        more => writeln!(text, "  and {} more", Count(more as u64)),
    }
}

fn probed(origin: &OriginReport) -> String {
    let figures = &origin.figures;
    let mut parts = vec![counted(origin.images, "image", "images")];
    if figures.probed > 0 {
        parts.push(format!("{} probed", Count(figures.probed)));
    }
    if figures.failed > 0 {
        parts.push(format!("{RED}{} failed{RED:#}", Count(figures.failed)));
    }
    parts.extend(figures.mean_bytes().map(|bytes| format!("{} each", Bytes(bytes))));
    parts.extend(figures.mean_seconds().map(|seconds| format!("answers in {}", Seconds(seconds))));
    parts.join(", ")
}

fn problems(text: &mut String, report: &CheckReport) -> std::fmt::Result {
    if report.row_errors_total + report.problems_total == 0 || report.refused.is_some() {
        return Ok(());
    }
    writeln!(text, "\n{BOLD}problems{BOLD:#}")?;
    for (code, (images, first)) in &report.groups {
        writeln!(
            text,
            "  {} × {RED}{code}{RED:#}  such as line {}, image {}: {}",
            Count(*images),
            first.line,
            first.position,
            first.message
        )?;
        writeln!(text, "      → {}", code.advice())?;
    }
    for error in report.row_errors.iter().take(ROWS) {
        writeln!(text, "  line {}: {RED}{}{RED:#}  {}", error.line, error.code, error.message)?;
    }
    match report.row_errors_total.saturating_sub(ROWS as u64) {
        0 => {}
        more => writeln!(text, "  and {} more", counted(more, "row", "rows"))?,
    }
    writeln!(text, "  {DIM}--errors FILE writes every one of them{DIM:#}")
}

fn estimate(text: &mut String, report: &CheckReport) -> std::fmt::Result {
    let estimate = &report.estimate;
    let (Some(before), Some(seconds)) = (estimate.bytes_before, estimate.seconds) else { return Ok(()) };
    writeln!(text, "\n{BOLD}a run would take about{BOLD:#}")?;
    line(text, "fetch", &Bytes(before as u64).to_string())?;
    if let Some(after) = estimate.bytes_after {
        line(text, "outputs", &Bytes(after as u64).to_string())?;
    }
    line(text, "time", &Seconds(seconds).to_string())
}

fn line(text: &mut String, name: &str, value: &str) -> std::fmt::Result {
    writeln!(text, "  {DIM}{name:<8}{DIM:#}  {value}")
}
