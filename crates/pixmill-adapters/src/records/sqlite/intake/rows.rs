//! Rows and images, written in the order of their keys, so that they are laid down side by side.

use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::row::NewRow;
use pixmill_engine::model::time::Timestamp;
use rusqlite::{Connection, params};

use super::super::fault::Broken;
use super::super::id::{MOST, key};
use super::inputs::Inputs;

/// What an intake has written so far.
#[derive(Default)]
pub(super) struct Written {
    pub(super) rows: u64,
    pub(super) images: u64,
    /// Inputs that are not in the index yet.
    pub(super) inputs: Inputs,
}

/// Appends rows to an intake that still is one; how many inputs are not in the index yet.
pub(super) fn append(
    connection: &Connection,
    request: i64,
    written: &mut Written,
    rows: &[NewRow],
    now: Timestamp,
) -> Result<usize, Broken> {
    let touched = connection
        .prepare_cached("UPDATE requests SET touched = ?2 WHERE num = ?1 AND status = 'receiving'")?
        .execute(params![request, now.0])?;
    if touched == 0 {
        return Err(Fault::permanent(Code::RequestState, "this intake stood still and was given up").into());
    }
    let mut insert_row = connection.prepare_cached(
        "INSERT INTO rows (id, cells, first_image, images, name, error) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    let mut insert_image =
        connection.prepare_cached("INSERT INTO images (id, row, position, input) VALUES (?1, ?2, ?3, ?4)")?;
    for row in rows {
        let number = written.rows;
        check_room(number.max(written.images + row.images.len() as u64))?;
        insert_row.execute(params![
            key(request, number),
            row.cells,
            written.images as i64,
            row.images.len() as i64,
            Some(&row.name).filter(|name| !name.is_empty()),
            row.error
        ])?;
        for (position, image) in row.images.iter().enumerate() {
            let id = key(request, written.images);
            insert_image.execute(params![id, number as i64, position as i64, image.input])?;
            written.inputs.add(image.fingerprint, written.images as u32);
            written.images += 1;
        }
        written.rows += 1;
    }
    Ok(written.inputs.len())
}

fn check_room(number: u64) -> Result<(), Fault> {
    if number < MOST {
        return Ok(());
    }
    Err(Fault::permanent(Code::CatalogueTooLarge, format!("a catalogue may hold {MOST} rows and images")))
}
