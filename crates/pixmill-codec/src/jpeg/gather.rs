//! A sequential scan to planes of coefficients (ITU T.81, F.2.2).

use std::sync::Arc;

use super::bits::BitReader;
use super::header::Units;
use super::huffman::{StepTable, SymbolTable};
use super::planes::Plane;
use super::refusal::Refusal;
use super::scan::{BAD_CODE, CUT_SHORT, Mcus, Put, read_ac, read_dc};

/// One component's way through a scan.
#[derive(Debug)]
pub(super) struct Channel {
    /// Index of its plane.
    pub(super) plane: usize,
    pub(super) units: Units,
    pub(super) dc: SymbolTable,
    /// For which no coefficient is dead.
    pub(super) ac: Arc<StepTable>,
    /// The DC coefficient before.
    pub(super) previous: i32,
}

/// A scan on its way to planes.
#[derive(Debug)]
pub(super) struct Gather<'a> {
    pub(super) channels: &'a mut [Channel],
    pub(super) planes: &'a mut [Plane],
    /// MCUs of a row.
    pub(super) across: usize,
    /// The MCU that comes next.
    pub(super) at: usize,
}

impl Mcus for Gather<'_> {
    #[inline(always)]
    fn read(&mut self, reader: &mut BitReader, count: u32) -> Result<(), Refusal> {
        for _ in 0..count {
            let (x, y) = (self.at % self.across, self.at / self.across);
            for channel in &mut *self.channels {
                let plane = &mut self.planes[channel.plane];
                let (h, v) = channel.units;
                for row in 0..v {
                    let first = (y * v + row) * plane.stride + x * h;
                    for unit in &mut plane.units[first..first + h] {
                        if !reader.advance() {
                            return Err(CUT_SHORT);
                        }
                        read_unit(reader, channel, unit).ok_or(BAD_CODE)?;
                    }
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

struct Unit<'a>(&'a mut [i16; 64]);

impl Put for Unit<'_> {
    #[inline(always)]
    fn put(&mut self, at: u32, magnitude: u32, negative: u32) {
        self.0[at as usize & 63] = (magnitude ^ negative).wrapping_sub(negative) as i16;
    }
}

#[inline(always)]
fn read_unit(reader: &mut BitReader, channel: &mut Channel, unit: &mut [i16; 64]) -> Option<()> {
    let mut bits = reader.reservoir;
    let difference = read_dc(&mut bits, reader.window, &channel.dc)?;
    channel.previous = channel.previous.wrapping_add(difference);
    reader.reservoir = read_ac(bits, reader.window, &channel.ac, &mut Unit(unit))?;
    unit[0] = channel.previous as i16;
    Some(())
}
