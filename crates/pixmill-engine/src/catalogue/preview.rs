//! A look at a catalogue, or at its beginning: what it is understood as, its first rows, and where its pictures are.

use std::cell::Cell;
use std::collections::{BTreeMap, HashSet};
use std::io::{self, Read};
use std::rc::Rc;

use url::Position;

use super::header::Header;
use super::hints::Hints;
use super::read::{BadRow, Catalogue, Next, Row};
use super::refusal::{OpenError, Refusal};
use super::understood::Understood;
use crate::model::source::{Fingerprint, Source};

/// Rows that are shown.
const ROWS: usize = 20;

/// Bytes of a catalogue's beginning: so many, and no more, are taken for one.
const FIRST_BYTES: u64 = 64 * 1024;

/// Rows that can't be used and are told.
const BAD_ROWS: usize = 100;

/// Hosts that are told apart, and addresses.
const HOSTS: usize = 10_000;
const DISTINCT: usize = 200_000;

/// What was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preview {
    /// What it is understood as.
    pub understood: Understood,
    /// The names of its columns, as they are.
    pub columns: Vec<String>,
    /// The numbers of its columns of pictures, from 1.
    pub pictures: Vec<usize>,
    /// The number of the column of products' names, from 1.
    pub name: Option<usize>,
    /// The numbers of columns that look like pictures and are not read, and why.
    pub unread: Vec<(usize, String)>,
    /// Its first rows, those that can't be used among them.
    pub rows: Vec<PreviewRow>,
    /// The first rows that can't be used.
    pub bad_rows: Vec<BadRow>,
    /// All of them.
    pub bad_rows_total: u64,
    /// Images by host; by `file:` and `data:` where they have none. Most first.
    pub hosts: Vec<(String, u64)>,
    /// Images whose address is no other's; none where they are too many to tell.
    pub distinct: Option<u64>,
    /// Only its beginning was there, so that its last row was left out: it may have been cut.
    pub cut: bool,
}

/// A row as it is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PreviewRow {
    /// The line of the file at which it starts, from 1.
    pub line: u64,
    /// See [`Row::cells`].
    pub cells: String,
    /// The column's number, from 1, and the address of each picture.
    pub images: Vec<(usize, String)>,
    /// Why it can't be used.
    pub error: Option<String>,
}

impl Preview {
    /// Looks at a catalogue, to the end of what there is; with `beginning`, or when that is so many bytes as beginnings
    /// have, at what may go on.
    ///
    /// # Errors
    /// Those of [`Catalogue::open`]; the reader's.
    pub fn read(reader: impl Read, hints: &Hints, beginning: bool) -> Result<Preview, OpenError> {
        let seen = Rc::new(Cell::new(0));
        let may_go_on = || beginning || seen.get() == FIRST_BYTES;
        let mut start = Vec::new();
        let mut reader = Counted { inner: reader, seen: seen.clone() };
        reader.by_ref().take(2).read_to_end(&mut start)?;
        let is_package = start == b"PK";
        let catalogue = Catalogue::open_as(io::Cursor::new(start).chain(reader), hints);
        let catalogue = catalogue.map_err(|error| match error {
            OpenError::Refused(refusal) if is_package && may_go_on() => {
                OpenError::Refused(Refusal { reason: IN_PART.to_owned(), ..refusal })
            }
            error => error,
        })?;
        let looking = Looking::new(catalogue.header());
        looking.go_through(catalogue, may_go_on)
    }
}

const IN_PART: &str = "This is the beginning of a spreadsheet, which can only be read whole: send all of it.";

/// Counts what is read.
struct Counted<R> {
    inner: R,
    seen: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(room)?;
        self.seen.set(self.seen.get() + read as u64);
        Ok(read)
    }
}

/// What was read last: it counts once something follows it.
enum Last {
    Nothing,
    Row,
    Bad(BadRow),
}

struct Looking {
    preview: Preview,
    /// What its columns are called where people read of them.
    titles: Vec<String>,
    hosts: BTreeMap<String, u64>,
    fingerprint: Fingerprint,
    distinct: HashSet<i64>,
    row: Row,
    last: Last,
}

