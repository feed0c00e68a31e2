//! Where a build for crash tests kills itself: `kill -9` at a named point, the nth time it is reached.

use std::sync::atomic::{AtomicI64, Ordering};

/// Arms one point, given as `POINT:N`. Not in release builds.
///
/// # Panics
/// When the text is not of that form: a crash test that does not crash must not pass.
pub(crate) fn arm(text: &str) {
    let (point, count) = text.split_once(':').expect("a failpoint is POINT:N");
    let left = AtomicI64::new(count.parse().expect("a failpoint is POINT:N"));
    fail::cfg_callback(point, move || {
        if left.fetch_sub(1, Ordering::SeqCst) == 1 {
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        }
    })
    .expect("the failpoint can be set");
}

/// Sets how long is waited between tries to tell a webhook, in milliseconds.
///
/// # Panics
/// When the text can't be what a failpoint gives back.
pub(crate) fn wait(milliseconds: &str) {
    fail::cfg("webhook_wait", &format!("return({milliseconds})")).expect("the failpoint can be set");
}
