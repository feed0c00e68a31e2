//! Section `recipe`: what to do to each picture.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use pixmill_codec::{Background, Format, KeepMetadata, Recipe, Score};

use super::bounds::{colour, whole};

/// Recipe options, the same everywhere.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Recipe")]
pub(crate) struct RecipeFlags {
    /// Format of the outputs; keep: what the source is, but PNG for GIF, BMP and TIFF
    #[arg(long, value_name = "FORMAT", default_value = "jpeg", value_parser = formats())]
    format: Format,

    /// Quality, 1 to 100; PNG is lossless whatever it says
    #[arg(long, value_name = "1..100", default_value_t = Recipe::default().quality, value_parser = whole::<u8>(1, 100))]
    quality: u8,

    /// Take the lowest quality that reaches this SSIMULACRA2 score instead: 90 looks the same, 70 good
    #[arg(long, value_name = "SCORE", value_parser = score)]
    target_ssimulacra2: Option<Score>,

    /// Fit inside this width, in pixels; never enlarges
    #[arg(long, value_name = "PIXELS", value_parser = whole::<u32>(1, LONGEST_SIDE))]
    max_width: Option<u32>,

    /// Fit inside this height, in pixels; never enlarges
    #[arg(long, value_name = "PIXELS", value_parser = whole::<u32>(1, LONGEST_SIDE))]
    max_height: Option<u32>,

    /// Colour below transparent pictures that become JPEG
    #[arg(long, value_name = "#RRGGBB", default_value = "#ffffff", value_parser = |text: &str| colour(text).map(Background))]
    background: Background,

    /// Write progressive JPEG
    #[arg(long)]
    progressive: bool,

    /// Metadata that outputs keep; icc: an sRGB profile, all: EXIF and XMP too, camera positions included
    #[arg(long, value_name = "WHICH", default_value = "none", value_parser = metadata())]
    keep_metadata: KeepMetadata,
}

/// The longest side that a JPEG can have, pixels (ITU-T T.81 B.2.2).
const LONGEST_SIDE: u64 = 65_535;

impl RecipeFlags {
    /// The recipe.
    pub(crate) fn recipe(&self) -> Recipe {
        Recipe {
            format: self.format,
            quality: self.quality,
            target_ssimulacra2: self.target_ssimulacra2,
            max_width: self.max_width,
            max_height: self.max_height,
            background: self.background,
            progressive: self.progressive,
            keep_metadata: self.keep_metadata,
        }
    }
}

fn score(text: &str) -> Result<Score, String> {
    let score: f64 = text.parse().map_err(|_| format!("`{text}` is not a number"))?;
    Score::try_from(score).map_err(str::to_owned)
}

fn formats() -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(["jpeg", "webp", "png", "keep"]).map(|name| match name.as_str() {
        "webp" => Format::Webp,
        "png" => Format::Png,
        "keep" => Format::Keep,
        _ => Format::Jpeg,
    })
}

fn metadata() -> impl TypedValueParser<Value = KeepMetadata> {
    PossibleValuesParser::new(["none", "icc", "all"]).map(|name| match name.as_str() {
        "icc" => KeepMetadata::Icc,
        "all" => KeepMetadata::All,
        _ => KeepMetadata::None,
    })
}
