//! Reading a page: row by row, until it is full.

use pixmill_engine::port::records::page::{Bytes, Page};
use rusqlite::{Params, Row, Statement};

use super::fault::Broken;

/// The first items of a statement's answer, as many as fill a page.
pub(super) fn page<T: Bytes>(
    statement: &mut Statement<'_>,
    params: impl Params,
    most: usize,
    mut item: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, Broken> {
    let (mut page, mut rows) = (Page::new(most), statement.query(params)?);
    while !page.is_full()
        && let Some(row) = rows.next()?
    {
        page.push(item(row)?);
    }
    Ok(page.into_items())
}
