//! GIF: the first frame on its canvas, the codes through weezl.

use weezl::BitOrder;
use weezl::decode::Configuration;

use super::enough_rows;
use crate::container::Header;
use crate::container::gif::{Frame, background, blocks, first_frame};
use crate::error::corrupt;
use crate::raster::{Layout, Place, Raster, on_canvas};
use crate::{Error, Limits};

/// Decodes to RGB, or RGBA where the frame has a transparent colour or doesn't cover its canvas.
pub(super) fn decode(bytes: &[u8], header: &Header, limits: &Limits) -> Result<Raster, Error> {
    let frame = first_frame(bytes)?;
    limits.check_size(frame.width, frame.height)?;
    // Some writers say more than the 8 bits that an index can have.
    if !(1..=11).contains(&frame.code_bits) {
        return Err(corrupt(format!("a GIF whose indices are said to have {} bits", frame.code_bits)));
    }
    let (width, height) = (frame.width as usize, frame.height as usize);
    let mut indices = vec![0; width * height];
    let there = unpack(&frame, &mut indices) / width;
    enough_rows(there, frame.height, limits)?;
    if frame.interlaced {
        indices = in_order(&indices, width, there);
    }
    let mut raster = coloured(&indices, &frame);
    if !frame.interlaced {
        raster.blank_rows(there..height);
    }
    let place = Place { width: header.width, height: header.height, left: frame.left, top: frame.top };
    Ok(on_canvas(raster, place, around(bytes, &frame, header)))
}

/// What lies around a frame: nothing, as browsers have it, but for an animation that has no colour for it: its later
/// frames lie on the screen's background.
fn around(bytes: &[u8], frame: &Frame, header: &Header) -> [u8; 4] {
    let is_on_background = header.frames > 1 && frame.transparent.is_none();
    let colour = background(bytes).filter(|_| is_on_background);
    colour.map_or([255, 255, 255, 0], |[r, g, b]| [r, g, b, 255])
}

/// Undoes the compression; how many indices there are. What no code stands for ends them.
fn unpack(frame: &Frame, indices: &mut [u8]) -> usize {
    let mut decoder =
        Configuration::new(BitOrder::Lsb, frame.code_bits).with_yield_on_full_buffer(true).build();
    let mut there = 0;
    for mut block in blocks(frame.data) {
        while there < indices.len() {
            let done = decoder.decode_bytes(block, &mut indices[there..]);
            there += done.consumed_out;
            block = &block[done.consumed_in..];
            match done.status {
                // What it has read may still be on its way out.
                Ok(weezl::LzwStatus::Ok) if done.consumed_in + done.consumed_out > 0 => {}
                Ok(weezl::LzwStatus::Ok | weezl::LzwStatus::NoProgress) => break,
                Ok(weezl::LzwStatus::Done) | Err(_) => return there,
            }
        }
    }
    there
}

/// Rows of four passes in the order in which they are shown. One that is missing shows the one above it.
fn in_order(indices: &[u8], width: usize, there: usize) -> Vec<u8> {
    let height = indices.len() / width;
    let passes = [(0, 8), (4, 8), (2, 4), (1, 2)];
    let order = passes.iter().flat_map(|&(first, step)| (first..height).step_by(step));
    let mut out = vec![0; indices.len()];
    let mut is_there = vec![false; height];
    for (y, row) in order.zip(indices.chunks_exact(width)).take(there) {
        out[y * width..][..width].copy_from_slice(row);
        is_there[y] = true;
    }
    for y in (1..height).filter(|y| !is_there[*y]) {
        out.copy_within((y - 1) * width..y * width, y * width);
    }
    out
}

/// Indices outside the palette are black; without one they are levels of grey.
fn coloured(indices: &[u8], frame: &Frame) -> Raster {
    let (width, height) = (frame.width, frame.height);
    let grey = |index: usize| [index as u8, index as u8, index as u8, 255];
    let mut table: [[u8; 4]; 256] = match frame.palette {
        [] => std::array::from_fn(grey),
        _ => [[0, 0, 0, 255]; 256],
    };
    table.iter_mut().zip(frame.palette).for_each(|(to, [r, g, b])| *to = [*r, *g, *b, 255]);
    if let Some(index) = frame.transparent {
        table[usize::from(index)][3] = 0;
        let data = indices.iter().flat_map(|index| table[usize::from(*index)]).collect();
        return Raster::new(width, height, Layout::Rgba, data);
    }
    let opaque = table.map(|[r, g, b, _]| [r, g, b]);
    let data = indices.iter().flat_map(|index| opaque[usize::from(*index)]).collect();
    Raster::new(width, height, Layout::Rgb, data)
}
