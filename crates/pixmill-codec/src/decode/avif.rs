//! AVIF through rav1d: one AV1 frame for colour, one for alpha.

use re_rav1d::dav1d::pixel::YUVRange;
use re_rav1d::dav1d::{Decoder, Picture, PixelLayout, PlanarImageComponent, Plane, Settings};

use super::yuv::{self, Planes};
use crate::container::Header;
use crate::container::avif::{Cicp, Sheet, streams};
use crate::error::{corrupt, unsupported};
use crate::raster::{Layout, Place, Raster};
use crate::{Error, Limits};

/// Decodes to RGB, or RGBA where there is alpha.
pub(super) fn decode(bytes: &[u8], header: &Header, limits: &Limits) -> Result<Raster, Error> {
    let streams = streams(bytes)?;
    let has_profile = header.icc.is_some();
    let rgb = sheet::<3>(&streams.colour, limits, |picture| {
        let mut cicp = streams.cicp.unwrap_or_else(|| own_cicp(picture));
        if !yuv::is_known(cicp.matrix) && picture.pixel_layout() != PixelLayout::I400 {
            return Err(unsupported(format!(
                "an AVIF of colours by matrix {}, which are not read",
                cicp.matrix
            )));
        }
        if has_profile {
            // What a profile says holds instead.
            (cicp.primaries, cicp.transfer) = (2, 2);
        }
        with_planes(picture, cicp, yuv::rgb)
    })?;
    let (width, height) = (streams.colour.width, streams.colour.height);
    let raster = Raster::new(width, height, Layout::Rgb, rgb);
    let raster = match streams.alpha {
        Some(alpha) => {
            let luma = |picture: &Picture| with_planes(picture, own_cicp(picture), yuv::luma);
            with_alpha(&raster, &sheet::<1>(&alpha, limits, luma)?, streams.premultiplied)
        }
        None => raster,
    };
    Ok(match streams.shown {
        Some(place) => cropped(&raster, place),
        None => raster,
    })
}

/// What lies inside of a place.
fn cropped(raster: &Raster, place: Place) -> Raster {
    let channels = raster.layout.channels();
    let (left, width) = (place.left as usize * channels, place.width as usize * channels);
    let rows = raster.data.chunks_exact(raster.stride()).skip(place.top as usize).take(place.height as usize);
    let data = rows.flat_map(|row| &row[left..left + width]).copied().collect();
    Raster::new(place.width, place.height, raster.layout, data)
}

/// Decodes tiles and puts them side by side; `N` bytes a pixel.
fn sheet<const N: usize>(
    sheet: &Sheet,
    limits: &Limits,
    convert: impl Fn(&Picture) -> Result<Vec<u8>, Error>,
) -> Result<Vec<u8>, Error> {
    let (width, height) = (sheet.width as usize, sheet.height as usize);
    let rows = sheet.tiles.len() / sheet.columns;
    let mut out = Vec::new();
    let mut size = None;
    for (at, tile) in sheet.tiles.iter().enumerate() {
        let picture = frame(tile, limits)?;
        let (tile_width, tile_height) = (picture.width() as usize, picture.height() as usize);
        // Tiles must cover the picture, and none may lie outside it.
        let covers =
            |tile: usize, count: usize, whole: usize| tile * count >= whole && tile * (count - 1) < whole;
        let whole = covers(tile_width, sheet.columns, width) && covers(tile_height, rows, height);
        if !whole || *size.get_or_insert((tile_width, tile_height)) != (tile_width, tile_height) {
            return Err(corrupt("an AVIF whose frames don't have the size that its header says"));
        }
        let pixels = convert(&picture)?;
        if (tile_width, tile_height) == (width, height) {
            return Ok(pixels);
        }
        out.resize(width * height * N, 0);
        let (left, top) = (at % sheet.columns * tile_width, at / sheet.columns * tile_height);
        let visible = tile_width.min(width - left) * N;
        let to = out.chunks_exact_mut(width * N).skip(top);
        for (to, from) in to.zip(pixels.chunks_exact(tile_width * N)) {
            to[left * N..left * N + visible].copy_from_slice(&from[..visible]);
        }
    }
    Ok(out)
}

/// The first frame of AV1 data.
fn frame(data: &[u8], limits: &Limits) -> Result<Picture, Error> {
    let broken = |_| corrupt("an AVIF whose compressed data are damaged");
    let mut settings = Settings::new();
    settings.set_n_threads(1);
    settings.set_max_frame_delay(1);
    settings.set_all_layers(false);
    settings.set_frame_size_limit(u32::try_from(limits.max_pixels).unwrap_or(u32::MAX));
    let mut decoder = Decoder::with_settings(&settings).map_err(broken)?;
    match decoder.send_data(data.to_vec(), None, None, None) {
        Err(error) if !error.is_again() => return Err(broken(error)),
        _ => {}
    }
    decoder.get_picture().map_err(|error| {
        if error.is_again() { corrupt("an AVIF whose picture is not all there") } else { broken(error) }
    })
}

/// What the AV1 data say of their colours.
fn own_cicp(picture: &Picture) -> Cicp {
    Cicp {
        primaries: picture.color_primaries() as u16,
        transfer: picture.transfer_characteristic() as u16,
        matrix: picture.matrix_coefficients() as u16,
        full_range: picture.color_range() == YUVRange::Full,
    }
}

/// Hands a frame's planes to a conversion.
fn with_planes(
    picture: &Picture,
    cicp: Cicp,
    convert: impl Fn(&Planes, Cicp) -> Vec<u8>,
) -> Result<Vec<u8>, Error> {
    let bits = picture.bits_per_component().map_or(8, |bits| bits.0) as u32;
    let (shift_x, shift_y, has_chroma) = match picture.pixel_layout() {
        PixelLayout::I400 => (0, 0, false),
        PixelLayout::I420 => (1, 1, true),
        PixelLayout::I422 => (1, 0, true),
        PixelLayout::I444 => (0, 0, true),
    };
    let components = [PlanarImageComponent::Y, PlanarImageComponent::U, PlanarImageComponent::V];
    let count = if has_chroma { 3 } else { 1 };
    let planes: Vec<(Plane, usize)> = components[..count]
        .iter()
        .map(|component| (picture.plane(*component), picture.stride(*component) as usize))
        .collect();
    let rows: Vec<(&[u8], usize)> = planes.iter().map(|(plane, stride)| (plane.as_ref(), *stride)).collect();
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let planes = Planes { width, height, bits, shift_x, shift_y, rows: &rows };
    if !planes.is_whole() {
        return Err(corrupt("an AVIF whose planes are smaller than its picture"));
    }
    Ok(convert(&planes, cicp))
}

fn with_alpha(raster: &Raster, alpha: &[u8], premultiplied: bool) -> Raster {
    let pixels = raster.data.as_chunks::<3>().0.iter().zip(alpha);
    let straight = |sample: u8, alpha: u8| match (premultiplied, u32::from(alpha)) {
        (true, 1..) => ((u32::from(sample) * 255 + u32::from(alpha) / 2) / u32::from(alpha)).min(255) as u8,
        _ => sample,
    };
    let data =
        pixels.flat_map(|(rgb, &a)| [straight(rgb[0], a), straight(rgb[1], a), straight(rgb[2], a), a]);
    Raster::new(raster.width, raster.height, Layout::Rgba, data.collect())
}
