//! The summary as people read it.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};

use super::{ORIGINS, Summary, rounded, shown, slowest, without_query};
use crate::display::units::{Bytes, Count, Seconds, counted, saved_percent};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GREEN: Style = AnsiColor::Green.on_default().bold();
const RED: Style = AnsiColor::Red.on_default().bold();

/// Row errors that are shown.
const ROW_ERRORS: usize = 5;

/// The summary with ANSI styles, which whoever prints it strips where they are not wanted.
pub(crate) fn render(summary: &Summary) -> String {
    let mut text = String::new();
    // Writing to a String can't fail.
    let _ = figures(&mut text, summary)
        .and_then(|()| origins(&mut text, summary))
        .and_then(|()| understood(&mut text, summary))
        .and_then(|()| paces(&mut text, summary))
        .and_then(|()| failures(&mut text, summary))
        .and_then(|()| row_errors(&mut text, summary))
        .and_then(|()| places(&mut text, summary));
    text
}

fn figures(text: &mut String, summary: &Summary) -> std::fmt::Result {
    let report = &summary.report;
    let progress = &report.progress;
    writeln!(text, "\n{BOLD}{}{BOLD:#}", summary.catalogue)?;
    let mut images = format!("{} of {} completed", Count(progress.completed), Count(progress.total()));
    if progress.failed > 0 {
        write!(images, ", {RED}{} failed{RED:#}", Count(progress.failed))?;
    }
    let open = progress.pending + progress.processing;
    if open > 0 {
        write!(images, ", {} still to do", Count(open))?;
    }
    line(text, "images", &images)?;
    if report.noted > 0 {
        let noted = counted(report.noted, "picture was", "pictures were");
        line(
            text,
            "notes",
            &format!("{noted} kept without further frames, see 'Image Notes' in the results"),
        )?;
    }
    let mut rows = Count(report.rows).to_string();
    if report.row_errors_total > 0 {
        write!(rows, ", and {RED}{} that can't be used{RED:#}", Count(report.row_errors_total))?;
    }
    line(text, "rows", &rows)?;
    if progress.completed > 0 {
        let (before, after) = (progress.bytes_before, progress.bytes_after);
        let sizes = format!("{} → {}", Bytes(before), Bytes(after));
        line(
            text,
            "bytes",
            &format!("{sizes}, {GREEN}saved {:.1} %{GREEN:#}", saved_percent(before, after)),
        )?;
    }
    let mut time = Seconds(report.seconds).to_string();
    if report.fetched_now > 0 && report.seconds > 0.0 {
        write!(time, ", {:.1} images/s", report.fetched_now as f64 / report.seconds)?;
    }
    if report.resumed > 0 {
        write!(time, " ({} done before)", Count(report.resumed))?;
    }
    line(text, "time", &time)
}

fn origins(text: &mut String, summary: &Summary) -> std::fmt::Result {
    let slowest = slowest(&summary.report.origins);
    if slowest.is_empty() {
        return Ok(());
    }
    let width = slowest.iter().map(|origin| origin.origin.chars().count()).max().unwrap_or(0);
    heading(text, "slowest origins")?;
    for origin in slowest {
        writeln!(
            text,
            "  {:width$}  {:>8} on average, {:>8} at most, {}",
            origin.origin,
            Seconds(origin.mean_ms as f64 / 1e3).to_string(),
            Seconds(origin.slowest_ms as f64 / 1e3).to_string(),
            counted(origin.images, "image", "images"),
        )?;
    }
    Ok(())
}

/// What was learnt of how much origins take.
fn paces(text: &mut String, summary: &Summary) -> std::fmt::Result {
    let paces = &summary.report.paces;
    if paces.is_empty() {
        return Ok(());
    }
    heading(text, "origins that asked for less")?;
    let shown = &paces[..paces.len().min(ORIGINS)];
    let width = shown.iter().map(|learnt| learnt.origin.chars().count()).max().unwrap_or(0);
    for learnt in shown {
        let pace = match learnt.per_second {
            Some(rate) => format!("{} requests/s", rounded(rate)),
            None => "as many as before".to_owned(),
        };
        let refused = counted(learnt.refusals, "request", "requests");
        writeln!(text, "  {:width$}  {pace}, {refused} refused and asked again", learnt.origin)?;
    }
    Ok(())
}

fn failures(text: &mut String, summary: &Summary) -> std::fmt::Result {
    let failures = &summary.report.failures;
    if failures.is_empty() {
        return Ok(());
    }
    heading(text, "failures")?;
    let width = failures.iter().map(|group| Count(group.images).to_string().len()).max().unwrap_or(0);
    for group in failures {
        let count = Count(group.images).to_string();
        writeln!(text, "  {count:>width$} × {RED}{}{RED:#}  {}", group.code, group.message)?;
        writeln!(text, "  {:width$}   {DIM}such as {}{DIM:#}", "", without_query(&group.example))?;
        writeln!(text, "  {:width$}   → {}", "", group.code.advice())?;
    }
    Ok(())
}

/// What was found in which column, where that is not plain.
fn understood(text: &mut String, summary: &Summary) -> std::fmt::Result {
    let understood = &summary.report.understood;
    if understood.is_without_pictures() {
        writeln!(
            text,
            "\n{RED}no picture was found in {}{RED:#}: name a column with --column",
            counted(understood.rows, "row", "rows")
        )?;
    }
    let lines = understood.counted();
    if lines.len() < 2 {
        return Ok(());
    }
    heading(text, "read")?;
    lines.iter().try_for_each(|line| writeln!(text, "  {line}"))
}

fn row_errors(text: &mut String, summary: &Summary) -> std::fmt::Result {
    let report = &summary.report;
    if report.row_errors.is_empty() || report.refused.is_some() {
        return Ok(());
    }
    heading(text, "rows that can't be used")?;
    for error in report.row_errors.iter().take(ROW_ERRORS) {
        writeln!(text, "  line {}: {}", error.line, error.message)?;
    }
    let more = report.row_errors_total.saturating_sub(ROW_ERRORS as u64);
    if more > 0 {
        writeln!(text, "  and {} more", Count(more))?;
    }
    Ok(())
}

fn places(text: &mut String, summary: &Summary) -> std::fmt::Result {
    let Some(results) = summary.results() else { return Ok(()) };
    text.push('\n');
    if summary.report.interrupted {
        writeln!(text, "  {BOLD}interrupted{BOLD:#}: run the same command again to resume")?;
    } else {
        line(text, "results", &shown(&results))?;
        if let Some(again) = &summary.again {
            let form = match &summary.report.understood.sheet {
                Some(_) => ", as CSV",
                None => "",
            };
            line(text, "again", &format!("{}{form}, to be imported where it came from", shown(again)))?;
        }
    }
    line(text, "pictures", &shown(&results.with_file_name("processed_images")))
}

fn heading(text: &mut String, words: &str) -> std::fmt::Result {
    writeln!(text, "\n{BOLD}{words}{BOLD:#}")
}

fn line(text: &mut String, name: &str, value: &str) -> std::fmt::Result {
    writeln!(text, "  {DIM}{name:<8}{DIM:#}  {value}")
}
