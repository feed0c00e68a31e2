//! JPEG to JPEG of a lower quality without pixels; JPEG to a smaller JPEG by samples of each component (`resize`).
//!
//! When nothing but the quality changes, a JPEG need not be decoded: its Huffman codes are read, each DCT
//! coefficient is taken from the source's quantisation step to the new one, and what is left is written with codes
//! made for this picture. All of that happens in two passes: the first reads, requantises and notes tokens and how
//! often each kind occurs; the second writes the tokens by the codes that those counts gave.
//!
//! Sections of ITU-T Recommendation T.81 are named where they are followed.

mod bits;
mod chroma;
mod dct;
mod emit;
mod gather;
mod header;
mod huffman;
mod idct;
#[cfg(test)]
mod kinds;
mod optimise;
mod pixels;
mod planes;
mod progressive;
mod quantise;
mod read;
#[cfg(test)]
mod reference;
mod refusal;
mod resize;
mod scan;
#[cfg(test)]
mod seeds;
mod sheets;
mod shrink;
mod stages;
mod standard;
mod stream;
mod strip;
#[cfg(test)]
mod tests;
mod token;
mod turn;
mod upsample;
mod write;

use std::sync::Arc;

use crate::{Error, ErrorKind};
use bits::Window;
use emit::emit;
pub(crate) use header::is_known_sampling;
use header::{Frame, Headers, Next, Selection};
use huffman::{Definition, StepTable, SymbolTable};
pub(crate) use pixels::encode;
pub(crate) use planes::Coefficients;
use quantise::{Aim, Requantiser};
use read::{Demands, read_all};
use refusal::Refusal::{self, Corrupt, OtherKind};
pub(crate) use resize::resized;
use scan::{Extent, read_scan};
pub(crate) use shrink::{Shrink, shrunk};
use stream::{Sink, Stream};
use strip::Strip;
#[cfg(feature = "avif")]
pub(crate) use strip::ycbcr;
pub(crate) use strip::{Chroma, Encodable, Pixels};
use token::{Counts, Tokens};
pub(crate) use turn::is_exact;
pub(crate) use upsample::samples;
use write::{Picture, plane};

/// Buffers that one worker uses again from picture to picture; between pictures it keeps 8 MiB of them at most.
#[derive(Debug, Default)]
pub struct Arena {
    window: Window,
    tokens: Tokens,
    counts: Counts,
    tables: StepTables,
    strip: Strip,
}

#[cfg(test)]
impl Arena {
    /// What is held after a picture.
    fn allocated_bytes(&self) -> u64 {
        self.tokens.allocated_bytes()
            + (size_of::<Counts>() + 2 * 1024 * 4 + bits::SIZE) as u64
            + 4 * 14 * 1024
    }
}

/// Tokens that an 8 × 8 data unit may become, on average over a picture. Photographs become about 5 at quality 50;
/// what becomes more than this, up to 65, is left to the pixel path: noise, and sources near quality 100 that are to
/// stay there.
const TOKENS_PER_UNIT: u64 = 32;

/// Chunks of tokens that a picture may become.
fn token_chunks(width: u32, height: u32, components: u8) -> u64 {
    let units = if components == 1 {
        u64::from(width.div_ceil(8)) * u64::from(height.div_ceil(8))
    } else {
        u64::from(width.div_ceil(16)) * u64::from(height.div_ceil(16)) * 6
    };
    (units * TOKENS_PER_UNIT).div_ceil(Tokens::PER_CHUNK) + 1
}

/// The most that [`requantise`] allocates beside source and result, in bytes, for a picture of that many pixels and
/// components (1 or 3): 2 MB a megapixel for grey and 3 MB for YCbCr 4:2:0, and a quarter of a megabyte. A picture
/// that would take more is left to the pixel path; photographs at quality 50 take about 0.5 MB a megapixel.
pub fn memory_bytes(width: u32, height: u32, components: u8) -> u64 {
    const TABLES: u64 = 128 * 1024;
    token_chunks(width, height, components) * Tokens::BYTES_PER_CHUNK + TABLES
}

