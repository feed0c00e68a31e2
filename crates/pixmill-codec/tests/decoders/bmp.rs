//! BMP, by an encoder made by hand.

use super::{eight_bits, noise, shown, shown_within, sizes};

/// One kind of BMP.
#[derive(Debug, Clone, Copy)]
struct Kind {
    bits: usize,
    /// Length of the header: 12, 16 or 64 for OS/2, 40, 52, 56, 108 or 124.
    header: usize,
    method: u32,
    masks: Option<[u32; 4]>,
    top_down: bool,
}

const PLAIN: Kind = Kind { bits: 24, header: 40, method: 0, masks: None, top_down: false };

fn kinds() -> Vec<Kind> {
    let mut kinds = Vec::new();
    for bits in [1, 2, 4, 8, 16, 24, 32] {
        for header in [16, 40, 52, 56, 64, 108, 124] {
            kinds.push(Kind { bits, header, ..PLAIN });
            kinds.push(Kind { bits, header, top_down: true, ..PLAIN });
        }
    }
    kinds.extend([1, 4, 8, 24].map(|bits| Kind { bits, header: 12, ..PLAIN }));
    let masks = [
        (16, [0xF800, 0x07E0, 0x001F, 0]),
        (16, [0x0F00, 0x00F0, 0x000F, 0xF000]),
        (16, [0x7C00, 0x03E0, 0x001F, 0x8000]),
        (32, [0x3FF0_0000, 0x000F_FC00, 0x0000_03FF, 0]),
        (32, [0xFF, 0xFF00, 0xFF_0000, 0xFF00_0000]),
        (32, [0xFF00_0000, 0xFF_0000, 0xFF00, 0xFF]),
    ];
    for (bits, masks) in masks {
        let with_alpha = masks[3] != 0;
        let headers: &[usize] = if with_alpha { &[56, 108, 124] } else { &[40, 52, 56, 108, 124] };
        kinds.extend(headers.iter().map(|&header| Kind {
            bits,
            header,
            method: 3,
            masks: Some(masks),
            ..PLAIN
        }));
    }
    kinds
}

/// Everything before the pixels, of which there are so many bytes.
fn head(kind: Kind, (width, height): (usize, usize), palette: &[[u8; 3]], data: usize) -> Vec<u8> {
    let mut dib = Vec::new();
    dib.extend((kind.header as u32).to_le_bytes());
    if kind.header == 12 {
        for number in [width, height, 1, kind.bits] {
            dib.extend((number as u16).to_le_bytes());
        }
    } else {
        let height = if kind.top_down { -(height as i32) } else { height as i32 };
        dib.extend((width as u32).to_le_bytes());
        dib.extend(height.to_le_bytes());
        dib.extend(1_u16.to_le_bytes());
        dib.extend((kind.bits as u16).to_le_bytes());
        for number in [kind.method, data as u32, 2835, 2835, palette.len() as u32, 0] {
            dib.extend(number.to_le_bytes());
        }
        let masks = kind.masks.unwrap_or_default();
        let stored = if kind.header == 40 && kind.masks.is_some() { 3 } else { 4 };
        if kind.masks.is_some() {
            masks[..stored].iter().for_each(|mask| dib.extend(mask.to_le_bytes()));
        }
        dib.resize(if kind.header == 40 { dib.len() } else { kind.header }, 0);
    }
    for [r, g, b] in palette {
        dib.extend([*b, *g, *r]);
        dib.extend(if kind.header == 12 { &[][..] } else { &[0] });
    }
    let offset = 14 + dib.len();
    let file =
        [b"BM".as_slice(), &((offset + data) as u32).to_le_bytes(), &[0; 4], &(offset as u32).to_le_bytes()];
    [&file.concat(), dib.as_slice()].concat()
}

fn palette(bits: usize) -> Vec<[u8; 3]> {
    let entries = if bits <= 8 { 1 << bits } else { 0 };
    (0..entries).map(|at| [at as u8 ^ 0x55, (at * 7) as u8, 255 - at as u8]).collect()
}

