//! What was said of every option of a command, and where, for whoever is asked for help.

use std::collections::BTreeMap;

use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory};

use super::layers::{self, Layers, Misuse};
use super::secret::{holds_secrets, shown};

/// One option.
#[derive(Debug)]
pub(crate) struct Said {
    /// As `pixmill.toml` writes it.
    pub(crate) name: String,
    /// What it is, without secrets.
    pub(crate) shown: Vec<String>,
    /// Where that was said.
    pub(crate) place: String,
    /// What it is, where that holds secrets.
    pub(crate) secrets: Vec<String>,
}

/// All options of the command that is asked for.
///
/// # Errors
/// The first wrong flag, variable or key.
pub(crate) fn said<C: CommandFactory>(mut layers: Layers) -> Result<Vec<Said>, Misuse> {
    let command = C::command();
    let matches = command.clone().try_get_matches_from(&layers.arguments)?;
    let (mut subcommand, mut chosen) = (&command, &matches);
    while let Some((name, below)) = chosen.subcommand() {
        subcommand = subcommand.find_subcommand(name).expect("clap chose it");
        chosen = below;
    }
    layers::add_variables(chosen, &mut layers.variables).map_err(Misuse::Setting)?;
    let file = layers::file(chosen.get_one::<String>(layers::CONFIG), &layers).map_err(Misuse::Setting)?;
    let settings = layers::settings(&command, file.as_ref(), &layers).map_err(Misuse::Setting)?;
    let settings: BTreeMap<_, _> = settings
        .into_iter()
        .map(|(name, setting)| (name, (setting.values, setting.place.to_string())))
        .collect();
    let options = subcommand.get_arguments().filter_map(|arg| Some((arg, arg.get_long()?)));
    let said = options.map(|(arg, long)| {
        let name = long.replace('-', "_");
        let (values, place) = match on_command_line(chosen, arg.get_id().as_str()) {
            Some(values) => (values, "command line".to_owned()),
            None => settings.get(&name).cloned().unwrap_or_else(|| {
                let defaults = arg.get_default_values().iter();
                (defaults.map(|value| value.to_string_lossy().into_owned()).collect(), "default".to_owned())
            }),
        };
        of(name, values, place)
    });
    Ok(said.collect())
}

fn of(name: String, values: Vec<String>, place: String) -> Said {
    let shown = match name.as_str() {
        // Of some receivers the path is the secret.
        "webhook_url" => values.iter().map(|url| origin(url)).collect(),
        _ => values.iter().map(|value| shown(&name, value)).collect(),
    };
    let secrets = if holds_secrets(&name) { values } else { Vec::new() };
    Said { name, shown, place, secrets }
}

fn origin(url: &str) -> String {
    let parsed = url::Url::parse(url).map(|url| url.origin().ascii_serialization());
    parsed.map_or_else(|_| "***".to_owned(), |origin| format!("{origin}/***"))
}

fn on_command_line(chosen: &ArgMatches, id: &str) -> Option<Vec<String>> {
    let there = chosen.value_source(id) == Some(ValueSource::CommandLine);
    let raw = chosen.get_raw(id).filter(|_| there)?;
    Some(raw.map(|value| value.to_string_lossy().into_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Cli;
    use crate::config::file::File;

    #[test]
    fn every_option_is_told_with_its_place_and_without_secrets() {
        let layers = Layers {
            arguments: ["pixmill", "doctor", "--queue", "redis://:secret@cache"].map(Into::into).to_vec(),
            variables: vec![
                ("MONGODB_URI".into(), "mongodb://user:planted@db/shop".into()),
                ("PIXMILL_WEBHOOK_URL".into(), "https://hooks.example/T00/planted?x=planted".into()),
            ],
            file: Some(File::with("quality = 42\n")),
        };
        let said = said::<Cli>(layers).unwrap();
        let told = |name: &str| {
            let said = said.iter().find(|said| said.name == name).unwrap();
            format!("{} ({})", said.shown.join(", "), said.place)
        };
        assert_eq!(told("queue"), "redis://***@cache (command line)");
        assert_eq!(told("database"), "mongodb://***@db/shop (MONGODB_URI in the environment)");
        assert_eq!(told("webhook_url"), "https://hooks.example/*** (PIXMILL_WEBHOOK_URL in the environment)");
        assert_eq!(told("quality"), "42 (quality in line 1 of pixmill.toml)");
        assert_eq!(told("attempts"), "5 (default)");
        let shown: Vec<_> = said.iter().flat_map(|said| &said.shown).collect();
        assert!(
            shown.iter().all(|value| !value.contains("planted") && !value.contains("secret")),
            "{shown:?}"
        );
    }
}
