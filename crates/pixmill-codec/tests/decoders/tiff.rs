//! TIFF, by an encoder made by hand and the decoder of the tiff crate.

use weezl::BitOrder;

use super::{eight_bits, noise, shown, sizes};

/// One kind of TIFF.
#[derive(Debug, Clone, Copy)]
struct Kind {
    photometric: u16,
    bits: usize,
    samples: usize,
    extra: &'static [u16],
    compression: u16,
    predictor: bool,
    little_endian: bool,
    /// Rows of a strip; or pixels of a tile, across and down.
    chunk: Chunk,
    planar: bool,
    reversed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Chunk {
    Strips(usize),
    Tiles(usize, usize),
}

const GREY: Kind = Kind {
    photometric: 1,
    bits: 8,
    samples: 1,
    extra: &[],
    compression: 1,
    predictor: false,
    little_endian: true,
    chunk: Chunk::Strips(1000),
    planar: false,
    reversed: false,
};

fn kinds() -> Vec<Kind> {
    let mut kinds = Vec::new();
    let rgb = Kind { photometric: 2, samples: 3, ..GREY };
    for bits in [1, 2, 4, 8, 12, 16] {
        for photometric in [0, 1] {
            kinds.push(Kind { photometric, bits, ..GREY });
        }
        kinds.push(Kind { bits, little_endian: false, chunk: Chunk::Strips(7), ..rgb });
        if bits <= 8 {
            kinds.push(Kind { photometric: 3, bits, ..GREY });
        }
    }
    for bits in [8, 16] {
        kinds.push(Kind { bits, samples: 2, extra: &[2], ..GREY });
        kinds.push(Kind { bits, samples: 4, extra: &[2], ..rgb });
        kinds.push(Kind { bits, samples: 4, extra: &[0], ..rgb });
        kinds.push(Kind { bits, samples: 5, extra: &[2, 0], planar: true, ..rgb });
        kinds.push(Kind { bits, photometric: 5, samples: 4, ..GREY });
        kinds.push(Kind { bits, photometric: 5, samples: 5, extra: &[0], ..GREY });
        for compression in [5, 8, 32_773] {
            for little_endian in [false, true] {
                kinds.push(Kind { bits, compression, little_endian, chunk: Chunk::Strips(5), ..rgb });
                kinds.push(Kind {
                    bits,
                    compression,
                    little_endian,
                    predictor: compression != 32_773,
                    ..rgb
                });
                kinds.push(Kind { bits, compression, planar: true, chunk: Chunk::Tiles(16, 32), ..rgb });
            }
        }
    }
    kinds.push(Kind { photometric: 3, samples: 2, extra: &[2], ..GREY });
    kinds.extend([1, 5, 8, 32_773].map(|compression| Kind { reversed: true, compression, ..GREY }));
    kinds.extend([1, 5].map(|compression| Kind { chunk: Chunk::Tiles(32, 16), compression, ..rgb }));
    kinds.push(Kind { planar: true, chunk: Chunk::Strips(9), ..rgb });
    // What lies in a pixel, against how pixels are stored.
    let contents = [
        Kind { photometric: 0, ..GREY },
        Kind { photometric: 0, bits: 1, ..GREY },
        Kind { photometric: 0, bits: 16, ..GREY },
        Kind { photometric: 3, ..GREY },
        Kind { photometric: 3, bits: 4, ..GREY },
        Kind { samples: 2, extra: &[2], ..GREY },
        Kind { samples: 4, extra: &[2], ..rgb },
        Kind { photometric: 5, samples: 4, ..GREY },
    ];
    for (kind, compression) in contents.into_iter().flat_map(|kind| [1, 5, 8, 32_773].map(|how| (kind, how)))
    {
        for (chunk, planar) in
            [(Chunk::Strips(6), true), (Chunk::Tiles(16, 16), false), (Chunk::Tiles(32, 16), true)]
        {
            let planar = planar && kind.samples > 1;
            kinds.push(Kind { compression, chunk, planar, ..kind });
            kinds.push(Kind { compression, chunk, planar, reversed: true, little_endian: false, ..kind });
        }
    }
    kinds
}

fn put(bits: usize, little_endian: bool, samples: &[usize]) -> Vec<u8> {
    let mut row = vec![0_u8; (samples.len() * bits).div_ceil(8)];
    for (at, sample) in samples.iter().enumerate() {
        let sample = *sample as u16;
        match bits {
            16 => row[2 * at..2 * at + 2].copy_from_slice(&if little_endian {
                sample.to_le_bytes()
            } else {
                sample.to_be_bytes()
            }),
            bits => {
                for bit in 0..bits {
                    let place = at * bits + bit;
                    row[place / 8] |= ((sample >> (bits - 1 - bit) & 1) as u8) << (7 - place % 8);
                }
            }
        }
    }
    row
}

fn packed(kind: Kind, raw: &[u8]) -> Vec<u8> {
    let out = match kind.compression {
        5 => weezl::encode::Encoder::with_tiff_size_switch(BitOrder::Msb, 8).encode(raw).unwrap(),
        8 => miniz_oxide::deflate::compress_to_vec_zlib(raw, 6),
        32_773 => raw
            .chunks(50)
            .flat_map(|part| match part {
                [first, ..] if part.iter().all(|byte| byte == first) && part.len() > 1 => {
                    vec![(257 - part.len()) as u8, *first]
                }
                part => [&[part.len() as u8 - 1], part].concat(),
            })
            .collect(),
        _ => raw.to_vec(),
    };
    if kind.reversed { out.iter().map(|byte| byte.reverse_bits()).collect() } else { out }
}

/// A file of tags: number, and its values as shorts or longs.
pub(super) fn file(
    little_endian: bool,
    tags: &[(u16, Vec<u32>)],
    chunks: &[Vec<u8>],
    tiled: bool,
) -> Vec<u8> {
    let short = |value: u32| {
        let two = value as u16;
        if little_endian { two.to_le_bytes() } else { two.to_be_bytes() }
    };
    let long = |value: u32| if little_endian { value.to_le_bytes() } else { value.to_be_bytes() };
    let mut out = if little_endian { b"II*\0\0\0\0\0".to_vec() } else { b"MM\0*\0\0\0\0".to_vec() };
    let mut offsets = Vec::new();
    for chunk in chunks {
        offsets.push(out.len() as u32);
        out.extend(chunk);
    }
    out.resize(out.len().next_multiple_of(2), 0);
    let (at, lengths) = if tiled { (324, 325) } else { (273, 279) };
    let mut tags = tags.to_vec();
    tags.push((at, offsets));
    tags.push((lengths, chunks.iter().map(|chunk| chunk.len() as u32).collect()));
    tags.sort_by_key(|(tag, _)| *tag);
    let mut directory = short(tags.len() as u32).to_vec();
    for (tag, values) in &tags {
        let is_long = values.iter().any(|value| *value > 65_535) || [at, lengths].contains(tag);
        let mut data: Vec<u8> = values
            .iter()
            .flat_map(|value| if is_long { long(*value).to_vec() } else { short(*value).to_vec() })
            .collect();
        directory.extend(short((*tag).into()));
        directory.extend(short(if is_long { 4 } else { 3 }));
        directory.extend(long(values.len() as u32));
        if data.len() > 4 {
            directory.extend(long(out.len() as u32));
            out.append(&mut data);
            out.resize(out.len().next_multiple_of(2), 0);
        } else {
            data.resize(4, 0);
            directory.extend(data);
        }
    }
    directory.extend([0; 4]);
    let start = out.len() as u32;
    out[4..8].copy_from_slice(&long(start));
    out.extend(directory);
    out
}

fn made(kind: Kind, (width, height): (usize, usize)) -> (Vec<u8>, Vec<[u8; 4]>) {
    let mut noise = noise(width * 70 + height + kind.bits * 3 + kind.samples);
    let most = (1 << kind.bits) - 1;
    let mut sample = || if noise().is_multiple_of(3) { most / 2 } else { noise() & most };
    let pixels: Vec<Vec<usize>> =
        (0..width * height).map(|_| (0..kind.samples).map(|_| sample()).collect()).collect();
    let (chunk_width, chunk_height) = match kind.chunk {
        Chunk::Strips(rows) => (width, rows.min(height)),
        Chunk::Tiles(width, height) => (width, height),
    };
    let tiled = matches!(kind.chunk, Chunk::Tiles(..));
    let planes: Vec<Vec<usize>> = if kind.planar {
        (0..kind.samples).map(|plane| vec![plane]).collect()
    } else {
        vec![(0..kind.samples).collect()]
    };
    let mut chunks = Vec::new();
    for plane in &planes {
        for (top, left) in (0..height.div_ceil(chunk_height))
            .flat_map(|y| (0..width.div_ceil(chunk_width)).map(move |x| (y * chunk_height, x * chunk_width)))
        {
            let rows = if tiled { chunk_height } else { chunk_height.min(height - top) };
            let mut raw = Vec::new();
            for y in top..top + rows {
                let pixel = |x: usize| &pixels[y.min(height - 1) * width + x.min(width - 1)];
                let mut row: Vec<usize> = (left..left + chunk_width)
                    .flat_map(|x| plane.iter().map(move |at| pixel(x)[*at]))
                    .collect();
                if kind.predictor {
                    for at in (plane.len()..row.len()).rev() {
                        row[at] = row[at].wrapping_sub(row[at - plane.len()]) & most;
                    }
                }
                raw.extend(put(kind.bits, kind.little_endian, &row));
            }
            chunks.push(packed(kind, &raw));
        }
    }
    let colour_map: Vec<u32> = (0..3 << kind.bits.min(8)).map(|at| (at * 257 * 5) as u32 % 65_536).collect();
    let mut tags: Vec<(u16, Vec<u32>)> = vec![
        (256, vec![width as u32]),
        (257, vec![height as u32]),
        (258, vec![kind.bits as u32; kind.samples]),
        (259, vec![kind.compression.into()]),
        (262, vec![kind.photometric.into()]),
        (277, vec![kind.samples as u32]),
        (284, vec![if kind.planar { 2 } else { 1 }]),
        (266, vec![if kind.reversed { 2 } else { 1 }]),
        (317, vec![if kind.predictor { 2 } else { 1 }]),
    ];
    match kind.chunk {
        Chunk::Strips(rows) => tags.push((278, vec![rows as u32])),
        Chunk::Tiles(width, height) => tags.extend([(322, vec![width as u32]), (323, vec![height as u32])]),
    }
    if !kind.extra.is_empty() {
        tags.push((338, kind.extra.iter().map(|value| u32::from(*value)).collect()));
    }
    if kind.photometric == 3 {
        tags.push((320, colour_map.clone()));
    }
    let shown = pixels.iter().map(|pixel| {
        let level = |at: usize| eight_bits(pixel[at], kind.bits);
        let colours = if kind.photometric == 5 {
            4
        } else if kind.photometric == 2 {
            3
        } else {
            1
        };
        let alpha = if kind.extra.first() == Some(&2) { level(colours) } else { 255 };
        match kind.photometric {
            0 => [255 - level(0), 255 - level(0), 255 - level(0), alpha],
            1 => [level(0), level(0), level(0), alpha],
            2 => [level(0), level(1), level(2), alpha],
            3 => {
                let entry = |plane: usize| ((colour_map[(plane << kind.bits) + pixel[0]] + 128) / 257) as u8;
                [entry(0), entry(1), entry(2), alpha]
            }
            _ => {
                let white = 255 - u32::from(level(3));
                let light = |at: usize| (((255 - u32::from(level(at))) * white + 127) / 255) as u8;
                [light(0), light(1), light(2), 255]
            }
        }
    });
    (file(kind.little_endian, &tags, &chunks, tiled), shown.collect())
}

#[test]
fn tiff_of_every_kind_and_size_shows_what_was_put_in() {
    for (kind, size) in kinds().into_iter().flat_map(|kind| sizes().step_by(5).map(move |size| (kind, size)))
    {
        let (file, wanted) = made(kind, size);
        let shown = shown(&file).unwrap_or_else(|error| panic!("{kind:?} {size:?}: {error}"));
        assert_eq!((shown.width, shown.height), size, "{kind:?}");
        let differs = shown.pixels.iter().zip(&wanted).position(|(a, b)| a != b);
        assert!(differs.is_none(), "{kind:?} {size:?}: at {differs:?}");
    }
}

#[test]
fn tiff_shows_what_the_tiff_crate_shows() {
    use tiff::decoder::{Decoder, DecodingResult};
    let known = |kind: &Kind| {
        matches!(kind.photometric, 1 | 2) && kind.extra.is_empty() && !kind.reversed && !kind.planar
    };
    for kind in kinds().into_iter().filter(|kind| known(kind) && kind.bits == 8) {
        for size in sizes().step_by(9) {
            let (file, _) = made(kind, size);
            let mut decoder = Decoder::new(std::io::Cursor::new(&file)).unwrap();
            let DecodingResult::U8(wanted) = decoder.read_image().unwrap() else { panic!("eight bits") };
            let shown = shown(&file).unwrap();
            let samples = shown.pixels.iter().flat_map(|pixel| &pixel[..kind.samples]);
            assert!(samples.eq(&wanted), "{kind:?} {size:?}");
        }
    }
}

#[test]
fn rows_of_facsimile_codes_show_what_an_encoder_put_in() {
    for (width, height) in sizes() {
        let mut noise = noise(width + height);
        let mut black = false;
        let rows: Vec<Vec<bool>> = (0..height)
            .map(|y| {
                (0..width)
                    .map(|x| {
                        black ^= noise().is_multiple_of(6);
                        // Rows like the one above, as texts have them.
                        if y % 3 == 0 { black } else { x % 11 < 4 + y % 2 }
                    })
                    .collect()
            })
            .collect();
        let mut encoder = fax::encoder::Encoder::new(fax::VecWriter::new());
        for row in &rows {
            let colours = row.iter().map(|black| if *black { fax::Color::Black } else { fax::Color::White });
            encoder.encode_line(colours, width as u16).unwrap();
        }
        let data = encoder.finish().unwrap().finish();
        let tags = [(256, width), (257, height), (258, 1), (259, 4), (262, 0), (277, 1), (278, height)];
        let tags: Vec<(u16, Vec<u32>)> =
            tags.iter().map(|(tag, value)| (*tag, vec![*value as u32])).collect();
        let shown = shown(&file(true, &tags, &[data], false)).unwrap();
        let wanted = rows.iter().flatten().map(|black| if *black { 0 } else { 255 });
        assert!(shown.pixels.iter().map(|pixel| pixel[0]).eq(wanted), "{width} × {height}");
    }
}

#[test]
fn what_cannot_be_shown_rightly_is_unsupported() {
    let cases: [(u16, Vec<u32>, &str); 22] = [
        (339, vec![3], "floating"),
        (339, vec![2], "below zero"),
        (339, vec![6], "complex"),
        (317, vec![3], "floating-point differences"),
        (258, vec![24], "24 bits"),
        (258, vec![32], "32 bits"),
        (258, vec![64], "64 bits"),
        (259, vec![6], "1992"),
        (259, vec![34_676], "LogLuv"),
        (259, vec![34_677], "LogLuv"),
        (259, vec![34_712], "JPEG 2000"),
        (259, vec![34_887], "LERC"),
        (259, vec![34_925], "LZMA"),
        (259, vec![50_000], "Zstandard"),
        (259, vec![50_001], "WebP"),
        (259, vec![50_002], "50002"),
        (262, vec![4], "mask"),
        (262, vec![9], "ICC's Lab"),
        (262, vec![10], "ITU's Lab"),
        (262, vec![32_803], "camera"),
        (262, vec![32_844], "LogLuv"),
        (262, vec![32_845], "LogLuv"),
    ];
    for (tag, values, word) in cases {
        let mut tags: Vec<(u16, Vec<u32>)> = [(256, 4), (257, 4), (258, 8), (259, 1), (262, 1), (277, 1)]
            .map(|(tag, value)| (tag, vec![value]))
            .to_vec();
        tags.retain(|(known, _)| *known != tag);
        tags.push((tag, values));
        let error = shown(&file(true, &tags, &[vec![0; 16]], false)).unwrap_err();
        assert_eq!(error.kind.code(), "image.unsupported", "{word}");
        assert!(error.message.contains(word), "{error} should say {word}");
    }
}

#[test]
fn a_tiff_of_which_rows_are_missing_is_corrupt() {
    let (file, _) = made(Kind { chunk: Chunk::Strips(5), ..GREY }, (40, 40));
    // Offsets of the last strips lead beyond the end.
    let mut cut = file.clone();
    let pixels = 40 * 40;
    cut.drain(8 + pixels - 200..8 + pixels - 100);
    assert!(shown(&cut).is_err());
}
