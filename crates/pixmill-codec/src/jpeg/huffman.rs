//! Reading Huffman codes (ITU T.81, Annex C and F.2.2.3).

/// Codes up to this long are found by one look-up; longer ones are rare.
pub(super) const LOOKUP_BITS: u32 = 11;
const LOOKUP_SIZE: usize = 1 << LOOKUP_BITS;

/// A table as a DHT segment defines it: how many codes of each length 1 to 16, and their symbols.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Definition {
    counts: [u8; 16],
    symbols: Vec<u8>,
}

impl Definition {
    /// `None` when the lengths don't make a prefix code (T.81, C.2).
    pub(super) fn new(counts: [u8; 16], symbols: &[u8]) -> Option<Self> {
        let mut space: u32 = 1 << 16;
        for (length, &count) in (1..).zip(&counts) {
            space = space.checked_sub(u32::from(count) << (16 - length))?;
        }
        let total: usize = counts.iter().map(|&count| usize::from(count)).sum();
        (total == symbols.len()).then(|| Definition { counts, symbols: symbols.to_vec() })
    }

    pub(super) fn symbols(&self) -> &[u8] {
        &self.symbols
    }

    /// The bits of a symbol's code and how many they are; `None` when it has no code.
    fn code_of(&self, symbol: u8) -> Option<(u32, u32)> {
        let index = self.symbols.iter().position(|&known| known == symbol)? as u32;
        let (mut first, mut code) = (0, 0);
        for (length, count) in (1..).zip(self.counts.map(u32::from)) {
            if index < first + count {
                return Some((code + index - first, length));
            }
            first += count;
            code = (code + count) << 1;
        }
        None
    }
}

/// One code, found: its length in bits and its symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Code {
    pub(super) length: u32,
    pub(super) symbol: u8,
}

/// Finds codes of any length.
#[derive(Debug, Clone)]
struct Canonical {
    /// For each length, the first 16-bit value whose prefix is beyond the codes of that length.
    ends: [u32; 17],
    /// For each length, what to add to a code to have the index of its symbol.
    offsets: [i32; 17],
    symbols: [u8; 256],
}

impl Canonical {
    fn new(definition: &Definition) -> Self {
        let mut canonical = Canonical { ends: [0; 17], offsets: [0; 17], symbols: [0; 256] };
        canonical.symbols[..definition.symbols.len()].copy_from_slice(&definition.symbols);
        let (mut code, mut index) = (0_u32, 0_i32);
        for length in 1..=16 {
            let count = definition.counts[length - 1];
            canonical.offsets[length] = index - code as i32;
            code += u32::from(count);
            index += i32::from(count);
            canonical.ends[length] = code << (16 - length);
            code <<= 1;
        }
        canonical
    }

    /// The code that the next 16 bits begin with.
    fn find(&self, next: u32) -> Option<Code> {
        let length = (1..=16).find(|&length| next < self.ends[length])?;
        let index = (next >> (16 - length)) as i32 + self.offsets[length];
        Some(Code { length: length as u32, symbol: self.symbols[index as usize & 255] })
    }
}

/// A table ready to read single symbols; serves DC differences as it is.
#[derive(Debug, Clone)]
pub(super) struct SymbolTable {
    definition: Definition,
    canonical: Canonical,
    /// `length << 8 | symbol` by the next bits; 0 where a code is longer than the look-up or none.
    lookup: Box<[u16; LOOKUP_SIZE]>,
}

impl SymbolTable {
    pub(super) fn new(definition: &Definition) -> Self {
        let canonical = Canonical::new(definition);
        let mut lookup = Box::new([0; LOOKUP_SIZE]);
        let (mut at, mut symbols) = (0, definition.symbols.iter());
        for length in 1..=LOOKUP_BITS as usize {
            for &symbol in symbols.by_ref().take(usize::from(definition.counts[length - 1])) {
                let span = LOOKUP_SIZE >> length;
                lookup[at..at + span].fill((length as u16) << 8 | u16::from(symbol));
                at += span;
            }
        }
        SymbolTable { definition: definition.clone(), canonical, lookup }
    }

    /// The code that `next`, 64 bits, begins with; `None` when it begins with no code.
    #[inline(always)]
    pub(super) fn find(&self, next: u64) -> Option<Code> {
        let entry = self.lookup[(next >> (64 - LOOKUP_BITS)) as usize];
        if entry != 0 {
            return Some(Code { length: u32::from(entry >> 8), symbol: entry as u8 });
        }
        self.canonical.find((next >> 48) as u32)
    }

    /// The bits of a symbol's code and how many they are; `None` when it has no code.
    pub(super) fn code_of(&self, symbol: u8) -> Option<(u32, u32)> {
        self.definition.code_of(symbol)
    }
}

/// One step through a block's AC coefficients, as [`StepTable`] finds it: coefficients that requantise to zero are
/// walked over together with the one after them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step(u32);

