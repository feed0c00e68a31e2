//! What a catalogue would meet, before it is handed in: as `pixmill check` finds it, for programs and pages.

use std::collections::BTreeMap;
use std::fs::File;
use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use pixmill_engine::catalogue::{Hints, Preview};
use pixmill_engine::fault::Fault;
use pixmill_engine::model::recipe::Recipe;
use pixmill_engine::pipeline::accept::apart;
use serde::Serialize;
use tempfile::NamedTempFile;
use utoipa::ToSchema;

use super::access::Caller;
use super::answer::json;
use super::preview::{broken, refused};
use super::problem::{Problem, ProblemBody};
use super::query::Query;
use super::upload::{self, Coming, looked_at};
use super::{Api, options};
use crate::preflight::estimate::{Estimate, Figures, estimate};
use crate::preflight::probe::{Prober, Settings};
use crate::preflight::problems::Problems;
use crate::preflight::survey::{Survey, survey};
use crate::preflight::{Share, probe_all};

/// Most bytes of a catalogue that is looked at whole: larger ones are for `pixmill check`.
const MOST_BYTES: u64 = 64 << 20;

/// Addresses of each origin that are asked for, unless said otherwise, and at most; origins that are asked.
const PROBES: u64 = 10;
const MOST_PROBES: u64 = 100;
const ORIGINS: usize = 20;

/// How long origins are asked: whoever waits gets what was found by then.
const WITHIN: Duration = Duration::from_secs(20);

/// Problems that are told.
const PROBLEMS: usize = 100;

/// What a catalogue would meet.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Preflight)]
pub(super) struct PreflightBody {
    /// Rows that can be used.
    pub(super) rows: u64,
    /// Images in them.
    pub(super) images: u64,
    /// Images whose address is no other's.
    distinct: u64,
    /// Rows that can't be used.
    row_errors_total: u64,
    /// Whom pictures would be asked of, those with most images first.
    pub(super) origins: Vec<OriginBody>,
    /// How many there are; the first 20 were asked.
    origins_total: usize,
    /// Images that would fail, in the order of the catalogue, the first 100.
    pub(super) problems: Vec<ProblemLine>,
    /// All that were found.
    pub(super) problems_total: u64,
    /// What it would take.
    pub(super) estimate: EstimateBody,
}

/// An origin.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ProbedOrigin)]
pub(super) struct OriginBody {
    /// Scheme, host and port.
    pub(super) origin: String,
    /// Images on it.
    pub(super) images: u64,
    /// Addresses that were asked for.
    pub(super) probed: u64,
    /// Those that brought no picture.
    pub(super) failed: u64,
    /// Mean size of its pictures, bytes.
    pub(super) mean_bytes: Option<u64>,
    /// Mean time until a picture begins, milliseconds.
    pub(super) mean_ms: Option<u64>,
}

/// An image that would fail.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FoundProblem)]
pub(super) struct ProblemLine {
    /// The line of the file at which its row starts, from 1.
    pub(super) line: u64,
    /// Its place in the row, from 1.
    pub(super) position: u64,
    /// From the one list.
    pub(super) code: &'static str,
    /// What is wrong.
    pub(super) message: String,
}

/// What a run would take, roughly; none where nothing tells.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Estimate)]
pub(super) struct EstimateBody {
    /// To be fetched.
    pub(super) bytes_before: Option<u64>,
    /// Of outputs.
    pub(super) bytes_after: Option<u64>,
    /// Alone on this machine.
    pub(super) seconds: Option<u64>,
}

/// Look at what a catalogue would meet
///
/// Reads all of a catalogue of up to 64 MiB, asks each of its origins for the beginning of some pictures under the same guard as
/// the work, and tells what is wrong where, and roughly what the work would take. Takes the forms and options of
/// `POST /v1/preview` and the recipe's. Nothing is stored.
#[utoipa::path(
    post, operation_id = "preflight", path = "/v1/preflight", tag = "requests",
    params(("probe" = Option<u64>, Query, minimum = 1, maximum = 100, description = "Distinct addresses of each origin that are asked for; 10 unless said")),
    request_body(
        content(
            (upload::Form = "multipart/form-data"),
            (String = "text/csv", example = "Product Name,Input Image Urls\nCap,https://shop.example/cap.jpg\n"),
        ),
    ),
    responses(
        (status = 200, body = PreflightBody),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    query: Query,
    request: Request,
) -> Result<Response, Problem> {
    let said = query.said("probe").map(str::parse::<u64>);
    let most = match said {
        None => PROBES,
        Some(Ok(most @ 1..=MOST_PROBES)) => most,
        Some(_) => return Err(Problem::parameter("probe", "allowed are whole numbers from 1 to 100")),
    };
    let most_bytes = api.on.most_bytes.min(MOST_BYTES);
    let found = looked_at(&api, &caller, query, request, most_bytes, async |coming: Coming| {
        let came = Came::whole(&api, coming).await?;
        came.preflight(&api, most).await
    });
    Ok(json(StatusCode::OK, &found.await?))
}

