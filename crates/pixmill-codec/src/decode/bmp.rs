//! BMP: rows of pixels of 1 to 32 bits, and run-length codes.

use super::enough_rows;
use crate::container::Header;
use crate::container::bmp::{Coding, Description, describe};
use crate::raster::{Layout, Raster};
use crate::{Error, Limits};

/// Decodes to RGB, or RGBA where a mask says that there is alpha and a pixel has some.
pub(super) fn decode(bytes: &[u8], header: &Header, limits: &Limits) -> Result<Raster, Error> {
    let described = describe(bytes)?;
    let pixels = bytes.get(described.pixels_at..).unwrap_or_default();
    let layout = if described.masks[3] == 0 { Layout::Rgb } else { Layout::Rgba };
    let (width, height) = (header.width as usize, header.height as usize);
    // Before room is made for the pixels, which a header of some bytes may promise by the million.
    let there = match described.coding {
        Coding::Plain => rows_there(pixels.len(), &described),
        Coding::Runs => Runs::new(pixels, &described).map(|_, _, _| ()),
    };
    enough_rows(there, header.height, limits)?;
    let mut raster =
        Raster::new(header.width, header.height, layout, vec![0; width * height * layout.channels()]);
    match described.coding {
        Coding::Plain => plain(pixels, &described, &mut raster),
        Coding::Runs => {
            let entries = entries(&described);
            raster.data.as_chunks_mut::<3>().0.fill(entries[0]);
            Runs::new(pixels, &described).map(|x, y, pixel| {
                let row = if described.top_down { y } else { height - 1 - y };
                let colour = match pixel {
                    Pixel::Entry(index) => entries[usize::from(index)],
                    Pixel::Colour(colour) => colour,
                };
                raster.data.as_chunks_mut::<3>().0[row * width + x] = colour;
            });
        }
    }
    raster.blank_rows(if described.top_down { there..height } else { 0..height - there });
    if layout == Layout::Rgba && raster.data.iter().skip(3).step_by(4).all(|alpha| *alpha == 0) {
        // Writers that leave the byte empty mean no alpha, as browsers have it.
        raster.keep_samples(Layout::Rgb, [0, 1, 2]);
    }
    Ok(raster)
}

/// Bytes of a row, and those among them that hold pixels.
fn row_bytes(described: &Description) -> (usize, usize) {
    let bits = u64::from(described.width) * u64::from(described.bits);
    (bits.div_ceil(32) as usize * 4, bits.div_ceil(8) as usize)
}

/// Rows whose pixels are all there; the last one needs no padding.
fn rows_there(bytes: usize, described: &Description) -> usize {
    let (stride, filled) = row_bytes(described);
    ((bytes + stride - filled) / stride).min(described.height as usize)
}

/// The palette with black beyond its end.
fn entries(described: &Description) -> [[u8; 3]; 256] {
    let mut entries = [[0; 3]; 256];
    entries.iter_mut().zip(&described.palette).for_each(|(to, from)| *to = *from);
    entries
}

fn plain(pixels: &[u8], described: &Description, raster: &mut Raster) {
    let (stride, filled) = row_bytes(described);
    let height = raster.height as usize;
    let to_stride = raster.stride();
    let entries = entries(described);
    let channels = Channels::new(described.masks);
    for (y, row) in pixels.chunks(stride).take(height).filter(|row| row.len() >= filled).enumerate() {
        let y = if described.top_down { y } else { height - 1 - y };
        let to = &mut raster.data[y * to_stride..][..to_stride];
        match described.bits {
            24 => {
                let pixels = row.as_chunks::<3>().0.iter();
                to.as_chunks_mut::<3>().0.iter_mut().zip(pixels).for_each(|(to, &[b, g, r])| *to = [r, g, b]);
            }
            16 => {
                let pixels = row.as_chunks::<2>().0.iter().map(|two| u32::from(u16::from_le_bytes(*two)));
                channels.put(pixels, to);
            }
            32 => channels.put(row.as_chunks::<4>().0.iter().map(|four| u32::from_le_bytes(*four)), to),
            bits => {
                let (per_byte, mask) = ((8 / bits) as usize, ((1_u16 << bits) - 1) as u8);
                for (x, to) in to.as_chunks_mut::<3>().0.iter_mut().enumerate() {
                    let shift = 8 - bits as usize * (x % per_byte + 1);
                    *to = entries[usize::from(row[x / per_byte] >> shift & mask)];
                }
            }
        }
    }
}

