//! Section limits: what a single picture may cost.

use std::time::Duration;

use pixmill_codec::Limits;

use super::bounds::whole;

/// Limits on a picture.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitFlags {
    /// Pixels of a picture at most; read from its header, before decoding
    #[arg(long, value_name = "PIXELS", default_value_t = Limits::default().max_pixels, value_parser = whole::<u64>(1, 1 << 40))]
    max_pixels: u64,

    /// Bytes of a picture at most
    #[arg(long, value_name = "BYTES", default_value_t = 50_000_000, value_parser = whole::<u64>(1, 1 << 40))]
    pub(crate) max_bytes: u64,

    /// Accept pictures that are cut short if more than 90 % is there
    #[arg(long)]
    lenient: bool,
}

/// How long a picture may be worked on.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct TimeFlags {
    /// Processor time for a picture at most, in seconds; in proportion more above 4 megapixels, and ten times as much with --target-ssimulacra2
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = whole::<u64>(1, 1 << 20))]
    max_seconds: u64,
}

impl TimeFlags {
    /// Of a processor, for a usual picture.
    pub(crate) fn picture_time(&self) -> Duration {
        Duration::from_secs(self.max_seconds)
    }
}

impl LimitFlags {
    /// The codec's share of them.
    pub(crate) fn limits(&self) -> Limits {
        Limits { max_pixels: self.max_pixels, lenient: self.lenient, ..Limits::default() }
    }
}