/// What all coefficients of a picture take, in bytes. `factors`: of each component, horizontal in the high four bits.
pub(crate) fn coefficient_bytes(width: u32, height: u32, factors: &[u8]) -> u64 {
    let factors = if let [_] = factors { &[0x11] } else { factors };
    let most =
        |shift: u32| factors.iter().map(|factor| u32::from(factor >> shift & 15)).max().unwrap_or(1).max(1);
    let mcus = u64::from(width.div_ceil(8 * most(4))) * u64::from(height.div_ceil(8 * most(0)));
    let units: u64 = factors.iter().map(|factor| u64::from((factor >> 4) * (factor & 15))).sum();
    mcus * units * size_of::<[i16; 64]>() as u64
}

/// Takes a JPEG to a lower quality, 1 to 100 as libjpeg counts it, below 90 with colour at half the size both ways.
///
/// The result is a baseline JPEG in one scan with optimised codes, no restart markers and no metadata but the JFIF
/// header: the caller has seen to it that no orientation or profile needs to be applied. No quantisation step is finer
/// than the source's, so a source below the asked quality keeps its coefficients; with optimised codes it may even so
/// become larger than it was, by some bytes.
///
/// `None` when the picture is not one that is read here: grey or YCbCr of 8 bits and a usual sampling, with Huffman
/// codes. Whatever is odd in the headers also gives `None`.
///
/// # Errors
/// [`ErrorKind::Corrupt`] when the compressed data is broken or ends before the picture does. Data after the end of
/// the picture is ignored, and a missing EOI marker forgiven.
pub fn requantise(bytes: &[u8], quality: u8, arena: &mut Arena) -> Result<Option<Vec<u8>>, Error> {
    let asked = Asked { quality, progressive: false, segments: &[] };
    match stream(bytes, &asked, arena)? {
        Some(written) => Ok(Some(written)),
        None => Ok(read(bytes, arena)?.and_then(|picture| picture.write(&asked, arena))),
    }
}

/// How a picture is to be written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// 1 to 100, as libjpeg counts it.
    pub(crate) quality: u8,
    /// Coefficients come in stages.
    pub(crate) progressive: bool,
    /// Segments to stand behind the JFIF header: marker and body, of 65,533 bytes at most.
    pub(crate) segments: &'a [(u8, Vec<u8>)],
}

/// From this quality on colour keeps the size it has; below, it is halved both ways, as sharp does.
pub(crate) const FULL_CHROMA_QUALITY: u8 = 90;

/// Requantises while reading; for grey and 4:2:0 in one sequential scan, written in one, too. `None` for others.
pub(crate) fn stream(bytes: &[u8], asked: &Asked, arena: &mut Arena) -> Result<Option<Vec<u8>>, Error> {
    let result = read_and_write(bytes, asked, arena);
    arena.tokens.trim();
    answer(result)
}

fn answer<T>(result: Result<T, Refusal>) -> Result<Option<T>, Error> {
    match result {
        Ok(made) => Ok(Some(made)),
        Err(OtherKind) => Ok(None),
        Err(Corrupt(reason)) => Err(Error::new(ErrorKind::Corrupt, reason)),
    }
}

fn read_and_write(bytes: &[u8], asked: &Asked, arena: &mut Arena) -> Result<Vec<u8>, Refusal> {
    arena.tokens.clear();
    arena.counts.clear();
    let mut headers = Headers::default();
    let at = header::start_of_image(bytes).ok_or(OtherKind)?;
    let Next::Scan(scan, data) = headers.read(bytes, at)? else { return Err(OtherKind) };
    let frame = headers.frame.as_ref().ok_or(OtherKind)?;
    let in_order = scan.parts.is_sorted_by_key(|part| part.component);
    let whole = scan.parts.len() == frame.component_count() && in_order && headers.is_usual();
    if frame.progressive || !whole || !frame.is_grey_or_quartered() {
        return Err(OtherKind);
    }
    let (units, mcus) = headers.mcus(&scan.parts).ok_or(OtherKind)?;
    let mut channels = Vec::new();
    for (&part, (h, v)) in scan.parts.iter().zip(units) {
        let channel = channel(&headers, part, h * v, asked.quality, &mut arena.tables);
        channels.push(channel.ok_or(OtherKind)?);
    }
    let extent = extent(&headers, mcus);
    let limit = token_chunks(frame.width.into(), frame.height.into(), frame.component_count() as u8) as usize;
    let sink = Sink { tokens: &mut arena.tokens, counts: &mut arena.counts, limit };
    let mut stream = Stream::new(&mut channels, sink);
    let after = read_scan(bytes, data, &mut arena.window, extent, &mut stream)?;
    stream.end()?;
    if !matches!(headers.read(bytes, after)?, Next::End { .. }) {
        return Err(OtherKind);
    }
    let Some(Frame { width, height, .. }) = headers.frame else { return Err(OtherKind) };
    let steps: Vec<[u8; 64]> = channels.iter().map(|channel| channel.requantiser.target).collect();
    let blocks = channels.iter().map(|channel| channel.blocks).enumerate().collect();
    let sampling = if steps.len() == 1 { 0x11 } else { 0x22 };
    let picture =
        Picture { width, height, sampling, steps: &steps, scans: &[blocks], segments: asked.segments };
    Ok(write::write(&picture, &arena.tokens, &arena.counts))
}

