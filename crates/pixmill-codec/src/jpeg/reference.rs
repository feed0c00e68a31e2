//! A slow reader of sequential JPEGs that follows the flow charts of ITU T.81, Annex F, bit by bit: what the fast one
//! is held against in tests.

/// A component as it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plane {
    /// In zigzag order.
    pub(super) steps: [u16; 64],
    /// Data units that hold samples of the picture, row by row, each in zigzag order.
    pub(super) blocks: Vec<[i32; 64]>,
}

/// A JPEG's size in pixels, and its coefficients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Coefficients {
    pub(super) width: u16,
    pub(super) height: u16,
    pub(super) planes: Vec<Plane>,
}

#[derive(Clone, Default)]
struct Table {
    /// Length, code, symbol.
    codes: Vec<(u32, u32, u8)>,
}

struct Component {
    id: u8,
    sampling: (u8, u8),
    steps: u8,
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    bit: u32,
}

impl Bits<'_> {
    fn next(&mut self) -> u32 {
        let bit = u32::from(self.bytes[self.at]) >> (7 - self.bit) & 1;
        self.bit += 1;
        if self.bit == 8 {
            self.at += if self.bytes[self.at] == 0xFF { 2 } else { 1 };
            self.bit = 0;
        }
        bit
    }

    fn receive(&mut self, count: u32) -> i32 {
        (0..count).fold(0, |value, _| value << 1 | self.next() as i32)
    }

    fn decode(&mut self, table: &Table) -> u8 {
        let mut code = 0;
        for length in 1..=16 {
            code = code << 1 | self.next();
            if let Some(found) = table.codes.iter().find(|known| (known.0, known.1) == (length, code)) {
                return found.2;
            }
        }
        panic!("no such code");
    }

    fn signed(&mut self, size: u32) -> i32 {
        let value = self.receive(size);
        if size > 0 && value < 1 << (size - 1) { value - (1 << size) + 1 } else { value }
    }

    fn align(&mut self) {
        if self.bit > 0 {
            self.at += if self.bytes[self.at] == 0xFF { 2 } else { 1 };
            self.bit = 0;
        }
    }
}

fn tables(body: &[u8], dc: &mut [Table; 4], ac: &mut [Table; 4]) {
    let mut at = 0;
    while at < body.len() {
        let (place, counts) = (body[at], &body[at + 1..at + 17]);
        at += 17;
        let (mut table, mut code) = (Table::default(), 0);
        for (length, &count) in (1..).zip(counts) {
            for _ in 0..count {
                table.codes.push((length, code, body[at]));
                code += 1;
                at += 1;
            }
            code <<= 1;
        }
        let tables = if place < 16 { &mut *dc } else { &mut *ac };
        tables[usize::from(place & 15)] = table;
    }
}

fn steps(body: &[u8], quantisation: &mut [[u16; 64]; 4]) {
    let mut at = 0;
    while at < body.len() {
        let (place, wide) = (usize::from(body[at] & 15), body[at] >> 4 == 1);
        at += 1;
        for entry in &mut quantisation[place] {
            *entry = if wide { u16::from_be_bytes([body[at], body[at + 1]]) } else { body[at].into() };
            at += if wide { 2 } else { 1 };
        }
    }
}

