//! WebP files: RIFF chunks (RFC 9649).

use std::borrow::Cow;

use super::{Colour, Header, Kept};
use crate::error::{corrupt, unsupported};
use crate::orientation::Orientation;
use crate::{Error, Limits, SourceFormat, metadata};

const ICC_FLAG: u8 = 0x20;
const ALPHA_FLAG: u8 = 0x10;
const EXIF_FLAG: u8 = 0x08;
const XMP_FLAG: u8 = 0x04;

/// A chunk's type and data.
struct Chunk<'a> {
    kind: [u8; 4],
    data: &'a [u8],
}

/// Chunks up to the end or to where the bytes are cut off.
fn chunks(bytes: &[u8]) -> impl Iterator<Item = Chunk<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let kind = *rest.first_chunk()?;
        let length = u32::from_le_bytes(*rest.get(4..)?.first_chunk()?) as usize;
        let data = rest.get(8..length.checked_add(8)?)?;
        // An odd chunk is padded; a file may lack the padding of its last one.
        rest = rest.get(8 + length + length % 2..).unwrap_or_default();
        Some(Chunk { kind, data })
    })
}

/// The first frame: what decodes it, and where it lies on its canvas.
#[derive(Debug, Clone)]
pub(crate) struct Frame<'a> {
    /// Pixels.
    pub(crate) width: u32,
    /// Pixels.
    pub(crate) height: u32,
    /// Pixels from the canvas's left.
    pub(crate) left: u32,
    /// Pixels from the canvas's top.
    pub(crate) top: u32,
    alpha: Option<&'a [u8]>,
    lossy: Option<&'a [u8]>,
    lossless: Option<&'a [u8]>,
}

/// Reads chunks' heads up to the end.
pub(super) fn header<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Header<'a>, Error> {
    let size = bytes[4..].first_chunk().map_or(0, |size| u32::from_le_bytes(*size)) as usize;
    let truncated = size.saturating_add(8) > bytes.len() + size % 2;
    let body = &bytes[12..];
    let canvas = chunks(body).next().filter(|chunk| &chunk.kind == b"VP8X").map(|chunk| canvas(chunk.data));
    let canvas = canvas.transpose()?;
    if let Some((width, height)) = canvas {
        limits.check_size(width, height)?;
    }
    let frame = match first_frame(bytes) {
        Ok(frame) => frame,
        Err(_) if truncated => return Err(corrupt("the picture is cut short")),
        Err(error) => return Err(error),
    };
    limits.check_size(frame.width, frame.height)?;
    let (width, height) = canvas.unwrap_or((frame.width, frame.height));
    if frame.left + frame.width > width || frame.top + frame.height > height {
        return Err(corrupt("a WebP whose frame leaves its canvas"));
    }
    let mut header = Header::new(SourceFormat::Webp, width, height, Colour::Rgb);
    header.truncated = truncated;
    header.frames = chunks(body).filter(|chunk| &chunk.kind == b"ANMF").count().max(1) as u32;
    if canvas.is_some() {
        let find = |kind: &[u8; 4]| chunks(body).find(|chunk| &chunk.kind == kind).map(|chunk| chunk.data);
        header.icc = find(b"ICCP").map(Cow::Borrowed);
        header.exif = find(b"EXIF").map(|exif| Cow::Borrowed(exif.strip_prefix(b"Exif\0\0").unwrap_or(exif)));
        header.xmp = find(b"XMP ").map(Cow::Borrowed);
    }
    header.orientation = header.exif.as_deref().map_or(Orientation::Upright, metadata::orientation);
    header.staged = (frame.width, frame.height) != (width, height);
    Ok(header)
}

fn canvas(data: &[u8]) -> Result<(u32, u32), Error> {
    let Some([_, _, _, _, w0, w1, w2, h0, h1, h2]) = data.first_chunk() else {
        return Err(corrupt("a WebP whose header is broken"));
    };
    Ok((u24(*w0, *w1, *w2) + 1, u24(*h0, *h1, *h2) + 1))
}

fn u24(low: u8, middle: u8, high: u8) -> u32 {
    u32::from_le_bytes([low, middle, high, 0])
}

/// Finds the first frame, of a still or of an animation.
pub(crate) fn first_frame(bytes: &[u8]) -> Result<Frame<'_>, Error> {
    let body = bytes.get(12..).unwrap_or_default();
    let Some(animated) = chunks(body).find(|chunk| &chunk.kind == b"ANMF") else {
        return frame(body, 0, 0);
    };
    let Some([x0, x1, x2, y0, y1, y2]) = animated.data.first_chunk() else {
        return Err(corrupt("a WebP whose first frame is broken"));
    };
    let frame_data = animated.data.get(16..).unwrap_or_default();
    frame(frame_data, u24(*x0, *x1, *x2) * 2, u24(*y0, *y1, *y2) * 2)
}

