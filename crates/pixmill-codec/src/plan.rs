//! What a picture needs, decided from its header and the recipe before anything is decoded.

use crate::color::{self, Profile};
use crate::container::jpeg::{Encoding, Structure};
use crate::container::{Colour, Header, Kept};
use crate::jpeg::{FULL_CHROMA_QUALITY, Shrink, is_exact, is_known_sampling};
use crate::metadata;
use crate::orientation::Orientation;
use crate::resize::fitted;
use crate::{Format, KeepMetadata, OutputFormat, Recipe, SourceFormat};

/// Which way a picture goes. Whatever its coefficients turn out to be, no way but the last ever fails for it: what
/// can't be done there is done through pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// From one JPEG's coefficients to another's while they are read.
    Stream,
    /// The same with all coefficients at hand.
    Coefficients,
    /// Through samples of each component, made smaller by itself: a JPEG of YCbCr or grey to a smaller one.
    Components,
    /// Through pixels.
    Pixels,
}

/// What to do to one picture.
pub(crate) struct Plan {
    pub(crate) way: Way,
    pub(crate) output: OutputFormat,
    /// Size of the output, upright. Pixels.
    pub(crate) size: (u32, u32),
    /// How much smaller than it is a JPEG is decoded, on its way through pixels.
    pub(crate) shrink: Option<Shrink>,
    /// The profile to convert from, if it isn't sRGB.
    pub(crate) profile: Option<Profile>,
    /// Nothing but the quality changes: the source's own picture data would do as well.
    pub(crate) source_will_do: bool,
    /// Encoding again would lose what the output format promises to keep.
    pub(crate) source_must_stay: bool,
    pub(crate) kept: Kept,
}

/// Decides.
pub(crate) fn plan(header: &Header, recipe: &Recipe) -> Plan {
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
        && header.light.is_none()
        && !ink
        && !rescanned
        && !(output == OutputFormat::Webp && header.staged)
        && header.jpeg.as_ref().map_or(!header.truncated, |jpeg| jpeg.brings_codes);
    let source_must_stay = source_will_do && output == OutputFormat::Png && header.deep;
    let way = match (output, &header.jpeg) {
        (OutputFormat::Jpeg, Some(jpeg)) if size == upright && profile.is_none() => {
            jpeg_way(jpeg, header, recipe)
        }
        (OutputFormat::Jpeg, Some(jpeg)) if gives_components(jpeg, header, recipe) && profile.is_none() => {
            Way::Components
        }
        _ => Way::Pixels,
    };
    let shrink = if matches!(way, Way::Components | Way::Pixels) { shrink(header, size) } else { None };
    let kept = kept(header, recipe);
    Plan { way, output, size, shrink, profile, source_will_do, source_must_stay, kept }
}

/// The rule for JPEG to JPEG of the same size and colours.
///
/// Coefficients need grey or YCbCr of a usual sampling, and a turn that is exact. They are streamed when they
/// come in the order in which they go: in one sequential scan, upright, with colour at half the size both ways already,
/// to be written the same way and at one quality.
fn jpeg_way(jpeg: &Structure, header: &Header, recipe: &Recipe) -> Way {
    let sampling = sampling(jpeg);
    if !gives_coefficients(jpeg) {
        return Way::Pixels;
    }
    let grey = sampling.len() == 1;
    let most = if grey { (1, 1) } else { sampling[0] };
    let mcu = (8 * u32::from(most.0), 8 * u32::from(most.1));
    if !is_exact(header.orientation, (header.width, header.height), mcu) {
        return Way::Pixels;
    }
    let upright = header.orientation == Orientation::Upright;
    let once = !header.staged && !recipe.progressive && recipe.target_ssimulacra2.is_none();
    let quartered = grey || sampling == [(2, 2), (1, 1), (1, 1)];
    if upright && quartered && once { Way::Stream } else { Way::Coefficients }
}

/// Grey or YCbCr of a usual sampling: coefficients are read by our own reader.
fn gives_coefficients(jpeg: &Structure) -> bool {
    let of_light = matches!(jpeg.encoding, Encoding::Grey | Encoding::Ycbcr);
    of_light && is_known_sampling(&sampling(jpeg))
}

/// The rule for JPEG to a smaller JPEG: nothing but the size and the quality changes, colour is halved both ways, and it
/// is written once.
fn gives_components(jpeg: &Structure, header: &Header, recipe: &Recipe) -> bool {
    gives_coefficients(jpeg)
        && header.orientation == Orientation::Upright
        && recipe.quality < FULL_CHROMA_QUALITY
        && recipe.target_ssimulacra2.is_none()
}

