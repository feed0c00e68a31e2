//! How many rows are read at a time: as many as have so many bytes, going by those that came before.

/// Bytes that are to be held.
const BYTES: usize = 1 << 20;

/// Rows that are read first, and by how many times more the next time at most.
const FIRST: usize = 16;
const GROWTH: usize = 4;

/// Rows that are read at a time.
#[derive(Debug, Clone)]
pub struct Stride {
    next: usize,
    most: usize,
}

impl Stride {
    /// Begins with few rows, for they may be wide; never reads more than `most`.
    pub fn new(most: usize) -> Self {
        Stride { next: FIRST.min(most), most }
    }

    /// How many rows are to be read next.
    pub fn next(&self) -> usize {
        self.next
    }

    /// So many rows were read, with so many bytes.
    pub fn read(&mut self, rows: usize, bytes: usize) {
        if let Some(each) = bytes.checked_div(rows) {
            let fit = BYTES / each.max(1);
            self.next = fit.min(self.next * GROWTH).clamp(1, self.most);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_rows_are_read_few_at_a_time_and_narrow_ones_many() {
        let mut stride = Stride::new(500);
        let mut read = |bytes_each: usize| {
            let rows = stride.next();
            stride.read(rows, rows * bytes_each);
            rows
        };
        let narrow: Vec<_> = (0..4).map(|_| read(100)).collect();
        assert_eq!(narrow, [16, 64, 256, 500]);
        assert_eq!((read(900_000), read(900_000), read(900_000)), (500, 1, 1));
        assert_eq!((read(10), read(10)), (1, 4), "it dares more little by little");
    }
}
