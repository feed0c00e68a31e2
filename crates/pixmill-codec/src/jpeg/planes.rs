//! All coefficients of a picture at once, where they can't be written in the order in which they come.

use super::header::Frame;
use super::quantise::Requantiser;

/// A component's coefficients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plane {
    /// Data units that hold samples of the picture, across and down.
    pub(super) across: usize,
    pub(super) down: usize,
    /// Data units of a row, those among them that only fill up MCUs.
    pub(super) stride: usize,
    /// Data units row by row, each in zigzag order.
    pub(super) units: Vec<[i16; 64]>,
    /// What the coefficients count, in zigzag order.
    pub(super) steps: [u16; 64],
    /// The source's steps, in zigzag order: finer ones would bring nothing back.
    pub(super) finest: [u16; 64],
    /// How many times fewer samples than pixels there are, across and down.
    pub(super) coarseness: (u8, u8),
    /// Of how many units the last bit has come, by zigzag position.
    pub(super) there: [u32; 64],
}

impl Plane {
    /// A unit that holds samples of the picture.
    pub(super) fn unit(&self, x: usize, y: usize) -> Option<&[i16; 64]> {
        (x < self.across && y < self.down).then(|| &self.units[y * self.stride + x])
    }

    /// Units that hold samples of the picture, row by row.
    pub(super) fn rows(&self) -> impl Iterator<Item = &[[i16; 64]]> {
        self.units.chunks(self.stride).take(self.down).map(|row| &row[..self.across])
    }
}

/// A picture of grey or YCbCr, as coefficients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Coefficients {
    /// Pixels.
    pub(super) width: u16,
    /// Pixels.
    pub(super) height: u16,
    /// One, or brightness, Cb and Cr.
    pub(super) planes: Vec<Plane>,
}

impl Coefficients {
    /// Data units of brightness in an MCU, across and down, where colour has one.
    pub(super) fn sampling(&self) -> (usize, usize) {
        self.planes.get(1).map_or((1, 1), |plane| (plane.coarseness.0.into(), plane.coarseness.1.into()))
    }

    /// All zero, and without steps.
    pub(super) fn new(frame: &Frame) -> Self {
        let (mcus_across, mcus_down) = frame.mcus();
        let planes = (0..frame.component_count()).map(|component| {
            let (h, v) = frame.sampling(component);
            let (across, down) = frame.units(component);
            let stride = mcus_across * usize::from(h);
            Plane {
                across,
                down,
                stride,
                units: vec![[0; 64]; stride * mcus_down * usize::from(v)],
                steps: [0; 64],
                finest: [0; 64],
                coarseness: frame.coarseness(component),
                there: [0; 64],
            }
        });
        Coefficients { width: frame.width, height: frame.height, planes: planes.collect() }
    }

    /// Data units of all components.
    pub(super) fn units(&self) -> u64 {
        self.planes.iter().map(|plane| plane.units.len() as u64).sum()
    }

    /// The same picture by other steps.
    pub(super) fn requantised(&self, requantisers: &[Requantiser]) -> Self {
        let planes = self.planes.iter().zip(requantisers).map(|(plane, requantiser)| Plane {
            units: plane.units.iter().map(|unit| requantiser.unit(unit).0).collect(),
            steps: requantiser.target.map(u16::from),
            ..*plane
        });
        Coefficients { planes: planes.collect(), ..*self }
    }
}
