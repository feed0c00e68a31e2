//! Section state: what a server keeps on its own disk.

use std::path::PathBuf;

/// The state folder of a server.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "State")]
pub(crate) struct StateFlags {
    /// Folder of the embedded records and outputs, and of the secret that signs webhooks [default: pixmill-data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// File of environment variables, such as an application's .env; the environment itself wins
    #[arg(long, value_name = "FILE")]
    #[allow(dead_code, reason = "it is read where the environment is")]
    env_file: Option<PathBuf>,
}

impl StateFlags {
    /// The folder.
    pub(crate) fn folder(&self) -> PathBuf {
        self.data.clone().unwrap_or_else(|| "pixmill-data".into())
    }

    /// Whether it was named.
    pub(crate) fn is_named(&self) -> bool {
        self.data.is_some()
    }
}
