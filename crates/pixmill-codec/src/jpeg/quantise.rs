//! From the source's quantisation steps to the asked quality's (ITU T.81, A.3.4 and Annex K.1).

/// Positions of the zigzag sequence in a block stored row by row (T.81, figure A.6).
pub(super) const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7,
    14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39,
    46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// The same in a block stored column by column.
pub(super) const SWAPPED_ZIGZAG: [u8; 64] = {
    let mut swapped = [0; 64];
    let mut at = 0;
    while at < 64 {
        swapped[at] = (ZIGZAG[at] & 7) << 3 | ZIGZAG[at] >> 3;
        at += 1;
    }
    swapped
};

/// T.81, table K.1, row by row.
const LUMINANCE: [u8; 64] = [
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17,
    22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78,
    87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
];

/// T.81, table K.2, row by row.
const CHROMINANCE: [u8; 64] = [
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
];

/// Which of the two kinds of plane a component is; each has its own steps and codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plane {
    /// Brightness, and grey pictures.
    Luminance = 0,
    /// Cb and Cr.
    Chrominance = 1,
}

/// The steps that libjpeg uses for a quality of 1 to 100, in zigzag order.
pub(super) fn standard_steps(plane: Plane, quality: u8) -> [u16; 64] {
    let base = match plane {
        Plane::Luminance => &LUMINANCE,
        Plane::Chrominance => &CHROMINANCE,
    };
    let quality = u32::from(quality.clamp(1, 100));
    let percent = if quality < 50 { 5000 / quality } else { 200 - 2 * quality };
    ZIGZAG.map(|at| ((u32::from(base[usize::from(at)]) * percent + 50) / 100).clamp(1, 255) as u16)
}

/// What is added to an AC magnitude, in steps, before its fraction is cut off; 0.5 would be plain rounding.
const AC_ROUNDING: f64 = 0.40;

/// What a quality of 1 to 100 means for a plane: no more bytes and no lower a score than an encoder has that quantises
/// pixels by libjpeg's steps with plain rounding.
///
/// Small coefficients cost more bits than they are worth, so that dropping more of them ([`AC_ROUNDING`]) pays for finer
/// steps. Measured by SSIMULACRA2 on photographs and products on white of quality 85 to 92: bench/RESULTS.md.
#[derive(Debug, Clone)]
pub(super) struct Aim {
    /// In zigzag order.
    pub(super) steps: [u16; 64],
    /// How fine the AC steps are, in thousandths of libjpeg's. The DC step is libjpeg's: black and white fall on its
    /// multiples.
    per_mille: u32,
    /// Zigzag positions below this keep a source's ones where plain rounding by libjpeg's steps would.
    ///
    /// A source of about half the target's steps (quality 75 to 50 is the usual case) has most of its coefficients at
    /// one, and all that stand at a position are kept or dropped together. Dropping them all can cost 0.04 of SSIM,
    /// keeping them all 15 % of the bytes; the first six diagonals are what is worth keeping. The higher the quality,
    /// the less each of them shows.
    kept_ones: usize,
}

impl Aim {
    pub(super) fn new(plane: Plane, quality: u8) -> Self {
        let per_mille = (830 + u32::from(quality) * 10 / 6).min(925);
        let kept_ones = match quality {
            0..60 => 21,
            60..80 => 6,
            _ => 1,
        };
        let mut steps = standard_steps(plane, quality);
        for step in &mut steps[1..] {
            *step = ((u32::from(*step) * per_mille + 500) / 1000).max(1) as u16;
        }
        Aim { steps, per_mille, kept_ones }
    }

    /// The same with no step below those.
    pub(super) fn no_finer_than(mut self, finest: &[u16; 64]) -> Self {
        self.steps.iter_mut().zip(finest).for_each(|(step, &finest)| *step = finest.max(*step));
        self
    }
}

/// The coefficients that stand at the places that an order names.
#[inline(always)]
pub(super) fn reordered(unit: &[i16; 64], order: &[u8; 64]) -> [i16; 64] {
    // A loop rather than a map over the array: that stays a function of its own, outside the kernel that calls this.
    let mut reordered = [0; 64];
    for (to, &at) in reordered.iter_mut().zip(order) {
        *to = unit[usize::from(at) & 63];
    }
    reordered
}

