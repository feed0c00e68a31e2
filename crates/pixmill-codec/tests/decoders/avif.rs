//! AVIF: frames by rav1e, put into files by hand with all that a file can say of them.

use pixmill_codec::{Format, Limits, Recipe, Workspace, recompress};

use super::{Shown, difference, shown};

type Pixels = Vec<[u8; 4]>;

/// Slopes, and alpha from left to right.
fn slopes((width, height): (usize, usize)) -> Pixels {
    let pixel = |x: usize, y: usize| [(40 + x) as u8, (90 + y) as u8, (200 - x / 2) as u8, (60 + x) as u8];
    (0..width * height).map(|at| pixel(at % width, at / width)).collect()
}

fn part(pixels: &Pixels, across: usize, (left, top, width, height): (usize, usize, usize, usize)) -> Pixels {
    (0..width * height).map(|at| pixels[(top + at / width) * across + left + at % width]).collect()
}

fn opaque(pixels: &Pixels) -> Pixels {
    pixels.iter().map(|[r, g, b, _]| [*r, *g, *b, 255]).collect()
}

fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32 + 8).to_be_bytes()[..], kind, body].concat()
}

/// A box with a version and flags.
fn full(kind: &[u8; 4], version_and_flags: u32, body: &[u8]) -> Vec<u8> {
    boxed(kind, &[&version_and_flags.to_be_bytes()[..], body].concat())
}

fn numbers(all: &[u32]) -> Vec<u8> {
    all.iter().flat_map(|number| number.to_be_bytes()).collect()
}

fn shorts(all: &[usize]) -> Vec<u8> {
    all.iter().flat_map(|number| (*number as u16).to_be_bytes()).collect()
}

/// An AV1 frame, and the box that describes it.
struct Frame {
    data: Vec<u8>,
    av1c: Vec<u8>,
}

/// By rav1e; of one `channel` alone as brightness.
fn frame(pixels: &Pixels, (width, height): (usize, usize), channel: Option<usize>) -> Frame {
    let mut png = Vec::new();
    let mut encoder = png::Encoder::new(&mut png, width as u32, height as u32);
    let data: Vec<u8> = match channel {
        Some(channel) => pixels.iter().map(|pixel| pixel[channel]).collect(),
        None => pixels.iter().flat_map(|pixel| pixel[..3].to_vec()).collect(),
    };
    encoder.set_color(if channel.is_some() { png::ColorType::Grayscale } else { png::ColorType::Rgb });
    encoder.write_header().unwrap().write_image_data(&data).unwrap();
    let recipe = Recipe { format: Format::Avif, quality: 95, ..Recipe::default() };
    let file = recompress(&png, &recipe, &Limits::default(), &mut Workspace::default()).unwrap().bytes;
    let found = |kind: &[u8; 4]| {
        let at = file.windows(4).position(|word| word == kind).expect("a box") - 4;
        let length = u32::from_be_bytes(file[at..at + 4].try_into().unwrap()) as usize;
        file[at..at + length].to_vec()
    };
    Frame { data: found(b"mdat")[8..].to_vec(), av1c: found(b"av1C") }
}

/// A part of a file.
struct Item {
    id: usize,
    kind: [u8; 4],
    data: Vec<u8>,
    properties: Vec<Vec<u8>>,
}

/// What a file holds, and what refers to what.
#[derive(Default)]
struct File {
    items: Vec<Item>,
    references: Vec<u8>,
}

impl File {
    fn item(&mut self, id: usize, kind: &[u8; 4], data: Vec<u8>, properties: Vec<Vec<u8>>) {
        self.items.push(Item { id, kind: *kind, data, properties });
    }

    fn refer(&mut self, kind: &[u8; 4], from: usize, to: &[usize]) {
        self.references.extend(boxed(kind, &[shorts(&[from, to.len()]), shorts(to)].concat()));
    }

    fn bytes(&self) -> Vec<u8> {
        let head = self.head(0);
        let data: Vec<u8> = self.items.iter().flat_map(|item| item.data.clone()).collect();
        [self.head(head.len() + 8), boxed(b"mdat", &data)].concat()
    }

