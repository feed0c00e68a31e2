//! PNG files: chunks (W3C PNG, third edition, section 5).

use std::borrow::Cow;

use super::{Colour, Header, Kept};
use crate::color::Light;
use crate::error::{corrupt, unsupported};
use crate::orientation::Orientation;
use crate::{Error, Limits, SourceFormat, metadata};

const SIGNATURE: &[u8; 8] = b"\x89PNG\r\n\x1A\n";
/// Bytes that an embedded profile may inflate to; real ones are below 2 MB.
const MOST_PROFILE_BYTES: usize = 4 << 20;
const XMP_KEYWORD: &[u8] = b"XML:com.adobe.xmp\0";

/// A chunk's type and data. Its checksum is left to the decoder.
struct Chunk<'a> {
    kind: [u8; 4],
    data: &'a [u8],
    /// Length, type, data and checksum.
    whole: &'a [u8],
}

/// The chunks of a file up to its end or to where it is cut off.
fn chunks(bytes: &[u8]) -> impl Iterator<Item = Chunk<'_>> {
    let mut rest = bytes.get(SIGNATURE.len()..).unwrap_or_default();
    std::iter::from_fn(move || {
        let length = u32::from_be_bytes(*rest.first_chunk()?) as usize;
        let kind = *rest.get(4..)?.first_chunk()?;
        let whole = rest.get(..length.checked_add(12)?)?;
        rest = if &kind == b"IEND" { &[] } else { &rest[whole.len()..] };
        Some(Chunk { kind, data: &whole[8..8 + length], whole })
    })
}

/// Reads all chunks' heads; nothing but the profile is inflated.
pub(super) fn header<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Header<'a>, Error> {
    let no_header = || corrupt("a PNG that doesn't begin with a whole header");
    if chunks(bytes).next().is_some_and(|chunk| &chunk.kind == b"CgBI") {
        return Err(unsupported("a PNG that was rewritten for Apple's devices (CgBI), which is not read"));
    }
    let first = chunks(bytes).next().filter(|chunk| &chunk.kind == b"IHDR").ok_or_else(no_header)?;
    let [w3, w2, w1, w0, h3, h2, h1, h0, depth, colour_type, _, _, interlace] =
        *first.data.first_chunk().ok_or_else(no_header)?;
    let (width, height) = (u32::from_be_bytes([w3, w2, w1, w0]), u32::from_be_bytes([h3, h2, h1, h0]));
    limits.check_size(width, height)?;
    let colour = if colour_type & 2 == 0 { Colour::Grey } else { Colour::Rgb };
    let mut header = Header::new(SourceFormat::Png, width, height, colour);
    header.deep = depth == 16;
    header.staged = interlace != 0;
    header.truncated = true;
    let (mut has_data, mut numbers) = (false, Numbers::default());
    for chunk in chunks(bytes) {
        match &chunk.kind {
            b"IDAT" => has_data = true,
            b"IEND" => header.truncated = false,
            b"acTL" => header.frames = chunk.data.first_chunk().map_or(1, |count| u32::from_be_bytes(*count)),
            kind if !has_data && numbers.take(kind, chunk.data) => {}
            b"iCCP" if header.icc.is_none() => header.icc = profile(chunk.data)?.map(Cow::Owned),
            b"eXIf" if header.exif.is_none() => header.exif = Some(Cow::Borrowed(chunk.data)),
            b"iTXt" if header.xmp.is_none() => header.xmp = xmp(chunk.data).map(Cow::Borrowed),
            _ => {}
        }
    }
    if !has_data && !header.truncated {
        return Err(corrupt("a PNG without picture data"));
    }
    header.light = numbers.light(header.icc.is_some())?;
    if numbers.cicp.is_some() {
        header.icc = None;
    }
    header.orientation = header.exif.as_deref().map_or(Orientation::Upright, metadata::orientation);
    Ok(header)
}

/// What chunks say of colours by numbers.
#[derive(Default)]
struct Numbers {
    /// Primaries, transfer, matrix, range.
    cicp: Option<[u8; 4]>,
    srgb: bool,
    gamma: Option<u32>,
    chromaticities: Option<[u32; 8]>,
}

