//! Pictures to store: services look at what they are given.

use std::io::Write;

use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};

/// A PNG of one grey pixel that bears a mark and is larger by so many bytes.
pub fn picture(mark: &str, larger: usize) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    chunk(&mut bytes, b"IHDR", &[0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0]);
    let mut pixels = ZlibEncoder::new(Vec::new(), Compression::fast());
    pixels.write_all(&[0, 127]).expect("memory can be written to");
    chunk(&mut bytes, b"IDAT", &pixels.finish().expect("memory can be written to"));
    let mut data = mark.as_bytes().to_vec();
    data.extend(std::iter::repeat_n(b'.', larger));
    // A kind of chunk that nobody knows and everybody may pass over.
    chunk(&mut bytes, b"mrKi", &data);
    chunk(&mut bytes, b"IEND", &[]);
    bytes
}

fn chunk(bytes: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    let length = u32::try_from(data.len()).expect("pictures of tests are small");
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(kind);
    bytes.extend_from_slice(data);
    let mut crc = Crc::new();
    crc.update(kind);
    crc.update(data);
    bytes.extend_from_slice(&crc.sum().to_be_bytes());
}
