//! What operators want of hosts: kept on a board, so that every worker obeys within seconds.

use std::collections::BTreeMap;
use std::time::Duration;

use pixmill_engine::fault::Fault;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::pipeline::{HostRule, Rules};
use pixmill_engine::port::boards::{Board, Boards, FOR_GOOD, Notice};
use serde::{Deserialize, Serialize};
use url::Url;

/// Hosts of which something is wanted, at most.
pub(crate) const MOST: usize = 1_000;

/// Most requests under way that can be asked for.
pub(crate) const LARGEST_LIMIT: usize = 1_000;

/// The longest pause that ends by itself, minutes.
pub(crate) const LONGEST_PAUSE: u64 = 7 * 24 * 60;

/// What is wanted of a host, since when and by whom.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Wish {
    /// It is left alone.
    pub(crate) paused: bool,
    /// Until then, milliseconds since 1970; until somebody says otherwise where none is set.
    pub(crate) until: Option<i64>,
    /// Most requests under way to it, at each worker.
    pub(crate) limit: Option<usize>,
    pub(crate) by: String,
    pub(crate) at: i64,
}

/// What an operator does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Leave it alone: for so long, or until somebody says otherwise.
    Pause(Option<Duration>),
    /// Go on.
    Resume,
    /// Ask it for so many at a time; for as many as configured where none is set.
    Limit(Option<usize>),
}

impl Order {
    /// As the audit log names it.
    pub(crate) fn action(self) -> &'static str {
        match self {
            Order::Pause(_) => "host.paused",
            Order::Resume => "host.resumed",
            Order::Limit(_) => "host.limited",
        }
    }

    /// How much of it, in words.
    pub(crate) fn detail(self) -> Option<String> {
        match self {
            Order::Pause(span) => span.map(|span| format!("for {} min", span.as_secs() / 60)),
            Order::Resume => None,
            Order::Limit(None) => Some("as configured".to_owned()),
            Order::Limit(Some(most)) => Some(format!("{most} at a time")),
        }
    }
}

impl Wish {
    /// Whether the host is left alone now.
    pub(crate) fn is_paused(&self, now: Timestamp) -> bool {
        self.paused && self.until.is_none_or(|until| now.0 < until)
    }

    /// What is wanted after an order; none where that is nothing.
    fn after(mut self, order: Order, by: &str, now: Timestamp) -> Option<Wish> {
        match order {
            Order::Pause(span) => {
                (self.paused, self.until) = (true, span.map(|span| (now + span).0));
            }
            Order::Resume => (self.paused, self.until) = (false, None),
            Order::Limit(limit) => self.limit = limit,
        }
        (self.is_paused(now) || self.limit.is_some()).then(|| Wish { by: by.to_owned(), at: now.0, ..self })
    }

    /// How long it stands.
    fn stands(&self) -> Timestamp {
        match self.until.filter(|_| self.paused && self.limit.is_none()) {
            Some(until) => Timestamp(until).min(FOR_GOOD),
            None => FOR_GOOD,
        }
    }
}

/// The host that somebody means: its name, with a port where that is not the scheme's own, or an address at it.
pub(crate) fn host(said: &str) -> Option<String> {
    let said = said.trim();
    let with_scheme = said.contains("://");
    let url = Url::parse(&if with_scheme { said.to_owned() } else { format!("https://{said}") }).ok()?;
    if !matches!(url.scheme(), "http" | "https") || (!with_scheme && said.contains(['/', '?', '#', '@'])) {
        return None;
    }
    // Without a scheme, either one's own port means that one.
    let usual = !with_scheme && url.port() == Some(80);
    let host = url.host_str().filter(|host| host.len() <= 253)?;
    Some(url.port().filter(|_| !usual).map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

/// Every wish, by host.
///
/// # Errors
/// Those of records.
pub(crate) async fn wishes(boards: &dyn Boards, now: Timestamp) -> Result<BTreeMap<String, Wish>, Fault> {
    let standing = boards.standing(Board::Hosts, None, MOST, now).await?;
    let wish = |notice: Notice| Some((notice.name, serde_json::from_str(&notice.text).ok()?));
    Ok(standing.into_iter().filter_map(wish).collect())
}

/// What workers obey now.
///
/// # Errors
/// Those of records.
pub(crate) async fn rules(boards: &dyn Boards, now: Timestamp) -> Result<Rules, Fault> {
    let rule =
        |(host, wish): (String, Wish)| (host, HostRule { paused: wish.is_paused(now), limit: wish.limit });
    Ok(wishes(boards, now).await?.into_iter().map(rule).collect())
}

/// Puts an order up for a host of which this was wanted; what an order leaves of that stays.
///
/// # Errors
/// Those of records.
pub(crate) async fn order(
    boards: &dyn Boards,
    host: &str,
    wanted: Wish,
    order: Order,
    by: &str,
    now: Timestamp,
) -> Result<(), Fault> {
    match wanted.after(order, by, now) {
        Some(wish) => {
            let text = serde_json::to_string(&wish).expect("text and numbers can be written");
            let notice = Notice { name: host.to_owned(), text, until: wish.stands() };
            boards.put_up(Board::Hosts, vec![notice], now).await
        }
        None => boards.take_off(Board::Hosts, host).await.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_named_in_any_of_its_ways() {
        for (said, meant) in [
            ("Shop.example", "shop.example"),
            ("shop.example:443", "shop.example"),
            ("shop.example:80", "shop.example"),
            ("https://shop.example/a.jpg?x=1", "shop.example"),
            ("http://shop.example:8080/", "shop.example:8080"),
            (" 127.0.0.1:9000 ", "127.0.0.1:9000"),
            ("[::1]:8080", "[::1]:8080"),
            ("höhe.example", "xn--hhe-sna.example"),
        ] {
            assert_eq!(host(said).as_deref(), Some(meant), "{said}");
        }
        for none in ["", "a b", "ftp://x", "shop.example/a", "user@shop.example", "x:99999"] {
            assert_eq!(host(none), None, "{none}");
        }
    }

    #[test]
    fn a_pause_and_a_limit_stand_beside_each_other_and_end_apart() {
        let (now, later) = (Timestamp(1_000), Timestamp(1_000 + 61_000));
        let minute = Some(Duration::from_secs(60));
        let limited = Wish::default().after(Order::Limit(Some(2)), "Ada", now).unwrap();
        let both = limited.after(Order::Pause(minute), "Bob", now).unwrap();
        assert!(both.is_paused(now) && !both.is_paused(later) && both.stands() == FOR_GOOD);
        let resumed = both.clone().after(Order::Resume, "Ada", now).unwrap();
        assert_eq!((resumed.paused, resumed.limit), (false, Some(2)));
        assert_eq!(resumed.after(Order::Limit(None), "Ada", now), None, "nothing is wanted any more");
        let paused = Wish::default().after(Order::Pause(minute), "Ada", now).unwrap();
        assert_eq!(paused.stands(), now + Duration::from_secs(60));
        assert_eq!(Wish::default().after(Order::Resume, "Ada", now), None);
    }
}
