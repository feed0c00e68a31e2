//! Storages `s3://`, `gs://` and `az://`: outputs as objects of a bucket at Amazon S3 and what speaks like it, Google
//! Cloud Storage or Azure Blob Storage.

mod address;
mod fault;
mod http;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::{TryStreamExt, stream};
use http_body_util::Full;
use hyper::Request;
use object_store::path::Path;
use object_store::{Attribute, Attributes, ObjectStore, ObjectStoreExt, PutOptions};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use pixmill_engine::checkup::{self, Diagnose, Finding};
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::storage::{Listing, Storage};

use self::address::Address;
use self::fault::fault;
use crate::net::backend::{self, Backend};
use crate::net::trust::Trust;

/// Objects that are removed at a time.
const REMOVALS: usize = 8;

/// Readers may keep an output for a day and must ask again then. Not `immutable`: a key may be written again, by a
/// retry whose picture has changed at its origin.
const CACHE_CONTROL: &str = "public, max-age=86400";

/// What a look at how outputs are read is called.
const READERS: &str = "readers";

/// What stands in a URL's path as it is.
const IN_A_PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Outputs as objects, whose locations are their public URLs.
pub struct Bucket {
    store: Arc<dyn ObjectStore>,
    /// Before every key, with its slash; empty or not.
    prefix: String,
    /// Where readers find the bucket, without a slash at the end.
    public_url: String,
    backend: Backend,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.public_url, self.prefix)
    }
}

impl Bucket {
    /// The bucket that an address such as `s3://BUCKET/PREFIX` names. Endpoint, region and credentials are taken from
    /// `variables` by the names that the vendor's own programs use, `AWS_…`, `GOOGLE_…` and `AZURE_…`; others are
    /// passed over. `?public_url=URL` names another place where readers find the bucket. Nothing is asked of it yet.
    ///
    /// # Errors
    /// `config.invalid`.
    pub fn open(address: &str, variables: &[(String, String)], trust: &Trust) -> Result<Self, Fault> {
        let backend = Backend::new(trust);
        let Address { store, prefix, public_url } = address::open(address, variables, &backend)?;
        Ok(Bucket { store, prefix, public_url, backend })
    }

    fn path(&self, key: &str) -> Result<Path, Fault> {
        // `parse` keeps the key as it is, where `from` would write letters such as é as %C3%A9.
        Path::parse(format!("{}{key}", self.prefix)).map_err(|error| {
            Fault::permanent(Code::StoreRejected, format!("'{key}' can't be a key: {error}"))
        })
    }

    fn location(&self, path: &Path) -> String {
        format!("{}/{}", self.public_url, utf8_percent_encode(path.as_ref(), IN_A_PATH))
    }

    /// What whoever is shown a location gets there, without credentials.
    async fn read(&self, location: &str, now: Timestamp) -> Vec<Finding> {
        let told = match Request::get(location).body(Full::default()) {
            Ok(request) => self.backend.send(request).await.map_err(|fault| fault.message),
            Err(error) => Err(format!("{location} is no URL: {error}")),
        };
        let told = match told {
            Ok(response) if response.status().is_success() => {
                let clock = backend::date(response.headers()).map(|theirs| checkup::clock(now, theirs));
                let readable =
                    Finding::well(READERS, format!("everybody can read outputs at {}", self.public_url));
                return clock.into_iter().chain([readable]).collect();
            }
            Ok(response) => format!("{} answers {} to readers", self.public_url, response.status().as_u16()),
            Err(told) => told,
        };
        let advice = "Let everybody read the bucket, or name what readers ask instead by ?public_url=.";
        vec![Finding::doubtful(READERS, told, advice)]
    }

    async fn delete(&self, location: &str) -> Result<(), Fault> {
        let key = location.strip_prefix(&self.public_url).and_then(|rest| rest.strip_prefix('/'));
        let key = key.and_then(|key| percent_decode_str(key).decode_utf8().ok());
        let path = key.and_then(|key| Path::parse(key).ok()).ok_or_else(|| {
            let message = format!("'{location}' is not below {}", self.public_url);
            Fault::permanent(Code::StoreRejected, message)
        })?;
        match self.store.delete(&path).await {
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            deleted => deleted.map_err(|error| fault(&error)),
        }
    }
}

#[async_trait]
impl Diagnose for Bucket {
    async fn diagnose(&self, now: Timestamp) -> Vec<Finding> {
        checkup::round_trip(self, |location: String| async move { self.read(&location, now).await }).await
    }
}

#[async_trait]
impl Storage for Bucket {
    async fn put(&self, key: &str, media_type: &'static str, bytes: Vec<u8>) -> Result<String, Fault> {
        let path = self.path(key)?;
        let attributes = Attributes::from_iter([
            (Attribute::ContentType, media_type),
            (Attribute::CacheControl, CACHE_CONTROL),
        ]);
        let options = PutOptions { attributes, ..PutOptions::default() };
        self.store.put_opts(&path, bytes.into(), options).await.map_err(|error| fault(&error))?;
        Ok(self.location(&path))
    }

    async fn remove(&self, locations: &[String]) -> Result<(), Fault> {
        let locations = stream::iter(locations.iter().cloned().map(Ok));
        locations
            .try_for_each_concurrent(REMOVALS, |location: String| async move { self.delete(&location).await })
            .await
    }

    async fn list(&self, folder: &str) -> Result<Option<Listing>, Fault> {
        let path = self.path(folder)?;
        let found = self.store.list_with_delimiter(Some(&path)).await.map_err(|error| fault(&error))?;
        let key = |path: &Path| path.as_ref().strip_prefix(&self.prefix).map(str::to_owned);
        Ok(Some(Listing {
            folders: found.common_prefixes.iter().filter_map(key).collect(),
            locations: found.objects.iter().map(|object| self.location(&object.location)).collect(),
        }))
    }
}
