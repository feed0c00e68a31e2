//! What holds for any bytes at all: a refusal or a picture, and a picture that can be read again.

use pixmill_codec::{Format, Limits, OutputFormat, Recipe, SourceFormat, Workspace, probe, recompress};

/// Recompresses in each way that takes another path through the code.
///
/// # Panics
/// When a promise is broken.
pub fn promises_hold(format: SourceFormat, bytes: &[u8]) {
    let limits = Limits { max_pixels: 1 << 18, ..Limits::default() };
    let Ok(header) = probe(bytes, &Recipe::default(), &limits) else { return };
    if header.format != format {
        return;
    }
    let mut workspace = Workspace::default();
    for (recipe, lenient) in recipes() {
        let limits = Limits { lenient, ..limits };
        let Ok(made) = recompress(bytes, &recipe, &limits, &mut workspace) else { continue };
        if made.format != OutputFormat::Avif {
            let again =
                probe(&made.bytes, &Recipe::default(), &limits).expect("what was written can be read");
            assert_eq!((again.width, again.height), (made.width, made.height), "{recipe:?}");
        }
    }
}

/// Quality alone, with a bound on the size, lossless, and cut pictures allowed.
fn recipes() -> [(Recipe, bool); 4] {
    let plain = Recipe::default();
    let bounded = Recipe { max_width: Some(20), ..plain };
    let lossless = Recipe { format: Format::Png, ..plain };
    [(plain, false), (bounded, false), (lossless, false), (Recipe { quality: 80, ..plain }, true)]
}
