//! GIF files: blocks, and what their first frame is made of (GIF89a specification).

use super::{Colour, Header};
use crate::error::corrupt;
use crate::{Error, Limits, SourceFormat};

/// The first frame.
pub(crate) struct Frame<'a> {
    /// Pixels.
    pub(crate) width: u32,
    /// Pixels.
    pub(crate) height: u32,
    /// Pixels from the canvas's left side.
    pub(crate) left: u32,
    /// Pixels from the canvas's upper side.
    pub(crate) top: u32,
    /// Rows come in four passes.
    pub(crate) interlaced: bool,
    /// Red, green, blue, of its own or the screen's.
    pub(crate) palette: &'a [[u8; 3]],
    /// The entry that is see-through.
    pub(crate) transparent: Option<u8>,
    /// Bits of an uncompressed index.
    pub(crate) code_bits: u8,
    /// Blocks of compressed data, and what follows them.
    pub(crate) data: &'a [u8],
}

/// Reads blocks up to the first frame, and counts those that follow it.
pub(super) fn header<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Header<'a>, Error> {
    let frame = first_frame(bytes)?;
    limits.check_size(frame.width, frame.height)?;
    let screen =
        |at: usize| bytes.get(at..at + 2).map_or(0, |two| u32::from(u16::from_le_bytes([two[0], two[1]])));
    // Some writers leave the screen's size out or make it too small: it grows to the first frame.
    let width = screen(6).max(frame.left + frame.width);
    let height = screen(8).max(frame.top + frame.height);
    let mut header = Header::new(SourceFormat::Gif, width, height, Colour::Rgb);
    header.frames = 1 + frames(frame.data);
    Ok(header)
}

/// Finds the first frame.
pub(crate) fn first_frame(bytes: &[u8]) -> Result<Frame<'_>, Error> {
    let broken = || corrupt("a GIF that ends before its first frame");
    let flags = *bytes.get(10).ok_or_else(broken)?;
    let global = table(bytes, 13, flags);
    let mut at = 13 + global.len() * 3;
    let mut transparent = None;
    loop {
        match *bytes.get(at).ok_or_else(broken)? {
            0x2C => return frame(bytes, at + 1, global, transparent).ok_or_else(broken),
            0x21 => {
                if let Some(&[0xF9, 4, flags, _, _, index]) =
                    bytes.get(at + 1..).and_then(|rest| rest.first_chunk())
                {
                    transparent = (flags & 1 == 1).then_some(index);
                }
                at += 2;
                at += bytes.get(at..).and_then(blocks_end).ok_or_else(broken)?;
            }
            0x3B => return Err(corrupt("a GIF without a frame")),
            // Bytes between blocks mean nothing; writers that end a block twice leave a zero.
            _ => at += 1,
        }
    }
}

/// The colour that the screen has where there is no frame.
pub(crate) fn background(bytes: &[u8]) -> Option<[u8; 3]> {
    table(bytes, 13, *bytes.get(10)?).get(usize::from(*bytes.get(11)?)).copied()
}

fn table(bytes: &[u8], at: usize, flags: u8) -> &[[u8; 3]] {
    let entries = if flags & 0x80 == 0 { 0 } else { 2 << (flags & 7) };
    let table = bytes.get(at..).unwrap_or_default().as_chunks::<3>().0;
    &table[..entries.min(table.len())]
}

/// A frame whose descriptor begins at an offset.
fn frame<'a>(
    bytes: &'a [u8],
    at: usize,
    global: &'a [[u8; 3]],
    transparent: Option<u8>,
) -> Option<Frame<'a>> {
    let &[l0, l1, t0, t1, w0, w1, h0, h1, flags] = bytes.get(at..)?.first_chunk()?;
    let [left, top, width, height] =
        [[l0, l1], [t0, t1], [w0, w1], [h0, h1]].map(|two| u32::from(u16::from_le_bytes(two)));
    let own = table(bytes, at + 9, flags);
    let data = bytes.get(at + 9 + own.len() * 3..)?;
    let (&code_bits, data) = data.split_first()?;
    let palette = if own.is_empty() { global } else { own };
    let interlaced = flags & 0x40 != 0;
    Some(Frame { width, height, left, top, interlaced, palette, transparent, code_bits, data })
}

/// The blocks of data that bytes begin with, up to the empty one that ends them.
pub(crate) fn blocks(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (&length, after) = rest.split_first()?;
        let (block, next) = after.split_at(usize::from(length).min(after.len()));
        rest = next;
        (length > 0).then_some(block)
    })
}

/// Bytes up to the end of the blocks that bytes begin with.
fn blocks_end(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match *bytes.get(at)? {
            0 => return Some(at + 1),
            length => at += usize::from(length) + 1,
        }
    }
}

/// Frames after the data of the first.
fn frames(bytes: &[u8]) -> u32 {
    let count = || {
        let mut rest = &bytes[blocks_end(bytes)?..];
        let mut frames = 0;
        loop {
            let skipped = match *rest.first()? {
                0x2C => {
                    let flags = *rest.get(9)?;
                    let table = if flags & 0x80 == 0 { 0 } else { 6 << (flags & 7) };
                    frames += 1;
                    11 + table
                }
                0x21 => 2,
                0x3B => return Some(frames),
                _ => 0,
            };
            let end = if skipped == 0 {
                1
            } else {
                skipped + blocks_end(rest.get(skipped..)?).unwrap_or(rest.len())
            };
            match rest.get(end..) {
                Some(after) => rest = after,
                None => return Some(frames),
            }
        }
    };
    count().unwrap_or(0)
}
