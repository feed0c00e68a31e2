//! Bits of entropy-coded data, out of which byte stuffing has been taken (ITU T.81, B.1.1.5 and F.2.2.5).

/// Bytes that a window can hold; a power of two, so that a position can be masked instead of checked.
pub(super) const SIZE: usize = 1 << 14;

/// Bytes that may be read between two calls of [`BitReader::advance`]: more than an MCU of 6 blocks can take
/// (6 × 64 coefficients × 31 bits = 1488 bytes).
const MARGIN: usize = 2048;

/// A stretch of entropy-coded data without stuffing; one is reused from picture to picture.
#[derive(Debug)]
pub(super) struct Window(Box<[u8; SIZE + 8]>);

impl Default for Window {
    fn default() -> Self {
        Window(Box::new([0; SIZE + 8]))
    }
}

/// The next bits, with the first of them on top.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reservoir {
    /// At least [`Self::available`] bits that are next.
    pub(super) next: u64,
    available: u32,
    /// Where in the window the bits beyond `available` come from.
    position: usize,
}

impl Reservoir {
    /// Makes at least 56 bits available.
    #[inline(always)]
    pub(super) fn refill(&mut self, window: &Window) {
        let at = self.position & (SIZE - 1);
        let bytes: [u8; 8] = std::array::from_fn(|i| window.0[at + i]);
        self.next |= u64::from_be_bytes(bytes) >> self.available;
        self.position += ((63 - self.available) >> 3) as usize;
        self.available |= 56;
    }

    /// Goes on by up to 31 bits, which must be available.
    #[inline(always)]
    pub(super) fn consume(&mut self, bits: u32) {
        self.next <<= bits;
        self.available = self.available.wrapping_sub(bits);
    }
}

/// What stands after a stretch of entropy-coded data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// All bits but the padding of the last byte have been read, and a marker or the end of the file comes next, at
    /// this offset.
    Clean(usize),
    /// Data is left over.
    Extra,
}

/// Reads the bits between two markers.
#[derive(Debug)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    /// The next byte to come into the window.
    at: usize,
    /// Whether `at` is at a marker or the end.
    ended: bool,
    /// Bytes in the window.
    filled: usize,
    pub(super) window: &'a mut Window,
    pub(super) reservoir: Reservoir,
}

impl<'a> BitReader<'a> {
    /// Begins at an offset.
    pub(super) fn new(bytes: &'a [u8], at: usize, window: &'a mut Window) -> Self {
        let reservoir = Reservoir { next: 0, available: 0, position: 0 };
        let mut reader = BitReader { bytes, at, ended: false, filled: 0, window, reservoir };
        reader.fill();
        reader
    }

    /// Begins anew at an offset, after a marker.
    pub(super) fn restart(&mut self, at: usize) {
        (self.at, self.ended, self.filled) = (at, false, 0);
        self.reservoir = Reservoir { next: 0, available: 0, position: 0 };
        self.fill();
    }

    /// To be called before each MCU: brings in more bytes when they run low. False when more bits have been read
    /// than there were.
    #[inline(always)]
    pub(super) fn advance(&mut self) -> bool {
        if self.reservoir.position + MARGIN > self.filled && !self.ended {
            self.fill();
        }
        self.unread_bits().is_some()
    }

    /// Where the data ends, seen from after its last MCU; `None` when more bits have been read than there were.
    pub(super) fn finish(&mut self) -> Option<Ending> {
        let unread = self.unread_bits()?;
        Some(if self.ended && unread < 8 { Ending::Clean(self.at) } else { Ending::Extra })
    }

    /// Goes on to the next whole byte; `None` when the bits before it are not the ones that fill up a byte.
    pub(super) fn skip_padding(&mut self) -> Option<()> {
        let bits = (self.unread_bits()? % 8) as u32;
        self.reservoir.refill(self.window);
        let padding = self.reservoir.next.checked_shr(64 - bits).unwrap_or(0);
        self.reservoir.consume(bits);
        (padding == (1 << bits) - 1).then_some(())
    }

    /// Where the next marker is, or the end of the file, if nothing lies before it but a few bytes, or any number of
    /// equal ones.
    pub(super) fn behind_padding(&self) -> Option<usize> {
        const FEW: usize = 3;
        let left = &self.window.0[self.filled - self.unread_bits()? / 8..self.filled];
        let mut at = self.at;
        let fill = left.first().or(self.bytes.get(at));
        while !self.ended && at < self.bytes.len() && Some(&self.bytes[at]) == fill && fill != Some(&0xFF) {
            at += 1;
        }
        let ended = self.ended || at >= self.bytes.len() || self.bytes[at] == 0xFF;
        let equal = left.iter().all(|byte| Some(byte) == fill);
        (ended && (equal || self.ended && left.len() <= FEW)).then_some(at)
    }

