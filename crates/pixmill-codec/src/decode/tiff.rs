//! TIFF: strips or tiles of the first directory, unpacked (`unpack`), and their samples as colours (`colours`).

mod colours;
mod fax;
mod unpack;

use super::enough_rows;
use crate::container::Header;
use crate::container::tiff::{Directory, interpretation, photometric, tag};
use crate::error::{corrupt, unsupported};
use crate::jpeg::Arena;
use crate::raster::{Raster, eight_bit};
use crate::{Error, Limits};

/// Most bytes of a strip or tile for each pixel that is allowed.
const MOST_CHUNK_BYTES: u64 = 16;

/// How samples are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Storage {
    /// Pixels.
    width: usize,
    /// Pixels.
    height: usize,
    /// Pixels of a strip or tile.
    chunk: (usize, usize),
    /// Strips or tiles in a row.
    across: usize,
    /// Bits of a sample, 1 to 16.
    bits: usize,
    /// Samples of a pixel.
    samples: usize,
    /// Each strip or tile holds one sample of each pixel.
    planar: bool,
    compression: u32,
    /// Samples are differences from those to their left.
    differences: bool,
    /// Bits of a byte come the other way round.
    reversed: bool,
    little_endian: bool,
    interpretation: u32,
    /// Pixels that share colour, across and down.
    subsampling: (usize, usize),
}

impl Storage {
    fn read(directory: &Directory, header: &Header, limits: &Limits) -> Result<Self, Error> {
        let number = |tag: u16, otherwise: u32| directory.number(tag).unwrap_or(otherwise);
        let (width, height) = (header.width as usize, header.height as usize);
        let samples = number(tag::SAMPLES, 1) as usize;
        let bits = directory.numbers(tag::BITS);
        let first_bits = bits.first().copied().unwrap_or(1);
        let is_tiled = directory.number(tag::TILE_WIDTH).is_some();
        let chunk = if is_tiled {
            (number(tag::TILE_WIDTH, 0) as usize, number(tag::TILE_HEIGHT, 0) as usize)
        } else {
            (width, (number(tag::ROWS_PER_STRIP, u32::MAX) as usize).min(height))
        };
        let shares = directory.numbers(tag::YCBCR_SUBSAMPLING);
        let interpretation = interpretation(directory);
        let compression = number(tag::COMPRESSION, 1);
        // JPEG has its own way to say it.
        let subsampling = match (interpretation, compression, shares.as_slice()) {
            (photometric::YCBCR, 7, _) => (1, 1),
            (photometric::YCBCR, _, &[h, v, ..]) => (h as usize, v as usize),
            (photometric::YCBCR, ..) => (2, 2),
            _ => (1, 1),
        };
        let storage = Storage {
            width,
            height,
            chunk,
            across: width.div_ceil(chunk.0.max(1)),
            bits: first_bits as usize,
            samples,
            planar: number(tag::PLANAR, 1) == 2 && samples > 1,
            compression,
            differences: number(tag::PREDICTOR, 1) == 2,
            reversed: number(tag::FILL_ORDER, 1) == 2,
            little_endian: directory.little_endian,
            interpretation,
            subsampling,
        };
        storage.check(directory, &bits, limits)?;
        Ok(storage)
    }

    /// Refuses what can't be shown rightly.
    fn check(&self, directory: &Directory, bits: &[u64], limits: &Limits) -> Result<(), Error> {
        let refuse = |what: String| Err(unsupported(format!("a TIFF {what}, which is not read")));
        let formats = directory.numbers(tag::SAMPLE_FORMAT);
        let of_lab = self.interpretation == photometric::CIE_LAB;
        match formats.iter().find(|format| !matches!(format, 1 | 4)) {
            Some(2) if !of_lab => return refuse("of samples that may be below zero".into()),
            Some(3) => return refuse("of floating-point samples".into()),
            Some(5..) => return refuse("of complex samples".into()),
            _ => {}
        }
        if bits.iter().take(self.samples).any(|bits| *bits as usize != self.bits) {
            return refuse("whose samples have different depths".into());
        }
        if !matches!(self.bits, 1..=16) {
            return refuse(format!("of {} bits a sample", self.bits));
        }
        if directory.number(tag::PREDICTOR) == Some(3) {
            return refuse("of floating-point differences".into());
        }
        if self.differences && !matches!(self.bits, 8 | 16) {
            return refuse(format!("of differences of {} bits", self.bits));
        }
        let shares = self.subsampling != (1, 1);
        if shares && (self.planar || self.bits != 8 || self.differences || self.samples != 3) {
            return refuse("that shares colours between pixels in an unusual way".into());
        }
        if !matches!(self.subsampling, (1 | 2 | 4, 1 | 2 | 4)) || self.samples == 0 {
            return Err(corrupt("a TIFF whose tags contradict each other"));
        }
        let chunk_bytes = (self.chunk.0 as u64 * self.chunk.1 as u64)
            .saturating_mul(self.samples as u64)
            .saturating_mul(if self.bits > 8 { 2 } else { 1 });
        if chunk_bytes == 0 || chunk_bytes > limits.max_pixels.saturating_mul(MOST_CHUNK_BYTES) {
            return Err(corrupt("a TIFF whose strips or tiles have an impossible size"));
        }
        Ok(())
    }

    /// Samples of a pixel in one strip or tile.
    fn chunk_samples(&self) -> usize {
        if self.planar { 1 } else { self.samples }
    }

