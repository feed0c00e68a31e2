//! Everything before entropy-coded data: marker segments (ITU T.81, Annex B).
//!
//! Whatever is odd here makes the picture [`Refusal::OtherKind`]: another reader judges it.

use std::ops::RangeInclusive;

use super::huffman::Definition;
use super::refusal::Refusal::{self, OtherKind};
use super::standard;
use crate::markers::{DHT, DQT, DRI, EOI, SOS, Segment, Step, Walk};

/// One component of the picture (T.81, B.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Component {
    id: u8,
    /// Horizontal and vertical sampling factor.
    sampling: (u8, u8),
    quantisation: u8,
}

/// The frame header (T.81, B.2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    /// Pixels.
    pub(super) width: u16,
    /// Pixels.
    pub(super) height: u16,
    /// Coefficients come in stages (SOF2).
    pub(super) progressive: bool,
    components: Vec<Component>,
}

impl Frame {
    /// 1 for grey, 3 for YCbCr.
    pub(super) fn component_count(&self) -> usize {
        self.components.len()
    }

    /// Sampling factors of a component; a single one has one data unit in an MCU whatever it says (T.81, A.2.2).
    pub(super) fn sampling(&self, component: usize) -> (u8, u8) {
        if self.components.len() == 1 { (1, 1) } else { self.components[component].sampling }
    }

    /// The greatest sampling factors.
    fn finest(&self) -> (u8, u8) {
        let all = (0..self.components.len()).map(|component| self.sampling(component));
        all.fold((1, 1), |most, (h, v)| (most.0.max(h), most.1.max(v)))
    }

    /// The greatest sampling factors, and those of a component.
    pub(super) fn factors(&self, component: usize) -> ((u8, u8), (u8, u8)) {
        (self.finest(), self.sampling(component))
    }

    /// How many times fewer samples than pixels a component of a usual sampling has, across and down.
    pub(super) fn coarseness(&self, component: usize) -> (u8, u8) {
        let (finest, own) = (self.finest(), self.sampling(component));
        (finest.0 / own.0, finest.1 / own.1)
    }

    /// MCUs of a scan of all components, across and down.
    pub(super) fn mcus(&self) -> (usize, usize) {
        let (h, v) = self.finest();
        let across = usize::from(self.width).div_ceil(8 * usize::from(h));
        (across, usize::from(self.height).div_ceil(8 * usize::from(v)))
    }

    /// Data units that hold samples of the picture, across and down (T.81, A.1.1 and A.2.2).
    pub(super) fn units(&self, component: usize) -> (usize, usize) {
        let (finest, own) = (self.finest(), self.sampling(component));
        let units = |pixels: u16, own: u8, finest: u8| {
            (usize::from(pixels) * usize::from(own)).div_ceil(usize::from(finest)).div_ceil(8)
        };
        (units(self.width, own.0, finest.0), units(self.height, own.1, finest.1))
    }

    /// Grey, or colour at half the size both ways and the usual factors: what is requantised in one go.
    pub(super) fn is_grey_or_quartered(&self) -> bool {
        let sampling: Vec<_> = self.components.iter().map(|component| component.sampling).collect();
        sampling.len() == 1 || sampling == [(2, 2), (1, 1), (1, 1)]
    }
}

/// Whether components with these sampling factors are read: grey, and colour with as many samples as brightness has, or
/// a half or a quarter of them across, or a half of them down.
pub(crate) fn is_known_sampling(sampling: &[(u8, u8)]) -> bool {
    match *sampling {
        [(1..=4, 1..=4)] => true,
        [(h @ 1..=4, v @ 1..=4), cb @ (1..=4, 1..=4), cr] => {
            let whole = h % cb.0 == 0 && v % cb.1 == 0;
            let units = h * v + 2 * cb.0 * cb.1;
            cb == cr && whole && units <= 10 && matches!((h / cb.0, v / cb.1), (1 | 2 | 4, 1 | 2))
        }
        _ => false,
    }
}

/// Data units in an MCU, across and down.
pub(super) type Units = (usize, usize);

/// A component's part in a scan (T.81, B.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Selection {
    /// Index in the frame.
    pub(super) component: usize,
    dc: u8,
    ac: u8,
}