    #[inline(always)]
    fn unread_bits(&self) -> Option<usize> {
        (self.filled * 8 + self.reservoir.available as usize).checked_sub(self.reservoir.position * 8)
    }

    fn fill(&mut self) {
        let position = self.reservoir.position.min(self.filled);
        self.window.0.copy_within(position..self.filled, 0);
        self.filled -= position;
        self.reservoir.position -= position;
        while !self.ended && self.filled + CHUNK <= SIZE - MARGIN {
            self.copy_chunk();
        }
    }

    /// Copies up to a chunk, at most to the first 0xFF and what it stands for.
    #[inline(always)]
    fn copy_chunk(&mut self) {
        let Some(chunk) = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<CHUNK>()) else {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            return self.copy_to_ff(rest);
        };
        if chunk.iter().fold(0, |any, &byte| any | u8::from(byte == 0xFF)) == 0 {
            self.window.0[self.filled..self.filled + CHUNK].copy_from_slice(chunk);
            self.at += CHUNK;
            self.filled += CHUNK;
        } else {
            self.copy_to_ff(chunk);
        }
    }

    fn copy_to_ff(&mut self, part: &[u8]) {
        let plain = part.iter().position(|&byte| byte == 0xFF).unwrap_or(part.len());
        self.window.0[self.filled..self.filled + plain].copy_from_slice(&part[..plain]);
        self.at += plain;
        self.filled += plain;
        if plain == part.len() {
            self.ended = self.at >= self.bytes.len();
            return;
        }
        // A marker may have any number of 0xFF before it, and so may a stuffed byte.
        let after = self.bytes[self.at..].iter().position(|&byte| byte != 0xFF);
        match after.map(|after| self.at + after) {
            Some(after) if self.bytes[after] == 0 => {
                self.window.0[self.filled] = 0xFF;
                self.filled += 1;
                self.at = after + 1;
            }
            _ => self.ended = true,
        }
    }
}

/// Bytes that are searched for 0xFF at a time.
const CHUNK: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn stuffed(plain: &[u8]) -> Vec<u8> {
        plain.iter().flat_map(|&byte| if byte == 0xFF { vec![0xFF, 0] } else { vec![byte] }).collect()
    }

    /// Reads all bytes, so many bits at a time.
    fn read(bytes: &[u8], at: usize, count: usize, step: u32) -> (Vec<u32>, Option<Ending>) {
        let mut window = Window::default();
        let mut reader = BitReader::new(bytes, at, &mut window);
        let mut values = Vec::new();
        for _ in 0..count {
            assert!(reader.advance());
            reader.reservoir.refill(reader.window);
            values.push((reader.reservoir.next >> (64 - step)) as u32);
            reader.reservoir.consume(step);
        }
        (values, reader.finish())
    }

    #[test]
    fn stuffing_is_taken_out_and_the_end_found() {
        let bytes = [0xAA, 0x12, 0xFF, 0x00, 0x34, 0xFF, 0xD9];
        let (values, ending) = read(&bytes, 1, 3, 8);
        assert_eq!((values, ending), (vec![0x12, 0xFF, 0x34], Some(Ending::Clean(5))));
    }

    #[test]
    fn data_longer_than_the_window_comes_whole() {
        let plain: Vec<u8> = (0..3 * SIZE as u32).map(|at| ((at * at) >> 3) as u8).collect();
        let bytes = stuffed(&plain);
        let (values, ending) = read(&bytes, 0, plain.len(), 8);
        assert!(values.iter().zip(&plain).all(|(&value, &byte)| value == u32::from(byte)));
        assert_eq!(ending, Some(Ending::Clean(bytes.len())));
    }

    #[test]
    fn reading_beyond_the_end_is_noticed_and_so_is_data_left_over() {
        assert_eq!(read(&[0x12, 0xFF, 0xD9], 0, 2, 5).1, None);
        assert_eq!(read(&[0x12, 0x34, 0xFF, 0xD9], 0, 1, 5).1, Some(Ending::Extra));
        assert_eq!(read(&[0x12, 0x34, 0xFF, 0xD9], 0, 2, 5).1, Some(Ending::Clean(2)));
    }

    #[test]
    fn fill_bytes_before_a_marker_or_a_stuffed_byte_are_no_data() {
        assert_eq!(read(&[0x12, 0xFF, 0xFF, 0xFF, 0xD9], 0, 1, 8).1, Some(Ending::Clean(1)));
        assert_eq!(read(&[0x12, 0xFF, 0xFF, 0x00, 0x34], 0, 3, 8).0, [0x12, 0xFF, 0x34]);
    }

    #[test]
    fn a_lone_ff_at_the_end_of_the_file_is_no_data() {
        assert_eq!(read(&[0x12, 0xFF], 0, 1, 8).1, Some(Ending::Clean(1)));
    }
}
