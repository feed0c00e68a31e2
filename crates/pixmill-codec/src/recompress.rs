//! The whole way of one picture: header, plan, decode, convert colours, resize, turn upright, encode.

use fast_image_resize::Resizer;

use crate::container::{self, Header};
use crate::decode::{self, Wanted};
use crate::jpeg::{self, Arena};
use crate::orientation::upright;
use crate::plan::{Plan, Way, no_avif_encoder, plan};
use crate::raster::Raster;
use crate::{Error, Limits, OutputFormat, Recipe, color, encode, resize};

/// Buffers that one worker uses again from picture to picture.
#[derive(Debug, Default)]
pub struct Workspace {
    resizer: Resizer,
    arena: Arena,
}

/// A recompressed picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recompressed {
    /// The encoded picture.
    pub bytes: Vec<u8>,
    /// What it is.
    pub format: OutputFormat,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// The source's own picture data was smaller and has been kept, stripped of metadata.
    pub kept_source: bool,
}

/// Recompresses one picture by a recipe.
///
/// # Errors
/// Whatever [`crate::probe`] refuses, and [`crate::ErrorKind::Corrupt`] or [`crate::ErrorKind::TooSlow`]
/// from decoding.
pub fn recompress(
    bytes: &[u8],
    recipe: &Recipe,
    limits: &Limits,
    workspace: &mut Workspace,
) -> Result<Recompressed, Error> {
    let header = container::read(bytes, limits)?;
    let plan = plan(&header, recipe)?;
    let encoded = match plan.way {
        Way::Requantise => match jpeg::requantise(bytes, recipe.quality, &mut workspace.arena)? {
            Some(encoded) => encoded,
            None => from_pixels(bytes, &header, &plan, recipe, limits, workspace)?,
        },
        Way::Full => from_pixels(bytes, &header, &plan, recipe, limits, workspace)?,
        Way::Keep => {
            // What can't be decoded must not be handed on as good.
            decode::decode(bytes, &header, Wanted { ycbcr: false }, limits)?;
            return Ok(plan.result(container::avif::stripped(bytes)?, true));
        }
    };
    let source = plan.source_will_do.then(|| stripped(bytes, &header, &plan, encoded.len())).flatten();
    Ok(match source {
        Some(source) => plan.result(source, true),
        None => plan.result(encoded, false),
    })
}

impl Plan {
    fn result(&self, bytes: Vec<u8>, kept_source: bool) -> Recompressed {
        let (width, height) = self.size;
        Recompressed { bytes, format: self.output, width, height, kept_source }
    }
}

/// The long way, through pixels.
fn from_pixels(
    bytes: &[u8],
    header: &Header,
    plan: &Plan,
    recipe: &Recipe,
    limits: &Limits,
    workspace: &mut Workspace,
) -> Result<Vec<u8>, Error> {
    let wanted = Wanted { ycbcr: plan.output == OutputFormat::Jpeg && plan.profile.is_none() };
    let raster = decode::decode(bytes, header, wanted, limits)?;
    let raster = color::to_srgb(raster, plan.profile.as_ref());
    let (width, height) = plan.size;
    let (width, height) = if header.orientation.swaps_axes() { (height, width) } else { (width, height) };
    let raster = resize::resized(raster, width, height, &mut workspace.resizer)?;
    let raster = upright(raster, header.orientation);
    encoded(raster, plan, recipe, &mut workspace.arena)
}

fn encoded(raster: Raster, plan: &Plan, recipe: &Recipe, arena: &mut Arena) -> Result<Vec<u8>, Error> {
    match plan.output {
        OutputFormat::Jpeg => {
            let flat = color::flattened(raster, recipe.background);
            encode::jpeg::encode(&flat, recipe, &plan.kept, arena)
        }
        OutputFormat::Webp => encode::webp::encode(raster, recipe, &plan.kept),
        OutputFormat::Png => encode::png::encode(raster, &plan.kept),
        OutputFormat::Avif => Err(no_avif_encoder()),
    }
}

/// The source's picture data without its metadata, where it is not longer than what was encoded or must stay.
fn stripped(bytes: &[u8], header: &Header, plan: &Plan, encoded: usize) -> Option<Vec<u8>> {
    let most = if plan.source_must_stay { usize::MAX } else { encoded };
    let source = match plan.output {
        OutputFormat::Jpeg => {
            let jpeg = header.jpeg.as_ref().filter(|jpeg| jpeg.picture_bytes() < most)?;
            jpeg.stripped(&plan.kept)
        }
        OutputFormat::Png => container::png::stripped(bytes, &plan.kept),
        OutputFormat::Webp => container::webp::first_frame(bytes).ok()?.still(&plan.kept),
        OutputFormat::Avif => return None,
    };
    (source.len() <= most).then_some(source)
}
