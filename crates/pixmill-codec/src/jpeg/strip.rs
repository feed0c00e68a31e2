//! Rows of pixels to planes of samples, one row of MCUs at a time.

use super::dct::Block;
use crate::raster::{Layout, Raster};

/// How many chroma samples there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chroma {
    /// None: grey.
    None,
    /// As many as pixels (4:4:4).
    Full,
    /// One for four pixels (4:2:0).
    Quarter,
}

/// A picture that can be encoded.
pub(crate) trait Encodable {
    /// Pixels across and down.
    fn size(&self) -> (u32, u32);

    /// The chroma that it has, or will have.
    fn chroma(&self) -> Chroma;

    /// Fills a strip with its rows from `top` on.
    fn fill(&self, strip: &mut Strip, top: usize);
}

/// Grey, RGB or YCbCr, and how many chroma samples are wanted of colour.
#[derive(Debug)]
pub(crate) struct Pixels<'a> {
    pub(crate) raster: &'a Raster,
    pub(crate) chroma: Chroma,
}

impl Encodable for Pixels<'_> {
    fn size(&self) -> (u32, u32) {
        (self.raster.width, self.raster.height)
    }

    fn chroma(&self) -> Chroma {
        if self.raster.layout == Layout::Grey { Chroma::None } else { self.chroma }
    }

    #[inline(always)]
    fn fill(&self, strip: &mut Strip, top: usize) {
        strip.fill(self.raster, top, self.chroma());
    }
}

/// A picture whose colour has half the size of brightness both ways.
#[derive(Debug)]
pub(crate) struct Quartered {
    /// Pixels.
    pub(crate) size: (u32, u32),
    /// Y of that size, and, but for grey, Cb and Cr of half of it, rounded up.
    pub(crate) planes: Vec<Vec<u8>>,
}

impl Quartered {
    /// Samples of a component, across and down.
    pub(super) fn samples(component: usize, size: (u32, u32)) -> (u32, u32) {
        if component == 0 { size } else { (size.0.div_ceil(2), size.1.div_ceil(2)) }
    }
}

impl Encodable for Quartered {
    fn size(&self) -> (u32, u32) {
        self.size
    }

    fn chroma(&self) -> Chroma {
        if self.planes.len() == 1 { Chroma::None } else { Chroma::Quarter }
    }

    #[inline(always)]
    fn fill(&self, strip: &mut Strip, top: usize) {
        strip.copy(self, top);
    }
}

/// Samples of one row of MCUs, edges filled up as libjpeg does: the last column and row are repeated.
#[derive(Debug, Default)]
pub(crate) struct Strip {
    /// Y, Cb, Cr with `stride` samples a row.
    planes: [Vec<u8>; 3],
    /// Cb and Cr with `stride / 2` samples a row.
    quarter: [Vec<u8>; 2],
    /// Samples a row: whole MCUs.
    stride: usize,
    /// Rows of Y.
    edge: usize,
}

impl Strip {
    /// Gets ready for a picture of that width, of which `edge` rows come at a time.
    pub(super) fn begin(&mut self, width: u32, edge: usize) {
        (self.stride, self.edge) = ((width as usize).next_multiple_of(edge), edge);
        self.planes.iter_mut().for_each(|plane| plane.resize(self.stride * edge, 0));
        self.quarter.iter_mut().for_each(|plane| plane.resize(self.stride * edge / 4, 0));
    }

    /// Takes the picture's rows from `top` on, and chroma as wanted.
    #[inline(always)]
    fn fill(&mut self, raster: &Raster, top: usize, chroma: Chroma) {
        let rows = self.edge.min(raster.height as usize - top);
        let width = raster.width as usize;
        for y in 0..rows {
            let from = &raster.data[(top + y) * raster.stride()..][..raster.stride()];
            let [luma, cb, cr] = &mut self.planes;
            let to = [luma, cb, cr].map(|plane| &mut plane[y * self.stride..][..self.stride]);
            separate(from, raster.layout, width, to);
        }
        if chroma == Chroma::Quarter {
            self.shrink_chroma(rows);
        }
        for plane in &mut self.planes {
            repeat_last_row(plane, self.stride, rows, self.edge);
        }
    }

    /// Takes the rows of planes, the last of which is repeated to the end, like their last samples.
    #[inline(always)]
    fn copy(&mut self, picture: &Quartered, top: usize) {
        let [luma, ..] = &mut self.planes;
        let quarter = self.quarter.iter_mut().map(|plane| (plane, self.stride / 2, top / 2, 8));
        let to = std::iter::once((luma, self.stride, top, self.edge)).chain(quarter);
        for (component, (from, (to, stride, top, edge))) in picture.planes.iter().zip(to).enumerate() {
            let (width, height) = Quartered::samples(component, picture.size);
            let (width, rows) = (width as usize, edge.min(height as usize - top));
            let from = from[top * width..].chunks_exact(width);
            for (from, to) in from.zip(to.chunks_exact_mut(stride)).take(rows) {
                to[..width].copy_from_slice(from);
                to[width..].fill(from[width - 1]);
            }
            repeat_last_row(to, stride, rows, edge);
        }
    }

