//! What to do to each picture.

use serde::{Deserialize, Serialize};

/// The format asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// JPEG; alpha goes onto the background.
    #[default]
    Jpeg,
    /// WebP, lossy.
    Webp,
    /// AVIF, lossy.
    Avif,
    /// PNG, lossless.
    Png,
    /// What the source is; GIF, BMP and TIFF become PNG.
    Keep,
}

impl Format {
    /// Every format that can be asked for.
    pub const ALL: [Format; 5] = [Format::Jpeg, Format::Webp, Format::Avif, Format::Png, Format::Keep];

    /// As recipes have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Jpeg => "jpeg",
            Format::Webp => "webp",
            Format::Avif => "avif",
            Format::Png => "png",
            Format::Keep => "keep",
        }
    }

    /// The format that recipes call so.
    pub fn named(name: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|format| format.as_str() == name)
    }
}

/// The format that an output really has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutputFormat {
    /// `image/jpeg`
    Jpeg,
    /// `image/webp`
    Webp,
    /// `image/png`
    Png,
    /// `image/avif`
    Avif,
}

impl OutputFormat {
    const ALL: [OutputFormat; 4] =
        [OutputFormat::Jpeg, OutputFormat::Webp, OutputFormat::Png, OutputFormat::Avif];

    /// The format whose usual file name extension that is.
    pub fn of_extension(extension: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.extension() == extension)
    }

    /// The usual file name extension, without a dot.
    pub fn extension(self) -> &'static str {
        match self {
            OutputFormat::Jpeg => "jpg",
            OutputFormat::Webp => "webp",
            OutputFormat::Png => "png",
            OutputFormat::Avif => "avif",
        }
    }

    /// The media type.
    pub fn media_type(self) -> &'static str {
        match self {
            OutputFormat::Jpeg => "image/jpeg",
            OutputFormat::Webp => "image/webp",
            OutputFormat::Png => "image/png",
            OutputFormat::Avif => "image/avif",
        }
    }
}

/// Metadata that outputs keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeepMetadata {
    /// Nothing.
    #[default]
    None,
    /// An sRGB profile.
    Icc,
    /// An sRGB profile, EXIF with orientation 1, XMP.
    All,
}

/// Red, green and blue, each 0 to 255, in sRGB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Background(pub [u8; 3]);

impl Default for Background {
    fn default() -> Self {
        Background([255; 3])
    }
}

/// A SSIMULACRA2 score: 100 for equal pictures; 90 looks the same side by side, 70 good, 50 so-so. Kept in hundredths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Score(u16);

impl Score {
    /// The score.
    pub fn value(self) -> f64 {
        f64::from(self.0) / 100.0
    }
}

impl TryFrom<f64> for Score {
    type Error = &'static str;

    fn try_from(score: f64) -> Result<Self, Self::Error> {
        if (1.0..=100.0).contains(&score) {
            Ok(Score((score * 100.0).round() as u16))
        } else {
            Err("a SSIMULACRA2 score to aim at is between 1 and 100")
        }
    }
}

impl From<Score> for f64 {
    fn from(score: Score) -> f64 {
        score.value()
    }
}

/// What to do to each picture. Serialised with its request, so fields are only ever added, with a default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Recipe {
    /// The format asked for.
    pub format: Format,
    /// 1 to 100, as libjpeg, libwebp and libavif count it. PNG is lossless whatever it says.
    pub quality: u8,
    /// Take the lowest quality that reaches this score instead; lossless formats are what they are.
    pub target_ssimulacra2: Option<Score>,
    /// Fit inside this width after turning upright; never enlarge. Pixels.
    pub max_width: Option<u32>,
    /// Fit inside this height after turning upright; never enlarge. Pixels.
    pub max_height: Option<u32>,
    /// What alpha is flattened onto in a format without alpha.
    pub background: Background,
    /// Write progressive JPEG.
    pub progressive: bool,
    /// Metadata that the output keeps.
    pub keep_metadata: KeepMetadata,
}

impl Recipe {
    /// The same for a picture whose result is held against it: pixels are looked at, and memory is needed, as where a score
    /// is aimed at.
    pub fn judged(&self) -> Recipe {
        Recipe { target_ssimulacra2: self.target_ssimulacra2.or(Some(Score(100))), ..*self }
    }
}

impl Default for Recipe {
    fn default() -> Self {
        Recipe {
            format: Format::Jpeg,
            quality: 50,
            target_ssimulacra2: None,
            max_width: None,
            max_height: None,
            background: Background::default(),
            progressive: false,
            keep_metadata: KeepMetadata::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::value::{Error as ValueError, StrDeserializer};

    #[test]
    fn a_format_is_called_as_recipes_write_it() {
        for format in Format::ALL {
            let read = Format::deserialize(StrDeserializer::<ValueError>::new(format.as_str()));
            assert_eq!(read.unwrap(), format);
            assert_eq!(Format::named(format.as_str()), Some(format));
        }
        assert_eq!(Format::named("hologram"), None);
    }

    #[test]
    fn a_format_is_known_by_its_own_extension_alone() {
        for format in OutputFormat::ALL {
            assert_eq!(OutputFormat::of_extension(format.extension()), Some(format));
        }
        for other in ["", "jpeg", "JPG", ".jpg", "gif", "txt"] {
            assert_eq!(OutputFormat::of_extension(other), None, "{other}");
        }
    }
}
