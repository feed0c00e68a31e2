//! JPEG of any sampling and any number of components to whole pixels: each component brought to a sample a pixel.
//!
//! Where a component has half the samples, those between are found by their distance, as libjpeg does
//! (`jdsample.c`, "fancy"); at other whole shares each sample is repeated, as it does too. Shares that are not whole, which
//! libjpeg refuses, are found by distance.

use pixmill_cpu::Kernel;

use super::Arena;
use super::read::Demands;
use super::refusal::Refusal::{Corrupt, OtherKind};
use super::sheets::{Sheet, Sheets, Wanted, read_sheets};
use crate::error::corrupt;
use crate::raster::{Layout, Raster};
use crate::{Error, Limits};

/// Decodes all components, whatever they stand for, to a layout of as many samples.
///
/// # Errors
/// [`crate::ErrorKind::Corrupt`] for what is broken, or lacks more than the limits allow.
pub(crate) fn samples(
    bytes: &[u8],
    layout: Layout,
    limits: &Limits,
    arena: &mut Arena,
) -> Result<Raster, Error> {
    let demands = Demands { usual: false, lenient: limits.lenient };
    let wanted = |_, _, _| Some(Wanted { edges: (8, 8), room: (0, 0) });
    let picture = read_sheets(bytes, demands, arena, wanted).map_err(|refusal| match refusal {
        Corrupt(reason) => corrupt(reason),
        OtherKind => corrupt("a JPEG whose headers contradict each other, or lack a table"),
    })?;
    let (width, height) = picture.size;
    if picture.sheets.len() != layout.channels() {
        return Err(corrupt("a JPEG whose headers contradict each other"));
    }
    let mut data = vec![0; width as usize * height as usize * layout.channels()];
    match layout.channels() {
        1 => pixmill_cpu::run(Join::<1> { picture: &picture, data: &mut data }),
        3 => pixmill_cpu::run(Join::<3> { picture: &picture, data: &mut data }),
        _ => pixmill_cpu::run(Join::<4> { picture: &picture, data: &mut data }),
    }
    Ok(Raster::new(width, height, layout, data))
}

/// How samples along one side become as many as there are pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Spread {
    /// They are as many.
    One,
    /// They are half as many.
    Two,
    /// Each is repeated so many times.
    Times(usize),
    /// For each pixel, the sample before it, the one behind it, and how near the latter is, of 256.
    Between(Vec<(usize, usize, u16)>),
}

impl Spread {
    /// `most`: the greatest factor. `samples`: how many there are. `fine`: halves are found by distance.
    fn new(most: u8, own: u8, pixels: usize, samples: usize, fine: bool) -> Self {
        match (most / own, most % own) {
            (1, 0) => Spread::One,
            (2, 0) if fine => Spread::Two,
            (times, 0) => Spread::Times(times.into()),
            _ => {
                let share = f64::from(own) / f64::from(most);
                let place = |pixel: usize| {
                    let at = ((pixel as f64 + 0.5) * share - 0.5).clamp(0.0, (samples - 1) as f64);
                    let before = at.floor() as usize;
                    (before, (before + 1).min(samples - 1), ((at - before as f64) * 256.0).round() as u16)
                };
                Spread::Between((0..pixels).map(place).collect())
            }
        }
    }
}

/// One component on its way to a sample a pixel.
struct Channel<'a> {
    sheet: &'a Sheet,
    /// Samples that belong to the picture, across and down.
    size: (usize, usize),
    across: Spread,
    down: Spread,
    /// Sums of two rows, or one row: what is spread across.
    sums: Vec<u16>,
    row: Vec<u8>,
}

impl<'a> Channel<'a> {
    fn new(sheet: &'a Sheet, (most, own): ((u8, u8), (u8, u8)), picture: (u32, u32)) -> Self {
        let (width, height) = (picture.0 as usize, picture.1 as usize);
        let samples = |pixels: usize, most: u8, own: u8| (pixels * usize::from(own)).div_ceil(most.into());
        let size = (samples(width, most.0, own.0), samples(height, most.1, own.1));
        let halves = |most: u8, own: u8| most == own || most == 2 * own;
        // Two samples or fewer are repeated, as libjpeg has it.
        let wide = most.0 == own.0 || size.0 > 2;
        let fine = halves(most.0, own.0) && halves(most.1, own.1) && wide;
        let across = Spread::new(most.0, own.0, width, size.0, fine);
        let down = Spread::new(most.1, own.1, height, size.1, fine);
        Channel { sheet, size, across, down, sums: vec![0; size.0], row: vec![0; width] }
    }

