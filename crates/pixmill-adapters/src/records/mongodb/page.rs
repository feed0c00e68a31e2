//! Reading a page: document by document, until it is full.

use std::sync::atomic::{AtomicUsize, Ordering};

use mongodb::Collection;
use mongodb::bson::Document;
use pixmill_engine::fault::Fault;
use pixmill_engine::port::records::page::{Bytes, Page};

use super::command::Reading;
use super::fault::fault;

/// Bytes that an answer of the server is to hold, and those that a document is taken to have before one was seen.
const ANSWER_BYTES: usize = 2 << 20;
const UNSEEN: usize = 4 << 10;

/// By how much documents are taken to have become smaller, from one page to the next.
const SHRINKS: usize = 4;

/// Documents that are read at first where many of a page could not be, and by how many times more after that.
const MORE: usize = 8;

/// How large the documents of a collection have been lately: an answer of the server ends after so many documents, and only
/// those that are seen tell how many of them may be large.
#[derive(Debug)]
pub(super) struct Width(AtomicUsize);

impl Default for Width {
    fn default() -> Self {
        Width(AtomicUsize::new(UNSEEN))
    }
}

impl Width {
    /// How many documents an answer is to hold, of so many that are wanted.
    pub(super) fn answer(&self, most: usize) -> usize {
        (ANSWER_BYTES / self.0.load(Ordering::Relaxed).max(1)).clamp(1, most.max(1))
    }

    /// So many documents had so many bytes.
    pub(super) fn saw(&self, documents: usize, bytes: usize) {
        if let Some(each) = bytes.checked_div(documents) {
            let before = self.0.load(Ordering::Relaxed);
            self.0.store(each.max(before / SHRINKS), Ordering::Relaxed);
        }
    }
}

/// How large they are in each collection.
#[derive(Debug, Default)]
pub(super) struct Widths {
    pub(super) requests: Width,
    pub(super) products: Width,
    pub(super) images: Width,
}

/// The first items of what a query finds, as many as fill a page of `reading.most`. What makes no item is passed over, and
/// what comes after it fills the page.
pub(super) async fn page<T: Bytes>(
    collection: &Collection<Document>,
    query: &Document,
    reading: Reading,
    width: &Width,
    mut item: impl FnMut(&Document) -> Option<T>,
) -> Result<Vec<T>, Fault> {
    let mut most = reading.most;
    loop {
        let found = collection.find(query.clone()).projection(reading.fields.clone());
        let found = found.sort(reading.order.clone()).skip(reading.skip);
        let limit = i64::try_from(most).unwrap_or(i64::MAX);
        let answer = u32::try_from(width.answer(most)).unwrap_or(u32::MAX);
        let mut found = found.limit(limit).batch_size(answer).await.map_err(|error| fault(&error))?;
        let (mut page, mut read, mut bytes) = (Page::new(reading.most), 0, 0);
        while !page.is_full() && found.advance().await.map_err(|error| fault(&error))? {
            read += 1;
            bytes += found.current().as_bytes().len();
            let document = found.deserialize_current().map_err(|error| fault(&error))?;
            if let Some(item) = item(&document) {
                page.push(item);
            }
        }
        width.saw(read, bytes);
        if page.is_full() || read < most {
            return Ok(page.into_items());
        }
        most = most.saturating_mul(MORE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_hold_few_wide_documents_and_many_narrow_ones() {
        let width = Width::default();
        let read = |each: usize| {
            let answer = width.answer(1_000);
            width.saw(answer, answer * each);
            answer
        };
        let narrow: Vec<_> = (0..2).map(|_| read(300)).collect();
        assert_eq!(narrow, [512, 1_000]);
        assert_eq!((read(900_000), read(900_000)), (1_000, 2), "what was not foreseen is learnt from");
        assert!(read(300) < 16, "it dares more little by little");
    }
}
