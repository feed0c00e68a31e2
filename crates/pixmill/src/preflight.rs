//! What a run of a catalogue would meet, looked at before: for `pixmill check` and for whoever hands a catalogue in.

pub(crate) mod estimate;
pub(crate) mod probe;
pub(crate) mod problems;
pub(crate) mod survey;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use pixmill_engine::catalogue::Hints;
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use tokio::sync::mpsc;

use estimate::Figures;
use probe::Prober;
use problems::{Problem, Problems};
use survey::targets;

/// What is probed.
pub(crate) struct Share {
    /// These origins.
    pub(crate) origins: Vec<String>,
    /// So many distinct addresses of each.
    pub(crate) most: u64,
}

/// Probes each origin's share; a thread of its own reads the catalogue again meanwhile. What is found is told as it is,
/// so that it stays with whoever stops waiting.
///
/// # Errors
/// When the catalogue can't be read.
pub(crate) async fn probe_all(
    (catalogue, hints): (&Path, Hints),
    share: Share,
    prober: Prober,
    problems: &mut Problems,
    figures: &mut BTreeMap<String, Figures>,
    mut told: impl FnMut(u64, u64),
) -> Result<(), Fault> {
    let (give, take) = mpsc::channel(256);
    let (tell, mut found) = mpsc::channel(256);
    let catalogue = catalogue.to_owned();
    let reading = tokio::task::spawn_blocking(move || {
        targets(&catalogue, &hints, &share.origins, share.most, |target| match give.blocking_send(target) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        })
    });
    let probing = Ended(tokio::spawn(prober.run(take, tell)));
    let mut count = 0u64;
    while let Some(probed) = found.recv().await {
        count += 1;
        told(count, problems.images_total);
        figures.entry(probed.origin.clone()).or_default().take(&probed);
        if let Err(fault) = probed.found {
            problems.image(Problem::of(probed.line, probed.position, fault))?;
        }
    }
    drop(probing);
    let broken = |error| Fault::permanent(Code::BackendUnavailable, format!("probing broke off: {error}"));
    reading.await.map_err(broken)?
}

/// Probes end with whoever asked for them.
struct Ended(tokio::task::JoinHandle<()>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.abort();
    }
}
