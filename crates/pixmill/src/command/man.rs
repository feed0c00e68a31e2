//! `pixmill man`: manual pages, made from what the command line itself is made from.

mod settings;

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::time::Timestamp;

use super::{Cli, End, Stop};
use crate::config::environment;
use crate::display;
use crate::wiring::records_file;

/// Write manual pages into a folder, one a command and one for pixmill.toml
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Pages bear the date of today, or of SOURCE_DATE_EPOCH where that is set.

Example:
  pixmill man ~/.local/share/man/man1 && man pixmill-run")]
pub(super) struct ManArgs {
    /// The folder, which is made where it is missing
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Where the pages come from, at the foot of each.
const SOURCE: &str = concat!("pixmill ", env!("CARGO_PKG_VERSION"));
const MANUAL: &str = "pixmill manual";

/// Writes them.
pub(super) fn run(args: &ManArgs) -> Result<End, Stop> {
    let folder = &args.folder;
    fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))?;
    let pages = pages(&date());
    for (name, page) in &pages {
        let path = folder.join(name);
        fs::write(&path, page).map_err(|error| unwritable(&path, &error))?;
    }
    display::say(&format!("{} pages in {}", pages.len(), folder.display()));
    Ok(End::Done)
}

fn unwritable(path: &Path, error: &std::io::Error) -> Fault {
    let told = format!("{} can't be written: {error}", path.display());
    Fault::permanent(Code::of_unwritable(error.kind()), told)
}

/// A day as manual pages have it.
fn date() -> String {
    let date = environment::source_date().map_or_else(records_file::now, Timestamp);
    date.to_string().chars().take(10).collect()
}

/// All pages by name.
fn pages(date: &str) -> Vec<(String, Vec<u8>)> {
    let mut command = Cli::command();
    command.build();
    let mut pages = vec![("pixmill.toml.5".to_owned(), settings::page(&command, date))];
    gather(&command, None, date, &mut pages);
    pages
}

/// The page of a command and those of its subcommands.
fn gather(command: &Command, above: Option<&str>, date: &str, pages: &mut Vec<(String, Vec<u8>)>) {
    let man = Man::new(command.clone()).date(date).source(SOURCE).manual(MANUAL);
    let (name, mut page) = (man.get_filename(), Vec::new());
    // Text can be written to memory.
    let _ = man.render(&mut page);
    let _ = see_also(above).to_writer(&mut page);
    pages.push((name, without_double_breaks(&String::from_utf8_lossy(&page)).into_bytes()));
    let own = command.get_display_name().unwrap_or("pixmill").to_owned();
    for subcommand in command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()) {
        gather(subcommand, Some(&own), date, pages);
    }
}

/// The page without breaks of a line where a paragraph is broken anyhow, which linters of pages mind.
fn without_double_breaks(page: &str) -> String {
    let lines: Vec<_> = page.lines().collect();
    let breaks = |at: Option<usize>| {
        at.and_then(|at| lines.get(at)).is_some_and(|line| line.is_empty() || line.starts_with(".sp"))
    };
    let kept = lines
        .iter()
        .enumerate()
        .filter(|(at, line)| **line != ".br" || !(breaks(at.checked_sub(1)) || breaks(Some(at + 1))));
    kept.map(|(_, line)| format!("{line}\n")).collect()
}

fn see_also(above: Option<&str>) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["SEE ALSO"]);
    let others = [above.map(|name| (name, "(1), ")), Some(("pixmill.toml", "(5)"))];
    let inlines: Vec<_> =
        others.into_iter().flatten().flat_map(|(name, section)| [bold(name), roman(section)]).collect();
    roff.text(inlines);
    roff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_of_its_own() {
        let pages = pages("2026-11-28");
        let names: Vec<_> = pages.iter().map(|(name, _)| name.as_str()).collect();
        for name in
            ["pixmill.1", "pixmill-run.1", "pixmill-serve.1", "pixmill-keys-create.1", "pixmill.toml.5"]
        {
            assert!(names.contains(&name), "{name} is not among {names:?}");
        }
        for (name, page) in &pages {
            let text = String::from_utf8_lossy(page);
            assert!(text.contains("2026-11-28") && text.contains(SOURCE), "{name}");
            assert!(text.contains("SEE ALSO"), "{name}");
        }
    }

    #[test]
    fn lines_are_broken_once() {
        let page = "a\n.br\n.sp\n.br\nb\n.br\nc\n";
        assert_eq!(without_double_breaks(page), "a\n.sp\nb\n.br\nc\n");
        assert_eq!(without_double_breaks("a\n.br\n\n.br\nb\n"), "a\n\nb\n");
    }

    #[test]
    fn every_setting_is_explained() {
        let pages = pages("2026-11-28");
        let page = &pages.iter().find(|(name, _)| name == "pixmill.toml.5").unwrap().1;
        let page = String::from_utf8_lossy(page).replace("\\-", "-");
        for setting in ["quality", "max_width", "webhook_url", "log_format", "retention"] {
            assert!(page.contains(setting), "{setting}");
        }
        assert!(page.contains("PIXMILL_MAX_WIDTH"), "{page}");
    }
}