impl Looking {
    fn new(header: &Header) -> Self {
        let preview = Preview {
            columns: header.columns.clone(),
            pictures: header.pictures.iter().map(|picture| picture.index + 1).collect(),
            name: header.name.map(|name| name + 1),
            ..Preview::default()
        };
        let titles = (0..header.columns.len()).map(|column| header.title(column)).collect();
        let (hosts, distinct) = Default::default();
        let (fingerprint, row) = (Fingerprint::new(), Row::default());
        Looking { preview, titles, hosts, fingerprint, distinct, row, last: Last::Nothing }
    }

    fn go_through<R: Read>(
        mut self,
        mut catalogue: Catalogue<R>,
        may_go_on: impl Fn() -> bool,
    ) -> Result<Preview, OpenError> {
        let mut row = Row::default();
        loop {
            let next = match catalogue.next_row(&mut row) {
                // What is packed and was cut can't be unpacked to its end.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && may_go_on() => Next::End,
                next => next?,
            };
            match next {
                Next::End => break,
                Next::Row => {
                    self.take_last();
                    std::mem::swap(&mut self.row, &mut row);
                    self.last = Last::Row;
                }
                Next::Bad(bad) => {
                    self.take_last();
                    self.last = Last::Bad(bad);
                }
            }
        }
        self.preview.understood = catalogue.understood();
        self.preview.unread = self.unread();
        self.preview.cut = may_go_on();
        if self.preview.cut {
            self.leave_last_out()
        } else {
            self.take_last()
        }
        let mut hosts: Vec<_> = self.hosts.into_iter().collect();
        hosts.sort_by_key(|(_, images)| std::cmp::Reverse(*images));
        let distinct = (self.distinct.len() < DISTINCT).then_some(self.distinct.len() as u64);
        Ok(Preview { hosts, distinct, ..self.preview })
    }

    fn unread(&self) -> Vec<(usize, String)> {
        let number = |title: &String| self.titles.iter().position(|other| other == title).map(|at| at + 1);
        let unread = self.preview.understood.unread.iter();
        unread.filter_map(|(title, why)| Some((number(title)?, why.clone()))).collect()
    }

    fn take_last(&mut self) {
        match std::mem::replace(&mut self.last, Last::Nothing) {
            Last::Nothing => {}
            Last::Row => self.take_row(),
            Last::Bad(bad) => self.take_bad(bad),
        }
    }

    fn take_row(&mut self) {
        let row = &self.row;
        for address in row.urls.iter() {
            if self.distinct.len() < DISTINCT {
                self.distinct.insert(self.fingerprint.of(address));
            }
            let host = host(address);
            if self.hosts.len() < HOSTS || self.hosts.contains_key(&host) {
                *self.hosts.entry(host).or_default() += 1;
            }
        }
        if self.preview.rows.len() < ROWS {
            let column = |position| row.urls.column(position).map_or(0, |column| column + 1);
            let images = row.urls.iter().enumerate();
            let images = images.map(|(position, address)| (column(position), address.to_owned())).collect();
            let shown = PreviewRow { line: row.line, cells: row.cells.clone(), images, error: None };
            self.preview.rows.push(shown);
        }
    }

    fn take_bad(&mut self, bad: BadRow) {
        self.preview.bad_rows_total += 1;
        if self.preview.rows.len() < ROWS {
            let cells = bad.kept.as_ref().map(|kept| kept.cells.clone()).unwrap_or_default();
            let error = Some(bad.reason.clone());
            self.preview.rows.push(PreviewRow { line: bad.line, cells, images: Vec::new(), error });
        }
        if self.preview.bad_rows.len() < BAD_ROWS {
            self.preview.bad_rows.push(bad);
        }
    }

    /// The last row of a beginning may be half a row: it is as if it had not been there.
    fn leave_last_out(&mut self) {
        let understood = &mut self.preview.understood;
        match std::mem::replace(&mut self.last, Last::Nothing) {
            Last::Nothing => {}
            Last::Bad(bad) => {
                understood.out_of_step = understood.out_of_step.saturating_sub(u64::from(bad.kept.is_some()));
            }
            Last::Row => {
                let urls = &self.row.urls;
                understood.rows -= 1;
                understood.placeholders -= u64::from(urls.placeholders());
                for column in (0..urls.len()).filter_map(|position| urls.column(position)) {
                    let of_it = |known: &&mut super::Column| known.number == column as u64 + 1;
                    understood.columns.iter_mut().find(of_it).into_iter().for_each(|known| known.images -= 1);
                }
            }
        }
    }
}

