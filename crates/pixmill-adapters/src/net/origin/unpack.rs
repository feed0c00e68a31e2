//! Undoes content encodings as a body comes: gzip, deflate, brotli and Zstandard, a bounded piece at a time, so that
//! whoever counts the bytes of the result can stop a bomb at its bound.

mod brotli;
mod inflate;
mod zstd;

use async_trait::async_trait;
use bytes::Bytes;
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::port::origin::Body;

use self::brotli::Brotli;
use self::inflate::Inflate;
use self::zstd::Zstd;

/// Bytes of a result that are made at a time.
const PIECE: usize = 64 << 10;
/// Encodings of one body that are undone; nobody honest uses more than one.
const LAYERS_MAX: usize = 3;
/// Bytes that tell an encoding, or a picture, from what it is not.
const BEGINNING: usize = 12;

/// A content encoding (RFC 9110, section 8.4.1; RFC 7932; RFC 8878).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

impl Coding {
    /// The encodings that `Content-Encoding` names, in the order in which they were applied. Names that nobody knows
    /// stand for nothing: what came is looked at anyway.
    pub(super) fn listed(header: &str) -> Vec<Coding> {
        let names = header.split(',').map(|name| name.trim().to_ascii_lowercase());
        let known = names.filter_map(|name| match name.as_str() {
            "gzip" | "x-gzip" => Some(Coding::Gzip),
            "deflate" => Some(Coding::Deflate),
            "br" => Some(Coding::Brotli),
            "zstd" => Some(Coding::Zstd),
            _ => None,
        });
        known.take(LAYERS_MAX).collect()
    }

    /// Bytes that undoing it may take beside the pieces.
    pub(super) fn memory_bytes(self) -> u64 {
        match self {
            Coding::Gzip | Coding::Deflate => 64 << 10,
            Coding::Brotli => brotli::MEMORY_BYTES,
            Coding::Zstd => zstd::MEMORY_BYTES,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Coding::Gzip => "gzip",
            Coding::Deflate => "deflate",
            Coding::Brotli => "brotli",
            Coding::Zstd => "zstd",
        }
    }

    /// Whether a body that begins so can be of this encoding. Servers say `gzip` and send the picture as it is.
    fn may_begin(self, beginning: &[u8]) -> bool {
        match self {
            Coding::Gzip => is_gzip(beginning),
            Coding::Zstd => zstd::begins(beginning),
            Coding::Deflate | Coding::Brotli => !is_picture(beginning),
        }
    }

    fn undo(self, beginning: &[u8]) -> Box<dyn Undo> {
        match self {
            Coding::Gzip => Box::new(Inflate::gzip()),
            Coding::Deflate => Box::new(Inflate::deflate(beginning)),
            Coding::Brotli => Box::new(Brotli::new()),
            Coding::Zstd => Box::new(Zstd::new()),
        }
    }
}

fn is_gzip(beginning: &[u8]) -> bool {
    beginning.starts_with(&[0x1F, 0x8B, 8])
}

/// Whether it is what pictures begin with.
fn is_picture(beginning: &[u8]) -> bool {
    const SIGNATURES: [&[u8]; 7] =
        [b"\xFF\xD8\xFF", b"\x89PNG\r\n\x1A\n", b"GIF8", b"RIFF", b"II*\0", b"MM\0*", b"BM"];
    SIGNATURES.iter().any(|signature| beginning.starts_with(signature))
        || beginning.get(4..8).is_some_and(|kind| kind == b"ftyp")
}

/// What an encoding does with what came.
trait Undo: Send {
    /// Appends at most what `out` has room for, and takes what it used off `input`. `last` says that no more comes.
    fn step(&mut self, input: &mut Bytes, last: bool, out: &mut Vec<u8>) -> Result<Step, Broken>;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// There may be more to make of what came.
    Again,
    /// More has to come.
    Hungry,
    /// The encoding is at its end.
    End,
}

/// The encoding is not what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Broken;

enum State {
    /// Too little has come to tell.
    Waiting(Vec<u8>),
    /// As it is.
    Plain,
    Undoing(Coding, Box<dyn Undo>),
    Over,
}

/// A body whose encoding is undone.
pub(super) struct Unpacked {
    packed: Box<dyn Body>,
    /// What the origin says; what it does not say is found in the bytes.
    told: Option<Coding>,
    state: State,
    input: Bytes,
    /// No more comes.
    last: bool,
    place: String,
}

impl Unpacked {
    /// `place` is named in faults.
    pub(super) fn new(packed: Box<dyn Body>, told: Option<Coding>, place: String) -> Self {
        Unpacked { packed, told, state: State::Waiting(Vec::new()), input: Bytes::new(), last: false, place }
    }

    /// Decides by the beginning, once enough of it has come.
    fn begin(&mut self, piece: Option<Bytes>) {
        let State::Waiting(held) = &mut self.state else { return };
        let whole = match piece {
            Some(piece) if held.is_empty() && piece.len() >= BEGINNING => piece,
            Some(piece) => {
                held.extend_from_slice(&piece);
                if held.len() < BEGINNING {
                    return;
                }
                Bytes::from(std::mem::take(held))
            }
            None => {
                self.last = true;
                Bytes::from(std::mem::take(held))
            }
        };
        let coding = match self.told {
            Some(told) => Some(told).filter(|told| told.may_begin(&whole)),
            // No picture begins so, and some stores keep them like this.
            None => is_gzip(&whole).then_some(Coding::Gzip),
        };
        self.state = match coding {
            Some(coding) if !whole.is_empty() => State::Undoing(coding, coding.undo(&whole)),
            _ => State::Plain,
        };
        self.input = whole;
    }

    fn broken(&self, coding: Coding, how: &str) -> Fault {
        let message = format!("{} sent a body whose {} encoding {how}.", self.place, coding.name());
        Fault::transient(Code::FetchTruncated, message)
    }
}

#[async_trait]
impl Body for Unpacked {
    async fn chunk(&mut self) -> Result<Option<Bytes>, Fault> {
        loop {
            match &mut self.state {
                State::Waiting(_) => {
                    let piece = self.packed.chunk().await?;
                    self.begin(piece);
                }
                State::Plain if !self.input.is_empty() => return Ok(Some(std::mem::take(&mut self.input))),
                State::Plain if self.last => return Ok(None),
                State::Plain => return self.packed.chunk().await,
                State::Undoing(coding, undo) => {
                    let coding = *coding;
                    let mut out = Vec::with_capacity(PIECE);
                    let step = undo.step(&mut self.input, self.last, &mut out);
                    match step {
                        Err(Broken) => return Err(self.broken(coding, "is broken")),
                        Ok(Step::End) => self.state = State::Over,
                        Ok(Step::Again) => {}
                        Ok(Step::Hungry) if !out.is_empty() => {}
                        Ok(Step::Hungry) if self.last => return Err(self.broken(coding, "has no end")),
                        Ok(Step::Hungry) => match self.packed.chunk().await? {
                            Some(piece) if self.input.is_empty() => self.input = piece,
                            Some(piece) => self.input = [&self.input[..], &piece].concat().into(),
                            None => self.last = true,
                        },
                    }
                    if !out.is_empty() {
                        return Ok(Some(out.into()));
                    }
                }
                // The rest is read where it is little, so that the connection can be used again.
                State::Over => {
                    if !self.last {
                        self.packed.chunk().await?;
                    }
                    return Ok(None);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
