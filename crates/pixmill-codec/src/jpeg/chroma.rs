//! Colour at half the size of brightness both ways (4:2:0), made of any other sampling without leaving the DCT domain.
//!
//! A row of eight samples is `C` × its coefficients, with `C` the orthonormal inverse DCT. Taking the mean of pairs of
//! sixteen samples, or doubling eight, is linear too, so that each comes to small matrices between coefficients:
//! exactly what an encoder does that decodes, averages and transforms again, but for the rounding to samples between.

use std::sync::LazyLock;

use pixmill_cpu::Kernel;

use super::dct::nearest;
use super::planes::{Coefficients, Plane};
use super::quantise::{ZIGZAG, reordered};

/// Coefficients row by row, not quantised.
type Block = [[f32; 8]; 8];

/// By output coefficient, then input coefficient.
type Matrix = [[f32; 8]; 8];

/// The matrices of both halves; those of the second half are those of the first with signs changed.
static HALVING: LazyLock<[Matrix; 2]> =
    LazyLock::new(|| [0, 1].map(|half| matrix(|to, from| if to == 4 * half + from / 2 { 0.5 } else { 0.0 })));
static DOUBLING: LazyLock<[Matrix; 2]> =
    LazyLock::new(|| [0, 1].map(|half| matrix(|to, from| if from == 4 * half + to / 2 { 1.0 } else { 0.0 })));

/// What a map between samples is between coefficients.
fn matrix(samples: impl Fn(usize, usize) -> f64) -> Matrix {
    let dct = |k: usize, n: usize| {
        let scale = if k == 0 { 0.125_f64.sqrt() } else { 0.5 };
        scale * ((2 * n + 1) as f64 * k as f64 * std::f64::consts::PI / 16.0).cos()
    };
    std::array::from_fn(|to| {
        std::array::from_fn(|from| {
            let pairs = (0..8).flat_map(|i| (0..8).map(move |j| (i, j)));
            pairs.map(|(i, j)| dct(to, i) * samples(i, j) * dct(from, j)).sum::<f64>() as f32
        })
    })
}

impl Coefficients {
    /// With colour at half the size both ways.
    pub(super) fn with_quartered_chroma(&self) -> Self {
        let planes = self.planes.iter().enumerate().map(|(component, plane)| {
            if component == 0 { plane.clone() } else { resampled(plane, self.width, self.height) }
        });
        Coefficients { planes: planes.collect(), ..*self }
    }
}

/// The plane at a quarter of the pixels' number. Its coefficients count ones; the source's steps stay a bound.
fn resampled(from: &Plane, width: u16, height: u16) -> Plane {
    let (across, down) = (usize::from(width).div_ceil(16), usize::from(height).div_ceil(16));
    let units = pixmill_cpu::run(Resample { from, across, down });
    Plane {
        across,
        down,
        stride: across,
        units,
        steps: [1; 64],
        finest: from.finest,
        coarseness: (2, 2),
        there: from.there,
    }
}

/// A plane on its way to so many units across and down.
struct Resample<'a> {
    from: &'a Plane,
    across: usize,
    down: usize,
}

impl Kernel for Resample<'_> {
    type Output = Vec<[i16; 64]>;

    #[inline(always)]
    fn run(self) -> Self::Output {
        let mut units = Vec::with_capacity(self.across * self.down);
        for y in 0..self.down {
            for x in 0..self.across {
                units.push(rounded(&unit(self.from, x, y)));
            }
        }
        units
    }
}

/// One unit of the new plane.
#[inline(always)]
fn unit(from: &Plane, x: usize, y: usize) -> Block {
    match from.coarseness.1 {
        1 => {
            let Some(above) = row(from, x, 2 * y) else { return [[0.0; 8]; 8] };
            // Where the other half lies below the picture, what is there goes on as in a mirror.
            let below = row(from, x, 2 * y + 1).unwrap_or_else(|| mirrored_down(&above));
            let mut out = [[0.0; 8]; 8];
            down(&HALVING[0], &above, &mut out);
            down(&HALVING[1], &below, &mut out);
            out
        }
        _ => row(from, x, y).unwrap_or_default(),
    }
}

/// The units of a row that make one new unit, resampled across; `None` below the picture.
#[inline(always)]
fn row(from: &Plane, x: usize, y: usize) -> Option<Block> {
    let mut out = [[0.0; 8]; 8];
    match from.coarseness.0 {
        1 => {
            let left = dequantised(from, 2 * x, y)?;
            let right = dequantised(from, 2 * x + 1, y).unwrap_or_else(|| mirrored_across(&left));
            across(&HALVING[0], &left, &mut out);
            across(&HALVING[1], &right, &mut out);
        }
        2 => out = dequantised(from, x, y)?,
        _ => across(&DOUBLING[x % 2], &dequantised(from, x / 2, y)?, &mut out),
    }
    Some(out)
}

