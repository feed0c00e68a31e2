//! What a child's end says: whether its picture is to blame for it.

use std::process::ExitStatus;

use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;

/// What Rust says before it ends a process that gets no memory.
const NO_MEMORY: &str = "memory allocation of ";

/// Why a picture came to no answer.
#[derive(Debug)]
pub(super) enum Failed {
    /// It is to blame.
    Picture(Fault),
    /// Something else ended its process, in words.
    Killed(String),
}

/// Judges by how a child ended, what it said last, and what it was allowed.
pub(super) fn judged(status: Option<ExitStatus>, said: &str, allowed_bytes: u64) -> Failed {
    if said.contains(NO_MEMORY) {
        return Failed::Picture(Fault::permanent(
            Code::ImageCrashed,
            format!(
                "recompressing takes far more memory than the {} MiB that its header accounts for",
                allowed_bytes >> 20
            ),
        ));
    }
    match status.and_then(signal) {
        Some(signal) if is_from_outside(signal) => Failed::Killed(format!("signal {signal}")),
        Some(signal) => crashed(&format!("its process was ended by signal {signal}")),
        None => crashed("its process broke off"),
    }
}

/// A picture whose process says what makes no sense.
pub(super) fn crashed(how: &str) -> Failed {
    Failed::Picture(Fault::permanent(
        Code::ImageCrashed,
        format!("the decoder crashed on this picture: {how}"),
    ))
}

#[cfg(unix)]
fn signal(status: ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&status)
}

#[cfg(not(unix))]
fn signal(_: ExitStatus) -> Option<i32> {
    None
}

/// Whether a signal is one that a process gets from others: an operator, a supervisor, a kernel short of memory. What it
/// brings upon itself are the others.
#[cfg(unix)]
fn is_from_outside(signal: i32) -> bool {
    use rustix::process::Signal;
    let outside = [Signal::KILL, Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT, Signal::XCPU];
    outside.iter().any(|known| known.as_raw() == signal)
}

#[cfg(not(unix))]
fn is_from_outside(_: i32) -> bool {
    false
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn only_what_a_process_brings_upon_itself_is_its_pictures_fault() {
        for (signal, picture) in
            [(11, true), (6, true), (4, true), (31, true), (9, false), (15, false), (2, false)]
        {
            let failed = judged(Some(ExitStatus::from_raw(signal)), "", 0);
            assert_eq!(matches!(failed, Failed::Picture(_)), picture, "{signal}: {failed:?}");
        }
        assert!(matches!(judged(Some(ExitStatus::from_raw(1 << 8)), "", 0), Failed::Picture(_)));
    }

    #[test]
    fn want_of_memory_is_told_as_such() {
        let said = "memory allocation of 10737418240 bytes failed\n";
        let Failed::Picture(fault) = judged(Some(ExitStatus::from_raw(6)), said, 300 << 20) else { panic!() };
        assert!(fault.message.contains("300 MiB"), "{fault}");
    }
}
