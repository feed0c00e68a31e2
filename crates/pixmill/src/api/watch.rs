//! The door of a process that answers no calls: whether it lives, whether it is ready, and what it counts.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::from_fn;
use axum::response::Response;
use axum::routing::get;
use ipnet::IpNet;
use pixmill_engine::code::Code;
use tokio_util::sync::CancellationToken;

use super::access;
use super::health::{self, Backends, Readiness};
use super::metrics::{self, Tells};
use super::problem::Problem;
use super::{Front, call};

/// What is to be seen at the door.
pub(crate) struct Watched {
    /// What the process stands on.
    pub(crate) backends: Backends,
    /// What it tells.
    pub(crate) tells: Tells,
    /// Networks that need no token; none set: loopback.
    pub(crate) trust: Vec<IpNet>,
}

struct Door {
    readiness: Readiness,
    tells: Tells,
    trust: Vec<IpNet>,
}

/// Lets calls pass through the front to this.
pub(crate) fn open(front: &Front, watched: Watched, stop: CancellationToken) {
    let Watched { backends, tells, trust } = watched;
    let door = Arc::new(Door { readiness: Readiness::new(backends, stop), tells, trust });
    let nothing = "a worker answers /healthz, /readyz and /metrics alone";
    let router = Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(ready))
        .route("/metrics", get(figures))
        .fallback(move || async move { Problem::new(Code::RouteUnknown, nothing).render("") })
        .layer(from_fn(call::harden))
        .with_state(door);
    front.open(router);
}

async fn ready(State(door): State<Arc<Door>>) -> Response {
    door.readiness.answer().await
}

async fn figures(State(door): State<Arc<Door>>, request: Request) -> Response {
    let peer = access::peer(request.extensions());
    if !door.tells.is_shown(request.headers()) && !peer.is_some_and(|peer| door.trusts(peer)) {
        let why = "figures are for this machine, for networks that --trust names, and for whoever shows --metrics-token";
        return Problem::new(Code::AuthMissing, why).render("");
    }
    metrics::of_worker(&door.tells, &door.readiness).await
}

impl Door {
    fn trusts(&self, peer: IpAddr) -> bool {
        match self.trust.as_slice() {
            // Where a token is set, somebody is not to see them without it.
            [] => peer.is_loopback() && self.tells.token.is_none(),
            trust => trust.iter().any(|range| range.contains(&peer)),
        }
    }
}
