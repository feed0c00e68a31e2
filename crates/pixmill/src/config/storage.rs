//! Section storage: where outputs live.

use std::fmt;
use std::path::{Path, PathBuf};

use url::Url;

use super::secret::Address;

/// The storage of a server.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Storage")]
pub(crate) struct StorageFlags {
    /// file:DIR, cloudinary://KEY:SECRET@CLOUD, s3://BUCKET/PREFIX, gs://… or az://… [also read: CLOUDINARY_URL; CLOUDINARY_CLOUD_NAME, CLOUDINARY_API_KEY and CLOUDINARY_API_SECRET; AWS_*] [default: file:DATA/images]
    #[arg(long, value_name = "URL", value_parser = storage)]
    storage: Option<StorageChoice>,
}

/// Which storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StorageChoice {
    /// Files below this folder.
    File(PathBuf),
    /// Cloudinary, by its own kind of URL.
    Cloudinary(Address),
    /// A bucket: `s3://`, `gs://` or `az://`.
    Bucket(Address),
}

impl fmt::Display for StorageChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StorageChoice::File(folder) => write!(f, "file:{}", folder.display()),
            StorageChoice::Cloudinary(address) | StorageChoice::Bucket(address) => address.fmt(f),
        }
    }
}

impl StorageChoice {
    /// The folder, where outputs are files.
    pub(crate) fn folder(&self) -> Option<&Path> {
        match self {
            StorageChoice::File(folder) => Some(folder),
            StorageChoice::Cloudinary(_) | StorageChoice::Bucket(_) => None,
        }
    }
}

impl StorageFlags {
    /// What was chosen, or a folder in the state folder.
    pub(crate) fn choice(&self, data: &Path) -> StorageChoice {
        self.storage.clone().unwrap_or_else(|| StorageChoice::File(data.join("images")))
    }
}

fn storage(text: &str) -> Result<StorageChoice, String> {
    if let Some(folder) = text.strip_prefix("file:").filter(|folder| !folder.is_empty()) {
        return Ok(StorageChoice::File(folder.into()));
    }
    let url = Url::parse(text).ok().filter(|url| url.host_str().is_some_and(|host| !host.is_empty()));
    let has_credentials = |url: &Url| !url.username().is_empty() && url.password().is_some();
    match url {
        Some(url) if url.scheme() == "cloudinary" && has_credentials(&url) => {
            Ok(StorageChoice::Cloudinary(text.into()))
        }
        Some(url) if matches!(url.scheme(), "s3" | "gs" | "az") => Ok(StorageChoice::Bucket(text.into())),
        _ => Err(
            "allowed are file:DIR, cloudinary://KEY:SECRET@CLOUD, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX \
                  and az://CONTAINER/PREFIX"
                .to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn storages_are_told_by_their_scheme() {
        assert_eq!(storage("file:out/images"), Ok(StorageChoice::File("out/images".into())));
        let cloudinary = "cloudinary://1:s@cloud?upload_prefix=http://127.0.0.1:1";
        assert_eq!(storage(cloudinary), Ok(StorageChoice::Cloudinary(cloudinary.into())));
        for bucket in ["s3://shop/pictures", "gs://shop", "az://shop/a"] {
            assert_eq!(storage(bucket), Ok(StorageChoice::Bucket(bucket.into())));
        }
        for wrong in ["", "file:", "cloudinary://cloud", "cloudinary://k@cloud", "s3://", "ftp://h", "images"]
        {
            assert!(storage(wrong).is_err(), "{wrong}");
        }
    }
}
