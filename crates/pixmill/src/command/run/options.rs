//! What `run` is told, raw and resolved.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pixmill_engine::catalogue::base_url;
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;

use url::Url;

use super::super::Stop;
use crate::config::catalogue::CatalogueFlags;
use crate::config::limits::{LimitFlags, TimeFlags};
use crate::config::network::{FilesFlags, NetworkFlags};
use crate::config::options::{RunOptions, folder_of};
use crate::config::recipe::RecipeFlags;
use crate::config::run::EngineFlags;
use crate::config::talk::TalkFlags;

/// Process catalogues on this machine, then exit; run again to resume
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct RunArgs {
    /// Catalogues: CSV, TSV, .xlsx, .ods, JSON, lists of addresses; '-' is standard input
    #[arg(value_name = "CATALOGUE", required = true)]
    catalogues: Vec<PathBuf>,

    /// Folder of results, pictures and state
    #[arg(short, long, value_name = "DIR", default_value = "pixmill-out")]
    output: PathBuf,

    /// Also write the catalogue again, ready for import, with the outputs' addresses in place. They begin with URL, where DIR is to be uploaded to. Spreadsheets are written as CSV
    #[arg(long, value_name = "URL", value_parser = base_url)]
    output_url_prefix: Option<Url>,

    /// Try failed images again
    #[arg(long)]
    retry_failed: bool,

    #[command(flatten)]
    said: CatalogueFlags,

    #[command(flatten)]
    recipe: RecipeFlags,

    #[command(flatten)]
    files: FilesFlags,

    #[command(flatten)]
    pub(in crate::command) network: NetworkFlags,

    #[command(flatten)]
    engine: EngineFlags,

    #[command(flatten)]
    limits: LimitFlags,

    #[command(flatten)]
    time: TimeFlags,

    #[command(flatten)]
    pub(super) talk: TalkFlags,
}

const AFTER_HELP: &str = "\
Leaves DIR/results.csv and DIR/processed_images/. The same command again resumes: what is finished is
not fetched again, edited rows are done anew. Several catalogues each get DIR/<file stem>/.

Examples:
  pixmill run shop.csv
  pixmill run shop.csv -o webp --format webp --quality 75 --max-width 1600
  pixmill run spring.csv autumn.csv -o out          into out/spring/ and out/autumn/
  pixmill run shop.csv --retry-failed               once the shop's server is up again
  pixmill run intranet.csv --allow-address 10.0.0.0/8
  pixmill run shop.csv --header 'shop.example:Authorization: Bearer …'
  pixmill run shop.csv --json | jq .summary.failures

Every option --a-b is also PIXMILL_A_B in the environment and a_b in pixmill.toml.
Exit codes: 0 every image completed, 1 could not run, 2 bad usage, 3 some images failed or
rows could not be used, 130 interrupted.";

impl RunArgs {
    /// Decides everything, and looks whether what is named is there.
    ///
    /// # Errors
    /// Two catalogues of one name, a base folder that is none; a catalogue that can't be read.
    pub(super) fn resolve(self) -> Result<Vec<RunOptions>, Stop> {
        let outputs = outputs(&self.catalogues, &self.output).map_err(Stop::Usage)?;
        if let Some(base) = self.files.base_dir.as_ref().filter(|base| !base.is_dir()) {
            return Err(Stop::Usage(format!("--base-dir {} is not a folder", base.display())));
        }
        self.catalogues.iter().try_for_each(|catalogue| readable(catalogue))?;
        Ok(self
            .catalogues
            .iter()
            .zip(outputs)
            .map(|(catalogue, output)| self.one(catalogue, output))
            .collect())
    }

    fn one(&self, catalogue: &Path, output: PathBuf) -> RunOptions {
        RunOptions {
            catalogue: catalogue.to_owned(),
            hints: self.said.hints(),
            again: output.join(catalogue.file_name().unwrap_or_default()),
            output_prefix: self
                .output_url_prefix
                .as_ref()
                .map(|prefix| prefix.as_str().trim_end_matches('/').to_owned()),
            output,
            base_dir: self.files.base_dir.clone().unwrap_or_else(|| folder_of(catalogue)),
            recipe: self.recipe.recipe(),
            limits: self.limits.limits(),
            max_bytes: self.limits.max_bytes,
            timeout: self.network.timeout,
            attempts: self.engine.attempts,
            picture_time: self.time.picture_time(),
            concurrency: self.engine.concurrency(),
            connections: self.network.connections,
            per_origin: self.network.per_origin,
            memory_bytes: self.engine.memory_mib << 20,
            reach: self.network.reach(),
            retry_failed: self.retry_failed,
        }
    }
}

/// Each catalogue's output folder: `output` itself for one, `output/<file stem>` for several.
fn outputs(catalogues: &[PathBuf], output: &Path) -> Result<Vec<PathBuf>, String> {
    if catalogues.len() == 1 {
        return Ok(vec![output.to_owned()]);
    }
    let mut taken = BTreeMap::new();
    let mut outputs = Vec::new();
    for catalogue in catalogues {
        let stem = catalogue.file_stem().unwrap_or(catalogue.as_os_str());
        // Where file names have no case, `a.csv` and `A.csv` would share a folder.
        if let Some(other) = taken.insert(stem.to_string_lossy().to_lowercase(), catalogue) {
            return Err(format!(
                "{} and {} would both go to {}: rename one, or run them apart with --output",
                other.display(),
                catalogue.display(),
                output.join(stem).display()
            ));
        }
        outputs.push(output.join(stem));
    }
    Ok(outputs)
}

/// Looks whether a catalogue can be opened, before anything is made for it.
pub(crate) fn readable(catalogue: &Path) -> Result<(), Fault> {
    let refused =
        |reason: String| Err(Fault::permanent(Code::FileMissing, format!("the catalogue {reason}")));
    if catalogue == Path::new("-") {
        return Ok(());
    }
    match std::fs::File::open(catalogue).and_then(|file| file.metadata()) {
        Ok(metadata) if metadata.is_dir() => refused(format!("{} is a folder", catalogue.display())),
        Ok(_) => Ok(()),
        Err(error) => refused(format!("{} can't be opened: {error}", catalogue.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn one_catalogue_has_the_output_to_itself() {
        assert_eq!(outputs(&paths(&["a/shop.csv"]), Path::new("out")), Ok(paths(&["out"])));
    }

    #[test]
    fn several_catalogues_each_get_a_folder_by_their_stem() {
        assert_eq!(
            outputs(&paths(&["a/spring.csv", "autumn.tsv"]), Path::new("out")),
            Ok(paths(&["out/spring", "out/autumn"]))
        );
    }

    #[test]
    fn two_catalogues_never_share_a_folder() {
        let refused =
            outputs(&paths(&["a/shop.csv", "b/Shop.csv"]), Path::new("out")).expect_err("one folder");
        assert_eq!(
            refused,
            "a/shop.csv and b/Shop.csv would both go to out/Shop: rename one, or run them apart with --output"
        );
    }

    #[test]
    fn a_bare_file_name_lies_in_the_working_folder() {
        assert_eq!(folder_of(Path::new("c.csv")), Path::new("."));
        assert_eq!(folder_of(Path::new("shop/c.csv")), Path::new("shop"));
    }
}
