//! What is to be written, between reading it and knowing the best codes for it.

use super::quantise::Plane;

/// Kinds of token of one plane: AC coefficients as `run << 4 | size`, and in the gaps of that the others.
pub(super) const KINDS: usize = 1024;
/// End of block: a run of 0 before a coefficient of no bits.
const END_OF_BLOCK: u32 = 0;
/// MCUs in which each DC difference and all AC coefficients are zero.
const EMPTY_MCUS: u32 = 1 << 4;
/// Nothing more in this scan.
const END_OF_SCAN: u32 = 2 << 4;
/// DC difference; a run is at most 62.
const DC: u32 = 63 << 4;

/// A run of zeros and a coefficient, a DC difference, an end of block or scan, or a number of empty MCUs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Token(u32);

impl Token {
    /// `size` magnitude bits, after `run` zeros.
    #[inline(always)]
    pub(super) fn ac(plane: Plane, run: u32, size: u32, bits: u32) -> Self {
        Token((plane as u32 * KINDS as u32 + (run << 4) + size) << 16 | bits)
    }

    #[inline(always)]
    pub(super) fn dc(plane: Plane, size: u32, bits: u32) -> Self {
        Token((plane as u32 * KINDS as u32 + DC + size) << 16 | bits)
    }

    #[inline(always)]
    pub(super) fn end_of_block(plane: Plane) -> Self {
        Token((plane as u32 * KINDS as u32 + END_OF_BLOCK) << 16)
    }

    pub(super) fn empty_mcus(count: u16) -> Self {
        Token(EMPTY_MCUS << 16 | u32::from(count))
    }

    /// The kind: below `2 * KINDS`.
    #[inline(always)]
    pub(super) fn kind(self) -> usize {
        (self.0 >> 16) as usize
    }

    /// Magnitude bits, or the number of MCUs.
    #[inline(always)]
    pub(super) fn bits(self) -> u32 {
        self.0 & 0xFFFF
    }

    pub(super) fn end_of_scan() -> Self {
        Token(END_OF_SCAN << 16)
    }

    /// Whether this ends a scan.
    pub(super) fn is_end_of_scan(self) -> bool {
        self.0 >> 16 == END_OF_SCAN
    }

    /// Whether this stands for empty MCUs.
    pub(super) fn is_empty_mcus(self) -> bool {
        self.0 >> 16 == EMPTY_MCUS
    }
}

/// Tokens in a chunk: 128 KiB of them.
const CHUNK: usize = 1 << 15;
/// Room that a writer of tokens may rely on: an MCU of 10 blocks, the most there may be, and a block's window beyond it.
const ROOM: usize = 10 * 66 + BLOCK_ROOM;
/// Tokens that a block may be written into; it takes 65 at most.
pub(super) const BLOCK_ROOM: usize = 128;
/// Chunks that are kept for the next picture: 8 MiB.
const KEPT_CHUNKS: usize = 64;

/// Tokens of a picture in chunks, so that growing never copies.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    chunks: Vec<Chunk>,
    /// Chunks before this one hold tokens of this picture.
    current: usize,
}

#[derive(Debug)]
struct Chunk {
    tokens: Vec<Token>,
    length: usize,
}

impl Tokens {
    pub(super) const PER_CHUNK: u64 = (CHUNK - ROOM) as u64;
    pub(super) const BYTES_PER_CHUNK: u64 = (CHUNK * size_of::<Token>()) as u64;

    #[cfg(test)]
    pub(super) fn allocated_bytes(&self) -> u64 {
        self.chunks.len() as u64 * Self::BYTES_PER_CHUNK
    }

    /// Gives memory back beyond what a usual picture needs, and forgets the tokens.
    pub(super) fn trim(&mut self) {
        self.chunks.truncate(KEPT_CHUNKS);
        self.clear();
    }

    /// Forgets the tokens.
    pub(super) fn clear(&mut self) {
        self.current = 0;
        if let Some(first) = self.chunks.first_mut() {
            first.length = 0;
        }
    }

    /// Where the next MCU's tokens go; `None` when there would be more than `limit` chunks.
    #[inline(always)]
    pub(super) fn room(&mut self, limit: usize) -> Option<&mut [Token]> {
        let full = self.chunks.get(self.current).is_none_or(|chunk| chunk.length + ROOM > CHUNK);
        if full {
            self.next_chunk(limit)?;
        }
        let chunk = &mut self.chunks[self.current];
        Some(&mut chunk.tokens[chunk.length..])
    }

    /// Adds one token, if the limit allows.
    pub(super) fn push(&mut self, token: Token, limit: usize) -> Option<()> {
        self.room(limit)?[0] = token;
        self.keep(1);
        Some(())
    }

    /// Keeps that many of the tokens written into the room.
    #[inline(always)]
    pub(super) fn keep(&mut self, count: usize) {
        self.chunks[self.current].length += count;
    }

    #[cold]
    fn next_chunk(&mut self, limit: usize) -> Option<()> {
        if !self.chunks.is_empty() {
            self.current += 1;
        }
        if self.current >= limit {
            return None;
        }
        match self.chunks.get_mut(self.current) {
            Some(chunk) => chunk.length = 0,
            None => self.chunks.push(Chunk { tokens: vec![Token::default(); CHUNK], length: 0 }),
        }
        Some(())
    }