    fn head(&self, mut data_at: usize) -> Vec<u8> {
        let (mut infos, mut places, mut properties, mut owners) = (vec![], vec![], vec![], vec![]);
        let mut count = 0_u8;
        for Item { id, kind, data, properties: own } in &self.items {
            infos.extend(full(b"infe", 2 << 24, &[&shorts(&[*id, 0])[..], kind, &[0]].concat()));
            places.extend([shorts(&[*id, 0, 1]), numbers(&[data_at as u32, data.len() as u32])].concat());
            data_at += data.len();
            owners.extend(shorts(&[*id]));
            owners.push(own.len() as u8);
            for property in own {
                properties.extend(property);
                count += 1;
                owners.push(0x80 | count);
            }
        }
        let many = shorts(&[self.items.len()]);
        let meta = [
            full(b"hdlr", 0, &[&[0; 4][..], b"pict", &[0; 13]].concat()),
            full(b"pitm", 0, &shorts(&[1])),
            full(b"iloc", 0, &[&[0x44, 0][..], &many, &places].concat()),
            full(b"iinf", 0, &[many, infos].concat()),
            boxed(
                b"iprp",
                &[
                    boxed(b"ipco", &properties),
                    full(b"ipma", 0, &[numbers(&[self.items.len() as u32]), owners].concat()),
                ]
                .concat(),
            ),
            full(b"iref", 0, &self.references),
        ];
        [boxed(b"ftyp", b"avif\0\0\0\0avifmif1miaf"), full(b"meta", 0, &meta.concat())].concat()
    }
}

fn size_of((width, height): (usize, usize)) -> Vec<u8> {
    full(b"ispe", 0, &numbers(&[width as u32, height as u32]))
}

fn alpha_mark() -> Vec<u8> {
    full(b"auxC", 0, b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0")
}

fn grid_of((columns, rows): (usize, usize), (width, height): (usize, usize)) -> Vec<u8> {
    [&[0, 0, rows as u8 - 1, columns as u8 - 1][..], &shorts(&[width, height])].concat()
}

/// Tiles of a picture, which begin at an id: their ids.
fn tiles(
    file: &mut File,
    pixels: &Pixels,
    (columns, rows): (usize, usize),
    tile: (usize, usize),
    (first, channel): (usize, Option<usize>),
) -> Vec<usize> {
    for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
        let place = (column * tile.0, row * tile.1, tile.0, tile.1);
        let coded = frame(&part(pixels, columns * tile.0, place), tile, channel);
        file.item(first + row * columns + column, b"av01", coded.data, vec![size_of(tile), coded.av1c]);
    }
    (first..first + columns * rows).collect()
}

fn is_near(shown: &Shown, size: (usize, usize), wanted: &Pixels) {
    assert_eq!((shown.width, shown.height), size);
    let off = difference(shown, wanted);
    assert!(off < 4.0, "{size:?}: off by {off}");
}

/// One frame with more said of it.
fn said(pixels: &Pixels, size: (usize, usize), more: &[Vec<u8>]) -> Vec<u8> {
    let coded = frame(pixels, size, None);
    let mut file = File::default();
    let mut properties = vec![size_of(size), coded.av1c];
    properties.extend(more.iter().cloned());
    file.item(1, b"av01", coded.data, properties);
    file.bytes()
}

#[test]
fn avif_of_every_kind_of_size_shows_what_was_put_in() {
    for size in super::sizes().step_by(5) {
        let pixels = opaque(&slopes(size));
        is_near(&shown(&said(&pixels, size, &[])).unwrap(), size, &pixels);
    }
}

#[test]
fn tiles_of_a_grid_lie_where_they_belong_and_no_further_than_the_picture() {
    for (columns, rows, shown_size) in
        [(2, 2, (128, 96)), (2, 2, (101, 75)), (1, 3, (64, 144)), (3, 1, (170, 48)), (1, 1, (64, 48))]
    {
        let whole = (columns * 64, rows * 48);
        let pixels = slopes(whole);
        let mut file = File::default();
        file.item(1, b"grid", grid_of((columns, rows), shown_size), vec![size_of(shown_size)]);
        let ids = tiles(&mut file, &pixels, (columns, rows), (64, 48), (2, None));
        file.refer(b"dimg", 1, &ids);
        let wanted = part(&opaque(&pixels), whole.0, (0, 0, shown_size.0, shown_size.1));
        is_near(&shown(&file.bytes()).unwrap(), shown_size, &wanted);
    }
}

