//! `PIXMILL_*` variables, and those that the ecosystem already uses.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::Path;
use std::sync::OnceLock;

use super::names::nearest;
use super::parts;
use super::setting::{Place, Setting};

const PREFIX: &str = "PIXMILL_";

/// Names a file of settings.
const FILE: &str = "PIXMILL_CONFIG";

/// Names that are not settings: those of tests and benchmarks, and those that Kubernetes sets in every container
/// beside a service called `pixmill`.
const FOREIGN: [&str; 6] = ["TEST_", "ACCEPT_", "BENCH_", "BINARY", "SERVICE_", "PORT"];

/// How long leases hold in a crash test that can't wait a minute for each, in milliseconds.
#[cfg(feature = "failpoints")]
pub(crate) fn lease() -> Option<std::time::Duration> {
    let text = std::env::var("PIXMILL_TEST_LEASE_MS").ok()?;
    Some(std::time::Duration::from_millis(text.parse().expect("milliseconds")))
}

/// Names of others that are read as they are, in the place of a setting that has not been set under its own name. The
/// first that is set wins.
const OF_OTHERS: [(&str, &str); 13] = [
    ("queue", "REDIS_URL"),
    ("queue", "UPSTASH_REDIS_URL"),
    ("queue_ca_file", "NODE_EXTRA_CA_CERTS"),
    ("database", "MONGODB_URI"),
    ("database", "MONGODB_URL"),
    ("database", "MONGO_URI"),
    ("database", "MONGO_URL"),
    ("database", "DB_URI"),
    ("database", "DB_URL"),
    ("storage", "CLOUDINARY_URL"),
    ("webhook_url", "WEBHOOK_URL"),
    ("ca_file", "SSL_CERT_FILE"),
    ("listen", "PORT"),
];

/// Names under which people have databases of any kind: what names another is not for us.
const OF_ANY_DATABASE: [&str; 2] = ["DB_URI", "DB_URL"];

/// Variables of the file that `--env-file` names, which the process has not.
static OF_FILE: OnceLock<Vec<(OsString, OsString)>> = OnceLock::new();

/// Cloudinary's other way: its URL in three parts.
const CLOUDINARY: [&str; 3] = ["CLOUDINARY_API_KEY", "CLOUDINARY_API_SECRET", "CLOUDINARY_CLOUD_NAME"];

/// What names of settings begin with that the vendors of buckets use.
#[cfg(feature = "buckets")]
const CLOUDS: [&str; 3] = ["AWS_", "GOOGLE_", "AZURE_"];

/// The file of settings that is named here, as `--config` names one.
pub(super) fn file(variables: &[(OsString, OsString)]) -> Option<&OsString> {
    let named = variables.iter().find(|(variable, value)| variable == FILE && !value.is_empty());
    named.map(|(_, value)| value)
}

/// The variables of this process, and those of the file of variables that was named.
pub(crate) fn variables() -> Vec<(OsString, OsString)> {
    std::env::vars_os().chain(OF_FILE.get().into_iter().flatten().cloned()).collect()
}

/// What a variable says.
pub(super) fn value(variables: &[(OsString, OsString)], name: &str) -> Option<String> {
    let found = variables.iter().find(|(variable, value)| variable == name && !value.is_empty());
    found.and_then(|(_, value)| value.to_str().map(str::to_owned))
}

/// Adds the variables of a file, as `.env`, that are not set otherwise.
///
/// # Errors
/// A sentence on a file that can't be read.
pub(super) fn add_file(variables: &mut Vec<(OsString, OsString)>, path: &Path) -> Result<(), String> {
    let wrong = |error: dotenvy::Error| format!("--env-file {} can't be read: {error}", path.display());
    let set = |variables: &[(OsString, OsString)], name: &str| {
        variables.iter().any(|(variable, value)| variable == name && !value.is_empty())
    };
    let mut added = Vec::new();
    for variable in dotenvy::from_path_iter(path).map_err(wrong)? {
        let (name, value) = variable.map_err(wrong)?;
        if !set(variables, &name) {
            added.push((OsString::from(name), OsString::from(value)));
        }
    }
    variables.extend(added.iter().cloned());
    // A process reads its settings once.
    let _ = OF_FILE.set(added);
    Ok(())
}

/// Where a build for crash tests kills itself, `POINT:N`.
#[cfg(feature = "failpoints")]
pub(crate) fn kill_at() -> Option<String> {
    std::env::var("PIXMILL_TEST_KILL_AT").ok()
}

/// How long a server waits between tries to tell a webhook, in a crash test that can't wait for hours, milliseconds.
#[cfg(feature = "failpoints")]
pub(crate) fn webhook_wait() -> Option<String> {
    std::env::var("PIXMILL_TEST_WEBHOOK_WAIT_MS").ok()
}

/// The port that a platform names for whatever answers calls, where it decides.
pub(super) fn port() -> Option<String> {
    let variables = variables();
    value(&variables, "PORT").filter(|_| value(&variables, "PIXMILL_LISTEN").is_none())
}

