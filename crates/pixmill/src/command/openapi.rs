//! `pixmill openapi`: the description of the API, for those who generate clients.

use super::{End, Stop};
use crate::{api, display};

/// Print the description of the HTTP API (OpenAPI 3.1)
#[derive(Debug, clap::Args)]
pub(super) struct OpenapiArgs {}

/// Prints it.
pub(super) fn run(OpenapiArgs {}: OpenapiArgs) -> Result<End, Stop> {
    display::print(&api::document());
    Ok(End::Done)
}
