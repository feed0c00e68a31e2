//! PNG through the png crate; of an APNG the default picture.

use std::io::Cursor;

use png::{BitDepth, ColorType, DecodeOptions, Decoder, DecodingError, Reader, Transformations};

use super::enough_rows;
use crate::color::ToSrgb;
use crate::container::Header;
use crate::error::corrupt;
use crate::raster::{Layout, Raster, eight_bit};
use crate::{Error, Limits};

/// Bytes that the decoder may take beside our rows.
const DECODER_BYTES: usize = 64 << 20;

/// Decodes to grey or RGB, with or without alpha, 8 bits; to sRGB where the file says by numbers what its colours are.
pub(super) fn decode(bytes: &[u8], header: &Header, limits: &Limits) -> Result<Raster, Error> {
    let mut checked = DecodeOptions::default();
    checked.set_ignore_adler32(false);
    let mut decoder = Decoder::new_with_options(Cursor::new(bytes), checked);
    decoder.set_limits(png::Limits { bytes: DECODER_BYTES });
    decoder.set_transformations(Transformations::EXPAND);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let mut reader = decoder.read_info().map_err(broken)?;
    let (colour, depth) = reader.output_color_type();
    let layout = match colour {
        ColorType::Grayscale => Layout::Grey,
        ColorType::GrayscaleAlpha => Layout::GreyAlpha,
        ColorType::Rgb => Layout::Rgb,
        ColorType::Rgba => Layout::Rgba,
        ColorType::Indexed => return Err(corrupt("a PNG whose palette is missing")),
    };
    let frame = reader.info().frame_control;
    if frame.is_some_and(|frame| (frame.width, frame.height) != (header.width, header.height)) {
        return Err(corrupt("an animated PNG whose first frame has another size"));
    }
    let rows = Rows {
        deep: depth == BitDepth::Sixteen,
        layout,
        to_srgb: header.light.as_ref().map(ToSrgb::new),
        width: header.width as usize,
        height: header.height as usize,
    };
    let (data, there) =
        if reader.info().interlaced { rows.interlaced(&mut reader)? } else { rows.in_order(&mut reader)? };
    enough_rows(there, header.height, limits)?;
    Ok(Raster::new(header.width, header.height, layout, data))
}

/// First column and row of each pass, and how far it is to the next (PNG, 8.2).
const PASSES: [(usize, usize, usize, usize); 7] =
    [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)];

/// How rows are read.
struct Rows {
    deep: bool,
    layout: Layout,
    to_srgb: Option<ToSrgb>,
    width: usize,
    height: usize,
}

impl Rows {
    fn stride(&self) -> usize {
        self.width * self.layout.channels()
    }

    /// Bytes of a row as it comes.
    fn raw(&self) -> Vec<u8> {
        vec![0; if self.deep { self.stride() * 2 } else { self.stride() }]
    }

    /// All rows, and how many of them are there.
    fn in_order(&self, reader: &mut Reader<Cursor<&[u8]>>) -> Result<(Vec<u8>, usize), Error> {
        let stride = self.stride();
        let mut data = vec![0; stride * self.height];
        let mut raw = self.raw();
        let as_it_is = !self.deep && self.to_srgb.is_none();
        for (y, row) in data.chunks_exact_mut(stride).enumerate() {
            match reader.read_row(if as_it_is { row } else { &mut raw }) {
                Ok(Some(_)) if as_it_is => {}
                Ok(Some(_)) => self.convert(&raw, row),
                Ok(None) => return Err(corrupt("a PNG with too few rows")),
                Err(error) if is_end(&error) => {
                    if !self.layout.has_alpha() {
                        data[y * stride..].fill(128);
                    }
                    return Ok((data, y));
                }
                Err(error) => return Err(broken(error)),
            }
        }
        self.end(reader, &mut raw)?;
        Ok((data, self.height))
    }

