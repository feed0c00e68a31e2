//! Entropy-coded data to tokens of requantised coefficients, in one go (ITU T.81, F.2.2).

use std::sync::Arc;

use super::bits::{BitReader, Ending, Reservoir, Window};
use super::header::marker;
use super::huffman::{Step, StepTable, SymbolTable, magnitude};
use super::quantise::{Plane, Requantiser};
use super::refusal::Refusal::{self, Corrupt, OtherKind};
use super::token::{BLOCK_ROOM, Counts, KINDS, Token, Tokens};

const BAD_CODE: Refusal = Corrupt("the JPEG's compressed data holds a code that is not in its table");
const CUT_SHORT: Refusal = Corrupt("the JPEG's compressed data ends before the picture does");
const NO_RESTART: Refusal = Corrupt("a restart marker is not where the JPEG's header says");

/// One component's way through a scan.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) plane: Plane,
    /// Data units in an MCU.
    pub(super) blocks: usize,
    pub(super) dc: SymbolTable,
    pub(super) ac: Arc<StepTable>,
    pub(super) requantiser: Requantiser,
    /// The DC coefficient before, as the source has it.
    source_dc: i32,
    /// The DC coefficient before, as it is written.
    written_dc: i32,
}

impl Channel {
    pub(super) fn new(
        plane: Plane,
        blocks: usize,
        dc: SymbolTable,
        ac: Arc<StepTable>,
        requantiser: Requantiser,
    ) -> Self {
        Channel { plane, blocks, dc, ac, requantiser, source_dc: 0, written_dc: 0 }
    }
}

/// Where tokens go.
#[derive(Debug)]
pub(super) struct Sink<'a> {
    pub(super) tokens: &'a mut Tokens,
    pub(super) counts: &'a mut Counts,
    /// Most chunks of tokens.
    pub(super) limit: usize,
}

/// MCUs of a scan.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    pub(super) mcus: u32,
    /// MCUs between restart markers; 0 for none.
    pub(super) restart_interval: u32,
}

/// Reads a scan whose data begins at an offset; the offset of what follows it.
pub(super) fn read_scan(
    bytes: &[u8],
    at: usize,
    window: &mut Window,
    channels: &mut [Channel],
    extent: Extent,
    sink: &mut Sink,
) -> Result<usize, Refusal> {
    let mut reader = BitReader::new(bytes, at, window);
    let empty = EmptyMcu::new(channels);
    let interval = if extent.restart_interval == 0 { extent.mcus } else { extent.restart_interval };
    let (mut left, mut restarts) = (extent.mcus, 0_u8);
    loop {
        let now = left.min(interval);
        read_interval(&mut reader, channels, empty, now, sink)?;
        left -= now;
        let ending = reader.finish().ok_or(CUT_SHORT)?;
        if left == 0 {
            sink.tokens.push(Token::end_of_scan(), sink.limit).ok_or(OtherKind)?;
            return match ending {
                Ending::Clean(at) => Ok(at),
                Ending::Extra => Err(OtherKind),
            };
        }
        let Ending::Clean(at) = ending else { return Err(NO_RESTART) };
        match marker(bytes, at) {
            Some((code, behind)) if code == 0xD0 + restarts => reader.restart(behind),
            None if at == bytes.len() => return Err(CUT_SHORT),
            _ => return Err(NO_RESTART),
        }
        restarts = (restarts + 1) & 7;
        for channel in channels.iter_mut() {
            channel.source_dc = 0;
        }
    }
}

/// The bits of an MCU in which no DC coefficient changes and all AC coefficients are zero.
#[derive(Debug, Clone, Copy)]
struct EmptyMcu {
    /// On top.
    bits: u64,
    /// How many of the top bits count; 0 when such an MCU can't be told by its bits.
    length: u32,
}

impl EmptyMcu {
    fn new(channels: &[Channel]) -> Self {
        Self::find(channels).unwrap_or(EmptyMcu { bits: 0, length: 0 })
    }

    fn find(channels: &[Channel]) -> Option<Self> {
        let (mut bits, mut length) = (0_u64, 0);
        for channel in channels {
            let (dc, end) = (channel.dc.code_of(0)?, channel.ac.code_of(0)?);
            for (code, size) in (0..channel.blocks).flat_map(|_| [dc, end]) {
                length += size;
                if length > 56 {
                    return None;
                }
                bits |= u64::from(code) << (64 - length);
            }
        }
        Some(EmptyMcu { bits, length })
    }

    #[inline(always)]
    fn is_next(self, next: u64) -> bool {
        self.length > 0 && (next ^ self.bits) >> (64 - self.length) == 0
    }
}

/// Reads MCUs between two markers.
fn read_interval(
    reader: &mut BitReader,
    channels: &mut [Channel],
    empty: EmptyMcu,
    mcus: u32,
    sink: &mut Sink,
) -> Result<(), Refusal> {
    // After a restart marker equal bits don't mean equal coefficients: the source's prediction has changed.
    let mut predicted = channels.iter().all(|channel| channel.written_dc == 0);
    let mut left = mcus;
    while left > 0 {
        let mut empties = 0;
        while predicted && left > 0 {
            reader.reservoir.refill(reader.window);
            if !empty.is_next(reader.reservoir.next) {
                break;
            }
            reader.reservoir.consume(empty.length);
            if !reader.advance() {
                return Err(CUT_SHORT);
            }
            empties += 1;
            left -= 1;
        }
        if empties > 0 {
            put_empty_mcus(channels, empties, sink)?;
        }
        if left > 0 {
            if !reader.advance() {
                return Err(CUT_SHORT);
            }
            read_mcu(reader, channels, sink)?;
            left -= 1;
        }
        predicted = true;
    }
    Ok(())
}

