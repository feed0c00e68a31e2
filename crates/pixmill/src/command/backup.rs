//! `pixmill backup`: records, secret and settings of a server, beside it while it works.

mod talk;
mod verify;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use super::{End, Stop, interrupt};
use crate::backup::{self, Taken, Taking, Target};
use crate::config::bounds::whole;
use crate::config::records::{RecordsChoice, RecordsFlags};
use crate::config::state::StateFlags;
use crate::config::storage::{StorageChoice, StorageFlags};
use crate::config::talk::TalkFlags;
use crate::display;
use crate::display::units::{Bytes, Seconds, counted};
use crate::last_backup;
use crate::wiring::records_file;

pub(super) use talk::{Talk, told};

/// Back up the records of a server, beside it while it works
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(arg_required_else_help = true)]
pub(super) struct BackupArgs {
    #[command(subcommand)]
    command: Option<BackupCommand>,

    /// A folder, in which it is named by the time; a name that ends with .tar; or - for standard output
    #[arg(value_name = "FOLDER|FILE.tar|-", required = true)]
    target: Option<PathBuf>,

    /// Put the outputs in too, where they are files
    #[arg(long)]
    outputs: bool,

    /// In a folder, keep so many backups: older ones are removed once this one is whole
    #[arg(long, value_name = "N", value_parser = whole::<usize>(1, 100_000))]
    keep: Option<usize>,

    #[command(flatten)]
    place: PlaceFlags,

    #[command(flatten)]
    talk: TalkFlags,
}

#[derive(Debug, Subcommand)]
enum BackupCommand {
    Verify(verify::VerifyArgs),
}

const AFTER_HELP: &str = "\
A backup is one tar: the records as they were at one moment, the secret that signs webhooks, and the
settings file that was read. It is made beside a working server, which goes on meanwhile, and gets its
name once it is whole. Outputs are left out unless they are asked for: how many there are is said. It
holds addresses and secrets, and is for its owner's eyes alone.

Examples:
  pixmill backup /var/backups/pixmill --keep 14     one more, and the oldest beyond 14 removed
  pixmill backup - | ssh nas 'cat > pixmill.tar'    to another machine
  pixmill backup verify /var/backups/pixmill/pixmill-20261128-030000.tar
  pixmill restore /var/backups/pixmill/pixmill-20261128-030000.tar

Records in MongoDB are backed up by mongodump: see docs/backup.md.
Exit codes: 0 it is whole, 1 it could not be made, 2 bad usage or configuration.";

/// Whose backup it is.
#[derive(Debug, Args)]
pub(super) struct PlaceFlags {
    #[command(flatten)]
    state: StateFlags,

    #[command(flatten)]
    records: RecordsFlags,

    #[command(flatten)]
    storage: StorageFlags,
}

/// Where everything of a server is.
pub(super) struct Places {
    pub(super) data: PathBuf,
    pub(super) records: PathBuf,
    pub(super) storage: StorageChoice,
}

impl PlaceFlags {
    /// Where everything is.
    pub(super) fn places(&self, what: &str) -> Result<Places, Stop> {
        let data = self.state.folder();
        let records = file_of_records(&self.records, &data, what)?;
        let storage = self.storage.choice(&data);
        Ok(Places { data, records, storage })
    }
}

/// The file that records are; MongoDB's are not for us.
pub(super) fn file_of_records(flags: &RecordsFlags, data: &Path, what: &str) -> Result<PathBuf, Stop> {
    match flags.choice(data) {
        RecordsChoice::Sqlite(file) => Ok(file),
        RecordsChoice::Mongodb(address) => Err(Stop::Usage(format!(
            "records are in MongoDB ({address}), which this can't {what}: use mongodump and mongorestore, and keep \
             {} and pixmill.toml beside (docs/backup.md). For records in a file, say --database sqlite:{}",
            data.join("webhook-secret").display(),
            data.join("pixmill.db").display()
        ))),
    }
}

impl Places {
    /// The folder of outputs, where they are files.
    pub(super) fn outputs(&self) -> Option<&Path> {
        self.storage.folder()
    }
}

