//! Coefficients to samples (ITU T.81, A.3.3), of whole data units or of their lowest frequencies alone.
//!
//! Floating point without fused operations: every machine computes the same samples.

use pixmill_cpu::Kernel;

use super::dct::nearest;
use super::quantise::SWAPPED_ZIGZAG;
use super::scan::Put;

/// cos(k π / 16) for k from 0 to 7.
const COSINES: [f32; 8] = [
    1.0,
    0.980_785_25,
    0.923_879_5,
    0.831_469_6,
    std::f32::consts::FRAC_1_SQRT_2,
    0.555_570_2,
    0.382_683_43,
    0.195_090_32,
];

/// The quantised coefficients of a data unit, column by column.
#[derive(Debug)]
pub(super) struct Frequencies {
    values: [i16; 64],
    /// There may be others than the mean.
    waves: bool,
}

impl Default for Frequencies {
    fn default() -> Self {
        Frequencies { values: [0; 64], waves: false }
    }
}

impl Frequencies {
    /// From coefficients in zigzag order.
    pub(super) fn from_zigzag(unit: &[i16; 64]) -> Self {
        let mut values = [0; 64];
        unit.iter().zip(SWAPPED_ZIGZAG).for_each(|(&value, at)| values[usize::from(at & 63)] = value);
        Frequencies { values, waves: unit[1..].iter().any(|&value| value != 0) }
    }

    pub(super) fn set_mean(&mut self, value: i16) {
        self.values[0] = value;
    }
}

impl Put for Frequencies {
    #[inline(always)]
    fn put(&mut self, at: u32, magnitude: u32, negative: u32) {
        self.waves = true;
        self.values[usize::from(SWAPPED_ZIGZAG[at as usize & 63] & 63)] =
            (magnitude ^ negative).wrapping_sub(negative) as i16;
    }
}

/// One component's way from coefficients to samples.
#[derive(Debug)]
pub(super) struct Inverse {
    /// What a coefficient is multiplied by, column by column: its step, and the transform's own factors.
    factors: [f32; 64],
}

impl Inverse {
    /// `steps`: in zigzag order.
    pub(super) fn new(steps: &[u16; 64]) -> Self {
        let scale = |frequency: usize| if frequency == 0 { COSINES[4] } else { 1.0 };
        let mut factors = [0.0; 64];
        for (&step, at) in steps.iter().zip(SWAPPED_ZIGZAG.map(usize::from)) {
            factors[at] = f32::from(step) * scale(at >> 3) * scale(at & 7) / 4.0;
        }
        Inverse { factors }
    }

    /// Fills in `edges` samples across and down, each 1, 2, 4 or 8, from as many of the lowest frequencies. An edge of 8
    /// is the whole data unit; fewer samples cover the same area, at the same brightness.
    #[inline(always)]
    pub(super) fn samples(&self, unit: &Frequencies, edges: (usize, usize), to: &mut [u8], stride: usize) {
        if edges == (1, 1) || !unit.waves {
            let flat = byte(f32::from(unit.values[0]) * self.factors[0]);
            to.chunks_mut(stride).take(edges.1).for_each(|row| row[..edges.0].fill(flat));
            return;
        }
        match edges {
            (8, 8) => self.transform::<8, 8>(&unit.values, to, stride),
            (8, 4) => self.transform::<8, 4>(&unit.values, to, stride),
            (4, 8) => self.transform::<4, 8>(&unit.values, to, stride),
            (4, 4) => self.transform::<4, 4>(&unit.values, to, stride),
            (8, 2) => self.transform::<8, 2>(&unit.values, to, stride),
            (4, 2) => self.transform::<4, 2>(&unit.values, to, stride),
            (2, 4) => self.transform::<2, 4>(&unit.values, to, stride),
            (2, 2) => self.transform::<2, 2>(&unit.values, to, stride),
            (2, 8) => self.transform::<2, 8>(&unit.values, to, stride),
            (8, 1) => self.transform::<8, 1>(&unit.values, to, stride),
            (4, 1) => self.transform::<4, 1>(&unit.values, to, stride),
            (2, 1) => self.transform::<2, 1>(&unit.values, to, stride),
            (1, 8) => self.transform::<1, 8>(&unit.values, to, stride),
            (1, 4) => self.transform::<1, 4>(&unit.values, to, stride),
            _ => self.transform::<1, 2>(&unit.values, to, stride),
        }
    }

    // Not inlined: fifteen of them at each call would be a lot of code.
    #[inline(never)]
    fn transform<const W: usize, const H: usize>(&self, values: &[i16; 64], to: &mut [u8], stride: usize) {
        pixmill_cpu::run(Transform::<W, H> { factors: &self.factors, values, to, stride });
    }
}

/// A data unit on its way to as many samples across and down.
struct Transform<'a, const W: usize, const H: usize> {
    factors: &'a [f32; 64],
    values: &'a [i16; 64],
    to: &'a mut [u8],
    stride: usize,
}

impl<const W: usize, const H: usize> Kernel for Transform<'_, W, H> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        // Loops rather than maps over the arrays: those stay functions of their own, outside the kernel.
        let mut frequencies = [[0.0; H]; W];
        let lines = self.values.as_chunks::<8>().0.iter().zip(self.factors.as_chunks::<8>().0);
        for (to, (values, factors)) in frequencies.iter_mut().zip(lines) {
            for (to, (&value, &factor)) in to.iter_mut().zip(values.iter().zip(factors)) {
                *to = f32::from(value) * factor;
            }
        }
        let across = apart(points(apart(frequencies)));
        let mut turned = [[0.0; W]; H];
        for (x, column) in across.iter().enumerate() {
            for (row, &value) in turned.iter_mut().zip(column) {
                row[x] = value;
            }
        }
        let rows = apart(points(apart(turned)));
        for (to, row) in self.to.chunks_mut(self.stride).zip(&rows) {
            for (to, &value) in to[..W].iter_mut().zip(row) {
                *to = byte(value);
            }
        }
    }
}