/// Sampling factors of each component, across and down.
fn sampling(jpeg: &Structure) -> Vec<(u8, u8)> {
    jpeg.frame.components.iter().map(|(_, factors)| (factors >> 4, factors & 15)).collect()
}

/// A JPEG that becomes at most half as large is decoded smaller, as far as that goes. `size`: of the output, upright.
fn shrink(header: &Header, size: (u32, u32)) -> Option<Shrink> {
    let jpeg = header.jpeg.as_ref().filter(|jpeg| gives_coefficients(jpeg))?;
    let stored = if header.orientation.swaps_axes() { (size.1, size.0) } else { size };
    let shrink = Shrink::fitting((header.width, header.height), stored)?;
    shrink.reads(&sampling(jpeg)).then_some(shrink)
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
        Format::Avif => OutputFormat::Avif,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, Score, container};

    fn way(bytes: &[u8], recipe: &Recipe) -> Way {
        plan(&container::read(bytes, &Limits::default()).unwrap(), recipe).way
    }

    macro_rules! seed {
        ($name:literal) => {
            include_bytes!(concat!("../../../fuzz/seeds/jpeg/", $name, ".jpg")).as_slice()
        };
    }

    #[test]
    fn a_jpeg_takes_the_shortest_way_that_its_header_allows() {
        let cases = [
            (seed!("420"), Way::Stream),
            (seed!("grey"), Way::Stream),
            (seed!("restart"), Way::Stream),
            (seed!("optimised"), Way::Stream),
            (seed!("444"), Way::Coefficients),
            (seed!("422"), Way::Coefficients),
            (seed!("440"), Way::Coefficients),
            (seed!("411"), Way::Coefficients),
            (seed!("separate-scans"), Way::Coefficients),
            (seed!("progressive-420"), Way::Coefficients),
            (seed!("progressive-grey"), Way::Coefficients),
            (seed!("rgb"), Way::Pixels),
            (seed!("odd-sampling"), Way::Pixels),
            (include_bytes!("../tests/fixtures/pil_sample_cmyk.jpg"), Way::Pixels),
            (include_bytes!("../tests/fixtures/swapped.jpg"), Way::Pixels),
            // To be turned by a quarter, its sides whole MCUs.
            (include_bytes!("../tests/fixtures/gps-6.jpg"), Way::Coefficients),
        ];
        for (at, (bytes, wanted)) in cases.into_iter().enumerate() {
            assert_eq!(way(bytes, &Recipe::default()), wanted, "case {at}");
        }
    }

    #[test]
    fn the_recipe_has_its_say() {
        let plain = Recipe::default();
        let score = Score::try_from(70.0).ok();
        for (recipe, wanted) in [
            (Recipe { quality: 95, ..plain }, Way::Stream),
            (Recipe { keep_metadata: KeepMetadata::All, ..plain }, Way::Stream),
            (Recipe { progressive: true, ..plain }, Way::Coefficients),
            (Recipe { target_ssimulacra2: score, ..plain }, Way::Coefficients),
            (Recipe { max_width: Some(20), ..plain }, Way::Components),
            (Recipe { max_width: Some(20), progressive: true, ..plain }, Way::Components),
            (Recipe { max_width: Some(20), quality: 90, ..plain }, Way::Pixels),
            (Recipe { max_width: Some(20), target_ssimulacra2: score, ..plain }, Way::Pixels),
            (Recipe { max_width: Some(2000), ..plain }, Way::Stream),
            (Recipe { format: Format::Webp, ..plain }, Way::Pixels),
        ] {
            assert_eq!(way(seed!("420"), &recipe), wanted, "{recipe:?}");
        }
        assert_eq!(way(include_bytes!("../tests/fixtures/p3.png"), &plain), Way::Pixels);
    }

    #[test]
    fn a_turn_is_exact_when_no_mirrored_side_ends_inside_an_mcu() {
        let (size, mcu) = ((48, 27), (16, 16));
        for (exif, exact) in
            [(1, true), (2, true), (3, false), (4, false), (5, true), (6, false), (7, false), (8, true)]
        {
            assert_eq!(is_exact(Orientation::from_exif(exif), size, mcu), exact, "orientation {exif}");
        }
    }
}