fn extent(headers: &Headers, mcus: (usize, usize)) -> Extent {
    Extent { mcus: (mcus.0 * mcus.1) as u32, restart_interval: u32::from(headers.restart_interval) }
}

/// Gets ready to stream a component; `None` when a table is missing or not a baseline one.
fn channel(
    headers: &Headers,
    part: Selection,
    blocks: usize,
    quality: u8,
    tables: &mut StepTables,
) -> Option<stream::Channel> {
    let plane = plane(part.component);
    let requantiser = Requantiser::new(headers.steps(part.component)?, &Aim::new(plane, quality))?;
    let ac = tables.get(headers.ac_codes(part)?, requantiser.dead_size);
    Some(stream::Channel::new(plane, blocks, SymbolTable::new(headers.dc_codes(part)?), ac, requantiser))
}

/// Reads all coefficients. `None` as with [`requantise`].
pub(crate) fn read(bytes: &[u8], arena: &mut Arena) -> Result<Option<Coefficients>, Error> {
    answer(read_all(bytes, Demands::USUAL, arena))
}

impl Coefficients {
    /// Writes the picture at a quality. `None` when that can't be done in the memory that it should take, or a
    /// quantisation step is no baseline step.
    pub(crate) fn write(&self, asked: &Asked, arena: &mut Arena) -> Option<Vec<u8>> {
        if asked.quality < FULL_CHROMA_QUALITY && self.planes.len() > 1 && self.sampling() != (2, 2) {
            return self.with_quartered_chroma().write_as_it_is(asked, arena);
        }
        self.write_as_it_is(asked, arena)
    }

    /// Writes the picture at a quality, colour at the size that it has.
    pub(crate) fn write_as_it_is(&self, asked: &Asked, arena: &mut Arena) -> Option<Vec<u8>> {
        let requantisers = (0..).zip(&self.planes).map(|(component, plane)| {
            let aim = Aim::new(write::plane(component), asked.quality).no_finer_than(&plane.finest);
            Requantiser::new(&plane.steps, &aim)
        });
        let requantisers: Vec<Requantiser> = requantisers.collect::<Option<_>>()?;
        let steps: Vec<[u8; 64]> = requantisers.iter().map(|requantiser| requantiser.target).collect();
        let (h, v) = self.sampling();
        let blocks = (0..steps.len()).map(|component| (component, if component == 0 { h * v } else { 1 }));
        let (scans, sampling) = ([blocks.collect()], (h << 4 | v) as u8);
        let (width, height) = (self.width, self.height);
        let picture =
            Picture { width, height, sampling, steps: &steps, scans: &scans, segments: asked.segments };
        if asked.progressive {
            return Some(stages::write(&picture, &self.requantised(&requantisers)));
        }
        arena.tokens.clear();
        arena.counts.clear();
        let limit = (self.units() * TOKENS_PER_UNIT).div_ceil(Tokens::PER_CHUNK) + 1;
        let room = (&mut arena.tokens, &mut arena.counts, limit as usize);
        let written =
            emit(self, &requantisers, room).map(|()| write::write(&picture, &arena.tokens, &arena.counts));
        arena.tokens.trim();
        written
    }
}

/// The tables used last: most pictures from one source have the same codes.
#[derive(Debug, Default)]
struct StepTables(Vec<Arc<StepTable>>);

impl StepTables {
    const KEPT: usize = 4;

    fn get(&mut self, definition: &Definition, dead_size: u8) -> Arc<StepTable> {
        match self.0.iter().position(|table| table.is_for(definition, dead_size)) {
            Some(at) => self.0[..=at].rotate_right(1),
            None => {
                self.0.truncate(Self::KEPT - 1);
                self.0.insert(0, Arc::new(StepTable::new(definition, dead_size)));
            }
        }
        Arc::clone(&self.0[0])
    }
}
