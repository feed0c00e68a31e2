//! How the server and what it stands on are, for those who run it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use pixmill_engine::checkup::{Finding, Severity};
use pixmill_engine::model::time::Timestamp;
use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::ToSchema;

use super::Api;
use super::access::Caller;
use super::answer::json;
use super::problem::{Problem, ProblemBody};
use super::vigil::somebody_works;
use super::workers::WorkerBody;
use crate::figures::disks::room;
use crate::last_backup;
use crate::presence;
use crate::wiring::records_file;

/// How long what was found holds, and how long at least even where somebody asks anew: looking stores and removes
/// something small everywhere.
const FRESH: Duration = Duration::from_secs(300);
const LEAST: Duration = Duration::from_secs(5);

/// A disk with less room than this, or than this part of it, is told of.
const LITTLE_BYTES: u64 = 1 << 30;
const LITTLE_PART: u64 = 20;

/// A part of a server, and how it is.
pub(crate) struct Examined {
    /// Which part.
    pub(crate) part: &'static str,
    /// What stands for it, without secrets.
    pub(crate) backend: String,
    /// What was found.
    pub(crate) findings: Vec<Finding>,
}

/// Looks at what the server stands on.
#[async_trait]
pub(crate) trait Checkup: Send + Sync {
    /// Looks at every part, whatever is wrong with others. Nothing that is found holds a secret.
    async fn look(&self) -> Vec<Examined>;
}

/// What was found last; one looks at a time.
#[derive(Default)]
pub(super) struct Looked(Mutex<Option<(Instant, Timestamp, Vec<PartBody>)>>);

/// How the server is.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = System)]
pub(super) struct SystemBody {
    /// The version of the process that answers.
    pub(super) version: &'static str,
    /// The gravest verdict: `ok`, `warning` or `wrong`.
    pub(super) verdict: &'static str,
    /// When the parts were looked at.
    pub(super) looked_at: String,
    /// What the server stands on, as `pixmill doctor` finds it.
    pub(super) parts: Vec<PartBody>,
    /// Disks of this machine that it writes to.
    pub(super) disks: Vec<DiskBody>,
    /// Bytes of the records' file with its log, where they are one.
    pub(super) database_bytes: Option<u64>,
    /// When the last backup was made, as far as anybody told.
    pub(super) last_backup_at: Option<String>,
    pub(super) backlog: BacklogBody,
    /// Processes that are alive.
    pub(super) workers: Vec<WorkerBody>,
    /// Whether images wait while nobody works on any.
    pub(super) stranded: bool,
}

/// A part of what the server stands on.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = SystemPart)]
pub(super) struct PartBody {
    /// `records`, `queue`, `storage`, `backup`, `webhook` or `together`.
    pub(super) part: &'static str,
    /// What stands for it, without secrets.
    pub(super) backend: String,
    pub(super) verdict: &'static str,
    pub(super) findings: Vec<FindingBody>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Finding)]
pub(super) struct FindingBody {
    pub(super) about: &'static str,
    /// `ok`, `warning` or `wrong`.
    pub(super) verdict: &'static str,
    pub(super) told: String,
    /// What to do; empty when all is well.
    pub(super) advice: String,
}

/// A disk that something is written to.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Disk)]
pub(super) struct DiskBody {
    /// What lies there.
    pub(super) part: &'static str,
    pub(super) folder: String,
    pub(super) free_bytes: u64,
    pub(super) total_bytes: u64,
    /// `ok`, or `warning` where there is little room left.
    pub(super) verdict: &'static str,
}

/// What is to be done, over all tenants.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Backlog)]
pub(super) struct BacklogBody {
    pub(super) open_requests: u64,
    pub(super) waiting_images: u64,
    pub(super) images_under_way: u64,
}

/// Show how the server is
///
/// Every part of what it stands on is asked at most every five minutes, or anew by a POST. For those who run the server:
/// whoever needs no key, and keys of the tenant `default`.
#[utoipa::path(
    get, operation_id = "showSystem", path = "/v1/system", tag = "operation",
    responses((status = 200, body = SystemBody), (status = "4XX", body = ProblemBody, content_type = "application/problem+json"))
)]
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Problem> {
    Ok(json(StatusCode::OK, &system(&api, &caller, FRESH).await?))
}

