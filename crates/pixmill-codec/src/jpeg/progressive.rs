//! Progressive scans to planes of coefficients (ITU T.81, G.1.2 and G.2).

use std::ops::RangeInclusive;

use super::bits::{BitReader, Reservoir, Window};
use super::header::Units;
use super::huffman::{SymbolTable, magnitude};
use super::planes::Plane;
use super::quantise::present;
use super::refusal::Refusal;
use super::scan::{BAD_CODE, CUT_SHORT, Mcus, read_dc};

/// One component's way through a scan of DC coefficients.
#[derive(Debug)]
pub(super) struct DcChannel {
    /// Index of its plane.
    pub(super) plane: usize,
    pub(super) units: Units,
    /// None is needed to refine.
    pub(super) codes: Option<SymbolTable>,
    /// The DC coefficient before.
    pub(super) previous: i32,
}

/// A scan of DC coefficients: their first bits, or one more bit of each.
#[derive(Debug)]
pub(super) struct DcScan<'a> {
    pub(super) channels: &'a mut [DcChannel],
    pub(super) planes: &'a mut [Plane],
    /// MCUs of a row.
    pub(super) across: usize,
    /// The MCU that comes next.
    pub(super) at: usize,
    /// Bits that are left to later scans.
    pub(super) low: u8,
}

impl Mcus for DcScan<'_> {
    #[inline(always)]
    fn read(&mut self, reader: &mut BitReader, count: u32) -> Result<(), Refusal> {
        for _ in 0..count {
            let (x, y) = (self.at % self.across, self.at / self.across);
            for channel in &mut *self.channels {
                let plane = &mut self.planes[channel.plane];
                let (h, v) = channel.units;
                for row in 0..v {
                    let first = (y * v + row) * plane.stride + x * h;
                    for unit in &mut plane.units[first..first + h] {
                        if !reader.advance() {
                            return Err(CUT_SHORT);
                        }
                        channel.read(reader, unit, self.low).ok_or(BAD_CODE)?;
                    }
                }
            }
            self.at += 1;
        }
        Ok(())
    }

    fn restart(&mut self) {
        self.channels.iter_mut().for_each(|channel| channel.previous = 0);
    }
}

impl DcChannel {
    #[inline(always)]
    fn read(&mut self, reader: &mut BitReader, unit: &mut [i16; 64], low: u8) -> Option<()> {
        let bits = &mut reader.reservoir;
        if let Some(codes) = &self.codes {
            self.previous = self.previous.wrapping_add(read_dc(bits, reader.window, codes)?);
            unit[0] = (self.previous << low) as i16;
        } else {
            bits.refill(reader.window);
            unit[0] |= (take(bits, 1) << low) as i16;
        }
        Some(())
    }
}

/// A scan of one component's AC coefficients: their first bits, or one more bit of each.
#[derive(Debug)]
pub(super) struct AcScan<'a> {
    pub(super) plane: &'a mut Plane,
    pub(super) codes: SymbolTable,
    /// Zigzag positions.
    pub(super) band: RangeInclusive<usize>,
    /// Whether a scan before has had the bits above.
    pub(super) refines: bool,
    /// Bits that are left to later scans.
    pub(super) low: u8,
    /// Units that have no code of their own any more.
    pub(super) ended: u32,
    /// The unit that comes next.
    pub(super) at: usize,
}

impl Mcus for AcScan<'_> {
    #[inline(always)]
    fn read(&mut self, reader: &mut BitReader, mut count: u32) -> Result<(), Refusal> {
        while count > 0 {
            if self.ended > 0 && !self.refines {
                let now = self.ended.min(count);
                (self.ended, count, self.at) = (self.ended - now, count - now, self.at + now as usize);
                continue;
            }
            if !reader.advance() {
                return Err(CUT_SHORT);
            }
            let at = self.at / self.plane.across * self.plane.stride + self.at % self.plane.across;
            if self.refines { self.refine(reader, at) } else { self.first(reader, at) }.ok_or(BAD_CODE)?;
            self.at += 1;
            count -= 1;
        }
        Ok(())
    }

    fn restart(&mut self) {
        self.ended = 0;
    }
}

