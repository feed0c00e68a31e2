//! The markers of a JPEG file, one after the other (ITU-T T.81, B.1.1): the one place that walks them. Who reads on may
//! pass over what is odd, as libjpeg does, or refuse it.

use std::ops::Range;

pub(crate) const SOI: u8 = 0xD8;
pub(crate) const EOI: u8 = 0xD9;
pub(crate) const SOS: u8 = 0xDA;
pub(crate) const DQT: u8 = 0xDB;
pub(crate) const DHT: u8 = 0xC4;
pub(crate) const DRI: u8 = 0xDD;

/// What a walk comes upon.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    /// A marker segment.
    Segment(Segment<'a>),
    /// A marker that stands alone: a start, an end, a restart.
    Alone {
        code: u8,
        /// See [`Segment::is_exact`].
        is_exact: bool,
    },
    /// The file ends before there is another marker, or within a segment.
    Cut,
}

/// A marker with its parameters.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Segment<'a> {
    /// The second byte of its marker.
    pub(crate) code: u8,
    /// What follows its length.
    pub(crate) body: &'a [u8],
    /// Where it lies, from its marker on.
    pub(crate) whole: Range<usize>,
    /// Nothing but fill bytes lay before it, and its length counts itself.
    pub(crate) is_exact: bool,
}

/// A walk over the markers from an offset on.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Walk<'a> {
    pub(crate) fn from(bytes: &'a [u8], at: usize) -> Self {
        Walk { bytes, at }
    }

    /// Whether it has come to the end of the file.
    pub(crate) fn is_over(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// The next marker. What lies before it and is none is passed over.
    pub(crate) fn step(&mut self) -> Step<'a> {
        let here = marker(self.bytes, self.at);
        let is_next = here.is_some();
        let Some((code, behind)) = here.or_else(|| self.search()) else { return Step::Cut };
        if matches!(code, SOI | EOI | 0x01 | 0xD0..=0xD7) {
            self.at = behind;
            return Step::Alone { code, is_exact: is_next };
        }
        let length = self.bytes.get(behind..).and_then(|rest| rest.first_chunk());
        let Some(length) = length.map(|length| usize::from(u16::from_be_bytes(*length))) else {
            return Step::Cut;
        };
        let end = behind + length.max(2);
        let Some(body) = self.bytes.get(behind + 2..end) else { return Step::Cut };
        self.at = end;
        Step::Segment(Segment { code, body, whole: behind - 2..end, is_exact: is_next && length >= 2 })
    }

    /// Passes over entropy-coded data, up to the first marker that is no restart or the end of the file. Where that is.
    pub(crate) fn pass_entropy(&mut self) -> usize {
        while let Some(step) = self.bytes.get(self.at..).and_then(|rest| memchr::memchr(0xFF, rest)) {
            self.at += step;
            match self.bytes.get(self.at + 1) {
                Some(0x00 | 0xD0..=0xD7) => self.at += 2,
                Some(0xFF) => self.at += 1,
                Some(_) => return self.at,
                None => break,
            }
        }
        self.at = self.bytes.len();
        self.at
    }

    /// The next marker behind something else.
    fn search(&self) -> Option<(u8, usize)> {
        let rest = self.bytes.get(self.at..)?;
        memchr::memchr_iter(0xFF, rest).find_map(|step| marker(self.bytes, self.at + step))
    }
}

/// The marker at an offset, with the offset behind it; any number of 0xFF may stand before (T.81, B.1.1.2).
pub(crate) fn marker(bytes: &[u8], at: usize) -> Option<(u8, usize)> {
    let rest = bytes.get(at..)?;
    let fill = rest.iter().take_while(|&&byte| byte == 0xFF).count();
    let code = *rest.get(fill)?;
    (fill > 0 && code != 0).then_some((code, at + fill + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(bytes: &[u8]) -> Vec<(u8, bool, usize)> {
        let mut walk = Walk::from(bytes, 0);
        std::iter::from_fn(|| match walk.step() {
            Step::Segment(segment) => Some((segment.code, segment.is_exact, segment.body.len())),
            Step::Alone { code, is_exact } => Some((code, is_exact, 0)),
            Step::Cut => None,
        })
        .collect()
    }

    #[test]
    fn markers_follow_each_other_with_any_fill_between_them() {
        let bytes = [0xFF, SOI, 0xFF, 0xFF, 0xFF, DRI, 0, 4, 1, 2, 0xFF, EOI];
        assert_eq!(steps(&bytes), [(SOI, true, 0), (DRI, true, 2), (EOI, true, 0)]);
    }

    #[test]
    fn what_is_no_marker_is_passed_over_and_told() {
        let bytes = [7, 0xFF, 0, 0xFF, DRI, 0, 4, 1, 2, 0, 0xFF, EOI];
        assert_eq!(steps(&bytes), [(DRI, false, 2), (EOI, false, 0)]);
        assert_eq!(steps(&[0xFF, DRI, 0, 1, 0xFF, EOI]), [(DRI, false, 0), (EOI, true, 0)]);
    }

    #[test]
    fn a_file_that_ends_within_a_segment_is_cut() {
        for bytes in [&[][..], &[0xFF], &[0xFF, 0xFF], &[0xFF, DRI, 0], &[0xFF, DRI, 0, 4, 1], &[0xFF, 0]] {
            assert_eq!(Walk::from(bytes, 0).step(), Step::Cut, "{bytes:?}");
        }
        assert!(Walk::from(&[1], 1).is_over() && !Walk::from(&[1], 0).is_over());
    }

    #[test]
    fn entropy_coded_data_ends_at_the_first_marker_that_is_no_restart() {
        for (bytes, end) in [
            (&[1, 0xFF, 0, 0xFF, 0xD3, 2, 0xFF, EOI][..], 6),
            (&[1, 0xFF, 0xFF, EOI], 2),
            (&[1, 2, 0xFF], 3),
            (&[1, 2], 2),
        ] {
            assert_eq!(Walk::from(bytes, 0).pass_entropy(), end, "{bytes:?}");
        }
    }

    #[test]
    fn a_segment_says_where_it_lies() {
        let bytes = [0xFF, 0xFF, DQT, 0, 3, 9, 0xFF, EOI];
        let Step::Segment(segment) = Walk::from(&bytes, 0).step() else { panic!("a segment") };
        assert_eq!((segment.whole, segment.body), (1..6, &[9][..]));
    }
}
