//! What all kinds of scan share: restart markers, and the codes of a data unit (ITU T.81, F.2.2).

use pixmill_cpu::Kernel;

use super::bits::{BitReader, Ending, Reservoir, Window};
use super::huffman::{Step, StepTable, SymbolTable, magnitude, step};
use super::quantise::AC_LIMIT;
use super::refusal::Refusal::{self, Corrupt};
use crate::markers::marker;

pub(super) const BAD_CODE: Refusal =
    Corrupt("the JPEG's compressed data holds a code that is not in its table");
pub(super) const CUT_SHORT: Refusal = Corrupt("the JPEG's compressed data ends before the picture does");
const EXTRA: Refusal = Corrupt("the JPEG's compressed data goes on where the picture has ended");
const NO_RESTART: Refusal = Corrupt("a restart marker is not where the JPEG's header says");

/// MCUs of a scan.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    pub(super) mcus: u32,
    /// MCUs between restart markers; 0 for none.
    pub(super) restart_interval: u32,
}

/// What is done with the MCUs of one kind of scan.
pub(super) trait Mcus {
    /// Reads so many MCUs, between which there is no marker.
    fn read(&mut self, reader: &mut BitReader, count: u32) -> Result<(), Refusal>;

    /// Forgets what is predicted from earlier MCUs.
    fn restart(&mut self);
}

/// Reading MCUs is worth the machine's best instructions.
struct Interval<'a, 'b, M> {
    mcus: &'a mut M,
    reader: &'a mut BitReader<'b>,
    count: u32,
}

impl<M: Mcus> Kernel for Interval<'_, '_, M> {
    type Output = Result<(), Refusal>;

    #[inline(always)]
    fn run(self) -> Self::Output {
        self.mcus.read(self.reader, self.count)
    }
}

/// Reads a scan whose data begins at an offset; the offset of what follows it.
///
/// A restart marker that is lost, or that has another number than its turn, does no harm as long as every block is
/// accounted for: data units come one after the other, the byte is filled up where the marker was, and the scan ends
/// with its last block.
pub(super) fn read_scan(
    bytes: &[u8],
    at: usize,
    window: &mut Window,
    extent: Extent,
    mcus: &mut impl Mcus,
) -> Result<usize, Refusal> {
    let mut reader = BitReader::new(bytes, at, window);
    let interval = if extent.restart_interval == 0 { extent.mcus } else { extent.restart_interval };
    let mut left = extent.mcus;
    loop {
        let now = left.min(interval);
        pixmill_cpu::run(Interval { mcus, reader: &mut reader, count: now })?;
        left -= now;
        let ending = reader.finish().ok_or(CUT_SHORT)?;
        if left == 0 {
            let mut end = match ending {
                Ending::Clean(at) => at,
                Ending::Extra => reader.behind_padding().ok_or(EXTRA)?,
            };
            // Some writers put a marker behind the last interval too.
            while let Some((0xD0..=0xD7, behind)) = marker(bytes, end) {
                end = behind;
            }
            // But no interval more.
            let goes_on = marker(bytes, end).is_none() && bytes[end..].iter().any(|&byte| byte != 0xFF);
            return if goes_on { Err(EXTRA) } else { Ok(end) };
        }
        match ending {
            Ending::Clean(at) => match marker(bytes, at) {
                Some((0xD0..=0xD7, behind)) => reader.restart(behind),
                None if at == bytes.len() => return Err(CUT_SHORT),
                _ => return Err(NO_RESTART),
            },
            Ending::Extra => reader.skip_padding().ok_or(NO_RESTART)?,
        }
        mcus.restart();
    }
}

/// The DC difference (T.81, F.2.2.1).
#[inline(always)]
pub(super) fn read_dc(bits: &mut Reservoir, window: &Window, table: &SymbolTable) -> Option<i32> {
    bits.refill(window);
    let code = table.find(bits.next)?;
    let size = u32::from(code.symbol) & 15;
    let (magnitude, negative) = magnitude(bits.next << code.length, 63 - size);
    bits.consume(code.length + size);
    Some((magnitude ^ negative).wrapping_sub(negative) as i32)
}

/// Takes AC coefficients as they come.
pub(super) trait Put {
    /// A coefficient's zigzag position and magnitude, which may be 0 and is [`AC_LIMIT`] at most; `negative` is all ones
    /// where it is below zero.
    fn put(&mut self, at: u32, magnitude: u32, negative: u32);
}

/// Walks through the AC coefficients (T.81, F.2.2.2).
#[inline(always)]
pub(super) fn read_ac(
    mut bits: Reservoir,
    window: &Window,
    table: &StepTable,
    block: &mut impl Put,
) -> Option<Reservoir> {
    let (mut at, steps) = (0, table.steps());
    loop {
        bits.refill(window);
        // A step takes 21 bits at most, so two of them can be made from 56.
        for _ in 0..2 {
            let step = step(steps, bits.next);
            let mut to = at + step.advance();
            let (mut magnitude, mut negative) = step.coefficient(bits.next);
            if to < 63 {
                bits.consume(step.bits());
            } else if to == 63 {
                bits.consume(step.bits());
                block.put(to, magnitude, negative);
                return Some(bits);
            } else if (Step::END..Step::END + 63).contains(&to) {
                // An end of block behind position 63 would be none: the block has ended before it.
                bits.consume(step.bits());
                return Some(bits);
            } else {
                bits.refill(window);
                let symbol = read_symbol(table, bits.next, at)?;
                (to, magnitude, negative) = (symbol.to, symbol.magnitude, symbol.negative);
                bits.consume(symbol.bits);
                bits.refill(window);
                if symbol.ends {
                    // An end of block leads nowhere, and must leave the coefficient before it as it is.
                    if to > at {
                        block.put(to, magnitude, negative);
                    }
                    return Some(bits);
                }
            }
            block.put(to, magnitude, negative);
            at = to;
        }
    }
}

/// A single symbol with its coefficient.
struct Symbol {
    bits: u32,
    /// The position that it leads to.
    to: u32,
    magnitude: u32,
    negative: u32,
    /// Whether the block ends with it.
    ends: bool,
}

/// Reads a single symbol where steps don't reach: at long codes and at the end of full blocks.
#[cold]
#[inline(never)]
fn read_symbol(table: &StepTable, next: u64, at: u32) -> Option<Symbol> {
    let code = table.symbol(next)?;
    let (run, size) = (u32::from(code.symbol >> 4), u32::from(code.symbol & 15));
    let (magnitude, negative) = magnitude(next << code.length, 63 - size);
    let to = match (run, size) {
        (15, 0) => at + 16,
        (_, 0) => at,
        _ => at + run + 1,
    };
    let ends = to == 63 || (size == 0 && run < 15);
    let magnitude = magnitude.min(AC_LIMIT);
    (to <= 63).then_some(Symbol { bits: code.length + size, to, magnitude, negative, ends })
}
