//! Rows on their way into documents; which of their images follow an earlier one with an equal input.

use std::collections::{HashMap, HashSet};

use mongodb::bson::{Bson, Document, doc};
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::image::ImageStatus;
use pixmill_engine::model::row::{NewImage, NewRow};
use pixmill_engine::model::source::equal_inputs;
use pixmill_engine::model::time::Timestamp;

use super::super::field::{self, inside};
use super::{Gathered, Taking};

/// A batch is written when it holds so many rows, so many bytes of text, or is so old.
const ROWS: usize = 2_000;
const BYTES: usize = 2 << 20;
const AGE_MS: i64 = 5_000;

/// Distinct inputs of an intake that are remembered, about 32 bytes each. Beyond that, an input that is new after them
/// is fetched for each of its images.
const INPUTS: usize = 1 << 20;

/// Rows that wait for more.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) rows: Vec<NewRow>,
    bytes: usize,
    since: Option<Timestamp>,
}

impl Batch {
    pub(super) fn add(&mut self, rows: Vec<NewRow>, now: Timestamp) {
        self.bytes += rows.iter().map(text_bytes).sum::<usize>();
        self.since.get_or_insert(now);
        self.rows.extend(rows);
    }

    pub(super) fn is_full(&self, now: Timestamp) -> bool {
        let age = self.since.map_or(0, |since| now.0 - since.0);
        self.rows.len() >= ROWS || self.bytes >= BYTES || age >= AGE_MS
    }
}

fn text_bytes(row: &NewRow) -> usize {
    let inputs: usize = row.images.iter().map(|image| image.input.len()).sum();
    row.cells.len() + row.name.len() + inputs
}

/// The first image of each distinct input, by fingerprint.
#[derive(Default)]
pub(super) struct Inputs(HashMap<i64, u32>);

impl Inputs {
    /// Images written before with which some of these rows must be compared.
    pub(super) fn earlier(&self, rows: &[NewRow]) -> Vec<u32> {
        let images = rows.iter().flat_map(|row| &row.images);
        let found: HashSet<_> = images.filter_map(|image| self.0.get(&image.fingerprint).copied()).collect();
        found.into_iter().collect()
    }

    fn add(&mut self, fingerprint: i64, image: u32) {
        if self.0.len() < INPUTS {
            self.0.insert(fingerprint, image);
        }
    }
}

/// What a batch becomes.
#[derive(Default)]
pub(super) struct Documents {
    pub(super) products: Vec<Document>,
    pub(super) images: Vec<Document>,
    /// Images written before that others of this batch follow.
    pub(super) followed: HashSet<u32>,
}

/// The documents of rows that come after those written before. `earlier` holds the inputs that [`Inputs::earlier`]
/// asked for.
pub(super) fn documents(
    request: &RequestId,
    taking: &Taking,
    gathered: &mut Gathered,
    rows: Vec<NewRow>,
    earlier: &HashMap<u32, String>,
) -> Result<Documents, Fault> {
    let mut documents = Documents::default();
    let first = gathered.images;
    for row in rows {
        let number = gathered.rows;
        gathered.rows = next(number)?;
        let product = taking.products.id(number);
        let mut images = Vec::with_capacity(row.images.len());
        for (position, image) in row.images.into_iter().enumerate() {
            let own = gathered.images;
            gathered.images = next(own)?;
            let lead = lead(&image, own, first, &mut gathered.inputs, &documents.images, earlier);
            let mut ours = doc! { inside(field::ROW): number, inside(field::POSITION): position as i64 };
            if let Some(lead) = lead {
                ours.insert(inside(field::SAME_AS), taking.images.id(lead));
                match lead.checked_sub(first) {
                    Some(here) => follow(&mut documents.images[here as usize]),
                    None => _ = documents.followed.insert(lead),
                }
            }
            images.push(Bson::from(taking.images.id(own)));
            documents.images.push(doc! {
                "_id": taking.images.id(own),
                field::REQUEST_ID: request.as_str(),
                field::PRODUCT_ID: product,
                field::INPUT_URL: image.input,
                field::STATUS: ImageStatus::Pending.as_str(),
                field::PIXMILL: ours,
            });
        }
        let mut ours = doc! { inside(field::ROW): number, inside(field::CELLS): row.cells };
        if let Some(error) = row.error {
            ours.insert(inside(field::ERROR), error);
        }
        documents.products.push(doc! {
            "_id": product,
            field::REQUEST_ID: request.as_str(),
            "name": row.name,
            "images": images,
            field::PIXMILL: ours,
        });
    }
    Ok(documents)
}

/// Says in the document of an image that others follow it.
fn follow(image: &mut Document) {
    if let Ok(ours) = image.get_document_mut(field::PIXMILL) {
        ours.insert(inside(field::FOLLOWED), true);
    }
}

fn next(number: u32) -> Result<u32, Fault> {
    let full =
        || Fault::permanent(Code::CatalogueTooLarge, "the catalogue has more than 4,294,967,295 images");
    number.checked_add(1).ok_or_else(full)
}

/// The earlier image with an equal input. Unequal inputs with the same fingerprint are worked each on its own.
fn lead(
    image: &NewImage,
    own: u32,
    first: u32,
    inputs: &mut Inputs,
    here: &[Document],
    earlier: &HashMap<u32, String>,
) -> Option<u32> {
    let Some(&lead) = inputs.0.get(&image.fingerprint) else {
        inputs.add(image.fingerprint, own);
        return None;
    };
    let input = match lead.checked_sub(first) {
        Some(number) => here[number as usize].get_str(field::INPUT_URL).ok()?,
        None => earlier.get(&lead)?,
    };
    equal_inputs(input, &image.input).then_some(lead)
}
