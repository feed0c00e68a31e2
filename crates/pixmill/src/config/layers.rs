//! Layers of settings, put together so that what is nearer to the user wins.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Parser};

use pixmill_engine::stack::table::Table;

use super::file::File;
use super::recipe::RecipeFlags;
use super::secret::{holds_secrets, shown};
use super::setting::{Place, Setting};
use super::{environment, file, names, stack};

/// All that a command is told.
pub(crate) struct Layers {
    /// The command line, the program's own name first.
    pub(crate) arguments: Vec<OsString>,
    /// The environment.
    pub(crate) variables: Vec<(OsString, OsString)>,
    /// `pixmill.toml` of the working folder, when there is one.
    pub(crate) file: Option<File>,
}

impl Layers {
    /// Those of this process.
    ///
    /// # Errors
    /// A sentence on a file that can't be read.
    pub(crate) fn of_process() -> Result<Self, Misuse> {
        let file = File::found().map_err(Misuse::Setting)?;
        Ok(Layers { arguments: std::env::args_os().collect(), variables: environment::variables(), file })
    }
}

/// What a command is told, put together.
#[derive(Debug)]
pub(crate) struct Told<C> {
    /// All of it.
    pub(crate) cli: C,
    /// What of it came from which file, in a sentence; none where nothing did, or nothing is to be said.
    pub(crate) from_file: Option<String>,
    /// Shapes of jobs that a file tells.
    pub(crate) stacks: Vec<Table>,
    /// The file, as it is.
    pub(crate) settings: Option<String>,
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
pub(crate) fn parse<C: Parser>(mut layers: Layers) -> Result<Told<C>, Misuse> {
    let command = C::command();
    let matches = command.clone().try_get_matches_from(&layers.arguments)?;
    let mut names = Vec::new();
    let (mut subcommand, mut chosen) = (&command, &matches);
    while let Some((name, below)) = chosen.subcommand() {
        subcommand = subcommand.find_subcommand(name).expect("clap chose it");
        chosen = below;
        names.push(name);
    }
    add_variables(chosen, &mut layers.variables).map_err(Misuse::Setting)?;
    let options: Vec<_> = subcommand.get_arguments().filter(|arg| arg.get_long().is_some()).collect();
    if options.is_empty() {
        return Ok(Told {
            cli: C::from_arg_matches(&matches)?,
            from_file: None,
            stacks: Vec::new(),
            settings: None,
        });
    }
    let open = options
        .into_iter()
        .filter(|option| chosen.value_source(option.get_id().as_str()) != Some(ValueSource::CommandLine));
    let file = file(chosen.get_one::<String>(CONFIG), &layers).map_err(Misuse::Setting)?;
    let (added, from_file) = added(&command, open, file.as_ref(), &layers).map_err(Misuse::Setting)?;
    let stacks = match &file {
        Some(file) if names == ["serve"] => {
            let variable = |name: &str| environment::value(&layers.variables, name);
            stack::stacks(file, &variable).map_err(Misuse::Setting)?
        }
        _ => Vec::new(),
    };
    let (before, after) = layers.arguments.split_at(after_names(&layers.arguments, &names));
    let cli = C::try_parse_from([before, &added, after].concat())?;
    let quiet = chosen.try_get_one::<bool>("quiet").ok().flatten() == Some(&true);
    let settings = file.map(|file| file.text);
    Ok(Told { cli, from_file: from_file.filter(|_| !quiet), stacks, settings })
}

/// Names a file of variables.
const ENV_FILE: &str = "PIXMILL_ENV_FILE";

/// The option that names a file.
pub(super) const CONFIG: &str = "config";

/// Adds the variables of the file that `--env-file` or its variable names, where the command takes one.
pub(super) fn add_variables(
    chosen: &ArgMatches,
    variables: &mut Vec<(OsString, OsString)>,
) -> Result<(), String> {
    let Ok(said) = chosen.try_get_one::<PathBuf>("env_file") else { return Ok(()) };
    let in_environment = variables.iter().find(|(name, value)| name == ENV_FILE && !value.is_empty());
    match said.cloned().or_else(|| in_environment.map(|(_, path)| path.into())) {
        Some(path) => environment::add_file(variables, &path),
        None => Ok(()),
    }
}

/// The file that was named on the command line, in the environment, or that was found.
pub(super) fn file(said: Option<&String>, layers: &Layers) -> Result<Option<File>, String> {
    let in_environment =
        || environment::file(&layers.variables).map(|path| path.to_string_lossy().into_owned());
    match said.cloned().or_else(in_environment) {
        Some(path) => File::named(&path).map(Some),
        None => Ok(layers.file.clone()),
    }
}

/// Arguments that say what settings say of options that the command line leaves open, and what came from the file.
fn added<'a>(
    command: &clap::Command,
    open: impl Iterator<Item = &'a clap::Arg>,
    file: Option<&File>,
    layers: &Layers,
) -> Result<(Vec<OsString>, Option<String>), String> {
    let (recipe, settings) = (recipe(), settings(command, file, layers)?);
    let (mut added, mut from_file) = (Vec::new(), Vec::new());
    for option in open {
        let name = option.get_long().unwrap_or_default().replace('-', "_");
        let Some(setting) = settings.get(&name) else { continue };
        if let (Place::File { .. }, Some(file)) = (&setting.place, file) {
            file.may_say(&name, &setting.place, &recipe)?;
            if name == "env_file" {
                return Err(format!("{} comes too late: name it by --env-file or {ENV_FILE}", setting.place));
            }
            from_file.push(name);
        }
        added.extend(setting.as_arguments(option)?.into_iter().map(OsString::from));
    }
    let told = file.map(|file| format!("from {}: {}", file.name, from_file.join(", ")));
    Ok((added, told.filter(|_| !from_file.is_empty())))
}

/// What file and environment say, by name; the environment wins.
///
/// # Errors
/// A sentence on what is wrong.
pub(super) fn settings(
    command: &clap::Command,
    file: Option<&File>,
    layers: &Layers,
) -> Result<BTreeMap<String, Setting>, String> {
    let (all, recipe) = (names::known(command), recipe());
    let mut settings = match file {
        Some(file) => file::settings(file, &file::Known { all: &all, recipe: &recipe })?,
        None => BTreeMap::new(),
    };
    settings.extend(environment::settings(layers.variables.clone(), &all)?);
    Ok(settings)
}

/// The names of recipe options.
fn recipe() -> BTreeSet<String> {
    names::of(&RecipeFlags::augment_args(clap::Command::new("recipe"))).collect()
}

/// Where the subcommands' names end: before them only the option that names a file may stand.
fn after_names(arguments: &[OsString], names: &[&str]) -> usize {
    let mut at = 1;
    for name in names {
        while arguments[at] != *name {
            at += if arguments[at] == "--config" { 2 } else { 1 };
        }
        at += 1;
    }
    at
}
