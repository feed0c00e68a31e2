//! `hosts`, `workers` and `audit`: what those who run a server ask of it.

use clap::{Args, Subcommand};
use url::form_urlencoded::Serializer;

use super::remote::pages;
use super::{End, Stop};
use crate::client::{Client, encoded, json};
use crate::config::bounds::whole;
use crate::config::client::ServerFlags;
use crate::display;
use crate::hosts::{LARGEST_LIMIT, LONGEST_PAUSE};
use crate::wiring::talk::Said;

/// List hosts that pictures come from, and pause or limit them
///
/// Without a subcommand, lists them, one JSON object a line: how each stands at all workers, what came of asking it in the
/// last seven days, and what an operator wants of it.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, after_help = HOSTS_HELP)]
pub(super) struct HostsArgs {
    #[command(subcommand)]
    command: Option<HostsCommand>,

    #[command(flatten)]
    server: ServerFlags,
}

const HOSTS_HELP: &str = "\
Every worker obeys within seconds. While a host is paused, its images wait and no attempt is counted.
Pausing, resuming and limiting take a key of the role admin.

Examples:
  pixmill hosts | jq 'select(.state != \"fine\")'
  pixmill hosts pause cdn.shop.example --minutes 60
  pixmill hosts limit cdn.shop.example 2";

#[derive(Debug, Subcommand)]
enum HostsCommand {
    Pause(PauseArgs),
    Resume(ResumeArgs),
    Limit(LimitArgs),
}

/// Leave a host alone
#[derive(Debug, Args)]
struct PauseArgs {
    /// The host, with its port where that is not the scheme's own
    host: String,

    /// For so long [default: until it is resumed]
    #[arg(long, value_name = "MINUTES", value_parser = whole::<u64>(1, LONGEST_PAUSE))]
    minutes: Option<u64>,

    #[command(flatten)]
    server: ServerFlags,
}

/// Go on asking a host that was paused
#[derive(Debug, Args)]
struct ResumeArgs {
    /// The host
    host: String,

    #[command(flatten)]
    server: ServerFlags,
}

/// Limit the requests under way to a host, at each worker
#[derive(Debug, Args)]
struct LimitArgs {
    /// The host
    host: String,

    /// So many [default: what --per-origin of each worker allows]
    #[arg(value_name = "REQUESTS", value_parser = whole::<u64>(1, LARGEST_LIMIT as u64))]
    most: Option<u64>,

    #[command(flatten)]
    server: ServerFlags,
}

/// List the processes of a server that are alive, one JSON object a line
#[derive(Debug, Args)]
pub(super) struct WorkersArgs {
    #[command(flatten)]
    server: ServerFlags,
}

/// List who did what, latest first, one JSON object a line
///
/// Keys made and revoked, requests cancelled, retried and deleted, hosts paused and limited, of the last 180 days. Takes a
/// key of the role admin.
#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    #[command(flatten)]
    server: ServerFlags,
}

pub(super) fn hosts(args: &HostsArgs) -> Result<End, Stop> {
    match &args.command {
        None => lines(&Client::new(&args.server)?, "/v1/hosts"),
        Some(HostsCommand::Pause(pause)) => {
            let minutes = pause.minutes.map(|minutes| ("minutes", minutes));
            order(&pause.server, &pause.host, "pause", minutes)
        }
        Some(HostsCommand::Resume(resume)) => order(&resume.server, &resume.host, "resume", None),
        Some(HostsCommand::Limit(limit)) => {
            order(&limit.server, &limit.host, "limit", limit.most.map(|most| ("most", most)))
        }
    }
}

fn order(server: &ServerFlags, host: &str, what: &str, number: Option<(&str, u64)>) -> Result<End, Stop> {
    let mut query = Serializer::new(String::new());
    query.extend_pairs(number.map(|(name, number)| (name, number.to_string())));
    let path = format!("/v1/hosts/{}/{what}?{}", encoded(host), query.finish());
    display::print_json(&json(Client::new(server)?.post(&path, &[], Said::nothing())?)?);
    Ok(End::Done)
}

pub(super) fn workers(args: &WorkersArgs) -> Result<End, Stop> {
    lines(&Client::new(&args.server)?, "/v1/workers")
}

pub(super) fn audit(args: &AuditArgs) -> Result<End, Stop> {
    lines(&Client::new(&args.server)?, "/v1/audit")
}

/// Prints a list, page by page.
fn lines(client: &Client, path: &str) -> Result<End, Stop> {
    pages(client, |cursor| {
        let query = cursor.map(|cursor| format!("?limit=500&cursor={}", encoded(cursor)));
        format!("{path}{}", query.unwrap_or_default())
    })
}
