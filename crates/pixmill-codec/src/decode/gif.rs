//! GIF through the gif crate: the first frame on its canvas.

use std::io::Cursor;

use gif::{ColorOutput, DecodeOptions, Decoder, Frame, MemoryLimit};

use super::{cut_short, enough_rows};
use crate::container::Header;
use crate::error::corrupt;
use crate::raster::{Layout, Place, Raster, on_canvas};
use crate::{Error, Limits};

/// Decodes to RGB, or RGBA where the frame has a transparent colour or doesn't cover its canvas.
pub(super) fn decode(bytes: &[u8], header: &Header, limits: &Limits) -> Result<Raster, Error> {
    let broken = |error: gif::DecodingError| corrupt(format!("the GIF can't be decoded: {error}"));
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    options.set_memory_limit(MemoryLimit::Unlimited);
    options.allow_unknown_blocks(true);
    let mut decoder = options.read_info(Cursor::new(bytes)).map_err(broken)?;
    let frame = decoder.next_frame_info().map_err(broken)?.ok_or_else(|| corrupt("a GIF without a frame"))?;
    let frame = frame.clone();
    let (width, height) = (u32::from(frame.width), u32::from(frame.height));
    limits.check_size(width, height)?;
    let palette = match &frame.palette {
        Some(palette) => palette.clone(),
        None => decoder.global_palette().unwrap_or_default().to_vec(),
    };
    let mut indices = vec![0; width as usize * height as usize];
    if let Err(error) = decoder.read_into_buffer(&mut indices) {
        let ended = matches!(&error, gif::DecodingError::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof);
        if !ended {
            return Err(broken(error));
        }
        if !limits.lenient || frame.interlaced {
            return Err(cut_short());
        }
        let missing = indices.iter().rev().take_while(|index| **index == 0).count();
        enough_rows(height as usize - missing.div_ceil(width as usize), height)?;
    }
    let raster = coloured(&indices, &palette, frame.transparent, width, height);
    let place = Place {
        width: header.width,
        height: header.height,
        left: u32::from(frame.left),
        top: u32::from(frame.top),
    };
    Ok(on_canvas(raster, place, background(&decoder, &frame)))
}

/// What lies around a frame: the screen's background, or nothing where the frame can be see-through itself.
fn background(decoder: &Decoder<Cursor<&[u8]>>, frame: &Frame) -> [u8; 4] {
    let entry = decoder.bg_color().filter(|_| frame.transparent.is_none());
    let colour = entry.and_then(|index| decoder.global_palette()?.get(index * 3..index * 3 + 3));
    colour.map_or([0; 4], |colour| [colour[0], colour[1], colour[2], 255])
}

/// Indices outside the palette are black, as browsers have it.
fn coloured(indices: &[u8], palette: &[u8], transparent: Option<u8>, width: u32, height: u32) -> Raster {
    let (entries, _) = palette.as_chunks::<3>();
    let mut table = [[0, 0, 0, 255]; 256];
    table.iter_mut().zip(entries).for_each(|(to, [r, g, b])| *to = [*r, *g, *b, 255]);
    if let Some(index) = transparent {
        table[usize::from(index)][3] = 0;
        let data = indices.iter().flat_map(|index| table[usize::from(*index)]).collect();
        return Raster::new(width, height, Layout::Rgba, data);
    }
    let opaque = table.map(|[r, g, b, _]| [r, g, b]);
    let data = indices.iter().flat_map(|index| opaque[usize::from(*index)]).collect();
    Raster::new(width, height, Layout::Rgb, data)
}