/// Has the compiler finish one step before the next: else it mixes the lanes of both, which takes twice the time.
#[inline(always)]
fn apart<T>(block: T) -> T {
    std::hint::black_box(block)
}

/// A sample, from its distance to the middle of the range.
#[inline(always)]
fn byte(value: f32) -> u8 {
    nearest((value + 128.0).clamp(0.0, 255.0)) as u8
}

/// The inverse DCT of N points in L lanes: the sum of each frequency times its cosine.
#[inline(always)]
fn points<const N: usize, const L: usize>(f: [[f32; L]; N]) -> [[f32; L]; N] {
    let mut out = f;
    match N {
        2 => [out[0], out[1]] = two([f[0], f[1]]),
        4 => {
            let four = four([f[0], f[1], f[2], f[3]]);
            out.copy_from_slice(&four);
        }
        8 => {
            let even = four([f[0], f[2], f[4], f[6]]);
            let odd = odd([f[1], f[3], f[5], f[7]]);
            for at in 0..4 {
                (out[at], out[7 - at]) = butterfly(even[at], odd[at]);
            }
        }
        _ => {}
    }
    out
}

#[inline(always)]
fn butterfly<const L: usize>(a: [f32; L], b: [f32; L]) -> ([f32; L], [f32; L]) {
    (std::array::from_fn(|lane| a[lane] + b[lane]), std::array::from_fn(|lane| a[lane] - b[lane]))
}

#[inline(always)]
fn two<const L: usize>([a, b]: [[f32; L]; 2]) -> [[f32; L]; 2] {
    let (sum, difference) = butterfly(a, b.map(|value| value * COSINES[4]));
    [sum, difference]
}

/// Four points: two of the even frequencies, and what the odd ones add and take.
#[inline(always)]
fn four<const L: usize>([f0, f1, f2, f3]: [[f32; L]; 4]) -> [[f32; L]; 4] {
    let [even0, even1] = two([f0, f2]);
    let odd0 = std::array::from_fn(|lane| f1[lane] * COSINES[2] + f3[lane] * COSINES[6]);
    let odd1 = std::array::from_fn(|lane| f1[lane] * COSINES[6] - f3[lane] * COSINES[2]);
    let ((first, last), (second, third)) = (butterfly(even0, odd0), butterfly(even1, odd1));
    [first, second, third, last]
}

/// What the odd ones among eight frequencies add to the first four points.
#[inline(always)]
fn odd<const L: usize>([f1, f3, f5, f7]: [[f32; L]; 4]) -> [[f32; L]; 4] {
    let [_, c1, _, c3, _, c5, _, c7] = COSINES;
    let weighed = |weights: [f32; 4]| {
        std::array::from_fn(|lane| {
            (f1[lane] * weights[0] + f3[lane] * weights[1]) + (f5[lane] * weights[2] + f7[lane] * weights[3])
        })
    };
    [
        weighed([c1, c3, c5, c7]),
        weighed([c3, -c7, -c1, -c5]),
        weighed([c5, -c1, c7, c3]),
        weighed([c7, -c5, c3, -c1]),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::quantise::ZIGZAG;
    use super::*;

    /// The inverse DCT as T.81, A.3.3 writes it, of the lowest frequencies and scaled to as few samples.
    fn by_definition(
        unit: &[i16; 64],
        step: f64,
        (width, height): (usize, usize),
        x: usize,
        y: usize,
    ) -> f64 {
        let c = |k: usize| if k == 0 { std::f64::consts::FRAC_1_SQRT_2 } else { 1.0 };
        let cos = |k: usize, n: usize, points: usize| {
            ((2 * n + 1) as f64 * k as f64 * std::f64::consts::PI / (2 * points) as f64).cos()
        };
        let natural =
            |v: usize, u: usize| ZIGZAG.iter().position(|&at| usize::from(at) == v * 8 + u).unwrap();
        let waves = (0..height).flat_map(|v| (0..width).map(move |u| (v, u))).map(|(v, u)| {
            let value = f64::from(unit[natural(v, u)]) * step;
            c(u) * c(v) * value * cos(u, x, width) * cos(v, y, height)
        });
        (waves.sum::<f64>() / 4.0 + 128.0).clamp(0.0, 255.0)
    }

    #[test]
    fn samples_are_those_of_the_definition_rounded() {
        let mut seed = 3_u32;
        let sizes =
            [8, 4, 2, 1].map(|width| [8, 4, 2, 1].map(|height| (width, height))).into_iter().flatten();
        for (edges, flat) in sizes.flat_map(|edges| [(edges, false), (edges, true)]) {
            let unit: [i16; 64] = std::array::from_fn(|at| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let value = (seed >> 24) as i16 - 128;
                if flat && at > 0 { 0 } else { value / (1 + at as i16 / 4) }
            });
            let mut samples = [7_u8; 9 * 8];
            Inverse::new(&[5; 64]).samples(&Frequencies::from_zigzag(&unit), edges, &mut samples, 9);
            for (y, row) in samples.chunks(9).enumerate() {
                for (x, &sample) in row.iter().enumerate() {
                    if x >= edges.0 || y >= edges.1 {
                        assert_eq!(sample, 7, "{edges:?}: ({x}, {y}) is not its own");
                        continue;
                    }
                    let exact = by_definition(&unit, 5.0, edges, x, y);
                    assert!(
                        (f64::from(sample) - exact).abs() <= 0.51,
                        "{edges:?} ({x}, {y}): {sample}, exactly {exact}"
                    );
                }
            }
        }
    }
}