impl Step {
    /// Added to the position by a step that ends the block, which puts it beyond any position.
    pub(super) const END: u32 = 256;
    /// Added to the position by bits that the table can't tell; [`StepTable::symbol`] can.
    const UNKNOWN: Step = Step(512 << Self::ADVANCE_AT);
    const ADVANCE_AT: u32 = 22;

    /// `size`: magnitude bits, which are the last of the `bits`.
    fn new(bits: u32, size: u32, advance: u32) -> Self {
        Step(advance << Self::ADVANCE_AT | (63 - size) << 16 | (bits - size) << 8 | bits)
    }

    /// Bits from the start of the step to its end, magnitude bits included; at most 21.
    #[inline(always)]
    pub(super) fn bits(self) -> u32 {
        self.0 & 63
    }

    /// The magnitude of the coefficient that the step ends with, when `next` begins with the step: 0 when it ends
    /// with none. With it, ones for a negative coefficient and zero for a positive one.
    #[inline(always)]
    pub(super) fn coefficient(self, next: u64) -> (u32, u32) {
        magnitude(next.wrapping_shl(self.0 >> 8), self.0 >> 16)
    }

    /// How far to go from the position before.
    #[inline(always)]
    pub(super) fn advance(self) -> u32 {
        self.0 >> Self::ADVANCE_AT
    }
}

/// The magnitude that stands on top of `next`, in `63 - rest` bits, and ones when it is negative: the first bit is 1
/// for a positive value, and a negative one is written as the complement of its magnitude (T.81, F.1.2.1.1). Of
/// `rest`, the low 6 bits count.
#[inline(always)]
pub(super) fn magnitude(next: u64, rest: u32) -> (u32, u32) {
    let positive = next as i64 >> 63;
    let magnitude = (!(next ^ positive as u64) >> 1).wrapping_shr(rest);
    (magnitude as u32, !positive as u32)
}

/// The step that the next bits make.
#[inline(always)]
pub(super) fn step(steps: &[Step; LOOKUP_SIZE], next: u64) -> Step {
    steps[(next >> (64 - LOOKUP_BITS)) as usize]
}

/// A table ready to walk through AC coefficients of which the small ones don't matter.
#[derive(Debug)]
pub(super) struct StepTable {
    dead_size: u8,
    symbols: SymbolTable,
    steps: Box<[Step; LOOKUP_SIZE]>,
}

impl StepTable {
    /// `dead_size`: coefficients of that many magnitude bits or fewer requantise to zero.
    pub(super) fn new(definition: &Definition, dead_size: u8) -> Self {
        let symbols = SymbolTable::new(definition);
        let mut steps = Box::new([Step::UNKNOWN; LOOKUP_SIZE]);
        for (index, step) in steps.iter_mut().enumerate() {
            *step = walk(&symbols, u32::from(dead_size), index);
        }
        StepTable { dead_size, symbols, steps }
    }

    /// Whether this is the table for a definition and dead size.
    pub(super) fn is_for(&self, definition: &Definition, dead_size: u8) -> bool {
        self.dead_size == dead_size && self.symbols.definition == *definition
    }

    /// The steps, to be found by [`step`].
    pub(super) fn steps(&self) -> &[Step; LOOKUP_SIZE] {
        &self.steps
    }

    /// The bits of a symbol's code and how many they are; `None` when it has no code.
    pub(super) fn code_of(&self, symbol: u8) -> Option<(u32, u32)> {
        self.symbols.code_of(symbol)
    }

    /// The one symbol that the next bits begin with; `None` when there is none.
    pub(super) fn symbol(&self, next: u64) -> Option<Code> {
        self.symbols.find(next)
    }
}

/// Magnitude bits of AC coefficients in a baseline JPEG of 8 bits (T.81, table F.2); more are found symbol by symbol, and
/// cut down.
const MOST_BITS: u32 = 10;

