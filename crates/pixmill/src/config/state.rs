//! Section state: what a server keeps on its own disk.

use std::path::PathBuf;

/// The state folder of a server.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "State")]
pub(crate) struct StateFlags {
    /// Folder of what has no other place: embedded records and outputs, and the secret that signs webhooks
    #[arg(long, value_name = "DIR", default_value = "pixmill-data")]
    pub(crate) data: PathBuf,
}
