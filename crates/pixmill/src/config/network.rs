//! Section network: how origins are asked, and which may be.

use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::bounds::{addresses, seconds, whole};

/// Where local pictures are, for commands that take catalogues with paths.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Fetching")]
pub(crate) struct FilesFlags {
    /// What relative paths in cells start from and may not leave [default: the catalogue's own folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) base_dir: Option<PathBuf>,
}

/// How pictures are fetched.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Fetching")]
pub(crate) struct NetworkFlags {
    /// Most fetches under way
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = whole::<usize>(1, 10_000))]
    pub(crate) connections: usize,

    /// Most requests under way to one origin
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = whole::<usize>(1, 10_000))]
    pub(crate) per_origin: usize,

    /// Time for one attempt at fetching, body included; fractions allowed
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(crate) timeout: Duration,

    /// Open a private or reserved range of addresses, any port; repeatable
    #[arg(long, value_name = "CIDR", value_parser = addresses, action = clap::ArgAction::Append)]
    pub(crate) allow_address: Vec<IpNet>,
}
