//! What answers from the moment an address is listened on: whether the process lives. All other calls wait until what it
//! stands on is reached, so that whoever started it may call at once.

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::any;
use pixmill_engine::code::Code;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower_service::Service;

use super::health;
use super::problem::Problem;

/// Where calls come in.
#[derive(Clone)]
pub(crate) struct Front {
    opened: watch::Sender<Option<Router>>,
    stop: CancellationToken,
}

impl Front {
    /// One behind which nothing is open yet.
    pub(crate) fn new(stop: CancellationToken) -> Self {
        Front { opened: watch::Sender::new(None), stop }
    }

    /// Lets calls pass on from here.
    pub(super) fn open(&self, router: Router) {
        self.opened.send_replace(Some(router));
    }

    pub(super) fn router(&self) -> Router {
        Router::new()
            .route("/healthz", any(alive))
            .route("/readyz", any(ready))
            .fallback(pass)
            .with_state(self.clone())
    }

    fn behind(&self) -> Option<Router> {
        self.opened.borrow().clone()
    }
}

async fn alive(State(front): State<Front>, request: Request) -> Response {
    match front.behind() {
        Some(router) => call(router, request).await,
        None => health::alive().await,
    }
}

async fn ready(State(front): State<Front>, request: Request) -> Response {
    match front.behind() {
        Some(router) => call(router, request).await,
        None => health::starting().await,
    }
}

async fn pass(State(front): State<Front>, request: Request) -> Response {
    let mut opened = front.opened.subscribe();
    let open = async { opened.wait_for(Option::is_some).await.ok().and_then(|router| router.clone()) };
    let router = tokio::select! {
        biased;
        router = open => router,
        () = front.stop.cancelled() => None,
    };
    match router {
        Some(router) => call(router, request).await,
        None => {
            let stops = Problem::new(Code::BackendUnavailable, "the server stops before it could begin");
            stops.unavailable().render("")
        }
    }
}

async fn call(mut router: Router, request: Request) -> Response {
    match router.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}
