//! Writes planes of samples as AVIF, through rav1e.
//!
//! A crate of its own, because rav1e is generic: it is compiled, for minutes, with whoever calls it, and the codec is
//! compiled often.

use std::slice;

use avif_serialize::{Aviffy, constants};
use rav1e::prelude::{
    ChromaSampling, ColorDescription, ColorPrimaries, Config, Context, EncoderConfig, EncoderStatus,
    MatrixCoefficients, PixelRange, SceneDetectionSpeed, TransferCharacteristics,
};

/// Most pixels that are encoded with care; larger pictures would take longer than a picture may.
const CAREFUL_PIXELS: u64 = 1 << 21;

/// rav1e's presets, 0 to 10: the first looks at blocks down to 8 × 8, the second only at those of 32 × 32.
const CAREFUL: u8 = 8;
const FAST: u8 = 10;

/// Samples of a plane, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plane {
    /// Eight bits each, in full range.
    pub samples: Vec<u8>,
    /// Samples of a row.
    pub stride: usize,
}

/// What a pixel looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Colour {
    /// Brightness alone.
    Grey(Plane),
    /// Y, Cb and Cr as JFIF has them (ITU-R BT.601); the latter at half the size both ways, rounded up.
    Ycbcr([Plane; 3]),
}

impl Colour {
    fn planes(&self) -> &[Plane] {
        match self {
            Colour::Grey(luma) => slice::from_ref(luma),
            Colour::Ycbcr(planes) => planes,
        }
    }
}

/// A picture that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Pixels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Its colours, which are sRGB's.
    pub colour: Colour,
    /// How much of each pixel is seen; not premultiplied.
    pub alpha: Option<Plane>,
    /// EXIF data as TIFF has them, from the byte order on.
    pub exif: Option<Vec<u8>>,
}

/// Encodes with 8 bits a sample, on this thread alone. `quality`: 0 to 100, as libavif counts it. The colours are said
/// to be sRGB's, in full range, by the file's own means (ITU-T H.273), without a profile.
///
/// # Errors
/// What rav1e says of a picture that it can't encode.
pub fn encode(picture: &Picture, quality: u8) -> Result<Vec<u8>, String> {
    let size = (picture.width, picture.height);
    let coded = frame(picture.colour.planes(), size, quality)?;
    // Edges show more than colours do.
    let alpha = picture.alpha.as_ref().map(|plane| frame(slice::from_ref(plane), size, (quality + 100) / 2));
    let colourful = matches!(picture.colour, Colour::Ycbcr(_));
    let mut file = Aviffy::new();
    file.set_matrix_coefficients(constants::MatrixCoefficients::Bt601)
        .set_full_color_range(true)
        .set_monochrome(!colourful)
        .set_chroma_subsampling((colourful, colourful));
    if let Some(exif) = &picture.exif {
        file.set_exif(exif.clone());
    }
    Ok(file.to_vec(&coded, alpha.transpose()?.as_deref(), picture.width, picture.height, 8))
}

/// One AV1 frame, of brightness alone or of three planes as [`Colour`] has them.
fn frame(planes: &[Plane], (width, height): (u32, u32), quality: u8) -> Result<Vec<u8>, String> {
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
    let config = Config::new().with_encoder_config(settings).with_threads(1);
    let mut context: Context<u8> = config.new_context().map_err(|reason| reason.to_string())?;
    let mut picture = context.new_frame();
    for (to, plane) in picture.planes.iter_mut().zip(planes) {
        to.copy_from_raw_u8(&plane.samples, plane.stride, 1);
    }
    context.send_frame(picture).map_err(|reason| reason.to_string())?;
    context.flush();
    loop {
        match context.receive_packet() {
            Ok(packet) => return Ok(packet.data),
            Err(EncoderStatus::Encoded) => {}
            Err(reason) => return Err(reason.to_string()),
        }
    }
}

/// AV1's quantiser index, on the scale that libavif has for qualities. Never 0, which is lossless and huge.
fn quantizer(quality: u8) -> usize {
    (usize::from(100 - quality.min(100)) * 255 / 100).max(1)
}
