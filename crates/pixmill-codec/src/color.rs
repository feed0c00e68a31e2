//! Embedded profiles to sRGB, ink to light, alpha onto a background.

mod light;

use std::borrow::Cow;

use moxcms::{
    ColorProfile, DataColorSpace, Layout as Samples, ParsingOptions, ToneReprCurve, Transform8BitExecutor,
    TransformOptions,
};

#[cfg(feature = "avif")]
pub(crate) use light::luminances;
pub(crate) use light::{Light, ToSrgb};

use crate::Background;
use crate::raster::{Layout, Raster};

/// A profile that changes colours.
pub(crate) struct Profile(ColorProfile);

/// What the samples of a source stand for, before any conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colour {
    Grey,
    /// RGB, a palette of RGB, or YCbCr.
    Rgb,
    Cmyk,
}

/// The embedded profile, if it fits the picture's colours and says anything but sRGB; a broken one is ignored.
pub(crate) fn foreign_profile(icc: &[u8], colour: Colour) -> Option<Profile> {
    let options = ParsingOptions { max_profile_size: 8 << 20, ..ParsingOptions::default() };
    let profile = ColorProfile::new_from_slice_with_options(&named_rightly(icc), options).ok()?;
    let fits = match profile.color_space {
        DataColorSpace::Rgb => colour == Colour::Rgb,
        DataColorSpace::Gray => colour == Colour::Grey,
        DataColorSpace::Cmyk => colour == Colour::Cmyk,
        _ => false,
    };
    (fits && !is_srgb(&profile)).then_some(Profile(profile))
}

/// The profile with its colours called by the name of their type, for which one writer has another.
fn named_rightly(icc: &[u8]) -> Cow<'_, [u8]> {
    /// What Corbis's profiles write for `XYZ `.
    const OTHER: [u8; 4] = [0x17, 0xA5, 0x05, 0xB8];
    const ENTRIES_AT: usize = 132;
    let number = |at: usize| icc.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
    let count = number(ENTRIES_AT - 4).unwrap_or(0).min(100) as usize;
    let places = (0..count).filter_map(|entry| number(ENTRIES_AT + entry * 12 + 4)).map(|at| at as usize);
    let wrong: Vec<usize> =
        places.filter(|&at| icc.get(at..).is_some_and(|tag| tag.starts_with(&OTHER))).collect();
    let mut right = Cow::Borrowed(icc);
    for at in wrong {
        right.to_mut()[at..at + 4].copy_from_slice(b"XYZ ");
    }
    right
}

/// An sRGB profile, for outputs that keep one.
pub(crate) fn srgb_profile() -> Option<Vec<u8>> {
    ColorProfile::new_srgb().encode().ok()
}

/// No look-up table, the primaries of sRGB, and curves nowhere further from its own than half a level of 255.
fn is_srgb(profile: &ColorProfile) -> bool {
    let srgb = ColorProfile::new_srgb();
    let near = |a: moxcms::Xyzd, b: moxcms::Xyzd| {
        (a.x - b.x).abs() < 0.002 && (a.y - b.y).abs() < 0.002 && (a.z - b.z).abs() < 0.002
    };
    let plain = profile.color_space == DataColorSpace::Rgb
        && profile.lut_a_to_b_perceptual.is_none()
        && profile.lut_a_to_b_colorimetric.is_none()
        && near(profile.red_colorant, srgb.red_colorant)
        && near(profile.green_colorant, srgb.green_colorant)
        && near(profile.blue_colorant, srgb.blue_colorant);
    let curves = [&profile.red_trc, &profile.green_trc, &profile.blue_trc];
    plain && curves.iter().all(|curve| curve.as_ref().is_some_and(is_srgb_curve))
}

fn is_srgb_curve(curve: &ToneReprCurve) -> bool {
    (0..=255).all(|level| {
        let encoded = f64::from(level) / 255.0;
        linear(curve, encoded).is_some_and(|light| {
            let back =
                if light <= 0.003_130_8 { light * 12.92 } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 };
            (back - encoded).abs() < 0.5 / 255.0
        })
    })
}

/// What a curve makes of an encoded value; none where its form is not known here (ICC.1:2022, 10.6 and 10.18).
fn linear(curve: &ToneReprCurve, encoded: f64) -> Option<f64> {
    match curve {
        ToneReprCurve::Lut(table) if table.len() > 1 => {
            let place = encoded * (table.len() - 1) as f64;
            let low = place.floor() as usize;
            let high = (low + 1).min(table.len() - 1);
            let (a, b) = (f64::from(table[low]), f64::from(table[high]));
            Some((a + (b - a) * place.fract()) / 65_535.0)
        }
        ToneReprCurve::Parametric(p) if p.len() == 5 => {
            let [g, a, b, c, d] = std::array::from_fn(|i| f64::from(p[i]));
            Some(if encoded >= d { (a * encoded + b).max(0.0).powf(g) } else { c * encoded })
        }
        _ => None,
    }
}

