//! EXIF as far as it matters here: where the orientation stands.

use crate::orientation::Orientation;

/// Where the orientation's value lies in an EXIF block, and how it is stored.
struct Field {
    at: usize,
    value: u16,
    little_endian: bool,
}

/// The orientation of an EXIF block (a TIFF header with its directories). Upright where there is none.
pub(crate) fn orientation(exif: &[u8]) -> Orientation {
    find(exif).map_or(Orientation::Upright, |field| Orientation::from_exif(u32::from(field.value)))
}

/// The block with its orientation set to 1, for a picture that has been turned.
pub(crate) fn with_upright_orientation(exif: &[u8]) -> Vec<u8> {
    let mut exif = exif.to_vec();
    if let Some(field) = find(&exif) {
        let one = if field.little_endian { 1u16.to_le_bytes() } else { 1u16.to_be_bytes() };
        exif[field.at..field.at + 2].copy_from_slice(&one);
    }
    exif
}

/// TIFF 6.0, section 2: header, then directories of 12-byte entries. Only the first directory counts.
fn find(exif: &[u8]) -> Option<Field> {
    const ORIENTATION: u16 = 0x0112;
    const SHORT: u16 = 3;
    let little_endian = match exif.get(..4)? {
        b"II*\0" => true,
        b"MM\0*" => false,
        _ => return None,
    };
    let short = |at: usize| -> Option<u16> {
        let bytes = exif.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if little_endian { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    };
    let long = |at: usize| -> Option<u32> {
        let bytes = exif.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if little_endian { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    };
    let directory = long(4)? as usize;
    for entry in 0..usize::from(short(directory)?) {
        let at = directory + 2 + entry * 12;
        if short(at)? == ORIENTATION {
            let value_at = if short(at + 2)? == SHORT || little_endian { at + 8 } else { at + 10 };
            return Some(Field { at: value_at, value: short(value_at)?, little_endian });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn exif(little_endian: bool, value: u16) -> Vec<u8> {
        let mut bytes = Vec::new();
        let short = |v: u16| if little_endian { v.to_le_bytes() } else { v.to_be_bytes() };
        let long = |v: u32| if little_endian { v.to_le_bytes() } else { v.to_be_bytes() };
        bytes.extend(if little_endian { *b"II*\0" } else { *b"MM\0*" });
        bytes.extend(long(8));
        bytes.extend(short(2));
        for (tag, value) in [(0x0100, 7), (0x0112, value)] {
            bytes.extend(short(tag));
            bytes.extend(short(3));
            bytes.extend(long(1));
            bytes.extend(short(value));
            bytes.extend([0, 0]);
        }
        bytes.extend(long(0));
        bytes
    }

    #[test]
    fn orientation_is_read_in_both_byte_orders() {
        for value in 1..=8 {
            for little_endian in [false, true] {
                let wanted = Orientation::from_exif(u32::from(value));
                assert_eq!(orientation(&exif(little_endian, value)), wanted);
            }
        }
    }

    #[test]
    fn rewritten_exif_says_upright_and_nothing_else_changes() {
        for little_endian in [false, true] {
            assert_eq!(with_upright_orientation(&exif(little_endian, 6)), exif(little_endian, 1));
        }
    }

    proptest! {
        #[test]
        fn arbitrary_exif_never_panics(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), order in 0..3) {
            if order > 0 && bytes.len() >= 8 {
                bytes[..8].copy_from_slice(if order == 1 { b"II*\0\x08\0\0\0" } else { b"MM\0*\0\0\0\x08" });
            }
            prop_assert_eq!(with_upright_orientation(&bytes).len(), bytes.len());
        }
    }
}
