//! PNG through the png crate; of an APNG the default picture.

use std::io::Cursor;

use png::{BitDepth, ColorType, Decoder, DecodingError, Reader, Transformations};

use super::enough_rows;
use crate::container::Header;
use crate::error::corrupt;
use crate::raster::{Layout, Raster, eight_bit};
use crate::{Error, Limits};

/// Bytes that the decoder may take beside our rows.
const DECODER_BYTES: usize = 64 << 20;

/// Decodes to grey or RGB, with or without alpha, 8 bits.
pub(super) fn decode(bytes: &[u8], header: &Header, limits: &Limits) -> Result<Raster, Error> {
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), png::Limits { bytes: DECODER_BYTES });
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
    let deep = depth == BitDepth::Sixteen;
    let data = if reader.info().interlaced {
        interlaced(&mut reader, deep)?
    } else {
        rows(&mut reader, deep, header, layout, limits)?
    };
    Ok(Raster::new(header.width, header.height, layout, data))
}

fn interlaced(reader: &mut Reader<Cursor<&[u8]>>, deep: bool) -> Result<Vec<u8>, Error> {
    let size = reader.output_buffer_size().ok_or_else(|| corrupt("a PNG of impossible size"))?;
    let mut data = vec![0; size];
    reader.next_frame(&mut data).map_err(broken)?;
    if deep {
        for at in 0..size / 2 {
            data[at] = eight_bit(u16::from_be_bytes([data[2 * at], data[2 * at + 1]]));
        }
        data.truncate(size / 2);
    }
    Ok(data)
}

fn rows(
    reader: &mut Reader<Cursor<&[u8]>>,
    deep: bool,
    header: &Header,
    layout: Layout,
    limits: &Limits,
) -> Result<Vec<u8>, Error> {
    let stride = header.width as usize * layout.channels();
    let mut data = vec![0; stride * header.height as usize];
    let mut sixteen = vec![0; if deep { stride * 2 } else { 0 }];
    let mut there = 0;
    for row in data.chunks_exact_mut(stride) {
        let read = reader.read_row(if deep { &mut sixteen } else { row });
        match read {
            Ok(Some(_)) => {}
            Ok(None) => return Err(corrupt("a PNG with too few rows")),
            Err(error) if header.truncated && limits.lenient && is_end(&error) => break,
            Err(error) => return Err(broken(error)),
        }
        if deep {
            let (pairs, _) = sixteen.as_chunks::<2>();
            row.iter_mut().zip(pairs).for_each(|(to, pair)| *to = eight_bit(u16::from_be_bytes(*pair)));
        }
        there += 1;
    }
    if there < header.height as usize {
        enough_rows(there, header.height)?;
        if !layout.has_alpha() {
            data[there * stride..].fill(128);
        }
        return Ok(data);
    }
    // The rest of the data must be whole too: its checksums are only known at its end.
    match reader.read_row(if deep { &mut sixteen } else { &mut [] }) {
        Err(error) if !(header.truncated && is_end(&error)) => Err(broken(error)),
        _ => Ok(data),
    }
}

fn is_end(error: &DecodingError) -> bool {
    matches!(error, DecodingError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof)
}

fn broken(error: DecodingError) -> Error {
    corrupt(format!("the PNG can't be decoded: {error}"))
}
