//! Samples to quantised coefficients: the forward DCT (ITU T.81, A.3.3) in the factored form of Arai, Agui and
//! Nakajima, whose scale factors are folded into the quantisation.
//!
//! Floating point without fused operations: every machine computes the same coefficients.

use super::quantise::{AC_LIMIT, SWAPPED_ZIGZAG, present, reordered};

/// Samples of a block, row by row, in the middle of their range.
pub(super) type Block = [[f32; 8]; 8];

/// cos(k π / 16) √2, and 1 for k = 0: what each row and column of the factored form is scaled by.
const SCALES: [f64; 8] =
    [1.0, 1.387_039_845, 1.306_562_965, 1.175_875_602, 1.0, 0.785_694_958, 0.541_196_100, 0.275_899_379];

/// Adding this to a number below 2^22 leaves it, rounded, in the low bits.
const ROUNDER: f32 = 12_582_912.0;

/// Divides coefficients by a component's steps.
#[derive(Debug)]
pub(super) struct Quantiser {
    /// In the order of [`transform`], with rows and columns swapped.
    factors: [f32; 64],
}

impl Quantiser {
    /// `steps`: in zigzag order.
    pub(super) fn new(steps: &[u8; 64]) -> Self {
        let mut factors = [0.0; 64];
        for (&step, &at) in steps.iter().zip(&SWAPPED_ZIGZAG) {
            let scale = 8.0 * SCALES[usize::from(at >> 3)] * SCALES[usize::from(at & 7)];
            factors[usize::from(at)] = (1.0 / (f64::from(step) * scale)) as f32;
        }
        Quantiser { factors }
    }

    /// The quantised coefficients in zigzag order, and a bit for each that isn't zero.
    #[inline(always)]
    pub(super) fn coefficients(&self, mut block: Block) -> ([i16; 64], u64) {
        transform(&mut block);
        let raw = block.as_flattened();
        let mut quantised = [0_i16; 64];
        for ((to, &value), &factor) in quantised.iter_mut().zip(raw).zip(&self.factors) {
            *to = nearest(value * factor).clamp(-(AC_LIMIT as i32), AC_LIMIT as i32) as i16;
        }
        quantised[0] = nearest(raw[0] * self.factors[0]).clamp(-1024, 1023) as i16;
        let zigzag = reordered(&quantised, &SWAPPED_ZIGZAG);
        (zigzag, present(&zigzag))
    }
}

/// The nearest whole number, for magnitudes below 2^22.
#[inline(always)]
pub(super) fn nearest(value: f32) -> i32 {
    (value + ROUNDER).to_bits().wrapping_sub(ROUNDER.to_bits()) as i32
}

/// Both directions of the DCT; rows and columns come out swapped.
#[inline(always)]
fn transform(block: &mut Block) {
    columns(block);
    transpose(block);
    columns(block);
}

#[inline(always)]
fn transpose(block: &mut Block) {
    *block = std::array::from_fn(|x| std::array::from_fn(|y| block[y][x]));
}

/// The eight-point DCT down each column (Pennebaker and Mitchell, figure 4-8; libjpeg's `jfdctflt.c`).
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "the same step for eight columns is what vectorises")]
fn columns(block: &mut Block) {
    for x in 0..8 {
        let (sum0, difference0) = (block[0][x] + block[7][x], block[0][x] - block[7][x]);
        let (sum1, difference1) = (block[1][x] + block[6][x], block[1][x] - block[6][x]);
        let (sum2, difference2) = (block[2][x] + block[5][x], block[2][x] - block[5][x]);
        let (sum3, difference3) = (block[3][x] + block[4][x], block[3][x] - block[4][x]);

        let (even0, even3) = (sum0 + sum3, sum0 - sum3);
        let (even1, even2) = (sum1 + sum2, sum1 - sum2);
        block[0][x] = even0 + even1;
        block[4][x] = even0 - even1;
        let turned = (even2 + even3) * std::f32::consts::FRAC_1_SQRT_2;
        block[2][x] = even3 + turned;
        block[6][x] = even3 - turned;

        let (odd0, odd1, odd2) =
            (difference3 + difference2, difference2 + difference1, difference1 + difference0);
        let shared = (odd0 - odd2) * 0.382_683_43;
        let low = 0.541_196_1 * odd0 + shared;
        let high = 1.306_563 * odd2 + shared;
        let middle = odd1 * std::f32::consts::FRAC_1_SQRT_2;
        let (above, below) = (difference0 + middle, difference0 - middle);
        block[5][x] = below + low;
        block[3][x] = below - low;
        block[1][x] = above + high;
        block[7][x] = above - high;
    }
}

#[cfg(test)]
mod tests {
    use super::super::quantise::ZIGZAG;
    use super::*;

    /// The DCT as T.81, A.3.3 writes it.
    fn by_definition(samples: &Block, u: usize, v: usize) -> f64 {
        let c = |k: usize| if k == 0 { std::f64::consts::FRAC_1_SQRT_2 } else { 1.0 };
        let cos = |k: usize, n: usize| ((2 * n + 1) as f64 * k as f64 * std::f64::consts::PI / 16.0).cos();
        let sum: f64 = (0..8)
            .flat_map(|y| (0..8).map(move |x| (y, x)))
            .map(|(y, x)| f64::from(samples[y][x]) * cos(u, x) * cos(v, y))
            .sum();
        sum * c(u) * c(v) / 4.0
    }

    #[test]
    fn coefficients_are_those_of_the_definition_rounded_into_steps() {
        let mut seed = 7_u32;
        for step in [1, 3, 16, 99] {
            let samples: Block = std::array::from_fn(|_| {
                std::array::from_fn(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (seed >> 24) as f32 - 128.0
                })
            });
            let (coefficients, present) = Quantiser::new(&[step; 64]).coefficients(samples);
            for (at, &got) in coefficients.iter().enumerate() {
                let natural = usize::from(ZIGZAG[at]);
                let exact = by_definition(&samples, natural & 7, natural >> 3) / f64::from(step);
                let off = (f64::from(got) - exact).abs();
                assert!(off <= 0.51, "step {step}, coefficient {at}: {got}, exactly {exact}");
                assert_eq!(present >> at & 1 == 1, got != 0);
            }
        }
    }
}
