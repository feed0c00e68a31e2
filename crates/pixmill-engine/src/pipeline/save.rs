//! Save: the output under its deterministic key, so that trying again overwrites the same object.

use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use pixmill_codec::{OutputFormat, Recompressed};

use super::Scope;
use crate::fault::Fault;
use crate::model::id::RequestId;
use crate::model::image::{Claim, Output};
use crate::model::source::Source;
use crate::port::storage::Storage;

/// The folder of outputs, as users of the Node stack know it.
pub const FOLDER: &str = "processed_images";

/// Rows in a folder, so that a million outputs can still be listed.
const ROWS_A_FOLDER: u64 = 10_000;

/// The longest part of a source's name that is kept, bytes.
const LONGEST_STEM: usize = 80;

/// What a request's id may hold that is written as it is in a key. Foreign ids may hold anything, and no two of them
/// may share a folder.
const ID_LETTERS: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

/// The stage.
pub(super) struct Save {
    storage: Arc<dyn Storage>,
    /// One request has the storage to itself, so that its id need not be part of its keys.
    alone: bool,
}

impl Save {
    pub(super) fn new(storage: Arc<dyn Storage>, scope: &Scope) -> Self {
        Save { storage, alone: matches!(scope, Scope::Request(_)) }
    }

    /// Stores an output; it is durable and readable once this returns.
    ///
    /// # Errors
    /// `store.*`, `disk.*`.
    pub(super) async fn save(
        &self,
        claim: &Claim,
        source: &Source,
        bytes_before: u64,
        output: Recompressed,
    ) -> Result<Output, Fault> {
        let request = (!self.alone).then_some(&claim.request);
        let key = key(request, claim.row, claim.position, &source.file_name(), output.format);
        let (bytes_after, frames) = (output.bytes.len() as u64, output.frames);
        let location = self.storage.put(&key, output.format.media_type(), output.bytes).await?;
        Ok(Output { location, bytes_before, bytes_after, frames })
    }
}

/// The key of an output: its request unless that is alone, row and position, counted from 1, and the source's own name.
fn key(request: Option<&RequestId>, row: u64, position: u32, name: &str, format: OutputFormat) -> String {
    let folder = request.map_or_else(|| FOLDER.to_owned(), folder);
    let stem = stem(name);
    let dash = if stem.is_empty() { "" } else { "-" };
    let file = format!("{:06}-{:02}{dash}{stem}.{}", row + 1, position + 1, format.extension());
    match row / ROWS_A_FOLDER {
        0 => format!("{folder}/{file}"),
        rows => format!("{folder}/{:06}/{file}", rows * ROWS_A_FOLDER),
    }
}

/// The folder of a request's outputs, where requests share a storage.
pub(crate) fn folder(request: &RequestId) -> String {
    format!("{FOLDER}/{}", utf8_percent_encode(request.as_str(), ID_LETTERS))
}

/// A file name without its extension and without what a path, a shell or a results file could misread.
fn stem(name: &str) -> String {
    let stem = match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() && extension.len() <= 5 => stem,
        _ => name,
    };
    let mut kept = String::new();
    for letter in stem.chars() {
        let letter = if letter.is_alphanumeric() || matches!(letter, '.' | '_' | '-') { letter } else { '-' };
        if kept.len() + letter.len_utf8() > LONGEST_STEM {
            break;
        }
        if letter != '-' || !kept.ends_with('-') {
            kept.push(letter);
        }
    }
    kept.trim_matches(['.', '-']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_recognised() {
        assert_eq!(
            key(None, 0, 0, "kodim03-q90.jpg", OutputFormat::Jpeg),
            "processed_images/000001-01-kodim03-q90.jpg"
        );
        assert_eq!(key(None, 0, 11, "", OutputFormat::Png), "processed_images/000001-12.png");
        assert_eq!(
            key(None, 12_345, 0, "a b.png", OutputFormat::Webp),
            "processed_images/010000/012346-01-a-b.webp"
        );
    }

    #[test]
    fn requests_that_share_a_storage_share_no_folder() {
        let of = |request: &str| key(Some(&request.into()), 0, 0, "a.jpg", OutputFormat::Jpeg);
        assert_eq!(of("0192-ab_C"), "processed_images/0192-ab_C/000001-01-a.jpg");
        assert_eq!(of("../x"), "processed_images/%2E%2E%2Fx/000001-01-a.jpg");
        assert_ne!(of("a b"), of("a-b"));
    }

    #[test]
    fn hostile_names_stay_inside_and_short() {
        for (name, kept) in [
            ("../../evil.jpg", "evil"),
            ("a\0b.jpg", "a-b"),
            ("CON.jpg", "CON"),
            ("w_200,h_300.jpg", "w_200-h_300"),
            ("..", ""),
            (".hidden", "hidden"),
            ("v1.2.photo", "v1.2"),
            ("café ☕.jpg", "café"),
        ] {
            assert_eq!(stem(name), kept, "{name}");
        }
        assert_eq!(stem(&"é".repeat(900)).len(), LONGEST_STEM);
    }
}
