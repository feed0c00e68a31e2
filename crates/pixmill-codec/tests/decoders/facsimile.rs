//! TIFF of facsimile codes, by the tables of the fax crate.

use fax::maps::{Mode, black, mode, white};
use fax::{BitWriter, Bits, VecWriter};

use super::tiff::file;
use super::{noise, shown, sizes};

/// How rows are coded and told from each other.
#[derive(Debug, Clone, Copy)]
struct Kind {
    compression: u32,
    /// T4Options: 1 for rows by the one above, 4 for ends of lines that end a byte.
    options: u32,
    reversed: bool,
}

const END_OF_LINE: Bits = Bits { data: 1, len: 12 };

fn kinds() -> impl Iterator<Item = Kind> {
    let coded = [(2, 0), (32_771, 0), (3, 0), (3, 1), (3, 4), (3, 5)];
    coded.into_iter().flat_map(|(compression, options)| {
        [false, true].map(|reversed| Kind { compression, options, reversed })
    })
}

fn put(to: &mut VecWriter, bits: Bits, at: &mut usize) {
    to.write(bits).unwrap();
    *at += usize::from(bits.len);
}

/// A run's length: parts of 64 pixels, then what is left.
fn put_run(to: &mut VecWriter, is_black: bool, mut length: usize, at: &mut usize) {
    let code = |part: usize| if is_black { black::encode(part as u16) } else { white::encode(part as u16) };
    while length >= 64 {
        let part = (length & !63).min(2560);
        put(to, code(part).expect("a code"), at);
        length -= part;
    }
    put(to, code(length).expect("a code"), at);
}

fn fill(to: &mut VecWriter, multiple: usize, more: usize, at: &mut usize) {
    while !(*at + more).is_multiple_of(multiple) {
        put(to, Bits { data: 0, len: 1 }, at);
    }
}

/// Runs of a row, white first.
fn runs(row: &[bool]) -> Vec<usize> {
    let mut runs = vec![0];
    let mut is_black = false;
    for pixel in row {
        if *pixel != is_black {
            is_black = *pixel;
            runs.push(0);
        }
        *runs.last_mut().unwrap() += 1;
    }
    runs
}

fn coded(kind: Kind, rows: &[Vec<bool>]) -> Vec<u8> {
    let (mut to, mut at) = (VecWriter::new(), 0);
    for (y, row) in rows.iter().enumerate() {
        let by_itself = kind.options & 1 == 0 || y % 4 == 0;
        if kind.compression == 3 {
            if kind.options & 4 != 0 {
                fill(&mut to, 8, 12, &mut at);
            }
            put(&mut to, END_OF_LINE, &mut at);
            if kind.options & 1 != 0 {
                put(&mut to, Bits { data: u16::from(by_itself), len: 1 }, &mut at);
            }
        }
        let runs = runs(row);
        if by_itself {
            runs.iter().enumerate().for_each(|(index, run)| put_run(&mut to, index % 2 == 1, *run, &mut at));
        } else {
            // In pairs, without regard to the row above, which is as good.
            for pair in runs.chunks(2) {
                put(&mut to, mode::encode(Mode::Horizontal).expect("a code"), &mut at);
                put_run(&mut to, false, pair[0], &mut at);
                put_run(&mut to, true, pair.get(1).copied().unwrap_or(0), &mut at);
            }
        }
        match kind.compression {
            2 => fill(&mut to, 8, 0, &mut at),
            32_771 => fill(&mut to, 16, 0, &mut at),
            _ => {}
        }
    }
    to.pad();
    let data = to.finish();
    if kind.reversed { data.iter().map(|byte| byte.reverse_bits()).collect() } else { data }
}

#[test]
fn rows_coded_in_each_way_of_facsimile_show_what_was_put_in() {
    for (kind, (width, height)) in kinds().flat_map(|kind| sizes().map(move |size| (kind, size))) {
        let mut noise = noise(width + height * 2);
        let mut black = false;
        // Long runs now and then, whose lengths come in parts.
        let width = if height.is_multiple_of(9) { width * 61 } else { width };
        let mut pixel = || {
            black ^= noise().is_multiple_of(if width > 70 { 300 } else { 4 });
            black
        };
        let rows: Vec<Vec<bool>> = (0..height).map(|_| (0..width).map(|_| pixel()).collect()).collect();
        let mut tags =
            vec![(256, width), (257, height), (258, 1), (259, kind.compression as usize), (262, 0)];
        tags.extend([(277, 1), (278, height), (266, if kind.reversed { 2 } else { 1 })]);
        if kind.compression == 3 {
            tags.push((292, kind.options as usize));
        }
        let tags: Vec<(u16, Vec<u32>)> =
            tags.iter().map(|(tag, value)| (*tag, vec![*value as u32])).collect();
        let shown = shown(&file(true, &tags, &[coded(kind, &rows)], false))
            .unwrap_or_else(|error| panic!("{kind:?} {width} × {height}: {error}"));
        let wanted = rows.iter().flatten().map(|black| if *black { 0 } else { 255 });
        assert!(shown.pixels.iter().map(|pixel| pixel[0]).eq(wanted), "{kind:?} {width} × {height}");
    }
}