#[test]
fn alpha_may_be_whole_or_in_tiles_whatever_its_colours_are() {
    let (size, tile) = ((128, 48), (64, 48));
    let pixels = slopes(size);
    for (colour_tiles, alpha_tiles) in [(1, 1), (1, 2), (2, 1), (2, 2)] {
        let mut file = File::default();
        let mut put = |id: usize, count: usize, channel: Option<usize>, mut more: Vec<Vec<u8>>| {
            more.push(size_of(size));
            if count == 1 {
                let coded = frame(&pixels, size, channel);
                more.push(coded.av1c);
                file.item(id, b"av01", coded.data, more);
            } else {
                file.item(id, b"grid", grid_of((count, 1), size), more);
                let ids = tiles(&mut file, &pixels, (count, 1), tile, (id + 1, channel));
                file.refer(b"dimg", id, &ids);
            }
        };
        put(1, colour_tiles, None, vec![]);
        put(10, alpha_tiles, Some(3), vec![alpha_mark()]);
        file.refer(b"auxl", 10, &[1]);
        is_near(&shown(&file.bytes()).unwrap(), size, &pixels);
    }
    // Each tile with alpha of its own.
    let mut file = File::default();
    file.item(1, b"grid", grid_of((2, 1), size), vec![size_of(size)]);
    let ids = tiles(&mut file, &pixels, (2, 1), tile, (2, None));
    file.refer(b"dimg", 1, &ids);
    for id in tiles(&mut file, &pixels, (2, 1), tile, (20, Some(3))) {
        file.items.iter_mut().find(|item| item.id == id).unwrap().properties.push(alpha_mark());
        file.refer(b"auxl", id, &[id - 18]);
    }
    is_near(&shown(&file.bytes()).unwrap(), size, &pixels);
}

#[test]
fn colours_that_were_multiplied_by_alpha_are_divided_again() {
    let size = (96, 64);
    let pixels = slopes(size);
    let multiplied: Pixels = pixels
        .iter()
        .map(|[r, g, b, a]| {
            let by = |sample: u8| (u16::from(sample) * u16::from(*a) / 255) as u8;
            [by(*r), by(*g), by(*b), *a]
        })
        .collect();
    let (colours, alpha) = (frame(&multiplied, size, None), frame(&pixels, size, Some(3)));
    let mut file = File::default();
    file.item(1, b"av01", colours.data, vec![size_of(size), colours.av1c]);
    file.item(2, b"av01", alpha.data, vec![size_of(size), alpha.av1c, alpha_mark()]);
    file.refer(b"auxl", 2, &[1]);
    file.refer(b"prem", 1, &[2]);
    is_near(&shown(&file.bytes()).unwrap(), size, &pixels);
}

/// A clean aperture: its size, and how far its middle lies from the picture's, in halves of a pixel.
fn aperture((width, height): (usize, usize), (right, lower): (i32, i32)) -> Vec<u8> {
    let all = [width as u32, 1, height as u32, 1, right as u32, 2, lower as u32, 2];
    boxed(b"clap", &numbers(&all))
}

#[test]
fn a_clean_aperture_shows_what_lies_inside_of_it() {
    let size = (96, 64);
    let pixels = opaque(&slopes(size));
    for (inside, (left, top)) in [
        ((40, 20), (28, 22)),
        ((96, 64), (0, 0)),
        ((50, 30), (33, 10)),
        ((2, 2), (0, 0)),
        ((31, 63), (65, 1)),
    ] {
        let middle = |whole: usize, part: usize, at: usize| (2 * at + part) as i32 - whole as i32;
        let offsets = (middle(size.0, inside.0, left), middle(size.1, inside.1, top));
        let file = said(&pixels, size, &[aperture(inside, offsets)]);
        is_near(&shown(&file).unwrap(), inside, &part(&pixels, size.0, (left, top, inside.0, inside.1)));
    }
    // One that reaches beyond the picture means nothing.
    let file = said(&pixels, size, &[aperture((97, 20), (0, 0))]);
    is_near(&shown(&file).unwrap(), size, &pixels);
}

#[test]
fn a_picture_is_turned_first_and_mirrored_then() {
    let size = (70, 40);
    let pixels = opaque(&slopes(size));
    for (turns, mirror) in
        (0..4_u8).flat_map(|turns| [None, Some(0_u8), Some(1)].map(|mirror| (turns, mirror)))
    {
        let mut wanted = Shown { width: size.0, height: size.1, pixels: pixels.clone() };
        for _ in 0..turns {
            // Anticlockwise: what was the right column becomes the uppermost row.
            let Shown { width, height, pixels } = wanted;
            let turned = (0..width * height).map(|at| pixels[at % height * width + width - 1 - at / height]);
            wanted = Shown { width: height, height: width, pixels: turned.collect() };
        }
        let rows = wanted.pixels.chunks(wanted.width).map(<[_]>::to_vec);
        let wanted_pixels: Pixels = match mirror {
            Some(0) => rows.rev().flatten().collect(),
            Some(_) => rows.flat_map(|row| row.into_iter().rev().collect::<Vec<_>>()).collect(),
            None => rows.flatten().collect(),
        };
        let mut more = vec![boxed(b"irot", &[turns])];
        more.extend(mirror.map(|axis| boxed(b"imir", &[axis])));
        let shown = shown(&said(&pixels, size, &more)).unwrap();
        is_near(&shown, (wanted.width, wanted.height), &wanted_pixels);
    }
}
