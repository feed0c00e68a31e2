//! Section client: which server the commands that talk to one mean.

use std::fmt;

use url::Url;

use super::listen::web_address;

/// The server, and the key that it asks for.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct ServerFlags {
    /// Where the server is
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:3000", value_parser = web_address)]
    pub(crate) server: Url,

    /// A key that 'pixmill keys create' made; best set as PIXMILL_API_KEY
    #[arg(long, value_name = "KEY", value_parser = key)]
    pub(crate) api_key: Option<ApiKey>,
}

/// A key, which never shows.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ApiKey(String);

impl ApiKey {
    /// As it was set: for the server.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

fn key(text: &str) -> Result<ApiKey, String> {
    let fits = text.starts_with("pxm_") && text.bytes().all(|byte| byte.is_ascii_graphic());
    if fits { Ok(ApiKey(text.to_owned())) } else { Err("allowed are keys that begin with pxm_".to_owned()) }
}
