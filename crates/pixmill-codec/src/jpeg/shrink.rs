//! JPEG to pixels at a half, a quarter or an eighth of its size: each data unit becomes fewer samples, by an inverse DCT
//! of its lowest frequencies. A picture that is to become much smaller is so never decoded at its full size.

use super::bits::BitReader;
use super::gather::Channel;
use super::header::{Headers, Next, start_of_image};
use super::huffman::SymbolTable;
use super::idct::{Frequencies, Inverse};
use super::planes::Plane;
use super::refusal::Refusal::{self, OtherKind};
use super::scan::{BAD_CODE, CUT_SHORT, Mcus, read_ac, read_dc, read_scan};
use super::{Arena, answer, extent, read_all};
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

/// One component's smaller samples.
struct Sheet {
    /// Samples of a data unit, across and down.
    edges: (usize, usize),
    inverse: Inverse,
    /// Samples of a row, those among them that only fill up MCUs.
    stride: usize,
    samples: Vec<u8>,
}

impl Sheet {
    /// For so many data units across and down. `None` where a data unit would have to become larger than it is.
    fn new(units: (usize, usize), coarseness: (u8, u8), steps: &[u16; 64], shrink: Shrink) -> Option<Self> {
        let edge = |coarseness: u8| shrink.edge() as usize * usize::from(coarseness);
        let edges = (edge(coarseness.0), edge(coarseness.1));
        if edges.0.max(edges.1) > 8 {
            return None;
        }
        let stride = units.0 * edges.0;
        let samples = vec![0; stride * units.1 * edges.1];
        Some(Sheet { edges, inverse: Inverse::new(steps), stride, samples })
    }

    /// Fills in the samples of one data unit.
    #[inline(always)]
    fn fill(&mut self, x: usize, y: usize, unit: &Frequencies) {
        let to = &mut self.samples[y * self.edges.1 * self.stride + x * self.edges.0..];
        self.inverse.samples(unit, self.edges, to, self.stride);
    }
}

/// Decodes grey or YCbCr, not subsampled, at a smaller size. `None` for what is not read here, and for colour so coarse
/// that it would have to be enlarged.
pub(crate) fn shrunk(bytes: &[u8], shrink: Shrink, arena: &mut Arena) -> Result<Option<Raster>, Error> {
    answer(read_shrunk(bytes, shrink, arena))
}

fn read_shrunk(bytes: &[u8], shrink: Shrink, arena: &mut Arena) -> Result<Raster, Refusal> {
    let mut headers = Headers::default();
    let at = start_of_image(bytes).ok_or(OtherKind)?;
    let Next::Scan(scan, data) = headers.read(bytes, at)? else { return Err(OtherKind) };
    let frame = headers.frame.as_ref().ok_or(OtherKind)?;
    let size = (frame.width.into(), frame.height.into());
    if frame.progressive || scan.parts.len() < frame.component_count() {
        return from_planes(bytes, shrink, arena).map(|sheets| joined(&sheets, size, shrink));
    }
    let (sampling, mcus) = headers.mcus(&scan.parts).ok_or(OtherKind)?;
    let (mut channels, mut sheets) = (Vec::new(), Vec::new());
    for (&part, (h, v)) in scan.parts.iter().zip(sampling) {
        let dc = SymbolTable::new(headers.dc_codes(part).ok_or(OtherKind)?);
        let ac = arena.tables.get(headers.ac_codes(part).ok_or(OtherKind)?, 0);
        channels.push(Channel { plane: part.component, units: (h, v), dc, ac, previous: 0 });
        let steps = headers.steps(part.component).ok_or(OtherKind)?;
        let units = (mcus.0 * h, mcus.1 * v);
        let sheet = Sheet::new(units, frame.coarseness(part.component), steps, shrink);
        sheets.push(sheet.ok_or(OtherKind)?);
    }
    let mut pass = Pass { channels: &mut channels, sheets: &mut sheets, across: mcus.0, at: 0 };
    let after = read_scan(bytes, data, &mut arena.window, extent(&headers, mcus), &mut pass)?;
    if !matches!(headers.read(bytes, after)?, Next::End) {
        return Err(OtherKind);
    }
    Ok(joined(&sheets, size, shrink))
}

