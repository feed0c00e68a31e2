//! Section records: where the truth lives.

use std::fmt;
use std::path::{Path, PathBuf};

use pixmill_engine::model::time::Timestamp;

use super::secret::Address;

/// The records of a server.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Records")]
pub(crate) struct RecordsFlags {
    /// sqlite:PATH, or mongodb://…/NAME or mongodb+srv://…/NAME [also read: MONGODB_URI, MONGODB_URL, MONGO_URI, MONGO_URL, DB_URI and DB_URL where they name MongoDB, or MONGO_HOST with MONGO_PORT, MONGO_USERNAME or MONGO_USER, MONGO_PASSWORD, MONGO_DATABASE, MONGO_DB or MONGO_DB_NAME, MONGO_AUTH_SOURCE] [default: sqlite:DATA/pixmill.db]
    #[arg(long, value_name = "URL", value_parser = records)]
    database: Option<RecordsChoice>,

    /// In MongoDB, also take over requests of other programs that changed since TIME, even if they stood still for a day when pixmill first started
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) adopt_since: Option<Timestamp>,
}

/// Which records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RecordsChoice {
    /// In this file.
    Sqlite(PathBuf),
    /// On a server that speaks MongoDB's protocol.
    Mongodb(Address),
}

impl fmt::Display for RecordsChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecordsChoice::Sqlite(file) => write!(f, "sqlite:{}", file.display()),
            RecordsChoice::Mongodb(address) => address.fmt(f),
        }
    }
}

impl RecordsChoice {
    /// The file, where they are one.
    pub(crate) fn file(&self) -> Option<&Path> {
        match self {
            RecordsChoice::Sqlite(file) => Some(file),
            RecordsChoice::Mongodb(_) => None,
        }
    }
}

impl RecordsFlags {
    /// Whether records were chosen, by whatever name.
    pub(crate) fn is_named(&self) -> bool {
        self.database.is_some()
    }

    /// What was chosen, or a file in the state folder.
    pub(crate) fn choice(&self, data: &Path) -> RecordsChoice {
        self.database.clone().unwrap_or_else(|| RecordsChoice::Sqlite(data.join("pixmill.db")))
    }
}

pub(crate) fn records(text: &str) -> Result<RecordsChoice, String> {
    if let Some(path) = text.strip_prefix("sqlite:").filter(|path| !path.is_empty()) {
        return Ok(RecordsChoice::Sqlite(path.into()));
    }
    match text.split_once("://") {
        Some(("mongodb" | "mongodb+srv", rest)) if !rest.is_empty() && !rest.starts_with('/') => {
            Ok(RecordsChoice::Mongodb(text.into()))
        }
        _ => Err("allowed are sqlite:PATH, mongodb://HOST/NAME and mongodb+srv://HOST/NAME".to_owned()),
    }
}

fn moment(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).ok_or_else(|| {
        "allowed are times such as 2026-01-31T12:00:00Z, and days such as 2026-01-31".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_told_by_their_scheme() {
        assert_eq!(records("sqlite:/a/b.db"), Ok(RecordsChoice::Sqlite("/a/b.db".into())));
        for mongodb in ["mongodb://a:1,b:2/shop", "mongodb+srv://u:p@h/shop?w=1"] {
            assert_eq!(records(mongodb), Ok(RecordsChoice::Mongodb(mongodb.into())));
        }
        for wrong in ["", "sqlite:", "mongodb://", "mongodb:///shop", "postgres://h", "pixmill.db"] {
            assert!(records(wrong).is_err(), "{wrong}");
        }
    }
}
