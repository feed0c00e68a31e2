//! Planes of 8 to 12 bits, chroma subsampled or not, to RGB (ITU-T H.273, 8.3).

use crate::color::{Light, ToSrgb, luminances};
use crate::container::avif::Cicp;

/// Planes of a decoded frame.
pub(super) struct Planes<'a> {
    /// Pixels.
    pub(super) width: usize,
    /// Pixels.
    pub(super) height: usize,
    /// Bits a sample; above 8 a sample is two bytes in the machine's order.
    pub(super) bits: u32,
    /// Chroma has half the columns (1) or all (0).
    pub(super) shift_x: usize,
    /// Chroma has half the rows (1) or all (0).
    pub(super) shift_y: usize,
    /// Y, and Cb and Cr where there is colour: bytes, and bytes a row.
    pub(super) rows: &'a [(&'a [u8], usize)],
}

impl Planes<'_> {
    /// Every sample that will be read is there.
    pub(super) fn is_whole(&self) -> bool {
        let bytes = if self.bits > 8 { 2 } else { 1 };
        self.rows.iter().enumerate().all(|(plane, (data, stride))| {
            let (width, height) = self.size(plane);
            width * bytes <= *stride && data.len() >= (height - 1) * stride + width * bytes
        })
    }

    fn size(&self, plane: usize) -> (usize, usize) {
        if plane == 0 {
            (self.width, self.height)
        } else {
            ((self.width + self.shift_x) >> self.shift_x, (self.height + self.shift_y) >> self.shift_y)
        }
    }

    /// One row of a plane as numbers.
    fn read_row(&self, plane: usize, y: usize, to: &mut Vec<f32>) {
        let (data, stride) = self.rows[plane];
        let (width, height) = self.size(plane);
        let row = &data[y.min(height - 1) * stride..];
        to.clear();
        if self.bits > 8 {
            to.extend(row.as_chunks::<2>().0[..width].iter().map(|two| f32::from(u16::from_ne_bytes(*two))));
        } else {
            to.extend(row[..width].iter().map(|sample| f32::from(*sample)));
        }
    }
}

/// Numbers of a sample to 0 to 255 for luma, and to -127.5 to 127.5 for chroma.
#[derive(Clone, Copy)]
struct Range {
    luma: (f32, f32),
    chroma: (f32, f32),
}

impl Range {
    fn new(bits: u32, full: bool) -> Self {
        let unit = (1_u32 << (bits - 8)) as f32;
        let middle = 128.0 * unit;
        if full {
            let scale = 255.0 / (256.0 * unit - 1.0);
            Range { luma: (0.0, scale), chroma: (middle, scale) }
        } else {
            Range { luma: (16.0 * unit, 255.0 / (219.0 * unit)), chroma: (middle, 255.0 / (224.0 * unit)) }
        }
    }
}

fn byte(value: f32) -> u8 {
    (value + 0.5) as u8
}

/// Luma alone, 8 bits: what alpha is.
pub(super) fn luma(planes: &Planes, cicp: Cicp) -> Vec<u8> {
    luma_levels(planes, cicp).flatten().map(byte).collect()
}

/// Rows of luma, 0 to 255.
fn luma_levels(planes: &Planes, cicp: Cicp) -> impl Iterator<Item = Vec<f32>> {
    let (zero, scale) = Range::new(planes.bits, cicp.full_range).luma;
    (0..planes.height).map(move |y| {
        let mut row = Vec::new();
        planes.read_row(0, y, &mut row);
        row.iter_mut().for_each(|sample| *sample = (*sample - zero) * scale);
        row
    })
}

/// RGB, 8 bits, as sRGB has it.
pub(super) fn rgb(planes: &Planes, cicp: Cicp) -> Vec<u8> {
    match Light::from_cicp(cicp.primaries, cicp.transfer) {
        Some(light) => {
            let to_srgb = ToSrgb::new(&light);
            shown(planes, cicp, |rgb| to_srgb.pixel(rgb.map(|value| value / 255.0)))
        }
        None => shown(planes, cicp, |rgb| rgb.map(byte)),
    }
}

