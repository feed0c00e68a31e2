//! Turning a picture upright by its coefficients: a mirror changes signs, a transposition rows and columns.

use super::planes::{Coefficients, Plane};
use super::quantise::ZIGZAG;
use crate::orientation::Orientation;

/// Zigzag position of the coefficient that has row and column of this one changed round.
const TRANSPOSED: [u8; 64] = {
    let mut place = [0; 64];
    let mut at = 0;
    while at < 64 {
        place[ZIGZAG[at] as usize] = at as u8;
        at += 1;
    }
    let mut transposed = [0; 64];
    at = 0;
    while at < 64 {
        transposed[at] = place[(ZIGZAG[at] as usize & 7) << 3 | ZIGZAG[at] as usize >> 3];
        at += 1;
    }
    transposed
};

/// Whether turning is exact: a mirrored side must not end inside an MCU, for then what fills it up would come first.
/// `mcu`: its pixels across and down. All as the source is stored.
pub(crate) fn is_exact(orientation: Orientation, size: (u32, u32), mcu: (u32, u32)) -> bool {
    let (mirrored_across, mirrored_down) = orientation.mirrors();
    (!mirrored_across || size.0.is_multiple_of(mcu.0)) && (!mirrored_down || size.1.is_multiple_of(mcu.1))
}

impl Coefficients {
    /// Upright; the turn must be exact.
    pub(crate) fn turned(mut self, orientation: Orientation) -> Self {
        if orientation == Orientation::Upright {
            return self;
        }
        self.planes.iter_mut().for_each(|plane| *plane = turned(plane, orientation));
        if orientation.swaps_axes() {
            (self.width, self.height) = (self.height, self.width);
        }
        self
    }
}

fn turned(from: &Plane, orientation: Orientation) -> Plane {
    let swaps = orientation.swaps_axes();
    let (across, down) = if swaps { (from.down, from.across) } else { (from.across, from.down) };
    let order: [u8; 64] = if swaps { TRANSPOSED } else { std::array::from_fn(|at| at as u8) };
    let signs = order.map(|at| sign(orientation, ZIGZAG[usize::from(at)]));
    let mut units = Vec::with_capacity(across * down);
    for y in 0..down {
        for x in 0..across {
            let (x, y) = orientation.stored(x, y, from.across, from.down);
            let unit = &from.units[y * from.stride + x];
            units.push(std::array::from_fn(|at| unit[usize::from(order[at]) & 63].wrapping_mul(signs[at])));
        }
    }
    let reordered = |steps: &[u16; 64]| order.map(|at| steps[usize::from(at)]);
    let (h, v) = from.coarseness;
    Plane {
        across,
        down,
        stride: across,
        units,
        steps: reordered(&from.steps),
        finest: reordered(&from.finest),
        coarseness: if swaps { (v, h) } else { (h, v) },
        there: from.there,
    }
}

/// What a mirror makes of a coefficient at a place in a block stored row by row: odd ones change sign.
fn sign(orientation: Orientation, at: u8) -> i16 {
    let (across, down) = orientation.mirrors();
    let odd = |mirrored: bool, frequency: u8| mirrored && frequency % 2 == 1;
    if odd(across, at & 7) == odd(down, at >> 3) { 1 } else { -1 }
}
