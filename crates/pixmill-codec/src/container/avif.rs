//! AVIF files: boxes (ISO/IEC 14496-12), items and their properties (ISO/IEC 23008-12, the AVIF specification).

mod meta;

use std::borrow::Cow;

use super::{Colour, Header};
use crate::color::Light;
use crate::error::{corrupt, unsupported};
use crate::orientation::Orientation;
use crate::raster::Place;
use crate::{Error, Limits, SourceFormat};
use meta::{Item, Meta, Part, Reader, parts, within};

const ALPHA: [&[u8]; 2] = [b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0", b"urn:mpeg:hevc:2015:auxid:1\0"];

/// How the planes' numbers become colours (ITU-T H.273).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cicp {
    pub(crate) primaries: u16,
    /// Transfer characteristics.
    pub(crate) transfer: u16,
    /// Matrix coefficients.
    pub(crate) matrix: u16,
    /// Samples use all numbers that their bits can hold.
    pub(crate) full_range: bool,
}

/// One plane set of the picture: AV1 frames side by side.
pub(crate) struct Sheet<'a> {
    /// Pixels.
    pub(crate) width: u32,
    /// Pixels.
    pub(crate) height: u32,
    /// Tiles in a row; 1 when the picture is not cut into tiles.
    pub(crate) columns: usize,
    /// AV1 data of each tile, row by row.
    pub(crate) tiles: Vec<Cow<'a, [u8]>>,
}

/// What to decode for a picture and its alpha.
pub(crate) struct Streams<'a> {
    pub(crate) colour: Sheet<'a>,
    pub(crate) alpha: Option<Sheet<'a>>,
    /// Colours have been multiplied by alpha.
    pub(crate) premultiplied: bool,
    /// From the container, which overrules the AV1 data.
    pub(crate) cicp: Option<Cicp>,
    /// What of the picture is shown, where that is not all.
    pub(crate) shown: Option<Place>,
}

/// Reads the meta box.
pub(super) fn header<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Header<'a>, Error> {
    let meta = Meta::read(bytes)?;
    let item = meta.item(meta.primary).ok_or_else(|| match sequence_frames(bytes) {
        Some(_) => unsupported("an AVIF that is only a sequence, which is not read"),
        None => corrupt("an AVIF without a primary picture"),
    })?;
    if meta.properties_of(item, b"a1op").any(|part| part.body.first().is_some_and(|point| *point != 0)) {
        return Err(unsupported("an AVIF that shows some of its layers alone, which is not read"));
    }
    let (width, height) = meta.size(item)?;
    limits.check_size(width, height)?;
    let (width, height) =
        meta.shown(item, (width, height)).map_or((width, height), |place| (place.width, place.height));
    let mut header = Header::new(SourceFormat::Avif, width, height, Colour::Rgb);
    header.orientation = meta.orientation(item);
    header.icc = meta.properties_of(item, b"colr").find_map(|part| match part.body {
        [b'p', b'r', b'o', b'f', icc @ ..] | [b'r', b'I', b'C', b'C', icc @ ..] => Some(Cow::Borrowed(icc)),
        _ => None,
    });
    header.exif = meta.metadata(b"Exif").and_then(|item| meta.data(bytes, item)).and_then(exif_of);
    header.xmp = meta.metadata(b"mime").and_then(|item| meta.data(bytes, item));
    header.truncated = meta.data(bytes, item).is_none();
    let cicp = meta.cicp(item).filter(|_| header.icc.is_none());
    header.light = cicp.and_then(|cicp| Light::from_cicp(cicp.primaries, cicp.transfer));
    header.frames = sequence_frames(bytes).unwrap_or(1).max(1);
    Ok(header)
}

