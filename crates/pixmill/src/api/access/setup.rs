//! The first key of a server that others reach and that has none yet: made behind a link that was printed once. Until then
//! nobody is answered anything else.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http::HeaderValue;
use http::request::Parts;
use pixmill_engine::code::Code;
use pixmill_engine::model::key::{Made, Role, Secret, hash};
use pixmill_engine::model::request::DEFAULT_TENANT;
use pixmill_engine::model::time::Timestamp;
use uuid::Uuid;

use super::super::problem::Problem;
use super::session::{self, Session};
use super::{Access, Snapshot, head};

/// How long the link holds.
const HOLDS: Duration = Duration::from_secs(30 * 60);

/// The longest name of a key, bytes.
const LONGEST_NAME: usize = 64;

/// What the link leads to, once.
pub(super) struct Setup {
    /// Of the secret in the link, which only its readers know.
    hash: String,
    began: Instant,
    spent: AtomicBool,
}

impl Setup {
    /// A new one, and the secret of its link.
    fn begin() -> (Self, String) {
        let secret = [Uuid::new_v4(), Uuid::new_v4()].map(|part| part.simple().to_string()).concat();
        (Setup { hash: hash(&secret), began: Instant::now(), spent: AtomicBool::new(false) }, secret)
    }

    /// Whether a secret opens it still.
    fn opens(&self, secret: &str, now: Instant) -> bool {
        let in_time = now.saturating_duration_since(self.began) < HOLDS;
        in_time && !self.spent.load(Ordering::Relaxed) && hash(secret) == self.hash
    }
}

/// What setting up made.
pub(in crate::api) struct SetUp {
    /// The key's secret, to be shown once.
    pub(in crate::api) secret: Secret,
    /// What signs its maker in.
    pub(in crate::api) cookie: HeaderValue,
    /// The key's id, and what is told of it.
    pub(in crate::api) key: String,
    pub(in crate::api) told: String,
    /// Where its maker's call came from, as far as that is known.
    pub(in crate::api) from: Option<IpAddr>,
}

impl Access {
    /// Waits to be set up: the secret of the link.
    pub(in crate::api) fn wait_for_setup(&mut self) -> String {
        let (setup, secret) = Setup::begin();
        self.setup = Some(setup);
        secret
    }

    /// Whether nobody can be let in yet, for there is no key.
    ///
    /// # Errors
    /// Those of records.
    pub(in crate::api) async fn waits_for_setup(&self) -> Result<bool, Problem> {
        Ok(self.setup.is_some() && self.known().await?.is_empty())
    }

    /// Whether a link leads anywhere.
    ///
    /// # Errors
    /// `route.unknown` for one that is spent, too old or none; `request.state` once there is a key.
    pub(in crate::api) async fn is_set_up_by(&self, secret: &str) -> Result<(), Problem> {
        let opens = self.setup.as_ref().is_some_and(|setup| setup.opens(secret, Instant::now()));
        if !opens {
            let detail = "this link is spent, older than 30 minutes, or none: start the server again for a new one, or \
                          make a key on its machine with 'pixmill keys create --role admin'";
            return Err(Problem::new(Code::RouteUnknown, detail));
        }
        match self.waits_for_setup().await? {
            true => Ok(()),
            false => Err(Problem::new(Code::RequestState, "the server has a key by now: sign in with it")),
        }
    }

    /// Makes the first key, an admin's, and spends the link.
    ///
    /// # Errors
    /// Those of [`Access::is_set_up_by`]; a page of another site can't do it; those of records.
    pub(in crate::api) async fn set_up(
        &self,
        parts: &Parts,
        secret: &str,
        name: &str,
        now: Timestamp,
    ) -> Result<SetUp, Problem> {
        if head::is_from_another_site(&parts.method, &parts.headers, &self.own_origins(parts)) {
            return Err(Problem::new(Code::AuthRole, "a page of another site can't set the server up"));
        }
        self.is_set_up_by(secret).await?;
        let Some(setup) = &self.setup else { unreachable!("it was opened") };
        if setup.spent.swap(true, Ordering::Relaxed) {
            return Err(Problem::new(
                Code::RequestState,
                "the link was used a moment ago: sign in with that key",
            ));
        }
        let name = name.trim().chars().filter(|letter| !letter.is_control()).take(LONGEST_NAME).collect();
        let Made { key, secret } = Made::new(DEFAULT_TENANT.to_owned(), name, Role::Admin, None, now);
        let cookie = self.sessions.cookie(&Session::begin(key.id.clone(), &key.hash, session::now()));
        let (id, told) = (key.id.clone(), key.told());
        if let Err(fault) = self.ledger.add_key(key).await {
            setup.spent.store(false, Ordering::Relaxed);
            return Err(fault.into());
        }
        // It holds at once.
        *self.snapshot.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Snapshot::default();
        Ok(SetUp { secret, cookie, key: id, told, from: self.comes_from(parts) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_holds_for_half_an_hour_and_once() {
        let (setup, secret) = Setup::begin();
        let after = |minutes: u64| setup.began + Duration::from_secs(minutes * 60);
        assert!(setup.opens(&secret, after(29)));
        assert!(!setup.opens(&secret, after(30)), "too late");
        assert!(!setup.opens("elephant", after(0)) && !setup.opens("", after(0)));
        setup.spent.store(true, Ordering::Relaxed);
        assert!(!setup.opens(&secret, after(0)), "spent");
    }
}
