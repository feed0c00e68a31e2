//! Parameters of a query, and of a path.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, RawPathParams};
use http::request::Parts;
use pixmill_engine::model::time::Timestamp;
use url::form_urlencoded;

use super::problem::Problem;

/// Entries of a page, unless asked otherwise, and at most.
const PAGE: usize = 50;
const LARGEST_PAGE: usize = 1_000;

/// Parameters in their order.
#[derive(Debug, Clone, Default)]
pub(super) struct Query(pub(super) Vec<(String, String)>);

impl Query {
    /// The value of a parameter, the last one where it is given twice.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The same, where it says something.
    pub(super) fn said(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// How many entries a page is to have.
    pub(super) fn limit(&self) -> Result<usize, Problem> {
        let Some(value) = self.get("limit") else { return Ok(PAGE) };
        let limit = value.parse().ok().filter(|limit| (1..=LARGEST_PAGE).contains(limit));
        limit.ok_or_else(|| {
            Problem::parameter("limit", format!("allowed are whole numbers from 1 to {LARGEST_PAGE}"))
        })
    }

    /// One of several words.
    pub(super) fn one_of<T: Copy>(
        &self,
        name: &str,
        all: &[T],
        text: impl Fn(T) -> &'static str,
    ) -> Result<Option<T>, Problem> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let found = all.iter().copied().find(|one| text(*one) == value);
        found.map(Some).ok_or_else(|| {
            let words: Vec<_> = all.iter().map(|one| text(*one)).collect();
            Problem::parameter(name, format!("allowed are {}", words.join(", ")))
        })
    }

    /// True or false; false where it is not given.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Problem> {
        match self.get(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Problem::parameter(name, "allowed are true and false")),
        }
    }

    /// A time in RFC 3339.
    pub(super) fn time(&self, name: &str) -> Result<Option<Timestamp>, Problem> {
        let Some(value) = self.get(name) else { return Ok(None) };
        Timestamp::parse(value)
            .map(Some)
            .ok_or_else(|| Problem::parameter(name, "allowed are times such as 2026-01-31T00:00:00Z"))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let query = parts.uri.query().unwrap_or_default();
        Ok(Query(form_urlencoded::parse(query.as_bytes()).into_owned().collect()))
    }
}

/// Why a path's parameter that can't be decoded is none.
const UNREADABLE: &str = "that can't be decoded";

/// A parameter of a path.
///
/// # Errors
/// Why there is none; nothing where the path has no such parameter.
async fn in_path<S: Send + Sync>(parts: &mut Parts, state: &S, name: &str) -> Result<String, &'static str> {
    let parameters = RawPathParams::from_request_parts(parts, state).await.map_err(|_| UNREADABLE)?;
    let found = parameters.iter().find(|(found, _)| *found == name);
    found.map(|(_, value)| value.to_owned()).ok_or("")
}

/// The id in a path.
#[derive(Debug, Clone)]
pub(super) struct Id(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        // What can't be decoded is no id.
        in_path(parts, state, "id").await.map(Id).map_err(Problem::unknown)
    }
}

/// The host in a path.
#[derive(Debug, Clone)]
pub(super) struct Host(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Host {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let host = in_path(parts, state, "host").await.map(Host);
        host.map_err(|_| Problem::parameter("host", UNREADABLE))
    }
}

/// The image's id in a path.
#[derive(Debug, Clone)]
pub(super) struct Image(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Image {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        in_path(parts, state, "image").await.map(Image).map_err(Problem::unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        Query(form_urlencoded::parse(text.as_bytes()).into_owned().collect())
    }

    #[test]
    fn limits_have_bounds() {
        assert_eq!(query("").limit().unwrap(), PAGE);
        assert_eq!(query("limit=7&limit=9").limit().unwrap(), 9);
        for wrong in ["limit=0", "limit=1001", "limit=x", "limit=-1", "limit="] {
            assert!(query(wrong).limit().is_err(), "{wrong}");
        }
    }

    #[test]
    fn wrong_words_and_times_are_told_what_is_allowed() {
        let problem = query("at=yesterday").time("at").unwrap_err();
        assert!(problem.to_string().contains("2026-01-31"), "{problem}");
        assert!(query("at=2026-01-31T00:00:00Z").time("at").unwrap().is_some());
        assert!(query("at=").time("at").is_err());
        assert!(query("all=maybe").flag("all").is_err());
    }
}
