//! GIF, by the gif crate.

use gif::{Encoder, Frame};

use super::{Shown, noise, shown, shown_within, sizes};

/// Where the frame lies, and on what.
#[derive(Debug, Clone, Copy)]
struct Made {
    size: (usize, usize),
    place: (usize, usize),
    canvas: (usize, usize),
    colours: usize,
    transparent: Option<u8>,
    interlaced: bool,
}

fn made(made: Made) -> (Vec<u8>, Shown) {
    let ((width, height), (left, top)) = (made.size, made.place);
    let mut noise = noise(width * 71 + height + made.colours);
    let palette: Vec<[u8; 3]> =
        (0..made.colours).map(|at| [at as u8, 255 - at as u8, (at * 3) as u8]).collect();
    let indices: Vec<u8> = (0..width * height).map(|_| (noise() % made.colours) as u8).collect();
    let passes = [(0, 8), (4, 8), (2, 4), (1, 2)];
    let order = passes.iter().flat_map(|&(first, step)| (first..height).step_by(step));
    let stored = if made.interlaced {
        order.flat_map(|y| &indices[y * width..(y + 1) * width]).copied().collect()
    } else {
        indices.clone()
    };
    let mut file = Vec::new();
    let mut encoder =
        Encoder::new(&mut file, made.canvas.0 as u16, made.canvas.1 as u16, palette.as_flattened()).unwrap();
    let frame = Frame {
        left: left as u16,
        top: top as u16,
        width: width as u16,
        height: height as u16,
        interlaced: made.interlaced,
        transparent: made.transparent,
        buffer: stored.into(),
        ..Frame::default()
    };
    encoder.write_frame(&frame).unwrap();
    drop(encoder);
    let canvas = (made.canvas.0.max(left + width), made.canvas.1.max(top + height));
    let mut pixels = vec![[255, 255, 255, 0]; canvas.0 * canvas.1];
    for (at, index) in indices.iter().enumerate() {
        let [r, g, b] = palette[usize::from(*index)];
        let alpha = if made.transparent == Some(*index) { 0 } else { 255 };
        pixels[(top + at / width) * canvas.0 + left + at % width] = [r, g, b, alpha];
    }
    (file, Shown { width: canvas.0, height: canvas.1, pixels })
}

fn all() -> impl Iterator<Item = Made> {
    sizes().flat_map(|size| {
        [2, 4, 16, 200, 256].into_iter().enumerate().map(move |(at, colours)| Made {
            size,
            place: (at % 3 * 2, at % 2 * 3),
            canvas: (size.0 + at * 2, (size.1 + at).saturating_sub(2)),
            colours,
            transparent: (at % 2 == 1).then_some(1),
            interlaced: (size.0 + at).is_multiple_of(2),
        })
    })
}

#[test]
fn gif_of_every_size_and_place_shows_what_was_put_in() {
    for kind in all() {
        let (file, wanted) = made(kind);
        assert!(shown(&file).unwrap() == wanted, "{kind:?}");
    }
}

#[test]
fn what_lacks_behind_the_last_row_of_a_gif_does_no_harm() {
    for kind in all().step_by(7) {
        let (file, wanted) = made(kind);
        // The trailer, and the empty block before it.
        for cut in 1..=2 {
            assert!(shown(&file[..file.len() - cut]).unwrap() == wanted, "{kind:?}");
        }
        if kind.size.1 > 10 {
            assert_eq!(shown(&file[..file.len() * 3 / 4]).unwrap_err().kind.code(), "image.corrupt");
            assert!(shown_within(&file[..file.len() * 3 / 4], true).is_err());
        }
    }
}

#[test]
fn bytes_between_blocks_do_no_harm() {
    let kind = all().nth(100).unwrap();
    let (file, wanted) = made(kind);
    let behind_table = 13 + kind.colours.next_power_of_two() * 3;
    let stray = [&file[..behind_table], &[0, 0], &file[behind_table..]].concat();
    assert!(shown(&stray).unwrap() == wanted);
}

#[test]
fn what_no_frame_covers_is_see_through_and_the_background_of_an_animation() {
    let made = |frames: u16| {
        let mut file = Vec::new();
        let mut encoder = Encoder::new(&mut file, 4, 2, &[0, 0, 255, 255, 0, 0]).unwrap();
        for left in (0..frames).map(|frame| 2 * frame) {
            let frame = Frame { width: 2, height: 2, left, buffer: vec![0; 4].into(), ..Frame::default() };
            encoder.write_frame(&frame).unwrap();
        }
        drop(encoder);
        // The background is red.
        file[11] = 1;
        shown(&file).unwrap().pixels
    };
    let (blue, red, none) = ([0, 0, 255, 255], [255, 0, 0, 255], [255, 255, 255, 0]);
    assert_eq!(made(1), [blue, blue, none, none, blue, blue, none, none]);
    assert_eq!(made(2), [blue, blue, red, red, blue, blue, red, red]);
}

#[test]
fn indices_without_a_palette_are_levels_of_grey() {
    let mut file = Vec::new();
    let palette: Vec<u8> = (0..=255).flat_map(|level| [255 - level, level, 7]).collect();
    let mut encoder = Encoder::new(&mut file, 2, 1, &palette).unwrap();
    encoder
        .write_frame(&Frame { width: 2, height: 1, buffer: vec![0, 200].into(), ..Frame::default() })
        .unwrap();
    drop(encoder);
    let mut bare = [&file[..13], &file[13 + 768..]].concat();
    bare[10] &= 0x7F;
    assert_eq!(shown(&bare).unwrap().pixels, [[0, 0, 0, 255], [200, 200, 200, 255]]);
}