/// A scan header (T.81, B.2.3): which of whose coefficients come.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Scan {
    pub(super) parts: Vec<Selection>,
    /// Zigzag positions.
    pub(super) band: RangeInclusive<usize>,
    /// Bits of each coefficient that a scan before has left out; 0 when none has come before.
    pub(super) high: u8,
    /// Bits that are left to later scans.
    pub(super) low: u8,
}

/// What comes next after some segments.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A scan, whose data begins at this offset.
    Scan(Scan, usize),
    /// The end of the picture.
    End {
        /// By its own marker, not only by the end of the file.
        is_marked: bool,
    },
}

/// What the segments so far have defined.
#[derive(Debug, Default)]
pub(super) struct Headers {
    pub(super) frame: Option<Frame>,
    /// In zigzag order.
    quantisation: [Option<[u16; 64]>; 4],
    dc: [Option<Definition>; 4],
    ac: [Option<Definition>; 4],
    /// MCUs between restart markers; 0 for none.
    pub(super) restart_interval: u16,
    jfif: bool,
    adobe_transform: Option<u8>,
}

/// Offset behind SOI; `None` when the bytes don't begin with it.
pub(super) fn start_of_image(bytes: &[u8]) -> Option<usize> {
    bytes.starts_with(&[0xFF, 0xD8]).then_some(2)
}

impl Headers {
    /// Reads segments from an offset up to the next scan, or the end of the picture.
    pub(super) fn read(&mut self, bytes: &[u8], at: usize) -> Result<Next, Refusal> {
        let mut walk = Walk::from(bytes, at);
        loop {
            if walk.is_over() {
                return Ok(Next::End { is_marked: false });
            }
            let (code, body, end) = match walk.step() {
                Step::Alone { code: EOI, is_exact: true } => return Ok(Next::End { is_marked: true }),
                Step::Segment(Segment { code, body, whole, is_exact: true }) => (code, body, whole.end),
                _ => return Err(OtherKind),
            };
            match code {
                0xC0..=0xC2 => self.frame_header(body, code == 0xC2).ok_or(OtherKind)?,
                DHT => self.huffman_tables(body).ok_or(OtherKind)?,
                DQT => self.quantisation_tables(body).ok_or(OtherKind)?,
                DRI => self.restart_interval = u16::from_be_bytes(body.try_into().map_err(|_| OtherKind)?),
                SOS => return Ok(Next::Scan(self.scan_header(body).ok_or(OtherKind)?, end)),
                0xE0 => self.jfif |= body.len() >= 14 && body.starts_with(b"JFIF\0"),
                0xEE if body.len() >= 12 && body.starts_with(b"Adobe") => {
                    self.adobe_transform = Some(body[11])
                }
                0xE1..=0xEF | 0xFE => {}
                _ => return Err(OtherKind),
            }
        }
    }

    /// SOF0, SOF1 and SOF2 (T.81, B.2.2).
    fn frame_header(&mut self, body: &[u8], progressive: bool) -> Option<()> {
        let (&[precision, h1, h0, w1, w0, count], parts) = body.split_first_chunk()?;
        if self.frame.is_some() || precision != 8 || parts.len() != usize::from(count) * 3 {
            return None;
        }
        let components: Vec<Component> = parts
            .chunks_exact(3)
            .map(|part| Component {
                id: part[0],
                sampling: (part[1] >> 4, part[1] & 15),
                quantisation: part[2],
            })
            .collect();
        let sound = components.iter().all(|part| matches!(part.sampling, (1..=4, 1..=4)));
        let (width, height) = (u16::from_be_bytes([w1, w0]), u16::from_be_bytes([h1, h0]));
        if !sound || !matches!(components.len(), 1..=4) || width == 0 || height == 0 {
            return None;
        }
        self.frame = Some(Frame { width, height, progressive, components });
        Some(())
    }

    /// DHT (T.81, B.2.4.2).
    fn huffman_tables(&mut self, mut body: &[u8]) -> Option<()> {
        while let Some((&[place], rest)) = body.split_first_chunk() {
            let (counts, rest) = rest.split_first_chunk::<16>()?;
            let total = counts.iter().map(|&count| usize::from(count)).sum();
            let (symbols, rest) = rest.split_at_checked(total)?;
            let tables = match place >> 4 {
                0 => &mut self.dc,
                1 => &mut self.ac,
                _ => return None,
            };
            *tables.get_mut(usize::from(place & 15))? = Some(Definition::new(*counts, symbols)?);
            body = rest;
        }
        Some(())
    }

