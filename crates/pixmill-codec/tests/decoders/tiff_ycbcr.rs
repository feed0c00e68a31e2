//! TIFF of YCbCr and of JPEGs: units of several pixels made by hand, JPEGs by jpeg-encoder.

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use super::tiff::file;
use super::{difference, shown, sizes};

/// Slopes of red, green and blue.
fn slopes((width, height): (usize, usize)) -> Vec<[u8; 4]> {
    let pixel = |x: usize, y: usize| [(60 + x + y / 2) as u8, (90 + y) as u8, (160 - x) as u8, 255];
    (0..width * height).map(|at| pixel(at % width, at / width)).collect()
}

fn tags((width, height): (usize, usize), more: &[(u16, &[u32])]) -> Vec<(u16, Vec<u32>)> {
    let mut tags = vec![(256, vec![width as u32]), (257, vec![height as u32])];
    tags.extend(more.iter().map(|(tag, values)| (*tag, values.to_vec())));
    tags
}

/// By ITU-R BT.601 in full range.
fn ycbcr([r, g, b, _]: [u8; 4]) -> [f32; 3] {
    let [r, g, b] = [r, g, b].map(f32::from);
    let y = 0.299 * r + 0.587 * g + 0.114 * b;
    [y, 128.0 + (b - y) / 1.772, 128.0 + (r - y) / 1.402]
}

/// Units of `h` by `v` pixels: the brightness of each, and one colour for all of them.
fn units(pixels: &[[u8; 4]], (width, height): (usize, usize), (h, v): (usize, usize)) -> Vec<u8> {
    let at = |x: usize, y: usize| ycbcr(pixels[y.min(height - 1) * width + x.min(width - 1)]);
    let mut out = Vec::new();
    for (top, left) in (0..height).step_by(v).flat_map(|y| (0..width).step_by(h).map(move |x| (y, x))) {
        let unit: Vec<[f32; 3]> = (0..h * v).map(|index| at(left + index % h, top + index / h)).collect();
        out.extend(unit.iter().map(|pixel| pixel[0].round() as u8));
        let mean = |sample: usize| unit.iter().map(|pixel| pixel[sample]).sum::<f32>() / unit.len() as f32;
        out.extend([mean(1).round() as u8, mean(2).round() as u8]);
    }
    out
}

#[test]
fn units_of_ycbcr_show_what_was_put_in() {
    for (h, v) in [(1, 1), (2, 1), (2, 2), (4, 1), (4, 2), (4, 4), (1, 2)] {
        for (size, compression) in sizes().step_by(3).flat_map(|size| [1, 5, 8].map(|how| (size, how))) {
            let pixels = slopes(size);
            let rows = 8;
            let strips: Vec<Vec<u8>> = pixels
                .chunks(rows * size.0)
                .map(|strip| units(strip, (size.0, strip.len() / size.0), (h, v)))
                .map(|raw| match compression {
                    5 => weezl::encode::Encoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8)
                        .encode(&raw)
                        .unwrap(),
                    8 => miniz_oxide::deflate::compress_to_vec_zlib(&raw, 6),
                    _ => raw,
                })
                .collect();
            let more: [(u16, &[u32]); 6] = [
                (258, &[8, 8, 8]),
                (259, &[compression]),
                (262, &[6]),
                (277, &[3]),
                (278, &[rows as u32]),
                (530, &[h as u32, v as u32]),
            ];
            let shown = shown(&file(true, &tags(size, &more), &strips, false)).unwrap();
            let off = difference(&shown, &pixels);
            assert!(off < 2.5, "{h} × {v}, {size:?}, by {compression}: off by {off}");
        }
    }
}

/// A JPEG of a part of the picture, the last column and row repeated.
fn jpeg(
    pixels: &[[u8; 4]],
    (width, height): (usize, usize),
    (left, top, across, down): (usize, usize, usize, usize),
    (colour, sampling): (ColorType, SamplingFactor),
) -> Vec<u8> {
    let at = |x: usize, y: usize| pixels[y.min(height - 1) * width + x.min(width - 1)];
    let samples: Vec<u8> = (0..across * down)
        .flat_map(|place| {
            let pixel = at(left + place % across, top + place / across);
            // What is to be YCbCr already is written as it is.
            if colour == ColorType::Luma { pixel[..1].to_vec() } else { pixel[..3].to_vec() }
        })
        .collect();
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out, 96);
    encoder.set_sampling_factor(sampling);
    encoder.encode(&samples, across as u16, down as u16, colour).unwrap();
    out
}

