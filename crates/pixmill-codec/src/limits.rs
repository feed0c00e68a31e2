//! What a picture may cost, checked before it is decoded wherever its header tells.

use crate::error::corrupt;
use crate::{Error, ErrorKind};

/// Bounds on one picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most pixels (width × height) that are decoded.
    pub max_pixels: u64,
    /// Most scans of a progressive JPEG.
    pub max_scans: u32,
    /// Accept a picture that is cut short when more than 90 % of it is there.
    pub lenient: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { max_pixels: 50_000_000, max_scans: 100, lenient: false }
    }
}

impl Limits {
    /// Refuses a size without pixels or with too many.
    pub(crate) fn check_size(&self, width: u32, height: u32) -> Result<(), Error> {
        let pixels = u64::from(width) * u64::from(height);
        if pixels == 0 {
            return Err(corrupt(format!("its header says {width} × {height} pixels")));
        }
        if pixels > self.max_pixels {
            let message = format!("{width} × {height} pixels are more than the {} allowed", self.max_pixels);
            return Err(Error::new(ErrorKind::TooManyPixels, message));
        }
        Ok(())
    }
}
