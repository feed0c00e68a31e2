//! What a child is sent, read in as few calls as there are messages: each call takes all that the pipe holds.

use std::io::{self, ErrorKind, Read};

use serde::de::DeserializeOwned;

use super::wire::{LENGTH_BYTES, head_bytes};

/// Room for an order and its source at first; what nothing was read into takes no memory.
const ROOM: usize = 1 << 20;

/// Room that is kept from picture to picture.
const KEPT: usize = 4 << 20;

/// Heads, and the source that was taken last.
pub(super) struct Inbox<R> {
    from: R,
    held: Vec<u8>,
    /// The source, which begins at `start`.
    source_bytes: usize,
    start: usize,
    /// What was read and not taken.
    next: usize,
    end: usize,
}

impl<R: Read> Inbox<R> {
    pub(super) fn new(from: R) -> Self {
        Inbox { from, held: vec![0; ROOM], source_bytes: 0, start: 0, next: 0, end: 0 }
    }

    /// The next head, or `None` where the other side has ended.
    pub(super) fn head<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        if !self.has(LENGTH_BYTES)? {
            return if self.next == self.end { Ok(None) } else { Err(ErrorKind::UnexpectedEof.into()) };
        }
        let mut length = [0; LENGTH_BYTES];
        length.copy_from_slice(&self.held[self.next..self.next + LENGTH_BYTES]);
        let bytes = head_bytes(length)?;
        if !self.has(LENGTH_BYTES + bytes)? {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let from = self.next + LENGTH_BYTES;
        self.next = from + bytes;
        Ok(Some(serde_json::from_slice(&self.held[from..self.next])?))
    }

    /// Takes a source of so many bytes, which stays until it is forgotten.
    pub(super) fn take_source(&mut self, bytes: usize) -> io::Result<()> {
        self.forget_source();
        if !self.has(bytes)? {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        (self.source_bytes, self.next) = (bytes, self.next + bytes);
        Ok(())
    }

    pub(super) fn source(&self) -> &[u8] {
        &self.held[self.start..self.start + self.source_bytes]
    }

    /// Makes room for the next one.
    pub(super) fn forget_source(&mut self) {
        (self.source_bytes, self.start) = (0, self.next);
        if self.next == self.end {
            (self.start, self.next, self.end) = (0, 0, 0);
            if self.held.len() > KEPT {
                self.held = vec![0; ROOM];
            }
        }
    }

    /// Whether so many bytes are there that were not taken, once the other side has sent them.
    fn has(&mut self, bytes: usize) -> io::Result<bool> {
        while self.end - self.next < bytes {
            self.make_room(bytes);
            match self.from.read(&mut self.held[self.end..]) {
                Ok(0) => return Ok(false),
                Ok(read) => self.end += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn make_room(&mut self, bytes: usize) {
        if self.next + bytes <= self.held.len() {
            return;
        }
        self.held.copy_within(self.start..self.end, 0);
        (self.next, self.end) = (self.next - self.start, self.end - self.start);
        self.start = 0;
        if self.next + bytes > self.held.len() {
            self.held.resize(self.next + bytes, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::wire::{Granted, Needs, write};
    use super::*;

    /// Gives no more at a time than its limit.
    struct Piecemeal<'s>(&'s [u8], usize);

    impl Read for Piecemeal<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let most = self.1.min(into.len());
            (&mut self.0).take(most as u64).read(into)
        }
    }

    #[test]
    fn orders_are_read_however_they_come() {
        let needs = |memory_bytes| Needs { memory_bytes, pixels: 9 };
        let sources: [Vec<u8>; 4] = [3, 200_000, ROOM + 7, KEPT + 1].map(|length| vec![length as u8; length]);
        let mut sent = Vec::new();
        for source in &sources {
            write(&mut sent, &needs(source.len() as u64), source).unwrap();
            write(&mut sent, &Granted, b"").unwrap();
        }
        for most in [999, 65_536, usize::MAX] {
            let mut inbox = Inbox::new(Piecemeal(&sent, most));
            for source in &sources {
                assert_eq!(inbox.head::<Needs>().unwrap(), Some(needs(source.len() as u64)));
                inbox.take_source(source.len()).unwrap();
                assert!(inbox.head::<Granted>().unwrap().is_some());
                assert!(inbox.source() == source, "{} bytes, {most} at a time", source.len());
                inbox.forget_source();
            }
            assert!(inbox.head::<Needs>().unwrap().is_none());
        }
    }

    #[test]
    fn a_head_that_is_too_long_or_breaks_off_is_refused() {
        let head = |sent: &[u8]| Inbox::new(Piecemeal(sent, 1)).head::<Needs>();
        assert!(head(&[255, 255, 255, 255, 1]).is_err());
        assert!(head(&[2, 0, 0, 0, b'h', b'i']).is_err());
        assert_eq!(head(&[2, 0]).unwrap_err().kind(), ErrorKind::UnexpectedEof);
        assert_eq!(head(&[2, 0, 0, 0, b'h']).unwrap_err().kind(), ErrorKind::UnexpectedEof);
        assert!(head(&[]).unwrap().is_none());
        assert!(Inbox::new(Piecemeal(b"pic", 9)).take_source(4).is_err());
    }
}
