//! Ctrl-C and SIGTERM: the first stops cleanly, the second at once.

use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

/// As shells count it: 128 and SIGINT's number.
pub(super) const EXIT_CODE: u8 = 130;

/// A token that the first signal cancels; the second one ends the process.
///
/// Without handlers, where the system gives none, its own way applies: the process ends, resumable all the same.
pub(super) fn watch(runtime: &Runtime) -> CancellationToken {
    let stop = CancellationToken::new();
    let told = stop.clone();
    let _inside = runtime.enter();
    if let Ok(mut signals) = Signals::new() {
        runtime.spawn(async move {
            signals.next().await;
            told.cancel();
            signals.next().await;
            std::process::exit(i32::from(EXIT_CODE));
        });
    }
    stop
}

/// Ends the process at the first signal, for commands that leave nothing half done.
pub(super) fn end_at_once(runtime: &Runtime) {
    end_after(runtime, || ());
}

/// Ends the process at the first signal, once this is done, which may wait for what must not be stopped.
pub(super) fn end_after(runtime: &Runtime, last: fn()) {
    let _inside = runtime.enter();
    if let Ok(mut signals) = Signals::new() {
        runtime.spawn(async move {
            signals.next().await;
            last();
            std::process::exit(i32::from(EXIT_CODE));
        });
    }
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(windows)]
struct Signals(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        tokio::signal::windows::ctrl_c().map(Signals)
    }

    async fn next(&mut self) {
        self.0.recv().await;
    }
}