/// EXIF of its item: an offset to its TIFF header stands before it.
fn exif_of(data: Cow<'_, [u8]>) -> Option<Cow<'_, [u8]>> {
    let skip = 4 + Reader(&data).small(4)? as usize;
    match data {
        Cow::Borrowed(data) => data.get(skip..).map(Cow::Borrowed),
        Cow::Owned(data) => data.get(skip..).map(|exif| Cow::Owned(exif.to_vec())),
    }
}

/// Finds what to decode.
pub(crate) fn streams(bytes: &[u8]) -> Result<Streams<'_>, Error> {
    let meta = Meta::read(bytes)?;
    let item = meta.item(meta.primary).ok_or_else(|| corrupt("an AVIF without a primary picture"))?;
    let alpha = meta.alpha(item.id);
    let premultiplied = alpha.is_some_and(|alpha| meta.references.contains(&(*b"prem", item.id, alpha.id)));
    let size = meta.size(item)?;
    let colour = meta.sheet(bytes, item, size)?;
    let alpha = match alpha {
        Some(alpha) => Some(meta.sheet(bytes, alpha, meta.size(alpha).unwrap_or(size))?),
        None => meta.alpha_of_tiles(bytes, item, &colour)?,
    };
    Ok(Streams { colour, alpha, premultiplied, cicp: meta.cicp(item), shown: meta.shown(item, size) })
}

/// Frames of a sequence beside the picture: samples of its longest track.
fn sequence_frames(bytes: &[u8]) -> Option<u32> {
    let movie = parts(bytes, 0).find(|part| &part.kind == b"moov")?;
    let tracks = parts(movie.body, 0).filter(|part| &part.kind == b"trak");
    let frames = tracks.filter_map(|track| {
        let table =
            [b"mdia", b"minf", b"stbl", b"stsz"].iter().try_fold(track, |part, kind| within(part, kind))?;
        Reader(table.body.get(8..)?).small(4)
    });
    frames.max()
}

/// The file with its EXIF, XMP and unknown boxes blanked, and nothing behind its last box. Offsets stay.
pub(crate) fn stripped(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let meta = Meta::read(bytes)?;
    let mut out = bytes.to_vec();
    for item in meta.items.iter().filter(|item| [*b"Exif", *b"mime"].contains(&item.kind)) {
        out[item.kind_at..item.kind_at + 4].copy_from_slice(b"skip");
        for &(offset, length) in &item.extents {
            let start = if item.in_idat { offset + meta.idat_at(bytes) as u64 } else { offset };
            let range = start as usize..(start.saturating_add(length)).min(out.len() as u64) as usize;
            out.get_mut(range).iter_mut().for_each(|data| data.fill(0));
        }
    }
    let mut end = 0;
    for part in parts(bytes, 0) {
        end = part.at + part.body.len();
        if ![*b"ftyp", *b"meta", *b"mdat", *b"moov"].contains(&part.kind) {
            out[part.at..end].fill(0);
        }
    }
    out.truncate(end);
    Ok(out)
}

impl<'a> Meta<'a> {
    fn item(&self, id: u32) -> Option<&Item> {
        self.items.iter().find(|item| item.id == id)
    }