    /// Bytes of a row of a strip or tile.
    fn row_bytes(&self) -> usize {
        (self.chunk.0 * self.chunk_samples() * self.bits).div_ceil(8)
    }
}

/// Decodes to grey or RGB, with or without alpha, or CMYK.
pub(super) fn decode(
    bytes: &[u8],
    header: &Header,
    limits: &Limits,
    arena: &mut Arena,
) -> Result<Raster, Error> {
    let directory = Directory::first(bytes)?;
    let storage = Storage::read(&directory, header, limits)?;
    let meaning = colours::Meaning::read(&directory, &storage)?;
    let (samples, there) = gathered(&directory, &storage, meaning.kept, limits, arena)?;
    enough_rows(there, header.height, limits)?;
    let mut raster = meaning.raster(samples, &storage)?;
    raster.blank_rows(there..storage.height);
    Ok(raster)
}

/// The first `kept` samples of all pixels as 8 bits, or as indices of a palette, and how many rows there are of them.
fn gathered(
    directory: &Directory,
    storage: &Storage,
    kept: usize,
    limits: &Limits,
    arena: &mut Arena,
) -> Result<(Vec<u8>, usize), Error> {
    let (width, height) = (storage.width, storage.height);
    let chunks = Chunks::read(directory, storage);
    let mut out = vec![0; width * height * kept];
    let mut there = height;
    let down = height.div_ceil(storage.chunk.1);
    let planes = if storage.planar { kept } else { 1 };
    for (plane, at) in (0..planes).flat_map(|plane| (0..down * storage.across).map(move |at| (plane, at))) {
        let (left, top) = (at % storage.across * storage.chunk.0, at / storage.across * storage.chunk.1);
        let rows = storage.chunk.1.min(height - top);
        let data = chunks.data(plane * down * storage.across + at);
        let chunk = unpack::Unpacker { directory, storage, limits }.unpack(data, rows, arena)?;
        if chunk.rows < rows {
            there = there.min(top + chunk.rows);
        }
        let step = storage.chunk_samples();
        let wanted = if storage.planar { 1 } else { kept };
        let columns = storage.chunk.0.min(width - left);
        for (y, row) in chunk.samples.chunks_exact(storage.chunk.0 * step).take(chunk.rows).enumerate() {
            let start = ((top + y) * width + left) * kept + plane;
            let to = out[start..].chunks_mut(kept).take(columns);
            for (to, from) in to.zip(row.chunks_exact(step)) {
                to[..wanted].copy_from_slice(&from[..wanted]);
            }
        }
    }
    Ok((out, there))
}

/// Where strips or tiles lie.
struct Chunks<'a> {
    bytes: &'a [u8],
    offsets: Vec<u64>,
    lengths: Vec<u64>,
    /// Bytes of one that is not compressed, where lengths aren't said.
    plain: Option<u64>,
}

impl<'a> Chunks<'a> {
    fn read(directory: &Directory<'a>, storage: &Storage) -> Self {
        let (mut offsets, mut lengths) =
            (directory.numbers(tag::TILE_OFFSETS), directory.numbers(tag::TILE_BYTES));
        if offsets.is_empty() {
            offsets = directory.numbers(tag::STRIP_OFFSETS);
            lengths = directory.numbers(tag::STRIP_BYTES);
        }
        let plain = (storage.compression == 1).then_some((storage.row_bytes() * storage.chunk.1) as u64);
        Chunks { bytes: directory.bytes, offsets, lengths, plain }
    }

    /// The data of one, as far as the file goes; none where it was left out because it is empty.
    fn data(&self, at: usize) -> Option<&'a [u8]> {
        let Some(&start) = self.offsets.get(at) else { return Some(&[]) };
        let length = match self.lengths.get(at) {
            Some(0) if start == 0 => return None,
            Some(0) | None => self.plain.unwrap_or(u64::MAX),
            Some(length) => *length,
        };
        let start = usize::try_from(start).unwrap_or(usize::MAX).min(self.bytes.len());
        let end = (start as u64).saturating_add(length).min(self.bytes.len() as u64) as usize;
        Some(&self.bytes[start..end])
    }
}

/// Samples of so many bits as 8 bits; where they are indices, as they are.
fn eight_bits(row: &[u8], storage: &Storage, to: &mut [u8]) {
    let is_index = storage.interpretation == photometric::PALETTE;
    match storage.bits {
        8 => to.copy_from_slice(&row[..to.len()]),
        16 => {
            let pairs = row.as_chunks::<2>().0.iter();
            for (to, pair) in to.iter_mut().zip(pairs) {
                let sample =
                    if storage.little_endian { u16::from_le_bytes(*pair) } else { u16::from_be_bytes(*pair) };
                *to = if is_index { sample.min(255) as u8 } else { eight_bit(sample) };
            }
        }
        bits => {
            let most = (1_u32 << bits) - 1;
            for (at, to) in to.iter_mut().enumerate() {
                let first = at * bits;
                let three: [u8; 3] = std::array::from_fn(|i| row.get(first / 8 + i).copied().unwrap_or(0));
                let word = u32::from_be_bytes([0, three[0], three[1], three[2]]);
                let sample = word >> (24 - first % 8 - bits) & most;
                *to = if is_index { sample.min(255) as u8 } else { ((sample * 255 + most / 2) / most) as u8 };
            }
        }
    }
}
