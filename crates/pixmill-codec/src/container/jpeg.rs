//! JPEG files: marker segments (ITU-T T.81, annex B), JFIF, Adobe, EXIF, XMP and ICC segments.

use std::borrow::Cow;
use std::ops::Range;

use super::{Colour, Header, Kept};
use crate::error::{corrupt, unsupported};
use crate::markers::{DHT, DQT, DRI, EOI, SOI, SOS, Segment, Step, Walk};
use crate::{Error, ErrorKind, Limits, SourceFormat, metadata};

/// The frame of JPEG-LS (ITU T.87), another way to compress under the same name.
const JPEG_LS: u8 = 0xF7;
const EXIF: &[u8] = b"Exif\0\0";
const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
const ICC: &[u8] = b"ICC_PROFILE\0";

/// How the components of a JPEG encode colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Grey,
    Ycbcr,
    Rgb,
    Cmyk,
    Ycck,
}

/// What the frame header (SOF) says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The SOF marker's low byte: C0 baseline, C1 extended sequential, C2 progressive.
    pub(crate) marker: u8,
    /// Pixels.
    pub(crate) width: u16,
    /// Pixels.
    pub(crate) height: u16,
    /// Identifier and sampling factors (horizontal in the high four bits) of each component.
    pub(crate) components: Vec<(u8, u8)>,
}

impl Frame {
    pub(crate) fn progressive(&self) -> bool {
        self.marker == 0xC2
    }
}

/// The parts of the first picture of a JPEG file.
#[derive(Debug, Clone)]
pub(crate) struct Structure<'a> {
    bytes: &'a [u8],
    pub(crate) frame: Frame,
    pub(crate) encoding: Encoding,
    /// Tables of Huffman codes come before the first scan: what shows the picture need not know them by heart.
    pub(crate) brings_codes: bool,
    /// Tables, frame, scans: all that makes the picture, in order.
    picture: Vec<Range<usize>>,
    /// The first 14 bytes of a JFIF segment's body, without a thumbnail.
    jfif: Option<[u8; 14]>,
    /// The colour transform of an Adobe segment.
    adobe: Option<u8>,
}

/// Reads all segments up to the end of the picture.
pub(crate) fn header<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Header<'a>, Error> {
    let parts = Parts::read(bytes, limits)?;
    let Some(frame) = parts.frame else { return Err(corrupt("a JPEG without a frame header")) };
    if parts.scans == 0 && !parts.truncated {
        return Err(corrupt("a JPEG that ends before its picture begins"));
    }
    let encoding = encoding(&frame, parts.jfif.is_some(), parts.adobe)?;
    let colour = match encoding {
        Encoding::Grey => Colour::Grey,
        Encoding::Ycbcr | Encoding::Rgb => Colour::Rgb,
        Encoding::Cmyk | Encoding::Ycck => Colour::Cmyk,
    };
    let mut header = Header::new(SourceFormat::Jpeg, frame.width.into(), frame.height.into(), colour);
    header.staged = frame.progressive() || parts.scans > 1;
    header.orientation = parts.exif.map(metadata::orientation).unwrap_or_default();
    header.icc = joined(parts.icc).map(Cow::Owned);
    header.exif = parts.exif.map(Cow::Borrowed);
    header.xmp = parts.xmp.map(Cow::Borrowed);
    header.truncated = parts.truncated;
    let Parts { picture, jfif, adobe, brings_codes, .. } = parts;
    header.jpeg = Some(Structure { bytes, frame, encoding, brings_codes, picture, jfif, adobe });
    Ok(header)
}

/// Which colours the components hold, as libjpeg decides it (`jdapimin.c`, `default_decompress_parms`).
fn encoding(frame: &Frame, jfif: bool, adobe: Option<u8>) -> Result<Encoding, Error> {
    let ids: Vec<u8> = frame.components.iter().map(|(id, _)| *id).collect();
    match (ids.len(), adobe) {
        (1, _) => Ok(Encoding::Grey),
        (3, _) if jfif => Ok(Encoding::Ycbcr),
        (3, Some(0)) => Ok(Encoding::Rgb),
        (3, None) if ids == *b"RGB" => Ok(Encoding::Rgb),
        (3, _) => Ok(Encoding::Ycbcr),
        (4, Some(2)) => Ok(Encoding::Ycck),
        (4, _) => Ok(Encoding::Cmyk),
        (count, _) => Err(unsupported(format!("a JPEG of {count} components, which is not read"))),
    }
}