    /// The tokens in order, in pieces.
    pub(super) fn pieces(&self) -> impl Iterator<Item = &[Token]> {
        self.chunks.iter().take(self.current + 1).map(|chunk| &chunk.tokens[..chunk.length])
    }
}

/// How often each kind of token occurs.
#[derive(Debug)]
pub(super) struct Counts(pub(super) Box<[[u32; KINDS]; 2]>);

impl Default for Counts {
    fn default() -> Self {
        Counts(Box::new([[0; KINDS]; 2]))
    }
}

/// Symbols of a plane's DC and AC codes, each with how often it occurs.
#[derive(Debug, Clone)]
pub(super) struct SymbolCounts {
    pub(super) dc: [u64; 256],
    pub(super) ac: [u64; 256],
}

/// Symbol for 16 zeros (T.81, F.1.2.2.1).
pub(super) const SIXTEEN_ZEROS: u8 = 0xF0;

/// A kind of token taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// DC difference.
    Dc {
        /// Magnitude bits.
        size: u8,
    },
    /// AC coefficient, or end of block.
    Ac {
        /// Times [`SIXTEEN_ZEROS`] before it.
        sixteens: u8,
        /// The rest of the run, and the magnitude bits: the symbol itself.
        symbol: u8,
    },
}

impl Kind {
    /// What a kind below [`KINDS`] is.
    pub(super) fn of(kind: usize) -> Kind {
        let size = (kind & 15) as u8;
        match kind >> 4 {
            63 => Kind::Dc { size },
            run => Kind::Ac { sixteens: (run >> 4) as u8, symbol: (run as u8 & 15) << 4 | size },
        }
    }
}

impl Counts {
    /// Starts from nothing.
    pub(super) fn clear(&mut self) {
        *self.0 = [[0; KINDS]; 2];
    }

    /// Counts blocks without any change of DC or AC coefficient.
    pub(super) fn add_empty_blocks(&mut self, plane: Plane, blocks: u32) {
        self.0[plane as usize][DC as usize] += blocks;
        self.0[plane as usize][END_OF_BLOCK as usize] += blocks;
    }

    /// Symbols of a plane.
    pub(super) fn symbols(&self, plane: Plane) -> SymbolCounts {
        let mut symbols = SymbolCounts { dc: [0; 256], ac: [0; 256] };
        for (kind, &count) in self.0[plane as usize].iter().enumerate() {
            let count = u64::from(count);
            match Kind::of(kind) {
                Kind::Dc { size } => symbols.dc[usize::from(size)] += count,
                Kind::Ac { sixteens, symbol } => {
                    symbols.ac[usize::from(symbol)] += count;
                    symbols.ac[usize::from(SIXTEEN_ZEROS)] += count * u64::from(sixteens);
                }
            }
        }
        symbols
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_what_its_token_was_made_of() {
        let kind = |token: Token| Kind::of(token.kind() % KINDS);
        assert_eq!(
            kind(Token::ac(Plane::Luminance, 62, 10, 1)),
            Kind::Ac { sixteens: 3, symbol: 14 << 4 | 10 }
        );
        assert_eq!(kind(Token::ac(Plane::Chrominance, 0, 1, 0)), Kind::Ac { sixteens: 0, symbol: 1 });
        assert_eq!(kind(Token::dc(Plane::Chrominance, 11, 7)), Kind::Dc { size: 11 });
        assert_eq!(kind(Token::end_of_block(Plane::Luminance)), Kind::Ac { sixteens: 0, symbol: 0 });
        assert_eq!(Token::ac(Plane::Chrominance, 62, 10, 1023).kind() / KINDS, 1);
        assert_eq!(Token::ac(Plane::Chrominance, 62, 10, 1023).bits(), 1023);
    }

    #[test]
    fn long_runs_count_their_sixteens() {
        let mut counts = Counts::default();
        counts.0[1][Token::ac(Plane::Luminance, 35, 2, 0).kind()] = 5;
        counts.add_empty_blocks(Plane::Chrominance, 7);
        let symbols = counts.symbols(Plane::Chrominance);
        assert_eq!((symbols.ac[0xF0], symbols.ac[0x32], symbols.ac[0], symbols.dc[0]), (10, 5, 7, 7));
    }

    #[test]
    fn tokens_come_back_in_order_up_to_the_limit() {
        let mut tokens = Tokens::default();
        let mut count = 0_u32;
        while tokens.push(Token(count), 3).is_some() {
            count += 1;
        }
        assert_eq!(u64::from(count), 3 * (Tokens::PER_CHUNK + 1));
        assert!(tokens.pieces().flatten().zip(0..).all(|(token, at)| *token == Token(at)));
        tokens.clear();
        assert_eq!(tokens.pieces().flatten().count(), 0);
    }

    #[test]
    fn no_more_than_eight_mebibytes_are_kept_for_the_next_picture() {
        let mut tokens = Tokens::default();
        while tokens.next_chunk(KEPT_CHUNKS + 5).is_some() {}
        assert_eq!(tokens.allocated_bytes(), (8 << 20) + 5 * Tokens::BYTES_PER_CHUNK);
        tokens.trim();
        assert_eq!(tokens.allocated_bytes(), 8 << 20);
        assert!(tokens.push(Token::end_of_scan(), 1).is_some());
    }
}
