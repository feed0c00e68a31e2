//! Tokens to a baseline JPEG: JFIF header, tables and scans (ITU T.81, Annex B and F.1.2).

use pixmill_cpu::Kernel;

use super::optimise::Codes;
use super::quantise::Plane;
use super::token::{Counts, KINDS, Kind, SIXTEEN_ZEROS, Token, Tokens};

/// What is written before the first scan, and which components each scan holds.
#[derive(Debug)]
pub(super) struct Picture<'a> {
    /// Pixels.
    pub(super) width: u16,
    /// Pixels.
    pub(super) height: u16,
    /// Sampling factors of the first component, horizontal in the high four bits; the others have 1 and 1.
    pub(super) sampling: u8,
    /// Steps of each component, in zigzag order.
    pub(super) steps: &'a [[u8; 64]],
    /// Indices of components, each with its data units in an MCU.
    pub(super) scans: &'a [Vec<(usize, usize)>],
    /// Further segments to stand behind the JFIF header: marker and body, of 65,533 bytes at most.
    pub(super) segments: &'a [(u8, Vec<u8>)],
}

/// Codes of DC differences and AC coefficients of a plane.
struct PlaneCodes {
    dc: Codes,
    ac: Codes,
}

/// The plane of a component by its index.
pub(super) fn plane(component: usize) -> Plane {
    if component == 0 { Plane::Luminance } else { Plane::Chrominance }
}

/// Writes a whole JPEG.
pub(super) fn write(picture: &Picture, tokens: &Tokens, counts: &Counts) -> Vec<u8> {
    let planes = &[Plane::Luminance, Plane::Chrominance][..picture.steps.len().min(2)];
    let symbols: Vec<_> = planes.iter().map(|&plane| counts.symbols(plane)).collect();
    let codes: Vec<PlaneCodes> = symbols
        .iter()
        .map(|symbols| PlaneCodes { dc: Codes::new(&symbols.dc), ac: Codes::new(&symbols.ac) })
        .collect();
    let bits: u64 = symbols
        .iter()
        .zip(&codes)
        .map(|(symbols, codes)| codes.dc.bits(&symbols.dc) + codes.ac.bits(&symbols.ac))
        .sum();
    // One byte in 64 for stuffing; a picture that needs more makes the buffer grow.
    let mut out = Vec::with_capacity((bits / 8 + bits / 512) as usize + 2048);
    start(picture, 0xC0, &mut out);
    huffman_tables(&codes, &mut out);
    let mut out = pixmill_cpu::run(Replay { tokens, codes: &codes, scans: picture.scans, out });
    out.extend([0xFF, 0xD9]);
    out
}

/// Tokens on their way to bits behind what is written already.
struct Replay<'a> {
    tokens: &'a Tokens,
    codes: &'a [PlaneCodes],
    scans: &'a [Vec<(usize, usize)>],
    out: Vec<u8>,
}

impl Kernel for Replay<'_> {
    type Output = Vec<u8>;

    #[inline(always)]
    fn run(self) -> Vec<u8> {
        let mut scans = self.scans.iter();
        let mut writer = BitWriter::new(self.out);
        let mut empty = begin_scan(scans.next(), self.codes, &mut writer);
        let entries = Entries::new(self.codes);
        for token in self.tokens.pieces().flatten() {
            let entry = entries.0[token.kind() & (2 * KINDS - 1)];
            let length = (entry >> Entries::LENGTH_AT) as u32;
            if length <= LONGEST_PUT {
                writer.put(entry & Entries::CODE | u64::from(token.bits()), length);
            } else if token.is_empty_mcus() {
                let codes = (0..token.bits()).flat_map(|_| &empty);
                codes.for_each(|&(code, length)| writer.put(code, length));
            } else if token.is_end_of_scan() {
                writer.pad();
                empty = begin_scan(scans.next(), self.codes, &mut writer);
            } else {
                put_in_parts(*token, self.codes, &mut writer);
            }
        }
        writer.out
    }
}

/// Puts a token whose bits don't fit one [`BitWriter::put`].
fn put_in_parts(token: Token, codes: &[PlaneCodes], writer: &mut BitWriter) {
    let codes = &codes[token.kind() / KINDS];
    if let Kind::Ac { sixteens, symbol } = Kind::of(token.kind() % KINDS) {
        for symbol in std::iter::repeat_n(SIXTEEN_ZEROS, usize::from(sixteens)).chain([symbol]) {
            let (code, length) = codes.ac.code(symbol);
            writer.put(code, length);
        }
        writer.put(u64::from(token.bits()), u32::from(symbol & 15));
    }
}

/// Code, with room for magnitude bits below it, and length of all that, for each kind of token.
struct Entries(Box<[u64; 2 * KINDS]>);

impl Entries {
    const LENGTH_AT: u32 = 56;
    const CODE: u64 = (1 << Self::LENGTH_AT) - 1;
    /// A length that marks kinds which are not one code.
    const NO_CODE: u64 = 0xFF << Self::LENGTH_AT;

    fn new(codes: &[PlaneCodes]) -> Self {
        let mut entries = Box::new([Self::NO_CODE; 2 * KINDS]);
        for (codes, entries) in codes.iter().zip(entries.chunks_exact_mut(KINDS)) {
            for (kind, entry) in entries.iter_mut().enumerate() {
                *entry = Self::entry(codes, Kind::of(kind)).unwrap_or(Self::NO_CODE);
            }
        }
        Entries(entries)
    }