/// Whom a picture is asked of.
fn host(address: &str) -> String {
    match Source::parse(address) {
        Ok(Source::Web(url)) => url[Position::BeforeHost..Position::AfterPort].to_owned(),
        Ok(source) => source.origin(),
        Err(_) => "?".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "sku,name,Image,Swatch\n\
        1,Cap,\"https://a.example/1.jpg,https://b.example/2.jpg\",https://a.example/s.png\n\
        broken\n\
        2,Cup,https://a.example/1.jpg,N/A\n\
        3,Jug,https://a.example:8443/3.jpg,pics/4.jpg\n";

    fn read(text: &str, beginning: bool) -> Preview {
        Preview::read(text.as_bytes(), &Hints::default(), beginning).expect("a catalogue")
    }

    #[test]
    fn rows_hosts_and_what_cannot_be_used_are_shown() {
        let seen = read(TABLE, false);
        assert_eq!((seen.understood.rows, seen.understood.images(), seen.distinct), (3, 6, Some(5)));
        assert_eq!((seen.pictures.as_slice(), seen.name, seen.cut), (&[3, 4][..], Some(2), false));
        let lines: Vec<_> =
            seen.rows.iter().map(|row| (row.line, row.images.len(), row.error.is_some())).collect();
        assert_eq!(lines, [(2, 3, false), (3, 0, true), (4, 1, false), (5, 2, false)]);
        assert_eq!(seen.rows[0].images[2], (4, "https://a.example/s.png".to_owned()));
        let hosts = [("a.example", 3), ("a.example:8443", 1), ("b.example", 1), ("file:", 1)];
        assert_eq!(seen.hosts, hosts.map(|(host, images)| (host.to_owned(), images)));
        assert_eq!((seen.bad_rows_total, seen.bad_rows[0].line), (1, 3));
    }

    #[test]
    fn the_beginning_of_a_catalogue_reads_like_the_whole_wherever_it_was_cut() {
        let whole = read(TABLE, false);
        let first_row = TABLE.match_indices('\n').nth(1).map_or(0, |(at, _)| at + 1);
        for cut in (first_row..TABLE.len()).filter(|at| TABLE.is_char_boundary(*at)) {
            let seen = read(&TABLE[..cut], true);
            assert!(seen.cut && seen.rows.len() < whole.rows.len());
            assert_eq!(seen.rows, whole.rows[..seen.rows.len()], "cut at {cut}");
            let images = seen.rows.iter().map(|row| row.images.len() as u64).sum::<u64>();
            assert_eq!(
                (seen.understood.images(), seen.understood.out_of_step),
                (images, seen.bad_rows_total)
            );
        }
    }

    #[test]
    fn as_many_bytes_as_beginnings_have_are_one() {
        let mut text = "name,image\n".to_owned();
        while text.len() < FIRST_BYTES as usize {
            text.push_str("Cap,https://a.example/1.jpg\n");
        }
        text.truncate(FIRST_BYTES as usize);
        let seen = read(&text, false);
        assert!(seen.cut);
        assert_eq!(seen.understood.images(), seen.understood.rows);
        assert_eq!(seen.hosts, [("a.example".to_owned(), seen.understood.rows)]);
        text.pop();
        assert!(!read(&text, false).cut);
    }

    #[test]
    fn the_beginning_of_a_spreadsheet_is_asked_for_whole() {
        let refused = |beginning| {
            Preview::read(&b"PK\x03\x04\x14\0"[..], &Hints::default(), beginning).unwrap_err().to_string()
        };
        assert!(refused(true).contains("send all of it"), "{}", refused(true));
        assert!(!refused(false).contains("send all of it"), "{}", refused(false));
    }

    #[test]
    fn the_beginning_of_what_is_packed_is_read_as_far_as_it_goes() {
        let mut text = String::from("name,image\n");
        for number in 0..20_000u32 {
            let number = number.wrapping_mul(2_654_435_761);
            text.push_str(&format!("Cap,https://a.example/{number}.jpg\n"));
        }
        let mut packed = Vec::new();
        flate2::read::GzEncoder::new(text.as_bytes(), flate2::Compression::fast())
            .read_to_end(&mut packed)
            .unwrap();
        let beginning = &packed[..FIRST_BYTES as usize];
        let seen = Preview::read(beginning, &Hints::default(), false).expect("a catalogue");
        assert!(seen.cut && seen.understood.rows > 100);
        assert_eq!(seen.bad_rows_total, 0);
    }
}
