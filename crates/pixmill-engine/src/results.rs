//! Results and failures of a request as CSV, piece by piece, at any time: nothing is held while nobody reads on.

pub mod query;

use std::sync::Arc;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::catalogue::{self, Account, FailedWriter, ResultsWriter, SlotError};
use crate::code::Code;
use crate::fault::Fault;
use crate::model::id::{ImageId, RequestId};
use crate::model::image::Output;
use crate::model::request::Request;
use crate::model::row::{ResultRow, Slot};
use crate::port::records::{Directory, Records};

/// Most rows read from records at a time.
const ROWS: usize = 500;

/// What a path may not hold as it is (WHATWG URL), and the percent sign, which is itself in a file's name.
const PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'`')
    .add(b'{')
    .add(b'}')
    .add(b'%');

/// Where clients find an output: its URL, or its path below the address that the server's links begin with.
pub fn link(location: &str, links: &str) -> String {
    match location.contains("://") {
        true => location.to_owned(),
        false => format!("{links}/{}", utf8_percent_encode(location, PATH)),
    }
}

/// Results on their way.
pub struct Results {
    records: Arc<dyn Records>,
    request: RequestId,
    /// What the address of an output begins with, where it is not shown as it is.
    links: Option<String>,
    /// Begun with the header and not handed over yet.
    beginning: Option<String>,
    /// There is a column for notes. So it is to the end: what is noted after the beginning was written has no place.
    notes: bool,
    next: u64,
    ended: bool,
}

impl Results {
    /// Those of a request. With `links`, outputs are addresses that begin so.
    pub fn new(records: Arc<dyn Records>, request: &Request, links: Option<String>) -> Self {
        Results {
            records,
            request: request.id.clone(),
            links,
            beginning: Some(request.header.clone()),
            notes: false,
            next: 0,
            ended: false,
        }
    }

    /// The next piece; `None` after the last one.
    ///
    /// # Errors
    /// Those of records.
    pub async fn piece(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        if self.ended {
            return Ok(None);
        }
        if self.beginning.is_some() {
            self.notes = self.records.noted(&self.request).await? > 0;
        }
        let rows = self.records.rows(&self.request, self.next, ROWS).await?;
        self.next += rows.len() as u64;
        self.ended = rows.is_empty();
        let written = match self.beginning.take() {
            Some(header) => ResultsWriter::with_columns(Vec::new(), &header, self.notes),
            None => Ok(ResultsWriter::going_on(Vec::new(), self.notes)),
        };
        let links = self.links.as_deref();
        let piece = written.and_then(|mut writer| {
            rows.iter().try_for_each(|row| write_row(&mut writer, row, links))?;
            writer.finish()
        });
        Ok(Some(piece.expect("memory can be written to")))
    }
}

fn write_row(
    writer: &mut ResultsWriter<Vec<u8>>,
    row: &ResultRow,
    links: Option<&str>,
) -> std::io::Result<()> {
    match &row.error {
        Some(reason) => writer.bad_row(&row.cells, Code::CatalogueRow, reason),
        None => {
            let told: Vec<(String, Option<String>)> =
                row.slots.iter().map(|slot| (shown(slot, links), note(slot))).collect();
            let slots =
                row.slots.iter().zip(&told).map(|(slot, (output, note))| result_slot(slot, output, note));
            writer.row(&row.cells, slots)
        }
    }
}

fn shown(slot: &Slot, links: Option<&str>) -> String {
    match (&slot.output, links) {
        (Some(output), Some(links)) => link(&output.location, links),
        (Some(output), None) => output.location.clone(),
        (None, _) => String::new(),
    }
}

fn note(slot: &Slot) -> Option<String> {
    slot.output.as_ref().and_then(Output::note)
}

fn result_slot<'a>(slot: &'a Slot, shown: &'a str, note: &'a Option<String>) -> catalogue::Slot<'a> {
    let output = slot.output.as_ref();
    catalogue::Slot {
        output: shown,
        status: slot.status.as_str(),
        error: slot
            .failure
            .as_ref()
            .map(|failure| SlotError { code: failure.code, sentence: &failure.message }),
        note: note.as_deref(),
        bytes_before: output.map(|output| output.bytes_before),
        bytes_after: output.map(|output| output.bytes_after),
    }
}

/// Failed images on their way, a line each, in the form in which corrections come back.
pub struct Failures {
    directory: Arc<dyn Directory>,
    request: RequestId,
    writer: FailedWriter,
    after: Option<ImageId>,
    ended: bool,
}

impl Failures {
    /// Those of a request.
    pub fn new(directory: Arc<dyn Directory>, request: &Request) -> Self {
        let writer = FailedWriter::new(&request.header, &Account::parse(&request.reading).understood);
        Failures { directory, request: request.id.clone(), writer, after: None, ended: false }
    }

    /// The next piece; `None` after the last one.
    ///
    /// # Errors
    /// Those of records.
    pub async fn piece(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        if self.ended {
            return Ok(None);
        }
        let failed = self.directory.failed(&self.request, self.after.as_ref(), ROWS).await?;
        self.ended = failed.is_empty();
        self.after = failed.last().map(|(view, _)| view.image.clone()).or(self.after.take());
        for (view, cells) in &failed {
            let failure = view.slot.failure.as_ref();
            let error = failure.map(|failure| SlotError { code: failure.code, sentence: &failure.message });
            self.writer.line(view.row + 1, view.position + 1, cells, &view.input, error);
        }
        Ok(Some(self.writer.take()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_found_below_the_links() {
        let links = "https://shop.example/p";
        assert_eq!(link("https://cdn.example/a%20b.jpg", links), "https://cdn.example/a%20b.jpg");
        assert_eq!(
            link("processed_images/%2E/a.jpg", links),
            "https://shop.example/p/processed_images/%252E/a.jpg"
        );
        assert_eq!(
            link("processed_images/café.jpg", links),
            "https://shop.example/p/processed_images/caf%C3%A9.jpg"
        );
    }
}
