//! What a service manager is told that started this process and wants to know (systemd's `Type=notify`, `WatchdogSec=`):
//! whether it is ready, that it lives, what it waits for. Where nobody asks, or nobody hears, nothing is lost.

use std::future::Future;
use std::time::Duration;

/// How often, while the process starts, it asks for more time, and for how much: bringing records up to date takes as long
/// as it takes.
const EXTEND_EVERY: Duration = Duration::from_secs(10);
#[cfg(target_os = "linux")]
const EXTENSION: Duration = Duration::from_secs(30);

/// What is told.
#[derive(Debug, Clone, Copy)]
enum News<'t> {
    Ready,
    Status(&'t str),
    Stopping,
    Lives,
    NeedsTime,
}

#[cfg(target_os = "linux")]
fn tell(news: News<'_>) {
    use sd_notify::NotifyState;
    let state = match news {
        News::Ready => NotifyState::Ready,
        News::Status(text) => NotifyState::Status(text),
        News::Stopping => NotifyState::Stopping,
        News::Lives => NotifyState::Watchdog,
        News::NeedsTime => {
            NotifyState::ExtendTimeoutUsec(u32::try_from(EXTENSION.as_micros()).unwrap_or(u32::MAX))
        }
    };
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!(%error, ?news, "the service manager does not hear");
    }
}

/// Other systems have no such thing.
#[cfg(not(target_os = "linux"))]
fn tell(_news: News<'_>) {}

/// How long the process may say nothing, where somebody watches.
#[cfg(target_os = "linux")]
fn patience() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

#[cfg(not(target_os = "linux"))]
fn patience() -> Option<Duration> {
    None
}

/// The process does what it is for from now on.
pub(crate) fn is_ready() {
    tell(News::Ready);
}

/// What the process does, or waits for, on one line.
pub(crate) fn does(what: &str) {
    tell(News::Status(what.lines().next().unwrap_or_default()));
}

/// The process ends.
pub(crate) fn stops() {
    tell(News::Stopping);
}

/// Asks for more time again and again while something is under way that may take any.
pub(crate) async fn given_time<T>(under_way: impl Future<Output = T>) -> T {
    tokio::pin!(under_way);
    loop {
        tokio::select! {
            biased;
            done = &mut under_way => return done,
            () = tokio::time::sleep(EXTEND_EVERY) => tell(News::NeedsTime),
        }
    }
}

/// Says again and again that the process lives, as long as what it can't do without answers in time.
pub(crate) async fn show_life<F: Future<Output = ()>>(answers: impl Fn() -> F) {
    let Some(patience) = patience() else { return };
    loop {
        // Saying so twice in the time leaves room for an answer that comes late.
        if tokio::time::timeout(patience / 2, answers()).await.is_ok() {
            tell(News::Lives);
        } else {
            tracing::error!(
                "records have not answered for {:?}: the service manager is told nothing",
                patience / 2
            );
        }
        tokio::time::sleep(patience / 4).await;
    }
}
