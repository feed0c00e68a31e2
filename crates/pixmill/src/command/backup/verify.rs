//! `pixmill backup verify`: whether a backup could be restored.

use std::path::PathBuf;

use serde_json::json;

use super::super::{End, Stop};
use super::{Talk, told};
use crate::backup;
use crate::config::talk::TalkFlags;
use crate::display;
use crate::display::units::counted;

/// Read all of a backup, unpack it beside and look its records through; change nothing
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Takes what 'pixmill backup' wrote, and the copies of records that are made before their schema changes.
Needs room for the records beside the backup, or in the system's folder for temporary files.

Exit codes: 0 it could be restored, 1 it could not, 2 bad usage.")]
pub(super) struct VerifyArgs {
    /// The backup
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    talk: TalkFlags,
}

pub(super) fn run(args: VerifyArgs) -> Result<End, Stop> {
    if !args.file.exists() {
        return Err(Stop::Usage(format!("there is no file {}", args.file.display())));
    }
    let talk = Talk::new(args.talk);
    let (manifest, outputs) = backup::verify(&args.file, &|told| talk.tell(told))?;
    drop(talk);
    let file = args.file.display().to_string();
    if args.talk.json {
        let mut object = manifest.as_json(&file);
        object["outputs"]["files"] = json!(outputs.files);
        object["outputs"]["bytes"] = json!(outputs.bytes);
        display::print_json(&object);
    } else if !args.talk.quiet {
        let with = match outputs.files {
            0 => String::new(),
            files => format!(" and {}", counted(files, "output", "outputs")),
        };
        display::say(&format!(
            "{file} is whole: {}{with}, of {}, schema {}{}",
            told(&manifest.counts),
            manifest.created,
            manifest.schema,
            manifest.by()
        ));
    }
    Ok(End::Done)
}
