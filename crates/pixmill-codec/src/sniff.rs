//! What a file is, from its first bytes; its name is never asked.

use crate::error::{corrupt, unsupported};
use crate::{Error, ErrorKind};

/// A kind of picture that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SourceFormat {
    /// JPEG, Huffman-coded, 8 bits.
    Jpeg,
    /// PNG, and the first frame of APNG.
    Png,
    /// WebP.
    Webp,
    /// GIF, first frame.
    Gif,
    /// TIFF, first directory.
    Tiff,
    /// BMP.
    Bmp,
    /// AVIF, first frame.
    Avif,
}

/// Recognises a picture, or says what else the bytes seem to be.
///
/// # Errors
/// [`ErrorKind::Empty`], [`ErrorKind::Unsupported`], and [`ErrorKind::Corrupt`] for a damaged signature.
pub(crate) fn sniff(bytes: &[u8]) -> Result<SourceFormat, Error> {
    if bytes.is_empty() {
        return Err(Error::new(ErrorKind::Empty, "the file is empty: there is not a single byte"));
    }
    if let Some(format) = picture(bytes) {
        return Ok(format);
    }
    if bytes.get(1..4) == Some(b"PNG") || bytes.starts_with(b"\x89P") {
        return Err(corrupt("a PNG whose signature is damaged, as text-mode transfers do"));
    }
    let kind = iso_media(bytes).or_else(|| binary(bytes)).or_else(|| text(bytes));
    Err(match kind {
        Some(kind) => {
            unsupported(format!("{kind}, which is not read; send JPEG, PNG, WebP, GIF, TIFF, BMP or AVIF"))
        }
        None => unsupported("not a picture: nothing known begins with these bytes"),
    })
}

fn picture(bytes: &[u8]) -> Option<SourceFormat> {
    let four = bytes.get(..4).unwrap_or_default();
    if bytes.starts_with(b"\xFF\xD8\xFF") || bytes == b"\xFF\xD8" {
        Some(SourceFormat::Jpeg)
    } else if bytes.starts_with(b"\x89PNG\r\n\x1A\n") {
        Some(SourceFormat::Png)
    } else if four == b"RIFF" && bytes.get(8..12) == Some(b"WEBP") {
        Some(SourceFormat::Webp)
    } else if bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a") {
        Some(SourceFormat::Gif)
    } else if [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"].contains(&four.try_into().unwrap_or(b"    ")) {
        Some(SourceFormat::Tiff)
    } else if bytes.starts_with(b"BM") && bytes.len() >= 26 && bytes[15..18] == [0; 3] {
        Some(SourceFormat::Bmp)
    } else if brands(bytes).any(|brand| brand == b"avif" || brand == b"avis") {
        Some(SourceFormat::Avif)
    } else {
        None
    }
}

/// Major and compatible brands of an ISO base media file (ISO/IEC 14496-12, 4.3).
fn brands(bytes: &[u8]) -> impl Iterator<Item = &[u8; 4]> {
    let is_media = bytes.get(4..8) == Some(b"ftyp");
    let length = bytes.first_chunk().map_or(0, |size| u32::from_be_bytes(*size)).min(1024) as usize;
    let end = if is_media { length.min(bytes.len()) } else { 0 };
    let brands = bytes.get(8..end).unwrap_or_default().as_chunks::<4>().0;
    brands.iter().enumerate().filter(|(at, _)| *at != 1).map(|(_, brand)| brand)
}

fn iso_media(bytes: &[u8]) -> Option<&'static str> {
    let major = brands(bytes).next()?;
    let heic = |brand: &[u8; 4]| {
        matches!(brand, b"heic" | b"heix" | b"hevc" | b"hevx" | b"heim" | b"heis" | b"mif1" | b"msf1")
    };
    Some(if brands(bytes).any(heic) {
        "a HEIC picture"
    } else if major == b"crx " {
        "a camera's raw picture"
    } else {
        "a video or another ISO media file"
    })
}