/// The picture in sRGB: ink becomes light, a foreign profile is applied where moxcms can.
pub(crate) fn to_srgb(raster: Raster, profile: Option<&Profile>) -> Raster {
    match (raster.layout, profile) {
        (Layout::Cmyk, _) => ink_to_light(raster, profile),
        (Layout::Grey | Layout::GreyAlpha, Some(profile)) => grey_to_srgb(raster, profile),
        (Layout::Rgb | Layout::Rgba, Some(profile)) => rgb_to_srgb(raster, profile),
        _ => raster,
    }
}

fn transform(profile: &Profile, from: Samples, to: Samples) -> Option<std::sync::Arc<Transform8BitExecutor>> {
    let srgb = ColorProfile::new_srgb();
    profile.0.create_transform_8bit(from, &srgb, to, TransformOptions::default()).ok()
}

fn rgb_to_srgb(mut raster: Raster, profile: &Profile) -> Raster {
    let samples = if raster.layout == Layout::Rgb { Samples::Rgb } else { Samples::Rgba };
    let Some(transform) = transform(profile, samples, samples) else { return raster };
    let stride = raster.stride();
    let mut before = vec![0; stride];
    for row in raster.data.chunks_exact_mut(stride) {
        before.copy_from_slice(row);
        if transform.transform(&before, row).is_err() {
            row.copy_from_slice(&before);
        }
    }
    raster
}

/// Grey stays grey: its 256 levels are looked up.
fn grey_to_srgb(mut raster: Raster, profile: &Profile) -> Raster {
    let levels: Vec<u8> = (0..=255).collect();
    let mut light = vec![0; 256 * 3];
    let Some(transform) = transform(profile, Samples::Gray, Samples::Rgb) else { return raster };
    if transform.transform(&levels, &mut light).is_err() {
        return raster;
    }
    let step = raster.layout.channels();
    raster.data.iter_mut().step_by(step).for_each(|sample| *sample = light[usize::from(*sample) * 3 + 1]);
    raster
}

fn ink_to_light(raster: Raster, profile: Option<&Profile>) -> Raster {
    let transform = profile.and_then(|profile| transform(profile, Samples::Rgba, Samples::Rgb));
    let (width, height) = (raster.width as usize, raster.height as usize);
    let mut data = vec![0; width * height * 3];
    for (from, to) in raster.data.chunks_exact(width * 4).zip(data.chunks_exact_mut(width * 3)) {
        let done = transform.as_ref().is_some_and(|transform| transform.transform(from, to).is_ok());
        if !done {
            plain_ink_to_light(from, to);
        }
    }
    Raster::new(raster.width, raster.height, Layout::Rgb, data)
}

/// Without a profile ink is taken for ideal: what one ink lets through, times what black lets through.
fn plain_ink_to_light(from: &[u8], to: &mut [u8]) {
    for (ink, light) in from.as_chunks::<4>().0.iter().zip(to.as_chunks_mut::<3>().0) {
        let white = 255 - u32::from(ink[3]);
        *light = std::array::from_fn(|i| (((255 - u32::from(ink[i])) * white + 127) / 255) as u8);
    }
}

/// The picture without alpha, on a background. Grey on a coloured background becomes RGB.
pub(crate) fn flattened(mut raster: Raster, background: Background) -> Raster {
    let Background(colour) = background;
    let over = |sample: u8, alpha: u8, below: u8| {
        let (alpha, sample, below) = (u32::from(alpha), u32::from(sample), u32::from(below));
        ((sample * alpha + below * (255 - alpha) + 127) / 255) as u8
    };
    match raster.layout {
        Layout::Rgba => {
            for pixel in raster.data.as_chunks_mut::<4>().0 {
                (0..3).for_each(|i| pixel[i] = over(pixel[i], pixel[3], colour[i]));
            }
            raster.keep_samples(Layout::Rgb, [0, 1, 2]);
            raster
        }
        Layout::GreyAlpha if colour[0] == colour[1] && colour[1] == colour[2] => {
            for pixel in raster.data.as_chunks_mut::<2>().0 {
                pixel[0] = over(pixel[0], pixel[1], colour[0]);
            }
            raster.keep_samples(Layout::Grey, [0]);
            raster
        }
        Layout::GreyAlpha => {
            let pixels = raster.data.as_chunks::<2>().0;
            let data = pixels.iter().flat_map(|[grey, alpha]| colour.map(|below| over(*grey, *alpha, below)));
            Raster::new(raster.width, raster.height, Layout::Rgb, data.collect())
        }
        _ => raster,
    }
}

