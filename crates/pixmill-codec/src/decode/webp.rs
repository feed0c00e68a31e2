//! WebP through image-webp; of an animation the first frame on its canvas.

use std::io::Cursor;

use image_webp::WebPDecoder;

use crate::Error;
use crate::container::{Header, Kept, webp};
use crate::error::corrupt;
use crate::raster::{Layout, Place, Raster, on_canvas};

/// Decodes to RGB, or RGBA where there may be alpha.
pub(super) fn decode(bytes: &[u8], header: &Header) -> Result<Raster, Error> {
    let broken = |error| match error {
        image_webp::DecodingError::IoError(_) => corrupt("a WebP that ends before its picture does"),
        _ => corrupt("a WebP whose compressed data are damaged"),
    };
    let frame = webp::first_frame(bytes)?;
    // Alone, so that flags and chunks elsewhere in the file can't be in the way.
    let still = frame.still(&Kept::default());
    let mut decoder = WebPDecoder::new(Cursor::new(still.as_slice())).map_err(broken)?;
    if decoder.dimensions() != (frame.width, frame.height) {
        return Err(corrupt("a WebP whose headers contradict each other"));
    }
    let layout = if decoder.has_alpha() { Layout::Rgba } else { Layout::Rgb };
    let mut data = vec![0; frame.width as usize * frame.height as usize * layout.channels()];
    decoder.read_image(&mut data).map_err(broken)?;
    let raster = Raster::new(frame.width, frame.height, layout, data);
    let place = Place { width: header.width, height: header.height, left: frame.left, top: frame.top };
    Ok(on_canvas(raster, place, [0; 4]))
}
