//! What a run tells while it is under way.

use pixmill_engine::catalogue::Understood;
use pixmill_engine::code::Code;
use pixmill_engine::model::image::ImageStatus;
use pixmill_engine::model::request::Progress;

/// Watches a run. Calls come from any thread, in order of time, and must be brief.
pub(crate) trait Observer: Send + Sync {
    /// What the catalogue is understood as, before its first row.
    fn understood(&self, _understood: &Understood) {}

    /// The catalogue is being read: rows and bytes so far, bytes in all.
    fn intake(&self, rows: u64, bytes_read: u64, bytes_total: u64);

    /// The catalogue is durable: usable rows and images, seconds it took, images that an earlier run had ended.
    fn accepted(&self, rows: u64, images: u64, seconds: f64, resumed: u64);

    /// How far the run is. Told several times a second at most.
    fn progress(&self, progress: &Progress);

    /// An image ended.
    fn image(&self, image: &ImageReport);
}

/// The end of one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImageReport {
    /// Row, from 0.
    pub(crate) row: u64,
    /// Position in the row, from 0.
    pub(crate) position: u32,
    /// Scheme, host and port, or `file:`.
    pub(crate) origin: String,
    /// How it ended.
    pub(crate) status: ImageStatus,
    /// Why, when it failed.
    pub(crate) code: Option<Code>,
    /// Bytes fetched.
    pub(crate) bytes_before: u64,
    /// Bytes stored.
    pub(crate) bytes_after: u64,
    /// Attempts it took.
    pub(crate) attempt: u32,
    /// How long its last fetch took.
    pub(crate) milliseconds: u64,
}
