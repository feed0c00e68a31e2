//! What doctor found, in a file for whoever is asked for help: findings, settings and where they were said, the system, and
//! the last lines of the log. No secret is in it: settings are shown as they are everywhere, and whatever is known to be one
//! is taken out of all the rest.

mod secrets;

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use serde_json::{Value, json};

use crate::config::options::ServeOptions;
use crate::config::{Said, environment};
use crate::wiring::records_file;
use secrets::Secrets;

/// Lines of the log.
const LINES: &str = "2000";

/// The service whose log it is.
const SERVICE: &str = "pixmill";

/// Where SQLite has the version of the schema in a file, and how long its head is.
const VERSION_AT: usize = 60;
const HEAD: usize = 100;

/// Writes the file and says what is in it.
///
/// # Errors
/// `disk.*`: one that is there is not written over.
pub(super) fn write(
    path: &Path,
    found: &Value,
    said: &[Said],
    options: &ServeOptions,
) -> Result<Vec<&'static str>, Fault> {
    let secrets = Secrets::of(options, said);
    let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap_or_default() + "\n";
    let mut entries = vec![
        ("findings.json", pretty(found)),
        ("settings.json", pretty(&settings(said))),
        ("system.json", pretty(&system(options))),
    ];
    entries.extend(log().map(|log| ("log.txt", log)));
    let unwritable = |error: io::Error| {
        let told = format!("{} can't be written: {error}", path.display());
        Fault::permanent(Code::of_unwritable(error.kind()), told)
    };
    let seconds = u64::try_from(records_file::now().0 / 1_000).unwrap_or_default();
    let mut archive = tar::Builder::new(records_file::private_file(path).map_err(unwritable)?);
    for (name, text) in &entries {
        let text = secrets.taken_out_of(text);
        let mut head = tar::Header::new_gnu();
        head.set_size(text.len() as u64);
        head.set_mode(0o600);
        head.set_mtime(seconds);
        archive.append_data(&mut head, format!("pixmill/{name}"), text.as_bytes()).map_err(unwritable)?;
    }
    archive.into_inner().and_then(|mut file| file.flush()).map_err(unwritable)?;
    Ok(entries.into_iter().map(|(name, _)| name).collect())
}

fn settings(said: &[Said]) -> Value {
    let one = |said: &Said| json!({ "name": said.name, "value": said.shown, "from": said.place });
    said.iter().map(one).collect()
}

fn system(options: &ServeOptions) -> Value {
    let features = [
        ("avif", cfg!(feature = "avif")),
        ("buckets", cfg!(feature = "buckets")),
        ("bullmq", cfg!(feature = "bullmq")),
        ("mongodb", cfg!(feature = "mongodb")),
        ("otlp", cfg!(feature = "otlp")),
    ];
    let features: Vec<_> = features.into_iter().filter(|(_, there)| *there).map(|(name, _)| name).collect();
    let records = options.records.file();
    let length = |path: &Path| path.metadata().map(|found| found.len()).ok();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "features": features,
        "system": std::env::consts::OS,
        "machine": std::env::consts::ARCH,
        "kernel": kernel(),
        "libc": output_of("getconf", &["GNU_LIBC_VERSION"]).map(|text| text.trim().to_owned()),
        "processors": std::thread::available_parallelism().map(usize::from).ok(),
        "under_systemd": environment::journal_stream().is_some(),
        "records": {
            "bytes": records.and_then(length),
            "log_bytes": records.and_then(|file| length(&records_file::beside(file, "-wal"))),
            "schema": records.and_then(schema),
        },
    })
}

fn kernel() -> Option<String> {
    #[cfg(unix)]
    return Some(rustix::system::uname().release().to_string_lossy().into_owned());
    #[cfg(not(unix))]
    None
}

/// The version of the schema, from the file's head.
fn schema(file: &Path) -> Option<u32> {
    let mut head = [0; HEAD];
    File::open(file).ok()?.read_exact(&mut head).ok()?;
    let version = head.get(VERSION_AT..VERSION_AT + 4)?.try_into().ok()?;
    head.starts_with(records_file::MAGIC).then(|| u32::from_be_bytes(version))
}

/// What the service said last, where systemd's journal has it.
fn log() -> Option<String> {
    let log = output_of(
        "journalctl",
        &["--unit", SERVICE, "--lines", LINES, "--no-pager", "--output", "short-iso"],
    )?;
    Some(log).filter(|log| log.lines().any(|line| !line.starts_with("--")))
}

fn output_of(program: &str, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stderr(Stdio::null());
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}