impl AcScan<'_> {
    /// The first bits of a unit's coefficients (T.81, figure G.3).
    #[inline(always)]
    fn first(&mut self, reader: &mut BitReader, at: usize) -> Option<()> {
        let unit = &mut self.plane.units[at];
        let (mut bits, last) = (reader.reservoir, *self.band.end());
        let mut at = *self.band.start();
        while at <= last {
            bits.refill(reader.window);
            let code = self.codes.find(bits.next)?;
            let (run, size) = (usize::from(code.symbol >> 4), u32::from(code.symbol & 15));
            if size > 0 {
                at += run;
                if at > last {
                    return None;
                }
                let (magnitude, negative) = magnitude(bits.next << code.length, 63 - size);
                bits.consume(code.length + size);
                unit[at] = ((magnitude ^ negative).wrapping_sub(negative) << self.low) as i16;
                at += 1;
            } else if run == 15 {
                bits.consume(code.length);
                at += 16;
            } else {
                bits.consume(code.length);
                self.ended = end_of_band(&mut bits, run as u32) - 1;
                break;
            }
        }
        reader.reservoir = bits;
        Some(())
    }

    /// One more bit of each coefficient (T.81, figure G.7).
    #[inline(always)]
    fn refine(&mut self, reader: &mut BitReader, at: usize) -> Option<()> {
        let unit = &mut self.plane.units[at];
        let bit = 1_i16 << self.low;
        let (mut bits, window) = (reader.reservoir, &*reader.window);
        let (mut at, last) = (*self.band.start() as u32, *self.band.end() as u32);
        let old = present(unit);
        while self.ended == 0 && at <= last {
            bits.refill(window);
            let code = self.codes.find(bits.next)?;
            bits.consume(code.length);
            let (run, mut value) = (u32::from(code.symbol >> 4), 0);
            match code.symbol & 15 {
                0 if run < 15 => {
                    self.ended = end_of_band(&mut bits, run);
                    break;
                }
                0 => {}
                1 => value = if take(&mut bits, 1) == 1 { bit } else { -bit },
                _ => return None,
            }
            // Over so many coefficients that stay zero; those that aren't zero have their bit on the way.
            let mut zeros = !old & bits_from(at) & !bits_from(last + 1);
            for _ in 0..run {
                zeros &= zeros.wrapping_sub(1);
            }
            let to = zeros.trailing_zeros().min(last + 1);
            correct(unit, old & bits_from(at) & !bits_from(to), bit, &mut bits, window);
            if value != 0 {
                *unit.get_mut(to as usize).filter(|_| to <= last)? = value;
            }
            at = to + 1;
        }
        if self.ended > 0 {
            correct(unit, old & bits_from(at) & !bits_from(last + 1), bit, &mut bits, window);
            self.ended -= 1;
        }
        reader.reservoir = bits;
        Some(())
    }
}

/// Bits of a position and those behind it.
#[inline(always)]
fn bits_from(at: u32) -> u64 {
    u64::MAX.checked_shl(at).unwrap_or(0)
}

/// How many units end with the one that is read, itself among them; the run's extra bits must be available.
fn end_of_band(bits: &mut Reservoir, run: u32) -> u32 {
    (1 << run) + take(bits, run) as u32
}

/// Takes up to 15 bits, which must be available.
#[inline(always)]
fn take(bits: &mut Reservoir, count: u32) -> i32 {
    let value = (bits.next >> 1 >> (63 - count)) as i32;
    bits.consume(count);
    value
}

/// Moves coefficients away from zero whose next bit says so, unless that has been done: those with a bit in `which`.
#[inline(always)]
fn correct(unit: &mut [i16; 64], mut which: u64, bit: i16, bits: &mut Reservoir, window: &Window) {
    while which != 0 {
        bits.refill(window);
        // As many as there may be in one go.
        for _ in 0..which.count_ones().min(31) {
            let value = &mut unit[which.trailing_zeros() as usize & 63];
            let moves = take(bits, 1) as i16 & i16::from(*value & bit == 0);
            // All ones, or none, to change the sign.
            let below = *value >> 15;
            *value = value.wrapping_add((bit & -moves ^ below).wrapping_sub(below));
            which &= which - 1;
        }
    }
}
