//! What is known of hosts, put together from what workers tell, what they counted, and what operators want.

use std::collections::BTreeMap;
use std::time::Duration;

use pixmill_engine::model::time::Timestamp;
use pixmill_engine::pipeline::host_of;

use super::super::Api;
use super::super::problem::Problem;
use super::{FaultBody, HostBody, TallyBody};
use crate::hosts::{self, Wish};
use crate::presence::{self, Standing};
use crate::tally::{self, Tally};

/// Hosts that are told of at most.
const MOST: usize = 1_000;

/// What the tally of those is called that were too many to be counted apart.
const OTHERS: &str = "";

/// Hosts, those that stand still first.
///
/// # Errors
/// Those of records.
pub(in super::super) async fn gathered(api: &Api) -> Result<Vec<HostBody>, Problem> {
    let (ledger, now) = (&*api.on.ledger, api.on.clock.wall());
    let mut found = BTreeMap::<String, HostBody>::new();
    for heard in presence::alive(ledger, now).await? {
        for standing in &heard.presence.origins {
            let host = host_of(&standing.origin).to_owned();
            stands(found.entry(host).or_default(), standing, heard.at, now);
        }
    }
    let mut tallies = BTreeMap::<String, Tally>::new();
    for (origin, tally) in tally::read(ledger, now).await? {
        tallies.entry(host_of(&origin).to_owned()).or_default().add(&tally);
    }
    for (host, tally) in tallies {
        found.entry(host).or_default().asked = counted(&tally);
    }
    for (host, wish) in hosts::wishes(ledger, now).await? {
        wanted(found.entry(host).or_default(), &wish, now);
    }
    let mut hosts: Vec<HostBody> = found.into_iter().map(|(host, body)| named(host, body)).collect();
    hosts.sort_by_key(|host| {
        let rank = ["paused", "quiet", "slowed"].iter().position(|state| *state == host.state).unwrap_or(9);
        let busy = (host.under_way + host.waiting, host.asked.requests);
        (rank, std::cmp::Reverse(busy))
    });
    hosts.truncate(MOST);
    Ok(hosts)
}

/// Adds how it stands at one worker.
fn stands(body: &mut HostBody, standing: &Standing, at: Timestamp, now: Timestamp) {
    body.under_way += standing.under_way;
    body.allowed += standing.allowed;
    body.waiting += standing.waiting;
    body.refusals += standing.refusals;
    if let Some(rate) = standing.per_second {
        let rate = body.requests_per_second.unwrap_or_default() + rate;
        body.requests_per_second = Some((rate * 100.0).round() / 100.0);
    }
    let quiet = standing.quiet.map(|quiet| at + Duration::from_millis(quiet));
    // Its breaker stays open until it answers, whenever it is asked again.
    if let Some(until) = quiet.filter(|until| *until > now || standing.code.is_some()) {
        let until = until.to_string();
        body.quiet_until = body.quiet_until.take().max(Some(until));
    }
    if standing.code.is_some() {
        (body.code, body.message) = (standing.code.clone(), standing.message.clone());
    }
}

fn counted(tally: &Tally) -> TallyBody {
    let mut faults: Vec<_> = tally
        .faults
        .iter()
        .map(|(code, requests)| FaultBody { code: code.clone(), requests: *requests })
        .collect();
    faults.sort_by_key(|fault| std::cmp::Reverse(fault.requests));
    TallyBody {
        requests: tally.asked,
        fetched: tally.fetched,
        failed: tally.failed(),
        bytes: tally.bytes,
        median_ms: tally.took(50),
        slowest_ms: tally.took(95),
        faults,
    }
}

fn wanted(body: &mut HostBody, wish: &Wish, now: Timestamp) {
    if wish.is_paused(now) {
        body.state = "paused";
        body.paused_until = wish.until.map(|until| Timestamp(until).to_string());
    }
    body.limit = wish.limit;
    body.ordered_by = Some(wish.by.clone());
    body.ordered_at = Some(Timestamp(wish.at).to_string());
}

fn named(host: String, body: HostBody) -> HostBody {
    let state = match &body {
        HostBody { state: "paused", .. } => "paused",
        HostBody { quiet_until: Some(_), .. } => "quiet",
        HostBody { requests_per_second: Some(_), .. } => "slowed",
        _ => "fine",
    };
    let host = if host == OTHERS { "others".to_owned() } else { host };
    HostBody { host, state, ..body }
}
