//! Section run: how much of the machine the work may take.

use std::num::NonZero;

use super::bounds::whole;

/// What the engine may take.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Resources")]
pub(crate) struct EngineFlags {
    /// Pictures recompressed at a time [default: the number of cores]
    #[arg(long, value_name = "N", value_parser = whole::<usize>(1, 1024))]
    concurrency: Option<usize>,

    /// Memory for fetched and decoded pictures together; a larger picture runs alone
    #[arg(long = "memory", value_name = "MIB", default_value_t = 512, value_parser = whole::<u64>(16, 1 << 20))]
    pub(crate) memory_mib: u64,

    /// Attempts at an image at most
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = whole::<u32>(1, 1_000_000))]
    pub(crate) attempts: u32,
}

impl EngineFlags {
    /// Pictures recompressed at a time.
    pub(crate) fn concurrency(&self) -> usize {
        self.concurrency.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, NonZero::get))
    }
}
