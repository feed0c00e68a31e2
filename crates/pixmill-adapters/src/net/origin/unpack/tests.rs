use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, ZlibEncoder};

use super::*;

/// A body in pieces of a length.
struct Pieces {
    bytes: Bytes,
    length: usize,
}

#[async_trait]
impl Body for Pieces {
    async fn chunk(&mut self) -> Result<Option<Bytes>, Fault> {
        let length = self.length.min(self.bytes.len());
        Ok((length > 0).then(|| self.bytes.split_to(length)))
    }
}

async fn unpack(told: Option<Coding>, bytes: &[u8], length: usize) -> Result<Vec<u8>, Fault> {
    let packed = Box::new(Pieces { bytes: Bytes::copy_from_slice(bytes), length });
    let mut body = Unpacked::new(packed, told, "http://a.example".to_owned());
    let mut whole = Vec::new();
    while let Some(piece) = body.chunk().await? {
        assert!(!piece.is_empty(), "an empty piece is no piece");
        assert!(piece.len() <= PIECE.max(length), "{} bytes at once", piece.len());
        whole.extend_from_slice(&piece);
    }
    Ok(whole)
}

/// Something like a picture: parts that repeat and parts that don't.
fn picture() -> Vec<u8> {
    let noise = (0..150_000u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8);
    b"\xFF\xD8\xFF\xE0".iter().copied().chain(noise).chain([7; 100_000]).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::GzBuilder::new()
        .filename("a.jpg")
        .comment("a picture")
        .extra(vec![1; 300])
        .write(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn bare(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

/// Brotli's own way to store bytes as they are (RFC 7932, section 9.2).
fn brotli(bytes: &[u8]) -> Vec<u8> {
    // A window of 16 bits, then stored blocks of up to 64 KiB, then an empty last one.
    let mut packed = Vec::new();
    let (mut bits, mut count) = (0u64, 1u32);
    for block in bytes.chunks(1 << 16) {
        // Not the last, four nibbles of length, the length less one, stored.
        for (value, width) in [(0, 1), (0, 2), (block.len() as u64 - 1, 16), (1, 1)] {
            bits |= value << count;
            count += width;
        }
        packed.extend_from_slice(&bits.to_le_bytes()[..count.div_ceil(8) as usize]);
        packed.extend_from_slice(block);
        (bits, count) = (0, 0);
    }
    packed.push(3);
    packed
}

#[tokio::test]
async fn every_encoding_is_undone_in_whatever_pieces_it_comes() {
    let picture = picture();
    for (coding, packed) in [
        (Coding::Gzip, gzip(&picture)),
        (Coding::Deflate, zlib(&picture)),
        (Coding::Deflate, bare(&picture)),
        (Coding::Brotli, brotli(&picture)),
        (Coding::Zstd, zstd(&picture)),
    ] {
        for length in [1, 7, 1_000, 200_000, 1_000_000] {
            let unpacked = unpack(Some(coding), &packed, length).await.unwrap();
            assert!(unpacked == picture, "{coding:?} in pieces of {length}: {} bytes", unpacked.len());
        }
    }
}

#[tokio::test]
async fn what_is_not_encoded_as_it_says_comes_as_it_is() {
    let picture = picture();
    for coding in [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd] {
        for length in [1, 5, 1_000, 1_000_000] {
            assert!(unpack(Some(coding), &picture, length).await.unwrap() == picture, "{coding:?}");
        }
        assert!(unpack(Some(coding), b"", 1).await.unwrap().is_empty(), "{coding:?}");
    }
}

#[tokio::test]
async fn gzip_that_is_not_said_is_undone_and_nothing_else_is_touched() {
    let picture = picture();
    assert!(unpack(None, &gzip(&picture), 1_000).await.unwrap() == picture);
    for plain in [&picture[..], b"", b"\x1F", b"\x1F\x8B", b"x", b"\x28\xB5\x2F\xFD and more than that"] {
        assert!(unpack(None, plain, 3).await.unwrap() == plain);
    }
}

#[tokio::test]
async fn members_of_gzip_are_one_body_and_what_follows_them_is_none() {
    let two = [gzip(b"one "), gzip(b"two"), b"rest".to_vec()].concat();
    for length in [1, 1_000] {
        assert_eq!(unpack(Some(Coding::Gzip), &two, length).await.unwrap(), b"one two");
    }
}

#[tokio::test]
async fn an_encoding_that_is_cut_or_broken_is_a_passing_fault() {
    let picture = picture();
    let packed = [
        (Coding::Gzip, gzip(&picture)),
        (Coding::Deflate, zlib(&picture)),
        (Coding::Brotli, brotli(&picture)),
        (Coding::Zstd, zstd(&picture)),
    ];
    for (coding, packed) in packed {
        let cut = unpack(Some(coding), &packed[..packed.len() / 2], 1_000).await.unwrap_err();
        assert_eq!((cut.code, cut.transient), (Code::FetchTruncated, true), "{coding:?}: {cut}");
    }
    let mut wrong_sum = gzip(&picture);
    let sum = wrong_sum.len() - 8;
    wrong_sum[sum] ^= 1;
    assert!(unpack(Some(Coding::Gzip), &wrong_sum, 1_000).await.is_err());
}

#[tokio::test]
async fn a_bomb_comes_in_pieces_that_can_be_counted() {
    let zeros = vec![0; 64 << 20];
    for (coding, packed) in [(Coding::Gzip, gzip(&zeros)), (Coding::Zstd, zstd(&zeros))] {
        let length = packed.len();
        let packed = Box::new(Pieces { bytes: packed.into(), length });
        let mut body = Unpacked::new(packed, Some(coding), String::new());
        for _ in 0..16 {
            assert!(body.chunk().await.unwrap().unwrap().len() <= PIECE, "{coding:?}");
        }
    }
}

#[tokio::test]
async fn a_window_that_nobody_needs_is_refused() {
    // A window of 128 MiB, which a decoder would have to hold back.
    let frame = [&[0x28, 0xB5, 0x2F, 0xFD, 0, 17 << 3][..], &[1, 0, 0], &[0; 20]].concat();
    assert!(unpack(Some(Coding::Zstd), &frame, 1_000).await.is_err());
}

#[tokio::test]
async fn no_bytes_break_the_undoing() {
    let mut seed = 1u32;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        seed
    };
    let small = &picture()[149_000..152_000];
    for coding in [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd] {
        let whole = match coding {
            Coding::Gzip => gzip(small),
            Coding::Deflate => zlib(small),
            Coding::Brotli => brotli(small),
            Coding::Zstd => zstd(small),
        };
        for _ in 0..300 {
            let mut bytes = whole.clone();
            for _ in 0..1 + random() % 4 {
                let at = random() as usize % bytes.len();
                bytes[at] = random() as u8;
            }
            bytes.truncate(random() as usize % (2 * bytes.len()));
            // Whatever comes of it, it ends.
            let _ = unpack(Some(coding), &bytes, 1 + random() as usize % 5_000).await;
        }
    }
}

#[test]
fn encodings_are_read_by_all_their_names() {
    for (header, wanted) in [
        ("gzip", vec![Coding::Gzip]),
        ("X-Gzip", vec![Coding::Gzip]),
        ("br, zstd", vec![Coding::Brotli, Coding::Zstd]),
        ("deflate , gzip", vec![Coding::Deflate, Coding::Gzip]),
        ("identity", vec![]),
        ("aws-chunked", vec![]),
        ("", vec![]),
    ] {
        assert_eq!(Coding::listed(header), wanted, "{header}");
    }
}
