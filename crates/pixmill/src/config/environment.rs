//! `PIXMILL_*` variables.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

use super::names::nearest;
use super::setting::{Place, Setting};

const PREFIX: &str = "PIXMILL_";

/// Names that are not settings: those of tests and benchmarks, and those that Kubernetes sets in every container
/// beside a service called `pixmill`.
const FOREIGN: [&str; 6] = ["TEST_", "ACCEPT_", "BENCH_", "BINARY", "SERVICE_", "PORT"];

/// The variables of this process.
pub(crate) fn variables() -> Vec<(OsString, OsString)> {
    std::env::vars_os().collect()
}

/// Where a build for crash tests kills itself, `POINT:N`.
#[cfg(feature = "failpoints")]
pub(crate) fn kill_at() -> Option<String> {
    std::env::var("PIXMILL_TEST_KILL_AT").ok()
}

/// Settings by name, `a_b`. Empty values count as not set.
///
/// # Errors
/// A sentence on a variable that nobody knows or that is not text.
pub(super) fn settings(
    variables: Vec<(OsString, OsString)>,
    known: &BTreeSet<String>,
) -> Result<BTreeMap<String, Setting>, String> {
    let mut settings = BTreeMap::new();
    for (variable, value) in variables {
        let Some(variable) = variable.to_str() else { continue };
        let Some(name) = variable.strip_prefix(PREFIX) else { continue };
        if FOREIGN.iter().any(|foreign| name.starts_with(foreign)) || value.is_empty() {
            continue;
        }
        let name = name.to_ascii_lowercase();
        if !known.contains(&name) {
            return Err(unknown(variable, &name, known));
        }
        let place = Place::Environment(variable.to_owned());
        let value = value.into_string().map_err(|_| format!("{place} is not valid UTF-8"))?;
        settings.insert(name, Setting { values: vec![value], place });
    }
    Ok(settings)
}

fn unknown(variable: &str, name: &str, known: &BTreeSet<String>) -> String {
    let meant = nearest(name, known.iter().map(String::as_str));
    let meant = meant.map(|name| format!(": did you mean {PREFIX}{}?", name.to_ascii_uppercase()));
    format!("{variable} in the environment is not a setting{}", meant.unwrap_or_default())
}
