//! A value that did not come from the command line, and where it came from.

use std::fmt;

use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgAction, Command};

use super::secret::shown;

/// Where a value was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// The environment variable of this name.
    Environment(String),
    /// This key in this line, from 1, of the file of this name.
    File { name: String, key: String, line: usize },
    /// This field of a call.
    Field(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Environment(variable) => write!(f, "{variable} in the environment"),
            Place::Field(name) => f.write_str(name),
            Place::File { name, key, line } => write!(f, "{key} in line {line} of {name}"),
        }
    }
}

/// One setting: its values as text, several where a list was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) values: Vec<String>,
    pub(super) place: Place,
}

impl Setting {
    /// The command-line arguments that say the same, once they have been found right.
    ///
    /// # Errors
    /// A sentence that says which value is wrong, where it was set and what is allowed.
    pub(super) fn as_arguments(&self, arg: &Arg) -> Result<Vec<String>, String> {
        let flag = arg.get_long().expect("only options with a name can be settings");
        match arg.get_action() {
            ArgAction::SetTrue => match self.values.as_slice() {
                [value] if value == "true" => Ok(vec![format!("--{flag}")]),
                [value] if value == "false" => Ok(Vec::new()),
                _ => Err(self.wrong(arg, "allowed are true and false")),
            },
            ArgAction::Append => {
                // Values of headers hold commas, and no line ends.
                let between = if flag == "header" { '\n' } else { ',' };
                let parts = self.values.iter().flat_map(|value| value.split(between));
                let parts = parts.map(str::trim).filter(|part| !part.is_empty());
                parts.map(|part| self.checked(arg, format!("--{flag}={part}"))).collect()
            }
            _ => match self.values.as_slice() {
                [value] => Ok(vec![self.checked(arg, format!("--{flag}={value}"))?]),
                _ => Err(self.wrong(arg, "a single value is allowed")),
            },
        }
    }

    fn checked(&self, arg: &Arg, argument: String) -> Result<String, String> {
        let alone = Command::new("setting").no_binary_name(true).disable_help_flag(true).arg(arg.clone());
        match alone.try_get_matches_from([&argument]) {
            Ok(_) => Ok(argument),
            Err(error) => Err(self.wrong(arg, &allowed(&error))),
        }
    }

    fn wrong(&self, arg: &Arg, allowed: &str) -> String {
        let name = arg.get_long().unwrap_or_default().replace('-', "_");
        let values = shown(&name, &self.values.join(", "));
        format!("'{values}' is not a value for {}: {allowed}", self.place)
    }
}

/// What clap's complaint says is allowed.
fn allowed(error: &clap::Error) -> String {
    if let Some(reason) = std::error::Error::source(error) {
        return reason.to_string();
    }
    match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(values)) => format!("allowed are {}", values.join(", ")),
        _ => "a value is needed".to_owned(),
    }
}
