//! The catalogue again: as it came, with outputs in the places of addresses, streamed at any time.

use std::io::{self, Write};
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use futures::stream;
use pixmill_engine::again::{Again, original};
use pixmill_engine::catalogue::Account;
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::request::Request;
use tokio::sync::mpsc;

use super::access::Caller;
use super::csv::may_still;
use super::problem::{Problem, ProblemBody};
use super::query::Id;
use super::{Api, answer};

/// Pieces that may wait for whoever reads them.
const WAITING: usize = 2;

/// The catalogue again, with outputs in the places of addresses
///
/// Byte for byte as it was handed in, under its own name (of a spreadsheet, the sheet that was read as CSV), but for the addresses of images that completed: in the place of
/// each stands that of its output, ready to be imported where it came from. While the request runs, addresses whose images
/// have not ended yet are as they came, and so are those of images that failed.
#[utoipa::path(
    get, operation_id = "showCatalogue", path = "/v1/requests/{id}/catalogue", tag = "requests", params(("id" = String, Path)),
    responses((status = 200, body = String, content_type = "text/csv", description = "In the form in which it came"), (status = "4XX", body = ProblemBody, content_type = "application/problem+json"))
)]
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
) -> Result<Response, Problem> {
    let request = api.standing(&caller, &id).await?.request;
    let kept = original(api.on.ledger.clone(), request.id.clone()).await?;
    let kept = kept.ok_or_else(|| Problem::new(Code::RequestState, why_not_kept(&request)))?;
    let again =
        Again { request: request.clone(), records: api.on.ledger.clone(), links: api.on.links.clone() };
    let (tell, mut told) = mpsc::channel(WAITING);
    let out = Pieces(tell.clone());
    tokio::spawn(async move {
        if let Err(fault) = again.write(kept, out).await {
            // Whoever read may be gone.
            let _ = tell.send(Err(fault)).await;
        }
    });
    // What can't be begun is a problem, not half a catalogue.
    let first = told.recv().await.transpose()?;
    let rest = stream::try_unfold((told, api, caller), |(mut told, api, caller)| async move {
        let Some(piece) = told.recv().await.transpose()? else { return Ok(None) };
        may_still(&api, &caller).await?;
        Ok(Some((piece, (told, api, caller))))
    });
    let pieces = stream::StreamExt::chain(stream::iter(first.map(Ok)), rest);
    let account = Account::parse(&request.reading);
    let name = name(&request.catalogue, &account);
    let media_type = media_type(&name, &account);
    Ok(answer::named(answer::stream(&media_type, pieces), &name))
}

/// What the catalogue is called; a spreadsheet comes again as CSV.
fn name(catalogue: &str, account: &Account) -> String {
    if account.understood.sheet.is_none() {
        return catalogue.to_owned();
    }
    let stem = catalogue.rsplit_once('.').map_or(catalogue, |(stem, _)| stem);
    format!("{stem}.csv")
}

fn why_not_kept(request: &Request) -> &'static str {
    match () {
        () if request.foreign => {
            "another program made the request, so there is no catalogue to give back: results.csv has its outputs"
        }
        () if request.reading.is_empty() => {
            "the request was made by an older pixmill, which did not keep catalogues: results.csv has its outputs"
        }
        () => {
            "the images were listed in JSON, so there is no file to give back: results.csv has their outputs"
        }
    }
}

/// What the catalogue is, by its name and by what it was understood as; never what a browser would show.
fn media_type(name: &str, account: &Account) -> String {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
    let format = account.understood.format.as_str();
    let known =
        [("gzip", "application/gzip"), ("JSON Lines", "application/x-ndjson"), ("JSON", "application/json")];
    if let Some((_, kind)) = known.iter().find(|(word, _)| format.contains(word)) {
        return (*kind).to_owned();
    }
    let kind = match ending.as_str() {
        "txt" => "text/plain",
        "tsv" | "tab" => "text/tab-separated-values",
        _ => "text/csv",
    };
    let charset = account.understood.encoding.split(' ').next().unwrap_or_default().to_ascii_lowercase();
    if charset.is_empty() { kind.to_owned() } else { format!("{kind}; charset={charset}") }
}

/// Where the thread that writes puts its pieces.
struct Pieces(mpsc::Sender<Result<Vec<u8>, Fault>>);

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(bytes.to_vec()));
        sent.map(|()| bytes.len()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use pixmill_engine::catalogue::Understood;

    use super::*;

    #[test]
    fn a_catalogue_is_of_the_type_in_which_it_came() {
        let of = |name: &str, format: &str, encoding: &str| {
            let (format, encoding) = (format.to_owned(), encoding.to_owned());
            let understood = Understood { format, encoding, ..Understood::default() };
            media_type(name, &Account { understood, ..Account::default() })
        };
        assert_eq!(of("a.csv", "CSV", "windows-1252"), "text/csv; charset=windows-1252");
        assert_eq!(of("a.html", "CSV", "UTF-8 with a byte order mark"), "text/csv; charset=utf-8");
        assert_eq!(of("a.TSV", "TSV", "UTF-16LE"), "text/tab-separated-values; charset=utf-16le");
        assert_eq!(of("a.csv.gz", "CSV in gzip", "UTF-8"), "application/gzip");
        assert_eq!(of("a", "a list of addresses", ""), "text/csv");
    }

    #[test]
    fn a_spreadsheet_comes_again_as_csv() {
        let understood = Understood {
            format: "XLSX".to_owned(),
            encoding: "UTF-8".to_owned(),
            sheet: Some("S".to_owned()),
            ..Understood::default()
        };
        let account = Account { understood, ..Account::default() };
        assert_eq!(name("my.shop.xlsx", &account), "my.shop.csv");
        assert_eq!(media_type("my.shop.csv", &account), "text/csv; charset=utf-8");
        assert_eq!(name("a.json", &Account::default()), "a.json");
    }
}
