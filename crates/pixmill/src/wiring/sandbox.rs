//! Where pictures are decoded and encoded: children of this program, which are this program.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use pixmill_adapters::sandbox::inside;
use pixmill_adapters::sandbox::process::{ProcessSandbox, Program};
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::port::sandbox::Sandbox;

/// The one argument that makes a child of this program. No command, for it is nothing to call by hand.
const DECODE: &str = "decode-pictures";

/// A sandbox of so many pictures at a time, each of which may take so much of a processor; large ones more.
///
/// # Errors
/// `backend.unavailable` when a thread can't be started.
pub(crate) fn sandbox(width: usize, time: Duration) -> Result<Arc<dyn Sandbox>, Fault> {
    Ok(Arc::new(processes(width, time)?.warmed()))
}

/// The same, whose first process is started when the first picture comes, for most servers show none.
///
/// # Errors
/// `backend.unavailable` when a thread can't be started.
pub(super) fn sandbox_when_needed(width: usize, time: Duration) -> Result<Arc<dyn Sandbox>, Fault> {
    Ok(Arc::new(processes(width, time)?))
}

fn processes(width: usize, time: Duration) -> Result<ProcessSandbox, Fault> {
    let program = Program { path: this_program()?, argument: DECODE };
    ProcessSandbox::new(width, time, program).map_err(|error| {
        Fault::permanent(Code::BackendUnavailable, format!("a thread can't be started: {error}"))
    })
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