    fn properties_of(&self, item: &Item, kind: &[u8; 4]) -> impl Iterator<Item = Part<'a>> {
        item.properties
            .iter()
            .filter_map(|index| self.properties.get(*index))
            .filter(move |part| &part.kind == kind)
            .copied()
    }

    /// Pixels across and down.
    fn size(&self, item: &Item) -> Result<(u32, u32), Error> {
        let size = self.properties_of(item, b"ispe").find_map(|part| {
            let mut reader = Reader(part.body.get(4..)?);
            Some((reader.small(4)?, reader.small(4)?))
        });
        size.ok_or_else(|| corrupt("an AVIF whose picture has no size"))
    }

    fn cicp(&self, item: &Item) -> Option<Cicp> {
        self.properties_of(item, b"colr").find_map(|part| {
            let mut reader = Reader(part.body.strip_prefix(b"nclx")?);
            let [primaries, transfer, matrix] = [reader.small(2)?, reader.small(2)?, reader.small(2)?];
            let full_range = reader.small(1)? & 0x80 != 0;
            Some(Cicp {
                primaries: primaries as u16,
                transfer: transfer as u16,
                matrix: matrix as u16,
                full_range,
            })
        })
    }

    /// The clean aperture (ISO/IEC 14496-12, 12.1.4): fractions for its size, and for how far its middle lies from the
    /// picture's. One that is no whole number of pixels inside of the picture is left aside, as browsers do.
    fn shown(&self, item: &Item, (width, height): (u32, u32)) -> Option<Place> {
        let part = self.properties_of(item, b"clap").next()?;
        let mut reader = Reader(part.body);
        let mut fraction = || Some((i64::from(reader.small(4)? as i32), i64::from(reader.small(4)? as i32)));
        let (across, down, right, lower) = (fraction()?, fraction()?, fraction()?, fraction()?);
        let side = |whole: u32, (size, of): (i64, i64), (offset, by): (i64, i64)| {
            if of <= 0 || by <= 0 || size % of != 0 {
                return None;
            }
            let size = size / of;
            // Twice the offset of the first pixel, as a fraction.
            let first = (i64::from(whole) - size).checked_mul(by)? + 2 * offset;
            let is_inside = first >= 0 && first % (2 * by) == 0 && size > 0;
            let first = first / (2 * by);
            (is_inside && first + size <= i64::from(whole)).then_some((first as u32, size as u32))
        };
        let ((left, w), (top, h)) = (side(width, across, right)?, side(height, down, lower)?);
        ((w, h) != (width, height)).then_some(Place { width: w, height: h, left, top })
    }

    /// Alpha that each tile of a grid has for itself.
    fn alpha_of_tiles(
        &self,
        bytes: &'a [u8],
        item: &Item,
        colour: &Sheet,
    ) -> Result<Option<Sheet<'a>>, Error> {
        let tiles = self.references.iter().filter(|(kind, from, _)| kind == b"dimg" && *from == item.id);
        let alphas: Option<Vec<&Item>> = tiles.map(|(_, _, tile)| self.alpha(*tile)).collect();
        let Some(alphas) = alphas.filter(|alphas| &item.kind == b"grid" && !alphas.is_empty()) else {
            return Ok(None);
        };
        let data: Option<Vec<_>> = alphas.into_iter().map(|alpha| self.data(bytes, alpha)).collect();
        let tiles = data.ok_or_else(|| corrupt("the picture is cut short"))?;
        Ok(Some(Sheet { width: colour.width, height: colour.height, columns: colour.columns, tiles }))
    }

    /// Turned anticlockwise first, then mirrored.
    fn orientation(&self, item: &Item) -> Orientation {
        let first = |kind| self.properties_of(item, kind).next().and_then(|part| part.body.first().copied());
        let quarter_turns = first(b"irot").unwrap_or(0) & 3;
        let mirror = first(b"imir").map(|mode| mode & 1);
        Orientation::from_exif(match (quarter_turns, mirror) {
            (0, None) => 1,
            (0, Some(0)) => 4,
            (0, Some(_)) => 2,
            (1, None) => 8,
            (1, Some(0)) => 5,
            (1, Some(_)) => 7,
            (2, None) => 3,
            (2, Some(0)) => 2,
            (2, Some(_)) => 4,
            (_, None) => 6,
            (_, Some(0)) => 7,
            (_, Some(_)) => 5,
        })
    }

    fn alpha(&self, primary: u32) -> Option<&Item> {
        let of_primary = self.references.iter().filter(|(kind, _, to)| kind == b"auxl" && *to == primary);
        of_primary.filter_map(|(_, from, _)| self.item(*from)).find(|item| {
            let mut kinds = self.properties_of(item, b"auxC");
            kinds.any(|part| {
                part.body.get(4..).is_some_and(|kind| ALPHA.iter().any(|alpha| kind.starts_with(alpha)))
            })
        })
    }

    /// An item of a type that describes the primary picture.
    fn metadata(&self, kind: &[u8; 4]) -> Option<&Item> {
        let describes = |item: &Item| self.references.contains(&(*b"cdsc", item.id, self.primary));
        self.items.iter().find(|item| &item.kind == kind && describes(item))
    }

    fn idat_at(&self, bytes: &[u8]) -> usize {
        self.idat.as_ptr() as usize - bytes.as_ptr() as usize
    }

    /// The frames of an item, which is a picture or a grid of pictures.
    fn sheet(&self, bytes: &'a [u8], item: &Item, (width, height): (u32, u32)) -> Result<Sheet<'a>, Error> {
        let cut_short = || corrupt("the picture is cut short");
        let data = self.data(bytes, item).ok_or_else(cut_short)?;
        match &item.kind {
            b"av01" => Ok(Sheet { width, height, columns: 1, tiles: vec![data] }),
            b"grid" => {
                let Some([_, _, rows, columns]) = data.first_chunk() else { return Err(cut_short()) };
                let (rows, columns) = (usize::from(*rows) + 1, usize::from(*columns) + 1);
                let tiles =
                    self.references.iter().filter(|(kind, from, _)| kind == b"dimg" && *from == item.id);
                let tile = |id| self.item(id).filter(|tile| &tile.kind == b"av01");
                let tiles = tiles.map(|(_, _, id)| self.data(bytes, tile(*id)?)).collect::<Option<Vec<_>>>();
                let tiles = tiles.ok_or_else(cut_short)?;
                if tiles.len() != rows * columns {
                    return Err(corrupt("an AVIF whose grid has not as many tiles as it says"));
                }
                Ok(Sheet { width, height, columns, tiles })
            }
            _ => Err(unsupported("an AVIF that holds no AV1 picture, which is not read")),
        }
    }

    /// An item's data; `None` when they aren't all there.
    fn data(&self, bytes: &'a [u8], item: &Item) -> Option<Cow<'a, [u8]>> {
        let whole = if item.in_idat { self.idat } else { bytes };
        let slice = |&(offset, length): &(u64, u64)| {
            let start = usize::try_from(offset).ok()?;
            // A length of 0 means up to the end.
            let end =
                if length == 0 { whole.len() } else { start.checked_add(usize::try_from(length).ok()?)? };
            whole.get(start..end)
        };
        match item.extents.as_slice() {
            [] => None,
            [only] => slice(only).map(Cow::Borrowed),
            many => {
                let total: u64 = many.iter().map(|extent| extent.1).fold(0, u64::saturating_add);
                let pieces = many.iter().map(slice).collect::<Option<Vec<_>>>()?;
                (total <= bytes.len() as u64).then(|| Cow::Owned(pieces.concat()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn arbitrary_meta_boxes_never_panic(
            mut body in proptest::collection::vec(any::<u8>(), 0..300), kinds in proptest::collection::vec(0usize..8, 0..6),
        ) {
            let names = [b"pitm", b"iloc", b"iinf", b"iref", b"iprp", b"ipco", b"ipma", b"infe"];
            for (place, kind) in kinds.iter().enumerate() {
                let at = 4 + place * 40;
                if body.len() >= at + 40 {
                    body[at..at + 8].copy_from_slice(&[0, 0, 0, 40, names[*kind][0], names[*kind][1], names[*kind][2], names[*kind][3]]);
                }
            }
            let mut file = b"\0\0\0\x14ftypavif\0\0\0\0avif".to_vec();
            file.extend((body.len() as u32 + 8).to_be_bytes());
            file.extend(b"meta");
            file.extend(&body);
            if header(&file, &Limits::default()).is_ok() {
                let _ = streams(&file);
            }
            let _ = stripped(&file);
        }
    }
}
