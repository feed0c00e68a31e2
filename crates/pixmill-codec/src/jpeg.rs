//! JPEG to JPEG of a lower quality without pixels.
//!
//! When nothing but the quality changes, a JPEG need not be decoded: its Huffman codes are read, each DCT
//! coefficient is taken from the source's quantisation step to the new one, and what is left is written with codes
//! made for this picture. All of that happens in two passes: the first reads, requantises and notes tokens and how
//! often each kind occurs; the second writes the tokens by the codes that those counts gave.
//!
//! Sections of ITU-T Recommendation T.81 are named where they are followed.

mod bits;
mod dct;
mod header;
mod huffman;
mod optimise;
mod pixels;
mod quantise;
#[cfg(test)]
mod reference;
mod refusal;
mod scan;
mod strip;
#[cfg(test)]
mod tests;
mod token;
mod write;

use std::sync::Arc;

use crate::{Error, ErrorKind};
use bits::Window;
use header::{Frame, Headers, Next, Selection};
use huffman::{Definition, StepTable, SymbolTable};
pub(crate) use pixels::{Chroma, encode};
use quantise::{Requantiser, target_steps};
use refusal::Refusal::{self, Corrupt, OtherKind};
use scan::{Channel, Extent, Sink, read_scan};
use strip::Strip;
use token::{Counts, Tokens};
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

fn limit_of(frame: &Frame) -> usize {
    token_chunks(frame.width.into(), frame.height.into(), frame.component_count() as u8) as usize
}

/// The most that [`requantise`] allocates beside source and result, in bytes, for a picture of that many pixels and
/// components (1 or 3): 2 MB a megapixel for grey and 3 MB for YCbCr 4:2:0, and a quarter of a megabyte. A picture
/// that would take more is left to the pixel path; photographs at quality 50 take about 0.5 MB a megapixel.
pub fn memory_bytes(width: u32, height: u32, components: u8) -> u64 {
    const TABLES: u64 = 128 * 1024;
    token_chunks(width, height, components) * Tokens::BYTES_PER_CHUNK + TABLES
}

/// Takes a JPEG to a lower quality, 1 to 100 as libjpeg counts it.
///
/// The result is a baseline JPEG with optimised codes, no restart markers and no metadata but the JFIF header: the
/// caller has seen to it that no orientation or profile needs to be applied. No quantisation step is finer than the
/// source's, so a source below the asked quality keeps its coefficients; with optimised codes it may even so become
/// larger than it was, by some bytes. Scans come as in the source: interleaved or one for each component.
///
/// `None` when the picture is not one that is read here: only grey and YCbCr 4:2:0 pictures of 8 bits, baseline or
/// extended sequential with Huffman codes, are. Whatever is odd in the headers also gives `None`.
///
/// # Errors
/// [`ErrorKind::Corrupt`] when the compressed data is broken or ends before the picture does. Data after the end of
/// the picture is ignored, and a missing EOI marker forgiven.
pub fn requantise(bytes: &[u8], quality: u8, arena: &mut Arena) -> Result<Option<Vec<u8>>, Error> {
    let result = attempt(bytes, quality, arena);
    arena.tokens.trim();
    match result {
        Ok(written) => Ok(Some(written)),
        Err(OtherKind) => Ok(None),
        Err(Corrupt(reason)) => Err(Error::new(ErrorKind::Corrupt, reason)),
    }
}

fn attempt(bytes: &[u8], quality: u8, arena: &mut Arena) -> Result<Vec<u8>, Refusal> {
    arena.tokens.clear();
    arena.counts.clear();
    let mut headers = Headers::default();
    let mut at = header::start_of_image(bytes).ok_or(OtherKind)?;
    let mut steps: [Option<[u8; 64]>; 3] = [None; 3];
    let mut scans = Vec::new();
    while let Next::Scan(scan, data) = headers.read(bytes, at)? {
        let (blocks, mcus) = headers.mcus(&scan).ok_or(OtherKind)?;
        let mut channels = Vec::new();
        for (&selection, &blocks) in scan.iter().zip(&blocks) {
            let channel =
                channel(&headers, selection, blocks, quality, &mut arena.tables).ok_or(OtherKind)?;
            if steps[selection.component].replace(channel.requantiser.target).is_some() {
                return Err(OtherKind);
            }
            channels.push(channel);
        }
        let extent = Extent { mcus, restart_interval: u32::from(headers.restart_interval) };
        let limit = headers.frame.as_ref().map_or(0, limit_of);
        let mut sink = Sink { tokens: &mut arena.tokens, counts: &mut arena.counts, limit };
        at = read_scan(bytes, data, &mut arena.window, &mut channels, extent, &mut sink)?;
        scans.push(scan.iter().map(|part| part.component).zip(blocks).collect());
    }
    let frame = headers.frame.as_ref().ok_or(OtherKind)?;
    let steps: Vec<[u8; 64]> = steps.iter().flatten().copied().collect();
    if scans.is_empty() {
        return Err(OtherKind);
    }
    if steps.len() < frame.component_count() {
        return Err(Corrupt("the JPEG ends before all of its components have come"));
    }
    let sampling = if steps.len() == 1 { 0x11 } else { 0x22 };
    let (width, height) = (frame.width, frame.height);
    let picture = Picture { width, height, sampling, steps: &steps, scans: &scans, segments: &[] };
    Ok(write::write(&picture, &arena.tokens, &arena.counts))
}

/// Gets ready to read a component in a scan; `None` when a table is missing or not a baseline one.
fn channel(
    headers: &Headers,
    selection: Selection,
    blocks: usize,
    quality: u8,
    tables: &mut StepTables,
) -> Option<Channel> {
    let plane = plane(selection.component);
    let requantiser = Requantiser::new(headers.steps(selection.component)?, &target_steps(plane, quality))?;
    let (dc, ac) = headers.codes(selection)?;
    let ac = tables.get(ac, requantiser.dead_size);
    Some(Channel::new(plane, blocks, SymbolTable::new(dc), ac, requantiser))
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
