//! AVIF through rav1e: an AV1 frame for colour, at half the size both ways, and one for alpha.

use avif_serialize::{Aviffy, constants};
use rav1e::prelude::{
    ChromaSampling, ColorDescription, ColorPrimaries, Config, Context, EncoderConfig, EncoderStatus,
    MatrixCoefficients, PixelRange, SceneDetectionSpeed, TransferCharacteristics,
};

use crate::color::is_opaque;
use crate::container::Kept;
use crate::error::unsupported;
use crate::jpeg::ycbcr;
use crate::raster::{Layout, Raster};
use crate::{Error, Recipe};

/// Most pixels that are encoded with care; larger pictures would take longer than a picture may.
const CAREFUL_PIXELS: u64 = 1 << 21;

/// rav1e's presets, 0 to 10: the first looks at blocks down to 8 × 8, the second only at those of 32 × 32.
const CAREFUL: u8 = 8;
const FAST: u8 = 10;

/// Encodes with 8 bits a sample; grey has no colour, and alpha that hides nothing is dropped. XMP and profiles are not
/// written: the colours are said to be sRGB's, in full range, by the file's own means (ITU-T H.273).
pub(crate) fn encode(raster: &Raster, recipe: &Recipe, kept: &Kept) -> Result<Vec<u8>, Error> {
    let colour = match raster.layout {
        Layout::Grey | Layout::GreyAlpha => vec![channel(raster, 0)],
        _ => planes(raster),
    };
    let grey = colour.len() == 1;
    let size = (raster.width, raster.height);
    let coded = frame(&colour, size, recipe.quality)?;
    let alpha = if is_opaque(raster) {
        None
    } else {
        // Edges show more than colours do.
        let plane = channel(raster, raster.layout.channels() - 1);
        Some(frame(&[plane], size, (recipe.quality + 100) / 2)?)
    };
    let mut file = Aviffy::new();
    file.set_matrix_coefficients(constants::MatrixCoefficients::Bt601)
        .set_full_color_range(true)
        .set_monochrome(grey)
        .set_chroma_subsampling((!grey, !grey));
    if let Some(exif) = &kept.exif {
        file.set_exif(exif.clone());
    }
    Ok(file.to_vec(&coded, alpha.as_deref(), raster.width, raster.height, 8))
}

/// Samples of a plane, row by row.
struct Plane {
    samples: Vec<u8>,
    /// Samples of a row.
    stride: usize,
}

/// One sample of each pixel.
fn channel(raster: &Raster, which: usize) -> Plane {
    let samples = raster.data.iter().skip(which).step_by(raster.layout.channels());
    Plane { samples: samples.copied().collect(), stride: raster.width as usize }
}

/// Brightness of each pixel, and colour of each square of four, the last column and row repeated.
fn planes(raster: &Raster) -> Vec<Plane> {
    let (width, height, channels) = (raster.width as usize, raster.height as usize, raster.layout.channels());
    let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
    let pixel = |x: usize, y: usize| {
        let at = (y.min(height - 1) * width + x.min(width - 1)) * channels;
        [raster.data[at], raster.data[at + 1], raster.data[at + 2]]
    };
    let luma = raster.data.chunks_exact(channels).map(|pixel| ycbcr([pixel[0], pixel[1], pixel[2]]).0);
    let (mut cb, mut cr) = (Vec::new(), Vec::new());
    for (y, x) in (0..half_height).flat_map(|y| (0..half_width).map(move |x| (2 * y, 2 * x))) {
        let four = [pixel(x, y), pixel(x + 1, y), pixel(x, y + 1), pixel(x + 1, y + 1)];
        let sum = |sample: usize| four.iter().map(|pixel| u16::from(pixel[sample])).sum::<u16>();
        let (_, b, r) = ycbcr([0, 1, 2].map(|sample| ((sum(sample) + 2) / 4) as u8));
        cb.push(b);
        cr.push(r);
    }
    let plane = |samples, stride| Plane { samples, stride };
    vec![plane(luma.collect(), width), plane(cb, half_width), plane(cr, half_width)]
}

/// Encodes one plane, or three of which two are at half the size, on this thread alone.
fn frame(planes: &[Plane], (width, height): (u32, u32), quality: u8) -> Result<Vec<u8>, Error> {
    let careful = u64::from(width) * u64::from(height) <= CAREFUL_PIXELS;
    let mut settings = EncoderConfig::with_speed_preset(if careful { CAREFUL } else { FAST });
    settings.speed_settings.scene_detection_mode = SceneDetectionSpeed::None;
    settings.width = width as usize;
    settings.height = height as usize;
    settings.still_picture = true;
    settings.pixel_range = PixelRange::Full;
    settings.quantizer = quantizer(quality);
    settings.min_quantizer = settings.quantizer as u8;
    settings.chroma_sampling = ChromaSampling::Cs400;
    if planes.len() > 1 {
        settings.chroma_sampling = ChromaSampling::Cs420;
        settings.color_description = Some(ColorDescription {
            color_primaries: ColorPrimaries::BT709,
            transfer_characteristics: TransferCharacteristics::SRGB,
            matrix_coefficients: MatrixCoefficients::BT601,
        });
    }
    let refused = |reason: &dyn std::fmt::Display| unsupported(format!("can't be written as AVIF: {reason}"));
    let config = Config::new().with_encoder_config(settings).with_threads(1);
    let mut context: Context<u8> = config.new_context().map_err(|reason| refused(&reason))?;
    let mut picture = context.new_frame();
    for (to, plane) in picture.planes.iter_mut().zip(planes) {
        to.copy_from_raw_u8(&plane.samples, plane.stride, 1);
    }
    context.send_frame(picture).map_err(|reason| refused(&reason))?;
    context.flush();
    loop {
        match context.receive_packet() {
            Ok(packet) => return Ok(packet.data),
            Err(EncoderStatus::Encoded) => {}
            Err(reason) => return Err(refused(&reason)),
        }
    }
}

/// AV1's quantiser index, on the scale that libavif has for qualities. Never 0, which is lossless and huge.
fn quantizer(quality: u8) -> usize {
    (usize::from(100 - quality.min(100)) * 255 / 100).max(1)
}
