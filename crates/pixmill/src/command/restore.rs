//! `pixmill restore`: a backup, put back where no server works.

use std::path::PathBuf;

use serde_json::json;

use super::backup::{PlaceFlags, Places, Talk, told};
use super::{End, Stop, interrupt};
use crate::backup::{self, Restored, Restoring};
use crate::config::talk::TalkFlags;
use crate::display;
use crate::display::units::counted;
use crate::wiring::records_file;

/// Put a backup back, and keep what was there before
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct RestoreArgs {
    /// What 'pixmill backup' wrote, or a copy that was made before a schema changed
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    place: PlaceFlags,

    #[command(flatten)]
    talk: TalkFlags,
}

const AFTER_HELP: &str = "\
Stop every pixmill that works with the records first. All of the backup is read and found right before
anything is changed; what was there is kept in before-restore-TIME. The settings that came with it are
put beside as restored-pixmill.toml, for you to compare. What was under way when it was made is begun
anew, and webhooks that were told since are told again under the same id.

Examples:
  pixmill restore /var/backups/pixmill/pixmill-20261128-030000.tar
  pixmill restore pixmill.tar --data /var/lib/pixmill
  pixmill restore pixmill-data/backups/before-v13-20261128-030000.db   before an update

Exit codes: 0 restored, 1 it could not be, 2 bad usage or configuration.";

/// Restores.
pub(super) fn run(args: RestoreArgs) -> Result<End, Stop> {
    let runtime = super::runtime()?;
    interrupt::end_after(&runtime, backup::forsake);
    let places = args.place.places("restore")?;
    if !args.file.exists() {
        return Err(Stop::Usage(format!("there is no file {}", args.file.display())));
    }
    let order = Restoring {
        file: &args.file,
        data: &places.data,
        records: &places.records,
        outputs: places.outputs(),
        now: records_file::now(),
    };
    let talk = Talk::new(args.talk);
    let restored = backup::restore(&order, &|told| talk.tell(told))?;
    drop(talk);
    if args.talk.json {
        print(&args, &restored);
    } else if !args.talk.quiet {
        say(&args, &places, &restored);
    }
    Ok(End::Done)
}

fn print(args: &RestoreArgs, restored: &Restored) {
    let mut object = restored.manifest.as_json(&args.file.display().to_string());
    object["outputs"]["files"] = json!(restored.outputs.files);
    object["outputs"]["lost"] = json!(restored.lost);
    object["aside"] = restored.aside.iter().map(|path| path.display().to_string()).collect();
    display::print_json(&object);
}

fn say(args: &RestoreArgs, places: &Places, restored: &Restored) {
    let manifest = &restored.manifest;
    display::say(&format!(
        "{} restored from {}, of {}{}",
        told(&manifest.counts),
        args.file.display(),
        manifest.created,
        manifest.by()
    ));
    for aside in &restored.aside {
        display::say(&format!("what was there before is in {}: delete it once all is well", aside.display()));
    }
    if let Some(settings) = &restored.settings {
        display::say(&format!("the settings of then are in {}: compare them with yours", settings.display()));
    }
    if manifest.outputs.included && places.outputs().is_none() {
        display::say(&format!("its outputs were left in it: outputs are in {}", places.storage));
    }
    if restored.lost > 0 {
        let lost =
            counted(restored.lost, "output that the records name is", "outputs that the records name are");
        let advice = "copy them there from where you keep them";
        display::say(&format!("{lost} not in {}: {advice}", places.storage));
    }
}