/// RGB, of which `show` makes 8 bits.
fn shown(planes: &Planes, cicp: Cicp, show: impl Fn([f32; 3]) -> [u8; 3]) -> Vec<u8> {
    if planes.rows.len() < 3 {
        let levels = luma_levels(planes, cicp);
        return levels.flatten().flat_map(|grey| show([grey; 3])).collect();
    }
    let range = Range::new(planes.bits, cicp.full_range);
    let mut out = Vec::with_capacity(planes.width * planes.height * 3);
    let (mut row, mut cb, mut cr) = (Vec::new(), ChromaRow::default(), ChromaRow::default());
    for y in 0..planes.height {
        planes.read_row(0, y, &mut row);
        cb.read(planes, 1, y);
        cr.read(planes, 2, y);
        let samples = row.iter().zip(&cb.full).zip(&cr.full);
        match cicp.matrix {
            0 => out.extend(samples.flat_map(|((g, b), r)| {
                show([r, g, b].map(|sample| (sample - range.luma.0) * range.luma.1))
            })),
            8 => out.extend(samples.flat_map(|((y, cg), co)| {
                let (y, cg, co) = centred(*y, *cg, *co, range);
                show([y - cg + co, y + cg, y - cg - co])
            })),
            matrix => {
                let (red, blue) = weights(matrix, cicp.primaries);
                let green = 1.0 - red - blue;
                out.extend(samples.flat_map(|((y, cb), cr)| {
                    let (y, cb, cr) = centred(*y, *cb, *cr, range);
                    let (r, b) = (y + 2.0 * (1.0 - red) * cr, y + 2.0 * (1.0 - blue) * cb);
                    show([r, (y - red * r - blue * b) / green, b])
                }));
            }
        }
    }
    out
}

fn centred(y: f32, cb: f32, cr: f32, range: Range) -> (f32, f32, f32) {
    let chroma = |sample: f32| (sample - range.chroma.0) * range.chroma.1;
    ((y - range.luma.0) * range.luma.1, chroma(cb), chroma(cr))
}

/// Whether colours by a matrix can be shown: H.273's others need light first, or are not defined yet.
pub(super) fn is_known(matrix: u16) -> bool {
    matches!(matrix, 0..=2 | 4..=9 | 12)
}

/// How much red and blue weigh in luma. What isn't said is taken for BT.601, as libavif does.
fn weights(matrix: u16, primaries: u16) -> (f32, f32) {
    match matrix {
        12 => luminances(primaries),
        1 => (0.2126, 0.0722),
        4 => (0.30, 0.11),
        7 => (0.212, 0.087),
        9 | 10 => (0.2627, 0.0593),
        _ => (0.299, 0.114),
    }
}

/// A row of chroma brought to a sample a pixel, between samples by their distance.
#[derive(Default)]
struct ChromaRow {
    near: Vec<f32>,
    far: Vec<f32>,
    full: Vec<f32>,
}

impl ChromaRow {
    fn read(&mut self, planes: &Planes, plane: usize, y: usize) {
        let own = y >> planes.shift_y;
        planes.read_row(plane, own, &mut self.near);
        if planes.shift_y == 1 {
            let beside = if y.is_multiple_of(2) { own.saturating_sub(1) } else { own + 1 };
            planes.read_row(plane, beside, &mut self.far);
            self.near.iter_mut().zip(&self.far).for_each(|(near, far)| *near = 0.75 * *near + 0.25 * far);
        }
        self.full.clear();
        if planes.shift_x == 0 {
            self.full.extend_from_slice(&self.near);
            return;
        }
        let last = self.near.len() - 1;
        for (x, own) in self.near.iter().enumerate() {
            let (left, right) = (self.near[x.saturating_sub(1)], self.near[(x + 1).min(last)]);
            self.full.extend([0.75 * own + 0.25 * left, 0.75 * own + 0.25 * right]);
        }
        self.full.truncate(planes.width);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_pixel(samples: [&[u8]; 3], bits: u32, matrix: u16, full_range: bool) -> Vec<u8> {
        let rows = samples.map(|sample| (sample, sample.len()));
        let planes = Planes { width: 1, height: 1, bits, shift_x: 1, shift_y: 1, rows: &rows };
        assert!(planes.is_whole());
        rgb(&planes, Cicp { primaries: 1, transfer: 13, matrix, full_range })
    }

    #[test]
    fn white_black_and_red_come_out_in_every_range_and_depth() {
        assert_eq!(one_pixel([&[235], &[128], &[128]], 8, 1, false), [255, 255, 255]);
        assert_eq!(one_pixel([&[16], &[128], &[128]], 8, 9, false), [0, 0, 0]);
        assert_eq!(one_pixel([&[76], &[85], &[255]], 8, 6, true), [254, 0, 0]);
        let ten = |value: u16| value.to_ne_bytes();
        assert_eq!(one_pixel([&ten(940), &ten(512), &ten(512)], 10, 1, false), [255, 255, 255]);
    }

    #[test]
    fn identity_holds_green_blue_red() {
        assert_eq!(one_pixel([&[10], &[20], &[30]], 8, 0, true), [30, 10, 20]);
    }
}
