//! TIFF files: the first directory's tags (TIFF 6.0, and BigTIFF), and what camera makers build on them.

use std::borrow::Cow;

use super::{Colour, Header};
use crate::error::{corrupt, unsupported};
use crate::orientation::Orientation;
use crate::{Error, Limits, SourceFormat};

/// Numbers of the tags that are read.
pub(crate) mod tag {
    pub(crate) const WIDTH: u16 = 256;
    pub(crate) const HEIGHT: u16 = 257;
    pub(crate) const BITS: u16 = 258;
    pub(crate) const COMPRESSION: u16 = 259;
    pub(crate) const PHOTOMETRIC: u16 = 262;
    pub(crate) const FILL_ORDER: u16 = 266;
    pub(crate) const MAKE: u16 = 271;
    pub(crate) const STRIP_OFFSETS: u16 = 273;
    pub(crate) const ORIENTATION: u16 = 274;
    pub(crate) const SAMPLES: u16 = 277;
    pub(crate) const ROWS_PER_STRIP: u16 = 278;
    pub(crate) const STRIP_BYTES: u16 = 279;
    pub(crate) const PLANAR: u16 = 284;
    pub(crate) const T4_OPTIONS: u16 = 292;
    pub(crate) const PREDICTOR: u16 = 317;
    pub(crate) const COLOUR_MAP: u16 = 320;
    pub(crate) const TILE_WIDTH: u16 = 322;
    pub(crate) const TILE_HEIGHT: u16 = 323;
    pub(crate) const TILE_OFFSETS: u16 = 324;
    pub(crate) const TILE_BYTES: u16 = 325;
    pub(crate) const SUB_DIRECTORIES: u16 = 330;
    pub(crate) const INK_SET: u16 = 332;
    pub(crate) const EXTRA_SAMPLES: u16 = 338;
    pub(crate) const SAMPLE_FORMAT: u16 = 339;
    pub(crate) const JPEG_TABLES: u16 = 347;
    pub(crate) const YCBCR_COEFFICIENTS: u16 = 529;
    pub(crate) const YCBCR_SUBSAMPLING: u16 = 530;
    pub(crate) const REFERENCE_BLACK_WHITE: u16 = 532;
    pub(crate) const XMP: u16 = 700;
    pub(crate) const ICC: u16 = 34_675;
    pub(crate) const DNG_VERSION: u16 = 50_706;
}

/// Values of the tag `PhotometricInterpretation`.
pub(crate) mod photometric {
    pub(crate) const WHITE_IS_ZERO: u32 = 0;
    pub(crate) const BLACK_IS_ZERO: u32 = 1;
    pub(crate) const RGB: u32 = 2;
    pub(crate) const PALETTE: u32 = 3;
    pub(crate) const CMYK: u32 = 5;
    pub(crate) const YCBCR: u32 = 6;
    pub(crate) const CIE_LAB: u32 = 8;
    /// Of a sensor, each pixel of which sees one colour.
    pub(crate) const SENSOR: u32 = 32_803;
    /// Of a sensor, in its own colours.
    pub(crate) const LINEAR_RAW: u32 = 34_892;
}

/// One tag: what its values are and where they lie.
#[derive(Debug, Clone, Copy)]
struct Entry {
    tag: u16,
    kind: u16,
    count: usize,
    at: usize,
}

/// A directory's tags.
#[derive(Debug)]
pub(crate) struct Directory<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) little_endian: bool,
    big: bool,
    entries: Vec<Entry>,
    /// Where the next directory begins; 0 for none.
    next: usize,
}

impl<'a> Directory<'a> {
    /// Reads the first one.
    pub(crate) fn first(bytes: &'a [u8]) -> Result<Self, Error> {
        let (little_endian, big) = match bytes.get(..4) {
            Some(b"II*\0") => (true, false),
            Some(b"MM\0*") => (false, false),
            Some(b"II+\0") => (true, true),
            _ => (false, true),
        };
        let file = Directory { bytes, little_endian, big, entries: Vec::new(), next: 0 };
        let at = if big { file.number_at(8, 8) } else { file.number_at(4, 4) };
        at.and_then(|at| file.at(at as usize))
            .ok_or_else(|| corrupt("a TIFF whose directory of tags is not there"))
    }

    /// Reads the one at an offset, as far as it goes.
    fn at(&self, at: usize) -> Option<Self> {
        let (count_bytes, entry_bytes, room) = if self.big { (8, 20, 8) } else { (2, 12, 4) };
        let count = self.number_at(at, count_bytes)? as usize;
        let first = at + count_bytes;
        let entry = |index: usize| {
            let at = first + index * entry_bytes;
            let (tag, kind) = (self.number_at(at, 2)? as u16, self.number_at(at + 2, 2)? as u16);
            let count = usize::try_from(self.number_at(at + 4, room)?).ok()?;
            let value_at = at + 4 + room;
            let inside = count.checked_mul(width(kind))? <= room;
            let at = if inside { value_at } else { usize::try_from(self.number_at(value_at, room)?).ok()? };
            Some(Entry { tag, kind, count, at })
        };
        let entries: Vec<Entry> = (0..count.min(4096)).map_while(entry).collect();
        let next = self.number_at(first.checked_add(count.checked_mul(entry_bytes)?)?, room).unwrap_or(0);
        Some(Directory { entries, next: usize::try_from(next).unwrap_or(0), ..*self })
    }

