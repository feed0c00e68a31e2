//! `pixmill migrate`: the schema of a server's records.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use super::backup::file_of_records;
use super::{End, Stop, interrupt};
use crate::config::records::RecordsFlags;
use crate::config::state::StateFlags;
use crate::display;
use crate::display::units::{Bytes, Seconds};
use crate::wiring::records_file::{self as file, Status, changed};

/// Show and change the schema of a server's records
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP, subcommand_required = true, arg_required_else_help = true)]
pub(super) struct MigrateArgs {
    #[command(subcommand)]
    command: MigrateCommand,
}

const AFTER_HELP: &str = "\
Every pixmill brings records to its own schema when it opens them, after a copy of them as they were:
DATA/backups/before-vSCHEMA-TIME.db, of which two are kept. 'up' does the same at a time of your choice.
An older pixmill refuses records of a newer schema; to go back to it, restore that copy.

Examples:
  pixmill migrate status
  pixmill migrate up --data /var/lib/pixmill";

#[derive(Debug, Subcommand)]
enum MigrateCommand {
    Status(StatusArgs),
    Up(UpArgs),
}

/// Show the schema of the records and the one that is wanted, and change nothing
#[derive(Debug, Args)]
struct StatusArgs {
    /// One JSON object on standard output
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    place: PlaceFlags,
}

/// Bring the records up to date now
#[derive(Debug, Args)]
struct UpArgs {
    #[command(flatten)]
    place: PlaceFlags,
}

#[derive(Debug, Args)]
struct PlaceFlags {
    #[command(flatten)]
    state: StateFlags,

    #[command(flatten)]
    records: RecordsFlags,
}

impl PlaceFlags {
    fn file(&self) -> Result<PathBuf, Stop> {
        let file = file_of_records(&self.records, &self.state.folder(), "migrate")?;
        match file.try_exists() {
            Ok(true) | Err(_) => Ok(file),
            Ok(false) => Err(Stop::Usage(format!(
                "there are no records in {}: name the state folder by --data, or the file by --database sqlite:PATH",
                file.display()
            ))),
        }
    }
}

pub(super) fn run(args: MigrateArgs) -> Result<End, Stop> {
    let runtime = super::runtime()?;
    interrupt::end_at_once(&runtime);
    match args.command {
        MigrateCommand::Status(args) => {
            let file = args.place.file()?;
            let status = file::status(&file)?;
            if args.json {
                display::print_json(&as_json(&status));
            } else {
                display::print(&text(&status));
            }
        }
        MigrateCommand::Up(args) => match file::up(&args.place.file()?)? {
            Some(migrated) => display::say(&changed(&migrated)),
            None => display::say("the records are up to date"),
        },
    }
    Ok(End::Done)
}

fn as_json(status: &Status) -> serde_json::Value {
    json!({
        "schema": status.schema,
        "wanted": status.wanted,
        "upToDate": status.schema == status.wanted,
        "copyBytes": if status.schema < status.wanted { Some(status.bytes) } else { None },
        "last": status.last.as_ref().map(|last| json!({
            "pixmill": last.pixmill,
            "from": last.from,
            "at": last.at.to_string(),
            "seconds": last.took.as_secs_f64(),
        })),
        "copies": status.copies.iter().map(|copy| copy.display().to_string()).collect::<Vec<_>>(),
    })
}

fn text(status: &Status) -> String {
    let mut text = format!("schema   {}\nwanted   {}\n", status.schema, status.wanted);
    text.push_str(&match status.schema.cmp(&status.wanted) {
        std::cmp::Ordering::Equal => "         up to date\n".to_owned(),
        std::cmp::Ordering::Less => {
            format!("         changed at the next start, after a copy of {}\n", Bytes(status.bytes))
        }
        std::cmp::Ordering::Greater => "         a newer pixmill's: this one refuses them\n".to_owned(),
    });
    if let Some(last) = &status.last {
        text.push_str(&format!(
            "last     from {} by pixmill {}, {}, in {}\n",
            last.from,
            last.pixmill,
            last.at,
            Seconds(last.took.as_secs_f64())
        ));
    }
    for copy in &status.copies {
        text.push_str(&format!("copy     {}\n", copy.display()));
    }
    text
}