/// A bit for each byte of 0 or 1, the first at the bottom.
#[inline(always)]
fn bits(bytes: &[u8; 64]) -> u64 {
    let mut bits = 0;
    for &eight in bytes.as_chunks::<8>().0.iter().rev() {
        // A multiplication that moves each of eight bytes to its bit.
        bits = bits << 8 | u64::from_le_bytes(eight).wrapping_mul(0x0102_0408_1020_4080) >> 56;
    }
    bits
}

/// A bit for each coefficient that isn't zero.
#[inline(always)]
pub(super) fn present(unit: &[i16; 64]) -> u64 {
    let mut present = [0; 64];
    for (present, &value) in present.iter_mut().zip(unit) {
        *present = u8::from(value != 0);
    }
    bits(&present)
}

/// Fraction bits of the fixed-point numbers here.
const POINT: u32 = 16;

/// Largest magnitude of an AC coefficient in a baseline JPEG of 8 bits (T.81, table F.2).
pub(super) const AC_LIMIT: u32 = 1023;

/// How a coefficient at one zigzag position changes: `magnitude * ratio + rounding`, in fixed point.
#[derive(Debug, Clone, Copy, Default)]
struct Change {
    ratio: u32,
    rounding: u32,
}

impl Change {
    fn new(at: usize, from: u32, to: u32, aim: &Aim) -> Self {
        let one = 1 << POINT;
        let ratio = ((from << POINT) + to / 2) / to;
        let plain_keeps_ones = to <= (2 * from * aim.per_mille + 500) / 1000;
        let ac_rounding = (AC_ROUNDING * f64::from(one)) as u32;
        let rounding = match at {
            0 => one / 2,
            _ if at < aim.kept_ones && plain_keeps_ones => ac_rounding.max(one - ratio),
            _ => ac_rounding,
        };
        Change { ratio, rounding }
    }

    /// The greatest magnitude that becomes zero.
    fn greatest_dead(self) -> u16 {
        let below_one = (1 << POINT) - 1 - self.rounding;
        (below_one / self.ratio.max(1)).min(u16::MAX.into()) as u16
    }
}

/// Takes a component's coefficients from the source's steps to the target's.
#[derive(Debug, Clone)]
pub(super) struct Requantiser {
    changes: [Change; 64],
    /// The steps of the output, in zigzag order.
    pub(super) target: [u8; 64],
    /// AC coefficients of this many magnitude bits or fewer become zero wherever they stand.
    pub(super) dead_size: u8,
    /// The greatest magnitude at each position that becomes zero.
    dead: [u16; 64],
}

impl Requantiser {
    /// From a component's steps, in zigzag order, to those aimed at. The target is never finer than the source:
    /// that would cost bytes and bring nothing back. `None` when a step is no baseline step (1 to 255).
    pub(super) fn new(source: &[u16; 64], aim: &Aim) -> Option<Self> {
        let mut changes = [Change::default(); 64];
        let mut target = [0; 64];
        for (at, (&from, &step)) in source.iter().zip(&aim.steps).enumerate() {
            let to = from.max(step);
            if from == 0 || to > 255 {
                return None;
            }
            changes[at] = Change::new(at, from.into(), to.into(), aim);
            target[at] = to as u8;
        }
        let dead = std::array::from_fn(|at| changes[at].greatest_dead());
        let least = dead[1..].iter().copied().min().unwrap_or(0);
        let dead_size = (least + 1).ilog2().min(10) as u8;
        Some(Requantiser { changes, target, dead_size, dead })
    }

    /// A whole unit in zigzag order, and a bit for each coefficient that isn't zero.
    #[inline(always)]
    pub(super) fn unit(&self, unit: &[i16; 64]) -> ([i16; 64], u64) {
        let mut live = [0; 64];
        for ((live, &value), &dead) in live.iter_mut().zip(unit).zip(&self.dead) {
            *live = u8::from(value.unsigned_abs() > dead);
        }
        let mask = bits(&live);
        let mut out = [0; 64];
        out[0] = self.dc(unit[0].into()) as i16;
        let mut left = mask & !1;
        while left != 0 {
            let at = left.trailing_zeros() as usize & 63;
            let magnitude = self.ac(at, unit[at].unsigned_abs().into()).min(AC_LIMIT) as i16;
            out[at] = if unit[at] < 0 { -magnitude } else { magnitude };
            left &= left - 1;
        }
        (out, mask & !1)
    }

