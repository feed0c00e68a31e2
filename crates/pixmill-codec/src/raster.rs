//! A decoded picture: rows of 8-bit samples, top to bottom, without padding.

/// What the samples of a pixel mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    Grey,
    GreyAlpha,
    Rgb,
    /// Alpha is straight, not premultiplied.
    Rgba,
    /// JFIF YCbCr (BT.601, full range), not subsampled.
    Ycbcr,
    /// Amounts of ink: 0 is none.
    Cmyk,
}

impl Layout {
    /// Samples, and so bytes, of a pixel.
    pub(crate) fn channels(self) -> usize {
        match self {
            Layout::Grey => 1,
            Layout::GreyAlpha => 2,
            Layout::Rgb | Layout::Ycbcr => 3,
            Layout::Rgba | Layout::Cmyk => 4,
        }
    }

    pub(crate) fn has_alpha(self) -> bool {
        matches!(self, Layout::GreyAlpha | Layout::Rgba)
    }
}

/// A decoded picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Raster {
    /// Pixels, at least 1.
    pub(crate) width: u32,
    /// Pixels, at least 1.
    pub(crate) height: u32,
    pub(crate) layout: Layout,
    /// `width × height × layout.channels()` bytes.
    pub(crate) data: Vec<u8>,
}

impl Raster {
    pub(crate) fn new(width: u32, height: u32, layout: Layout, data: Vec<u8>) -> Self {
        debug_assert_eq!(data.len(), width as usize * height as usize * layout.channels());
        Raster { width, height, layout, data }
    }

    /// Bytes of a row.
    pub(crate) fn stride(&self) -> usize {
        self.width as usize * self.layout.channels()
    }

    /// Makes rows that are missing grey, or see-through where there is alpha.
    pub(crate) fn blank_rows(&mut self, rows: std::ops::Range<usize>) {
        let (stride, blank) = (self.stride(), if self.layout.has_alpha() { 0 } else { 128 });
        self.data[rows.start * stride..rows.end * stride].fill(blank);
    }

    /// The picture with grey spread to RGB.
    pub(crate) fn spread(self) -> Self {
        let (layout, data): (_, Vec<u8>) = match self.layout {
            Layout::Grey => (Layout::Rgb, self.data.iter().flat_map(|grey| [*grey; 3]).collect()),
            Layout::GreyAlpha => {
                let pixels = self.data.as_chunks::<2>().0;
                (
                    Layout::Rgba,
                    pixels.iter().flat_map(|[grey, alpha]| [*grey, *grey, *grey, *alpha]).collect(),
                )
            }
            _ => return self,
        };
        Raster::new(self.width, self.height, layout, data)
    }

    /// Keeps only some samples of each pixel, in place. `pick` gives, for each new sample, the old one's index.
    pub(crate) fn keep_samples<const N: usize>(&mut self, layout: Layout, pick: [usize; N]) {
        let old = self.layout.channels();
        debug_assert!(N <= old && N == layout.channels());
        for pixel in 0..self.data.len() / old {
            let from: [u8; N] = std::array::from_fn(|i| self.data[pixel * old + pick[i]]);
            self.data[pixel * N..pixel * N + N].copy_from_slice(&from);
        }
        self.data.truncate(self.width as usize * self.height as usize * N);
        self.layout = layout;
    }
}

/// Where a frame lies on which canvas. Pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) left: u32,
    pub(crate) top: u32,
}

/// A frame at its place on a canvas filled with `around` (RGBA); what sticks out is cut off.
pub(crate) fn on_canvas(frame: Raster, place: Place, around: [u8; 4]) -> Raster {
    let Place { width, height, left, top } = place;
    if (frame.width, frame.height, left, top) == (width, height, 0, 0) {
        return frame;
    }
    let channels = frame.layout.channels();
    let mut data = around.repeat(width as usize * height as usize);
    let visible = frame.width.min(width.saturating_sub(left)) as usize;
    if visible == 0 {
        // Right of its canvas a row's start may lie beyond the last row.
        return Raster::new(width, height, Layout::Rgba, data);
    }
    let rows = frame.data.chunks_exact(frame.stride()).take(height.saturating_sub(top) as usize);
    for (y, row) in rows.enumerate() {
        let start = ((top as usize + y) * width as usize + left as usize) * 4;
        let to = data[start..].as_chunks_mut::<4>().0;
        for (pixel, from) in to.iter_mut().zip(row.chunks_exact(channels)).take(visible) {
            *pixel = [from[0], from[1], from[2], if channels == 4 { from[3] } else { 255 }];
        }
    }
    Raster::new(width, height, Layout::Rgba, data)
}

/// 16-bit sample as 8-bit, rounded: `v / 257`.
pub(crate) fn eight_bit(sample: u16) -> u8 {
    ((u32::from(sample) + 128) / 257) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_bits_round_to_the_nearest_eight() {
        for v in 0..=u16::MAX {
            let nearest = (f64::from(v) / 257.0).round() as u8;
            assert_eq!(eight_bit(v), nearest, "{v}");
        }
    }

    #[test]
    fn a_frame_keeps_its_place_and_the_rest_is_filled() {
        let frame = Raster::new(2, 2, Layout::Rgb, vec![1; 12]);
        let canvas = on_canvas(frame, Place { width: 3, height: 2, left: 2, top: 1 }, [0; 4]);
        assert_eq!(canvas.data[..20], [0; 20]);
        assert_eq!(canvas.data[20..], [1, 1, 1, 255]);
    }

    #[test]
    fn what_lies_outside_its_canvas_is_not_shown_wherever_that_is() {
        let inside = |left, top| left < 3 && top < 2;
        let far = [0, 1, 2, 3, 4, 7, 100, 65_535, u32::MAX];
        for (left, top) in far.into_iter().flat_map(|left| far.map(|top| (left, top))) {
            let frame = Raster::new(2, 2, Layout::Rgb, vec![1; 12]);
            let canvas = on_canvas(frame, Place { width: 3, height: 2, left, top }, [0; 4]);
            assert_eq!(canvas.data.len(), 3 * 2 * 4);
            let shown = canvas.data.iter().any(|sample| *sample != 0);
            assert_eq!(shown, inside(left, top), "a frame at {left}, {top}");
        }
    }

    #[test]
    fn dropping_samples_keeps_the_others_in_order() {
        let mut raster = Raster::new(2, 1, Layout::Rgba, vec![1, 2, 3, 4, 5, 6, 7, 8]);
        raster.keep_samples(Layout::Rgb, [0, 1, 2]);
        assert_eq!(raster.data, [1, 2, 3, 5, 6, 7]);
    }
}