    /// Means of four, rounded down and up in turn, as libjpeg does (`jcsample.c`, `h2v2_downsample`).
    #[inline(always)]
    fn shrink_chroma(&mut self, rows: usize) {
        let (stride, half) = (self.stride, self.stride / 2);
        for (plane, quarter) in self.planes[1..].iter_mut().zip(&mut self.quarter) {
            repeat_last_row(plane, stride, rows, rows.next_multiple_of(2));
            let pairs = plane.chunks_exact(2 * stride).zip(quarter.chunks_exact_mut(half));
            for (two, to) in pairs.take(rows.div_ceil(2)) {
                let (above, below) = two.split_at(stride);
                let (above, below) = (above.as_chunks::<4>().0, below.as_chunks::<4>().0);
                for ((a, b), to) in above.iter().zip(below).zip(to.as_chunks_mut::<2>().0) {
                    let [a0, a1, a2, a3] = a.map(u16::from);
                    let [b0, b1, b2, b3] = b.map(u16::from);
                    *to = [((a0 + a1 + b0 + b1 + 1) >> 2) as u8, ((a2 + a3 + b2 + b3 + 2) >> 2) as u8];
                }
            }
            repeat_last_row(quarter, half, rows.div_ceil(2), 8);
        }
    }

    /// The 8 × 8 samples of a component whose top left is (x, y).
    #[inline(always)]
    pub(super) fn block(&self, component: usize, chroma: Chroma, x: usize, y: usize) -> Block {
        let (plane, stride) = match (component, chroma) {
            (1 | 2, Chroma::Quarter) => (&self.quarter[component - 1], self.stride / 2),
            _ => (&self.planes[component], self.stride),
        };
        let start = y * stride + x;
        std::array::from_fn(|row| {
            let samples = plane[start + row * stride..].first_chunk::<8>().copied().unwrap_or([128; 8]);
            samples.map(|sample| f32::from(sample) - 128.0)
        })
    }
}

/// Repeats the last of so many rows until there are as many as wanted.
pub(super) fn repeat_last_row(plane: &mut [u8], stride: usize, rows: usize, wanted: usize) {
    for row in rows..wanted {
        plane.copy_within((rows - 1) * stride..rows * stride, row * stride);
    }
}

/// One row of pixels to samples of each component, the last of which is repeated to the end.
#[inline(always)]
fn separate(row: &[u8], layout: Layout, width: usize, [luma, cb, cr]: [&mut [u8]; 3]) {
    match layout {
        Layout::Grey => luma[..width].copy_from_slice(row),
        Layout::Ycbcr => {
            let pixels = row.as_chunks::<3>().0.iter();
            for (pixel, ((y, b), r)) in pixels.zip(luma.iter_mut().zip(cb.iter_mut()).zip(cr.iter_mut())) {
                (*y, *b, *r) = (pixel[0], pixel[1], pixel[2]);
            }
        }
        _ => {
            let pixels = row.as_chunks::<3>().0.iter();
            for (pixel, ((y, b), r)) in pixels.zip(luma.iter_mut().zip(cb.iter_mut()).zip(cr.iter_mut())) {
                (*y, *b, *r) = ycbcr(*pixel);
            }
        }
    }
    for plane in [luma, cb, cr] {
        let last = plane[width - 1];
        plane[width..].fill(last);
    }
}

/// JFIF's YCbCr in 16-bit fixed point, as libjpeg rounds it (`jccolor.c`).
#[inline(always)]
pub(crate) fn ycbcr([r, g, b]: [u8; 3]) -> (u8, u8, u8) {
    let (r, g, b) = (i32::from(r), i32::from(g), i32::from(b));
    let half = 1 << 15;
    let middle = (128 << 16) + half - 1;
    let y = (19_595 * r + 38_470 * g + 7_471 * b + half) >> 16;
    let cb = (-11_059 * r - 21_709 * g + 32_768 * b + middle) >> 16;
    let cr = (32_768 * r - 27_439 * g - 5_329 * b + middle) >> 16;
    (y as u8, cb as u8, cr as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn primary_colours_have_the_samples_that_jfif_gives_them() {
        let cases = [
            ([0, 0, 0], (0, 128, 128)),
            ([255, 255, 255], (255, 128, 128)),
            ([255, 0, 0], (76, 85, 255)),
            ([0, 255, 0], (150, 44, 21)),
            ([0, 0, 255], (29, 255, 107)),
        ];
        for (pixel, wanted) in cases {
            assert_eq!(ycbcr(pixel), wanted, "{pixel:?}");
        }
    }

    #[test]
    fn edges_repeat_the_last_column_and_row() {
        let raster = Raster::new(2, 3, Layout::Ycbcr, (0..18).map(|i| i * 10).collect());
        let mut strip = Strip::default();
        strip.begin(2, 16);
        strip.fill(&raster, 0, Chroma::Quarter);
        let luma = strip.block(0, Chroma::Quarter, 8, 8);
        assert!(luma.iter().flatten().all(|&sample| sample == 150.0 - 128.0), "{luma:?}");
        let cb = strip.block(1, Chroma::Quarter, 0, 0);
        assert_eq!(cb[0][0], f32::from((10 + 40 + 70 + 100 + 1_u16) / 4) - 128.0);
        assert_eq!(cb[7][7], 160.0 - 128.0);
    }
}