/// The time that whoever makes packages wants in what is made, milliseconds.
pub(crate) fn source_date() -> Option<i64> {
    let seconds: i64 = std::env::var("SOURCE_DATE_EPOCH").ok()?.parse().ok()?;
    seconds.checked_mul(1_000)
}

/// The device and the inode of what systemd's journal reads, where standard error or output was connected to it.
pub(crate) fn journal_stream() -> Option<(u64, u64)> {
    let stream = std::env::var("JOURNAL_STREAM").ok()?;
    let (device, inode) = stream.split_once(':')?;
    device.parse().ok().zip(inode.parse().ok())
}

/// What `RUST_LOG` says of which talk is wanted.
pub(crate) fn rust_log() -> Option<String> {
    value(&variables(), "RUST_LOG")
}

/// What the vendors of buckets call their settings, `AWS_REGION` and the like, for the storage that knows them.
#[cfg(feature = "buckets")]
pub(crate) fn of_clouds() -> Vec<(String, String)> {
    let text =
        |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    let settings = variables().into_iter().filter_map(text);
    settings.filter(|(name, _)| CLOUDS.iter().any(|cloud| name.starts_with(cloud))).collect()
}

/// What the vendors of buckets call secret, for whoever takes it out of what is told.
pub(crate) fn secrets_of_clouds() -> Vec<String> {
    let marks = ["SECRET", "TOKEN", "PASSWORD", "KEY", "HEADERS"];
    let is_secret = |name: &str| {
        ["AWS_", "GOOGLE_", "AZURE_", "CLOUDINARY_", "OTEL_"].iter().any(|vendor| name.starts_with(vendor))
            && marks.iter().any(|mark| name.contains(mark))
    };
    let secret =
        |(name, value): (OsString, OsString)| is_secret(name.to_str()?).then(|| value.into_string().ok())?;
    variables().into_iter().filter_map(secret).collect()
}

/// Settings by name, `a_b`. Empty values count as not set.
///
/// # Errors
/// A sentence on a variable that nobody knows or that is not text.
pub(super) fn settings(
    variables: Vec<(OsString, OsString)>,
    known: &BTreeSet<String>,
) -> Result<BTreeMap<String, Setting>, String> {
    let mut settings = of_others(&variables)?;
    for (variable, value) in variables {
        let Some(variable) = variable.to_str() else { continue };
        let Some(name) = variable.strip_prefix(PREFIX) else { continue };
        if variable == FILE || FOREIGN.iter().any(|foreign| name.starts_with(foreign)) || value.is_empty() {
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
    // Where --queue is a queue's name, it is on the same Redis.
    if let Some(queue) =
        settings.get("queue").filter(|queue| queue.values.iter().any(|value| value.contains("://")))
    {
        let queue = queue.clone();
        settings.entry("redis".to_owned()).or_insert(queue);
    }
    Ok(settings)
}

/// Settings under the names of others.
///
/// # Errors
/// A sentence on a variable that is not text.
fn of_others(variables: &[(OsString, OsString)]) -> Result<BTreeMap<String, Setting>, String> {
    let value = |name: &str| {
        let found = variables.iter().find(|(variable, value)| variable == name && !value.is_empty());
        let text = found.map(|(_, value)| {
            value
                .to_str()
                .map(str::to_owned)
                .ok_or_else(|| format!("{name} in the environment is not valid UTF-8"))
        });
        text.transpose()
    };
    let mut settings = BTreeMap::new();
    let mut set = |name: &str, variable: &str, value: String| {
        let place = Place::Environment(variable.to_owned());
        settings.entry(name.to_owned()).or_insert(Setting { values: vec![value], place });
    };
    for (name, variable) in OF_OTHERS {
        match value(variable)? {
            Some(value) if OF_ANY_DATABASE.contains(&variable) && !value.starts_with("mongodb") => {}
            Some(value) => set(name, variable, value),
            None => {}
        }
    }
    for part in parts::composed(value)? {
        set(part.setting, part.variable, part.address);
    }
    if let [Some(key), Some(secret), Some(cloud)] =
        [value(CLOUDINARY[0])?, value(CLOUDINARY[1])?, value(CLOUDINARY[2])?]
    {
        set("storage", CLOUDINARY[2], format!("cloudinary://{key}:{secret}@{cloud}"));
    }
    Ok(settings)
}

/// Every name of others that is read.
#[cfg(test)]
pub(super) fn names_of_others() -> impl Iterator<Item = &'static str> {
    OF_OTHERS.into_iter().map(|(_, variable)| variable).chain(CLOUDINARY).chain(parts::NAMES)
}

fn unknown(variable: &str, name: &str, known: &BTreeSet<String>) -> String {
    let meant = nearest(name, known.iter().map(String::as_str));
    let meant = meant.map(|name| format!(": did you mean {PREFIX}{}?", name.to_ascii_uppercase()));
    format!("{variable} in the environment is not a setting{}", meant.unwrap_or_default())
}