    fn line(&self, y: usize) -> &'a [u8] {
        let y = y.min(self.size.1 - 1);
        &self.sheet.samples[y * self.sheet.stride..][..self.size.0]
    }

    /// Fills `row` with samples of the pixels' row.
    #[inline(always)]
    fn spread(&mut self, y: usize) {
        // What the sums count in: of one row, of two, and rounding that goes down and up in turn.
        let unit = match &self.down {
            Spread::One => return self.spread_line(self.line(y)),
            Spread::Times(times) => return self.spread_line(self.line(y / times)),
            Spread::Two => {
                let near = self.line(y / 2);
                let far = self.line(if y.is_multiple_of(2) { (y / 2).saturating_sub(1) } else { y / 2 + 1 });
                sum(near, far, &mut self.sums, 3, 1);
                4
            }
            Spread::Between(places) => {
                let (before, behind, share) = places[y];
                sum(self.line(before), self.line(behind), &mut self.sums, 256 - share, share);
                256
            }
        };
        let sums = &self.sums;
        match (&self.across, unit) {
            (Spread::Two, 4) => doubled(sums, &mut self.row, (8, 7, 4)),
            (Spread::One, 4) => {
                // As libjpeg rounds where only rows are halved.
                let bias = if y.is_multiple_of(2) { 1 } else { 2 };
                self.row.iter_mut().zip(sums).for_each(|(to, sum)| *to = ((sum + bias) >> 2) as u8);
            }
            _ => {
                let half = unit / 2;
                let line: Vec<u8> = sums.iter().map(|sum| ((u32::from(*sum) + half) / unit) as u8).collect();
                self.spread_line(&line);
            }
        }
    }

    #[inline(always)]
    fn spread_line(&mut self, line: &[u8]) {
        match &self.across {
            Spread::One => self.row.copy_from_slice(line),
            Spread::Two => {
                self.sums.iter_mut().zip(line).for_each(|(to, from)| *to = u16::from(*from));
                doubled(&self.sums, &mut self.row, (1, 2, 2));
            }
            Spread::Times(times) => {
                self.row.chunks_mut(*times).zip(line).for_each(|(to, from)| to.fill(*from));
            }
            Spread::Between(places) => {
                for (to, &(before, behind, share)) in self.row.iter_mut().zip(places) {
                    let (a, b, share) = (u32::from(line[before]), u32::from(line[behind]), u32::from(share));
                    *to = ((a * (256 - share) + b * share + 128) >> 8) as u8;
                }
            }
        }
    }
}

#[inline(always)]
fn sum(near: &[u8], far: &[u8], to: &mut [u16], weight: u16, other: u16) {
    for ((to, near), far) in to.iter_mut().zip(near).zip(far) {
        *to = u16::from(*near) * weight + u16::from(*far) * other;
    }
}

/// Each sample becomes two, three quarters its own and one the neighbour's; at the ends its own alone. `left` and `right`
/// are added before `shift` bits are dropped.
#[inline(always)]
fn doubled(from: &[u16], to: &mut [u8], (left, right, shift): (u16, u16, u32)) {
    let last = from.len() - 1;
    let pair = |at: usize, before: u16, behind: u16| {
        [((from[at] * 3 + before + left) >> shift) as u8, ((from[at] * 3 + behind + right) >> shift) as u8]
    };
    let first = pair(0, from[0], from[1.min(last)]);
    to.iter_mut().zip(first).for_each(|(to, value)| *to = value);
    if last == 0 {
        return;
    }
    let pairs = to[2..].as_chunks_mut::<2>().0;
    for (pair, three) in pairs.iter_mut().zip(from.windows(3)) {
        let own = three[1] * 3;
        *pair = [((own + three[0] + left) >> shift) as u8, ((own + three[2] + right) >> shift) as u8];
    }
    let end = pair(last, from[last - 1], from[last]);
    to[2 * last..].iter_mut().zip(end).for_each(|(to, value)| *to = value);
}

/// Sheets on their way to pixels.
struct Join<'a, const N: usize> {
    picture: &'a Sheets,
    data: &'a mut [u8],
}

impl<const N: usize> Kernel for Join<'_, N> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Join { picture, data } = self;
        let channels = picture.sheets.iter().zip(&picture.factors);
        let mut channels: Vec<Channel> =
            channels.map(|(sheet, factors)| Channel::new(sheet, *factors, picture.size)).collect();
        for (y, to) in data.chunks_exact_mut(picture.size.0 as usize * N).enumerate() {
            channels.iter_mut().for_each(|channel| channel.spread(y));
            let pixels = to.as_chunks_mut::<N>().0;
            for (at, channel) in channels.iter().take(N).enumerate() {
                pixels.iter_mut().zip(&channel.row).for_each(|(pixel, sample)| pixel[at] = *sample);
            }
        }
    }
}
