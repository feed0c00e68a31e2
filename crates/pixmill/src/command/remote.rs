//! `submit`, `status`, `watch`, `retry`, `cancel` and `results`: what people ask of a server.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use pixmill_engine::catalogue::Understood;
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use serde_json::Value;
use url::Url;
use url::form_urlencoded::Serializer;

use super::{End, Stop};
use crate::client::{Client, encoded, json};
use crate::config::catalogue::CatalogueFlags;
use crate::config::client::ServerFlags;
use crate::config::listen::web_address;
use crate::config::recipe::RecipeSaid;
use crate::display;
use crate::wiring::talk::Said;

/// Hand a catalogue to a server and print the request
///
/// Recipe options that are left out are the server's own.
#[derive(Debug, Args)]
pub(super) struct SubmitArgs {
    /// The catalogue
    #[arg(value_name = "CATALOGUE.csv")]
    catalogue: PathBuf,

    /// Webhook that is told when the request is completed
    #[arg(long, value_name = "URL", value_parser = web_address)]
    webhook: Option<Url>,

    /// Submitting again under the same key makes no second request
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,

    /// Follow the request to its end
    #[arg(long)]
    watch: bool,

    #[command(flatten)]
    said: CatalogueFlags,

    #[command(flatten)]
    recipe: RecipeSaid,

    #[command(flatten)]
    server: ServerFlags,
}

/// Show a request
#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// The request
    id: String,

    #[command(flatten)]
    server: ServerFlags,
}

/// Follow a request to its end, as it happens
#[derive(Debug, Args)]
pub(super) struct WatchArgs {
    /// The request
    id: String,

    /// One JSON object a line on standard output for each event
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    server: ServerFlags,
}

/// Retry failed images of a request, with corrected addresses if given
#[derive(Debug, Args)]
pub(super) struct RetryArgs {
    /// The request
    id: String,

    /// What 'results --failed' gave, with corrected addresses: these images alone are retried
    #[arg(value_name = "FAILED.csv")]
    corrected: Option<PathBuf>,

    /// Only failed images that match, as 'images' finds them: code:fetch.timeout
    #[arg(long, value_name = "QUESTION", conflicts_with = "corrected")]
    query: Option<String>,

    #[command(flatten)]
    server: ServerFlags,
}

/// Show why images of a request failed, by code and host
#[derive(Debug, Args)]
pub(super) struct FailuresArgs {
    /// The request
    id: String,

    #[command(flatten)]
    server: ServerFlags,
}

/// List images of a request, one JSON object a line
#[derive(Debug, Args)]
pub(super) struct ImagesArgs {
    /// The request
    id: String,

    /// Those that fit: words of the address or of any cell, and status: code: host: sku: name: row:10-90 saved:<5%
    /// bytes:>1MB
    #[arg(long, value_name = "QUESTION", default_value = "")]
    query: String,

    #[command(flatten)]
    server: ServerFlags,
}

/// Cancel a request
#[derive(Debug, Args)]
pub(super) struct CancelArgs {
    /// The request
    id: String,

    #[command(flatten)]
    server: ServerFlags,
}

/// Fetch a request's results as CSV
#[derive(Debug, Args)]
pub(super) struct ResultsArgs {
    /// The request
    id: String,

    /// Where to [default: standard output]
    #[arg(short = 'o', long, value_name = "FILE")]
    save: Option<PathBuf>,

    /// Only what failed, a line an image, to be corrected and given to 'retry'
    #[arg(long)]
    failed: bool,

    /// The catalogue again: as it was handed in, with outputs in the places of addresses
    #[arg(long, conflicts_with = "failed")]
    catalogue: bool,

    #[command(flatten)]
    server: ServerFlags,
}

pub(super) fn submit(args: &SubmitArgs) -> Result<End, Stop> {
    let client = Client::new(&args.server)?;
    let file = open(&args.catalogue)?;
    let name = args.catalogue.file_name().unwrap_or_default().to_string_lossy();
    let mut query = Serializer::new(String::new());
    query.append_pair("name", &name);
    query.extend_pairs(args.said.hints().to_pairs());
    query.extend_pairs(&args.recipe.0);
    if let Some(webhook) = &args.webhook {
        query.append_pair("webhookUrl", webhook.as_str());
    }
    let mut headers = vec![("content-type", "text/csv")];
    headers.extend(args.idempotency_key.as_deref().map(|key| ("idempotency-key", key)));
    let path = format!("/v1/requests?{}", query.finish());
    let request = json(client.post(&path, &headers, Said::Read(Box::new(file)))?)?;
    display::print_json(&request);
    let told = tell(&request);
    match request["id"].as_str() {
        Some(id) if args.watch => Ok(follow(&client, id, false)?.max(told)),
        _ => Ok(told),
    }
}

/// Says what the catalogue was understood as, as `run` does, and what is wrong with it; how much that is.
fn tell(request: &Value) -> End {
    let understood = Understood::from_json(&request["understood"]);
    if !understood.format.is_empty() {
        let counted = understood.counted();
        understood
            .summary()
            .iter()
            .chain(&counted)
            .for_each(|line| display::say(&display::plain::line(line)));
    }
    for warning in request["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        display::say(&format!("warning: {}", display::plain::line(warning)));
    }
    let bad = request["rowErrorsTotal"].as_u64().unwrap_or(0);
    if bad > 0 {
        display::say(&format!("{bad} rows can't be used: they are told in 'rowErrors'"));
    }
    if understood.is_without_pictures() { End::Partly } else { End::Done }
}