/// Takes samples out of a pixel by their masks.
struct Channels {
    /// Where each begins, and the most that it can be; 0 for none.
    places: [(u32, u64); 4],
    count: usize,
}

impl Channels {
    fn new(masks: [u32; 4]) -> Self {
        let place = |mask: u32| match mask {
            0 => (0, 0),
            mask => (mask.trailing_zeros(), u64::from(mask >> mask.trailing_zeros())),
        };
        Channels { places: masks.map(place), count: if masks[3] == 0 { 3 } else { 4 } }
    }

    fn put(&self, pixels: impl Iterator<Item = u32>, to: &mut [u8]) {
        for (to, pixel) in to.chunks_exact_mut(self.count).zip(pixels) {
            for (to, &(shift, most)) in to.iter_mut().zip(&self.places) {
                let value = u64::from(pixel >> shift) & most;
                *to = (value * 255 + most / 2).checked_div(most).unwrap_or(0) as u8;
            }
        }
    }
}

/// A pixel of a run.
#[derive(Clone, Copy)]
enum Pixel {
    Entry(u8),
    Colour([u8; 3]),
}

/// Run-length codes.
struct Runs<'a> {
    codes: &'a [u8],
    bits: u32,
    width: usize,
    height: usize,
    x: usize,
    y: usize,
}

impl<'a> Runs<'a> {
    fn new(codes: &'a [u8], described: &Description) -> Self {
        let (width, height) = (described.width as usize, described.height as usize);
        Runs { codes, bits: described.bits, width, height, x: 0, y: 0 }
    }

    /// Hands out all pixels with their column and row, in the order in which rows are stored; how many rows are done.
    /// Pixels that are leapt over stay as they are.
    fn map(mut self, mut put: impl FnMut(usize, usize, Pixel)) -> usize {
        while self.y < self.height {
            let [count, value, rest @ ..] = self.codes else { break };
            self.codes = rest;
            let went_on = match (*count, *value) {
                (0, 0) => {
                    (self.x, self.y) = (0, self.y + 1);
                    Some(())
                }
                (0, 1) => return self.height,
                (0, 2) => self.leap(),
                (0, count) => self.literals(count.into(), &mut put),
                (count, value) => self.run(count.into(), value, &mut put),
            };
            if went_on.is_none() {
                break;
            }
        }
        // The last code of the last row needs no end of row behind it.
        (self.y + usize::from(self.x >= self.width)).min(self.height)
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.codes.split_at_checked(count)?;
        self.codes = rest;
        Some(taken)
    }

    fn leap(&mut self) -> Option<()> {
        let &[right, down] = self.take(2)? else { return None };
        (self.x, self.y) = (self.x + usize::from(right), self.y + usize::from(down));
        Some(())
    }

    fn literals(&mut self, count: usize, put: &mut impl FnMut(usize, usize, Pixel)) -> Option<()> {
        let bytes = (count * self.bits as usize).div_ceil(8);
        let whole = bytes.next_multiple_of(2).min(self.codes.len().max(bytes));
        let literals = &self.take(whole)?[..bytes];
        for at in 0..count {
            let pixel = match self.bits {
                4 => Pixel::Entry(literals[at / 2] >> (4 * (1 - at % 2)) & 15),
                8 => Pixel::Entry(literals[at]),
                _ => Pixel::Colour([literals[3 * at + 2], literals[3 * at + 1], literals[3 * at]]),
            };
            self.put(pixel, put);
        }
        Some(())
    }

    fn run(&mut self, count: usize, value: u8, put: &mut impl FnMut(usize, usize, Pixel)) -> Option<()> {
        let colour = match self.bits {
            24 => {
                let &[green, red] = self.take(2)? else { return None };
                Some([red, green, value])
            }
            _ => None,
        };
        for at in 0..count {
            let pixel = match (self.bits, colour) {
                (_, Some(colour)) => Pixel::Colour(colour),
                (4, _) => Pixel::Entry(value >> (4 * (1 - at % 2)) & 15),
                _ => Pixel::Entry(value),
            };
            self.put(pixel, put);
        }
        Some(())
    }

    /// What sticks out of its row is cut off.
    fn put(&mut self, pixel: Pixel, put: &mut impl FnMut(usize, usize, Pixel)) {
        if self.x < self.width {
            put(self.x, self.y, pixel);
        }
        self.x += 1;
    }
}
