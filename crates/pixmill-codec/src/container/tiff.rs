//! TIFF files: the first directory's tags (TIFF 6.0), read by the tiff crate.

use std::borrow::Cow;
use std::io::Cursor;

use tiff::decoder::Decoder;
use tiff::tags::Tag;
use tiff::{ColorType, TiffError};

use super::{Colour, Header};
use crate::error::{corrupt, unsupported};
use crate::orientation::Orientation;
use crate::{Error, Limits, SourceFormat};

/// Tag of an embedded ICC profile.
const ICC: Tag = Tag::Unknown(34_675);
/// Tag of XMP.
const XMP: Tag = Tag::Unknown(700);

const SHORT: u16 = 3;
const PHOTOMETRIC: u16 = 262;
const PALETTE: u32 = 3;
const BLACK_IS_ZERO: u16 = 1;

/// Reads the first directory.
pub(super) fn header<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Header<'a>, Error> {
    let said = |tag: u16| entries(bytes).iter().find(|entry| entry.tag == tag).map(|entry| entry.value);
    if let (Some(width), Some(height)) = (said(256), said(257)) {
        limits.check_size(width, height)?;
    }
    let grey = palette_as_grey(bytes);
    let mut decoder = Decoder::new(Cursor::new(grey.as_deref().unwrap_or(bytes))).map_err(refusal)?;
    let (width, height) = decoder.dimensions().map_err(refusal)?;
    limits.check_size(width, height)?;
    let colour = match decoder.colortype().map_err(refusal)? {
        ColorType::Gray(_) | ColorType::Multiband { .. } if grey.is_none() => Colour::Grey,
        ColorType::CMYK(_) | ColorType::CMYKA(_) => Colour::Cmyk,
        _ => Colour::Rgb,
    };
    let mut header = Header::new(SourceFormat::Tiff, width, height, colour);
    let orientation =
        decoder.find_tag(Tag::Orientation).ok().flatten().and_then(|value| value.into_u32().ok());
    header.orientation = orientation.map_or(Orientation::Upright, Orientation::from_exif);
    let mut bytes_of = |tag| decoder.find_tag(tag).ok().flatten().and_then(|value| value.into_u8_vec().ok());
    header.icc = bytes_of(ICC).map(Cow::Owned);
    header.xmp = bytes_of(XMP).map(Cow::Owned);
    Ok(header)
}

/// Where a tag's value stands, what it is, and in which byte order. Single shorts and longs only.
struct Entry {
    tag: u16,
    at: usize,
    value: u32,
    little_endian: bool,
}

/// The first directory of a classic TIFF, read without regard to what else is broken.
fn entries(bytes: &[u8]) -> Vec<Entry> {
    let little_endian = bytes.starts_with(b"II*\0");
    let short = |at: usize| {
        let two = bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if little_endian { u16::from_le_bytes(two) } else { u16::from_be_bytes(two) })
    };
    let long = |at: usize| {
        let four = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if little_endian { u32::from_le_bytes(four) } else { u32::from_be_bytes(four) })
    };
    if !little_endian && !bytes.starts_with(b"MM\0*") {
        return Vec::new();
    }
    let directory = long(4).map_or(usize::MAX, |at| at as usize);
    let count = short(directory).map_or(0, usize::from);
    let entry = |index: usize| {
        let at = directory + 2 + index * 12;
        let value = if short(at + 2)? == SHORT { short(at + 8).map(u32::from) } else { long(at + 8) };
        Some(Entry { tag: short(at)?, at: at + 8, value: value?, little_endian })
    };
    (0..count).map_while(entry).collect()
}

/// A palette picture with its tag changed to say that the indices are grey levels, for the tiff crate
/// doesn't read palettes.
pub(crate) fn palette_as_grey(bytes: &[u8]) -> Option<Vec<u8>> {
    let photometric = entries(bytes).into_iter().find(|entry| entry.tag == PHOTOMETRIC)?;
    if photometric.value != PALETTE {
        return None;
    }
    let grey =
        if photometric.little_endian { BLACK_IS_ZERO.to_le_bytes() } else { BLACK_IS_ZERO.to_be_bytes() };
    let mut bytes = bytes.to_vec();
    bytes[photometric.at..photometric.at + 2].copy_from_slice(&grey);
    Some(bytes)
}

/// What the tiff crate says, as a refusal.
pub(crate) fn refusal(error: TiffError) -> Error {
    match error {
        TiffError::UnsupportedError(what) => unsupported(format!("a kind of TIFF that is not read: {what}")),
        error => corrupt(format!("the TIFF can't be decoded: {error}")),
    }
}
