//! What clients ask of a server: uploads, cancels, retries, corrections, deletes.

use std::fmt::Write;
use std::io::Cursor;
use std::sync::Arc;

use pixmill_engine::catalogue::Hints;
use pixmill_engine::code::Code;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::image::Correction;
use pixmill_engine::model::request::Options;
use pixmill_engine::pipeline::accept::{Intake, Reading, Unwatched, accept_by};
use pixmill_engine::port::clock::Clock;
use pixmill_engine::port::records::{Amend, Deletion, Records, Upkeep};
use pixmill_engine::upkeep::retain::end_deletion;

use super::link::Wire;
use super::process::Process;
use super::storage::SimulatedStorage;
use super::world::{Chance, Here};
use crate::memory::{Memory, lock};

/// What a client asks for.
#[derive(Debug, Clone)]
pub(super) enum Wish {
    Upload(String),
    Cancel(RequestId),
    Retry(RequestId),
    Correct(RequestId, Vec<Correction>),
    Delete(RequestId),
}

/// A catalogue of a few rows, in which addresses come again.
pub(super) fn catalogue(chance: &mut Chance) -> String {
    let mut text = String::from("S. No.,Product Name,Input Image Urls\n");
    for row in 1..=1 + chance.below(6) {
        let urls: Vec<_> = (0..1 + chance.below(3)).map(|_| address(chance)).collect();
        let _ = writeln!(text, "{row},product {row},\"{}\"", urls.join(","));
    }
    text
}

pub(super) fn address(chance: &mut Chance) -> String {
    let kind = match chance.below(10) {
        0 => "gone",
        1 => "broken",
        2 | 3 => "flaky",
        4 => "slow",
        _ => "good",
    };
    format!("http://h{}.example/{kind}-{}.jpg", chance.below(2), chance.below(8))
}

/// A wish about one of these requests.
pub(super) fn wish(chance: &mut Chance, requests: &[RequestId]) -> Wish {
    let which = chance.below(requests.len() as u64) as usize;
    let (Some(request), choice) = (requests.get(which).cloned(), chance.below(10)) else {
        return Wish::Upload(catalogue(chance));
    };
    match choice {
        0 | 1 => Wish::Upload(catalogue(chance)),
        2 => Wish::Cancel(request),
        3..=5 => Wish::Retry(request),
        6 | 7 => {
            let correction = |chance: &mut Chance| Correction {
                row: chance.below(4),
                position: chance.below(2) as u32,
                input: address(chance),
            };
            let many = 1 + chance.below(2);
            Wish::Correct(request, (0..many).map(|_| correction(chance)).collect())
        }
        8 => Wish::Delete(request),
        _ => Wish::Retry(request),
    }
}

/// Has a process's server do it, as its API would.
pub(super) fn ask(process: &Process, wish: Wish) {
    let here = process.here.clone();
    process.spawn(async move {
        here.say(|| format!("a client wishes {wish:?}"));
        let memory = Arc::new(Memory::over(here.world.store.clone(), Arc::new(Wire(here.clone()))));
        let now = here.clock.wall();
        let done = match &wish {
            Wish::Upload(catalogue) => {
                upload(&here, memory, catalogue.clone()).await;
                return;
            }
            Wish::Cancel(request) => memory.cancel(request, now).await.map(|_| ()),
            Wish::Retry(request) => memory.retry(request, now).await.map(|_| ()),
            Wish::Correct(request, corrections) => {
                memory.correct(request, corrections.clone(), now).await.map(|_| ())
            }
            Wish::Delete(request) => delete(&here, &memory, request.clone()).await,
        };
        if let Err(fault) = done {
            let refused = matches!(fault.code, Code::RequestNotFound | Code::RequestState);
            if !fault.transient && !refused {
                here.world.break_off(format!("a client's wish {wish:?} ended with {fault}"));
            }
        }
    });
}

async fn upload(here: &Here, memory: Arc<Memory>, catalogue: String) {
    let request = RequestId::new();
    let records: Arc<dyn Records> = memory.clone();
    let intake = Intake {
        request: request.clone(),
        tenant: "default".to_owned(),
        catalogue: "catalogue.csv".to_owned(),
        hints: Hints::default(),
        traceparent: None,
        originals: Some(memory),
    };
    let options = async { Ok(Options::default()) };
    let catalogue = Cursor::new(catalogue.into_bytes());
    let accepted =
        accept_by(Reading::Before, &records, &*here.clock, catalogue, intake, options, Unwatched).await;
    here.say(|| format!("upload {request}: {accepted:?}"));
    let is_there = lock(&here.world.store).find(&request).is_some();
    if accepted.is_ok() && !is_there {
        here.world.break_off(format!("request {request} was accepted and is not there"));
    }
}

async fn delete(
    here: &Here,
    memory: &Memory,
    request: RequestId,
) -> Result<(), pixmill_engine::fault::Fault> {
    let deletion = Deletion { request, outputs: true };
    if memory.begin_deletion(&deletion, here.clock.wall()).await? {
        end_deletion(memory, &SimulatedStorage(here.clone()), &deletion).await?;
    }
    Ok(())
}
