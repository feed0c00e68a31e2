//! The shortest Huffman codes for what is to be written (ITU T.81, K.2 and C.2).

/// Codes for up to 256 symbols, none longer than 16 bits and none of ones only.
#[derive(Debug, Clone)]
pub(super) struct Codes {
    /// How many codes there are of each length 1 to 16.
    pub(super) counts: [u8; 16],
    /// Symbols, by the length of their codes.
    pub(super) symbols: Vec<u8>,
    codes: [u16; 256],
    lengths: [u8; 256],
}

/// Longer codes than this can't come from counts that fit 64 bits.
const LONGEST: usize = 96;

impl Codes {
    /// The best codes for symbols that occur this often; those that don't occur get none.
    pub(super) fn new(frequencies: &[u64; 256]) -> Self {
        let mut symbols: Vec<u8> = (0..=255).filter(|&symbol| frequencies[usize::from(symbol)] > 0).collect();
        symbols.sort_by_key(|&symbol| std::cmp::Reverse(frequencies[usize::from(symbol)]));
        let sorted: Vec<u64> = symbols.iter().map(|&symbol| frequencies[usize::from(symbol)]).collect();
        let counts = limited(unlimited_lengths(&sorted));
        let mut codes = Codes { counts, symbols, codes: [0; 256], lengths: [0; 256] };
        let (mut code, mut index) = (0, 0);
        for (length, &count) in (1..).zip(&counts) {
            for &symbol in &codes.symbols[index..index + usize::from(count)] {
                (codes.codes[usize::from(symbol)], codes.lengths[usize::from(symbol)]) = (code, length);
                code += 1;
            }
            index += usize::from(count);
            code <<= 1;
        }
        codes
    }

    /// Bits that symbols which occur this often take, with the magnitude bits that each announces.
    pub(super) fn bits(&self, frequencies: &[u64; 256]) -> u64 {
        (0..=255_u8)
            .zip(frequencies)
            .map(|(symbol, count)| count * u64::from(self.code(symbol).1 + u32::from(symbol & 15)))
            .sum()
    }

    /// A symbol's code and its length; the length is 0 when the symbol has none.
    pub(super) fn code(&self, symbol: u8) -> (u64, u32) {
        let at = usize::from(symbol);
        (u64::from(self.codes[at]), u32::from(self.lengths[at]))
    }
}

/// How many codes of each length Huffman's way gives to frequencies that fall, with one more code for a symbol that
/// never occurs: it will be the code of ones only, which must not be used.
fn unlimited_lengths(falling: &[u64]) -> [u32; LONGEST + 1] {
    let mut counts = [0; LONGEST + 1];
    if falling.is_empty() {
        return counts;
    }
    // Leaves by rising weight, then the nodes made of them, which come by rising weight of themselves.
    let mut weights: Vec<u64> = std::iter::once(0).chain(falling.iter().rev().copied()).collect();
    let leaves = weights.len();
    let mut parents = vec![0; 2 * leaves - 1];
    let (mut leaf, mut node) = (0, leaves);
    for parent in leaves..2 * leaves - 1 {
        let mut take = || {
            let of_leaf = leaf < leaves && (node >= parent || weights[leaf] <= weights[node]);
            let taken = if of_leaf { &mut leaf } else { &mut node };
            *taken += 1;
            *taken - 1
        };
        let (one, other) = (take(), take());
        parents[one] = parent;
        parents[other] = parent;
        weights.push(weights[one] + weights[other]);
    }
    let mut depths = vec![0_usize; 2 * leaves - 1];
    for at in (0..2 * leaves - 2).rev() {
        depths[at] = depths[parents[at]] + 1;
        if at < leaves {
            counts[depths[at]] += 1;
        }
    }
    counts
}

/// Brings codes down to 16 bits and takes the one of ones only away (T.81, figure K.3).
fn limited(mut counts: [u32; LONGEST + 1]) -> [u8; 16] {
    for length in (17..=LONGEST).rev() {
        while counts[length] > 0 {
            let shorter = (1..length - 1).rev().find(|&shorter| counts[shorter] > 0).unwrap_or(1);
            counts[length] -= 2;
            counts[length - 1] += 1;
            counts[shorter + 1] += 2;
            counts[shorter] -= 1;
        }
    }
    if let Some(longest) = (1..=16).rev().find(|&length| counts[length] > 0) {
        counts[longest] -= 1;
    }
    std::array::from_fn(|at| counts[at + 1] as u8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frequencies(of: &[u64]) -> [u64; 256] {
        std::array::from_fn(|at| of.get(at).copied().unwrap_or(0))
    }

    /// Asserts that the codes are a prefix code of at most 16 bits which leaves the ones free.
    fn assert_sound(frequencies: &[u64; 256]) -> Codes {
        let codes = Codes::new(frequencies);
        let mut space = 0;
        for symbol in 0..=255 {
            let (code, length) = codes.code(symbol);
            assert_eq!(length > 0, frequencies[usize::from(symbol)] > 0);
            if length > 0 {
                assert!(length <= 16 && code < (1 << length) - 1, "symbol {symbol}: {code:b} of {length}");
                space += 1 << (16 - length);
            }
        }
        assert!(space < 1 << 16);
        assert_eq!(codes.symbols.len(), codes.counts.iter().map(|&count| usize::from(count)).sum());
        codes
    }

    #[test]
    fn one_symbol_gets_one_bit_and_none_gets_none() {
        assert_eq!(assert_sound(&frequencies(&[0, 9])).code(1), (0, 1));
        assert_eq!(Codes::new(&[0; 256]).counts, [0; 16]);
    }

    #[test]
    fn frequencies_that_double_are_kept_to_sixteen_bits() {
        let doubling: Vec<u64> = (0..40).map(|at| 1 << at).collect();
        let codes = assert_sound(&frequencies(&doubling));
        assert_eq!(codes.code(39).1, 1);
        assert_eq!(codes.code(0).1, 16);
    }

    #[test]
    fn codes_of_four_symbols_are_the_shortest() {
        let codes = assert_sound(&frequencies(&[8, 4, 2, 1]));
        assert_eq!([0, 1, 2, 3].map(|symbol| codes.code(symbol).1), [1, 2, 3, 4]);
        // 8 × 1 + 4 × 2 + 2 × 3 + 1 × 4 of codes, and as many magnitude bits as each symbol says.
        assert_eq!(codes.bits(&frequencies(&[8, 4, 2, 1])), 26 + 4 + 2 * 2 + 3);
    }

    proptest! {
        #[test]
        fn any_frequencies_give_sound_codes_by_falling_length(
            of in prop::collection::vec(prop_oneof![Just(0_u64), 1..50_u64, 1..(1_u64 << 40)], 1..256),
        ) {
            let frequencies = frequencies(&of);
            let codes = assert_sound(&frequencies);
            for pair in codes.symbols.windows(2) {
                prop_assert!(frequencies[usize::from(pair[0])] >= frequencies[usize::from(pair[1])]);
                prop_assert!(codes.code(pair[0]).1 <= codes.code(pair[1]).1);
            }
        }
    }
}
