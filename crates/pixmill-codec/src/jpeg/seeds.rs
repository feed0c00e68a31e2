//! Small JPEGs of every kind that is read, and what somebody else's decoder makes of them.

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

macro_rules! seeds {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_bytes!(concat!("../../../../fuzz/seeds/jpeg/", $name, ".jpg")).as_slice())),*]
    };
}

/// Names and bytes.
pub(super) const SEEDS: [(&str, &[u8]); 10] = seeds!(
    "420",
    "422",
    "440",
    "444",
    "411",
    "grey",
    "restart",
    "progressive-420",
    "progressive-444",
    "progressive-grey",
);

/// Width, height and samples of a whole picture by zune-jpeg: grey, or YCbCr that is not subsampled.
pub(super) fn whole(bytes: &[u8], grey: bool) -> (usize, usize, Vec<u8>) {
    let space = if grey { ColorSpace::Luma } else { ColorSpace::YCbCr };
    let options = DecoderOptions::default().jpeg_set_out_colorspace(space);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    let pixels = decoder.decode().unwrap();
    let (width, height) = decoder.dimensions().unwrap();
    (width, height, pixels)
}
