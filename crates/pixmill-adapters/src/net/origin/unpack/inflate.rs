//! DEFLATE (RFC 1951) in the wrappings of zlib (RFC 1950) and gzip (RFC 1952), or in none.

use bytes::{Buf, Bytes};
use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::{Broken, Step, Undo, is_gzip};

/// Most bytes of a gzip header: names and comments have no bound of their own.
const HEADER_MAX: usize = 64 << 10;
/// CRC-32 and length.
const TRAILER: usize = 8;

/// What wraps the DEFLATE stream.
enum Wrapping {
    /// None of ours to look at.
    None,
    /// A gzip member whose header is still to come.
    Header,
    /// Inside a member.
    Member(Crc),
    /// Behind a member's last block.
    Trailer(Crc),
    /// Behind a member: another may follow.
    Between,
}

pub(super) struct Inflate {
    inflate: Decompress,
    wrapping: Wrapping,
}

impl Inflate {
    pub(super) fn gzip() -> Self {
        Inflate { inflate: Decompress::new(false), wrapping: Wrapping::Header }
    }

    /// `deflate` means zlib, but some servers send it bare.
    pub(super) fn deflate(beginning: &[u8]) -> Self {
        let zlib = matches!(beginning, [method, flags, ..]
            if method & 0x0F == 8 && (u16::from(*method) << 8 | u16::from(*flags)) % 31 == 0);
        Inflate { inflate: Decompress::new(zlib), wrapping: Wrapping::None }
    }

    fn inflate(&mut self, input: &mut Bytes, last: bool, out: &mut Vec<u8>) -> Result<Step, Broken> {
        let (read, made) = (self.inflate.total_in(), out.len());
        let flush = if last { FlushDecompress::Finish } else { FlushDecompress::None };
        let status = self.inflate.decompress_vec(input, out, flush).map_err(|_| Broken)?;
        input.advance((self.inflate.total_in() - read) as usize);
        if let Wrapping::Member(crc) = &mut self.wrapping {
            crc.update(&out[made..]);
        }
        match status {
            Status::StreamEnd => Ok(Step::End),
            _ if out.len() == out.capacity() => Ok(Step::Again),
            _ if input.is_empty() => Ok(Step::Hungry),
            Status::BufError => Err(Broken),
            Status::Ok => Ok(Step::Again),
        }
    }
}

impl Undo for Inflate {
    fn step(&mut self, input: &mut Bytes, last: bool, out: &mut Vec<u8>) -> Result<Step, Broken> {
        match &mut self.wrapping {
            Wrapping::None => self.inflate(input, last, out),
            Wrapping::Header => match header_length(input)? {
                Some(length) => {
                    input.advance(length);
                    self.wrapping = Wrapping::Member(Crc::new());
                    Ok(Step::Again)
                }
                None => Ok(Step::Hungry),
            },
            Wrapping::Member(_) => match self.inflate(input, last, out)? {
                Step::End => {
                    if let Wrapping::Member(crc) = std::mem::replace(&mut self.wrapping, Wrapping::None) {
                        self.wrapping = Wrapping::Trailer(crc);
                    }
                    Ok(Step::Again)
                }
                step => Ok(step),
            },
            Wrapping::Trailer(_) if input.len() < TRAILER && !last => Ok(Step::Hungry),
            // All of the content came: a trailer that lacks says nothing against it, one that disagrees does.
            Wrapping::Trailer(_) if input.len() < TRAILER => Ok(Step::End),
            Wrapping::Trailer(crc) => {
                let (sum, length) = (input.get_u32_le(), input.get_u32_le());
                if (sum, length) != (crc.sum(), crc.amount()) {
                    return Err(Broken);
                }
                self.wrapping = Wrapping::Between;
                Ok(Step::Again)
            }
            Wrapping::Between if input.len() < 3 && !last => Ok(Step::Hungry),
            Wrapping::Between if is_gzip(input) => {
                *self = Inflate::gzip();
                Ok(Step::Again)
            }
            Wrapping::Between => Ok(Step::End),
        }
    }
}

/// The length of the header at the start of `bytes`, once all of it has come.
fn header_length(bytes: &[u8]) -> Result<Option<usize>, Broken> {
    match whole_header(bytes) {
        None if bytes.len() > HEADER_MAX => Err(Broken),
        None => Ok(None),
        Some(length) if is_gzip(bytes) => Ok(Some(length)),
        Some(_) => Err(Broken),
    }
}

fn whole_header(bytes: &[u8]) -> Option<usize> {
    const CHECKSUM: u8 = 2;
    const EXTRA: u8 = 4;
    const NAME: u8 = 8;
    const COMMENT: u8 = 16;
    let flags = *bytes.get(3)?;
    let mut at = 10;
    if flags & EXTRA != 0 {
        let length = bytes.get(at..at + 2)?;
        at += 2 + usize::from(u16::from_le_bytes([length[0], length[1]]));
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            at += 1 + bytes.get(at..)?.iter().position(|byte| *byte == 0)?;
        }
    }
    if flags & CHECKSUM != 0 {
        at += 2;
    }
    (bytes.len() >= at).then_some(at)
}
