//! What a TIFF's samples stand for (TIFF 6.0, PhotometricInterpretation and ExtraSamples), and colours made of them.

use super::Storage;
use crate::Error;
use crate::color::ycbcr_to_rgb;
use crate::container::tiff::{Directory, photometric, tag};
use crate::error::{corrupt, unsupported};
use crate::raster::{Layout, Raster, eight_bit};

/// What a sample beside the colours says of how much of a pixel is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Alpha {
    None,
    /// Colours are multiplied by it.
    Associated,
    Straight,
}

/// What samples stand for.
pub(super) struct Meaning {
    /// Samples of a pixel that are needed: colours, and alpha.
    pub(super) kept: usize,
    alpha: Alpha,
    colours: Colours,
}

enum Colours {
    Grey,
    /// The least is white.
    GreyInverted,
    Rgb,
    Palette(Vec<[u8; 3]>),
    Cmyk,
    /// JFIF's, or of other weights and bounds.
    Ycbcr(Option<Luma>),
    Lab,
}

impl Meaning {
    pub(super) fn read(directory: &Directory, storage: &Storage) -> Result<Self, Error> {
        let (colours, count) = match storage.interpretation {
            photometric::WHITE_IS_ZERO => (Colours::GreyInverted, 1),
            photometric::BLACK_IS_ZERO => (Colours::Grey, 1),
            photometric::RGB => (Colours::Rgb, 3),
            photometric::PALETTE => (Colours::Palette(palette(directory, storage)?), 1),
            photometric::CMYK if directory.number(tag::INK_SET).unwrap_or(1) == 1 => (Colours::Cmyk, 4),
            photometric::CMYK => {
                return Err(unsupported("a TIFF of other inks than CMYK, which is not read"));
            }
            photometric::YCBCR => (Colours::Ycbcr(Luma::read(directory)), 3),
            photometric::CIE_LAB => (Colours::Lab, 3),
            4 => return Err(unsupported("a TIFF that is a mask, which is not read")),
            9 => return Err(unsupported("a TIFF of ICC's Lab colours, which are not read")),
            10 => return Err(unsupported("a TIFF of the ITU's Lab colours, which are not read")),
            32_844 | 32_845 => return Err(unsupported("a TIFF of LogLuv's colours, which are not read")),
            other => {
                return Err(unsupported(format!("a TIFF of colours of kind {other}, which are not read")));
            }
        };
        let extra = storage.samples.checked_sub(count);
        let extra = extra.ok_or_else(|| corrupt("a TIFF with fewer samples than its colours need"))?;
        let alpha = match directory.numbers(tag::EXTRA_SAMPLES).first() {
            _ if extra == 0 => Alpha::None,
            Some(1) => Alpha::Associated,
            // One sample too many that nothing is said of is alpha, as others take it.
            Some(2) => Alpha::Straight,
            None if extra == 1 && !matches!(colours, Colours::Cmyk) => Alpha::Straight,
            _ => Alpha::None,
        };
        Ok(Meaning { kept: count + usize::from(alpha != Alpha::None), alpha, colours })
    }

    /// Samples as colours.
    pub(super) fn raster(&self, samples: Vec<u8>, storage: &Storage) -> Result<Raster, Error> {
        let (width, height) = (storage.width as u32, storage.height as u32);
        let with_alpha = self.alpha != Alpha::None;
        let raster = |layout, data| Raster::new(width, height, layout, data);
        let grey = if with_alpha { Layout::GreyAlpha } else { Layout::Grey };
        let rgb = if with_alpha { Layout::Rgba } else { Layout::Rgb };
        let mut raster = match &self.colours {
            Colours::Grey => raster(grey, samples),
            Colours::GreyInverted => {
                let mut samples = samples;
                samples.iter_mut().step_by(self.kept).for_each(|grey| *grey = 255 - *grey);
                raster(grey, samples)
            }
            Colours::Rgb => raster(rgb, samples),
            Colours::Palette(palette) => {
                let entry = |index: u8| palette.get(usize::from(index)).copied().unwrap_or_default();
                let pixels = samples.chunks_exact(self.kept);
                let data =
                    pixels.flat_map(|pixel| entry(pixel[0]).into_iter().chain(pixel[1..].iter().copied()));
                raster(rgb, data.collect())
            }
            Colours::Cmyk => return cmyk(samples, with_alpha, storage),
            Colours::Ycbcr(None) if !with_alpha => ycbcr_to_rgb(raster(Layout::Ycbcr, samples)),
            Colours::Ycbcr(luma) => {
                let luma = luma.unwrap_or(Luma::JFIF);
                raster(rgb, mapped(samples, self.kept, |pixel| luma.rgb(pixel)))
            }
            Colours::Lab => raster(rgb, mapped(samples, self.kept, lab)),
        };
        if self.alpha == Alpha::Associated {
            unmultiply(&mut raster);
        }
        Ok(raster)
    }
}

/// The first three samples of each pixel made new.
fn mapped(mut samples: Vec<u8>, step: usize, map: impl Fn([u8; 3]) -> [u8; 3]) -> Vec<u8> {
    for pixel in samples.chunks_exact_mut(step) {
        if let Some(three) = pixel.first_chunk_mut::<3>() {
            *three = map(*three);
        }
    }
    samples
}