/// Reads a valid JPEG; panics at any other.
pub(super) fn read(bytes: &[u8]) -> Coefficients {
    let (mut dc, mut ac): ([Table; 4], [Table; 4]) = Default::default();
    let (mut quantisation, mut interval, mut at) = ([[0; 64]; 4], 0_usize, 2);
    let mut components: Vec<Component> = Vec::new();
    let mut picture = Coefficients { width: 0, height: 0, planes: Vec::new() };
    loop {
        assert_eq!(bytes[at], 0xFF, "a marker");
        while bytes[at + 1] == 0xFF {
            at += 1;
        }
        let code = bytes[at + 1];
        if code == 0xD9 {
            return picture;
        }
        let length = usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
        let body = &bytes[at + 4..at + 2 + length];
        at += 2 + length;
        match code {
            0xC4 => tables(body, &mut dc, &mut ac),
            0xDB => steps(body, &mut quantisation),
            0xDD => interval = usize::from(u16::from_be_bytes([body[0], body[1]])),
            0xC0 | 0xC1 => {
                picture.height = u16::from_be_bytes([body[1], body[2]]);
                picture.width = u16::from_be_bytes([body[3], body[4]]);
                for part in body[6..].chunks(3) {
                    components.push(Component {
                        id: part[0],
                        sampling: (part[1] >> 4, part[1] & 15),
                        steps: part[2],
                    });
                    picture.planes.push(Plane { steps: [0; 64], blocks: Vec::new() });
                }
            }
            0xDA => {
                let parts: Vec<(usize, usize, usize)> = body[1..1 + 2 * usize::from(body[0])]
                    .chunks(2)
                    .map(|part| {
                        let component = components.iter().position(|known| known.id == part[0]).unwrap();
                        (component, usize::from(part[1] >> 4), usize::from(part[1] & 15))
                    })
                    .collect();
                for &(component, ..) in &parts {
                    picture.planes[component].steps = quantisation[usize::from(components[component].steps)];
                }
                let mcus = mcus(&picture, &components, &parts);
                let mut bits = Bits { bytes, at, bit: 0 };
                let mut predictions = [0; 3];
                for mcu in 0..mcus {
                    if interval > 0 && mcu > 0 && mcu % interval == 0 {
                        bits.align();
                        assert_eq!(
                            bytes[bits.at..bits.at + 2],
                            [0xFF, 0xD0 + (mcu / interval - 1) as u8 % 8]
                        );
                        bits.at += 2;
                        predictions = [0; 3];
                    }
                    for &(component, dc_at, ac_at) in &parts {
                        let (across, down) = units(&picture, &components, component);
                        let (h, v) = match (&parts[..], components[component].sampling) {
                            ([_], _) => (1, 1),
                            (_, (h, v)) => (usize::from(h), usize::from(v)),
                        };
                        let mcus_across = mcus_across(&picture, &components, &parts);
                        for unit in 0..h * v {
                            let block = block(&mut bits, &dc[dc_at], &ac[ac_at], &mut predictions[component]);
                            let x = mcu % mcus_across * h + unit % h;
                            let y = mcu / mcus_across * v + unit / h;
                            if x < across && y < down {
                                let blocks = &mut picture.planes[component].blocks;
                                blocks.resize(across * down, [0; 64]);
                                blocks[y * across + x] = block;
                            }
                        }
                    }
                }
                bits.align();
                at = bits.at;
            }
            _ => {}
        }
    }
}

/// Data units that hold samples of the picture, across and down.
fn units(picture: &Coefficients, components: &[Component], component: usize) -> (usize, usize) {
    let (most, (h, v)) = (most(components), components[component].sampling);
    let units = |pixels: u16, own: u8, most: usize| {
        (usize::from(pixels) * usize::from(own)).div_ceil(most).div_ceil(8)
    };
    (units(picture.width, h, most.0), units(picture.height, v, most.1))
}

fn most(components: &[Component]) -> (usize, usize) {
    let most = |of: fn(&Component) -> u8| usize::from(components.iter().map(of).max().unwrap());
    (most(|component| component.sampling.0), most(|component| component.sampling.1))
}

fn mcus_across(picture: &Coefficients, components: &[Component], parts: &[(usize, usize, usize)]) -> usize {
    match parts {
        [(component, ..)] => units(picture, components, *component).0,
        _ => usize::from(picture.width).div_ceil(8 * most(components).0),
    }
}

fn mcus(picture: &Coefficients, components: &[Component], parts: &[(usize, usize, usize)]) -> usize {
    let down = match parts {
        [(component, ..)] => units(picture, components, *component).1,
        _ => usize::from(picture.height).div_ceil(8 * most(components).1),
    };
    mcus_across(picture, components, parts) * down
}

fn block(bits: &mut Bits, dc: &Table, ac: &Table, prediction: &mut i32) -> [i32; 64] {
    let mut block = [0; 64];
    let size = bits.decode(dc).into();
    *prediction += bits.signed(size);
    block[0] = *prediction;
    let mut at = 1;
    while at < 64 {
        let symbol = bits.decode(ac);
        let (run, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
        if size == 0 {
            if run < 15 {
                break;
            }
            at += 16;
            continue;
        }
        at += run;
        block[at] = bits.signed(size);
        at += 1;
    }
    block
}
