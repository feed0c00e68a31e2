//! How the server is, for whoever set it up.

use mongodb::bson::{Document, doc};
use pixmill_engine::checkup::{self, Finding, megabytes};
use pixmill_engine::fault::Fault;
use pixmill_engine::model::time::Timestamp;

use super::document::whole;
use super::fault::fault;
use super::{Shared, schema};

/// The first major version that these records are made for.
const OLDEST: u32 = 5;

impl Shared {
    /// Version, clock and indexes.
    pub(super) async fn findings(&self, now: Timestamp) -> Result<Vec<Finding>, Fault> {
        let ask =
            async |command: Document| self.database.run_command(command).await.map_err(|error| fault(&error));
        let mut findings = vec![version(&ask(doc! { "buildInfo": 1 }).await?)];
        let hello = ask(doc! { "hello": 1 }).await?;
        let theirs = hello.get_datetime("localTime").map(|time| Timestamp(time.timestamp_millis()));
        findings.extend(theirs.map(|theirs| checkup::clock(now, theirs)));
        let stats = ask(doc! { "dbStats": 1 }).await?;
        let size = |name: &str| whole(&stats, name).unwrap_or_default();
        findings.push(Finding::well(
            "size",
            format!(
                "{} of data, {} of indexes",
                megabytes(size("storageSize")),
                megabytes(size("indexSize"))
            ),
        ));
        let missing = schema::missing(&self.database).await?;
        findings.push(match missing.as_slice() {
            [] => Finding::well("indexes", "all are there"),
            missing => Finding::wrong(
                "indexes",
                format!("missing are {}", missing.join(", ")),
                "Start a server once more: it makes them. Somebody drops them meanwhile.",
            ),
        });
        Ok(findings)
    }
}

fn version(build: &Document) -> Finding {
    let version = build.get_str("version").unwrap_or("of no known version");
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    match major {
        Some(major) if major < OLDEST => Finding::wrong(
            "version",
            format!("MongoDB {version}"),
            format!("Update the server to {OLDEST}.0 or later."),
        ),
        _ => Finding::well("version", format!("MongoDB {version}")),
    }
}
