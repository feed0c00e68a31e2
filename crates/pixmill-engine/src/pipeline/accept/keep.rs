//! The catalogue's bytes on their way to where they are kept: packed, in pieces of bounded size.

use std::io::{self, Write};
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::mpsc;

use super::Said;
use crate::fault::Fault;
use crate::model::id::RequestId;
use crate::model::time::Timestamp;
use crate::port::originals::Originals;

/// Bytes of a piece as it is kept.
const PIECE: usize = 256 << 10;

/// Packs what is read, where it is to be kept.
pub(super) struct Packer(Option<GzEncoder<Pieces>>);

impl Packer {
    /// Whether it does.
    pub(super) fn keeps(&self) -> bool {
        self.0.is_some()
    }

    /// Takes what was read.
    ///
    /// # Errors
    /// When nobody listens any more.
    pub(super) fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.as_mut().map_or(Ok(()), |packer| packer.write_all(bytes))
    }

    /// Says the rest.
    ///
    /// # Errors
    /// When nobody listens any more.
    pub(super) fn end(self) -> io::Result<()> {
        self.0.map_or(Ok(()), |packer| packer.finish()?.say())
    }
}

/// Bytes that become pieces, each said once it is full.
struct Pieces {
    said: mpsc::Sender<Said>,
    piece: Vec<u8>,
}

impl Pieces {
    fn say(&mut self) -> io::Result<()> {
        let piece = std::mem::take(&mut self.piece);
        self.said.blocking_send(Said::Piece(piece)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&bytes[..taken]);
        if self.piece.len() == PIECE {
            self.say()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Hands pieces over in their order, once the request was begun.
pub(super) struct Keeping {
    id: RequestId,
    originals: Option<Arc<dyn Originals>>,
    /// Those that came before: of what the catalogue's layout was found in.
    held: Vec<Vec<u8>>,
    begun: bool,
    next: u32,
}

impl Keeping {
    pub(super) fn new(id: RequestId, originals: Option<Arc<dyn Originals>>) -> Self {
        Keeping { id, originals, held: Vec::new(), begun: false, next: 0 }
    }

    /// What makes the pieces.
    pub(super) fn packer(&self, said: &mpsc::Sender<Said>) -> Packer {
        let pieces = || Pieces { said: said.clone(), piece: Vec::new() };
        Packer(self.originals.as_ref().map(|_| GzEncoder::new(pieces(), Compression::fast())))
    }

    /// The request was begun.
    ///
    /// # Errors
    /// Those of [`Originals::keep`].
    pub(super) async fn begin(&mut self, now: Timestamp) -> Result<(), Fault> {
        self.begun = true;
        for piece in std::mem::take(&mut self.held) {
            self.keep(piece, now).await?;
        }
        Ok(())
    }

    /// A piece was said.
    ///
    /// # Errors
    /// Those of [`Originals::keep`].
    pub(super) async fn keep(&mut self, piece: Vec<u8>, now: Timestamp) -> Result<(), Fault> {
        match &self.originals {
            Some(originals) if self.begun => {
                originals.keep(&self.id, self.next, piece, now).await?;
                self.next += 1;
            }
            _ => self.held.push(piece),
        }
        Ok(())
    }
}
