//! Whether a file is at the end that its own format gives it.

/// Whether nothing can be lacking: the format has a mark of its end, or says its length, and there it is.
pub(super) fn is_whole(bytes: &[u8]) -> bool {
    const PNG_END: &[u8] = b"\0\0\0\0IEND\xAE\x42\x60\x82";
    let length_at = |at: usize| {
        bytes.get(at..at + 4).map(|length| u32::from_le_bytes(length.try_into().expect("four")) as usize)
    };
    match bytes {
        [0xFF, 0xD8, 0xFF, ..] => bytes.len() > 4 && bytes.ends_with(&[0xFF, 0xD9]),
        [0x89, b'P', b'N', b'G', ..] => bytes.ends_with(PNG_END),
        [b'G', b'I', b'F', b'8', ..] => bytes.ends_with(&[0, 0x3B]),
        [b'R', b'I', b'F', b'F', ..] => {
            length_at(4).is_some_and(|length| bytes.len() >= length.saturating_add(8))
        }
        [b'B', b'M', ..] => length_at(2).is_some_and(|length| length > 54 && bytes.len() >= length),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_at_its_own_end_is_whole_and_one_cut_before_it_is_not() {
        let webp = [b"RIFF", &20u32.to_le_bytes()[..], b"WEBP", &[7; 16]].concat();
        let bmp = [b"BM", &60u32.to_le_bytes()[..], &[7; 54]].concat();
        for whole in [
            &b"\xFF\xD8\xFF\xE0 picture \xFF\xD9"[..],
            b"\x89PNG\r\n\x1A\n picture \0\0\0\0IEND\xAE\x42\x60\x82",
            b"GIF89a picture \0;",
            &webp,
            &bmp,
        ] {
            assert!(is_whole(whole), "{whole:?}");
            for cut in 1..whole.len() {
                assert!(!is_whole(&whole[..cut]), "{:?}", &whole[..cut]);
            }
        }
        assert!(!is_whole(b"") && !is_whole(b"II*\0 picture"));
    }
}
