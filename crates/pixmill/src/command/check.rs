//! `pixmill check`: what a run would meet, before it does.

mod report;
mod text;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::Instant;

use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::source::Source;
use tempfile::NamedTempFile;
use tokio::runtime::Runtime;

use super::run::output::same_file;
use super::run::readable;
use super::{End, Stop, interrupt};
use crate::config::catalogue::CatalogueFlags;
use crate::config::limits::LimitFlags;
use crate::config::network::{FilesFlags, NetworkFlags};
use crate::config::options::folder_of;
use crate::config::recipe::RecipeFlags;
use crate::config::talk::TalkFlags;
use crate::display::{self, Spinner};
use crate::preflight::estimate::{Figures, estimate};
use crate::preflight::probe::{Prober, Settings};
use crate::preflight::problems::{self, Problems};
use crate::preflight::survey::{Survey, survey};
use crate::preflight::{Share, probe_all};
use crate::wiring;
use report::CheckReport;

/// Check catalogues before a run: rows, origins, broken links, bytes, time; changes nothing
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Reads each catalogue to its end, asks origins for the beginning of some pictures, and tells what is
wrong where and what a run would take.

Examples:
  pixmill check shop.csv
  pixmill check shop.csv --offline                 read and count, ask nobody
  pixmill check shop.csv --probe all --errors wrong.csv
  pixmill check shop.csv --json | jq .summary.estimate

Exit codes: 0 nothing wrong was found, 1 a run would refuse the catalogue, 2 bad usage,
3 some rows or images have problems, 130 interrupted.")]
pub(super) struct CheckArgs {
    /// Catalogues: CSV, TSV, .xlsx, .ods, JSON, lists of addresses; '-' is standard input
    #[arg(value_name = "CATALOGUE", required = true)]
    catalogues: Vec<PathBuf>,

    /// Ask no origin, whatever --probe says; look only whether local files are there
    #[arg(long)]
    offline: bool,

    /// How many distinct URLs of each origin are asked for: a number, or 'all'
    #[arg(long, value_name = "N|all", default_value = "100", value_parser = probes)]
    probe: u64,

    /// Write every problem into this CSV, a line each
    #[arg(long, value_name = "FILE")]
    errors: Option<PathBuf>,

    #[command(flatten)]
    said: CatalogueFlags,

    #[command(flatten)]
    recipe: RecipeFlags,

    #[command(flatten)]
    files: FilesFlags,

    #[command(flatten)]
    network: NetworkFlags,

    #[command(flatten)]
    limits: LimitFlags,

    #[command(flatten)]
    talk: TalkFlags,
}

fn probes(text: &str) -> Result<u64, String> {
    match text {
        "all" => Ok(u64::MAX),
        _ => text.parse().map_err(|_| "allowed are whole numbers and 'all'".to_owned()),
    }
}

/// Checks one catalogue after the other.
pub(super) fn run(args: &CheckArgs) -> Result<End, Stop> {
    args.catalogues.iter().try_for_each(|catalogue| readable(catalogue))?;
    let runtime = super::runtime()?;
    interrupt::end_at_once(&runtime);
    let standard_input = match args.catalogues.iter().any(|catalogue| catalogue == Path::new("-")) {
        true => Some(standard_input()?),
        false => None,
    };
    if let Some(errors) = &args.errors
        && let Some(catalogue) = args.catalogues.iter().find(|catalogue| same_file(errors, catalogue))
    {
        return Err(Stop::Usage(format!("--errors would overwrite the catalogue {}", catalogue.display())));
    }
    let mut errors = args.errors.as_deref().map(problems::file).transpose()?;
    let mut reports = Vec::new();
    for catalogue in &args.catalogues {
        let report;
        let file = standard_input.as_ref().filter(|_| catalogue == Path::new("-"));
        let path = file.map_or(catalogue.as_path(), NamedTempFile::path);
        (report, errors) = one(args, catalogue, path, errors, &runtime)?;
        if let Some(fault) = &report.refused {
            display::refusal(&report.catalogue, fault, &report.row_errors);
        }
        show(args.talk, &report, args.catalogues.len() > 1);
        reports.push(report);
    }
    if reports.len() > 1 {
        show(args.talk, &CheckReport::total(&reports), false);
    }
    Ok(reports.iter().map(CheckReport::end).max().unwrap_or(End::Done))
}

fn show(talk: TalkFlags, report: &CheckReport, total_follows: bool) {
    match talk {
        TalkFlags { json: true, quiet } if !(quiet && total_follows) => {
            display::print_json(&report.to_json())
        }
        TalkFlags { json: false, quiet: false } => display::print(&text::render(report)),
        _ => {}
    }
}

type Errors = Option<csv::Writer<File>>;

/// Standard input as a file, for it is read twice.
fn standard_input() -> Result<NamedTempFile, Fault> {
    let taken = NamedTempFile::new().and_then(|mut file| {
        io::copy(&mut io::stdin().lock(), &mut file)?;
        Ok(file)
    });
    taken.map_err(|error| {
        let message = format!("standard input can't be kept: {error}");
        Fault::permanent(Code::of_unwritable(error.kind()), message)
    })
}

/// Checks the catalogue that lies at a path.
fn one(
    args: &CheckArgs,
    catalogue: &Path,
    path: &Path,
    errors: Errors,
    runtime: &Runtime,
) -> Result<(CheckReport, Errors), Fault> {
    let began = Instant::now();
    let spinner = Spinner::new(args.talk);
    spinner.show(format!("reading {}", catalogue.display()));
    let mut problems = Problems::new(catalogue, errors);
    let survey = survey(path, &args.said.hints(), &mut problems)?;
    let settings = settings(args);
    let mut figures = BTreeMap::new();
    let asks = args.probe > 0 && !args.offline;
    let looks = args.offline && survey.origins.contains_key(&Source::File(String::new()).origin());
    if survey.refused.is_none() && (asks || looks) {
        let prober = Prober {
            origin: wiring::origin(&args.network.reach(), args.network.connections)?,
            files: Some(wiring::files(&args.files.base_dir.clone().unwrap_or_else(|| folder_of(catalogue)))?),
            settings: settings.clone(),
            offline: args.offline,
        };
        figures = runtime.block_on(probed(args, path, &survey, prober, &mut problems, &spinner))?;
    }
    let estimate = estimate(&survey, &figures, &settings, cores());
    let errors = problems.finish()?;
    Ok((CheckReport::new(catalogue, survey, problems, &figures, estimate, began.elapsed()), errors))
}

/// Probes each origin's share, as was asked.
async fn probed(
    args: &CheckArgs,
    catalogue: &Path,
    survey: &Survey,
    prober: Prober,
    problems: &mut Problems,
    spinner: &Spinner,
) -> Result<BTreeMap<String, Figures>, Fault> {
    let (most, local) =
        (if args.offline { u64::MAX } else { args.probe }, Source::File(String::new()).origin());
    let asked = survey.origins.keys().filter(|origin| !args.offline || **origin == local);
    let share = Share { origins: asked.cloned().collect(), most };
    let told = |count, wrong| spinner.show(format!("probed {count}, {wrong} with problems"));
    let mut figures = BTreeMap::new();
    probe_all((catalogue, args.said.hints()), share, prober, problems, &mut figures, told).await?;
    Ok(figures)
}

fn settings(args: &CheckArgs) -> Settings {
    Settings {
        connections: args.network.connections,
        per_origin: args.network.per_origin,
        timeout: args.network.timeout,
        max_bytes: args.limits.max_bytes,
        limits: args.limits.limits(),
        recipe: args.recipe.recipe(),
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}