/// Takes a backup, or verifies one.
pub(super) fn run(args: BackupArgs, settings: Option<String>) -> Result<End, Stop> {
    let runtime = super::runtime()?;
    interrupt::end_after(&runtime, backup::forsake);
    let Some(target) = &args.target else {
        return match args.command {
            Some(BackupCommand::Verify(args)) => verify::run(args),
            None => Err(Stop::Usage("say where the backup goes: a folder, or FILE.tar".to_owned())),
        };
    };
    let target = Target::of(target);
    let places = args.place.places("back up")?;
    is_possible(&args, &target, &places)?;
    let now = records_file::now();
    let order = Taking {
        target: &target,
        data: &places.data,
        records: &places.records,
        storage: places.storage.to_string(),
        outputs: places.outputs(),
        with_outputs: args.outputs,
        settings: settings.as_deref(),
        keep: args.keep,
        now,
    };
    let talk = Talk::new(args.talk);
    let taken = backup::take(&order, &|told| talk.tell(told))?;
    if let Err(error) = last_backup::tell(&places.data) {
        display::say(&format!(
            "{} can't be written ({error}), so that nothing tells how old the backup is",
            last_backup::mark(&places.data).display()
        ));
    }
    let seconds = records_file::now().since(now).as_secs_f64();
    drop(talk);
    report(&args, &order, &taken, seconds);
    Ok(End::Done)
}

fn is_possible(args: &BackupArgs, target: &Target, places: &Places) -> Result<(), Stop> {
    let usage = |told: String| Err(Stop::Usage(told));
    match target {
        Target::File(_) | Target::Output if args.keep.is_some() => {
            return usage("--keep is about backups in a folder: name one instead of a file".to_owned());
        }
        Target::Output if args.talk.json => {
            return usage("standard output is the backup's, so --json has no place there".to_owned());
        }
        Target::Folder(folder) if folder.exists() && !folder.is_dir() => {
            let told =
                format!("{} is a file: name a folder, or a file that ends with .tar", folder.display());
            return usage(told);
        }
        _ => {}
    }
    if args.outputs && places.outputs().is_none() {
        return usage(format!("--outputs is about files, and outputs are in {}", places.storage));
    }
    match places.records.try_exists() {
        Ok(true) | Err(_) => Ok(()),
        Ok(false) => usage(format!(
            "there are no records in {}: name the state folder by --data, or the file by --database sqlite:PATH",
            places.records.display()
        )),
    }
}

fn report(args: &BackupArgs, order: &Taking<'_>, taken: &Taken, seconds: f64) {
    let file = taken.file.display().to_string();
    if args.talk.json {
        let mut object = taken.manifest.as_json(&file);
        object["bytes"] = json!(taken.bytes);
        object["seconds"] = json!(seconds);
        object["outputs"]["files"] = json!(taken.outputs.files);
        object["outputs"]["bytes"] = json!(taken.outputs.bytes);
        object["removed"] = taken.removed.iter().map(|path| path.display().to_string()).collect();
        display::print_json(&object);
        return;
    }
    if *order.target != Target::Output {
        display::print(&format!("{file}\n"));
    }
    if args.talk.quiet {
        return;
    }
    display::say(&format!(
        "{} backed up: {} in {}",
        told(&taken.manifest.counts),
        Bytes(taken.bytes),
        Seconds(seconds)
    ));
    if let Some(said) = left_out(order, taken) {
        display::say(&said);
    }
    if !taken.removed.is_empty() {
        let removed = counted(taken.removed.len() as u64, "older backup", "older backups");
        display::say(&format!("{removed} removed"));
    }
}

/// What is not in it, and how to have it too.
fn left_out(order: &Taking<'_>, taken: &Taken) -> Option<String> {
    let outputs = counted(taken.outputs.files, "output", "outputs");
    let amount = Bytes(taken.outputs.bytes);
    match order.outputs {
        None => Some(format!("not in it: the outputs, which are in {}", order.storage)),
        Some(_) if taken.outputs.files == 0 => None,
        Some(_) if order.with_outputs => Some(format!("with {outputs} ({amount})")),
        Some(folder) => Some(format!(
            "not in it: {outputs} ({amount}) in {}: copy them after it, such as with rsync -a, or add --outputs",
            folder.display()
        )),
    }
}
