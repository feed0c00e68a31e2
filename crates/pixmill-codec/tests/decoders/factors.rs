//! JPEG of any sampling factors and scans, by an encoder made by hand: each data unit is of one level.

use super::{difference, shown, sizes};

/// Across and down, of each component.
type Factors = [(usize, usize); 3];

/// Ten data units an MCU at most; brightness coarser than colours too.
const FACTORS: [Factors; 12] = [
    [(3, 1), (1, 1), (1, 1)],
    [(1, 3), (1, 1), (1, 1)],
    [(1, 1), (2, 1), (2, 1)],
    [(1, 1), (2, 2), (2, 2)],
    [(1, 1), (1, 1), (2, 1)],
    [(2, 2), (1, 2), (2, 1)],
    [(2, 2), (2, 2), (1, 1)],
    [(4, 2), (1, 1), (1, 1)],
    [(4, 1), (2, 1), (1, 1)],
    [(3, 2), (1, 2), (1, 1)],
    [(2, 1), (1, 2), (1, 1)],
    [(1, 4), (1, 2), (1, 1)],
];

#[derive(Default)]
struct Bits {
    out: Vec<u8>,
    held: u32,
    count: u32,
}

impl Bits {
    fn put(&mut self, value: u32, count: u32) {
        for bit in (0..count).rev() {
            self.held = self.held << 1 | (value >> bit & 1);
            self.count += 1;
            if self.count == 8 {
                self.out.push(self.held as u8);
                if self.held == 0xFF {
                    self.out.push(0);
                }
                (self.held, self.count) = (0, 0);
            }
        }
    }

    /// A data unit of one level: the difference from the one before, and the end of the block.
    fn unit(&mut self, level: i32, previous: &mut i32) {
        let difference = level - std::mem::replace(previous, level);
        let size = 32 - difference.unsigned_abs().leading_zeros();
        // Sixteen codes of DC differences, four bits each but the last; one code that ends a block.
        self.put(size, 4);
        let low = if difference < 0 { difference - 1 } else { difference };
        self.put(low as u32 & ((1 << size) - 1), size);
        self.put(0, 1);
    }

    fn finish(mut self) -> Vec<u8> {
        while self.count > 0 {
            self.put(1, 1);
        }
        self.out
    }
}

/// The level of a component's data unit, as a DC coefficient over 8: slopes, lest it matters how samples between are made.
fn level(component: usize, x: usize, y: usize, units_per: (usize, usize)) -> i32 {
    // Places as if all components had the finest units, so that slopes are the same.
    let (x, y) = (x * 12 / units_per.0, y * 12 / units_per.1);
    [(x + y) as i32 / 6 - 20, 10 - x as i32 / 8, y as i32 / 8 - 5][component]
}

fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
    [&[0xFF, marker], &(body.len() as u16 + 2).to_be_bytes()[..], body].concat()
}

/// A file, and what it shows: each pixel by the levels of the units in which it lies.
fn made(factors: Factors, (width, height): (usize, usize), together: bool) -> (Vec<u8>, Vec<[u8; 4]>) {
    let most = |of: fn(&(usize, usize)) -> usize| factors.iter().map(of).max().unwrap();
    let (h_most, v_most) = (most(|factor| factor.0), most(|factor| factor.1));
    let (mcus_across, mcus_down) = (width.div_ceil(8 * h_most), height.div_ceil(8 * v_most));
    let unit_level = |component: usize, x: usize, y: usize| {
        let (h, v) = factors[component];
        level(component, x * h_most, y * v_most, (h, v))
    };
    let mut file = vec![0xFF, 0xD8];
    file.extend(segment(0xDB, &[&[0][..], &[8; 64]].concat()));
    let mut frame = vec![8];
    frame.extend((height as u16).to_be_bytes());
    frame.extend((width as u16).to_be_bytes());
    frame.push(3);
    for (at, (h, v)) in factors.iter().enumerate() {
        frame.extend([at as u8 + 1, (h << 4 | v) as u8, 0]);
    }
    file.extend(segment(0xC0, &frame));
    let mut dc = vec![0; 17];
    dc[4] = 12;
    dc.extend(0..12);
    file.extend(segment(0xC4, &dc));
    let mut ac = vec![0x10, 1];
    ac.resize(17, 0);
    ac.push(0);
    file.extend(segment(0xC4, &ac));
    let scans: &[&[usize]] = if together { &[&[0, 1, 2]] } else { &[&[0], &[1], &[2]] };
    for components in scans {
        let mut head = vec![components.len() as u8];
        components.iter().for_each(|at| head.extend([*at as u8 + 1, 0]));
        head.extend([0, 63, 0]);
        file.extend(segment(0xDA, &head));
        let (mut bits, mut previous) = (Bits::default(), [0; 3]);
        if let [component] = components {
            let (h, v) = factors[*component];
            let across = (width * h).div_ceil(h_most).div_ceil(8);
            let down = (height * v).div_ceil(v_most).div_ceil(8);
            for (y, x) in (0..down).flat_map(|y| (0..across).map(move |x| (y, x))) {
                bits.unit(unit_level(*component, x, y), &mut previous[*component]);
            }
        } else {
            for (y, x) in (0..mcus_down).flat_map(|y| (0..mcus_across).map(move |x| (y, x))) {
                for (at, (h, v)) in factors.iter().enumerate() {
                    for unit in 0..h * v {
                        bits.unit(unit_level(at, x * h + unit % h, y * v + unit / h), &mut previous[at]);
                    }
                }
            }
        }
        file.extend(bits.finish());
    }
    file.extend([0xFF, 0xD9]);
    let pixels = (0..width * height).map(|at| {
        let (x, y) = (at % width, at / width);
        let [luma, cb, cr] = [0, 1, 2].map(|component| {
            let (h, v) = factors[component];
            unit_level(component, x * h / h_most / 8, y * v / v_most / 8) as f32
        });
        let byte = |value: f32| (value + 128.5).clamp(0.0, 255.0) as u8;
        [byte(luma + 1.402 * cr), byte(luma - 0.344_14 * cb - 0.714_14 * cr), byte(luma + 1.772 * cb), 255]
    });
    (file, pixels.collect())
}

#[test]
fn jpeg_of_any_factors_in_one_scan_or_several_shows_what_was_put_in() {
    for (factors, size) in FACTORS.into_iter().flat_map(|factors| sizes().map(move |size| (factors, size))) {
        for together in [true, false] {
            let (file, pixels) = made(factors, size, together);
            let shown =
                shown(&file).unwrap_or_else(|error| panic!("{factors:?} {size:?} {together}: {error}"));
            assert_eq!((shown.width, shown.height), size);
            let off = difference(&shown, &pixels);
            assert!(off < 3.0, "{factors:?} {size:?} in one scan: {together}: off by {off}");
        }
    }
}
