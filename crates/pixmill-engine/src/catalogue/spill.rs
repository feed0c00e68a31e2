//! Rows with more fields than the header: address lists whose quotes someone forgot.
//!
//! `1,Mug,http://a/1.png,http://a/2.png` under three columns is a list that spilled out of its cell. It is folded
//! back into the cell, as if the quotes had been there.

use std::ops::Range;

use super::cut::begins_address;
use super::fields::Fields;
use super::header::Header;

/// Which field belongs to which column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placing {
    /// Fields that spilled out of the address cell.
    pub(super) spilled: Range<usize>,
    /// How many fields further right the columns after the address cell are found.
    pub(super) shift: usize,
}

/// Every column at its own field.
const STRAIGHT: Placing = Placing { spilled: 0..0, shift: 0 };

/// Places a row's fields, at least up to the address cell. None when they can't be matched to the columns.
pub(super) fn place(fields: &Fields<'_>, header: &Header, named: usize) -> Option<Placing> {
    let (columns, url) = (header.columns.len(), header.last());
    if fields.len() == columns && named == columns {
        return Some(STRAIGHT);
    }
    let blank = |index: usize| fields.value(index).trim().is_empty();
    let address = |index: usize| begins_address(&fields.value(index));
    let mut count = fields.len();
    while count > named && blank(count - 1) {
        count -= 1;
    }
    if header.pictures.len() > 1 {
        let spills = url + 1 == columns && count > columns && address(url) && (columns..count).all(address);
        let spilled = if spills { columns..count } else { 0..0 };
        return (count <= columns || spills).then_some(Placing { spilled, shift: 0 });
    }
    if named == url + 1 {
        let spills = count > columns || (named..count).any(address);
        let spilled = if spills { named..count } else { 0..0 };
        let shift = if spills { count } else { 0 };
        return Some(Placing { spilled, shift });
    }
    if count <= columns {
        return Some(STRAIGHT);
    }
    if address(url) {
        if !address(url + 1) && (columns..count).all(address) {
            return Some(Placing { spilled: columns..count, shift: 0 });
        }
        let surplus = fields.len() - columns;
        if let Some(last) = (1..=surplus).rev().find(|offset| address(url + offset)) {
            return Some(Placing { spilled: url + 1..url + 1 + last, shift: last });
        }
    }
    // The row may be out of step: then what is taken for the address cell is not one.
    let in_step = address(url) || !(0..count).any(address);
    in_step.then_some(STRAIGHT)
}

/// The address cell with what spilled out of it.
pub(super) fn fold(fields: &Fields<'_>, url: usize, spilled: Range<usize>, delimiter: u8, cell: &mut String) {
    cell.clear();
    cell.push_str(&fields.value(url));
    let schemeless = !(spilled.clone().chain([url])).any(|index| begins_address(&fields.value(index)));
    for index in spilled {
        let value = fields.value(index);
        let parts = schemeless || value.starts_with(char::is_whitespace) || begins_address(&value);
        // A comma or pipe is read by the rules of a cell; a semicolon, which means nothing in a cell, by the same
        // ones here; a tab always parts.
        cell.push_str(match delimiter {
            b',' => ",",
            b'|' => "|",
            b';' if !parts => ";",
            _ => ", ",
        });
        cell.push_str(&value);
    }
}