#[test]
fn a_tiff_of_jpegs_shows_what_was_put_in() {
    let contents = [
        (6, 3, ColorType::Rgb, SamplingFactor::F_2_2),
        (6, 3, ColorType::Rgb, SamplingFactor::F_2_1),
        (6, 3, ColorType::Rgb, SamplingFactor::F_1_1),
        (2, 3, ColorType::Ycbcr, SamplingFactor::F_1_1),
        (1, 1, ColorType::Luma, SamplingFactor::F_1_1),
        (0, 1, ColorType::Luma, SamplingFactor::F_1_1),
    ];
    for ((photometric, samples, colour, sampling), size) in
        contents.into_iter().flat_map(|kind| sizes().step_by(4).map(move |size| (kind, size)))
    {
        let pixels = slopes(size);
        for tiled in [false, true] {
            let (across, down) = if tiled { (32, 16) } else { (size.0, 16) };
            let parts = (0..size.1)
                .step_by(down)
                .flat_map(|top| (0..size.0).step_by(across).map(move |left| (left, top)));
            let chunks: Vec<Vec<u8>> = parts
                .map(|(left, top)| {
                    let rows = if tiled { down } else { down.min(size.1 - top) };
                    jpeg(&pixels, size, (left, top, across, rows), (colour, sampling))
                })
                .collect();
            let bits = vec![8; samples];
            let mut more: Vec<(u16, &[u32])> = vec![(258, &bits), (259, &[7]), (284, &[1])];
            let (kind, count) = ([photometric], [samples as u32]);
            more.extend([(262, &kind[..]), (277, &count[..])]);
            if tiled {
                more.extend([(322, &[32][..]), (323, &[16][..])]);
            } else {
                more.push((278, &[16]));
            }
            let shown = shown(&file(true, &tags(size, &more), &chunks, tiled))
                .unwrap_or_else(|error| panic!("{photometric} {size:?}: {error}"));
            let wanted: Vec<[u8; 4]> = pixels
                .iter()
                .map(|pixel| match photometric {
                    0 => [255 - pixel[0], 255 - pixel[0], 255 - pixel[0], 255],
                    1 => [pixel[0], pixel[0], pixel[0], 255],
                    _ => *pixel,
                })
                .collect();
            let off = difference(&shown, &wanted);
            assert!(off < 4.0, "{photometric}, {sampling:?}, {size:?}, tiled: {tiled}: off by {off}");
        }
    }
}

#[test]
fn weights_of_colours_that_do_not_add_up_to_one_mean_nothing() {
    let size = (16, 16);
    let white = vec![[255, 255, 255, 255]; 256];
    let shown_by = |weights: [u32; 3]| {
        let strip = units(&white, size, (1, 1));
        let more: [(u16, &[u32]); 5] =
            [(258, &[8, 8, 8]), (259, &[1]), (262, &[6]), (277, &[3]), (530, &[1, 1])];
        // Fractions over a thousand stand behind all else: the tag's type is changed to that of fractions.
        let mut all = tags(size, &more);
        all.push((
            529,
            weights.iter().flat_map(|weight| [*weight, 1000]).map(|number| number | 1 << 31).collect(),
        ));
        let mut file = file(true, &all, &[strip], false);
        let at = file.windows(8).rposition(|entry| entry == [0x11, 2, 4, 0, 6, 0, 0, 0]).unwrap();
        file[at + 2..at + 8].copy_from_slice(&[5, 0, 3, 0, 0, 0]);
        let values = u32::from_le_bytes(file[at + 8..at + 12].try_into().unwrap()) as usize;
        file[values..values + 24].chunks_mut(4).for_each(|number| number[3] &= 0x7F);
        shown(&file).unwrap().pixels
    };
    assert_eq!(shown_by([299, 587, 144]), white);
    assert_eq!(shown_by([213, 715, 72]), white);
    assert_eq!(shown_by([299, 587, 114]), white);
}