    fn entry(codes: &PlaneCodes, kind: Kind) -> Option<u64> {
        let (mut code, mut length) = (0, 0);
        let (table, sixteens, symbol) = match kind {
            Kind::Dc { size } => (&codes.dc, 0, size),
            Kind::Ac { sixteens, symbol } => (&codes.ac, sixteens, symbol),
        };
        for symbol in std::iter::repeat_n(SIXTEEN_ZEROS, usize::from(sixteens)).chain([symbol]) {
            let (next, bits) = table.code(symbol);
            if bits == 0 || length + bits > LONGEST_PUT {
                return None;
            }
            (code, length) = (code << bits | next, length + bits);
        }
        let size = u32::from(symbol & 15);
        let length = length + size;
        (length <= LONGEST_PUT).then_some(u64::from(length) << Self::LENGTH_AT | code << size)
    }
}

/// Writes a scan's header; the bits of an empty MCU in it (T.81, B.2.3).
fn begin_scan(
    scan: Option<&Vec<(usize, usize)>>,
    codes: &[PlaneCodes],
    writer: &mut BitWriter,
) -> Vec<(u64, u32)> {
    let Some(scan) = scan else { return Vec::new() };
    let mut body = vec![scan.len() as u8];
    let mut empty: Vec<(u64, u32)> = Vec::new();
    for &(component, blocks) in scan {
        let plane = plane(component);
        body.extend([component as u8 + 1, plane as u8 * 0x11]);
        let parts = [codes[plane as usize].dc.code(0), codes[plane as usize].ac.code(0)];
        for (code, bits) in (0..blocks).flat_map(|_| parts) {
            match empty.last_mut() {
                Some((codes, length)) if *length + bits <= LONGEST_PUT => {
                    (*codes, *length) = (*codes << bits | code, *length + bits);
                }
                _ => empty.push((code, bits)),
            }
        }
    }
    body.extend([0, 63, 0]);
    segment(0xDA, &body, &mut writer.out);
    empty
}

/// Everything before the Huffman tables. `frame_marker`: SOF0 for baseline, SOF2 for progressive.
pub(super) fn start(picture: &Picture, frame_marker: u8, out: &mut Vec<u8>) {
    out.extend([0xFF, 0xD8]);
    segment(0xE0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0", out);
    picture.segments.iter().for_each(|(marker, body)| segment(*marker, body, out));
    let table = |component: usize| picture.steps.iter().position(|steps| *steps == picture.steps[component]);
    let (mut quantisation, mut frame) = (Vec::new(), vec![8]);
    frame.extend(picture.height.to_be_bytes());
    frame.extend(picture.width.to_be_bytes());
    frame.push(picture.steps.len() as u8);
    for (component, steps) in picture.steps.iter().enumerate() {
        let place = table(component).unwrap_or(component);
        if place == component {
            quantisation.push(place as u8);
            quantisation.extend(steps);
        }
        let sampling = if component == 0 { picture.sampling } else { 0x11 };
        frame.extend([component as u8 + 1, sampling, place as u8]);
    }
    segment(0xDB, &quantisation, out);
    segment(frame_marker, &frame, out);
}

fn huffman_tables(codes: &[PlaneCodes], out: &mut Vec<u8>) {
    let mut huffman = Vec::new();
    for (place, codes) in (0..).zip(codes) {
        for (class, codes) in [(0x00, &codes.dc), (0x10, &codes.ac)] {
            huffman.push(class | place);
            huffman.extend(codes.counts);
            huffman.extend(&codes.symbols);
        }
    }
    segment(0xC4, &huffman, out);
}

/// A marker segment (T.81, B.1.1.4); all written here are shorter than 64 KiB.
pub(super) fn segment(marker: u8, body: &[u8], out: &mut Vec<u8>) {
    out.extend([0xFF, marker]);
    out.extend((body.len() as u16 + 2).to_be_bytes());
    out.extend(body);
}

/// Most bits that [`BitWriter::put`] takes.
const LONGEST_PUT: u32 = 56;

/// Writes bits with byte stuffing (T.81, F.1.2.3).
pub(super) struct BitWriter {
    pub(super) out: Vec<u8>,
    /// Bits not written yet, at the bottom; what stands above them doesn't count.
    bits: u64,
    /// How many more bits fit, 1 to 64.
    free: u32,
}

impl BitWriter {
    pub(super) fn new(out: Vec<u8>) -> Self {
        BitWriter { out, bits: 0, free: 64 }
    }

    #[inline(always)]
    pub(super) fn put(&mut self, bits: u64, length: u32) {
        if length < self.free {
            self.bits = self.bits << length | bits;
            self.free -= length;
        } else {
            let beyond = length - self.free;
            self.write(self.bits << (self.free & 63) | bits >> beyond);
            self.bits = bits;
            self.free = 64 - beyond;
        }
    }

    #[inline(always)]
    fn write(&mut self, word: u64) {
        let bytes = word.to_be_bytes();
        let inverse = !word;
        let has_ff = inverse.wrapping_sub(0x0101_0101_0101_0101) & word & 0x8080_8080_8080_8080 != 0;
        if has_ff { self.write_stuffed(&bytes) } else { self.out.extend_from_slice(&bytes) }
    }

    fn write_stuffed(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.out.push(byte);
            if byte == 0xFF {
                self.out.push(0);
            }
        }
    }

    /// Fills the last byte with ones.
    pub(super) fn pad(&mut self) {
        let used = 64 - self.free;
        if used > 0 {
            let word = (self.bits << self.free) | ((1 << self.free) - 1);
            self.write_stuffed(&word.to_be_bytes()[..used.div_ceil(8) as usize]);
        }
        (self.bits, self.free) = (0, 64);
    }
}
