//! The index of inputs, by which equal ones are found. Kept in memory, sorted, and written in order: an index that is
//! written in the order of the catalogue would touch a page for each row.

use pixmill_engine::model::source::equal_inputs;
use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use super::super::id::key;

/// Inputs in memory, over all intakes: 16 bytes each.
pub(super) const MOST_IN_MEMORY: usize = 1 << 20;

/// Most inputs in one transaction, so that whoever wants to write meanwhile need not wait long.
const AT_A_TIME: usize = 1 << 16;

/// Inputs of a request that are not in its index yet.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    /// Fingerprint and number of the image.
    entries: Vec<(i64, u32)>,
    /// How many are written, from the front.
    written: usize,
}

impl Inputs {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.written == self.entries.len()
    }

    pub(super) fn add(&mut self, fingerprint: i64, image: u32) {
        self.entries.push((fingerprint, image));
    }

    /// By fingerprint, and those with the same one in the order of the catalogue.
    pub(super) fn sort(&mut self) {
        self.entries.sort_unstable();
    }

    /// Writes the next of them: the first image of each input into the index, the others as following it.
    pub(super) fn write_some(&mut self, connection: &Connection, request: i64) -> rusqlite::Result<()> {
        let end = self.entries.len().min(self.written + AT_A_TIME);
        let mut index = Index::new(connection, request)?;
        for &(fingerprint, image) in &self.entries[self.written..end] {
            index.add(fingerprint, image)?;
        }
        self.written = end;
        Ok(())
    }
}

/// The image that others with its fingerprint are compared with.
struct Lead {
    fingerprint: i64,
    image: u32,
    /// Read only when there is something to compare.
    input: Option<String>,
}

struct Index<'c> {
    request: i64,
    insert: CachedStatement<'c>,
    find: CachedStatement<'c>,
    input: CachedStatement<'c>,
    follow: CachedStatement<'c>,
    lead: Option<Lead>,
}

impl<'c> Index<'c> {
    fn new(connection: &'c Connection, request: i64) -> rusqlite::Result<Self> {
        Ok(Index {
            request,
            insert: connection.prepare_cached("INSERT OR IGNORE INTO inputs VALUES (?1, ?2, ?3)")?,
            find: connection
                .prepare_cached("SELECT image FROM inputs WHERE request = ?1 AND fingerprint = ?2")?,
            input: connection.prepare_cached("SELECT input FROM images WHERE id = ?1")?,
            follow: connection.prepare_cached("UPDATE images SET same_as = ?2 WHERE id = ?1")?,
            lead: None,
        })
    }

    fn add(&mut self, fingerprint: i64, image: u32) -> rusqlite::Result<()> {
        let seen = self.lead.as_ref().is_some_and(|lead| lead.fingerprint == fingerprint);
        if !seen {
            let new = self.insert.execute(params![self.request, fingerprint, image])? == 1;
            let first = if new { image } else { self.find_first(fingerprint)? };
            self.lead = Some(Lead { fingerprint, image: first, input: None });
            if new {
                return Ok(());
            }
        }
        self.compare(image)
    }

    fn find_first(&mut self, fingerprint: i64) -> rusqlite::Result<u32> {
        self.find.query_row(params![self.request, fingerprint], |row| row.get(0))
    }

    /// Unequal inputs with the same fingerprint are worked each on its own.
    fn compare(&mut self, image: u32) -> rusqlite::Result<()> {
        let Some(lead) = &mut self.lead else { return Ok(()) };
        let own = key(self.request, u64::from(image));
        let first = key(self.request, u64::from(lead.image));
        // The transaction that a crash of its commit undid may be written again.
        if own == first {
            return Ok(());
        }
        let mut read = |id: i64| self.input.query_row([id], |row| row.get::<_, String>(0)).optional();
        if lead.input.is_none() {
            lead.input = read(first)?;
        }
        let equal = match (&lead.input, &read(own)?) {
            (Some(first), Some(own)) => equal_inputs(first, own),
            _ => false,
        };
        if equal {
            self.follow.execute([own, first])?;
        }
        Ok(())
    }
}
