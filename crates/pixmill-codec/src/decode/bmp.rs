//! BMP through zune-bmp.

use zune_bmp::BmpDecoder;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;

use super::cut_short;
use crate::Error;
use crate::container::{Header, bmp};
use crate::error::{corrupt, unsupported};
use crate::raster::{Layout, Raster};

/// Decodes to grey, RGB, or RGBA where a mask says that there is alpha.
pub(super) fn decode(bytes: &[u8], header: &Header) -> Result<Raster, Error> {
    if header.truncated {
        // Rows come from the bottom up, or as runs: what is missing would be made up.
        return Err(cut_short());
    }
    let broken = |error: zune_bmp::BmpDecoderErrors| corrupt(format!("the BMP can't be decoded: {error:?}"));
    let options = DecoderOptions::default()
        .set_max_width(header.width as usize)
        .set_max_height(header.height as usize)
        .set_strict_mode(true);
    let mut decoder = BmpDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(broken)?;
    let layout = match decoder.colorspace() {
        Some(ColorSpace::Luma) => Layout::Grey,
        Some(ColorSpace::RGB) => Layout::Rgb,
        Some(ColorSpace::RGBA) => Layout::Rgba,
        other => return Err(unsupported(format!("a BMP of a kind that is not read: {other:?}"))),
    };
    let size = header.width as usize * header.height as usize * layout.channels();
    if decoder.output_buf_size() != Some(size) {
        return Err(corrupt("a BMP whose header contradicts itself"));
    }
    let mut data = vec![0; size];
    decoder.decode_into(&mut data).map_err(broken)?;
    let mut raster = Raster::new(header.width, header.height, layout, data);
    if layout == Layout::Rgba && !bmp::has_alpha(bytes) {
        raster.keep_samples(Layout::Rgb, [0, 1, 2]);
    }
    Ok(raster)
}
