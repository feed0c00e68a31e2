//! Boxes of an AVIF file, and what its meta box says (ISO/IEC 14496-12, ISO/IEC 23008-12).

use crate::Error;
use crate::error::{corrupt, unsupported};

/// Items and properties that are read; real files have a handful, grids some hundreds.
const MOST_ENTRIES: usize = 4096;
/// A box's type and body, and where that begins in the file.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) kind: [u8; 4],
    pub(super) body: &'a [u8],
    pub(super) at: usize,
}

/// Boxes in a row, up to one that doesn't fit.
pub(super) fn parts(bytes: &[u8], start: usize) -> impl Iterator<Item = Part<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = &bytes[at..];
        let kind = *rest.get(4..)?.first_chunk()?;
        let (head, size) = match u32::from_be_bytes(*rest.first_chunk()?) {
            0 => (8, rest.len()),
            1 => (16, usize::try_from(u64::from_be_bytes(*rest.get(8..)?.first_chunk()?)).ok()?),
            size => (8, size as usize),
        };
        let body = rest.get(head..size)?;
        let part = Part { kind, body, at: start + at + head };
        at += size;
        Some(part)
    })
}

/// Reads big-endian numbers of chosen widths one after the other.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// A number of 0 to 8 bytes.
    pub(super) fn number(&mut self, width: usize) -> Option<u64> {
        Some(self.take(width)?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    pub(super) fn small(&mut self, width: usize) -> Option<u32> {
        self.number(width).map(|value| value as u32)
    }
}

/// An item: its type and where its data lie.
#[derive(Debug, Clone, Default)]
pub(super) struct Item {
    pub(super) id: u32,
    pub(super) kind: [u8; 4],
    /// Where the type stands in the file.
    pub(super) kind_at: usize,
    /// Offset and length of each extent; in the file, or in `idat`.
    pub(super) extents: Vec<(u64, u64)>,
    pub(super) in_idat: bool,
    /// Indices of properties, from 0.
    pub(super) properties: Vec<usize>,
}

/// What the meta box says.
#[derive(Default)]
pub(super) struct Meta<'a> {
    pub(super) primary: u32,
    pub(super) items: Vec<Item>,
    pub(super) properties: Vec<Part<'a>>,
    /// Type, from, to.
    pub(super) references: Vec<([u8; 4], u32, u32)>,
    pub(super) idat: &'a [u8],
}

impl<'a> Meta<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut top = parts(bytes, 0);
        let Some(meta) = top.find(|part| &part.kind == b"meta") else {
            let sequence = parts(bytes, 0).any(|part| &part.kind == b"moov");
            return Err(if sequence {
                unsupported("an AVIF that is only a sequence, which is not read")
            } else {
                corrupt("an AVIF whose description of its picture is missing or cut short")
            });
        };
        Meta::from_body(meta).ok_or_else(|| corrupt("an AVIF whose description of its picture is broken"))
    }

    fn from_body(meta: Part<'a>) -> Option<Self> {
        let mut found = Meta::default();
        let children: Vec<Part> = parts(meta.body.get(4..)?, meta.at + 4).collect();
        // Items must be known before what is said about them.
        for child in children.iter().filter(|child| &child.kind == b"iinf") {
            found.item_infos(*child)?;
        }
        for child in &children {
            match &child.kind {
                b"pitm" => {
                    let mut reader = Reader(child.body);
                    let version = reader.small(4)? >> 24;
                    found.primary = reader.small(if version == 0 { 2 } else { 4 })?;
                }
                b"iloc" => found.locations(child.body)?,
                b"iref" => found.item_references(child.body)?,
                b"iprp" => found.item_properties(*child)?,
                b"idat" => found.idat = child.body,
                _ => {}
            }
        }
        Some(found)
    }

    fn item_infos(&mut self, part: Part<'a>) -> Option<()> {
        let head = if *part.body.first()? == 0 { 6 } else { 8 };
        for info in parts(part.body.get(head..)?, part.at + head).take(MOST_ENTRIES) {
            let mut reader = Reader(info.body);
            let version = reader.small(4)? >> 24;
            let width = match version {
                2 => 2,
                3 => 4,
                _ => continue,
            };
            let id = reader.small(width)?;
            let kind = *reader.0.get(2..)?.first_chunk()?;
            self.items.push(Item { id, kind, kind_at: info.at + 4 + width + 2, ..Item::default() });
        }
        Some(())
    }

    fn locations(&mut self, body: &[u8]) -> Option<()> {
        let mut reader = Reader(body);
        let version = reader.small(4)? >> 24;
        let widths = reader.small(2)? as usize;
        let [offset, length, base, index] = [12, 8, 4, 0].map(|shift| widths >> shift & 15);
        let id_width = if version < 2 { 2 } else { 4 };
        for _ in 0..reader.small(id_width)?.min(MOST_ENTRIES as u32) {
            let id = reader.small(id_width)?;
            let method = if version == 0 { 0 } else { reader.small(2)? & 15 };
            reader.take(2)?;
            let base = reader.number(base)?;
            let mut extents = Vec::new();
            for _ in 0..reader.small(2)?.min(MOST_ENTRIES as u32) {
                if version > 0 {
                    reader.take(index)?;
                }
                extents.push((base.checked_add(reader.number(offset)?)?, reader.number(length)?));
            }
            if let Some(item) = self.items.iter_mut().find(|item| item.id == id) {
                (item.extents, item.in_idat) = (extents, method == 1);
            }
        }
        Some(())
    }

    fn item_references(&mut self, body: &'a [u8]) -> Option<()> {
        let width = if *body.first()? == 0 { 2 } else { 4 };
        for part in parts(body.get(4..)?, 0).take(MOST_ENTRIES) {
            let mut reader = Reader(part.body);
            let from = reader.small(width)?;
            for _ in 0..reader.small(2)?.min(MOST_ENTRIES as u32) {
                self.references.push((part.kind, from, reader.small(width)?));
            }
        }
        Some(())
    }

    fn item_properties(&mut self, part: Part<'a>) -> Option<()> {
        for child in parts(part.body, part.at) {
            match &child.kind {
                b"ipco" => self.properties = parts(child.body, child.at).take(MOST_ENTRIES).collect(),
                b"ipma" => self.associations(child.body)?,
                _ => {}
            }
        }
        Some(())
    }

    fn associations(&mut self, body: &[u8]) -> Option<()> {
        let mut reader = Reader(body);
        let flags = reader.small(4)?;
        let (id_width, wide) = (if flags >> 24 == 0 { 2 } else { 4 }, flags & 1 == 1);
        for _ in 0..reader.small(4)?.min(MOST_ENTRIES as u32) {
            let id = reader.small(id_width)?;
            let mut properties = Vec::new();
            for _ in 0..reader.small(1)? {
                let index = if wide { reader.small(2)? & 0x7FFF } else { reader.small(1)? & 0x7F };
                properties.extend((index as usize).checked_sub(1));
            }
            if let Some(item) = self.items.iter_mut().find(|item| item.id == id) {
                item.properties = properties;
            }
        }
        Some(())
    }
}

/// The first box of a kind within another.
pub(super) fn within<'a>(outer: Part<'a>, kind: &[u8; 4]) -> Option<Part<'a>> {
    parts(outer.body, 0).find(|part| &part.kind == kind)
}
