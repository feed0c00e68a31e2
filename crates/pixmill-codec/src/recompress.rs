//! The whole way of one picture: header, plan, decode, convert colours, resize, turn upright, encode.

use std::borrow::Cow;

use pixmill_resize::Resizer;

use crate::container::jpeg::kept_segments;
use crate::container::{self, Header};
use crate::decode::{self, Wanted};
use crate::error::unsupported;
use crate::jpeg::{self, Arena, Asked, Coefficients};
use crate::judge::Judge;
use crate::orientation::upright;
use crate::plan::{Plan, Way, plan};
use crate::raster::Raster;
use crate::target::smallest;
use crate::{Error, ErrorKind, Limits, OutputFormat, Recipe, color, encode, resize};

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
    /// Pictures that the source shows one after the other, of which this is the first.
    pub frames: u32,
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
    let plan = plan(&header, recipe);
    let job = Job { bytes, header: &header, plan: &plan, recipe, limits };
    let encoded = job.encoded(workspace)?;
    // Rows that are missing would be missing in the source's data too.
    let may_lack_rows = header.truncated && limits.lenient;
    let source = (plan.source_will_do && !may_lack_rows)
        .then(|| stripped(bytes, &header, &plan, encoded.len()))
        .flatten();
    Ok(match source {
        Some(source) => plan.result(source, header.frames, true),
        None => plan.result(encoded, header.frames, false),
    })
}

/// How alike a picture and what a recipe made of it are: the SSIMULACRA2 score, 100 for equal ones.
///
/// # Errors
/// Whatever [`crate::probe`] refuses of either, and [`crate::ErrorKind::Unsupported`] where the two can't be compared, for
/// one has another size than the recipe gives it.
pub fn judge(
    source: &[u8],
    result: &[u8],
    recipe: &Recipe,
    limits: &Limits,
    workspace: &mut Workspace,
) -> Result<f64, Error> {
    let recipe = &recipe.judged();
    let header = container::read(source, limits)?;
    let plan = plan(&header, recipe);
    let job = Job { bytes: source, header: &header, plan: &plan, recipe, limits };
    let judge = Judge::new(Cow::Owned(job.pixels(workspace)?))?;
    judge.score(&shown(result, limits, workspace)?)
}

/// A result as browsers show it.
fn shown(result: &[u8], limits: &Limits, workspace: &mut Workspace) -> Result<Raster, Error> {
    let header = container::read(result, limits)?;
    decode::decode(result, &header, Wanted::default(), limits, &mut workspace.arena)
}

impl Plan {
    fn result(&self, bytes: Vec<u8>, frames: u32, kept_source: bool) -> Recompressed {
        let (width, height) = self.size;
        Recompressed { bytes, format: self.output, width, height, frames, kept_source }
    }
}

/// One picture on its way.
struct Job<'a> {
    bytes: &'a [u8],
    header: &'a Header<'a>,
    plan: &'a Plan,
    recipe: &'a Recipe,
    limits: &'a Limits,
}

/// All of a picture, ready to be encoded at any quality.
enum Material {
    /// Upright.
    Coefficients(Coefficients),
    /// Upright, in its size and colours.
    Pixels(Raster),
}