/// A picture of noise, and what it shows.
fn made(kind: Kind, (width, height): (usize, usize)) -> (Vec<u8>, Vec<[u8; 4]>) {
    let mut noise = noise(width * 100 + height + kind.bits);
    let palette = palette(kind.bits);
    let masks = kind.masks.unwrap_or(match kind.bits {
        16 => [0x7C00, 0x03E0, 0x001F, 0],
        _ => [0xFF_0000, 0xFF00, 0xFF, 0],
    });
    let stride = (width * kind.bits).div_ceil(32) * 4;
    let (mut rows, mut pixels) = (Vec::new(), Vec::new());
    for _ in 0..height {
        let mut row = vec![0_u8; stride];
        for x in 0..width {
            let pixel = (noise() | noise() << 16) as u32;
            if kind.bits <= 8 {
                let index = pixel as usize % palette.len();
                row[x * kind.bits / 8] |= (index << (8 - kind.bits - x * kind.bits % 8)) as u8;
                let [r, g, b] = palette[index];
                pixels.push([r, g, b, 255]);
            } else {
                row[x * kind.bits / 8..][..kind.bits / 8]
                    .copy_from_slice(&pixel.to_le_bytes()[..kind.bits / 8]);
                pixels.push(masks.map(|mask| match mask {
                    0 => 255,
                    mask => {
                        let sample = (pixel & mask) >> mask.trailing_zeros();
                        eight_bits(sample as usize, mask.count_ones() as usize)
                    }
                }));
            }
        }
        rows.push(row);
    }
    if !kind.top_down {
        rows.reverse();
    }
    let mut file = head(kind, (width, height), &palette, stride * height);
    rows.iter().for_each(|row| file.extend(row));
    (file, pixels)
}

#[test]
fn bmp_of_every_depth_header_and_size_shows_what_was_put_in() {
    for (kind, size) in kinds().into_iter().flat_map(|kind| sizes().step_by(3).map(move |size| (kind, size)))
    {
        let (file, mut pixels) = made(kind, size);
        if pixels.iter().all(|pixel| pixel[3] == 0) {
            pixels.iter_mut().for_each(|pixel| pixel[3] = 255);
        }
        let shown = shown(&file).unwrap_or_else(|error| panic!("{kind:?} {size:?}: {error}"));
        assert_eq!((shown.width, shown.height), size, "{kind:?}");
        // A PNG of pixels that can't be seen may say anything of their colours.
        assert!(shown.pixels == pixels, "{kind:?} {size:?}");
    }
}

#[test]
fn room_between_palette_and_pixels_is_left_out() {
    for bits in [1, 4, 8, 24] {
        let (file, pixels) = made(Kind { bits, ..PLAIN }, (21, 9));
        let at = u32::from_le_bytes([file[10], file[11], file[12], file[13]]);
        let mut wider = [&file[..at as usize], &[0xAA; 10], &file[at as usize..]].concat();
        wider[10..14].copy_from_slice(&(at + 10).to_le_bytes());
        assert!(shown(&wider).unwrap().pixels == pixels, "{bits} bits");
    }
}

#[test]
fn run_lengths_of_whole_colours_show_what_was_put_in() {
    for (width, height) in sizes() {
        let mut noise = noise(width * height);
        let mut colour = || [noise() as u8, noise() as u8, noise() as u8];
        let (mut codes, mut rows) = (Vec::new(), Vec::new());
        for _ in 0..height {
            let mut row = Vec::new();
            while row.len() < width {
                let count = (width - row.len()).min(5);
                let [b, g, r] = colour();
                codes.extend([count as u8, b, g, r]);
                row.extend(vec![[r, g, b, 255]; count]);
                let count = (width - row.len()).min(4);
                if count >= 3 {
                    codes.extend([0, count as u8]);
                    let literals: Vec<[u8; 3]> = (0..count).map(|_| colour()).collect();
                    codes.extend(literals.as_flattened());
                    codes.extend(&[0][..count % 2]);
                    row.extend(literals.iter().map(|[b, g, r]| [*r, *g, *b, 255]));
                }
            }
            codes.extend([0, 0]);
            rows.push(row);
        }
        codes.extend([0, 1]);
        let kind = Kind { header: 64, method: 4, ..PLAIN };
        let file = [head(kind, (width, height), &[], codes.len()), codes].concat();
        rows.reverse();
        assert!(shown(&file).unwrap().pixels == rows.concat(), "{width} × {height}");
    }
}

