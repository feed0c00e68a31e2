//! How each kind of file is put together: what its header says, where its metadata lies, and how to
//! write the picture data of a source again without the rest.

// Where the frames lie, the decoder alone asks.
#[cfg_attr(not(feature = "avif"), allow(dead_code))]
pub(crate) mod avif;
pub(crate) mod bmp;
pub(crate) mod gif;
pub(crate) mod jpeg;
pub(crate) mod png;
pub(crate) mod tiff;
pub(crate) mod webp;

use std::borrow::Cow;

pub(crate) use crate::color::Colour;
use crate::color::Light;
use crate::orientation::Orientation;
use crate::sniff::sniff;
use crate::{Error, Limits, SourceFormat};

/// What a file says about its picture before anything is decoded.
#[derive(Debug, Clone)]
pub(crate) struct Header<'a> {
    pub(crate) format: SourceFormat,
    /// Pixels, as stored.
    pub(crate) width: u32,
    /// Pixels, as stored.
    pub(crate) height: u32,
    pub(crate) colour: Colour,
    /// More than 8 bits a sample.
    pub(crate) deep: bool,
    /// Coefficients or all rows are held at once before pixels come out (progressive, interlaced).
    pub(crate) staged: bool,
    pub(crate) orientation: Orientation,
    /// The embedded ICC profile.
    pub(crate) icc: Option<Cow<'a, [u8]>>,
    /// Colours that are said by numbers and aren't sRGB's. What decodes the picture makes them sRGB's.
    pub(crate) light: Option<Light>,
    /// EXIF, beginning with its TIFF header.
    pub(crate) exif: Option<Cow<'a, [u8]>>,
    /// XMP, as XML.
    pub(crate) xmp: Option<Cow<'a, [u8]>>,
    /// The file ends before its picture does.
    pub(crate) truncated: bool,
    /// Pictures that the file shows one after the other; only the first is decoded.
    pub(crate) frames: u32,
    /// The parts of a JPEG, which its decoder and the copy of its picture data need.
    pub(crate) jpeg: Option<jpeg::Structure<'a>>,
}

impl<'a> Header<'a> {
    fn new(format: SourceFormat, width: u32, height: u32, colour: Colour) -> Self {
        Header {
            format,
            width,
            height,
            colour,
            deep: false,
            staged: false,
            orientation: Orientation::Upright,
            icc: None,
            light: None,
            exif: None,
            xmp: None,
            truncated: false,
            frames: 1,
            jpeg: None,
        }
    }
}

/// Metadata to be written into an output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    /// An sRGB profile.
    pub(crate) icc: Option<Vec<u8>>,
    /// EXIF that says upright, beginning with its TIFF header.
    pub(crate) exif: Option<Vec<u8>>,
    /// XMP, as XML.
    pub(crate) xmp: Option<Vec<u8>>,
}

/// Reads what comes before the pixels and holds it against the limits.
pub(crate) fn read<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Header<'a>, Error> {
    let format = sniff(bytes)?;
    let header = match format {
        SourceFormat::Jpeg => jpeg::header(bytes, limits)?,
        SourceFormat::Png => png::header(bytes, limits)?,
        SourceFormat::Webp => webp::header(bytes, limits)?,
        SourceFormat::Gif => gif::header(bytes, limits)?,
        SourceFormat::Tiff => tiff::header(bytes, limits)?,
        SourceFormat::Bmp => bmp::header(bytes, limits)?,
        SourceFormat::Avif => avif::header(bytes, limits)?,
    };
    limits.check_size(header.width, header.height)?;
    Ok(header)
}
