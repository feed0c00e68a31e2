//! Where pictures are decoded and encoded: children of this program, which are this program.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pixmill_adapters::sandbox::inside;
use pixmill_adapters::sandbox::process::{ProcessSandbox, Program};
use pixmill_codec::{Limits, Recipe, Recompressed};
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::port::sandbox::{Memory, Sandbox};

/// The one argument that makes a child of this program. No command, for it is nothing to call by hand.
const DECODE: &str = "decode-pictures";

/// A sandbox of so many pictures at a time, each of which may take so much of a processor; large ones more.
///
/// # Errors
/// `backend.unavailable` when a thread can't be started.
pub(crate) fn sandbox(width: usize, time: Duration) -> Result<Arc<dyn Sandbox>, Fault> {
    let program = Program { path: this_program()?, argument: DECODE };
    let sandbox = ProcessSandbox::new(width, time, program).map_err(|error| {
        Fault::permanent(Code::BackendUnavailable, format!("a thread can't be started: {error}"))
    })?;
    Ok(Arc::new(sandbox))
}

/// A sandbox whose first process is started when the first picture comes, for most servers show none.
pub(super) struct WhenNeeded {
    width: usize,
    time: Duration,
    made: OnceLock<Arc<dyn Sandbox>>,
}

impl WhenNeeded {
    pub(super) fn new(width: usize, time: Duration) -> Self {
        WhenNeeded { width, time, made: OnceLock::new() }
    }

    fn made(&self) -> Result<&dyn Sandbox, Fault> {
        if self.made.get().is_none() {
            // Where two come at once, one is enough.
            let _ = self.made.set(sandbox(self.width, self.time)?);
        }
        let unmade =
            || Fault::transient(Code::BackendUnavailable, "no process for pictures could be started");
        self.made.get().map(|made| &**made).ok_or_else(unmade)
    }
}

#[async_trait]
impl Sandbox for WhenNeeded {
    fn width(&self) -> usize {
        self.width
    }

    async fn recompress(
        &self,
        source: Bytes,
        recipe: Recipe,
        limits: Limits,
        memory: &dyn Memory,
    ) -> Result<Recompressed, Fault> {
        self.made()?.recompress(source, recipe, limits, memory).await
    }

    async fn judge(
        &self,
        source: Bytes,
        result: Bytes,
        recipe: Recipe,
        limits: Limits,
        memory: &dyn Memory,
    ) -> Result<f64, Fault> {
        self.made()?.judge(source, result, recipe, limits, memory).await
    }
}

/// What this process was started for, where it is a child: pictures, until its parent has no more.
pub(crate) fn decoding() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let (first, second) = (arguments.next(), arguments.next());
    let is_child = first.as_deref() == Some(OsStr::new(DECODE)) && second.is_none();
    is_child.then(|| inside::serve(pixmill_codec::recompress))
}

/// This program as it runs, even where its file has been replaced since.
fn this_program() -> Result<PathBuf, Fault> {
    let running = Path::new("/proc/self/exe");
    if running.exists() {
        return Ok(running.to_owned());
    }
    std::env::current_exe().map_err(|error| {
        Fault::permanent(Code::BackendUnavailable, format!("this program's file can't be found: {error}"))
    })
}