/// What a walk over the segments gathers.
#[derive(Default)]
struct Parts<'a> {
    frame: Option<Frame>,
    picture: Vec<Range<usize>>,
    brings_codes: bool,
    scans: u32,
    truncated: bool,
    jfif: Option<[u8; 14]>,
    adobe: Option<u8>,
    exif: Option<&'a [u8]>,
    xmp: Option<&'a [u8]>,
    /// Number, count and data of each ICC segment.
    icc: Vec<(u8, u8, &'a [u8])>,
}

impl<'a> Parts<'a> {
    fn read(bytes: &'a [u8], limits: &Limits) -> Result<Self, Error> {
        let (mut parts, mut walk) = (Parts::default(), Walk::from(bytes, 2));
        loop {
            match walk.step() {
                Step::Alone { code: EOI, .. } => return Ok(parts),
                // Another picture behind this one, whose end is missing.
                Step::Alone { code: SOI, .. } if parts.scans > 0 => {
                    parts.truncated = true;
                    return Ok(parts);
                }
                // Standing alone, or a second start: nothing to read.
                Step::Alone { .. } => {}
                Step::Cut => {
                    parts.truncated = true;
                    return Ok(parts);
                }
                Step::Segment(Segment { code, body, mut whole, .. }) => {
                    if code == SOS {
                        whole.end = walk.pass_entropy();
                    }
                    parts.take(code, whole, body, limits)?;
                }
            }
        }
    }

    fn take(
        &mut self,
        marker: u8,
        whole: Range<usize>,
        body: &'a [u8],
        limits: &Limits,
    ) -> Result<(), Error> {
        match marker {
            0xC0..=0xC2 if self.frame.is_none() => self.frame = Some(frame(marker, body)?),
            0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF | JPEG_LS => return Err(refused_frame(marker)),
            SOS => self.scans += 1,
            DHT => self.brings_codes |= self.scans == 0,
            DQT | DRI => {}
            0xE0 if self.jfif.is_none() && body.starts_with(b"JFIF\0") => {
                self.jfif = jfif_without_thumbnail(body);
                return Ok(());
            }
            0xE1 if self.exif.is_none() && body.starts_with(EXIF) => self.exif = Some(&body[EXIF.len()..]),
            0xE1 if self.xmp.is_none() && body.starts_with(XMP) => self.xmp = Some(&body[XMP.len()..]),
            0xE2 if body.starts_with(ICC) && body.len() >= ICC.len() + 2 => {
                self.icc.push((body[ICC.len()], body[ICC.len() + 1], &body[ICC.len() + 2..]));
            }
            0xEE if body.starts_with(b"Adobe") && body.len() >= 12 => self.adobe = Some(body[11]),
            _ => {}
        }
        if self.scans > limits.max_scans {
            let message = format!("a JPEG of more than {} scans", limits.max_scans);
            return Err(Error::new(ErrorKind::TooSlow, message));
        }
        if matches!(marker, 0xC0..=0xC2 | DHT | SOS | DQT | DRI) {
            match self.picture.last_mut() {
                Some(last) if last.end == whole.start => last.end = whole.end,
                _ => self.picture.push(whole),
            }
        }
        Ok(())
    }
}

fn frame(marker: u8, body: &[u8]) -> Result<Frame, Error> {
    let broken = || corrupt("a JPEG whose frame header is broken");
    let [precision, h1, h0, w1, w0, count, components @ ..] = body else { return Err(broken()) };
    if *precision != 8 {
        return Err(unsupported(format!(
            "a JPEG of {precision} bits a sample, which is not read; only 8 are"
        )));
    }
    let (components, _) = components.as_chunks::<3>();
    if *count == 0 || components.len() < usize::from(*count) {
        return Err(broken());
    }
    let components = components[..usize::from(*count)].iter().map(|[id, sampling, _]| (*id, *sampling));
    let (width, height) = (u16::from_be_bytes([*w1, *w0]), u16::from_be_bytes([*h1, *h0]));
    Ok(Frame { marker, width, height, components: components.collect() })
}

