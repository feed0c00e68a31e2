//! Planes of coefficients to a progressive JPEG (ITU T.81, Annex G): DC first, then bands of each component, each scan
//! with codes made for it. Bands alone, without bits in stages: a first look comes as soon, and no bit is written twice.

use std::ops::RangeInclusive;

use super::emit::magnitude;
use super::optimise::Codes;
use super::planes::{Coefficients, Plane};
use super::token::SIXTEEN_ZEROS;
use super::write::{BitWriter, Picture, segment, start};

/// Component and zigzag positions of the scans after the first: what is seen first comes first.
const SCANS: [(usize, RangeInclusive<usize>); 4] = [(0, 1..=5), (1, 1..=63), (2, 1..=63), (0, 6..=63)];

/// Most units that one code may end (T.81, G.1.2.2).
const LONGEST_RUN: u32 = 0x7FFF;

/// Takes symbols as they come, each with extra bits and how many they are.
trait Sink {
    fn put(&mut self, symbol: u8, bits: u32, length: u32);
}

/// How often each symbol occurs.
struct Frequencies([u64; 256]);

impl Sink for Frequencies {
    fn put(&mut self, symbol: u8, _: u32, _: u32) {
        self.0[usize::from(symbol)] += 1;
    }
}

/// Writes symbols by their codes.
struct Writer<'a> {
    codes: &'a Codes,
    bits: &'a mut BitWriter,
}

impl Sink for Writer<'_> {
    fn put(&mut self, symbol: u8, bits: u32, length: u32) {
        let (code, size) = self.codes.code(symbol);
        self.bits.put(code << length | u64::from(bits), size + length);
    }
}

/// Writes a whole JPEG of coefficients that are quantised by the picture's steps.
pub(super) fn write(picture: &Picture, coefficients: &Coefficients) -> Vec<u8> {
    let mut out = Vec::new();
    start(picture, 0xC2, &mut out);
    let mut bits = BitWriter::new(out);
    let all: Vec<usize> = (0..coefficients.planes.len()).collect();
    scan(&mut bits, &all, 0..=0, |sink| dc(coefficients, sink));
    for (component, band) in SCANS {
        if let Some(plane) = coefficients.planes.get(component) {
            scan(&mut bits, &[component], band.clone(), |sink| ac(plane, band.clone(), sink));
        }
    }
    bits.out.extend([0xFF, 0xD9]);
    bits.out
}

/// One scan: tables, header, data. `symbols` puts the same symbols each time.
fn scan(
    bits: &mut BitWriter,
    components: &[usize],
    band: RangeInclusive<usize>,
    symbols: impl Fn(&mut dyn Sink),
) {
    let mut frequencies = Frequencies([0; 256]);
    symbols(&mut frequencies);
    let codes = Codes::new(&frequencies.0);
    let class = if *band.end() == 0 { 0x00 } else { 0x10 };
    segment(0xC4, &[&[class], &codes.counts[..], &codes.symbols].concat(), &mut bits.out);
    let mut header = vec![components.len() as u8];
    components.iter().for_each(|&component| header.extend([component as u8 + 1, 0]));
    header.extend([*band.start() as u8, *band.end() as u8, 0]);
    segment(0xDA, &header, &mut bits.out);
    symbols(&mut Writer { codes: &codes, bits });
    bits.pad();
}

/// DC differences of all components, in the order of MCUs.
fn dc(picture: &Coefficients, sink: &mut dyn Sink) {
    let (h, v) = picture.sampling();
    let across = usize::from(picture.width).div_ceil(8 * h);
    let down = usize::from(picture.height).div_ceil(8 * v);
    let mut previous = [0; 3];
    for (y, x) in (0..down).flat_map(|y| (0..across).map(move |x| (y, x))) {
        for (component, plane) in picture.planes.iter().enumerate() {
            let (h, v) = if component == 0 { (h, v) } else { (1, 1) };
            for (row, column) in (0..v).flat_map(|row| (0..h).map(move |column| (row, column))) {
                let unit = plane.unit(x * h + column, y * v + row);
                let value = unit.map_or(previous[component], |unit| i32::from(unit[0]));
                let (size, bits) = magnitude(value - previous[component]);
                previous[component] = value;
                sink.put(size as u8, bits, size);
            }
        }
    }
}

/// A band of a component's AC coefficients (T.81, figure G.3).
fn ac(plane: &Plane, band: RangeInclusive<usize>, sink: &mut dyn Sink) {
    let mut ended = 0;
    for unit in plane.rows().flatten() {
        let mut run = 0;
        for &value in &unit[band.clone()] {
            if value == 0 {
                run += 1;
                continue;
            }
            end_of_band(&mut ended, sink);
            for _ in 0..run / 16 {
                sink.put(SIXTEEN_ZEROS, 0, 0);
            }
            let (size, bits) = magnitude(value.into());
            sink.put((run as u8 % 16) << 4 | size as u8, bits, size);
            run = 0;
        }
        if run > 0 {
            ended += 1;
            if ended == LONGEST_RUN {
                end_of_band(&mut ended, sink);
            }
        }
    }
    end_of_band(&mut ended, sink);
}

/// Ends so many units by one code.
fn end_of_band(ended: &mut u32, sink: &mut dyn Sink) {
    if *ended > 0 {
        let size = ended.ilog2();
        sink.put((size as u8) << 4, *ended - (1 << size), size);
        *ended = 0;
    }
}
