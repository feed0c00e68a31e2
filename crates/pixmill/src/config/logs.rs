//! Section logs: how a server says what it does.

use clap::builder::{PossibleValuesParser, TypedValueParser};

/// How a server says what it does.
#[derive(Debug, Clone, Copy, clap::Args)]
#[command(next_help_heading = "Logs")]
pub(crate) struct LogFlags {
    /// text or json, a line each; auto is text on a terminal and for systemd's journal, with priorities there, and json
    /// elsewhere
    #[arg(long, value_name = "FORMAT", default_value = "auto", value_parser = formats())]
    pub(crate) log_format: LogFormat,
}

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// As whoever reads them likes it.
    Auto,
    /// For people.
    Text,
    /// For programs.
    Json,
}

fn formats() -> impl TypedValueParser<Value = LogFormat> {
    PossibleValuesParser::new(["auto", "text", "json"]).map(|name| match name.as_str() {
        "text" => LogFormat::Text,
        "json" => LogFormat::Json,
        _ => LogFormat::Auto,
    })
}