fn binary(bytes: &[u8]) -> Option<&'static str> {
    let known: [(&[u8], &str); 24] = [
        (b"IIU\0", "a camera's raw picture (Panasonic)"),
        (b"IIRO", "a camera's raw picture (Olympus)"),
        (b"IIRS", "a camera's raw picture (Olympus)"),
        (b"MMOR", "a camera's raw picture (Olympus)"),
        (b"FUJIFILMCCD-RAW", "a camera's raw picture (Fujifilm)"),
        (b"FOVb", "a camera's raw picture (Sigma)"),
        (b"\0MRM", "a camera's raw picture (Minolta)"),
        (b"\x1AE\xDF\xA3", "a film (Matroska or WebM)"),
        (b"%PDF", "a PDF document"),
        (b"8BPS", "a Photoshop document (PSD)"),
        (b"PK\x03\x04", "a ZIP archive or an office document"),
        (b"PK\x05\x06", "an empty ZIP archive"),
        (b"\0\0\0\x0CjP  ", "a JPEG 2000 picture"),
        (b"\xFF\x4F\xFF\x51", "a JPEG 2000 picture"),
        (b"\0\0\0\x0CJXL ", "a JPEG XL picture"),
        (b"\xFF\x0A", "a JPEG XL picture"),
        (b"\0\0\x01\0", "a Windows icon"),
        (b"\x1F\x8B", "a gzip archive"),
        (b"%!PS", "a PostScript document"),
        (b"\xD0\xCF\x11\xE0", "an old office document"),
        (b"Rar!", "a RAR archive"),
        (b"7z\xBC\xAF", "a 7z archive"),
        (b"qoif", "a QOI picture"),
        (b"\x76\x2F\x31\x01", "an OpenEXR picture"),
    ];
    known.iter().find(|(magic, _)| bytes.starts_with(magic)).map(|(_, kind)| *kind)
}

fn text(bytes: &[u8]) -> Option<&'static str> {
    let start = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes).trim_ascii_start();
    let head = start[..start.len().min(4096)].to_ascii_lowercase();
    let says = |word: &[u8]| head.windows(word.len()).any(|window| window == word);
    match head.first()? {
        b'<' if says(b"<svg") => Some("an SVG drawing"),
        b'<' if says(b"<!doctype html") || says(b"<html") => Some("an HTML page"),
        b'<' if says(b"<?php") => Some("a PHP script"),
        b'<' => Some("an XML or HTML text"),
        b'{' | b'[' => Some("a JSON text"),
        _ if start.iter().take(512).all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()) => {
            Some("a text")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(bytes: &[u8]) -> Error {
        sniff(bytes).unwrap_err()
    }

    #[test]
    fn an_empty_file_is_called_empty() {
        assert_eq!(refusal(b"").kind, ErrorKind::Empty);
    }

    #[test]
    fn what_is_no_picture_is_named() {
        let cases: [(&[u8], &str); 10] = [
            (b"FUJIFILMCCD-RAW 0201", "raw"),
            (b"IIU\0\x18\0\0\0", "raw"),
            (b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom", "raw"),
            (b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
            (b"\xEF\xBB\xBF  <!DOCTYPE html><html>", "HTML"),
            (b"{\"error\": \"not found\"}", "JSON"),
            (b"%PDF-1.7", "PDF"),
            (b"PK\x03\x04....", "ZIP"),
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
            (b"Not found", "text"),
        ];
        for (bytes, word) in cases {
            let error = refusal(bytes);
            assert_eq!(error.kind, ErrorKind::Unsupported);
            assert!(error.message.contains(word), "{error} should say {word}");
        }
    }

    #[test]
    fn avif_is_told_from_heic_by_its_brands() {
        assert_eq!(sniff(b"\0\0\0\x1Cftypmif1\0\0\0\0mif1avifmiaf"), Ok(SourceFormat::Avif));
    }
}