    /// DQT (T.81, B.2.4.1).
    fn quantisation_tables(&mut self, mut body: &[u8]) -> Option<()> {
        while let Some((&[place], rest)) = body.split_first_chunk() {
            let width = match place >> 4 {
                0 => 1,
                1 => 2,
                _ => return None,
            };
            let (steps, rest) = rest.split_at_checked(64 * width)?;
            let mut table = [0; 64];
            for (entry, step) in table.iter_mut().zip(steps.chunks_exact(width)) {
                *entry = step.iter().fold(0, |value, &byte| value << 8 | u16::from(byte));
            }
            *self.quantisation.get_mut(usize::from(place & 15))? = Some(table);
            body = rest;
        }
        Some(())
    }

    /// SOS (T.81, B.2.3 and G.1.1.1.1).
    fn scan_header(&self, body: &[u8]) -> Option<Scan> {
        let frame = self.frame.as_ref()?;
        let (&count, rest) = body.split_first()?;
        let (parts, rest) = rest.split_at_checked(usize::from(count) * 2)?;
        let &[first, last, approximation] = rest else { return None };
        let mut selections: Vec<Selection> = Vec::with_capacity(parts.len() / 2);
        for part in parts.chunks_exact(2) {
            // Where several have the same name each is meant once, in their order, as libjpeg-turbo has it.
            let is_new = |at: usize| selections.iter().all(|selection| selection.component != at);
            let named = |&at: &usize| frame.components[at].id == part[0] && is_new(at);
            let component = (0..frame.components.len()).find(named)?;
            selections.push(Selection { component, dc: part[1] >> 4, ac: part[1] & 15 });
        }
        // Of a sequential scan all coefficients come at once, whatever stands here, as libjpeg has it.
        let (first, last, approximation) =
            if frame.progressive { (first, last, approximation) } else { (0, 63, 0) };
        let (high, low) = (approximation >> 4, approximation & 15);
        let sound = match (frame.progressive, first, last) {
            (false, ..) | (true, 0, 0) => true,
            (true, 1..=63, 1..=63) => first <= last && selections.len() == 1,
            _ => false,
        };
        let in_turn = low <= 13 && (high == 0 || high == low + 1);
        let band = first.into()..=last.into();
        (!selections.is_empty() && sound && in_turn).then_some(Scan { parts: selections, band, high, low })
    }

    /// Whether the frame is grey or YCbCr of a usual sampling, each component with a name of its own.
    pub(super) fn is_usual(&self) -> bool {
        let usual = |frame: &Frame| {
            let sampling: Vec<_> = frame.components.iter().map(|component| component.sampling).collect();
            let mut ids: Vec<u8> = frame.components.iter().map(|component| component.id).collect();
            ids.sort_unstable();
            ids.dedup();
            is_known_sampling(&sampling) && ids.len() == sampling.len() && self.is_grey_or_ycbcr(frame)
        };
        self.frame.as_ref().is_some_and(usual)
    }

    /// Whether the three components are YCbCr, decided as libjpeg does.
    fn is_grey_or_ycbcr(&self, frame: &Frame) -> bool {
        let ids: Vec<u8> = frame.components.iter().map(|component| component.id).collect();
        match (ids.len(), self.jfif, self.adobe_transform) {
            (1, ..) | (_, true, _) | (_, false, Some(1)) => true,
            (_, false, Some(_)) => false,
            (_, false, None) => ids != *b"RGB",
        }
    }

    /// The quantisation steps of a component, in zigzag order.
    pub(super) fn steps(&self, component: usize) -> Option<&[u16; 64]> {
        let place = self.frame.as_ref()?.components.get(component)?.quantisation;
        self.quantisation.get(usize::from(place))?.as_ref()
    }

    /// The table of DC differences that a scan's component is read with.
    pub(super) fn dc_codes(&self, selection: Selection) -> Option<&Definition> {
        let own = self.dc.get(usize::from(selection.dc))?.as_ref();
        let dc = own.or_else(|| standard::dc(selection.dc))?;
        dc.symbols().iter().all(|&size| size <= 15).then_some(dc)
    }

    /// The table of AC coefficients that a scan's component is read with.
    pub(super) fn ac_codes(&self, selection: Selection) -> Option<&Definition> {
        let own = self.ac.get(usize::from(selection.ac))?.as_ref();
        own.or_else(|| standard::ac(selection.ac))
    }