fn frame(body: &[u8], left: u32, top: u32) -> Result<Frame<'_>, Error> {
    let find = |kind: &[u8; 4]| chunks(body).find(|chunk| &chunk.kind == kind).map(|chunk| chunk.data);
    let (lossy, lossless) = (find(b"VP8 "), find(b"VP8L"));
    let (width, height) = match (lossy, lossless) {
        (Some(lossy), _) => lossy_size(lossy)?,
        (None, Some(lossless)) => lossless_size(lossless)?,
        (None, None) => return Err(corrupt("a WebP without picture data")),
    };
    let alpha = find(b"ALPH").filter(|_| lossy.is_some());
    Ok(Frame { width, height, left, top, alpha, lossy, lossless: lossless.filter(|_| lossy.is_none()) })
}

/// Size of a VP8 key frame (RFC 6386, 9.1).
fn lossy_size(data: &[u8]) -> Result<(u32, u32), Error> {
    match data.first_chunk() {
        Some([tag, _, _, 0x9D, 0x01, 0x2A, w0, w1, h0, h1]) if tag & 1 == 0 => {
            let size = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3FFF);
            Ok((size(*w0, *w1), size(*h0, *h1)))
        }
        Some([tag, ..]) if tag & 1 == 1 => Err(unsupported("a WebP that doesn't begin with a key frame")),
        _ => Err(corrupt("a WebP whose VP8 header is broken")),
    }
}

/// Size of a VP8L image (RFC 9649, 3.4).
fn lossless_size(data: &[u8]) -> Result<(u32, u32), Error> {
    match data.first_chunk() {
        Some([0x2F, a, b, c, d]) => {
            let bits = u32::from_le_bytes([*a, *b, *c, *d]);
            Ok(((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1))
        }
        _ => Err(corrupt("a WebP whose VP8L header is broken")),
    }
}

impl Frame<'_> {
    /// May have pixels that are not opaque.
    fn has_alpha(&self) -> bool {
        self.alpha.is_some()
            || self.lossless.is_some_and(|data| data.get(4).is_some_and(|bits| bits & 0x10 != 0))
    }

    /// The frame as a still of its own, with metadata.
    pub(crate) fn still(&self, kept: &Kept) -> Vec<u8> {
        let mut image = Vec::new();
        self.alpha.iter().for_each(|data| push_chunk(&mut image, b"ALPH", data));
        self.lossy.iter().for_each(|data| push_chunk(&mut image, b"VP8 ", data));
        self.lossless.iter().for_each(|data| push_chunk(&mut image, b"VP8L", data));
        let size = (self.width, self.height);
        file(&image, size, self.has_alpha(), self.alpha.is_some(), kept)
    }
}

/// A file made by an encoder, with metadata put into it.
pub(crate) fn with_metadata(encoded: &[u8], kept: &Kept) -> Result<Vec<u8>, Error> {
    Ok(first_frame(encoded)?.still(kept))
}

/// Image chunks as a file; the extended form is used only where it must be.
fn file(image: &[u8], size: (u32, u32), has_alpha: bool, must_extend: bool, kept: &Kept) -> Vec<u8> {
    let mut body = b"WEBP".to_vec();
    let extended = must_extend || kept != &Kept::default();
    if extended {
        let flag = |on: bool, flag: u8| if on { flag } else { 0 };
        let flags = flag(kept.icc.is_some(), ICC_FLAG)
            | flag(has_alpha, ALPHA_FLAG)
            | flag(kept.exif.is_some(), EXIF_FLAG)
            | flag(kept.xmp.is_some(), XMP_FLAG);
        let [w0, w1, w2, _] = (size.0 - 1).to_le_bytes();
        let [h0, h1, h2, _] = (size.1 - 1).to_le_bytes();
        push_chunk(&mut body, b"VP8X", &[flags, 0, 0, 0, w0, w1, w2, h0, h1, h2]);
        kept.icc.iter().for_each(|data| push_chunk(&mut body, b"ICCP", data));
    }
    body.extend_from_slice(image);
    kept.exif.iter().for_each(|data| push_chunk(&mut body, b"EXIF", data));
    kept.xmp.iter().for_each(|data| push_chunk(&mut body, b"XMP ", data));
    let mut out = Vec::with_capacity(body.len() + 8);
    push_chunk(&mut out, b"RIFF", &body);
    out
}

fn push_chunk(out: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    out.extend_from_slice(kind);
    out.extend((data.len() as u32).to_le_bytes());
    out.extend_from_slice(data);
    if data.len() % 2 == 1 {
        out.push(0);
    }
}
