//! Section network: how origins are asked, and which may be.

use std::path::PathBuf;
use std::time::Duration;

use http::HeaderValue;
use ipnet::IpNet;
use url::Url;

use super::bounds::{addresses, seconds, whole};
use super::headers::{ExtraHeader, header, value_of};
use super::secret::Address;

/// Where local pictures are, for commands that take catalogues with paths.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Fetching")]
pub(crate) struct FilesFlags {
    /// Folder that relative paths in cells start from and may not leave [default: the catalogue's own folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) base_dir: Option<PathBuf>,
}

/// How pictures are fetched.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Fetching")]
pub(crate) struct NetworkFlags {
    /// Fetches under way at most; in a server, for one request
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = whole::<usize>(1, 10_000))]
    pub(crate) connections: usize,

    /// Requests under way to one origin at most
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = whole::<usize>(1, 10_000))]
    pub(crate) per_origin: usize,

    /// Time for one attempt at fetching, body included; fractions allowed
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(crate) timeout: Duration,

    /// Allow connections to a private or reserved range of addresses, on any port; repeatable
    #[arg(long, value_name = "CIDR", value_parser = addresses, action = clap::ArgAction::Append)]
    pub(crate) allow_address: Vec<IpNet>,

    /// User-Agent of requests for pictures [default: pixmill, its version and address]
    #[arg(long, value_name = "TEXT", value_parser = value_of)]
    user_agent: Option<HeaderValue>,

    /// Send a header with requests for pictures, to other origins than the catalogue's only if harmless; HOST:Name: value
    /// is for one origin; repeatable
    #[arg(long, value_name = "NAME: VALUE", value_parser = header, action = clap::ArgAction::Append)]
    header: Vec<ExtraHeader>,

    /// Fetch pictures through a proxy: http://HOST:PORT or http://USER:PASSWORD@HOST:PORT
    #[arg(long, value_name = "URL", value_parser = proxy)]
    proxy: Option<Address>,

    #[command(flatten)]
    trust: TrustFlags,
}

/// Whose certificates are believed.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Fetching")]
pub(crate) struct TrustFlags {
    /// Certificates (PEM) to trust beside the public ones, for every server that is called; for Redis and MongoDB, instead of them [also read: SSL_CERT_FILE]
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
}

/// How far requests for pictures reach, and how they are asked.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Reach {
    /// Ranges of addresses that are opened.
    pub(crate) allow: Vec<IpNet>,
    /// What requests call themselves.
    pub(crate) user_agent: Option<HeaderValue>,
    /// Headers beside.
    pub(crate) headers: Vec<ExtraHeader>,
    /// What they go through.
    pub(crate) proxy: Option<Address>,
    /// Certificates to trust beside the public ones.
    pub(crate) ca_file: Option<PathBuf>,
}

impl NetworkFlags {
    /// What was said of it.
    pub(crate) fn reach(&self) -> Reach {
        Reach {
            allow: self.allow_address.clone(),
            user_agent: self.user_agent.clone(),
            headers: self.header.clone(),
            proxy: self.proxy.clone(),
            ca_file: self.trust.ca_file.clone(),
        }
    }
}

fn proxy(text: &str) -> Result<Address, String> {
    match Url::parse(text) {
        Ok(url) if url.scheme() == "http" && url.has_host() && matches!(url.path(), "" | "/") => {
            Ok(text.into())
        }
        _ => Err("allowed are http://HOST:PORT and http://USER:PASSWORD@HOST:PORT".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_an_address_that_never_shows_its_password() {
        let address = proxy("http://me:secret@proxy.example:3128").unwrap();
        assert_eq!(format!("{address:?}"), "http://***@proxy.example:3128");
        for wrong in ["proxy.example:3128", "https://proxy.example", "socks5://p:1080", "http://p/path", ""] {
            assert!(proxy(wrong).is_err(), "{wrong}");
        }
    }
}