impl Numbers {
    /// Whether it was one of these chunks.
    fn take(&mut self, kind: &[u8; 4], data: &[u8]) -> bool {
        let long = |at: usize| data.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
        match kind {
            b"cICP" => self.cicp = data.first_chunk().copied(),
            b"sRGB" => self.srgb = true,
            b"gAMA" => self.gamma = long(0),
            b"cHRM" if data.len() >= 32 => {
                self.chromaticities = Some(std::array::from_fn(|at| long(at * 4).unwrap_or(0)));
            }
            _ => return false,
        }
        true
    }

    /// The first that is there of cICP, a profile, sRGB, and gAMA with cHRM holds (PNG, 4.3).
    fn light(&self, has_profile: bool) -> Result<Option<Light>, Error> {
        match self.cicp {
            Some([primaries, transfer, 0, 1]) => Ok(Light::from_cicp(primaries.into(), transfer.into())),
            Some(_) => Err(unsupported("a PNG of video levels, which is not read")),
            None if has_profile || self.srgb => Ok(None),
            None => Ok(Light::from_png(self.gamma, self.chromaticities)),
        }
    }
}

/// The profile of an iCCP chunk: a name, a zero, the method, then a zlib stream. One that doesn't inflate
/// is ignored, but a method that doesn't exist is the mark of a broken file.
fn profile(data: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    let Some(name) = data.iter().take(80).position(|byte| *byte == 0) else { return Ok(None) };
    match data.get(name + 1..) {
        Some([0, stream @ ..]) => {
            Ok(miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(stream, MOST_PROFILE_BYTES).ok())
        }
        Some([_, ..]) => Err(corrupt("a PNG whose profile is compressed in an unknown way")),
        _ => Ok(None),
    }
}

/// XMP of an iTXt chunk, if it is that and not compressed.
fn xmp(data: &[u8]) -> Option<&[u8]> {
    let rest = data.strip_prefix(XMP_KEYWORD)?.strip_prefix(b"\0\0")?;
    let language = rest.iter().position(|byte| *byte == 0)? + 1;
    let keyword = rest[language..].iter().position(|byte| *byte == 0)? + 1;
    Some(&rest[language + keyword..])
}

/// The source's own picture data with other metadata, first frame only. Of the ancillary chunks those
/// stay that change how the picture looks.
pub(crate) fn stripped(bytes: &[u8], kept: &Kept) -> Vec<u8> {
    let mut out = SIGNATURE.to_vec();
    let has_profile = chunks(bytes).any(|chunk| &chunk.kind == b"iCCP");
    for chunk in chunks(bytes) {
        match &chunk.kind {
            b"IHDR" => {
                out.extend_from_slice(chunk.whole);
                kept_chunks(kept).iter().for_each(|(kind, data)| push_chunk(&mut out, kind, data));
            }
            b"PLTE" | b"tRNS" | b"IDAT" | b"IEND" | b"cICP" => out.extend_from_slice(chunk.whole),
            // A profile overruled these, and it said sRGB, or the source would not do.
            b"gAMA" | b"cHRM" | b"sRGB" if !has_profile && kept.icc.is_none() => {
                out.extend_from_slice(chunk.whole);
            }
            _ => {}
        }
    }
    out
}

/// The chunks that carry kept metadata, all of which may stand right after the header.
pub(crate) fn kept_chunks(kept: &Kept) -> Vec<([u8; 4], Vec<u8>)> {
    let mut chunks = Vec::new();
    if let Some(icc) = &kept.icc {
        let stream = miniz_oxide::deflate::compress_to_vec_zlib(icc, 6);
        chunks.push((*b"iCCP", [b"sRGB\0\0", stream.as_slice()].concat()));
    }
    if let Some(exif) = &kept.exif {
        chunks.push((*b"eXIf", exif.clone()));
    }
    if let Some(xmp) = &kept.xmp {
        chunks.push((*b"iTXt", [XMP_KEYWORD, b"\0\0\0\0", xmp].concat()));
    }
    chunks
}

fn push_chunk(out: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    out.extend((data.len() as u32).to_be_bytes());
    let start = out.len();
    out.extend_from_slice(kind);
    out.extend_from_slice(data);
    let checksum = crc32fast::hash(&out[start..]);
    out.extend(checksum.to_be_bytes());
}