fn put_empty_mcus(channels: &[Channel], count: u32, sink: &mut Sink) -> Result<(), Refusal> {
    for channel in channels {
        sink.counts.add_empty_blocks(channel.plane, count * channel.blocks as u32);
    }
    let mut left = count;
    while left > 0 {
        let now = left.min(u32::from(u16::MAX));
        sink.tokens.push(Token::empty_mcus(now as u16), sink.limit).ok_or(OtherKind)?;
        left -= now;
    }
    Ok(())
}

#[inline(always)]
fn read_mcu(reader: &mut BitReader, channels: &mut [Channel], sink: &mut Sink) -> Result<(), Refusal> {
    let out = sink.tokens.room(sink.limit).ok_or(OtherKind)?;
    let mut written = 0;
    for channel in channels {
        for _ in 0..channel.blocks {
            let Some(out) = out[written..].first_chunk_mut() else { return Err(OtherKind) };
            let counts = &mut sink.counts.0[channel.plane as usize];
            written +=
                read_block(&mut reader.reservoir, reader.window, channel, out, counts).ok_or(BAD_CODE)?;
        }
    }
    sink.tokens.keep(written);
    Ok(())
}

/// A block's tokens as they come.
struct Block<'a> {
    plane: Plane,
    out: &'a mut [Token; BLOCK_ROOM],
    written: usize,
    counts: &'a mut [u32; KINDS],
    /// Position of the last coefficient written.
    last: u32,
}

impl Block<'_> {
    /// Puts a coefficient at a position, unless it requantises to zero: then nothing happens, without a branch.
    #[inline(always)]
    fn put(&mut self, requantiser: &Requantiser, at: u32, magnitude: u32, negative: u32) {
        let value = requantiser.ac(at as usize, magnitude);
        let kept = value != 0;
        let size = 32 - (value | 1).leading_zeros();
        let bits = value ^ (negative & ((1 << size) - 1));
        let run = at.wrapping_sub(self.last + 1) & 63;
        self.out[self.written & (BLOCK_ROOM - 1)] = Token::ac(self.plane, run, size, bits);
        self.counts[(run << 4 | size) as usize & (KINDS - 1)] += u32::from(kept);
        self.written += usize::from(kept);
        self.last = if kept { at } else { self.last };
    }
}

/// Reads one data unit; how many tokens it became. `None` when a code is unknown or leads out of the block.
#[inline(always)]
fn read_block(
    reservoir: &mut Reservoir,
    window: &Window,
    channel: &mut Channel,
    out: &mut [Token; BLOCK_ROOM],
    counts: &mut [u32; KINDS],
) -> Option<usize> {
    let mut bits = *reservoir;
    let plane = channel.plane;
    let dc = read_dc(&mut bits, window, channel)?;
    counts[dc.kind() & (KINDS - 1)] += 1;
    out[0] = dc;
    let mut block = Block { plane, out, written: 1, counts, last: 0 };
    *reservoir = read_ac(bits, window, &channel.ac, &channel.requantiser, &mut block)?;
    if block.last != 63 {
        block.out[block.written & (BLOCK_ROOM - 1)] = Token::end_of_block(plane);
        block.counts[0] += 1;
        block.written += 1;
    }
    Some(block.written)
}

/// The DC difference's token (T.81, F.2.2.1).
#[inline(always)]
fn read_dc(bits: &mut Reservoir, window: &Window, channel: &mut Channel) -> Option<Token> {
    bits.refill(window);
    let code = channel.dc.find(bits.next)?;
    let size = u32::from(code.symbol) & 15;
    let (magnitude, negative) = magnitude(bits.next << code.length, 63 - size);
    bits.consume(code.length + size);
    let difference = (magnitude ^ negative).wrapping_sub(negative) as i32;
    channel.source_dc = channel.source_dc.wrapping_add(difference);
    let value = channel.requantiser.dc(channel.source_dc);
    let change = value - channel.written_dc;
    channel.written_dc = value;
    let size = 32 - change.unsigned_abs().leading_zeros();
    let bits = (change + (change >> 31)) as u32 & ((1 << size) - 1);
    Some(Token::dc(channel.plane, size, bits))
}

/// Walks through the AC coefficients (T.81, F.2.2.2).
#[inline(always)]
fn read_ac(
    mut bits: Reservoir,
    window: &Window,
    table: &StepTable,
    requantiser: &Requantiser,
    block: &mut Block,
) -> Option<Reservoir> {
    let mut at = 0;
    loop {
        bits.refill(window);
        // A step takes 26 bits at most, so two of them can be made from 56.
        for _ in 0..2 {
            let step = table.step(bits.next);
            let mut to = at + step.advance();
            let (mut magnitude, mut negative) = step.coefficient(bits.next);
            if to < 63 {
                bits.consume(step.bits());
            } else if to == 63 {
                bits.consume(step.bits());
                block.put(requantiser, to, magnitude, negative);
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
                    block.put(requantiser, to, magnitude, negative);
                    return Some(bits);
                }
            }
            block.put(requantiser, to, magnitude, negative);
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
    (to <= 63).then_some(Symbol { bits: code.length + size, to, magnitude, negative, ends })
}
