//! Everything before entropy-coded data: marker segments (ITU T.81, Annex B).
//!
//! Whatever is odd here makes the picture [`Refusal::OtherKind`]: another reader judges it.

use super::huffman::Definition;
use super::refusal::Refusal::{self, OtherKind};

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
    components: Vec<Component>,
}

impl Frame {
    /// 1 for grey, 3 for YCbCr.
    pub(super) fn component_count(&self) -> usize {
        self.components.len()
    }
}

/// A component's part in a scan (T.81, B.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Selection {
    /// Index in the frame.
    pub(super) component: usize,
    dc: u8,
    ac: u8,
}

/// What comes next after some segments.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A scan of these components, whose data begins at this offset.
    Scan(Vec<Selection>, usize),
    /// The end of the picture.
    End,
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

/// The marker at an offset, with the offset behind it; any number of 0xFF may stand before (T.81, B.1.1.2).
pub(super) fn marker(bytes: &[u8], at: usize) -> Option<(u8, usize)> {
    let rest = bytes.get(at..)?;
    let fill = rest.iter().take_while(|&&byte| byte == 0xFF).count();
    let code = *rest.get(fill)?;
    (fill > 0 && code != 0).then_some((code, at + fill + 1))
}

impl Headers {
    /// Reads segments from an offset up to the next scan, or the end of the picture.
    pub(super) fn read(&mut self, bytes: &[u8], mut at: usize) -> Result<Next, Refusal> {
        loop {
            if at == bytes.len() {
                return Ok(Next::End);
            }
            let (code, behind) = marker(bytes, at).ok_or(OtherKind)?;
            if code == 0xD9 {
                return Ok(Next::End);
            }
            let (body, next) = segment(bytes, behind).ok_or(OtherKind)?;
            at = next;
            match code {
                0xC0 | 0xC1 => self.frame_header(body).ok_or(OtherKind)?,
                0xC4 => self.huffman_tables(body).ok_or(OtherKind)?,
                0xDB => self.quantisation_tables(body).ok_or(OtherKind)?,
                0xDD => self.restart_interval = u16::from_be_bytes(body.try_into().map_err(|_| OtherKind)?),
                0xDA => return Ok(Next::Scan(self.scan_header(body).ok_or(OtherKind)?, at)),
                0xE0 => self.jfif |= body.len() >= 14 && body.starts_with(b"JFIF\0"),
                0xEE if body.len() >= 12 && body.starts_with(b"Adobe") => {
                    self.adobe_transform = Some(body[11])
                }
                0xE1..=0xEF | 0xFE => {}
                _ => return Err(OtherKind),
            }
        }
    }