/// What comes in several scans is gathered first.
fn from_planes(bytes: &[u8], shrink: Shrink, arena: &mut Arena) -> Result<Vec<Sheet>, Refusal> {
    let sheet = |plane: &Plane| {
        let units = (plane.stride, plane.units.len() / plane.stride);
        let mut sheet = Sheet::new(units, plane.coarseness, &plane.steps, shrink)?;
        for (at, unit) in plane.units.iter().enumerate() {
            sheet.fill(at % plane.stride, at / plane.stride, &Frequencies::from_zigzag(unit));
        }
        Some(sheet)
    };
    read_all(bytes, arena)?.planes.iter().map(sheet).collect::<Option<_>>().ok_or(OtherKind)
}

/// A sequential scan of all components on its way to samples.
struct Pass<'a> {
    channels: &'a mut [Channel],
    sheets: &'a mut [Sheet],
    /// MCUs of a row.
    across: usize,
    /// The MCU that comes next.
    at: usize,
}

impl Mcus for Pass<'_> {
    fn read(&mut self, reader: &mut BitReader, count: u32) -> Result<(), Refusal> {
        for _ in 0..count {
            let (x, y) = (self.at % self.across, self.at / self.across);
            for (channel, sheet) in self.channels.iter_mut().zip(&mut *self.sheets) {
                let (h, v) = channel.units;
                for place in 0..h * v {
                    if !reader.advance() {
                        return Err(CUT_SHORT);
                    }
                    let unit = read_unit(reader, channel).ok_or(BAD_CODE)?;
                    sheet.fill(x * h + place % h, y * v + place / h, &unit);
                }
            }
            self.at += 1;
        }
        Ok(())
    }

    fn restart(&mut self) {
        self.channels.iter_mut().for_each(|channel| channel.previous = 0);
    }
}

#[inline(always)]
fn read_unit(reader: &mut BitReader, channel: &mut Channel) -> Option<Frequencies> {
    let mut unit = Frequencies::default();
    let mut bits = reader.reservoir;
    let difference = read_dc(&mut bits, reader.window, &channel.dc)?;
    channel.previous = channel.previous.wrapping_add(difference);
    reader.reservoir = read_ac(bits, reader.window, &channel.ac, &mut unit)?;
    unit.set_mean(channel.previous as i16);
    Some(unit)
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
    use super::*;

    macro_rules! seed {
        ($name:literal) => {
            ($name, include_bytes!(concat!("../../../../fuzz/seeds/jpeg/", $name, ".jpg")).as_slice())
        };
    }

    /// Whole picture by zune-jpeg, not subsampled.
    fn whole(bytes: &[u8], grey: bool) -> (usize, usize, Vec<u8>) {
        use zune_core::colorspace::ColorSpace;
        let space = if grey { ColorSpace::Luma } else { ColorSpace::YCbCr };
        let options = zune_core::options::DecoderOptions::default().jpeg_set_out_colorspace(space);
        let mut decoder =
            zune_jpeg::JpegDecoder::new_with_options(zune_core::bytestream::ZCursor::new(bytes), options);
        let pixels = decoder.decode().unwrap();
        let (width, height) = decoder.dimensions().unwrap();
        (width, height, pixels)
    }

    #[test]
    fn a_smaller_picture_is_the_means_of_the_whole_one() {
        let seeds = [
            seed!("420"),
            seed!("422"),
            seed!("440"),
            seed!("444"),
            seed!("411"),
            seed!("grey"),
            seed!("restart"),
            seed!("progressive-420"),
            seed!("progressive-444"),
            seed!("progressive-grey"),
        ];
        for ((name, bytes), shrink) in seeds
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