#[inline(always)]
fn dequantised(plane: &Plane, x: usize, y: usize) -> Option<Block> {
    let unit = plane.unit(x, y)?;
    let mut block = [[0.0; 8]; 8];
    let flat = block.as_flattened_mut();
    for ((&value, &step), &at) in unit.iter().zip(&plane.steps).zip(&ZIGZAG) {
        flat[usize::from(at) & 63] = f32::from(value) * f32::from(step);
    }
    Some(block)
}

/// Odd coefficients are odd functions of the place.
#[inline(always)]
fn mirrored_across(block: &Block) -> Block {
    block.map(|row| std::array::from_fn(|u| if u % 2 == 1 { -row[u] } else { row[u] }))
}

#[inline(always)]
fn mirrored_down(block: &Block) -> Block {
    std::array::from_fn(|v| if v % 2 == 1 { block[v].map(|value| -value) } else { block[v] })
}

/// Adds what a block becomes through a matrix along its rows.
#[inline(always)]
fn across(matrix: &Matrix, block: &Block, out: &mut Block) {
    // Column by column of the matrix, so that eight sums grow side by side.
    let columns: Matrix = std::array::from_fn(|from| std::array::from_fn(|to| matrix[to][from]));
    for (row, out) in block.iter().zip(out) {
        for (&value, column) in row.iter().zip(&columns) {
            if value != 0.0 {
                out.iter_mut().zip(column).for_each(|(sum, factor)| *sum += value * factor);
            }
        }
    }
}

/// Adds what a block becomes through a matrix along its columns.
#[inline(always)]
fn down(matrix: &Matrix, block: &Block, out: &mut Block) {
    for (factors, out) in matrix.iter().zip(out) {
        for (&factor, row) in factors.iter().zip(block) {
            out.iter_mut().zip(row).for_each(|(sum, value)| *sum += value * factor);
        }
    }
}

/// Whole numbers in zigzag order.
#[inline(always)]
fn rounded(block: &Block) -> [i16; 64] {
    // Loops rather than maps over the arrays: those stay functions of their own, outside the kernel.
    let mut whole = [0_i16; 64];
    for (whole, value) in whole.iter_mut().zip(block.as_flattened()) {
        *whole = nearest(*value) as i16;
    }
    reordered(&whole, &ZIGZAG)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// T.81, A.3.3, for samples around zero.
    fn samples(plane: &Plane, width: usize, height: usize) -> Vec<Vec<f64>> {
        let basis = |k: usize, n: usize| {
            let scale = if k == 0 { 0.125_f64.sqrt() } else { 0.5 };
            scale * ((2 * n + 1) as f64 * k as f64 * std::f64::consts::PI / 16.0).cos()
        };
        let sample = |x: usize, y: usize| {
            let block = dequantised(plane, x / 8, y / 8).unwrap();
            let terms = (0..64)
                .map(|at| f64::from(block[at / 8][at % 8]) * basis(at % 8, x % 8) * basis(at / 8, y % 8));
            terms.sum::<f64>()
        };
        (0..height).map(|y| (0..width).map(|x| sample(x, y)).collect()).collect()
    }

    fn plane(coarseness: (u8, u8), across: usize, down: usize) -> Plane {
        let mut state = 5_u32;
        let mut unit = || {
            std::array::from_fn(|at| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as i16 % (40 / (at as i16 + 1)).max(2)
            })
        };
        let units = (0..across * down).map(|_| unit()).collect();
        Plane {
            across,
            down,
            stride: across,
            units,
            steps: [7; 64],
            finest: [7; 64],
            coarseness,
            there: [0; 64],
        }
    }

    #[test]
    fn samples_become_the_means_or_copies_that_an_encoder_would_take() {
        // Picture of 32 × 32 pixels, whose colour has so many units.
        for (coarseness, across, down) in [((1, 1), 4, 4), ((2, 1), 2, 4), ((1, 2), 4, 2), ((4, 1), 1, 4)] {
            let from = plane(coarseness, across, down);
            let to = resampled(&from, 32, 32);
            assert_eq!((to.across, to.down), (2, 2));
            let (before, after) = (samples(&from, 8 * across, 8 * down), samples(&to, 16, 16));
            for (y, row) in after.iter().enumerate() {
                for (x, &got) in row.iter().enumerate() {
                    // The pixels of a new sample, each as the old samples have it.
                    let pixels = [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(dx, dy)| {
                        before[(2 * y + dy) / usize::from(coarseness.1)]
                            [(2 * x + dx) / usize::from(coarseness.0)]
                    });
                    let wanted = pixels.iter().sum::<f64>() / 4.0;
                    // Coefficients are rounded to whole numbers.
                    assert!((got - wanted).abs() < 2.0, "{coarseness:?} at {x}, {y}: {got}, not {wanted}");
                }
            }
        }
    }

    #[test]
    fn what_lies_beside_the_picture_is_a_mirror_of_it() {
        let to = resampled(&plane((1, 1), 1, 1), 8, 8);
        let after = samples(&to, 8, 8);
        for row in &after {
            for x in 0..4 {
                assert!((row[x] - row[7 - x]).abs() < 3.0);
            }
        }
    }
}