/// Look at the server anew
#[utoipa::path(
    post, operation_id = "lookAtSystem", path = "/v1/system", tag = "operation",
    responses((status = 200, body = SystemBody), (status = "4XX", body = ProblemBody, content_type = "application/problem+json"))
)]
pub(super) async fn look_again(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Problem> {
    Ok(json(StatusCode::OK, &system(&api, &caller, LEAST).await?))
}

/// Has every part looked at anew, unless that was done just now.
///
/// # Errors
/// `auth.role`.
pub(super) async fn renew(api: &Api, caller: &Caller) -> Result<(), Problem> {
    caller.must_operate()?;
    looked(api, LEAST).await;
    Ok(())
}

/// How the server is.
///
/// # Errors
/// `auth.role`; those of records.
pub(super) async fn found(api: &Api, caller: &Caller) -> Result<SystemBody, Problem> {
    system(api, caller, FRESH).await
}

async fn system(api: &Api, caller: &Caller, fresh: Duration) -> Result<SystemBody, Problem> {
    caller.must_operate()?;
    let (at, parts) = looked(api, fresh).await;
    let folders = api.on.tells.disks.folders.clone();
    let records = api.on.tells.disks.records.clone();
    let backed_up = api.on.tells.disks.backed_up.clone();
    let sizes = tokio::task::spawn_blocking(move || {
        let database = records.as_deref().and_then(database);
        let disks = folders.iter().filter_map(|(part, folder)| disk(part, folder)).collect::<Vec<_>>();
        (disks, database, backed_up.as_deref().and_then(last_backup::made))
    });
    let (disks, database_bytes, last_backup) = sizes.await.unwrap_or_default();
    let (requests, images) = api.on.ledger.census().await?;
    let open = requests.iter().filter(|(status, _)| status.is_open()).map(|(_, count)| count).sum();
    let heard = presence::alive(&*api.on.ledger, api.on.clock.wall()).await?;
    let waits = images.pending + images.processing > 0;
    let verdicts = parts.iter().map(|part| part.verdict).chain(disks.iter().map(|disk| disk.verdict));
    Ok(SystemBody {
        version: env!("CARGO_PKG_VERSION"),
        verdict: worst(verdicts),
        looked_at: at.to_string(),
        parts,
        disks,
        database_bytes,
        last_backup_at: last_backup.map(|made| records_file::moment(made).to_string()),
        backlog: BacklogBody {
            open_requests: open,
            waiting_images: images.pending,
            images_under_way: images.processing,
        },
        stranded: waits && !somebody_works(&heard),
        workers: heard.iter().map(WorkerBody::new).collect(),
    })
}

/// What was found of every part, not longer ago than that.
async fn looked(api: &Api, fresh: Duration) -> (Timestamp, Vec<PartBody>) {
    let mut last = api.looked.0.lock().await;
    if let Some((at, wall, parts)) = &*last
        && at.elapsed() < fresh
    {
        return (*wall, parts.clone());
    }
    let wall = api.on.clock.wall();
    let parts: Vec<PartBody> = api.on.checkup.look().await.into_iter().map(part).collect();
    *last = Some((Instant::now(), wall, parts.clone()));
    (wall, parts)
}

fn part(examined: Examined) -> PartBody {
    let findings: Vec<_> = examined
        .findings
        .into_iter()
        .map(|finding| FindingBody {
            about: finding.about,
            verdict: finding.severity.as_str(),
            told: finding.told,
            advice: finding.advice,
        })
        .collect();
    let verdict = worst(findings.iter().map(|finding| finding.verdict));
    PartBody { part: examined.part, backend: examined.backend, verdict, findings }
}

fn worst<'v>(verdicts: impl Iterator<Item = &'v str>) -> &'static str {
    let all = [Severity::Well, Severity::Doubtful, Severity::Wrong].map(Severity::as_str);
    let place = |verdict: &str| all.iter().position(|known| *known == verdict).unwrap_or_default();
    all[verdicts.map(place).max().unwrap_or_default()]
}

/// Bytes of the records' file and of the log beside it.
fn database(file: &Path) -> Option<u64> {
    let length = |path: &Path| std::fs::metadata(path).map(|file| file.len()).ok();
    Some(length(file)? + length(&records_file::beside(file, "-wal")).unwrap_or_default())
}

/// How much room there is; none where the system does not tell.
fn disk(part: &'static str, folder: &Path) -> Option<DiskBody> {
    let (free, total) = room(folder)?;
    let little = free < LITTLE_BYTES || free < total / LITTLE_PART;
    let verdict = if little { Severity::Doubtful } else { Severity::Well };
    Some(DiskBody {
        part,
        folder: folder.display().to_string(),
        free_bytes: free,
        total_bytes: total,
        verdict: verdict.as_str(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gravest_verdict_counts() {
        assert_eq!(worst([].into_iter()), "ok");
        assert_eq!(worst(["ok", "warning", "ok"].into_iter()), "warning");
        assert_eq!(worst(["wrong", "warning"].into_iter()), "wrong");
    }

    #[test]
    fn a_database_is_as_large_as_its_file_and_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pixmill.db");
        assert_eq!(database(&file), None);
        std::fs::write(&file, [0; 100]).unwrap();
        std::fs::write(folder.path().join("pixmill.db-wal"), [0; 11]).unwrap();
        assert_eq!(database(&file), Some(111));
    }

    #[cfg(unix)]
    #[test]
    fn a_disk_tells_how_much_room_it_has() {
        let folder = tempfile::tempdir().unwrap();
        let told = disk("storage", folder.path()).unwrap();
        assert!(told.total_bytes >= told.free_bytes && told.total_bytes > 0, "{told:?}");
        assert!(disk("storage", &folder.path().join("none")).is_none());
    }
}