    /// How many data units the MCUs of a scan hold of each component, across and down, and how many MCUs there are
    /// (T.81, A.2).
    pub(super) fn mcus(&self, parts: &[Selection]) -> Option<(Vec<Units>, (usize, usize))> {
        let frame = self.frame.as_ref()?;
        if let [alone] = parts {
            return Some((vec![(1, 1)], frame.units(alone.component)));
        }
        let units = parts.iter().map(|part| frame.sampling(part.component));
        Some((units.map(|(h, v)| (h.into(), v.into())).collect(), frame.mcus()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(code: u8, body: &[u8]) -> Vec<u8> {
        [&[0xFF, code], &(body.len() as u16 + 2).to_be_bytes()[..], body].concat()
    }

    fn frame(ids: [u8; 3], luma: u8) -> Vec<u8> {
        segment(0xC0, &[8, 0, 9, 0, 17, 3, ids[0], luma, 0, ids[1], 0x11, 0, ids[2], 0x11, 0])
    }

    fn scan(ids: &[u8]) -> Vec<u8> {
        let parts: Vec<u8> = ids.iter().flat_map(|&id| [id, 0]).collect();
        segment(0xDA, &[&[ids.len() as u8], &parts[..], &[0, 63, 0]].concat())
    }

    fn read(parts: &[Vec<u8>]) -> Result<Next, Refusal> {
        Headers::default().read(&parts.concat(), 0)
    }

    fn is_read(parts: &[Vec<u8>]) -> bool {
        matches!(read(parts), Ok(Next::Scan(..)))
    }

    fn is_usual(parts: &[Vec<u8>]) -> bool {
        let mut headers = Headers::default();
        assert!(matches!(headers.read(&parts.concat(), 0), Ok(Next::Scan(..))));
        headers.is_usual()
    }

    #[test]
    fn ycbcr_is_told_from_rgb_as_libjpeg_tells_it() {
        let jfif = || segment(0xE0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0");
        let adobe = |transform: u8| segment(0xEE, &[b"Adobe\0\x64\0\0\0\0", &[transform][..]].concat());
        let plain = || [frame([1, 2, 3], 0x22), scan(&[1, 2, 3])].concat();
        let rgb = || [frame(*b"RGB", 0x22), scan(b"RGB")].concat();
        assert!(is_usual(&[plain()]));
        assert!(!is_usual(&[rgb()]));
        assert!(is_usual(&[jfif(), rgb()]));
        assert!(is_usual(&[adobe(1), rgb()]));
        assert!(!is_usual(&[adobe(0), plain()]));
        assert!(is_usual(&[jfif(), adobe(0), plain()]));
    }

    #[test]
    fn samplings_that_halve_or_quarter_colour_are_usual() {
        for luma in [0x11, 0x21, 0x12, 0x22, 0x41, 0x42] {
            assert!(is_usual(&[frame([1, 2, 3], luma), scan(&[1, 2, 3])]), "{luma:x}");
        }
        for luma in [0x31, 0x14, 0x44] {
            assert!(!is_usual(&[frame([1, 2, 3], luma), scan(&[1, 2, 3])]), "{luma:x}");
        }
        for luma in [0x01, 0x25] {
            assert!(!is_read(&[frame([1, 2, 3], luma), scan(&[1, 2, 3])]), "{luma:x}");
        }
        assert!(is_known_sampling(&[(2, 2), (1, 2), (1, 2)]));
        assert!(!is_known_sampling(&[(2, 2), (1, 2), (2, 1)]));
        assert!(!is_known_sampling(&[(1, 1), (2, 2), (2, 2)]));
        assert!(!is_usual(&[frame([1, 2, 2], 0x22), scan(&[1, 2, 2])]));
        assert!(is_read(&[segment(0xC1, &[8, 0, 9, 0, 17, 1, 5, 0x22, 0]), scan(&[5])]));
    }

    #[test]
    fn progressive_scans_have_one_band_of_one_component_or_dc_of_some() {
        let progressive = || segment(0xC2, &[8, 0, 9, 0, 17, 3, 1, 0x22, 0, 2, 0x11, 0, 3, 0x11, 0]);
        let scan = |ids: &[u8], rest: [u8; 3]| {
            let parts: Vec<u8> = ids.iter().flat_map(|&id| [id, 0]).collect();
            segment(0xDA, &[&[ids.len() as u8], &parts[..], &rest].concat())
        };
        for (ids, rest) in [(&[1, 2, 3][..], [0, 0, 1]), (&[2], [1, 63, 0x21]), (&[1, 3], [0, 0, 0x10])] {
            assert!(is_read(&[progressive(), scan(ids, rest)]), "{rest:?}");
        }
        for (ids, rest) in [
            (&[1, 2][..], [1, 5, 0]),
            (&[1], [0, 5, 0]),
            (&[1], [6, 5, 0]),
            (&[1], [1, 64, 0]),
            (&[1], [1, 63, 0x31]),
            (&[1], [1, 63, 14]),
        ] {
            assert!(!is_read(&[progressive(), scan(ids, rest)]), "{rest:?}");
        }
    }

    #[test]
    fn scans_of_unknown_components_are_left_to_others() {
        for ids in [&[1, 2, 4][..], &[1, 1, 2], &[]] {
            assert_eq!(read(&[frame([1, 2, 3], 0x22), scan(ids)]), Err(OtherKind));
        }
    }

    #[test]
    fn components_come_in_any_order_and_those_of_one_name_in_theirs() {
        let components = |ids: [u8; 3], order: &[u8]| match read(&[frame(ids, 0x22), scan(order)]) {
            Ok(Next::Scan(scan, _)) => scan.parts.iter().map(|part| part.component).collect(),
            _ => Vec::new(),
        };
        assert_eq!(components([1, 2, 3], &[2, 1, 3]), [1, 0, 2]);
        assert_eq!(components([1, 1, 1], &[1, 1, 1]), [0, 1, 2]);
    }

    #[test]
    fn oddities_are_left_to_others() {
        let frame = || frame([1, 2, 3], 0x22);
        assert_eq!(read(&[frame(), frame()]), Err(OtherKind));
        assert_eq!(read(&[frame(), vec![0xFF, 0x00]]), Err(OtherKind));
        assert_eq!(read(&[vec![0x12], frame()]), Err(OtherKind));
        assert_eq!(read(&[vec![0xFF, 0xE1, 0, 1]]), Err(OtherKind));
        assert_eq!(read(&[vec![0xFF, 0xE1, 0xFF, 0xFF, 0]]), Err(OtherKind));
        assert_eq!(read(&[vec![0xFF, 0xDA]]), Err(OtherKind));
        assert_eq!(read(&[segment(0xC3, &[8, 0, 9, 0, 17, 1, 5, 0x22, 0])]), Err(OtherKind));
        assert_eq!(read(&[segment(0xC0, &[12, 0, 9, 0, 17, 1, 5, 0x22, 0])]), Err(OtherKind));
        assert_eq!(read(&[segment(0xC0, &[8, 0, 0, 0, 17, 1, 5, 0x22, 0])]), Err(OtherKind));
    }

    #[test]
    fn mcus_cover_partial_blocks_by_the_rules_of_each_kind_of_scan() {
        let mut headers = Headers::default();
        let bytes = [frame([1, 2, 3], 0x22), scan(&[1, 2, 3])].concat();
        let Ok(Next::Scan(all, _)) = headers.read(&bytes, 0) else { panic!("a scan") };
        // 17 × 9 pixels: 2 × 1 MCUs; alone, 3 × 2 units of brightness and 2 × 1 of colour.
        assert_eq!(headers.mcus(&all.parts), Some((vec![(2, 2), (1, 1), (1, 1)], (2, 1))));
        assert_eq!(headers.mcus(&all.parts[..1]), Some((vec![(1, 1)], (3, 2))));
        assert_eq!(headers.mcus(&all.parts[1..2]), Some((vec![(1, 1)], (2, 1))));
        assert_eq!(headers.mcus(&all.parts[1..]), Some((vec![(1, 1), (1, 1)], (2, 1))));
    }

    #[test]
    fn wide_steps_are_read() {
        let mut headers = Headers::default();
        let mut wide = vec![0x10];
        wide.extend((0..64_u16).flat_map(|at| (at * 5).to_be_bytes()));
        let bytes = [frame([1, 2, 3], 0x22), segment(0xDB, &wide), scan(&[1, 2, 3])].concat();
        headers.read(&bytes, 0).unwrap();
        assert_eq!(headers.steps(2).unwrap()[63], 315);
    }
}
