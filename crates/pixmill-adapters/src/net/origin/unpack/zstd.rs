//! Zstandard (RFC 8878), with windows of up to 8 MiB, which is what senders keep to (RFC 9659).

use std::io::Read;

use bytes::{Buf, Bytes};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::{Broken, Step, Undo};

/// The window, a block beyond it, and tables.
pub(super) const MEMORY_BYTES: u64 = 10 << 20;

const WINDOW_MAX: u64 = 8 << 20;
const MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
/// The longest header of a frame, magic included.
const HEADER_MAX: usize = 18;
const BLOCK_HEADER: usize = 3;
const CHECKSUM: usize = 4;

/// Whether a frame begins so.
pub(super) fn begins(beginning: &[u8]) -> bool {
    beginning.starts_with(&MAGIC)
}

pub(super) struct Zstd {
    decoder: Box<FrameDecoder>,
    in_frame: bool,
    /// A checksum follows the last block.
    checksum: bool,
}

impl Zstd {
    pub(super) fn new() -> Self {
        Zstd { decoder: Box::new(FrameDecoder::new()), in_frame: false, checksum: false }
    }

    fn begin(&mut self, input: &mut Bytes, last: bool) -> Result<Step, Broken> {
        if input.len() < HEADER_MAX && !last {
            return Ok(Step::Hungry);
        }
        if window(input)? > WINDOW_MAX {
            return Err(Broken);
        }
        self.checksum = input[4] & 4 != 0;
        let mut rest = &input[..];
        self.decoder.reset(&mut rest).map_err(|_| Broken)?;
        let read = input.len() - rest.len();
        input.advance(read);
        self.in_frame = true;
        Ok(Step::Again)
    }

    /// One block at a time: many could be hidden in a few bytes.
    fn block(&mut self, input: &mut Bytes) -> Result<Step, Broken> {
        let Some(header) = input.get(..BLOCK_HEADER) else { return Ok(Step::Hungry) };
        let header = u32::from_le_bytes([header[0], header[1], header[2], 0]);
        let (is_last, kind, size) = (header & 1 == 1, header >> 1 & 3, (header >> 3) as usize);
        let size = if kind == 1 { 1 } else { size };
        let needed = BLOCK_HEADER + size + if is_last && self.checksum { CHECKSUM } else { 0 };
        if size > 128 << 10 {
            return Err(Broken);
        }
        if input.len() < needed {
            return Ok(Step::Hungry);
        }
        let mut rest = &input[..needed];
        let strategy = BlockDecodingStrategy::UptoBlocks(1);
        self.decoder.decode_blocks(&mut rest, strategy).map_err(|_| Broken)?;
        input.advance(needed);
        Ok(Step::Again)
    }

    /// Judges a frame of which everything has been handed on.
    fn end(&mut self, input: &[u8], last: bool) -> Result<Step, Broken> {
        if input.len() < MAGIC.len() && !last {
            return Ok(Step::Hungry);
        }
        let told = self.decoder.get_checksum_from_data();
        if told.is_some() && told != self.decoder.get_calculated_checksum() {
            return Err(Broken);
        }
        self.in_frame = false;
        Ok(if begins(input) { Step::Again } else { Step::End })
    }
}

impl Undo for Zstd {
    fn step(&mut self, input: &mut Bytes, last: bool, out: &mut Vec<u8>) -> Result<Step, Broken> {
        if !self.in_frame {
            return self.begin(input, last);
        }
        if self.decoder.can_collect() == 0 {
            return if self.decoder.is_finished() { self.end(input, last) } else { self.block(input) };
        }
        let room = out.capacity();
        out.resize(room, 0);
        let made = self.decoder.read(out).map_err(|_| Broken)?;
        out.truncate(made);
        Ok(Step::Again)
    }
}

/// The window that a frame asks for (RFC 8878, section 3.1.1.1), bytes.
fn window(header: &[u8]) -> Result<u64, Broken> {
    let descriptor = *header.get(4).ok_or(Broken)?;
    if !begins(header) {
        return Err(Broken);
    }
    if descriptor & 0x20 == 0 {
        let byte = u64::from(*header.get(5).ok_or(Broken)?);
        let base = 1u64 << (10 + (byte >> 3));
        return Ok(base + base / 8 * (byte & 7));
    }
    // A single segment: the window is the content.
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let length = [1, 2, 4, 8][usize::from(descriptor >> 6)];
    let field = header.get(5 + dictionary..5 + dictionary + length).ok_or(Broken)?;
    let value = field.iter().rev().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
    Ok(if length == 2 { value + 256 } else { value })
}
