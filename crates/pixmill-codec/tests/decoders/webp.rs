//! WebP, by libwebp.

use super::{noise, shown, sizes};

#[test]
fn webp_of_every_size_shows_what_libwebp_shows() {
    for ((width, height), alpha) in sizes().flat_map(|size| [(size, false), (size, true)]) {
        let mut noise = noise(width * 71 + height);
        let channels = if alpha { 4 } else { 3 };
        let data: Vec<u8> =
            (0..width * height * channels).map(|at| ((at / channels) % 200 + noise() % 40) as u8).collect();
        let (w, h) = (width as u32, height as u32);
        let encoder =
            if alpha { webp::Encoder::from_rgba(&data, w, h) } else { webp::Encoder::from_rgb(&data, w, h) };
        for (file, most) in [(encoder.encode_lossless(), 0), (encoder.encode(70.0), 3)] {
            let wanted = webp::Decoder::new(&file).decode().expect("libwebp reads what it wrote");
            let shown = shown(&file).unwrap();
            let samples = if wanted.is_alpha() { 4 } else { 3 };
            assert_eq!(shown.pixels.len() * samples, wanted.len());
            for (pixel, wanted) in shown.pixels.iter().zip(wanted.chunks(samples)) {
                let seen = wanted.get(3) != Some(&0);
                let near = pixel.iter().zip(wanted).all(|(a, b)| a.abs_diff(*b) <= most);
                assert!(near || !seen, "{width} × {height}: {pixel:?} instead of {wanted:?}");
            }
        }
    }
}
