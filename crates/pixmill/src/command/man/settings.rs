//! pixmill.toml(5): every setting, by section, as the options tell it.

use std::collections::BTreeMap;

use clap::{Arg, Command};
use clap_mangen::roff::{Roff, bold, italic, roman};

use super::{MANUAL, SOURCE};

/// What is said before the settings.
const WHAT: [&str; 4] = [
    "Every option --a-b of a command is also the key a_b of this file and the variable PIXMILL_A_B of the environment, \
     with the same meaning. The command line wins over the environment, the environment over the file.",
    "pixmill reads the file that --config or PIXMILL_CONFIG names, else the one in the working folder. One that was only \
     found there may have come with somebody's catalogue: it may say how pictures are made and how fast, and is refused \
     where it opens something (addresses, folders, servers, who may call) until it is named.",
    "Recipe options may stand in a section [recipe], headers in [headers] and, for one origin, in sections below it. \
     [[stack]] tables say how jobs of an application look.",
    "The file may hold secrets: keep it readable for its owner alone.",
];

const EXAMPLE: &str = "format = \"webp\"\nquality = 60\nretention = \"30d\"\n\n[headers.\"cdn.shop.example\"]\nAuthorization = \"Bearer ...\"";

/// The page.
pub(super) fn page(command: &Command, date: &str) -> Vec<u8> {
    let mut roff = Roff::new();
    roff.control("TH", ["pixmill.toml", "5", date, SOURCE, MANUAL]);
    roff.control("SH", ["NAME"]).text([roman("pixmill.toml - settings of pixmill")]);
    roff.control("SH", ["DESCRIPTION"]);
    for (at, paragraph) in WHAT.into_iter().enumerate() {
        if at > 0 {
            roff.control("PP", []);
        }
        roff.text([roman(paragraph)]);
    }
    for (heading, options) in sections(command) {
        roff.control("SH", [heading.to_uppercase().as_str()]);
        for (long, arg) in options {
            setting(&mut roff, long, arg);
        }
    }
    roff.control("SH", ["EXAMPLE"]).control("nf", []);
    for line in EXAMPLE.lines() {
        roff.text([roman(if line.is_empty() { " " } else { line })]);
    }
    roff.control("fi", []);
    roff.control("SH", ["SEE ALSO"]).text([
        bold("pixmill"),
        roman("(1), "),
        bold("pixmill-serve"),
        roman("(1)"),
    ]);
    let mut page = Vec::new();
    // Text can be written to memory.
    let _ = roff.to_writer(&mut page);
    page
}

fn setting(roff: &mut Roff, long: &str, arg: &Arg) {
    let names: Vec<_> = arg.get_value_names().into_iter().flatten().map(ToString::to_string).collect();
    let value = match arg.get_action().takes_values() {
        true => names.join(" "),
        false => "true or false".to_owned(),
    };
    let name = long.replace('-', "_");
    let variable = format!(" (PIXMILL_{})", name.to_ascii_uppercase());
    roff.control("TP", []).text([bold(name), roman(" = "), italic(value), roman(variable)]);
    let defaults: Vec<_> =
        arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
    let mut told = arg.get_help().map(ToString::to_string).unwrap_or_default();
    if arg.get_action().takes_values() && !defaults.is_empty() {
        told.push_str(&format!(" [default: {}]", defaults.join(", ")));
    }
    roff.text([roman(told)]);
}

/// Options by heading, in the order of commands; each once.
fn sections(command: &Command) -> Vec<(String, BTreeMap<&str, &Arg>)> {
    let mut sections = Vec::new();
    gather(command, &mut sections);
    sections
}

fn gather<'c>(command: &'c Command, sections: &mut Vec<(String, BTreeMap<&'c str, &'c Arg>)>) {
    for subcommand in command.get_subcommands() {
        for arg in subcommand.get_arguments() {
            let Some(long) = arg.get_long().filter(|long| !["help", "version", "config"].contains(long))
            else {
                continue;
            };
            let heading = arg.get_help_heading().unwrap_or("One command's own").to_owned();
            let at = sections.iter().position(|(known, _)| *known == heading).unwrap_or_else(|| {
                sections.push((heading, BTreeMap::new()));
                sections.len() - 1
            });
            sections[at].1.entry(long).or_insert(arg);
        }
        gather(subcommand, sections);
    }
}