/// ColorMap holds all reds, then all greens, then all blues, 16 bits each; some writers fill in only 8.
fn palette(directory: &Directory, storage: &Storage) -> Result<Vec<[u8; 3]>, Error> {
    let map = directory.numbers(tag::COLOUR_MAP);
    let count = 1 << storage.bits.min(8);
    if storage.bits > 8 {
        return Err(unsupported("a TIFF of a palette of more than 256 colours, which is not read"));
    }
    if map.len() < count * 3 {
        return Err(corrupt("a TIFF whose palette is too short"));
    }
    let is_narrow = map.iter().all(|level| *level < 256);
    let level = |at: usize| if is_narrow { map[at] as u8 } else { eight_bit(map[at].min(65_535) as u16) };
    Ok((0..count).map(|at| [level(at), level(count + at), level(2 * count + at)]).collect())
}

/// Ink has no alpha here: one that hides nothing is left out.
fn cmyk(samples: Vec<u8>, with_alpha: bool, storage: &Storage) -> Result<Raster, Error> {
    let (width, height) = (storage.width as u32, storage.height as u32);
    if !with_alpha {
        return Ok(Raster::new(width, height, Layout::Cmyk, samples));
    }
    let pixels = samples.as_chunks::<5>().0;
    if pixels.iter().any(|pixel| pixel[4] != 255) {
        return Err(unsupported("a TIFF of ink that can be seen through, which is not read"));
    }
    let data = pixels.iter().flat_map(|pixel| [pixel[0], pixel[1], pixel[2], pixel[3]]).collect();
    Ok(Raster::new(width, height, Layout::Cmyk, data))
}

/// How brightness and colour differences are counted (TIFF 6.0, section 21).
#[derive(Debug, Clone, Copy, PartialEq)]
struct Luma {
    /// How much red, green and blue weigh.
    weights: [f64; 3],
    /// What black and white are, of each sample.
    bounds: [[f64; 2]; 3],
}

impl Luma {
    const JFIF: Luma =
        Luma { weights: [0.299, 0.587, 0.114], bounds: [[0.0, 255.0], [128.0, 255.0], [128.0, 255.0]] };

    /// None where it is JFIF's way.
    fn read(directory: &Directory) -> Option<Self> {
        let mut luma = Luma::JFIF;
        if let &[red, green, blue] = directory.fractions(tag::YCBCR_COEFFICIENTS).as_slice()
            && green > 0.1
            // Weights that don't add up to one would tint white: a maker of scanners writes 0.144 for blue.
            && (0.99..1.01).contains(&(red + green + blue))
        {
            luma.weights = [red, green, blue];
        }
        if let Some(bounds) = directory.fractions(tag::REFERENCE_BLACK_WHITE).first_chunk::<6>()
            && bounds.chunks(2).all(|bounds| bounds[1] > bounds[0])
        {
            luma.bounds = std::array::from_fn(|at| [bounds[2 * at], bounds[2 * at + 1]]);
        }
        (luma != Luma::JFIF).then_some(luma)
    }

    fn rgb(self, pixel: [u8; 3]) -> [u8; 3] {
        let value = |at: usize, span: f64| {
            let [black, white] = self.bounds[at];
            (f64::from(pixel[at]) - black) * span / (white - black)
        };
        let (y, cb, cr) = (value(0, 255.0), value(1, 127.0), value(2, 127.0));
        let [red, green, blue] = self.weights;
        let (r, b) = (y + 2.0 * (1.0 - red) * cr, y + 2.0 * (1.0 - blue) * cb);
        [r, (y - red * r - blue * b) / green, b].map(|sample| (sample + 0.5) as u8)
    }
}

/// CIE 1976 L*a*b* under D50 to sRGB; a and b may be below zero, as two's complement.
fn lab(pixel: [u8; 3]) -> [u8; 3] {
    let lightness = f64::from(pixel[0]) * 100.0 / 255.0;
    let difference = |sample: u8| f64::from(sample as i8);
    let y = (lightness + 16.0) / 116.0;
    let (x, z) = (y + difference(pixel[1]) / 500.0, y - difference(pixel[2]) / 200.0);
    let light =
        |t: f64| if t > 6.0 / 29.0 { t * t * t } else { 3.0 * (6.0_f64 / 29.0).powi(2) * (t - 4.0 / 29.0) };
    let (x, y, z) = (0.964_22 * light(x), light(y), 0.825_21 * light(z));
    // XYZ under D50 to linear sRGB, adapted by Bradford's matrix.
    let linear = [
        3.133_856_1 * x - 1.616_866_7 * y - 0.490_614_6 * z,
        -0.978_768_4 * x + 1.916_141_5 * y + 0.033_454_0 * z,
        0.071_945_3 * x - 0.228_991_4 * y + 1.405_242_7 * z,
    ];
    linear.map(|light| {
        let encoded =
            if light <= 0.003_130_8 { light * 12.92 } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 };
        (encoded * 255.0 + 0.5) as u8
    })
}

fn unmultiply(raster: &mut Raster) {
    let channels = raster.layout.channels();
    for pixel in raster.data.chunks_exact_mut(channels) {
        let (colours, alpha) = pixel.split_at_mut(channels - 1);
        let alpha = u32::from(alpha[0]);
        if alpha > 0 {
            colours.iter_mut().for_each(|c| *c = ((u32::from(*c) * 255 + alpha / 2) / alpha).min(255) as u8);
        }
    }
}