/// A catalogue that came, as a file that lives as long as it is looked at.
pub(super) struct Came {
    file: NamedTempFile,
    name: String,
    hints: Hints,
    /// All that was said beside it.
    pub(super) pairs: Vec<(String, String)>,
    /// The recipe that was asked for.
    pub(super) recipe: Recipe,
}

impl Came {
    /// Takes all of it in.
    ///
    /// # Errors
    /// Wrong options; when it broke off.
    pub(super) async fn whole(api: &Api, coming: Coming) -> Result<Self, Problem> {
        let Coming { name, mut catalogue, hints, said } = coming;
        let kept = apart(move || {
            let mut file = NamedTempFile::new()?;
            std::io::copy(&mut catalogue, &mut file)?;
            Ok::<_, std::io::Error>(file)
        })?;
        let file = kept.await.map_err(|_| broken("its reader broke off"))?;
        let file = file.map_err(|error| broken(&error.to_string()))?;
        let pairs = said.whole().await?;
        let recipe = options::read(&pairs, api.on.recipe)?.recipe;
        Ok(Came { file, name, hints, pairs, recipe })
    }

    /// What it is understood as.
    ///
    /// # Errors
    /// When it can't be read.
    pub(super) async fn preview(&self) -> Result<Preview, Problem> {
        let file = File::open(self.file.path()).map_err(|error| broken(&error.to_string()))?;
        let hints = self.hints.clone();
        let seen = apart(move || Preview::read(file, &hints, false))?.await;
        seen.map_err(|_| broken("its reader broke off"))?.map_err(refused)
    }

    /// What it would meet.
    ///
    /// # Errors
    /// When it can't be used at all.
    pub(super) async fn preflight(&self, api: &Api, most: u64) -> Result<PreflightBody, Problem> {
        let (path, hints) = (self.file.path().to_owned(), self.hints.clone());
        let name = self.name.clone();
        let read = apart(move || {
            let mut problems = Problems::new(Path::new(&name), None);
            survey(&path, &hints, &mut problems).map(|survey| (survey, problems))
        })?;
        let (survey, mut problems) = read.await.map_err(|_| broken("its reader broke off"))??;
        if let Some(fault) = &survey.refused {
            return Err(fault.clone().into());
        }
        let settings = Settings { recipe: self.recipe, ..api.on.probing.clone() };
        let mut figures = BTreeMap::new();
        self.probe(api, &survey, &settings, most, (&mut problems, &mut figures)).await?;
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let guessed = estimate(&survey, &figures, &settings, cores);
        // What can't be written is a file that there is not.
        problems.finish()?;
        Ok(PreflightBody::new(survey, &problems, &figures, guessed))
    }

    async fn probe(
        &self,
        api: &Api,
        survey: &Survey,
        settings: &Settings,
        most: u64,
        (problems, figures): (&mut Problems, &mut BTreeMap<String, Figures>),
    ) -> Result<(), Fault> {
        let mut origins: Vec<_> = survey.origins.iter().collect();
        origins.sort_by_key(|(_, share)| std::cmp::Reverse(share.images));
        let origins = origins.into_iter().take(ORIGINS).map(|(origin, _)| origin.clone()).collect();
        let prober =
            Prober { origin: api.on.origin.clone(), files: None, settings: settings.clone(), offline: false };
        let catalogue = (self.file.path(), self.hints.clone());
        let probing = probe_all(catalogue, Share { origins, most }, prober, problems, figures, |_, _| ());
        // What was found by then is told.
        tokio::time::timeout(WITHIN, probing).await.unwrap_or(Ok(()))
    }
}

impl PreflightBody {
    fn new(
        survey: Survey,
        problems: &Problems,
        figures: &BTreeMap<String, Figures>,
        guessed: Estimate,
    ) -> Self {
        let origins_total = survey.origins.len();
        let mut origins: Vec<OriginBody> = survey
            .origins
            .into_iter()
            .map(|(origin, share)| {
                let found = figures.get(&origin).cloned().unwrap_or_default();
                OriginBody {
                    origin,
                    images: share.images,
                    probed: found.probed,
                    failed: found.failed,
                    mean_bytes: found.mean_bytes(),
                    mean_ms: found.mean_seconds().map(|seconds| (seconds * 1e3).round() as u64),
                }
            })
            .collect();
        origins.sort_by_key(|origin| std::cmp::Reverse(origin.images));
        origins.truncate(ORIGINS);
        let line = |problem: &crate::preflight::problems::Problem| ProblemLine {
            line: problem.line,
            position: problem.position,
            code: problem.code.as_str(),
            message: problem.message.clone(),
        };
        let whole = |value: Option<f64>| value.map(|value| value.round() as u64);
        PreflightBody {
            rows: survey.rows,
            images: survey.images,
            distinct: survey.distinct,
            row_errors_total: problems.row_errors_total,
            origins,
            origins_total,
            problems: problems.images.iter().take(PROBLEMS).map(line).collect(),
            problems_total: problems.images_total,
            estimate: EstimateBody {
                bytes_before: whole(guessed.bytes_before),
                bytes_after: whole(guessed.bytes_after),
                seconds: whole(guessed.seconds),
            },
        }
    }
}