pub(super) fn status(args: &StatusArgs) -> Result<End, Stop> {
    let request = json(Client::new(&args.server)?.get(&path(&args.id, ""))?)?;
    display::print_json(&request);
    Ok(End::Done)
}

pub(super) fn watch(args: &WatchArgs) -> Result<End, Stop> {
    follow(&Client::new(&args.server)?, &args.id, args.json)
}

/// Shows events, and ends as the request does.
fn follow(client: &Client, id: &str, as_json: bool) -> Result<End, Stop> {
    let (mut last, mut shown) = (Value::Null, String::new());
    client.watch(id, |event| {
        if as_json {
            let mut line = event.data.clone();
            line["event"] = event.name.clone().into();
            display::print_json(&line);
        }
        if event.name != "image" {
            last.clone_from(&event.data);
            if !as_json && line(&last) != shown {
                shown = line(&last);
                display::say(&shown);
            }
        }
    })?;
    Ok(match (last["status"].as_str(), last["failedImages"].as_u64(), last["rowErrorsTotal"].as_u64()) {
        (Some("completed"), Some(0), Some(0)) => End::Done,
        _ => End::Partly,
    })
}

/// How far a request is.
fn line(request: &Value) -> String {
    format!(
        "{}: {} of {} images, {} failed",
        display::plain::line(request["status"].as_str().unwrap_or("unknown")),
        request["processedImages"],
        request["totalImages"],
        request["failedImages"]
    )
}

pub(super) fn retry(args: &RetryArgs) -> Result<End, Stop> {
    let body = match &args.corrected {
        Some(file) => Said::Read(Box::new(open(file)?)),
        None => Said::nothing(),
    };
    let headers = [("content-type", "text/csv")];
    let asked = args
        .query
        .as_deref()
        .map(|asked| format!("?{}", Serializer::new(String::new()).append_pair("q", asked).finish()));
    let place = path(&args.id, &format!("/retry{}", asked.unwrap_or_default()));
    let retried = Client::new(&args.server)?.post(&place, &headers, body)?;
    display::print_json(&json(retried)?);
    Ok(End::Done)
}

pub(super) fn failures(args: &FailuresArgs) -> Result<End, Stop> {
    display::print_json(&json(Client::new(&args.server)?.get(&path(&args.id, "/failures"))?)?);
    Ok(End::Done)
}

pub(super) fn images(args: &ImagesArgs) -> Result<End, Stop> {
    pages(&Client::new(&args.server)?, |cursor| {
        let mut query = Serializer::new(String::new());
        query.append_pair("limit", "500");
        if !args.query.is_empty() {
            query.append_pair("q", &args.query);
        }
        query.extend_pairs(cursor.iter().map(|cursor| ("cursor", cursor)));
        path(&args.id, &format!("/images?{}", query.finish()))
    })
}

/// Prints a list page by page, and goes on looking where a page holds nothing. `path` is of the page after a cursor, or of
/// the first.
pub(super) fn pages(client: &Client, path: impl Fn(Option<&str>) -> String) -> Result<End, Stop> {
    let mut cursor = None::<String>;
    loop {
        let page = json(client.get(&path(cursor.as_deref()))?)?;
        page["data"].as_array().into_iter().flatten().for_each(display::print_json);
        match page["next_cursor"].as_str() {
            Some(next) if cursor.as_deref() != Some(next) => cursor = Some(next.to_owned()),
            _ => return Ok(End::Done),
        }
    }
}

pub(super) fn cancel(args: &CancelArgs) -> Result<End, Stop> {
    let cancelled = Client::new(&args.server)?.post(&path(&args.id, "/cancel"), &[], Said::nothing())?;
    display::print_json(&json(cancelled)?);
    Ok(End::Done)
}

pub(super) fn results(args: &ResultsArgs) -> Result<End, Stop> {
    let name = match (args.failed, args.catalogue) {
        (true, _) => "/failed.csv",
        (_, true) => "/catalogue",
        _ => "/results.csv",
    };
    let response = Client::new(&args.server)?.get(&path(&args.id, name))?;
    let mut body = response.into_body();
    let copied = match &args.save {
        Some(file) => File::create(file).and_then(|mut file| {
            io::copy(&mut body, &mut file)?;
            file.sync_all()
        }),
        None => {
            let mut out = display::data();
            io::copy(&mut body, &mut out).and_then(|_| out.flush())
        }
    };
    copied
        .map_err(|error| Fault::transient(Code::FetchTruncated, format!("the results broke off: {error}")))?;
    Ok(End::Done)
}

fn path(id: &str, rest: &str) -> String {
    format!("/v1/requests/{}{rest}", encoded(id))
}

fn open(path: &Path) -> Result<File, Fault> {
    File::open(path).map_err(|error| {
        Fault::permanent(Code::FileMissing, format!("{} can't be read: {error}", path.display()))
    })
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};

    use super::*;

    #[test]
    fn a_server_is_told_what_was_said_and_no_more() {
        let command = SubmitArgs::augment_args(Command::new("submit"));
        let said = |arguments: &[&str]| {
            let all = [&["submit", "shop.csv"], arguments].concat();
            let matches = command.clone().try_get_matches_from(all).unwrap();
            SubmitArgs::from_arg_matches(&matches).unwrap().recipe.0
        };
        assert!(said(&[]).is_empty());
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            said(&["--quality", "50", "--max-width=640", "--progressive"]),
            [pair("quality", "50"), pair("max_width", "640"), pair("progressive", "true")]
        );
    }
}
