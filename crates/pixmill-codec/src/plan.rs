//! What a picture needs, decided from its header and the recipe before anything is decoded.

use crate::color::{self, Profile};
use crate::container::{Colour, Header, Kept};
use crate::encode::jpeg::FULL_CHROMA_QUALITY;
use crate::error::unsupported;
use crate::metadata;
use crate::orientation::Orientation;
use crate::resize::fitted;
use crate::{Error, Format, KeepMetadata, OutputFormat, Recipe, SourceFormat};

/// Which way a picture goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// From one JPEG's coefficients to another's, if the source is one of those that can; else through pixels.
    Requantise,
    /// Through pixels.
    Full,
    /// The source's own picture data is all that can be given.
    Keep,
}

/// What to do to one picture.
pub(crate) struct Plan {
    pub(crate) way: Way,
    pub(crate) output: OutputFormat,
    /// Size of the output, upright. Pixels.
    pub(crate) size: (u32, u32),
    /// The profile to convert from, if it isn't sRGB.
    pub(crate) profile: Option<Profile>,
    /// Nothing but the quality changes: the source's own picture data would do as well.
    pub(crate) source_will_do: bool,
    /// Encoding again would lose what the output format promises to keep.
    pub(crate) source_must_stay: bool,
    pub(crate) kept: Kept,
}

/// Decides.
pub(crate) fn plan(header: &Header, recipe: &Recipe) -> Result<Plan, Error> {
    let output = output_format(header.format, recipe.format);
    let upright = upright_size(header);
    let size = fitted(upright.0, upright.1, recipe);
    let profile = header.icc.as_deref().and_then(|icc| color::foreign_profile(icc, header.colour));
    let same_format = source_format(header.format) == Some(output);
    let ink = header.colour == Colour::Cmyk;
    let rescanned = output == OutputFormat::Jpeg && recipe.progressive && !header.staged;
    let source_will_do = same_format
        && size == upright
        && header.orientation == Orientation::Upright
        && profile.is_none()
        && !ink
        && !rescanned
        && !(output == OutputFormat::Webp && header.staged)
        && !header.truncated;
    let source_must_stay = source_will_do && output == OutputFormat::Png && header.deep;
    let jpeg_to_jpeg = source_will_do && output == OutputFormat::Jpeg;
    let way = match output {
        OutputFormat::Jpeg if jpeg_to_jpeg && can_requantise(header, recipe) => Way::Requantise,
        // Orientation and profile are the container's own and stay in force.
        OutputFormat::Avif if size == upright => Way::Keep,
        OutputFormat::Avif => return Err(no_avif_encoder()),
        _ => Way::Full,
    };
    Ok(Plan { way, output, size, profile, source_will_do, source_must_stay, kept: kept(header, recipe) })
}

/// The refusal to write AVIF.
pub(crate) fn no_avif_encoder() -> Error {
    unsupported("an AVIF can't be made smaller as AVIF; ask for another format")
}

/// Whether the coefficients may be all that changes; whether they can is up to the requantiser.
pub(crate) fn can_requantise(header: &Header, recipe: &Recipe) -> bool {
    let full_chroma = recipe.quality >= FULL_CHROMA_QUALITY && header.colour != Colour::Grey;
    !header.staged && !recipe.progressive && !full_chroma && recipe.keep_metadata == KeepMetadata::None
}

/// Width and height after turning upright. Pixels.
pub(crate) fn upright_size(header: &Header) -> (u32, u32) {
    if header.orientation.swaps_axes() {
        (header.height, header.width)
    } else {
        (header.width, header.height)
    }
}

/// The format that an output will have.
pub(crate) fn output_format(source: SourceFormat, wanted: Format) -> OutputFormat {
    match wanted {
        Format::Jpeg => OutputFormat::Jpeg,
        Format::Webp => OutputFormat::Webp,
        Format::Png => OutputFormat::Png,
        Format::Keep => source_format(source).unwrap_or(OutputFormat::Png),
    }
}

/// The output format that is the source's own, if outputs can have it.
fn source_format(source: SourceFormat) -> Option<OutputFormat> {
    match source {
        SourceFormat::Jpeg => Some(OutputFormat::Jpeg),
        SourceFormat::Png => Some(OutputFormat::Png),
        SourceFormat::Webp => Some(OutputFormat::Webp),
        SourceFormat::Avif => Some(OutputFormat::Avif),
        SourceFormat::Gif | SourceFormat::Tiff | SourceFormat::Bmp => None,
    }
}

fn kept(header: &Header, recipe: &Recipe) -> Kept {
    let all = recipe.keep_metadata == KeepMetadata::All;
    let icc = recipe.keep_metadata != KeepMetadata::None;
    Kept {
        icc: icc.then(color::srgb_profile).flatten(),
        exif: header.exif.as_deref().filter(|_| all).map(metadata::with_upright_orientation),
        xmp: header.xmp.as_deref().filter(|_| all).map(<[u8]>::to_vec),
    }
}
