//! Digests of what is written and read.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::rc::Rc;

use sha2::{Digest, Sha256};

/// Bytes that are read at a time.
pub(super) const PIECE: usize = 256 << 10;

pub(super) fn hex(digest: Sha256) -> String {
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How long a file is, and its digest.
pub(super) fn of_file(path: &Path) -> io::Result<(u64, String)> {
    let (mut file, mut digest) = (File::open(path)?, Sha256::new());
    let (mut piece, mut bytes) = (vec![0; PIECE], 0);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok((bytes, hex(digest))),
            read => {
                digest.update(&piece[..read]);
                bytes += read as u64;
            }
        }
    }
}

/// Digests what is written through it.
pub(super) struct Summed<W> {
    pub(super) inner: W,
    pub(super) digest: Sha256,
    pub(super) bytes: u64,
}

impl<W> Summed<W> {
    pub(super) fn new(inner: W) -> Self {
        Summed { inner, digest: Sha256::new(), bytes: 0 }
    }
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buffer)?;
        self.digest.update(&buffer[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// The length of a block in a tar, which is what is held back.
pub(super) const BLOCK: usize = 512;

/// Digests what is read through it but for the last block: when the head of an entry has been read, all before it.
pub(super) struct HeldBack<R> {
    inner: R,
    digest: Rc<RefCell<Sha256>>,
    held: Vec<u8>,
}

impl<R> HeldBack<R> {
    pub(super) fn new(inner: R) -> Self {
        HeldBack { inner, digest: Rc::default(), held: Vec::with_capacity(2 * BLOCK) }
    }

    /// What follows all but the last block that was read, while it is read.
    pub(super) fn digest_so_far(&self) -> Rc<RefCell<Sha256>> {
        self.digest.clone()
    }

    fn take(&mut self, read: &[u8]) {
        let mut digest = self.digest.borrow_mut();
        let (through, last) = read.split_at(read.len().saturating_sub(BLOCK));
        if !through.is_empty() {
            digest.update(&self.held);
            self.held.clear();
            digest.update(through);
        }
        self.held.extend_from_slice(last);
        let over = self.held.len().saturating_sub(BLOCK);
        digest.update(&self.held[..over]);
        self.held.drain(..over);
    }
}

impl<R: Read> Read for HeldBack<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.take(&buffer[..read]);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_but_the_last_block_is_digested_however_it_is_read() {
        let bytes: Vec<u8> = (0..20_000u32).map(|number| (number * 7) as u8).collect();
        for sizes in [&[1, 511, 512, 513][..], &[700], &[5000, 3], &[512]] {
            let mut reader = HeldBack::new(&bytes[..]);
            let (mut at, mut turn) = (0, sizes.iter().cycle());
            while at < bytes.len() {
                let mut buffer = vec![0; *turn.next().unwrap()];
                at += reader.read(&mut buffer).unwrap();
                let before = &bytes[..at.saturating_sub(BLOCK)];
                assert_eq!(
                    hex(reader.digest_so_far().borrow().clone()),
                    hex(Sha256::new_with_prefix(before)),
                    "{sizes:?} {at}"
                );
            }
        }
    }
}