/// JFIF's YCbCr as RGB, in 16-bit fixed point; other pictures as they are.
pub(crate) fn ycbcr_to_rgb(mut raster: Raster) -> Raster {
    if raster.layout == Layout::Ycbcr {
        raster.data.as_chunks_mut::<3>().0.iter_mut().for_each(|pixel| *pixel = rgb(*pixel));
        raster.layout = Layout::Rgb;
    }
    raster
}

#[inline(always)]
fn rgb([y, cb, cr]: [u8; 3]) -> [u8; 3] {
    let (y, cb, cr) = (i32::from(y) << 16 | 1 << 15, i32::from(cb) - 128, i32::from(cr) - 128);
    let [r, g, b] = [y + 91_881 * cr, y - 22_554 * cb - 46_802 * cr, y + 116_130 * cb];
    [r, g, b].map(|sample| (sample >> 16).clamp(0, 255) as u8)
}

/// Whether no pixel is see-through.
pub(crate) fn is_opaque(raster: &Raster) -> bool {
    let step = raster.layout.channels();
    !raster.layout.has_alpha() || raster.data.iter().skip(step - 1).step_by(step).all(|alpha| *alpha == 255)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_srgb_profile_changes_nothing() {
        assert!(foreign_profile(&srgb_profile().unwrap(), Colour::Rgb).is_none());
    }

    #[test]
    fn primary_colours_come_back_from_ycbcr() {
        for (ycbcr, wanted) in [
            ([0, 128, 128], [0, 0, 0]),
            ([255, 128, 128], [255, 255, 255]),
            ([76, 85, 255], [254, 0, 0]),
            ([150, 44, 21], [0, 255, 1]),
            ([29, 255, 107], [0, 0, 254]),
        ] {
            assert_eq!(rgb(ycbcr), wanted, "{ycbcr:?}");
        }
    }

    #[test]
    fn another_rgb_profile_changes_colours() {
        let icc = ColorProfile::new_display_p3().encode().unwrap();
        let profile = foreign_profile(&icc, Colour::Rgb).unwrap();
        let red = Raster::new(1, 1, Layout::Rgb, vec![200, 50, 50]);
        let converted = to_srgb(red.clone(), Some(&profile));
        assert!(converted.data[0] > 205, "P3 red is stronger than sRGB's: {:?}", converted.data);
    }

    #[test]
    fn colours_that_a_profile_calls_by_another_name_are_read() {
        let icc = ColorProfile::new_display_p3().encode().unwrap();
        let mut other = icc.clone();
        let places: Vec<usize> =
            (132..icc.len() - 4).filter(|&at| icc[at..].starts_with(b"XYZ \0\0\0\0")).collect();
        assert!(places.len() >= 3);
        for at in places {
            other[at..at + 4].copy_from_slice(&[0x17, 0xA5, 0x05, 0xB8]);
        }
        let red = Raster::new(1, 1, Layout::Rgb, vec![200, 50, 50]);
        let converted = |icc: &[u8]| to_srgb(red.clone(), foreign_profile(icc, Colour::Rgb).as_ref()).data;
        assert_eq!(converted(&other), converted(&icc));
    }

    #[test]
    fn a_profile_of_another_colour_space_or_a_broken_one_is_ignored() {
        let icc = ColorProfile::new_display_p3().encode().unwrap();
        assert!(foreign_profile(&icc, Colour::Grey).is_none());
        assert!(foreign_profile(&icc, Colour::Cmyk).is_none());
        assert!(foreign_profile(&icc[..100], Colour::Rgb).is_none());
    }

    #[test]
    fn alpha_goes_onto_the_background() {
        let pixels = vec![200, 100, 0, 255, 9, 9, 9, 0, 255, 255, 255, 128];
        let picture = flattened(Raster::new(3, 1, Layout::Rgba, pixels), Background([0, 100, 200]));
        assert_eq!(picture.data, [200, 100, 0, 0, 100, 200, 128, 178, 228]);
    }

    #[test]
    fn grey_on_a_grey_background_stays_grey() {
        let pixels = vec![10, 255, 10, 0];
        let picture = flattened(Raster::new(2, 1, Layout::GreyAlpha, pixels.clone()), Background([255; 3]));
        assert_eq!((picture.layout, picture.data), (Layout::Grey, vec![10, 255]));
        let picture = flattened(Raster::new(2, 1, Layout::GreyAlpha, pixels), Background([1, 2, 3]));
        assert_eq!((picture.layout, picture.data), (Layout::Rgb, vec![10, 10, 10, 1, 2, 3]));
    }

    #[test]
    fn ink_without_a_profile_is_ideal_ink() {
        let picture = Raster::new(3, 1, Layout::Cmyk, vec![0, 0, 0, 0, 255, 0, 0, 0, 0, 0, 0, 255]);
        assert_eq!(to_srgb(picture, None).data, [255, 255, 255, 0, 255, 255, 0, 0, 0]);
    }
}
