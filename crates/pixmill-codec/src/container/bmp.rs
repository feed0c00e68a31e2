//! BMP files: Microsoft's BITMAPINFOHEADER family, versions 1 to 5, and OS/2's headers of both versions.

use std::borrow::Cow;

use super::{Colour, Header};
use crate::error::{corrupt, unsupported};
use crate::{Error, Limits, SourceFormat};

/// Length of OS/2's first header, all of whose numbers are short.
const CORE: u32 = 12;
/// Length of Microsoft's first header.
const INFO: u32 = 40;
/// Length of the fifth header, the one that can have a profile.
const V5: u32 = 124;
const FILE_HEADER: usize = 14;

/// How pixels are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    /// Rows of whole four bytes.
    Plain,
    /// Runs of pixels (RLE4, RLE8, and OS/2's RLE24).
    Runs,
}

/// All that the pixels' decoder needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Description {
    /// Pixels.
    pub(crate) width: u32,
    /// Pixels.
    pub(crate) height: u32,
    /// The first row stored is the topmost.
    pub(crate) top_down: bool,
    /// Bits a pixel: 1, 2, 4, 8, 16, 24 or 32.
    pub(crate) bits: u32,
    pub(crate) coding: Coding,
    /// Red, green, blue; empty above 8 bits.
    pub(crate) palette: Vec<[u8; 3]>,
    /// Where red, green, blue and alpha lie in a pixel of 16 or 32 bits.
    pub(crate) masks: [u32; 4],
    /// Where the pixels begin in the file.
    pub(crate) pixels_at: usize,
}

/// Reads the header.
pub(super) fn header<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Header<'a>, Error> {
    let described = describe(bytes)?;
    limits.check_size(described.width, described.height)?;
    let mut header = Header::new(SourceFormat::Bmp, described.width, described.height, Colour::Rgb);
    header.icc = profile(bytes).map(Cow::Borrowed);
    Ok(header)
}

fn long(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_le_bytes)
}

fn short(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(2)?)?.try_into().ok().map(|two| u32::from(u16::from_le_bytes(two)))
}

/// What the header says.
pub(crate) fn describe(bytes: &[u8]) -> Result<Description, Error> {
    let numbers = Numbers::read(bytes).ok_or_else(|| corrupt("a BMP whose header is cut short"))?;
    let Numbers { length, width, height, bits, method, .. } = numbers;
    let coding = numbers.coding()?;
    let fits = match coding {
        Coding::Runs => matches!((method, bits), (1, 8) | (2, 4) | (4, 24)),
        Coding::Plain => matches!(bits, 1 | 2 | 4 | 8 | 16 | 24 | 32),
    };
    if !fits {
        return Err(unsupported(format!(
            "a BMP of {bits} bits a pixel, stored by method {method}, which is not read"
        )));
    }
    if bits <= 8 && numbers.colours as usize > bytes.len() {
        return Err(corrupt("a BMP whose palette is larger than its file"));
    }
    let masks = numbers.masks(bytes).ok_or_else(|| corrupt("a BMP whose colour masks are cut short"))?;
    let palette_at = numbers.palette_at();
    let pixels_at = match long(bytes, 10) {
        // Some writers forget the palette.
        Some(at) if bits <= 8 && at == length + FILE_HEADER as u32 => palette_at + numbers.palette_bytes(),
        Some(at) if at as usize > FILE_HEADER => at as usize,
        _ => palette_at + numbers.palette_bytes(),
    };
    let palette = if bits <= 8 { numbers.palette(bytes, pixels_at) } else { Vec::new() };
    let top_down = length > CORE && (height as i32) < 0;
    let height = if top_down { (height as i32).unsigned_abs() } else { height };
    Ok(Description { width, height, top_down, bits, coding, palette, masks, pixels_at })
}

/// The numbers of a header as they stand there.
struct Numbers {
    length: u32,
    width: u32,
    height: u32,
    bits: u32,
    method: u32,
    colours: u32,
}

