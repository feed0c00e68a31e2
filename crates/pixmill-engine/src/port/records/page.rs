//! Pages of records: so many items, or so many bytes of them, whichever comes first.

use std::mem::size_of;

use crate::model::image::{Candidate, ImageView};
use crate::model::row::{ResultRow, Slot};
use crate::port::records::RequestView;

/// Bytes with which a page is full. It ends with the item that reaches them, so it holds one at least, however large.
pub const PAGE_BYTES: usize = 1 << 20;

/// What takes memory.
pub trait Bytes {
    /// About how much, all that belongs to it included.
    fn bytes(&self) -> usize;
}

/// A page that is being filled.
#[derive(Debug)]
pub struct Page<T> {
    items: Vec<T>,
    bytes: usize,
    most: usize,
}

impl<T: Bytes> Page<T> {
    /// An empty page for so many items.
    pub fn new(most: usize) -> Self {
        Page { items: Vec::new(), bytes: 0, most }
    }

    /// Whether nothing more is to be added.
    pub fn is_full(&self) -> bool {
        self.items.len() >= self.most || self.bytes >= PAGE_BYTES
    }

    /// Adds an item behind the others.
    pub fn push(&mut self, item: T) {
        self.bytes += item.bytes();
        self.items.push(item);
    }

    /// What is in it.
    pub fn into_items(self) -> Vec<T> {
        self.items
    }
}

/// Whether another page may follow this one, for which `most` items were asked.
pub fn may_go_on<T: Bytes>(page: &[T], most: usize) -> bool {
    page.len() >= most || page.iter().map(Bytes::bytes).sum::<usize>() >= PAGE_BYTES
}

impl Bytes for Slot {
    fn bytes(&self) -> usize {
        let output = self.output.as_ref().map_or(0, |output| output.location.len());
        size_of::<Slot>() + output + self.failure.as_ref().map_or(0, |failure| failure.message.len())
    }
}

impl Bytes for ResultRow {
    fn bytes(&self) -> usize {
        let error = self.error.as_ref().map_or(0, String::len);
        size_of::<ResultRow>() + self.cells.len() + error + self.slots.iter().map(Bytes::bytes).sum::<usize>()
    }
}

impl Bytes for ImageView {
    fn bytes(&self) -> usize {
        size_of::<ImageView>() + self.image.as_str().len() + self.input.len() + self.slot.bytes()
    }
}

/// An image and the columns of its row.
impl Bytes for (ImageView, String) {
    fn bytes(&self) -> usize {
        self.0.bytes() + self.1.len()
    }
}

impl Bytes for Candidate {
    fn bytes(&self) -> usize {
        let ids = self.image.as_str().len() + self.request.as_str().len();
        size_of::<Candidate>() + ids + self.input.len() + self.tenant.len()
    }
}

impl Bytes for RequestView {
    fn bytes(&self) -> usize {
        let request = &self.request;
        let webhook = request.webhook.as_ref().map_or(0, String::len);
        size_of::<RequestView>()
            + request.header.len()
            + request.reading.len()
            + request.catalogue.len()
            + webhook
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::image::ImageStatus;

    fn row(bytes: usize) -> ResultRow {
        ResultRow { cells: "x".repeat(bytes), error: None, slots: Vec::new() }
    }

    fn filled(rows: impl IntoIterator<Item = ResultRow>, most: usize) -> Vec<ResultRow> {
        let (mut page, mut rows) = (Page::new(most), rows.into_iter());
        while !page.is_full()
            && let Some(row) = rows.next()
        {
            page.push(row);
        }
        page.into_items()
    }

    #[test]
    fn a_page_ends_with_the_item_that_fills_it() {
        assert_eq!(filled((0..10).map(|_| row(PAGE_BYTES * 2)), 9).len(), 1);
        assert_eq!(filled((0..10).map(|_| row(PAGE_BYTES / 4)), 9).len(), 4);
        assert_eq!(filled((0..10).map(|_| row(1)), 9).len(), 9);
    }

    #[test]
    fn a_page_that_is_not_full_is_the_last() {
        for (rows, most, more) in [(0, 9, false), (8, 9, false), (9, 9, true)] {
            assert_eq!(may_go_on(&filled((0..rows).map(|_| row(1)), most), most), more);
        }
        assert!(may_go_on(&filled((0..10).map(|_| row(PAGE_BYTES / 2)), 9), 9));
    }

    #[test]
    fn all_that_belongs_to_a_row_counts() {
        let slot = Slot { status: ImageStatus::Pending, output: None, failure: None };
        let many = ResultRow { slots: vec![slot; 10_000], ..row(1) };
        assert!(many.bytes() > 10_000 * size_of::<Slot>());
    }
}
