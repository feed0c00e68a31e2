//! Section talk: what is said, and to whom.

/// How a command talks.
#[derive(Debug, Clone, Copy, clap::Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct TalkFlags {
    /// One JSON object a line on standard output
    #[arg(long)]
    pub(crate) json: bool,

    /// Print only errors; with --json, only the last line
    #[arg(long)]
    pub(crate) quiet: bool,
}