#[test]
fn a_bmp_without_the_padding_of_its_last_row_is_whole_and_one_without_a_pixel_is_not() {
    for (bits, width) in [(24, 5), (24, 1), (1, 9), (4, 3), (8, 7), (16, 3)] {
        let (file, pixels) = made(Kind { bits, ..PLAIN }, (width, 20));
        let padding = (width * bits).div_ceil(32) * 4 - (width * bits).div_ceil(8);
        let whole = &file[..file.len() - padding];
        assert!(shown(whole).unwrap().pixels == pixels, "{bits} bits, {width} pixels");
        let cut = &whole[..whole.len() - 1];
        assert_eq!(shown(cut).unwrap_err().kind.code(), "image.corrupt");
        let lenient = shown_within(cut, true).unwrap();
        assert!(lenient.pixels[width..] == pixels[width..], "rows come from the bottom up");
        assert!(shown_within(&file[..file.len() - file.len() / 4], true).is_err());
    }
}

/// Codes of runs, literals and a leap, and the indices that they stand for, from the lowest row up.
fn runs(bits: usize, (width, height): (usize, usize)) -> (Vec<u8>, Vec<Vec<u8>>) {
    let mut noise = noise(width + height * 3 + bits);
    let (mut codes, mut rows) = (Vec::new(), vec![vec![0_u8; width]; height]);
    let most = (1 << bits) - 1;
    for (y, row) in rows.iter_mut().enumerate() {
        let mut x = 0;
        if y % 5 == 3 && width > 4 {
            codes.extend([0, 2, 2, 0]);
            x = 2;
        }
        while x < width {
            let count = (noise() % 9 + 1).min(width - x);
            let (one, other) = ((noise() & most) as u8, (noise() & most) as u8);
            if count >= 3 && noise().is_multiple_of(2) {
                let literals: Vec<u8> = (0..count).map(|_| (noise() & most) as u8).collect();
                row[x..x + count].copy_from_slice(&literals);
                codes.extend([0, count as u8]);
                let packed: Vec<u8> = match bits {
                    4 => literals.chunks(2).map(|two| two[0] << 4 | two.get(1).unwrap_or(&0)).collect(),
                    _ => literals,
                };
                codes.extend(&packed);
                codes.extend(&[0][..packed.len() % 2]);
            } else {
                let value = if bits == 4 { one << 4 | other } else { one };
                codes.extend([count as u8, value]);
                for (at, to) in row[x..x + count].iter_mut().enumerate() {
                    *to = if bits == 4 && at % 2 == 1 { other } else { one };
                }
            }
            x += count;
        }
        codes.extend([0, 0]);
    }
    (codes, rows)
}

#[test]
fn run_lengths_with_literals_and_leaps_show_what_was_put_in() {
    for (bits, size) in [4, 8].into_iter().flat_map(|bits| sizes().map(move |size| (bits, size))) {
        let (codes, rows) = runs(bits, size);
        let kind = Kind { bits, method: if bits == 8 { 1 } else { 2 }, ..PLAIN };
        let palette = palette(bits);
        let indices = rows.iter().rev().flatten();
        let pixels: Vec<[u8; 4]> = indices
            .map(|index| {
                let [r, g, b] = palette[usize::from(*index)];
                [r, g, b, 255]
            })
            .collect();
        let head = head(kind, size, &palette, codes.len());
        for end in [&[0, 1][..], &[]] {
            let file = [head.as_slice(), &codes, end].concat();
            assert!(shown(&file).unwrap().pixels == pixels, "{bits} bits, {size:?}, {end:?}");
        }
        if size.1 > 1 {
            let cut = [head.as_slice(), &codes[..codes.len() / 2]].concat();
            assert_eq!(shown(&cut).unwrap_err().kind.code(), "image.corrupt", "{size:?}");
        }
    }
}
