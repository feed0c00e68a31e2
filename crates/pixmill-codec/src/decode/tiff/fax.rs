//! Facsimile codes: ITU-T T.4 in one and two dimensions, T.6, and TIFF's own way with T.4 (TIFF 6.0, sections 10 and 11).

use std::convert::Infallible;

use fax::BitReader;
use fax::maps::{Mode, black, mode, white};

use crate::Error;
use crate::error::unsupported;

/// Two-dimensional coding is used (T4Options).
const TWO_DIMENSIONAL: u32 = 1;
/// Pixels may come uncompressed (T4Options).
const UNCOMPRESSED: u32 = 2;

/// Rows of bits, black ones set, as far as they go; up to so many bytes.
pub(super) fn unpack(
    data: &[u8],
    compression: u32,
    options: u32,
    width: usize,
    wanted: usize,
) -> Result<Vec<u8>, Error> {
    if compression == 3 && options & UNCOMPRESSED != 0 {
        return Err(unsupported(
            "a TIFF of facsimile codes with uncompressed pixels among them, which is not read",
        ));
    }
    let mut bits = Bits { data, at: 0 };
    let mut out = Vec::with_capacity(wanted);
    let mut reference = Vec::new();
    while out.len() < wanted && bits.at < data.len() * 8 {
        let row = match compression {
            3 => {
                let one_dimensional = bits.skip_end_of_line(options & TWO_DIMENSIONAL != 0);
                if one_dimensional {
                    one_way(&mut bits, width)
                } else {
                    two_ways(&mut bits, &reference, width)
                }
            }
            4 => two_ways(&mut bits, &reference, width),
            word => {
                let row = one_way(&mut bits, width);
                bits.align(if word == 32_771 { 16 } else { 8 });
                row
            }
        };
        let Some(row) = row else { break };
        put(&row, width, &mut out);
        reference = row;
    }
    Ok(out)
}

/// Bits of data, with zeros behind them.
struct Bits<'a> {
    data: &'a [u8],
    at: usize,
}

impl BitReader for Bits<'_> {
    type Error = Infallible;

    fn peek(&self, bits: u8) -> Option<u16> {
        // What goes on behind the end is no code.
        let byte = |at: usize| u32::from(self.data.get(self.at / 8 + at).copied().unwrap_or(0));
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        let there = self.at < self.data.len() * 8;
        there.then_some((word << (8 + self.at % 8) >> (32 - u32::from(bits).max(1))) as u16)
    }

    fn consume(&mut self, bits: u8) -> Result<(), Infallible> {
        self.at += usize::from(bits);
        Ok(())
    }

    fn bits_to_byte_boundary(&self) -> u8 {
        (self.at.next_multiple_of(8) - self.at) as u8
    }
}

impl Bits<'_> {
    fn align(&mut self, bits: usize) {
        self.at = self.at.next_multiple_of(bits);
    }

    fn bit(&self, at: usize) -> bool {
        self.data.get(at / 8).is_some_and(|byte| byte << (at % 8) & 0x80 != 0)
    }

    /// Goes behind an end of line, if there is one: eleven zeros or more, and a one. Whether the row that follows is
    /// coded by itself, as a bit behind it says where that is `tagged`.
    fn skip_end_of_line(&mut self, tagged: bool) -> bool {
        let end = self.data.len() * 8;
        let mut by_itself = true;
        loop {
            let one = (self.at..end).find(|&at| self.bit(at));
            let Some(one) = one.filter(|one| one - self.at >= 11) else { return by_itself };
            self.at = one + 1;
            if tagged {
                by_itself = self.bit(self.at);
                self.at += 1;
            }
        }
    }
}

/// The length of a run, whose parts of 64 pixels come first.
fn run(bits: &mut Bits, is_black: bool) -> Option<usize> {
    let mut sum = 0;
    loop {
        let part = if is_black { black::decode(bits) } else { white::decode(bits) };
        let part = usize::from(part?);
        sum += part;
        if part < 64 {
            return Some(sum);
        }
    }
}

/// Where colours change in a row that is coded by itself, white first.
fn one_way(bits: &mut Bits, width: usize) -> Option<Vec<usize>> {
    let (mut changes, mut at) = (Vec::new(), 0);
    while at < width {
        at += run(bits, changes.len() % 2 == 1)?;
        changes.push(at);
    }
    (at == width).then_some(changes)
}

/// Where colours change in a row that is coded by the one above it (T.6, 2.2).
fn two_ways(bits: &mut Bits, above: &[usize], width: usize) -> Option<Vec<usize>> {
    let mut changes: Vec<usize> = Vec::new();
    // The row begins before its first pixel, where a change at that one counts.
    let mut at: Option<usize> = None;
    let mut near = 0_usize;
    while at.unwrap_or(0) < width {
        let is_black = changes.len() % 2 == 1;
        // The next change above to the other colour.
        near = near.saturating_sub(2) & !1 | usize::from(is_black);
        while above.get(near).is_some_and(|&change| at.is_some_and(|at| change <= at)) {
            near += 2;
        }
        let change = |index: usize| above.get(index).copied().unwrap_or(width).min(width);
        match mode::decode(bits)? {
            Mode::Pass => at = Some(change(near + 1)),
            Mode::Vertical(by) => {
                let to = change(near)
                    .checked_add_signed(by.into())
                    .filter(|to| *to <= width && *to >= at.unwrap_or(0))?;
                changes.push(to);
                at = Some(to);
            }
            Mode::Horizontal => {
                let first = at.unwrap_or(0) + run(bits, is_black)?;
                let second = first + run(bits, !is_black)?;
                if second > width {
                    return None;
                }
                changes.extend([first, second]);
                at = Some(second);
            }
            Mode::Extension | Mode::EOF => return None,
        }
    }
    Some(changes)
}

/// Puts a row of bits into whole bytes.
fn put(changes: &[usize], width: usize, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + width.div_ceil(8), 0);
    let row = &mut out[start..];
    for pair in changes.chunks(2) {
        let end = pair.get(1).copied().unwrap_or(width).min(width);
        (pair[0]..end).for_each(|x| row[x / 8] |= 0x80 >> (x % 8));
    }
}
