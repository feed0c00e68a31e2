//! Layers of settings, put together so that what is nearer to the user wins.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{Args, CommandFactory, FromArgMatches, Parser};

use super::recipe::RecipeFlags;
use super::secret::{holds_secrets, shown};
use super::setting::Setting;
use super::{environment, file, names};
use crate::command::Cli;

/// All that a command is told.
pub(crate) struct Layers {
    /// The command line, the program's own name first.
    pub(crate) arguments: Vec<OsString>,
    /// The environment.
    pub(crate) variables: Vec<(OsString, OsString)>,
    /// `pixmill.toml`, when there is one.
    pub(crate) file: Option<String>,
}

/// What a command was told wrongly. All of it is exit code 2, but for the help that was asked for.
#[derive(Debug)]
pub(crate) enum Misuse {
    /// On the command line.
    Flags(clap::Error),
    /// Elsewhere, in a sentence.
    Setting(String),
}

impl From<clap::Error> for Misuse {
    /// What clap quotes of a value that holds a secret is masked.
    fn from(mut error: clap::Error) -> Self {
        let option = match error.get(ContextKind::InvalidArg) {
            Some(ContextValue::String(argument)) => argument.split_whitespace().next().unwrap_or_default(),
            _ => "",
        };
        let name = option.trim_start_matches('-').replace('-', "_");
        if holds_secrets(&name)
            && let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidValue)
        {
            let masked = ContextValue::String(shown(&name, value));
            error.insert(ContextKind::InvalidValue, masked);
        }
        Misuse::Flags(error)
    }
}

/// Reads the command line, then adds what it leaves open from the environment and the file.
///
/// # Errors
/// The first wrong flag, variable or key.
pub(crate) fn parse(layers: Layers) -> Result<Cli, Misuse> {
    let command = Cli::command();
    let matches = command.clone().try_get_matches_from(&layers.arguments)?;
    let mut depth = 0;
    let (mut subcommand, mut chosen) = (&command, &matches);
    while let Some((name, below)) = chosen.subcommand() {
        subcommand = subcommand.find_subcommand(name).expect("clap chose it");
        chosen = below;
        depth += 1;
    }
    let options: Vec<_> = subcommand.get_arguments().filter(|arg| arg.get_long().is_some()).collect();
    if options.is_empty() {
        return Ok(Cli::from_arg_matches(&matches)?);
    }
    let settings = settings(&command, &layers).map_err(Misuse::Setting)?;
    let mut added = Vec::new();
    for option in options {
        let long = option.get_long().unwrap_or_default();
        if chosen.value_source(option.get_id().as_str()) == Some(ValueSource::CommandLine) {
            continue;
        }
        if let Some(setting) = settings.get(&long.replace('-', "_")) {
            added.extend(
                setting.as_arguments(option).map_err(Misuse::Setting)?.into_iter().map(OsString::from),
            );
        }
    }
    // Subcommands are the first arguments, for nothing else may stand before them.
    let (before, after) = layers.arguments.split_at(1 + depth);
    Ok(Cli::try_parse_from([before, &added, after].concat())?)
}

/// The environment over the file.
fn settings(command: &clap::Command, layers: &Layers) -> Result<BTreeMap<String, Setting>, String> {
    let all = names::known(command);
    let recipe: BTreeSet<String> =
        names::of(&RecipeFlags::augment_args(clap::Command::new("recipe"))).collect();
    let mut settings = match &layers.file {
        Some(text) => file::settings(text, &file::Known { all: &all, recipe: &recipe })?,
        None => BTreeMap::new(),
    };
    settings.extend(environment::settings(layers.variables.clone(), &all)?);
    Ok(settings)
}
