//! GIF files: blocks up to the first frame (GIF89a specification).

use super::{Colour, Header};
use crate::error::corrupt;
use crate::{Error, Limits, SourceFormat};

/// Reads blocks up to the first frame's descriptor.
pub(super) fn header<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Header<'a>, Error> {
    let broken = || corrupt("a GIF that ends before its first frame");
    let &[w0, w1, h0, h1, flags, _, _] = bytes[6..].first_chunk().ok_or_else(broken)?;
    let (width, height) = (u16::from_le_bytes([w0, w1]), u16::from_le_bytes([h0, h1]));
    let mut at = 13 + colour_table(flags);
    let (frame_width, frame_height) = loop {
        match bytes.get(at).ok_or_else(broken)? {
            0x2C => {
                let descriptor: &[u8; 9] = bytes[at + 1..].first_chunk().ok_or_else(broken)?;
                let size = |low: usize| u16::from_le_bytes([descriptor[low], descriptor[low + 1]]);
                break (size(4), size(6));
            }
            0x21 => at = sub_blocks_end(bytes, at + 2).ok_or_else(broken)?,
            _ => return Err(corrupt("a GIF without a frame")),
        }
    };
    limits.check_size(frame_width.into(), frame_height.into())?;
    // Some writers leave the screen's size out.
    let (width, height) =
        if width == 0 || height == 0 { (frame_width, frame_height) } else { (width, height) };
    Ok(Header::new(SourceFormat::Gif, width.into(), height.into(), Colour::Rgb))
}

fn colour_table(flags: u8) -> usize {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

fn sub_blocks_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *bytes.get(at)? {
            0 => return Some(at + 1),
            length => at += usize::from(length) + 1,
        }
    }
}
