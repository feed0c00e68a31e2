//! JPEG to pixels at a half, a quarter or an eighth of its size: each data unit becomes fewer samples, by an inverse DCT
//! of its lowest frequencies. A picture that is to become much smaller is so never decoded at its full size.

use super::read::Demands;
use super::sheets::{Sheet, Sheets, Wanted, read_sheets};
use super::{Arena, answer};
use crate::Error;
use crate::raster::{Layout, Raster};

/// How much smaller a picture is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shrink {
    Half,
    Quarter,
    Eighth,
}

impl Shrink {
    /// The strongest that leaves a picture no smaller than it is to become. Pixels.
    pub(crate) fn fitting(from: (u32, u32), to: (u32, u32)) -> Option<Self> {
        let leaves = |shrink: &Self| {
            let divisor = 8 / shrink.edge();
            from.0 / divisor >= to.0 && from.1 / divisor >= to.1
        };
        [Shrink::Eighth, Shrink::Quarter, Shrink::Half].into_iter().find(leaves)
    }

    /// Whether no data unit of components with these sampling factors, of a usual kind, would have to become larger.
    pub(crate) fn reads(self, sampling: &[(u8, u8)]) -> bool {
        match *sampling {
            [luma, cb, _] => self.edge() * u32::from((luma.0 / cb.0).max(luma.1 / cb.1)) <= 8,
            _ => true,
        }
    }

    /// Samples of a data unit's side, where colour is as fine as brightness.
    fn edge(self) -> u32 {
        match self {
            Shrink::Half => 4,
            Shrink::Quarter => 2,
            Shrink::Eighth => 1,
        }
    }

    /// What a side of the picture measures in pixels of the smaller one, the last of which may reach beyond it.
    pub(crate) fn extent(self, side: u32) -> f64 {
        f64::from(side * self.edge()) / 8.0
    }

    /// A side of the smaller picture. Pixels.
    pub(crate) fn shrunk(self, side: u32) -> u32 {
        (side * self.edge()).div_ceil(8)
    }
}

/// Decodes grey or YCbCr, not subsampled, at a smaller size. `None` for what is not read here, and for colour so coarse
/// that it would have to be enlarged.
pub(crate) fn shrunk(bytes: &[u8], shrink: Shrink, arena: &mut Arena) -> Result<Option<Raster>, Error> {
    let wanted = |_, _, coarseness: (u8, u8)| {
        let edge = |coarseness: u8| shrink.edge() as usize * usize::from(coarseness);
        let edges = (edge(coarseness.0), edge(coarseness.1));
        (edges.0.max(edges.1) <= 8).then_some(Wanted { edges, room: (0, 0) })
    };
    let sheets = answer(read_sheets(bytes, Demands::USUAL, arena, wanted))?;
    Ok(sheets.map(|Sheets { size, sheets, .. }| joined(&sheets, size, shrink)))
}

/// The samples of all components pixel by pixel, without what only filled up MCUs.
fn joined(sheets: &[Sheet], size: (u32, u32), shrink: Shrink) -> Raster {
    let (width, height) = (shrink.shrunk(size.0), shrink.shrunk(size.1));
    let rows = |sheet: &Sheet| {
        let stride = sheet.stride;
        (0..height as usize).map(move |y| y * stride..y * stride + width as usize)
    };
    match sheets {
        [luma, cb, cr] => {
            let mut data = vec![0; width as usize * height as usize * 3];
            let to = data.chunks_exact_mut(width as usize * 3);
            for (to, ((y, b), r)) in to.zip(rows(luma).zip(rows(cb)).zip(rows(cr))) {
                let samples = luma.samples[y].iter().zip(&cb.samples[b]).zip(&cr.samples[r]);
                for (pixel, ((y, b), r)) in to.as_chunks_mut::<3>().0.iter_mut().zip(samples) {
                    *pixel = [*y, *b, *r];
                }
            }
            Raster::new(width, height, Layout::Ycbcr, data)
        }
        _ => {
            let samples = sheets.iter().flat_map(|sheet| rows(sheet).map(|row| &sheet.samples[row]));
            Raster::new(width, height, Layout::Grey, samples.flatten().copied().collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::seeds::{SEEDS, whole};
    use super::*;

    #[test]
    fn a_smaller_picture_is_the_means_of_the_whole_one() {
        for ((name, bytes), shrink) in SEEDS
            .into_iter()
            .flat_map(|seed| [Shrink::Half, Shrink::Quarter, Shrink::Eighth].map(|shrink| (seed, shrink)))
        {
            let Some(small) = shrunk(bytes, shrink, &mut Arena::default()).unwrap() else {
                assert_eq!((name, shrink), ("411", Shrink::Half));
                continue;
            };
            let (width, height, pixels) = whole(bytes, small.layout == Layout::Grey);
            let (divisor, channels) = (8 / shrink.edge() as usize, small.layout.channels());
            assert_eq!(small.width as usize, width.div_ceil(divisor), "{name}");
            assert_eq!(small.height as usize, height.div_ceil(divisor), "{name}");
            let mut off = 0;
            let whole_squares = (0..height / divisor).flat_map(|y| (0..width / divisor).map(move |x| (x, y)));
            for (x, y) in whole_squares {
                for channel in 0..channels {
                    let square = (0..divisor * divisor).map(|at| {
                        let (x, y) = (x * divisor + at % divisor, y * divisor + at / divisor);
                        usize::from(pixels[(y * width + x) * channels + channel])
                    });
                    let mean = square.sum::<usize>() / (divisor * divisor);
                    off += small.data[(y * small.width as usize + x) * channels + channel]
                        .abs_diff(mean as u8) as usize;
                }
            }
            let samples = (width / divisor) * (height / divisor) * channels;
            assert!(off < 4 * samples, "{name} {shrink:?}: mean difference {}", off as f64 / samples as f64);
        }
    }

    #[test]
    fn the_strongest_shrink_leaves_no_side_too_small() {
        for (from, to, wanted) in [
            ((2000, 1000), (1001, 501), None),
            ((2000, 1000), (1000, 500), Some(Shrink::Half)),
            ((2000, 1000), (500, 251), Some(Shrink::Half)),
            ((2000, 1000), (500, 250), Some(Shrink::Quarter)),
            ((2000, 1000), (10, 5), Some(Shrink::Eighth)),
            ((9, 9), (1, 1), Some(Shrink::Eighth)),
            ((7, 9), (1, 1), Some(Shrink::Quarter)),
        ] {
            assert_eq!(Shrink::fitting(from, to), wanted, "{from:?} to {to:?}");
        }
    }
}
