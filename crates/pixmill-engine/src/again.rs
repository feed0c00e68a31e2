//! The catalogue again: as it came, with outputs in the places of the addresses that completed. Streamed: rows are read from
//! records while the catalogue is read once more.

use std::io::{self, BufWriter, Cursor, Read, Write};
use std::sync::Arc;

use flate2::read::GzDecoder;
use tokio::runtime::Handle;

use crate::catalogue::{Account, OpenError, Rewriter, Understood};
use crate::code::Code;
use crate::fault::Fault;
use crate::model::id::RequestId;
use crate::model::image::Output;
use crate::model::request::Request;
use crate::model::row::ResultRow;
use crate::pipeline::accept::apart;
use crate::port::originals::Originals;
use crate::port::records::Records;
use crate::results::link;

/// Rows read from records at a time.
const ROWS: usize = 1_000;

/// A catalogue to be written again.
pub struct Again {
    /// Of which request.
    pub request: Request,
    /// Where its outputs are told.
    pub records: Arc<dyn Records>,
    /// What addresses of outputs begin with, where their locations are paths.
    pub links: String,
}

impl Again {
    /// Reads the catalogue's bytes and writes it again, on a thread of its own.
    ///
    /// # Errors
    /// Those of records, `file.missing` where it can't be read, `disk.full` where it can't be written.
    pub async fn write(
        self,
        reader: impl Read + Send + 'static,
        out: impl Write + Send + 'static,
    ) -> Result<(), Fault> {
        let handle = Handle::current();
        let written = apart(move || self.write_here(reader, out, &handle))?.await;
        written.unwrap_or_else(|_| {
            Err(Fault::permanent(
                Code::CatalogueEncoding,
                "writing the catalogue again broke off: it panicked",
            ))
        })
    }

    fn write_here(self, reader: impl Read, out: impl Write, handle: &Handle) -> Result<(), Fault> {
        let account = Account::parse(&self.request.reading);
        let rewriter = Rewriter::open(reader, &account.hints).map_err(|error| match error {
            OpenError::Refused(refusal) => refusal.into(),
            OpenError::Io(error) => fault_in(error, |error| {
                Fault::permanent(Code::FileMissing, format!("the catalogue can't be read: {error}"))
            }),
        })?;
        if !reads_alike(&rewriter.understood(), &account.understood) {
            return Err(Fault::permanent(Code::RequestState, READ_OTHERWISE));
        }
        let gzip = rewriter.is_gzip();
        let mut rows = Rows { of: self, first: 0, rows: Vec::new() };
        let outputs = |number| rows.outputs(number, handle).map_err(Broken::Fault);
        let written = match gzip {
            false => rewriter.rewrite(BufWriter::new(out), outputs),
            true => {
                let mut packed = flate2::write::GzEncoder::new(out, flate2::Compression::default());
                rewriter.rewrite(&mut packed, outputs).and_then(|()| Ok(packed.finish().map(|_| ())?))
            }
        };
        written.map_err(|broken| match broken {
            Broken::Fault(fault) => fault,
            Broken::Io(error) => fault_in(error, |error| {
                let code = Code::of_unwritable(error.kind());
                Fault::permanent(code, format!("the catalogue can't be written: {error}"))
            }),
        })
    }
}

const READ_OTHERWISE: &str = "another version of pixmill took the catalogue in and read its columns otherwise than this one, \
     which would put outputs in wrong places: results.csv has them";

/// Whether addresses are found in the same places as when the catalogue was taken in.
fn reads_alike(now: &Understood, then: &Understood) -> bool {
    let places = |understood: &Understood| {
        let columns = understood.columns.iter().map(|column| (column.number, column.strict));
        (understood.header_line, understood.delimiter, columns.collect::<Vec<_>>())
    };
    // What was taken in before such was written down can't be compared.
    then.columns.is_empty() || places(now) == places(then)
}

/// The fault of records that reading ended with, or what else an error says.
fn fault_in(error: io::Error, otherwise: impl FnOnce(io::Error) -> Fault) -> Fault {
    error.downcast::<Fault>().unwrap_or_else(otherwise)
}

/// The bytes of a catalogue that were kept as they came, for a thread that may wait.
///
/// # Errors
/// `backend.unavailable`; `None` where none were kept.
pub async fn original(
    originals: Arc<dyn Originals>,
    request: RequestId,
) -> Result<Option<impl Read + Send + 'static>, Fault> {
    let handle = Handle::current();
    let Some(piece) = originals.kept(&request, 0).await? else { return Ok(None) };
    Ok(Some(GzDecoder::new(Pieces { originals, request, handle, piece: Cursor::new(piece), next: 1 })))
}

/// Pieces that were kept, one after the other.
struct Pieces {
    originals: Arc<dyn Originals>,
    request: RequestId,
    handle: Handle,
    piece: Cursor<Vec<u8>>,
    next: u32,
}

impl Read for Pieces {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.piece.read(room)?;
            if read > 0 || room.is_empty() {
                return Ok(read);
            }
            let next = self.handle.block_on(self.originals.kept(&self.request, self.next));
            let Some(piece) = next.map_err(io::Error::other)? else { return Ok(0) };
            (self.piece, self.next) = (Cursor::new(piece), self.next + 1);
        }
    }
}

enum Broken {
    Fault(Fault),
    Io(io::Error),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Broken::Io(error)
    }
}

/// Rows of records, some at a time.
struct Rows {
    of: Again,
    /// The number of the first of them.
    first: u64,
    rows: Vec<ResultRow>,
}

impl Rows {
    /// What stands in the place of each address of a row. Rows are asked for in order.
    fn outputs(&mut self, number: u64, handle: &Handle) -> Result<Vec<Option<String>>, Fault> {
        if number >= self.first + self.rows.len() as u64 || number < self.first {
            self.first = number;
            self.rows = handle.block_on(self.of.records.rows(&self.of.request.id, number, ROWS))?;
        }
        let row = usize::try_from(number - self.first).ok().and_then(|at| self.rows.get(at));
        let location = |output: &Output| link(&output.location, &self.of.links);
        Ok(row
            .map(|row| row.slots.iter().map(|slot| slot.output.as_ref().map(location)).collect())
            .unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Column;

    #[test]
    fn a_catalogue_that_is_read_otherwise_than_before_is_known() {
        let column = |number| Column { name: "Image".into(), number, images: 7, strict: false };
        let then =
            Understood { header_line: Some(1), columns: vec![column(2)], rows: 9, ..Understood::default() };
        let now = Understood { columns: vec![Column { images: 0, ..column(2) }], rows: 0, ..then.clone() };
        assert!(reads_alike(&now, &then), "what is counted does not count");
        assert!(!reads_alike(&Understood { columns: vec![column(3)], ..now.clone() }, &then));
        assert!(!reads_alike(&Understood { columns: vec![column(2), column(3)], ..now.clone() }, &then));
        assert!(!reads_alike(&Understood { header_line: Some(2), ..now.clone() }, &then));
        assert!(reads_alike(&now, &Understood::default()), "nothing was written down");
    }
}