fn refused_frame(marker: u8) -> Error {
    let kind = match marker {
        0xC3 => "lossless JPEG",
        0xC5..=0xC7 => "hierarchical JPEG",
        JPEG_LS => "JPEG-LS",
        _ => "arithmetic-coded JPEG",
    };
    unsupported(format!("{kind}, which is not read; only baseline and progressive Huffman-coded JPEG is"))
}

fn jfif_without_thumbnail(body: &[u8]) -> Option<[u8; 14]> {
    let mut jfif: [u8; 14] = *body.first_chunk()?;
    jfif[12..].fill(0);
    Some(jfif)
}

/// The profile of numbered segments, or none if one is missing or doubled (ICC.1:2010, B.4).
fn joined(mut segments: Vec<(u8, u8, &[u8])>) -> Option<Vec<u8>> {
    segments.sort_by_key(|(number, _, _)| *number);
    let count = segments.len();
    let whole = segments
        .iter()
        .enumerate()
        .all(|(i, (number, of, _))| usize::from(*number) == i + 1 && usize::from(*of) == count);
    (whole && count > 0).then(|| segments.iter().flat_map(|(_, _, data)| data.iter().copied()).collect())
}

impl Structure<'_> {
    /// The picture alone, with nothing a decoder could stumble over: no metadata, no bytes between
    /// segments, and an Adobe segment that says what the components hold. One that is cut short gets no end,
    /// lest a decoder takes what is missing for empty.
    pub(crate) fn for_decoding(&self, truncated: bool) -> Vec<u8> {
        let transform = match self.encoding {
            Encoding::Grey => None,
            Encoding::Rgb | Encoding::Cmyk => Some(0),
            Encoding::Ycbcr => Some(1),
            Encoding::Ycck => Some(2),
        };
        let mut out = self.start();
        push_adobe(&mut out, transform);
        self.push_picture(&mut out);
        if !truncated {
            out.extend([0xFF, EOI]);
        }
        out
    }

    /// The source's own picture data under its own headers, with other metadata.
    pub(crate) fn stripped(&self, kept: &Kept) -> Vec<u8> {
        let mut out = self.start();
        if let Some(jfif) = &self.jfif {
            push_segment(&mut out, 0xE0, &[jfif]);
        }
        for (marker, body) in kept_segments(kept) {
            push_segment(&mut out, marker, &[&body]);
        }
        push_adobe(&mut out, self.adobe);
        self.push_picture(&mut out);
        out.extend([0xFF, EOI]);
        out
    }

    /// Bytes of tables, frame and scans.
    pub(crate) fn picture_bytes(&self) -> usize {
        self.picture.iter().map(Range::len).sum()
    }

    fn start(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.picture_bytes() + 64);
        out.extend([0xFF, SOI]);
        out
    }

    fn push_picture(&self, out: &mut Vec<u8>) {
        for range in &self.picture {
            out.extend_from_slice(&self.bytes[range.clone()]);
        }
    }
}

/// The segments that carry kept metadata: marker and body. What doesn't fit into a segment is left out.
pub(crate) fn kept_segments(kept: &Kept) -> Vec<(u8, Vec<u8>)> {
    const MOST: usize = 65_533;
    let mut segments = Vec::new();
    if let Some(exif) = &kept.exif {
        segments.push((0xE1, [EXIF, exif].concat()));
    }
    if let Some(xmp) = &kept.xmp {
        segments.push((0xE1, [XMP, xmp].concat()));
    }
    if let Some(icc) = &kept.icc {
        segments.push((0xE2, [ICC, &[1, 1], icc].concat()));
    }
    segments.retain(|(_, body)| body.len() <= MOST);
    segments
}

fn push_adobe(out: &mut Vec<u8>, transform: Option<u8>) {
    if let Some(transform) = transform {
        push_segment(out, 0xEE, &[b"Adobe\0\x64\0\0\0\0", &[transform]]);
    }
}

fn push_segment(out: &mut Vec<u8>, marker: u8, parts: &[&[u8]]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    out.extend([0xFF, marker]);
    out.extend(((length + 2) as u16).to_be_bytes());
    parts.iter().for_each(|part| out.extend_from_slice(part));
}
