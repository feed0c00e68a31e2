//! Strips and tiles of a TIFF to samples: what compressed them, undone (TIFF 6.0, sections 9 to 11, 13, 14 and 22).

use std::borrow::Cow;

use weezl::BitOrder;
use weezl::decode::Configuration;

use super::{Storage, eight_bits, fax};
use crate::container::tiff::{Directory, tag};
use crate::error::{corrupt, unsupported};
use crate::jpeg::{self, Arena};
use crate::raster::Layout;
use crate::{Error, Limits, container};

/// A strip's or tile's samples, 8 bits each.
pub(super) struct Chunk {
    /// Those of whole rows, each as wide as the strip or tile.
    pub(super) samples: Vec<u8>,
    /// Rows that are there.
    pub(super) rows: usize,
}

/// Undoes what compressed a strip or tile.
pub(super) struct Unpacker<'a> {
    pub(super) directory: &'a Directory<'a>,
    pub(super) storage: &'a Storage,
    pub(super) limits: &'a Limits,
}

impl Unpacker<'_> {
    /// `rows`: how many of the picture's rows it holds. No data stand for samples that are all zero.
    pub(super) fn unpack(&self, data: Option<&[u8]>, rows: usize, arena: &mut Arena) -> Result<Chunk, Error> {
        let storage = self.storage;
        let per_row = storage.chunk.0 * storage.chunk_samples();
        let Some(data) = data else { return Ok(Chunk { samples: vec![0; per_row * rows], rows }) };
        if storage.compression == 7 {
            return self.jpeg(data, rows, arena);
        }
        let (row_bytes, stored_rows) = match storage.subsampling {
            (1, 1) => (storage.row_bytes(), rows),
            (h, v) => (storage.chunk.0.div_ceil(h) * (h * v + 2), rows.div_ceil(v)),
        };
        let data = if storage.reversed {
            Cow::Owned(data.iter().map(|byte| byte.reverse_bits()).collect())
        } else {
            Cow::Borrowed(data)
        };
        let mut raw = self.bytes(data, row_bytes * stored_rows)?;
        let there = (raw.len() / row_bytes).min(stored_rows);
        raw.truncate(there * row_bytes);
        if storage.differences && matches!(storage.compression, 5 | 8 | 32_946) {
            raw.chunks_exact_mut(row_bytes).for_each(|row| sum_up(row, storage));
        }
        if storage.subsampling != (1, 1) {
            return Ok(spread(&raw, storage, rows));
        }
        let mut samples = vec![0; per_row * there];
        for (row, to) in raw.chunks_exact(row_bytes).zip(samples.chunks_exact_mut(per_row)) {
            eight_bits(row, storage, to);
        }
        Ok(Chunk { samples, rows: there })
    }

    /// Up to so many bytes, as far as they go.
    fn bytes(&self, data: Cow<[u8]>, wanted: usize) -> Result<Vec<u8>, Error> {
        let kind = match self.storage.compression {
            1 => {
                let mut data = data.into_owned();
                data.truncate(wanted);
                return Ok(data);
            }
            2..=4 | 32_771 => {
                if (self.storage.bits, self.storage.chunk_samples()) != (1, 1) {
                    return Err(corrupt("a TIFF whose tags contradict each other"));
                }
                let options = self.directory.number(tag::T4_OPTIONS).unwrap_or(0);
                return fax::unpack(&data, self.storage.compression, options, self.storage.chunk.0, wanted);
            }
            5 => return Ok(lzw(&data, wanted)),
            8 | 32_946 => return inflate(&data, wanted),
            32_773 => return Ok(pack_bits(&data, wanted)),
            6 => "by JPEG in the way of 1992",
            32_766 | 32_809 | 32_895..=32_898 => "by a method of the last century",
            34_676 | 34_677 => "by LogLuv",
            34_712 => "by JPEG 2000",
            34_887 => "by LERC",
            34_925 => "by LZMA",
            50_000 => "by Zstandard",
            50_001 => "by WebP",
            _ => {
                return Err(unsupported(format!(
                    "a TIFF that is compressed by method {}, which is not read",
                    self.storage.compression
                )));
            }
        };
        Err(unsupported(format!("a TIFF that is compressed {kind}, which is not read")))
    }

    /// A JPEG, the tables of which all strips and tiles may share.
    fn jpeg(&self, data: &[u8], rows: usize, arena: &mut Arena) -> Result<Chunk, Error> {
        let storage = self.storage;
        let source = match self.directory.data(tag::JPEG_TABLES) {
            Some(tables) if tables.len() >= 4 && data.len() >= 2 => {
                let tables = tables.strip_suffix(&[0xFF, 0xD9]).unwrap_or(tables);
                [tables, &data[2..]].concat()
            }
            _ => data.to_vec(),
        };
        let header = container::jpeg::header(&source, self.limits)?;
        let Some(structure) = &header.jpeg else { return Err(corrupt("a TIFF whose JPEG is no picture")) };
        let count = structure.frame.components.len();
        let layout = match count {
            1 => Layout::Grey,
            3 => Layout::Ycbcr,
            _ => Layout::Cmyk,
        };
        if count != storage.chunk_samples() || storage.bits != 8 {
            return Err(corrupt("a TIFF whose JPEG holds other samples than its tags say"));
        }
        let raster = jpeg::samples(&structure.for_decoding(header.truncated), layout, self.limits, arena)?;
        if (raster.width as usize) < storage.chunk.0 {
            return Err(corrupt("a TIFF whose JPEG is smaller than its tags say"));
        }
        let rows = rows.min(raster.height as usize);
        let per_row = storage.chunk.0 * count;
        let all = raster.data.chunks_exact(raster.stride()).take(rows);
        Ok(Chunk { samples: all.flat_map(|row| &row[..per_row]).copied().collect(), rows })
    }
}

