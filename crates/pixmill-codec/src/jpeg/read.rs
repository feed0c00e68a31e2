//! All coefficients of a picture, scan by scan, and how much of it is there.

use super::bits::Window;
use super::gather::{self, Gather};
use super::header::{self, Headers, Next, Scan};
use super::huffman::SymbolTable;
use super::planes::{Coefficients, Plane};
use super::progressive::{AcScan, DcChannel, DcScan};
use super::refusal::Refusal::{self, Corrupt, OtherKind};
use super::scan::{CUT_SHORT, read_scan};
use super::{Arena, extent};

/// What a picture must be like to be read, and what may be missing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Demands {
    /// Grey or YCbCr of a usual sampling.
    pub(super) usual: bool,
    /// More than 90 % is enough.
    pub(super) lenient: bool,
}

impl Demands {
    pub(super) const USUAL: Demands = Demands { usual: true, lenient: false };

    /// Judges a share of what should be there.
    pub(super) fn accept(self, there: u64, all: u64) -> Result<(), Refusal> {
        if there >= all || self.lenient && there * 10 > all * 9 { Ok(()) } else { Err(CUT_SHORT) }
    }
}

/// Reads all coefficients.
pub(super) fn read_all(bytes: &[u8], demands: Demands, arena: &mut Arena) -> Result<Coefficients, Refusal> {
    let mut headers = Headers::default();
    let mut at = header::start_of_image(bytes).ok_or(OtherKind)?;
    let mut picture: Option<Coefficients> = None;
    let (mut whole, mut marked) = (true, true);
    loop {
        let (scan, data) = match headers.read(bytes, at) {
            Ok(Next::Scan(scan, data)) => (scan, data),
            Ok(Next::End { is_marked }) => {
                marked = is_marked;
                break;
            }
            // A segment that is cut short, behind scans that aren't.
            Err(_) if demands.lenient && picture.is_some() => {
                marked = false;
                break;
            }
            Err(refusal) => return Err(refusal),
        };
        if demands.usual && !headers.is_usual() {
            return Err(OtherKind);
        }
        let frame = headers.frame.as_ref().ok_or(OtherKind)?;
        let picture = picture.get_or_insert_with(|| Coefficients::new(frame));
        for part in &scan.parts {
            let plane = &mut picture.planes[part.component];
            // What a component's first scan finds is what holds (T.81, B.2.4.1).
            if plane.steps[0] == 0 {
                plane.steps = *headers.steps(part.component).ok_or(NO_STEPS)?;
                plane.finest = plane.steps;
            } else if !frame.progressive {
                return Err(OtherKind);
            }
        }
        let read = if frame.progressive {
            read_stage(bytes, data, &headers, &scan, &mut picture.planes, &mut arena.window)
        } else {
            read_sequential(bytes, data, &headers, &scan, &mut picture.planes, arena)
        };
        match read {
            Ok(after) => at = after,
            Err(Corrupt(_)) if demands.lenient => {
                whole = false;
                break;
            }
            Err(refusal) => return Err(refusal),
        }
    }
    let picture = picture.ok_or(Corrupt("the JPEG ends before its picture begins"))?;
    if picture.planes.iter().any(|plane| plane.steps[0] == 0) {
        return Err(Corrupt("the JPEG ends before all of its components have come"));
    }
    if !(whole && marked) {
        // Where the end is marked a picture is as fine as it was meant to be.
        let all = picture.planes.iter().map(|plane| 64 * plane.units.len() as u64).sum();
        let there =
            picture.planes.iter().map(|plane| plane.there.iter().map(|&n| u64::from(n)).sum::<u64>()).sum();
        demands.accept(there, all)?;
    }
    Ok(picture)
}

const NO_STEPS: Refusal = Corrupt("a table of quantisation steps is missing in the JPEG");
const NO_CODES: Refusal = Corrupt("a table of Huffman codes is missing in the JPEG");

fn read_sequential(
    bytes: &[u8],
    data: usize,
    headers: &Headers,
    scan: &Scan,
    planes: &mut [Plane],
    arena: &mut Arena,
) -> Result<usize, Refusal> {
    let (units, mcus) = headers.mcus(&scan.parts).ok_or(OtherKind)?;
    let mut channels = Vec::new();
    for (&part, units) in scan.parts.iter().zip(units) {
        let dc = SymbolTable::new(headers.dc_codes(part).ok_or(NO_CODES)?);
        let ac = arena.tables.get(headers.ac_codes(part).ok_or(NO_CODES)?, 0);
        channels.push(gather::Channel { plane: part.component, units, dc, ac, previous: 0 });
    }
    let mut gather = Gather { channels: &mut channels, planes, across: mcus.0, at: 0 };
    let read = read_scan(bytes, data, &mut arena.window, extent(headers, mcus), &mut gather);
    let done = gather.at;
    note(scan, planes, done, mcus);
    read
}

fn read_stage(
    bytes: &[u8],
    data: usize,
    headers: &Headers,
    scan: &Scan,
    planes: &mut [Plane],
    window: &mut Window,
) -> Result<usize, Refusal> {
    let (units, mcus) = headers.mcus(&scan.parts).ok_or(OtherKind)?;
    let extent = extent(headers, mcus);
    if let (&[part], 1..) = (&scan.parts[..], *scan.band.start()) {
        let codes = SymbolTable::new(headers.ac_codes(part).ok_or(NO_CODES)?);
        let plane = &mut planes[part.component];
        let (band, refines) = (scan.band.clone(), scan.high > 0);
        let mut stage = AcScan { plane, codes, band, refines, low: scan.low, ended: 0, at: 0 };
        let read = read_scan(bytes, data, window, extent, &mut stage);
        let done = stage.at;
        note(scan, planes, done, mcus);
        return read;
    }
    let mut channels = Vec::new();
    for (&part, units) in scan.parts.iter().zip(units) {
        let codes = match scan.high {
            0 => Some(SymbolTable::new(headers.dc_codes(part).ok_or(NO_CODES)?)),
            _ => None,
        };
        channels.push(DcChannel { plane: part.component, units, codes, previous: 0 });
    }
    let mut stage = DcScan { channels: &mut channels, planes, across: mcus.0, at: 0, low: scan.low };
    let read = read_scan(bytes, data, window, extent, &mut stage);
    let done = stage.at;
    note(scan, planes, done, mcus);
    read
}

/// Writes down how many units of each component have their last bit at the scan's positions.
fn note(scan: &Scan, planes: &mut [Plane], done: usize, mcus: (usize, usize)) {
    if scan.low > 0 {
        return;
    }
    for part in &scan.parts {
        let plane = &mut planes[part.component];
        // A scan of one component has no units that only fill up MCUs, but those never count as missing.
        let units = (plane.units.len() as u64 * done as u64) / (mcus.0 * mcus.1).max(1) as u64;
        plane.there[scan.band.clone()].fill(units as u32);
    }
}
