//! Brotli (RFC 7932), within its standard windows of up to 16 MiB.

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use bytes::{Buf, Bytes};

use super::{Broken, PIECE, Step, Undo};

/// The window, and tables.
pub(super) const MEMORY_BYTES: u64 = 17 << 20;

pub(super) struct Brotli(Box<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>);

impl Brotli {
    pub(super) fn new() -> Self {
        let (bytes, words, codes) =
            (StandardAlloc::default(), StandardAlloc::default(), StandardAlloc::default());
        Brotli(Box::new(BrotliState::new_strict(bytes, words, codes)))
    }
}

impl Undo for Brotli {
    fn step(&mut self, input: &mut Bytes, _last: bool, out: &mut Vec<u8>) -> Result<Step, Broken> {
        let (mut available_in, mut read) = (input.len(), 0);
        let (mut available_out, mut made, mut total) = (PIECE, 0, 0);
        out.resize(PIECE, 0);
        let result = BrotliDecompressStream(
            &mut available_in,
            &mut read,
            input,
            &mut available_out,
            &mut made,
            out,
            &mut total,
            &mut self.0,
        );
        out.truncate(made);
        input.advance(read);
        match result {
            BrotliResult::ResultSuccess => Ok(Step::End),
            BrotliResult::NeedsMoreInput => Ok(Step::Hungry),
            BrotliResult::NeedsMoreOutput => Ok(Step::Again),
            BrotliResult::ResultFailure => Err(Broken),
        }
    }
}
