//! What holds for any bytes at all: a refusal or a picture, the same on any machine, and a picture that can be read again.

use pixmill_codec::{Format, Limits, OutputFormat, Recipe, SourceFormat, Workspace, probe, recompress};
use pixmill_cpu::on_any_machine;

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
        let made = recompress(bytes, &recipe, &limits, &mut workspace);
        let elsewhere = on_any_machine(|| recompress(bytes, &recipe, &limits, &mut workspace));
        assert_eq!(made.is_ok(), elsewhere.is_ok(), "{recipe:?}");
        let (Ok(made), Ok(elsewhere)) = (made, elsewhere) else { continue };
        assert!(made == elsewhere, "kernels differ: {recipe:?}");
        if made.format != OutputFormat::Avif {
            let again =
                probe(&made.bytes, &Recipe::default(), &limits).expect("what was written can be read");
            assert_eq!((again.width, again.height), (made.width, made.height), "{recipe:?}");
        }
    }
}

/// Quality alone, with a bound on the size, lossless, both, and cut pictures allowed, which go through pixels too.
fn recipes() -> [(Recipe, bool); 6] {
    let plain = Recipe::default();
    let bounded = Recipe { max_width: Some(20), ..plain };
    let lossless = Recipe { format: Format::Png, ..plain };
    let both = Recipe { format: Format::Png, ..bounded };
    let cut = Recipe { quality: 80, ..plain };
    [(plain, false), (bounded, false), (lossless, false), (both, false), (cut, true), (lossless, true)]
}
