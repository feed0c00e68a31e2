//! What every storage that is asked over HTTP promises when its service misbehaves.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::port::storage::Storage;

use super::standin::{Running, StandIn, Trouble};
use super::{PNG, Stored, assert_is, picture};

const KEY: &str = "processed_images/000001-01-a.png";

/// Runs the suite over a storage at a service that answers `busy` when it is asked too much. `secrets` are what no
/// fault may tell. The service is stopped in the end.
///
/// # Panics
/// When a promise is broken.
pub async fn suite<S, R, F>(
    storage: Arc<dyn Storage>,
    service: Running<S>,
    busy: &[u16],
    secrets: &[&str],
    read: R,
) where
    S: StandIn,
    R: Fn(String) -> F,
    F: Future<Output = Option<Stored>>,
{
    let check = |fault: &Fault, code: Code, transient: bool| {
        assert_eq!((fault.code, fault.transient), (code, transient), "{fault}");
        for secret in secrets {
            assert!(!fault.to_string().contains(secret), "a fault tells a secret");
        }
    };
    let put = || storage.put(KEY, PNG, picture("a", 1_000));
    for status in busy.iter().copied().chain([408, 429, 500, 502, 503, 504]) {
        service.misbehave(move |_| Some(Trouble::Refused(status, vec![("retry-after", "7".to_owned())])));
        let fault = put().await.expect_err("the service is not ready");
        check(&fault, Code::StoreUnavailable, true);
        assert_eq!(fault.retry_after, Some(Duration::from_secs(7)), "{status}");
        assert_eq!(service.asked(), 1, "trying again is the engine's affair");
    }
    for status in [400, 401, 403, 404, 413] {
        service.misbehave(move |_| Some(Trouble::Refused(status, vec![])));
        check(&put().await.expect_err("refused"), Code::StoreRejected, false);
    }
    for trouble in [Trouble::CutBefore, Trouble::CutAfter] {
        service.misbehave(move |_| Some(trouble.clone()));
        check(&put().await.expect_err("cut"), Code::StoreUnavailable, true);
    }
    service.behave();
    let location = put().await.expect("all is well again");
    assert_is(read(location.clone()).await, &picture("a", 1_000));

    service.misbehave(|_| Some(Trouble::Refused(500, vec![])));
    let removal = [location];
    check(&storage.remove(&removal).await.expect_err("not ready"), Code::StoreUnavailable, true);
    let foreign = ["nowhere/that/this/storage/knows.png".to_owned()];
    check(&storage.remove(&foreign).await.expect_err("not its own"), Code::StoreRejected, false);

    drop(service);
    check(&put().await.expect_err("nobody is there"), Code::StoreUnavailable, true);
}
