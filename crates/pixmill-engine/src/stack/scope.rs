//! What templates of a table are about: a job, its products, their pictures, and what became of them.

use std::ops::Range;

use serde_json::{Value, json};

use crate::model::image::{Failure, Output};
use crate::model::time::Timestamp;

/// One of a job's pictures.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Picture {
    /// Which of the job's products it is of.
    pub(super) product: usize,
    /// Its place among those of the product.
    pub(super) position: usize,
    /// What is said of it.
    pub(super) said: Value,
    /// Its address; empty where it has none.
    pub(super) url: String,
}

/// What became of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct End {
    /// Its output, where it is completed.
    pub(super) output: Option<Output>,
    /// Why it failed, where it did.
    pub(super) failure: Option<Failure>,
}

/// How many pictures of what is told there are, and how many of them ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    pub(super) total: u64,
    pub(super) ended: u64,
    pub(super) failed: u64,
}

/// What templates may name.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    /// The job's data.
    pub(super) job: &'a Value,
    /// What its pictures are in: products in the job, documents, rows of a file; the job itself where none are told.
    pub(super) products: &'a [Value],
    /// Those of one product after those of the one before.
    pub(super) pictures: &'a [Picture],
    pub(super) ends: &'a [End],
    /// The product that is told of; all where none is.
    pub(super) product: Option<usize>,
    /// The picture that is told of, in `pictures`.
    pub(super) picture: Option<usize>,
    /// The request's document.
    pub(super) request: Option<&'a Value>,
    /// The row of a file of results, its number from 1, and documents of its pictures.
    pub(super) row: Option<(&'a Value, usize, &'a [Value])>,
    pub(super) now: Timestamp,
    /// What ids of new documents are made from.
    pub(super) seed: u128,
    /// Of the request, where it is known.
    pub(super) counts: Option<Counts>,
}

impl<'a> Scope<'a> {
    /// One of a job alone.
    pub(super) fn of(job: &'a Value, now: Timestamp) -> Self {
        Scope {
            job,
            products: std::slice::from_ref(job),
            pictures: &[],
            ends: &[],
            product: None,
            picture: None,
            request: None,
            row: None,
            now,
            seed: 0,
            counts: None,
        }
    }

    /// The pictures that are told of, by their places in `pictures`.
    pub(super) fn told(&self) -> Range<usize> {
        let at = |product: usize| self.pictures.partition_point(|picture| picture.product < product);
        match self.product {
            Some(product) => at(product)..at(product + 1),
            None => 0..self.pictures.len(),
        }
    }

    pub(super) fn picture_told(&self) -> Option<&'a Picture> {
        self.pictures.get(self.picture?)
    }

    pub(super) fn end(&self) -> Option<&'a End> {
        self.ends.get(self.picture?)
    }

    pub(super) fn product_told(&self) -> Option<&'a Value> {
        let product = self.picture_told().map(|picture| picture.product).or(self.product);
        match product {
            Some(product) => self.products.get(product),
            // One that is the only one is meant.
            None => self.products.first().filter(|_| self.products.len() == 1),
        }
    }

    pub(super) fn counted(&self) -> Counts {
        self.counts.unwrap_or_else(|| {
            let total = self.told().len() as u64;
            let failed = |at: &usize| self.ends.get(*at).is_some_and(|end| end.failure.is_some());
            let failed = self.told().filter(failed).count() as u64;
            Counts { total, ended: total, failed }
        })
    }

    /// The id that a new document about what is told gets: the same whenever its job is delivered again.
    pub(super) fn id(&self) -> Value {
        let picture = self.picture_told();
        let place = picture.map_or([self.product.unwrap_or(usize::MAX), usize::MAX], |picture| {
            [picture.product, picture.position]
        });
        let mut id = format!("{:032x}", mix(self.seed, &format!("{place:?}")));
        id.truncate(24);
        json!({ "$oid": id })
    }
}

/// A number made of another and a text.
pub(super) fn mix(seed: u128, text: &str) -> u128 {
    use std::hash::Hasher;

    use siphasher::sip128::{Hasher128, SipHasher13};

    let mut hasher = SipHasher13::new();
    hasher.write(&seed.to_be_bytes());
    hasher.write(text.as_bytes());
    hasher.finish128().as_u128()
}