    /// SOF0 and SOF1 (T.81, B.2.2).
    fn frame_header(&mut self, body: &[u8]) -> Option<()> {
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
        let sampling: Vec<_> = components.iter().map(|component| component.sampling).collect();
        let known = match sampling[..] {
            [(1..=4, 1..=4)] => true,
            [(2, 2), (1, 1), (1, 1)] => {
                let [y, cb, cr] = [0, 1, 2].map(|at| components[at].id);
                y != cb && y != cr && cb != cr
            }
            _ => false,
        };
        let (width, height) = (u16::from_be_bytes([w1, w0]), u16::from_be_bytes([h1, h0]));
        if !known || width == 0 || height == 0 {
            return None;
        }
        self.frame = Some(Frame { width, height, components });
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

    /// SOS (T.81, B.2.3).
    fn scan_header(&self, body: &[u8]) -> Option<Vec<Selection>> {
        let frame = self.frame.as_ref()?;
        let (&count, rest) = body.split_first()?;
        let (parts, rest) = rest.split_at_checked(usize::from(count) * 2)?;
        if rest != [0, 63, 0] || !self.is_grey_or_ycbcr(frame) {
            return None;
        }
        let mut selections: Vec<Selection> = Vec::with_capacity(parts.len() / 2);
        for part in parts.chunks_exact(2) {
            let component = frame.components.iter().position(|component| component.id == part[0])?;
            // Components come in the order of the frame (T.81, B.2.3).
            if selections.last().is_some_and(|last| last.component >= component) {
                return None;
            }
            selections.push(Selection { component, dc: part[1] >> 4, ac: part[1] & 15 });
        }
        (!selections.is_empty()).then_some(selections)
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

    /// The tables of DC differences and AC coefficients that a scan's component is read with.
    pub(super) fn codes(&self, selection: Selection) -> Option<(&Definition, &Definition)> {
        let dc = self.dc.get(usize::from(selection.dc))?.as_ref()?;
        let ac = self.ac.get(usize::from(selection.ac))?.as_ref()?;
        dc.symbols().iter().all(|&size| size <= 15).then_some((dc, ac))
    }

    /// How many data units the MCUs of a scan hold of each component, and how many MCUs there are (T.81, A.2).
    pub(super) fn mcus(&self, scan: &[Selection]) -> Option<(Vec<usize>, u32)> {
        let frame = self.frame.as_ref()?;
        let across = |pixels: u16, of: u32| u32::from(pixels).div_ceil(of);
        let count = |of: u32| across(frame.width, of) * across(frame.height, of);
        match (frame.components.len(), scan) {
            (1, _) | (_, [Selection { component: 0, .. }]) => Some((vec![1], count(8))),
            (_, [_]) => Some((vec![1], count(16))),
            _ => Some((scan.iter().map(|part| if part.component == 0 { 4 } else { 1 }).collect(), count(16))),
        }
    }
}

/// The body of the segment at an offset, and the offset behind it (T.81, B.1.1.4).
fn segment(bytes: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let length = usize::from(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
    let body = bytes.get(at + 2..at.checked_add(length)?)?;
    Some((body, at + length))
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

    #[test]
    fn ycbcr_is_told_from_rgb_as_libjpeg_tells_it() {
        let jfif = || segment(0xE0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0");
        let adobe = |transform: u8| segment(0xEE, &[b"Adobe\0\x64\0\0\0\0", &[transform][..]].concat());
        let plain = || [frame([1, 2, 3], 0x22), scan(&[1, 2, 3])].concat();
        let rgb = || [frame(*b"RGB", 0x22), scan(b"RGB")].concat();
        assert!(is_read(&[plain()]));
        assert!(!is_read(&[rgb()]));
        assert!(is_read(&[jfif(), rgb()]));
        assert!(is_read(&[adobe(1), rgb()]));
        assert!(!is_read(&[adobe(0), plain()]));
        assert!(is_read(&[jfif(), adobe(0), plain()]));
    }

    #[test]
    fn only_full_grey_and_halved_chroma_are_read() {
        assert!(!is_read(&[frame([1, 2, 3], 0x11), scan(&[1, 2, 3])]));
        assert!(!is_read(&[frame([1, 2, 3], 0x21), scan(&[1, 2, 3])]));
        assert!(!is_read(&[frame([1, 2, 2], 0x22), scan(&[1, 2, 2])]));
        assert!(is_read(&[segment(0xC1, &[8, 0, 9, 0, 17, 1, 5, 0x22, 0]), scan(&[5])]));
    }

    #[test]
    fn scans_of_unknown_or_unordered_components_are_left_to_others() {
        for ids in [&[1, 2, 4][..], &[2, 1, 3], &[1, 1, 2], &[]] {
            assert_eq!(read(&[frame([1, 2, 3], 0x22), scan(ids)]), Err(OtherKind));
        }
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
        assert_eq!(read(&[segment(0xC2, &[8, 0, 9, 0, 17, 1, 5, 0x22, 0])]), Err(OtherKind));
        assert_eq!(read(&[segment(0xC0, &[12, 0, 9, 0, 17, 1, 5, 0x22, 0])]), Err(OtherKind));
        assert_eq!(read(&[segment(0xC0, &[8, 0, 0, 0, 17, 1, 5, 0x22, 0])]), Err(OtherKind));
    }

    #[test]
    fn mcus_cover_partial_blocks_by_the_rules_of_each_kind_of_scan() {
        let mut headers = Headers::default();
        let bytes = [frame([1, 2, 3], 0x22), scan(&[1, 2, 3])].concat();
        let Ok(Next::Scan(all, _)) = headers.read(&bytes, 0) else { panic!("a scan") };
        // 17 × 9 pixels: 2 × 1 MCUs; alone, 3 × 2 units of brightness and 2 × 1 of colour.
        assert_eq!(headers.mcus(&all), Some((vec![4, 1, 1], 2)));
        assert_eq!(headers.mcus(&all[..1]), Some((vec![1], 6)));
        assert_eq!(headers.mcus(&all[1..2]), Some((vec![1], 2)));
        assert_eq!(headers.mcus(&all[1..]), Some((vec![1, 1], 2)));
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
