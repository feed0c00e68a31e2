//! JPEG to sheets of samples, one for each component, of any size from an eighth of its own to the whole: each data unit
//! becomes as many samples as are wanted, by an inverse DCT of its lowest frequencies.

use super::bits::BitReader;
use super::gather::Channel;
use super::header::{Headers, Next, Scan, start_of_image};
use super::huffman::SymbolTable;
use super::idct::{Frequencies, Inverse};
use super::planes::Plane;
use super::read::{Demands, read_all};
use super::refusal::Refusal::{self, OtherKind};
use super::scan::{BAD_CODE, CUT_SHORT, Mcus, read_ac, read_dc, read_scan};
use super::strip::repeat_last_row;
use super::{Arena, extent};

/// Samples that a data unit becomes, across and down: 1, 2, 4 or 8 each.
pub(super) type Edges = (usize, usize);

/// What one component's data units are to become.
pub(super) struct Wanted {
    pub(super) edges: Edges,
    /// Samples that there must be room for, across and down.
    pub(super) room: (usize, usize),
}

/// One component's samples.
pub(super) struct Sheet {
    pub(super) edges: Edges,
    /// How many times fewer samples than pixels the component has, across and down.
    pub(super) coarseness: (u8, u8),
    inverse: Inverse,
    /// Samples of a row, those among them that only fill up MCUs or are room.
    pub(super) stride: usize,
    pub(super) samples: Vec<u8>,
}

impl Sheet {
    /// For so many data units across and down.
    fn new(
        units: (usize, usize),
        coarseness: (u8, u8),
        &Wanted { edges, room }: &Wanted,
        steps: &[u16; 64],
    ) -> Self {
        let stride = room.0.max(units.0 * edges.0);
        let samples = vec![0; stride * room.1.max(units.1 * edges.1)];
        Sheet { edges, coarseness, inverse: Inverse::new(steps), stride, samples }
    }

    /// Fills in the samples of one data unit.
    #[inline(always)]
    fn fill(&mut self, x: usize, y: usize, unit: &Frequencies) {
        let to = &mut self.samples[y * self.edges.1 * self.stride + x * self.edges.0..];
        self.inverse.samples(unit, self.edges, to, self.stride);
    }

    /// Makes the samples of an MCU grey.
    fn blank(&mut self, x: usize, y: usize, units: (usize, usize)) {
        let (width, height) = (units.0 * self.edges.0, units.1 * self.edges.1);
        let rows = self.samples[y * height * self.stride..].chunks_mut(self.stride).take(height);
        rows.for_each(|row| row[x * width..][..width].fill(128));
    }

    /// Repeats the last column and row of so many across and down to the end, in place of what fills up MCUs.
    pub(super) fn repeat_edges(&mut self, (width, height): (usize, usize)) {
        for row in self.samples.chunks_exact_mut(self.stride).take(height) {
            let last = row[width - 1];
            row[width..].fill(last);
        }
        let rows = self.samples.len() / self.stride;
        repeat_last_row(&mut self.samples, self.stride, height, rows);
    }
}

/// A picture's size in pixels, and a sheet of each component.
pub(super) struct Sheets {
    pub(super) size: (u32, u32),
    pub(super) sheets: Vec<Sheet>,
    /// For each component, the greatest sampling factors and its own, across and down.
    pub(super) factors: Vec<((u8, u8), (u8, u8))>,
}

