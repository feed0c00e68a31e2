//! Turning a picture upright.

use crate::raster::Raster;

/// How a picture is stored, as EXIF counts it (tag 0x0112): 1 is upright.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Orientation {
    #[default]
    Upright,
    /// 2: mirrored left to right.
    FlipHorizontal,
    /// 3
    Rotate180,
    /// 4: mirrored top to bottom.
    FlipVertical,
    /// 5: mirrored along the diagonal from the top left.
    Transpose,
    /// 6: to be turned clockwise.
    Rotate90,
    /// 7: mirrored along the other diagonal.
    Transverse,
    /// 8: to be turned anticlockwise.
    Rotate270,
}

impl Orientation {
    /// From the value of the EXIF tag; what isn't 1 to 8 counts as upright.
    pub(crate) fn from_exif(value: u32) -> Self {
        match value {
            2 => Orientation::FlipHorizontal,
            3 => Orientation::Rotate180,
            4 => Orientation::FlipVertical,
            5 => Orientation::Transpose,
            6 => Orientation::Rotate90,
            7 => Orientation::Transverse,
            8 => Orientation::Rotate270,
            _ => Orientation::Upright,
        }
    }

    /// Width and height change places.
    pub(crate) fn swaps_axes(self) -> bool {
        matches!(
            self,
            Orientation::Transpose | Orientation::Rotate90 | Orientation::Transverse | Orientation::Rotate270
        )
    }

    /// Whether turning runs against the stored picture's rows, and its columns.
    pub(crate) fn mirrors(self) -> (bool, bool) {
        match self {
            Orientation::Upright | Orientation::Transpose => (false, false),
            Orientation::FlipHorizontal | Orientation::Rotate270 => (true, false),
            Orientation::FlipVertical | Orientation::Rotate90 => (false, true),
            Orientation::Rotate180 | Orientation::Transverse => (true, true),
        }
    }

    /// Where the upright pixel (x, y) is stored, in a stored picture of width × height.
    pub(crate) fn stored(self, x: usize, y: usize, width: usize, height: usize) -> (usize, usize) {
        match self {
            Orientation::Upright => (x, y),
            Orientation::FlipHorizontal => (width - 1 - x, y),
            Orientation::Rotate180 => (width - 1 - x, height - 1 - y),
            Orientation::FlipVertical => (x, height - 1 - y),
            Orientation::Transpose => (y, x),
            Orientation::Rotate90 => (y, height - 1 - x),
            Orientation::Transverse => (width - 1 - y, height - 1 - x),
            Orientation::Rotate270 => (width - 1 - y, x),
        }
    }
}

/// The picture, upright.
pub(crate) fn upright(raster: Raster, orientation: Orientation) -> Raster {
    if orientation == Orientation::Upright {
        return raster;
    }
    match raster.layout.channels() {
        1 => turned::<1>(raster, orientation),
        2 => turned::<2>(raster, orientation),
        3 => turned::<3>(raster, orientation),
        _ => turned::<4>(raster, orientation),
    }
}

/// Edge of the square tiles in which pixels are moved, so that reads down a column stay in the cache.
const TILE: usize = 32;

fn turned<const N: usize>(raster: Raster, orientation: Orientation) -> Raster {
    let (stored_width, stored_height) = (raster.width as usize, raster.height as usize);
    let (width, height) =
        if orientation.swaps_axes() { (stored_height, stored_width) } else { (stored_width, stored_height) };
    let (from, _) = raster.data.as_chunks::<N>();
    let mut data = vec![0; raster.data.len()];
    let (to, _) = data.as_chunks_mut::<N>();
    for top in (0..height).step_by(TILE) {
        for left in (0..width).step_by(TILE) {
            for y in top..(top + TILE).min(height) {
                for x in left..(left + TILE).min(width) {
                    let (stored_x, stored_y) = orientation.stored(x, y, stored_width, stored_height);
                    to[y * width + x] = from[stored_y * stored_width + stored_x];
                }
            }
        }
    }
    Raster::new(width as u32, height as u32, raster.layout, data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raster::Layout;

    fn letters(width: u32, text: &str) -> Raster {
        Raster::new(width, text.len() as u32 / width, Layout::Grey, text.bytes().collect())
    }

    #[test]
    fn all_eight_orientations_come_out_upright() {
        // Upright is AB/CD/EF; each line is how EXIF says it may be stored.
        let stored = [
            (1, 2, "ABCDEF"),
            (2, 2, "BADCFE"),
            (3, 2, "FEDCBA"),
            (4, 2, "EFCDAB"),
            (5, 3, "ACEBDF"),
            (6, 3, "BDFACE"),
            (7, 3, "FDBECA"),
            (8, 3, "ECAFDB"),
        ];
        for (value, width, text) in stored {
            let picture = upright(letters(width, text), Orientation::from_exif(value));
            assert_eq!(picture, letters(2, "ABCDEF"), "orientation {value}");
        }
    }

    #[test]
    fn pictures_larger_than_a_tile_are_moved_whole() {
        let data: Vec<u8> = (0..70 * 41 * 3).map(|i| (i % 251) as u8).collect();
        let picture = Raster::new(70, 41, Layout::Rgb, data);
        let there = upright(picture.clone(), Orientation::Rotate90);
        assert_eq!(upright(there, Orientation::Rotate270), picture);
    }
}
