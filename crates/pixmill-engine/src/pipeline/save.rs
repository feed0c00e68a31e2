//! Save: the output under its deterministic key, so that trying again overwrites the same object.

use std::sync::Arc;

use pixmill_codec::{OutputFormat, Recompressed};

use crate::fault::Fault;
use crate::model::image::{Claim, Output};
use crate::model::source::Source;
use crate::port::storage::Storage;

/// The folder of outputs, as users of the Node stack know it.
const FOLDER: &str = "processed_images";

/// Rows in a folder, so that a million outputs can still be listed.
const ROWS_A_FOLDER: u64 = 10_000;

/// The longest part of a source's name that is kept, bytes.
const LONGEST_STEM: usize = 80;

/// The stage.
pub(super) struct Save {
    storage: Arc<dyn Storage>,
}

impl Save {
    pub(super) fn new(storage: Arc<dyn Storage>) -> Self {
        Save { storage }
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
        let key = key(claim.row, claim.position, &source.file_name(), output.format);
        let bytes_after = output.bytes.len() as u64;
        let location = self.storage.put(&key, output.format.media_type(), output.bytes).await?;
        Ok(Output { location, bytes_before, bytes_after })
    }
}

/// The key of an output: row and position, counted from 1, and the source's own name.
fn key(row: u64, position: u32, name: &str, format: OutputFormat) -> String {
    let stem = stem(name);
    let dash = if stem.is_empty() { "" } else { "-" };
    let file = format!("{:06}-{:02}{dash}{stem}.{}", row + 1, position + 1, format.extension());
    match row / ROWS_A_FOLDER {
        0 => format!("{FOLDER}/{file}"),
        folder => format!("{FOLDER}/{:06}/{file}", folder * ROWS_A_FOLDER),
    }
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
            key(0, 0, "kodim03-q90.jpg", OutputFormat::Jpeg),
            "processed_images/000001-01-kodim03-q90.jpg"
        );
        assert_eq!(key(0, 11, "", OutputFormat::Png), "processed_images/000001-12.png");
        assert_eq!(
            key(12_345, 0, "a b.png", OutputFormat::Webp),
            "processed_images/010000/012346-01-a-b.webp"
        );
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