/// The step that a look-up's bits make. Needs only codes whole, not the magnitude bits after the last one.
fn walk(symbols: &SymbolTable, dead_size: u32, index: usize) -> Step {
    let (mut bits, mut advance) = (0, 0);
    while bits < LOOKUP_BITS {
        let entry = symbols.lookup[index << bits & (LOOKUP_SIZE - 1)];
        let length = u32::from(entry >> 8);
        if length == 0 || bits + length > LOOKUP_BITS {
            break;
        }
        let (run, size) = (u32::from(entry as u8 >> 4), u32::from(entry & 15));
        if size > MOST_BITS {
            break;
        }
        bits += length + size;
        match (run, size) {
            (15, 0) => advance += 16,
            // Only 0x00 is defined to end a block; readers take these other runs without a coefficient for it too.
            (_, 0) => return Step::new(bits, 0, advance + Step::END),
            _ if size > dead_size => return Step::new(bits, size, advance + run + 1),
            _ => advance += run + 1,
        }
    }
    if bits == 0 { Step::UNKNOWN } else { Step::new(bits, 0, advance) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::optimise::Codes;
    use super::*;

    /// Table K.5 begins so: 0x01 is 00, 0x02 is 01, 0x03 is 100, end of block 1010.
    fn annex_k() -> Definition {
        let mut counts = [0; 16];
        (counts[1], counts[2], counts[3]) = (2, 1, 3);
        Definition::new(counts, &[0x01, 0x02, 0x03, 0x00, 0x04, 0x11]).unwrap()
    }

    #[test]
    fn codes_that_are_no_prefix_code_are_refused() {
        let mut counts = [0; 16];
        counts[0] = 3;
        assert_eq!(Definition::new(counts, &[1, 2, 3]), None);
        counts[0] = 2;
        assert!(Definition::new(counts, &[1, 2]).is_some());
        assert_eq!(Definition::new(counts, &[1]), None);
    }

    #[test]
    fn the_codes_of_annex_k_are_found() {
        let table = SymbolTable::new(&annex_k());
        let find =
            |bits: u64, length: u32| table.find(bits << (64 - length)).map(|code| (code.length, code.symbol));
        assert_eq!(find(0b00, 2), Some((2, 0x01)));
        assert_eq!(find(0b100, 3), Some((3, 0x03)));
        assert_eq!(find(0b1010, 4), Some((4, 0x00)));
        assert_eq!(find(0b1111, 4), None);
        assert_eq!(table.code_of(0x00), Some((0b1010, 4)));
        assert_eq!(table.code_of(0x77), None);
    }

    #[test]
    fn a_step_walks_over_dead_coefficients_to_the_next_live_one() {
        // Ones at 1 and 2, then -2 at 3, whose bits are 01 and 01.
        let bits = 0b00_1000_0101_u64 << 54;
        let all_live = step(StepTable::new(&annex_k(), 0).steps(), bits);
        assert_eq!((all_live.bits(), all_live.advance(), all_live.coefficient(bits)), (3, 1, (1, 0)));
        let ones_dead = step(StepTable::new(&annex_k(), 1).steps(), bits);
        assert_eq!((ones_dead.bits(), ones_dead.advance()), (10, 3));
        let (magnitude, negative) = ones_dead.coefficient(bits);
        assert_eq!((magnitude, negative), (2, u32::MAX));
    }

    #[test]
    fn a_step_to_the_end_of_a_block_says_so() {
        let bits = 0b001_1010_u64 << 57;
        let step = step(StepTable::new(&annex_k(), 1).steps(), bits);
        assert_eq!((step.bits(), step.advance()), (7, 1 + Step::END));
    }

    #[test]
    fn unknown_bits_lead_beyond_any_block() {
        assert!(step(StepTable::new(&annex_k(), 1).steps(), u64::MAX).advance() > Step::END + 63);
    }

    proptest! {
        #[test]
        fn any_table_finds_each_of_its_codes(
            of in prop::collection::vec(0..(1_u64 << 40), 1..250),
        ) {
            let codes = Codes::new(&std::array::from_fn(|at| of.get(at).copied().unwrap_or(0)));
            let table = SymbolTable::new(&Definition::new(codes.counts, &codes.symbols).unwrap());
            for &symbol in &codes.symbols {
                let (code, length) = codes.code(symbol);
                prop_assert_eq!(table.code_of(symbol), Some((code as u32, length)));
                prop_assert_eq!(table.find(code << (64 - length)), Some(Code { length, symbol }));
                let padded = code << (64 - length) | (u64::MAX >> length);
                prop_assert_eq!(table.find(padded), Some(Code { length, symbol }));
            }
        }

        #[test]
        fn a_step_goes_as_far_as_its_symbols_one_by_one(
            of in prop::collection::vec(0..(1_u64 << 40), 1..250), dead_size in 0_u8..=4, next: u64,
        ) {
            let codes = Codes::new(&std::array::from_fn(|at| of.get(at).copied().unwrap_or(0)));
            let table = StepTable::new(&Definition::new(codes.counts, &codes.symbols).unwrap(), dead_size);
            let step = step(table.steps(), next);
            prop_assume!(step != Step::UNKNOWN);
            let (mut bits, mut advance) = (0, 0);
            while bits < step.bits() {
                let code = table.symbol(next << bits).unwrap();
                let (run, size) = (u32::from(code.symbol >> 4), u32::from(code.symbol & 15));
                bits += code.length + size;
                advance += match (run, size) { (15, 0) => 16, (_, 0) => Step::END, _ => run + 1 };
                let last = bits == step.bits();
                prop_assert!(last || size <= u32::from(dead_size) && (size > 0 || run == 15));
                if last && size > u32::from(dead_size) {
                    let (magnitude, negative) = step.coefficient(next);
                    let raw = (next << (bits - size) >> (64 - size)) as u32;
                    let positive = raw >> (size - 1) == 1;
                    prop_assert_eq!(negative == 0, positive);
                    prop_assert_eq!(magnitude, if positive { raw } else { raw ^ ((1 << size) - 1) });
                }
            }
            prop_assert_eq!((bits, advance), (step.bits(), step.advance()));
            prop_assert!(bits <= 26);
        }
    }
}