    /// The new magnitude of an AC coefficient at a zigzag position, no greater than the old one, which is below 2^15.
    #[inline(always)]
    pub(super) fn ac(&self, at: usize, magnitude: u32) -> u32 {
        let change = self.changes[at & 63];
        // No step becomes finer, so that nothing grows: what is within the limit stays there.
        (magnitude * change.ratio + change.rounding) >> POINT
    }

    /// The new DC coefficient, kept to what 8-bit samples can give (so that differences fit T.81, table F.1).
    #[inline(always)]
    pub(super) fn dc(&self, value: i32) -> i32 {
        let change = self.changes[0];
        let magnitude = value.unsigned_abs().min(0x7FFF);
        let scaled = ((magnitude * change.ratio + change.rounding) >> POINT) as i32;
        if value < 0 { -scaled.min(1024) } else { scaled.min(1023) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn aim(steps: [u16; 64], quality: u8) -> Aim {
        Aim { steps, ..Aim::new(Plane::Luminance, quality) }
    }

    #[test]
    fn libjpeg_steps_are_annex_k_at_fifty_and_ones_at_a_hundred() {
        let steps = standard_steps(Plane::Luminance, 50);
        assert_eq!(steps[..10], [16, 11, 12, 14, 12, 10, 16, 14, 13, 14]);
        assert_eq!(standard_steps(Plane::Chrominance, 50)[..6], [17, 18, 18, 24, 21, 24]);
        assert_eq!(standard_steps(Plane::Luminance, 25)[0], 32);
        assert_eq!(standard_steps(Plane::Luminance, 100), [1; 64]);
        assert_eq!(standard_steps(Plane::Luminance, 1), [255; 64]);
    }

    #[test]
    fn black_and_white_stay_exact_at_quality_fifty() {
        let aim = Aim::new(Plane::Luminance, 50);
        let requantiser = Requantiser::new(&[8; 64], &aim).unwrap();
        let step = i32::from(aim.steps[0]);
        assert_eq!(requantiser.dc(-128) * step, -1024);
        assert!(requantiser.dc(127) * step >= 1016);
    }

    #[test]
    fn steps_beyond_a_byte_and_zero_are_not_taken() {
        assert!(Requantiser::new(&[256; 64], &aim([10; 64], 50)).is_none());
        assert!(Requantiser::new(&[0; 64], &aim([10; 64], 50)).is_none());
    }

    proptest! {
        #[test]
        fn equal_steps_change_nothing(
            step in 1_u16..=255, at in 1_usize..64, magnitude in 0_u32..=1023, quality in 1_u8..=100,
        ) {
            let requantiser = Requantiser::new(&[step; 64], &aim([step; 64], quality)).unwrap();
            prop_assert_eq!(requantiser.ac(at, magnitude), magnitude);
            prop_assert_eq!(requantiser.dc(-(magnitude as i32)), -(magnitude as i32));
        }

        #[test]
        fn a_dead_size_is_dead_at_every_position(from in 1_u16..=255, to in 1_u16..=255, quality in 1_u8..=100) {
            let requantiser = Requantiser::new(&[from; 64], &aim([to; 64], quality)).unwrap();
            let most = (1_u32 << requantiser.dead_size) - 1;
            for at in 1..64 {
                prop_assert!((0..=most).all(|magnitude| requantiser.ac(at, magnitude) == 0));
            }
        }

        #[test]
        fn values_stay_within_baseline_whatever_comes(from in 1_u16..=255, value: i32, ac: i16) {
            let requantiser = Requantiser::new(&[from; 64], &aim([1; 64], 100)).unwrap();
            prop_assert!((-1024..=1023).contains(&requantiser.dc(value)));
            let mut unit = [0; 64];
            unit[5] = ac;
            prop_assert!(u32::from(requantiser.unit(&unit).0[5].unsigned_abs()) <= AC_LIMIT);
        }
    }
}