/// Reads grey or YCbCr. `wanted` says what data units are to become, by a component's index, the picture's
/// size in pixels and the component's coarseness, or that the picture is not to be read.
pub(super) fn read_sheets(
    bytes: &[u8],
    demands: Demands,
    arena: &mut Arena,
    wanted: impl Fn(usize, (u32, u32), (u8, u8)) -> Option<Wanted>,
) -> Result<Sheets, Refusal> {
    let mut headers = Headers::default();
    let at = start_of_image(bytes).ok_or(OtherKind)?;
    let Next::Scan(scan, data) = headers.read(bytes, at)? else { return Err(OtherKind) };
    let frame = headers.frame.as_ref().ok_or(OtherKind)?;
    if demands.usual && !headers.is_usual() {
        return Err(OtherKind);
    }
    let size = (frame.width.into(), frame.height.into());
    let components = 0..frame.component_count();
    let wanted: Vec<Wanted> = components
        .clone()
        .map(|component| wanted(component, size, frame.coarseness(component)))
        .collect::<Option<_>>()
        .ok_or(OtherKind)?;
    let factors = components.map(|component| frame.factors(component)).collect();
    if frame.progressive || scan.parts.len() < frame.component_count() {
        let sheets = from_planes(&read_all(bytes, demands, arena)?.planes, &wanted);
        return Ok(Sheets { size, sheets, factors });
    }
    let sheets = one_scan(bytes, data, &mut headers, &scan, (demands, &wanted), arena)?;
    Ok(Sheets { size, sheets, factors })
}

/// Reads the only scan of a sequential picture.
fn one_scan(
    bytes: &[u8],
    data: usize,
    headers: &mut Headers,
    scan: &Scan,
    (demands, wanted): (Demands, &[Wanted]),
    arena: &mut Arena,
) -> Result<Vec<Sheet>, Refusal> {
    let (sampling, mcus) = headers.mcus(&scan.parts).ok_or(OtherKind)?;
    let (mut channels, mut sheets) = (Vec::new(), Vec::new());
    for (&part, (h, v)) in scan.parts.iter().zip(sampling) {
        let dc = SymbolTable::new(headers.dc_codes(part).ok_or(OtherKind)?);
        let ac = arena.tables.get(headers.ac_codes(part).ok_or(OtherKind)?, 0);
        channels.push(Channel { plane: part.component, units: (h, v), dc, ac, previous: 0 });
        let steps = headers.steps(part.component).ok_or(OtherKind)?;
        let frame = headers.frame.as_ref().ok_or(OtherKind)?;
        let (units, coarseness) = ((mcus.0 * h, mcus.1 * v), frame.coarseness(part.component));
        sheets.push(Sheet::new(units, coarseness, &wanted[part.component], steps));
    }
    let mut pass = Pass { channels: &mut channels, sheets: &mut sheets, across: mcus.0, at: 0 };
    let read = read_scan(bytes, data, &mut arena.window, extent(headers, mcus), &mut pass);
    let there = pass.at;
    match read {
        // What follows the last row is no part of the picture, but a reason to look twice where that costs nothing.
        Ok(after) if demands.usual && !matches!(headers.read(bytes, after)?, Next::End { .. }) => {
            return Err(OtherKind);
        }
        Ok(_) => {}
        // Blocks left over are as bad as blocks that lack: what was read stands at other places then.
        Err(refusal) if !demands.lenient => return Err(refusal),
        Err(refusal) => {
            let all = mcus.0 * mcus.1;
            demands.accept(there as u64, all as u64).map_err(|_| refusal)?;
            for (sheet, channel) in sheets.iter_mut().zip(&channels) {
                (there..all).for_each(|at| sheet.blank(at % mcus.0, at / mcus.0, channel.units));
            }
        }
    }
    let mut order: Vec<_> = channels.iter().map(|channel| channel.plane).zip(sheets).collect();
    order.sort_by_key(|(component, _)| *component);
    Ok(order.into_iter().map(|(_, sheet)| sheet).collect())
}

/// What comes in several scans is gathered first.
fn from_planes(planes: &[Plane], wanted: &[Wanted]) -> Vec<Sheet> {
    let mut sheets = Vec::new();
    for (plane, wanted) in planes.iter().zip(wanted) {
        let units = (plane.stride, plane.units.len() / plane.stride);
        let mut sheet = Sheet::new(units, plane.coarseness, wanted, &plane.steps);
        for (at, unit) in plane.units.iter().enumerate() {
            sheet.fill(at % plane.stride, at / plane.stride, &Frequencies::from_zigzag(unit));
        }
        sheets.push(sheet);
    }
    sheets
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
    #[inline(always)]
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
