//! `pixmill doctor`: whether a server would work as it is configured, and what to do where not.

mod bundle;

use std::path::PathBuf;

use pixmill_engine::checkup::{Finding, Severity};
use serde_json::{Value, json};

use super::serve::ServeArgs;
use super::{End, Stop, interrupt};
use crate::api::Examined;
use crate::config::{self, Layers};
use crate::display;
use crate::wiring;

/// What doctor is told.
#[derive(Debug, clap::Args)]
#[command(
    about = "Check the backends that 'serve' would use, and say what to do",
    after_help = AFTER_HELP
)]
pub(super) struct DoctorArgs {
    /// One JSON object on standard output
    #[arg(long)]
    json: bool,

    /// Write what is found, the settings, the system and the last lines of the log into this file, without secrets, for
    /// whoever is asked for help
    #[arg(long, value_name = "FILE.tar")]
    bundle: Option<PathBuf>,

    /// Look for outputs that no image names and for images whose output is gone too, which reads all of both; with a file,
    /// list them there
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    orphans: Option<Option<PathBuf>>,

    #[command(flatten)]
    server: ServeArgs,
}

const AFTER_HELP: &str = "\
Takes the options of 'serve' and asks each backend that they name: whether it can be reached and may
be written to, by storing something small that is removed again, and whether it is set up as it should be.

Examples:
  pixmill doctor
  pixmill doctor --bundle for-support.tar
  pixmill doctor --orphans=orphans.tsv
  pixmill doctor --json | jq '.parts[].findings[] | select(.verdict == \"wrong\")'

Exit codes: 0 all is well, 1 something is wrong, 2 bad usage or configuration.";

/// Examines and tells.
pub(super) fn run(args: DoctorArgs) -> Result<End, Stop> {
    let (json, bundle, orphans) = (args.json, args.bundle, args.orphans);
    let options = args.server.resolve(Vec::new())?;
    let runtime = super::runtime()?;
    interrupt::end_at_once(&runtime);
    let mut parts = runtime.block_on(wiring::examine(&options));
    if let Some(list) = &orphans {
        parts.push(runtime.block_on(wiring::orphans(&options, list.as_deref())));
    }
    let worst = parts.iter().flat_map(|part| &part.findings).map(|finding| finding.severity).max();
    let worst = worst.unwrap_or(Severity::Well);
    if let Some(path) = &bundle {
        let said = Layers::of_process().and_then(config::said::<super::Cli>).unwrap_or_default();
        let entries = bundle::write(path, &as_json(&parts, worst), &said, &options)?;
        let told =
            format!("{}: {}. Look through it before you hand it on.", path.display(), entries.join(", "));
        display::say(&told);
    }
    if json {
        display::print_json(&as_json(&parts, worst));
    } else {
        display::print(&text(&parts, worst));
    }
    Ok(if worst == Severity::Wrong { End::Refused } else { End::Done })
}

fn as_json(parts: &[Examined], worst: Severity) -> Value {
    let finding = |finding: &Finding| {
        json!({
            "about": finding.about,
            "verdict": finding.severity.as_str(),
            "told": finding.told,
            "advice": finding.advice,
        })
    };
    let part = |part: &Examined| {
        json!({
            "part": part.part,
            "backend": part.backend,
            "findings": part.findings.iter().map(finding).collect::<Vec<_>>(),
        })
    };
    json!({ "verdict": worst.as_str(), "parts": parts.iter().map(part).collect::<Vec<_>>() })
}

fn text(parts: &[Examined], worst: Severity) -> String {
    let mut text = String::new();
    for part in parts {
        text.push_str(format!("{:<9} {}", part.part, part.backend).trim_end());
        text.push('\n');
        for finding in &part.findings {
            text.push_str(&format!(
                "  {:<8}{:<12}{}\n",
                finding.severity.as_str(),
                finding.about,
                finding.told
            ));
            if !finding.advice.is_empty() {
                text.push_str(&format!("{:22}{}\n", "", finding.advice));
            }
        }
    }
    text.push_str(match worst {
        Severity::Well => "\nAll is well.\n",
        Severity::Doubtful => "\nIt works, but see the warnings.\n",
        Severity::Wrong => "\nSomething is wrong.\n",
    });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_see_what_to_do_below_what_was_found() {
        let findings = vec![
            Finding::well("clock", "agrees with this machine's"),
            Finding::wrong("round trip", "the user may not write", "Give it the role readWrite."),
        ];
        let parts = [Examined { part: "records", backend: "mongodb://***@db/shop".to_owned(), findings }];
        assert_eq!(
            text(&parts, Severity::Wrong),
            "records   mongodb://***@db/shop\n  \
             ok      clock       agrees with this machine's\n  \
             wrong   round trip  the user may not write\n                      \
             Give it the role readWrite.\n\n\
             Something is wrong.\n"
        );
    }
}