    fn number_at(&self, at: usize, width: usize) -> Option<u64> {
        let bytes = self.bytes.get(at..at.checked_add(width)?)?;
        let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        Some(if self.little_endian { bytes.iter().rev().fold(0, add) } else { bytes.iter().fold(0, add) })
    }

    fn entry(&self, tag: u16) -> Option<Entry> {
        self.entries.iter().find(|entry| entry.tag == tag).copied()
    }

    /// Whole numbers of a tag, as many as are there.
    pub(crate) fn numbers(&self, tag: u16) -> Vec<u64> {
        let Some(entry) = self.entry(tag).filter(|entry| matches!(entry.kind, 1 | 3 | 4 | 7 | 13 | 16 | 18))
        else {
            return Vec::new();
        };
        let width = width(entry.kind);
        (0..entry.count)
            .map_while(|index| self.number_at(entry.at.checked_add(index * width)?, width))
            .collect()
    }

    /// The first whole number of a tag.
    pub(crate) fn number(&self, tag: u16) -> Option<u32> {
        let entry = self.entry(tag).filter(|entry| entry.count > 0)?;
        match entry.kind {
            1 | 3 | 4 | 13 | 16 => u32::try_from(self.number_at(entry.at, width(entry.kind))?).ok(),
            _ => None,
        }
    }

    /// Fractions of a tag.
    pub(crate) fn fractions(&self, tag: u16) -> Vec<f64> {
        let Some(entry) = self.entry(tag).filter(|entry| entry.kind == 5) else { return Vec::new() };
        let fraction = |index: usize| {
            let at = entry.at + index * 8;
            Some(self.number_at(at, 4)? as f64 / self.number_at(at + 4, 4)?.max(1) as f64)
        };
        (0..entry.count.min(64)).map_while(fraction).collect()
    }

    /// A tag's bytes as they are.
    pub(crate) fn data(&self, tag: u16) -> Option<&'a [u8]> {
        let entry = self.entry(tag).filter(|entry| matches!(entry.kind, 1 | 2 | 6 | 7))?;
        self.bytes.get(entry.at..entry.at.checked_add(entry.count)?)
    }

    /// Directories that follow this one.
    fn followers(&self) -> u32 {
        let (mut count, mut next) = (0, self.next);
        while next != 0 && count < 10_000 {
            let Some(directory) =
                self.at(next).filter(|directory| directory.next > next || directory.next == 0)
            else {
                return count;
            };
            (count, next) = (count + 1, directory.next);
        }
        count
    }

    /// A camera's raw picture, of which what the first directory shows is a small copy at most.
    fn is_raw(&self) -> bool {
        let of_sensor = |directory: &Directory| {
            matches!(directory.number(tag::PHOTOMETRIC), Some(photometric::SENSOR | photometric::LINEAR_RAW))
        };
        let below = self.numbers(tag::SUB_DIRECTORIES);
        self.entry(tag::DNG_VERSION).is_some()
            || of_sensor(self)
            || self.bytes.get(8..10) == Some(b"CR") && self.little_endian
            || below.iter().take(16).filter_map(|at| self.at(*at as usize)).any(|below| of_sensor(&below))
            // Sony's and Pentax's older files say nothing, but hold one strip in a way of their own.
            || self.data(tag::MAKE).is_some() && self.number(tag::COMPRESSION) == Some(32_767)
    }
}

/// Bytes of a value of a type.
fn width(kind: u16) -> usize {
    match kind {
        1 | 2 | 6 | 7 => 1,
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        _ => 8,
    }
}

/// Reads the first directory.
pub(super) fn header<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Header<'a>, Error> {
    let directory = Directory::first(bytes)?;
    if directory.is_raw() {
        return Err(unsupported(
            "a camera's raw picture, which is not read; send what the camera or a raw converter makes of it",
        ));
    }
    let size = |tag: u16| directory.number(tag).ok_or_else(|| corrupt("a TIFF that doesn't say its size"));
    let (width, height) = (size(tag::WIDTH)?, size(tag::HEIGHT)?);
    limits.check_size(width, height)?;
    let colour = match interpretation(&directory) {
        photometric::WHITE_IS_ZERO | photometric::BLACK_IS_ZERO => Colour::Grey,
        photometric::CMYK => Colour::Cmyk,
        _ => Colour::Rgb,
    };
    let mut header = Header::new(SourceFormat::Tiff, width, height, colour);
    header.orientation =
        directory.number(tag::ORIENTATION).map_or(Orientation::Upright, Orientation::from_exif);
    // What is decoded from CIELAB is sRGB already.
    let has_own_colours = interpretation(&directory) != photometric::CIE_LAB;
    header.icc = directory.data(tag::ICC).filter(|_| has_own_colours).map(Cow::Borrowed);
    header.xmp = directory.data(tag::XMP).map(Cow::Borrowed);
    header.frames = 1 + directory.followers();
    Ok(header)
}

/// What samples stand for; where it isn't said, what libtiff takes it for.
pub(crate) fn interpretation(directory: &Directory) -> u32 {
    directory.number(tag::PHOTOMETRIC).unwrap_or_else(|| {
        let of_a_fax = matches!(directory.number(tag::COMPRESSION), Some(2..=4 | 32_771));
        match directory.number(tag::SAMPLES) {
            Some(3..) => photometric::RGB,
            _ if of_a_fax => photometric::WHITE_IS_ZERO,
            _ => photometric::BLACK_IS_ZERO,
        }
    })
}