fn lzw(data: &[u8], wanted: usize) -> Vec<u8> {
    // Writers before 1992 put codes in from the other end.
    let is_old = matches!(data, [0, second, ..] if second & 1 == 1);
    let kind = if is_old {
        Configuration::new(BitOrder::Lsb, 8)
    } else {
        Configuration::with_tiff_size_switch(BitOrder::Msb, 8)
    };
    let mut decoder = kind.with_yield_on_full_buffer(true).build();
    let (mut out, mut there, mut rest) = (vec![0; wanted], 0, data);
    while there < wanted {
        let done = decoder.decode_bytes(rest, &mut out[there..]);
        (there, rest) = (there + done.consumed_out, &rest[done.consumed_in..]);
        match done.status {
            Ok(weezl::LzwStatus::Ok) if done.consumed_in + done.consumed_out > 0 => {}
            _ => break,
        }
    }
    out.truncate(there);
    out
}

fn inflate(data: &[u8], wanted: usize) -> Result<Vec<u8>, Error> {
    use miniz_oxide::inflate::{TINFLStatus, decompress_to_vec_zlib_with_limit};
    match decompress_to_vec_zlib_with_limit(data, wanted) {
        Ok(out) => Ok(out),
        Err(error) if error.status == TINFLStatus::Adler32Mismatch => {
            Err(corrupt("a TIFF whose compressed data don't fit their checksum"))
        }
        Err(error) => Ok(error.output),
    }
}

fn pack_bits(mut data: &[u8], wanted: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(wanted);
    while let [count, rest @ ..] = data {
        if out.len() >= wanted {
            break;
        }
        data = match *count {
            0..128 => {
                let (literals, rest) = rest.split_at((usize::from(*count) + 1).min(rest.len()));
                out.extend_from_slice(literals);
                rest
            }
            128 => rest,
            _ => {
                let Some((value, rest)) = rest.split_first() else { break };
                out.extend(std::iter::repeat_n(*value, 257 - usize::from(*count)));
                rest
            }
        };
    }
    out.truncate(wanted);
    out
}

/// Differences from the pixel to the left to samples.
fn sum_up(row: &mut [u8], storage: &Storage) {
    let step = storage.chunk_samples();
    if storage.bits == 8 {
        for at in step..row.len() {
            row[at] = row[at].wrapping_add(row[at - step]);
        }
        return;
    }
    let little = storage.little_endian;
    let read = |two: [u8; 2]| if little { u16::from_le_bytes(two) } else { u16::from_be_bytes(two) };
    let samples = row.as_chunks_mut::<2>().0;
    for at in step..samples.len() {
        let sum = read(samples[at]).wrapping_add(read(samples[at - step]));
        samples[at] = if little { sum.to_le_bytes() } else { sum.to_be_bytes() };
    }
}

/// Units of some pixels' brightness and one colour to three samples a pixel (TIFF 6.0, section 21).
fn spread(raw: &[u8], storage: &Storage, rows: usize) -> Chunk {
    let (h, v) = storage.subsampling;
    let (width, unit) = (storage.chunk.0, h * v + 2);
    let across = width.div_ceil(h);
    let rows = rows.min(raw.len() / (across * unit) * v);
    let mut samples = Vec::with_capacity(width * rows * 3);
    for (y, x) in (0..rows).flat_map(|y| (0..width).map(move |x| (y, x))) {
        let unit = &raw[(y / v * across + x / h) * unit..][..unit];
        samples.extend([unit[y % v * h + x % h], unit[h * v], unit[h * v + 1]]);
    }
    Chunk { samples, rows }
}