    /// All rows of all passes. One that is missing in the last shows the one above it.
    fn interlaced(&self, reader: &mut Reader<Cursor<&[u8]>>) -> Result<(Vec<u8>, usize), Error> {
        let (stride, channels) = (self.stride(), self.layout.channels());
        let mut data = vec![0; stride * self.height];
        let (mut raw, mut row) = (self.raw(), vec![0; stride]);
        let mut last = None;
        for (pass, &(left, top, across, down)) in
            PASSES.iter().enumerate().filter(|(_, pass)| pass.0 < self.width)
        {
            for y in (top..self.height).step_by(down) {
                match reader.read_row(&mut raw) {
                    Ok(Some(_)) => {}
                    Ok(None) => return Err(corrupt("a PNG with too few rows")),
                    Err(error) if is_end(&error) => return Ok(self.without_the_rest(data, last)),
                    Err(error) => return Err(broken(error)),
                }
                self.convert(&raw, &mut row);
                let to = data[y * stride..][..stride].chunks_exact_mut(channels).skip(left).step_by(across);
                to.zip(row.chunks_exact(channels)).for_each(|(to, from)| to.copy_from_slice(from));
                last = Some((pass, y));
            }
        }
        self.end(reader, &mut raw)?;
        Ok((data, self.height))
    }

    /// What is there of an interlaced picture of which a pass and row came last: the last pass has all odd rows.
    fn without_the_rest(&self, mut data: Vec<u8>, last: Option<(usize, usize)>) -> (Vec<u8>, usize) {
        let stride = self.stride();
        let there = match last {
            Some((6, y)) => y + 2,
            Some((5, y)) if y + 2 >= self.height => 1,
            _ => 0,
        };
        for y in (there..self.height).filter(|y| y % 2 == 1) {
            data.copy_within((y - 1) * stride..y * stride, y * stride);
        }
        (data, there.min(self.height))
    }

    /// Rows are whole, but their checksums come behind them: those that are there must be right.
    fn end(&self, reader: &mut Reader<Cursor<&[u8]>>, raw: &mut [u8]) -> Result<(), Error> {
        match reader.read_row(raw) {
            Err(error) if !is_end(&error) => Err(broken(error)),
            _ => Ok(()),
        }
    }

    /// A row as it came to 8 bits, and to sRGB.
    fn convert(&self, raw: &[u8], to: &mut [u8]) {
        let Some(to_srgb) = &self.to_srgb else {
            if self.deep {
                let pairs = raw.as_chunks::<2>().0.iter();
                to.iter_mut().zip(pairs).for_each(|(to, pair)| *to = eight_bit(u16::from_be_bytes(*pair)));
            } else {
                to.copy_from_slice(&raw[..to.len()]);
            }
            return;
        };
        let channels = self.layout.channels();
        let colours = if self.layout.has_alpha() { channels - 1 } else { channels };
        let value = |at: usize| match self.deep {
            true => f32::from(u16::from_be_bytes([raw[2 * at], raw[2 * at + 1]])) / 65_535.0,
            false => f32::from(raw[at]) / 255.0,
        };
        for (pixel, to) in to.chunks_exact_mut(channels).enumerate() {
            let first = pixel * channels;
            let at = |colour: usize| value(first + if colours == 3 { colour } else { 0 });
            let rgb = to_srgb.pixel([at(0), at(1), at(2)]);
            // Grey stays grey: all primaries have a white, which becomes sRGB's.
            to[..colours].copy_from_slice(if colours == 3 { &rgb } else { &rgb[1..2] });
            if colours < channels {
                to[colours] = (value(first + colours) * 255.0 + 0.5) as u8;
            }
        }
    }
}

fn is_end(error: &DecodingError) -> bool {
    matches!(error, DecodingError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof)
}

/// What the decoder's words mean for people: they are for programmers, and have no other form that can be matched.
const WORDS: [(&str, &str); 12] = [
    ("crc error", "a PNG whose checksums don't fit its data, which were damaged on their way"),
    ("deflate stream", "a PNG whose compressed data are damaged"),
    ("filter method", "a PNG whose rows are stored in a way that doesn't exist"),
    ("critical chunk", "a PNG with a necessary part that nobody knows"),
    ("chunk length", "a PNG with a part of a wrong length"),
    ("palette", "a PNG whose palette is missing or too short"),
    ("plte", "a PNG whose palette stands at the wrong place"),
    ("chunk", "a PNG whose parts are damaged or in the wrong order"),
    ("combination", "a PNG whose header contradicts itself"),
    ("invalid", "a PNG whose header says what doesn't exist"),
    ("unknown", "a PNG whose header says what doesn't exist"),
    ("end of file", "a PNG that ends before its picture does"),
];

fn broken(error: DecodingError) -> Error {
    let said = error.to_string().to_ascii_lowercase();
    let known = WORDS.iter().find(|(words, _)| said.contains(words));
    corrupt(known.map_or("a PNG that is damaged", |(_, meaning)| *meaning))
}
