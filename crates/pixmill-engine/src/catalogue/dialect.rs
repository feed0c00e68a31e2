//! Which delimiter a catalogue uses: the one under which its header makes sense.

use std::io::{self, Read};

use super::fields::Spare;
use super::header::Header;
use super::read::Refusal;
use super::records::{Found, Records};
use super::urls::begins_with_scheme;
use crate::code::Code;

/// Those that are tried; among equals the first wins.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// Reads up to the header, and it too.
pub(super) fn detect<R: Read>(records: &mut Records<R>) -> io::Result<Result<(u8, Header), Refusal>> {
    let mut spare = Spare::default();
    let mut announced = None;
    loop {
        let first = match records.peek(b',')? {
            Found::End => return Ok(Err(refusal(1, "The catalogue is empty."))),
            Found::Record { content, .. } => records.fields(content, b',', &mut spare),
            Found::TooLong { line, .. } => {
                return Ok(Err(refusal(line, "The first row is too long for a header.")));
            }
            Found::Unclosed { line } => {
                return Ok(Err(refusal(line, "A quote opened in the first row is never closed.")));
            }
        };
        if let Some(delimiter) = announcement(first.text) {
            announced = Some(delimiter);
        } else if !DELIMITERS.iter().any(|delimiter| first.is_blank(*delimiter)) {
            break;
        }
        records.next(b',')?;
    }
    match announced {
        Some(delimiter) => choose(records, &[delimiter], &mut spare),
        None => choose(records, &DELIMITERS, &mut spare),
    }
}

/// `sep=;`, by which Excel is told.
fn announcement(line: &str) -> Option<u8> {
    let rest = line.trim_matches('"').strip_prefix("sep=")?;
    let delimiter = *rest.as_bytes().first().unwrap_or(&b',');
    (rest.len() <= 1 && DELIMITERS.contains(&delimiter)).then_some(delimiter)
}

fn choose<R: Read>(
    records: &mut Records<R>,
    delimiters: &[u8],
    spare: &mut Spare,
) -> io::Result<Result<(u8, Header), Refusal>> {
    let mut best = None;
    let (mut names, mut header_line) = (Vec::new(), 1);
    for delimiter in delimiters {
        let Found::Record { line, content, .. } = records.peek(*delimiter)? else { continue };
        header_line = line;
        let fields = records.fields(content, *delimiter, spare);
        if fields.len() > names.len() {
            names = (0..fields.len()).map(|index| fields.value(index).into_owned()).collect();
        }
        let Some((header, name)) = Header::read(&fields) else { continue };
        let worth = (std::cmp::Reverse(name), header.columns.len());
        if best.as_ref().is_none_or(|(_, _, most)| worth > *most) {
            best = Some((*delimiter, header, worth));
        }
    }
    let Some((delimiter, header, _)) = best else {
        return Ok(Err(refusal(header_line, no_url_column(&names))));
    };
    records.next(delimiter)?;
    Ok(Ok((delimiter, header)))
}

fn refusal(line: u64, reason: impl Into<String>) -> Refusal {
    Refusal { code: Code::CatalogueHeader, line, reason: reason.into() }
}

/// Says which columns there are, but never an address: it may be signed.
fn no_url_column(names: &[String]) -> String {
    if names.iter().any(|name| begins_with_scheme(name)) {
        return "The first row holds an image address: the header is missing. Put a row such as 'Product Name' and \
                'Input Image Urls' above it."
            .to_owned();
    }
    let shown = names.iter().filter(|name| !name.trim().is_empty() && !name.contains("://")).take(6);
    let shown: Vec<String> =
        shown.map(|name| format!("'{}'", name.chars().take(40).collect::<String>())).collect();
    format!("No column of image addresses among {}: name it 'Input Image Urls'.", shown.join(" "))
}
