//! Section client: which server the commands that talk to one mean.

use pixmill_engine::model::key::PREFIX;
use url::Url;

use super::listen::web_address;
use super::secret::Secret;

/// The server, and the key that it asks for.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct ServerFlags {
    /// Where the server is
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:3000", value_parser = web_address)]
    pub(crate) server: Url,

    /// A key that 'pixmill keys create' made; best set as PIXMILL_API_KEY
    #[arg(long, value_name = "KEY", value_parser = key)]
    pub(crate) api_key: Option<Secret>,
}

fn key(text: &str) -> Result<Secret, String> {
    let fits = text.starts_with(PREFIX) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if fits { Ok(text.into()) } else { Err(format!("allowed are keys that begin with {PREFIX}")) }
}
