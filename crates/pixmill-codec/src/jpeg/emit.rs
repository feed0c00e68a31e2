//! Planes of coefficients to tokens: requantised, in the order of MCUs.

use pixmill_cpu::Kernel;

use super::planes::Coefficients;
use super::quantise::{Plane as Kind, Requantiser};
use super::token::{Counts, KINDS, Token, Tokens};
use super::write::plane as kind;

/// Requantises and puts all units of a picture, in one scan of all components. Units that only fill up MCUs repeat the
/// DC coefficient before. `None` when there would be more than `limit` chunks of tokens.
pub(super) fn emit(
    picture: &Coefficients,
    requantisers: &[Requantiser],
    (tokens, counts, limit): (&mut Tokens, &mut Counts, usize),
) -> Option<()> {
    pixmill_cpu::run(Emit { picture, requantisers, tokens, counts, limit })
}

/// Planes on their way to tokens.
struct Emit<'a> {
    picture: &'a Coefficients,
    requantisers: &'a [Requantiser],
    tokens: &'a mut Tokens,
    counts: &'a mut Counts,
    limit: usize,
}

impl Kernel for Emit<'_> {
    type Output = Option<()>;

    #[inline(always)]
    fn run(self) -> Option<()> {
        let Emit { picture, requantisers, tokens, counts, limit } = self;
        let (h, v) = picture.sampling();
        let across = usize::from(picture.width).div_ceil(8 * h);
        let down = usize::from(picture.height).div_ceil(8 * v);
        let mut previous = [0; 3];
        for (y, x) in (0..down).flat_map(|y| (0..across).map(move |x| (y, x))) {
            let room = tokens.room(limit)?;
            let mut written = 0;
            for (component, plane) in picture.planes.iter().enumerate() {
                let (h, v) = if component == 0 { (h, v) } else { (1, 1) };
                let previous = &mut previous[component];
                for (row, column) in (0..v).flat_map(|row| (0..h).map(move |column| (row, column))) {
                    let mut out = Out::new(kind(component), counts, &mut room[written..]);
                    match plane.unit(x * h + column, y * v + row) {
                        Some(unit) => {
                            let (unit, present) = requantisers[component].unit(unit);
                            out.unit(&unit, present, previous);
                        }
                        None => {
                            let mut empty = [0; 64];
                            empty[0] = *previous as i16;
                            out.unit(&empty, 0, previous);
                        }
                    }
                    written += out.written;
                }
            }
            tokens.keep(written);
        }
        tokens.push(Token::end_of_scan(), limit)
    }
}

/// Where a data unit's tokens go.
pub(super) struct Out<'a> {
    plane: Kind,
    counts: &'a mut [u32; KINDS],
    room: &'a mut [Token],
    pub(super) written: usize,
}

impl<'a> Out<'a> {
    pub(super) fn new(plane: Kind, counts: &'a mut Counts, room: &'a mut [Token]) -> Self {
        Out { plane, counts: &mut counts.0[plane as usize], room, written: 0 }
    }

    /// Puts a unit's coefficients, in zigzag order; `present` has a bit for each that isn't zero.
    #[inline(always)]
    pub(super) fn unit(&mut self, coefficients: &[i16; 64], present: u64, previous_dc: &mut i32) {
        let dc = i32::from(coefficients[0]);
        let (size, bits) = magnitude(dc - *previous_dc);
        *previous_dc = dc;
        self.put(Token::dc(self.plane, size, bits));
        let (mut left, mut last) = (present & !1, 0);
        while left != 0 {
            let at = left.trailing_zeros();
            let (size, bits) = magnitude(coefficients[at as usize & 63].into());
            self.put(Token::ac(self.plane, at - last - 1, size, bits));
            last = at;
            left &= left - 1;
        }
        if last != 63 {
            self.put(Token::end_of_block(self.plane));
        }
    }

    #[inline(always)]
    fn put(&mut self, token: Token) {
        self.counts[token.kind() % KINDS] += 1;
        self.room[self.written] = token;
        self.written += 1;
    }
}

/// Bits of a value's magnitude, and those bits: for a negative value their complement (T.81, F.1.2.1.1).
#[inline(always)]
pub(super) fn magnitude(value: i32) -> (u32, u32) {
    let size = 32 - value.unsigned_abs().leading_zeros();
    let bits = (value + (value >> 31)) as u32 & ((1 << size) - 1);
    (size, bits)
}