impl Numbers {
    fn read(bytes: &[u8]) -> Option<Self> {
        let length = long(bytes, FILE_HEADER)?;
        if length == CORE {
            let [width, height, bits] = [short(bytes, 18)?, short(bytes, 20)?, short(bytes, 24)?];
            return Some(Numbers { length, width, height, bits, method: 0, colours: 0 });
        }
        // OS/2's second header may end after any field.
        let end = FILE_HEADER + length as usize;
        let may = |at: usize| if at + 4 <= end { long(bytes, at) } else { Some(0) };
        Some(Numbers {
            length,
            width: long(bytes, 18)?,
            height: long(bytes, 22)?,
            bits: short(bytes, 28)?,
            method: may(30)?,
            colours: may(46)?,
        })
    }

    /// OS/2's second header counts methods in its own way.
    fn is_os2(&self) -> bool {
        !matches!(self.length, INFO | 52 | 56 | 108 | V5)
    }

    fn coding(&self) -> Result<Coding, Error> {
        match self.method {
            0 => Ok(Coding::Plain),
            1 | 2 => Ok(Coding::Runs),
            4 if self.is_os2() => Ok(Coding::Runs),
            3 if self.is_os2() => Err(unsupported("a BMP of Huffman codes (OS/2), which is not read")),
            3 | 6 => Ok(Coding::Plain),
            4 | 5 => Err(unsupported("a BMP that holds a JPEG or a PNG for printers, which is not read")),
            method => Err(unsupported(format!("a BMP stored by method {method}, which is not read"))),
        }
    }

    /// Masks stand in headers that have room for them, else behind the first header.
    fn has_masks_behind(&self) -> bool {
        self.length == INFO && matches!(self.method, 3 | 6)
    }

    fn masks(&self, bytes: &[u8]) -> Option<[u32; 4]> {
        if !self.is_os2() && matches!(self.method, 3 | 6) {
            let has_alpha = self.method == 6 || self.length >= 56;
            let mask = |at: usize| long(bytes, FILE_HEADER + INFO as usize + at);
            let alpha = if has_alpha { mask(12)? } else { 0 };
            return Some([mask(0)?, mask(4)?, mask(8)?, alpha]);
        }
        Some(if self.bits == 16 { [0x7C00, 0x03E0, 0x001F, 0] } else { [0xFF_0000, 0xFF00, 0xFF, 0] })
    }

    fn palette_at(&self) -> usize {
        let masks = match (self.has_masks_behind(), self.method) {
            (true, 6) => 16,
            (true, _) => 12,
            _ => 0,
        };
        FILE_HEADER + self.length as usize + masks
    }

    fn entry_bytes(&self) -> usize {
        if self.length == CORE { 3 } else { 4 }
    }

    fn palette_bytes(&self) -> usize {
        let count = if self.colours == 0 && self.bits <= 8 { 1 << self.bits } else { self.colours };
        count.min(1024) as usize * self.entry_bytes()
    }

    /// As many colours as the header says and stand before the pixels.
    fn palette(&self, bytes: &[u8], pixels_at: usize) -> Vec<[u8; 3]> {
        let at = self.palette_at();
        let end = if pixels_at > at { pixels_at } else { usize::MAX };
        let end = end.min(at + self.palette_bytes()).min(bytes.len());
        let entries = bytes.get(at..end).unwrap_or_default().chunks_exact(self.entry_bytes());
        entries.take(256).map(|entry| [entry[2], entry[1], entry[0]]).collect()
    }
}

/// The embedded profile of a fifth header.
fn profile(bytes: &[u8]) -> Option<&[u8]> {
    let is_embedded = long(bytes, FILE_HEADER)? == V5 && bytes.get(70..74)? == b"DEBM";
    let at = FILE_HEADER + long(bytes, FILE_HEADER + 112)? as usize;
    let end = at.checked_add(long(bytes, FILE_HEADER + 116)? as usize)?;
    bytes.get(at..end).filter(|_| is_embedded)
}
