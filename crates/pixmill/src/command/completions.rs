//! `pixmill completions`: what a shell needs to complete options.

use std::io::{self, Write};

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, End, Stop};

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pixmill completions bash > ~/.local/share/bash-completion/completions/pixmill
  pixmill completions zsh  > \"${fpath[1]}/_pixmill\"
  pixmill completions fish > ~/.config/fish/completions/pixmill.fish")]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Prints the script.
pub(super) fn run(args: CompletionsArgs) -> Result<End, Stop> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "pixmill", &mut script);
    // A reader that has seen enough, such as `head`, is no fault.
    let _ = io::stdout().write_all(&script);
    Ok(End::Done)
}
