//! A sequential scan to tokens of requantised coefficients, in one go (ITU T.81, F.2.2).

use std::sync::Arc;

use super::bits::{BitReader, Reservoir, Window};
use super::huffman::{StepTable, SymbolTable};
use super::quantise::{Plane, Requantiser};
use super::refusal::Refusal::{self, OtherKind};
use super::scan::{BAD_CODE, CUT_SHORT, Mcus, Put, read_ac, read_dc};
use super::token::{BLOCK_ROOM, Counts, KINDS, Token, Tokens};

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

    /// What the source's difference becomes.
    #[inline(always)]
    fn dc_token(&mut self, difference: i32) -> Token {
        self.source_dc = self.source_dc.wrapping_add(difference);
        let value = self.requantiser.dc(self.source_dc);
        let change = value - self.written_dc;
        self.written_dc = value;
        let size = 32 - change.unsigned_abs().leading_zeros();
        let bits = (change + (change >> 31)) as u32 & ((1 << size) - 1);
        Token::dc(self.plane, size, bits)
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

/// A scan on its way to tokens.
#[derive(Debug)]
pub(super) struct Stream<'a> {
    channels: &'a mut [Channel],
    empty: EmptyMcu,
    sink: Sink<'a>,
}

impl<'a> Stream<'a> {
    pub(super) fn new(channels: &'a mut [Channel], sink: Sink<'a>) -> Self {
        let empty = EmptyMcu::new(channels);
        Stream { channels, empty, sink }
    }

    /// Marks the scan's end.
    pub(super) fn end(self) -> Result<(), Refusal> {
        self.sink.tokens.push(Token::end_of_scan(), self.sink.limit).ok_or(OtherKind)
    }
}

impl Mcus for Stream<'_> {
    #[inline(always)]
    fn read(&mut self, reader: &mut BitReader, count: u32) -> Result<(), Refusal> {
        read_interval(reader, self.channels, self.empty, count, &mut self.sink)
    }

    fn restart(&mut self) {
        self.channels.iter_mut().for_each(|channel| channel.source_dc = 0);
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
#[inline(always)]
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
    requantiser: &'a Requantiser,
    out: &'a mut [Token; BLOCK_ROOM],
    written: usize,
    counts: &'a mut [u32; KINDS],
    /// Position of the last coefficient written.
    last: u32,
}

impl Put for Block<'_> {
    /// Puts a coefficient at a position, unless it requantises to zero: then nothing happens, without a branch.
    #[inline(always)]
    fn put(&mut self, at: u32, magnitude: u32, negative: u32) {
        let value = self.requantiser.ac(at as usize, magnitude);
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
    let difference = read_dc(&mut bits, window, &channel.dc)?;
    let dc = channel.dc_token(difference);
    counts[dc.kind() & (KINDS - 1)] += 1;
    out[0] = dc;
    let mut block = Block { plane, requantiser: &channel.requantiser, out, written: 1, counts, last: 0 };
    *reservoir = read_ac(bits, window, &channel.ac, &mut block)?;
    if block.last != 63 {
        block.out[block.written & (BLOCK_ROOM - 1)] = Token::end_of_block(plane);
        block.counts[0] += 1;
        block.written += 1;
    }
    Some(block.written)
}
