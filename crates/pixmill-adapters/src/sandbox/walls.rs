//! What keeps a child in. It puts the walls up itself, before it reads a byte of a picture: what one of its decoders is
//! made to do then reaches no file, no network and no other process.
//!
//! No privilege and no name space is needed for it, so that it holds under a supervisor that has taken those away. What
//! a kernel lacks is left out, and told.

#[cfg(target_os = "linux")]
mod calls;

use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};

use super::wire::Walls;

/// Whether files are kept from it by Landlock.
static FILES: AtomicBool = AtomicBool::new(false);

/// What holds for the whole process: called first, by the thread that all others come from.
pub(super) fn around_process() {
    #[cfg(target_os = "linux")]
    linux::around_process();
}

/// The last wall: called by the thread that reads pictures, once it has all it needs.
pub(super) fn around_work(orders: &File, replies: &File) -> Walls {
    #[cfg(unix)]
    limits();
    #[cfg(target_os = "linux")]
    let calls = calls::allow_few(orders, replies);
    #[cfg(not(target_os = "linux"))]
    let calls = {
        let _ = (orders, replies);
        false
    };
    Walls { calls, files: FILES.load(Ordering::Relaxed) }
}

/// No core dump, which would hold somebody's picture; nothing written; nothing opened.
#[cfg(unix)]
fn limits() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    // What is open already stays open, however much the parent was given by whoever started it.
    for (resource, most) in [(Resource::Core, 0), (Resource::Fsize, 0), (Resource::Nofile, 0)] {
        // Where a lower one is set already, that holds.
        let _ = setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) });
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::sync::atomic::Ordering;

    use landlock::{
        ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetError, RulesetStatus, Scope,
    };
    use rustix::process::{DumpableBehavior, Signal, set_dumpable_behavior, set_parent_process_death_signal};

    /// Where memory runs out, a picture goes rather than the worker. 1000 is first of all.
    const FIRST_TO_GO: &str = "500";

    /// What lists of processes show.
    const NAME: &str = "pixmill-picture";

    pub(super) fn around_process() {
        let _ = set_parent_process_death_signal(Some(Signal::KILL));
        let _ = std::fs::write("/proc/self/oom_score_adj", FIRST_TO_GO);
        // It was started as /proc/self/exe, which says nothing in a list of processes.
        let _ = std::fs::write("/proc/self/comm", NAME);
        // Not to be dumped by a handler of the system's, nor looked into by other processes of the same user.
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
        super::FILES.store(without_files().unwrap_or(false), Ordering::Relaxed);
    }

    /// Landlock without a single rule: nothing of what it knows is allowed.
    fn without_files() -> Result<bool, RulesetError> {
        let known = ABI::V6;
        let rules = Ruleset::default()
            .handle_access(AccessFs::from_all(known))?
            .handle_access(AccessNet::from_all(known))?
            .scope(Scope::from_all(known))?;
        Ok(rules.create()?.restrict_self()?.ruleset != RulesetStatus::NotEnforced)
    }
}
