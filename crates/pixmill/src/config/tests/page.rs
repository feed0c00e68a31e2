//! `docs/configuration.md` equals the code. `UPDATE_DOCS=1 cargo test -p pixmill equals_the_code` writes it anew.

use std::collections::BTreeMap;
use std::fmt::Write;

use clap::{Arg, Command, CommandFactory};

use crate::command::Cli;
use crate::config::pages::keep_equal;

const HEAD: &str = "\
# Configuration

Every option of every command, generated from `crates/pixmill/src/config`; a test keeps this page equal to the code.

A setting has three places: the command line, the environment, and `pixmill.toml` of the working folder. `--a-b` is `PIXMILL_A_B`
in the environment and `a_b` in the file. The command line wins over the environment, the environment over the file, the file over
the default.

- In the environment, commas part a list, and line ends part headers. An empty variable is not set.
- In the file, recipe options may stand in a section `[recipe]`, headers in `[headers]`: see [origins](origins.md#what-is-sent).
- A wrong value is told with its place and with what is allowed. Secrets show as `***`.
- `--config FILE`, or `PIXMILL_CONFIG`, names another file. What was taken from a file is said on standard error.

A `pixmill.toml` that is only found in the working folder may have come with somebody's catalogue. It may say how pictures are made
and how fast. It is refused where it opens something (addresses, folders, servers, who may call) until it is named:
`--config pixmill.toml`.

`run`, `check` and `image` use the embedded records, queue and storage, whatever is set here. `RUST_LOG` says which messages a server
writes, such as `info,pixmill=debug`. `OTEL_EXPORTER_OTLP_ENDPOINT` names a collector for [traces](traces.md).
";

/// Options by name: which commands have them.
type Options<'a> = BTreeMap<&'a str, (&'a Arg, Vec<String>)>;

fn gather<'a>(command: &'a Command, path: &str, options: &mut Vec<(String, Options<'a>)>) {
    for subcommand in command.get_subcommands() {
        let path = format!("{path} {}", subcommand.get_name()).trim().to_owned();
        for arg in subcommand.get_arguments() {
            let Some(long) = arg.get_long() else { continue };
            let heading = arg.get_help_heading().unwrap_or("One command's own").to_owned();
            let section = match options.iter().position(|(known, _)| *known == heading) {
                Some(at) => &mut options[at].1,
                None => {
                    options.push((heading, Options::new()));
                    &mut options.last_mut().expect("just pushed").1
                }
            };
            section.entry(long).or_insert_with(|| (arg, Vec::new())).1.push(format!("`{path}`"));
        }
        gather(subcommand, &path, options);
    }
}

/// The help without what stands in brackets at its end, and those: `also read` and `default`.
fn told(arg: &Arg) -> (String, String, String) {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let bracket = |name: &str| {
        let begin = help.find(&format!("[{name}: "))? + name.len() + 3;
        help[begin..].split(']').next().map(str::to_owned)
    };
    let text = help.split(" [").next().unwrap_or_default().to_owned();
    let defaults: Vec<_> =
        arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
    let takes_value = arg.get_action().takes_values();
    let default = match bracket("default") {
        Some(said) => said,
        None if takes_value && !defaults.is_empty() => format!("`{}`", defaults.join(", ")),
        None => String::new(),
    };
    (text, bracket("also read").unwrap_or_default(), default)
}

fn page() -> String {
    let command = Cli::command();
    let mut sections = Vec::new();
    gather(&command, "", &mut sections);
    let mut page = HEAD.to_owned();
    for (heading, options) in sections {
        let _ = write!(
            page,
            "\n## {heading}\n\n| setting | also read | default | of | |\n|---|---|---|---|---|\n"
        );
        for (long, (arg, commands)) in options {
            let value = arg.get_value_names().filter(|_| arg.get_action().takes_values());
            let value = value.map(|names| format!(" {}", names.join(" "))).unwrap_or_default();
            let (text, also, default) = told(arg);
            let cells = [format!("`--{long}{value}`"), also, default, commands.join(", "), text];
            let cells = cells.map(|cell| cell.replace('|', "\\|"));
            let _ = writeln!(page, "| {} |", cells.join(" | "));
        }
    }
    page
}

#[test]
fn the_configuration_page_equals_the_code() {
    keep_equal("configuration.md", &page());
}

#[test]
fn names_of_others_are_told_where_they_are_read() {
    let page = page();
    for name in super::super::environment::names_of_others() {
        assert!(page.contains(name), "{name} is read but not told");
    }
}