impl Job<'_> {
    fn encoded(&self, workspace: &mut Workspace) -> Result<Vec<u8>, Error> {
        let streamed = match self.plan.way {
            Way::Stream => {
                let segments = kept_segments(&self.plan.kept);
                let asked = Asked { quality: self.recipe.quality, progressive: false, segments: &segments };
                self.forgiven(jpeg::stream(self.bytes, &asked, &mut workspace.arena))?
            }
            _ => None,
        };
        if let Some(encoded) = streamed {
            return Ok(encoded);
        }
        if matches!(self.plan.way, Way::Stream | Way::Coefficients)
            && let Some(picture) = self.forgiven(jpeg::read(self.bytes, &mut workspace.arena))?
        {
            let material = Material::Coefficients(picture.turned(self.header.orientation));
            if let Some(encoded) = self.made_of(&material, workspace)? {
                return Ok(encoded);
            }
        }
        if self.plan.way == Way::Components
            && let Some(picture) = self.forgiven(jpeg::resized(
                self.bytes,
                self.plan.size,
                &mut workspace.resizer,
                &mut workspace.arena,
            ))?
        {
            return encode::jpeg::encode_picture(
                &picture,
                self.recipe,
                &self.plan.kept,
                &mut workspace.arena,
            );
        }
        let material = Material::Pixels(self.pixels(workspace)?);
        let encoded = self.made_of(&material, workspace)?;
        encoded.ok_or_else(|| unsupported("a JPEG of this size can't be written"))
    }

    /// What is broken is tried once more through pixels, where enough of its rows may be enough.
    fn forgiven<T>(&self, made: Result<Option<T>, Error>) -> Result<Option<T>, Error> {
        made.or_else(|error| match error.kind {
            ErrorKind::Corrupt if self.limits.lenient => Ok(None),
            _ => Err(error),
        })
    }

    /// Encodes at the quality, or the lowest that reaches the score, that is asked for. `None` when coefficients are of
    /// a kind that their header did not announce, so that pixels are to be tried.
    fn made_of(&self, material: &Material, workspace: &mut Workspace) -> Result<Option<Vec<u8>>, Error> {
        let target = self.recipe.target_ssimulacra2.filter(|_| self.plan.output != OutputFormat::Png);
        let Some(target) = target else { return self.attempt(material, self.recipe.quality, workspace) };
        let reference = match material {
            Material::Coefficients(_) => Cow::Owned(self.pixels(workspace)?),
            Material::Pixels(raster) => Cow::Borrowed(raster),
        };
        let judge = Judge::new(reference)?;
        smallest(target, |quality| {
            let Some(encoded) = self.attempt(material, quality, workspace)? else { return Ok((None, 100.0)) };
            let score = judge.score(&shown(&encoded, self.limits, workspace)?)?;
            Ok((Some(encoded), score))
        })
    }

    fn attempt(
        &self,
        material: &Material,
        quality: u8,
        workspace: &mut Workspace,
    ) -> Result<Option<Vec<u8>>, Error> {
        let (plan, recipe) = (self.plan, &Recipe { quality, ..*self.recipe });
        match material {
            Material::Coefficients(picture) => {
                let segments = kept_segments(&plan.kept);
                let asked = Asked { quality, progressive: recipe.progressive, segments: &segments };
                Ok(picture.write(&asked, &mut workspace.arena))
            }
            Material::Pixels(raster) => match plan.output {
                OutputFormat::Jpeg => encode::jpeg::encode(raster, recipe, &plan.kept, &mut workspace.arena),
                OutputFormat::Webp => encode::webp::encode(raster, recipe, &plan.kept),
                OutputFormat::Png => encode::png::encode(raster.clone(), &plan.kept),
                #[cfg(feature = "avif")]
                OutputFormat::Avif => encode::avif::encode(raster, recipe, &plan.kept),
                #[cfg(not(feature = "avif"))]
                OutputFormat::Avif => Err(crate::error::without_avif()),
            }
            .map(Some),
        }
    }

    fn decoded(&self, wanted: Wanted, workspace: &mut Workspace) -> Result<Raster, Error> {
        decode::decode(self.bytes, self.header, wanted, self.limits, &mut workspace.arena)
    }

    /// The picture's size in a decoded raster's pixels.
    fn extent(&self, raster: &Raster) -> (f64, f64) {
        let (width, height) = (self.header.width, self.header.height);
        match self.plan.shrink {
            // Shrinking may have been left undone.
            Some(shrink) if raster.width < width || raster.height < height => {
                (shrink.extent(width), shrink.extent(height))
            }
            _ => (raster.width.into(), raster.height.into()),
        }
    }

    /// The long way: pixels, upright, in the size and colours that are asked for.
    fn pixels(&self, workspace: &mut Workspace) -> Result<Raster, Error> {
        let (plan, recipe, orientation) = (self.plan, self.recipe, self.header.orientation);
        let to_jpeg = plan.output == OutputFormat::Jpeg;
        let ycbcr = to_jpeg && plan.profile.is_none() && recipe.target_ssimulacra2.is_none();
        let raster = self.decoded(Wanted { ycbcr, shrink: plan.shrink }, workspace)?;
        let raster = color::to_srgb(raster, plan.profile.as_ref());
        let (width, height) = plan.size;
        let size = if orientation.swaps_axes() { (height, width) } else { (width, height) };
        let extent = self.extent(&raster);
        let raster = resize::resized(raster, extent, size, &mut workspace.resizer)?;
        let raster = upright(raster, orientation);
        Ok(if to_jpeg { color::flattened(raster, recipe.background) } else { raster })
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
        // Its metadata are items that are blanked, or left.
        OutputFormat::Avif if plan.kept.exif.is_some() || plan.kept.xmp.is_some() => bytes.to_vec(),
        OutputFormat::Avif => container::avif::stripped(bytes).ok()?,
    };
    (source.len() <= most).then_some(source)
}
