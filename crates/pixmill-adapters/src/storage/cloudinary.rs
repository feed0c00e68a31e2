//! Storage `cloudinary://`: outputs uploaded to Cloudinary.
//!
//! An output's public id is its key without the extension, so that trying again overwrites the same asset, also after
//! a connection that was cut once the asset was stored. Its location is the `secure_url` of the answer, which differs
//! from upload to upload in its version; every version shows the asset's last bytes.

mod account;
mod answer;
mod form;

use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{TryStreamExt, stream};
use http_body_util::Full;
use hyper::Request;
use hyper::header::{AUTHORIZATION, CONTENT_RANGE, CONTENT_TYPE};
use percent_encoding::percent_decode_str;
use pixmill_engine::checkup::{self, Diagnose, Finding};
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::storage::Storage;
use serde_json::Value;
use uuid::Uuid;

use self::account::Account;
use self::form::{File, Form};
use crate::net::backend::{self, Backend};
use crate::net::trust::Trust;

/// Larger outputs are sent in chunks of so many bytes. The vendor's own libraries do the same; chunks but the last
/// must be larger than 5 MB.
const CHUNK: usize = 20_000_000;

/// Outputs that are removed at a time.
const REMOVALS: usize = 8;

/// What a look at key and secret is called.
const CREDENTIALS: &str = "credentials";

/// Names the upload that a chunk belongs to.
const UPLOAD_ID: &str = "x-unique-upload-id";

/// Outputs as images of one Cloudinary account.
#[derive(Debug)]
pub struct Cloudinary {
    account: Account,
    backend: Backend,
}

/// Which part of a larger output a chunk is.
struct Part<'a> {
    upload: &'a str,
    first: usize,
    total: usize,
}

impl Cloudinary {
    /// The account that an address such as `cloudinary://KEY:SECRET@CLOUD` names; the vendor's own settings
    /// `upload_prefix` and `signature_algorithm` may follow as a query. Nothing is asked of it yet.
    ///
    /// # Errors
    /// `config.invalid`; the message doesn't hold the secret.
    pub fn open(address: &str, trust: &Trust) -> Result<Self, Fault> {
        Ok(Cloudinary { account: Account::parse(address)?, backend: Backend::new(trust) })
    }

    async fn upload(
        &self,
        (folder, public_id): &(String, String),
        file: File<'_>,
        part: Option<Part<'_>>,
    ) -> Result<Value, Fault> {
        let range = part.as_ref().map(|part| {
            let last = part.first + file.bytes.len() - 1;
            format!("bytes {}-{last}/{}", part.first, part.total)
        });
        let fields = [("folder", folder.as_str()), ("overwrite", "true"), ("public_id", public_id)];
        let mut request = self.request("upload", &fields, Some(file))?;
        if let (Some(part), Some(range)) = (part, range) {
            request.headers_mut().insert(UPLOAD_ID, header(part.upload)?);
            request.headers_mut().insert(CONTENT_RANGE, header(&range)?);
        }
        answer::read(self.backend.send(request).await?)
    }

    async fn upload_in_chunks(&self, place: &(String, String), file: File<'_>) -> Result<Value, Fault> {
        let upload = Uuid::new_v4().to_string();
        let mut answered = Value::Null;
        // One after the other: the first must arrive first and the last last.
        for (number, bytes) in file.bytes.chunks(CHUNK).enumerate() {
            let part = Part { upload: &upload, first: number * CHUNK, total: file.bytes.len() };
            answered = self.upload(place, File { bytes, ..file }, Some(part)).await?;
        }
        Ok(answered)
    }

    /// A signed request for something to be done with an image.
    fn request(
        &self,
        action: &str,
        fields: &[(&str, &str)],
        file: Option<File<'_>>,
    ) -> Result<Request<Full<Bytes>>, Fault> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let form = Form::of(&self.account.signed(fields, now.as_secs()), file);
        Request::post(self.account.url(action))
            .header(CONTENT_TYPE, form.media_type)
            .body(Full::new(form.body))
            .map_err(|error| {
                Fault::permanent(Code::ConfigInvalid, format!("upload_prefix is no URL: {error}"))
            })
    }

    /// Whether key and secret are right, and whether the clocks agree: what is signed too early or late is refused.
    async fn ping(&self, now: Timestamp) -> Result<Vec<Finding>, Fault> {
        let (url, credentials) = self.account.ping();
        let mut request = Request::get(url).body(Full::default()).map_err(|error| {
            Fault::permanent(Code::ConfigInvalid, format!("upload_prefix is no URL: {error}"))
        })?;
        request.headers_mut().extend(credentials.map(|credentials| (AUTHORIZATION, credentials)));
        let response = self.backend.send(request).await?;
        let clock = backend::date(response.headers()).map(|theirs| checkup::clock(now, theirs));
        let credentials = match answer::read(response) {
            Ok(_) => Finding::well(CREDENTIALS, "cloud, key and secret are right"),
            Err(fault) if fault.transient => return Err(fault),
            Err(fault) => {
                let advice =
                    "Copy the address from Cloudinary's console again: cloudinary://KEY:SECRET@CLOUD.";
                Finding::wrong(CREDENTIALS, fault.message, advice)
            }
        };
        Ok(std::iter::once(credentials).chain(clock).collect())
    }

    async fn destroy(&self, location: &str) -> Result<(), Fault> {
        let public_id = public_id(location).ok_or_else(|| {
            let message = format!("'{location}' is not the address of an image at Cloudinary");
            Fault::permanent(Code::StoreRejected, message)
        })?;
        // Whether it was there is not asked; copies at the edge go as well.
        let request = self.request("destroy", &[("invalidate", "true"), ("public_id", &public_id)], None)?;
        answer::read(self.backend.send(request).await?).map(drop)
    }
}

#[async_trait]
impl Diagnose for Cloudinary {
    async fn diagnose(&self, now: Timestamp) -> Vec<Finding> {
        let mut findings = match self.ping(now).await {
            Ok(findings) => findings,
            Err(fault) => return vec![Finding::fault(CREDENTIALS, &fault)],
        };
        findings.extend(checkup::round_trip(self, |_| async { Vec::new() }).await);
        findings
    }
}

#[async_trait]
impl Storage for Cloudinary {
    async fn put(&self, key: &str, media_type: &'static str, bytes: Vec<u8>) -> Result<String, Fault> {
        let (place, file) = (place(key), File { media_type, bytes: &bytes });
        let answered = match bytes.len() {
            0..=CHUNK => self.upload(&place, file, None).await?,
            _ => self.upload_in_chunks(&place, file).await?,
        };
        answered["secure_url"].as_str().map(str::to_owned).ok_or_else(|| {
            let message = "Cloudinary took the output but did not say where it is";
            Fault::transient(Code::StoreUnavailable, message)
        })
    }

    async fn remove(&self, locations: &[String]) -> Result<(), Fault> {
        let locations = stream::iter(locations.iter().cloned().map(Ok));
        locations
            .try_for_each_concurrent(
                REMOVALS,
                |location: String| async move { self.destroy(&location).await },
            )
            .await
    }
}

fn header(value: &str) -> Result<hyper::header::HeaderValue, Fault> {
    value.parse().map_err(|_| Fault::permanent(Code::StoreRejected, format!("'{value}' can't be a header")))
}

/// Folder and public id of a key: the first folder of it, and what follows without the extension, for Cloudinary adds
/// that of the format it finds. Keys may hold `%`, where they escape what an id of somebody else's holds, `.` too; a
/// public id may not.
fn place(key: &str) -> (String, String) {
    let (folder, name) = key.split_once('/').unwrap_or(("", key));
    let public_id = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    (folder.to_owned(), public_id.replace('%', "."))
}

/// The public id, folder and all, in a delivery address: `…/image/upload/v1312461204/FOLDER/NAME.jpg`.
fn public_id(location: &str) -> Option<String> {
    let (_, rest) = location.split_once("/image/upload/")?;
    let rest = match rest.split_once('/') {
        Some((version, rest)) if is_version(version) => rest,
        _ => rest,
    };
    let (public_id, _extension) = rest.rsplit_once('.')?;
    Some(percent_decode_str(public_id).decode_utf8().ok()?.into_owned())
}

fn is_version(segment: &str) -> bool {
    segment
        .strip_prefix('v')
        .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_public_id_without_its_extension() {
        for (key, folder, public_id) in [
            ("processed_images/000001-01-a.jpg", "processed_images", "000001-01-a"),
            ("processed_images/r/2-v1.2.webp", "processed_images", "r/2-v1.2"),
            ("processed_images/%2E%2E%2Fx/1.jpg", "processed_images", ".2E.2E.2Fx/1"),
            ("a.jpg", "", "a"),
        ] {
            assert_eq!(place(key), (folder.to_owned(), public_id.to_owned()), "{key}");
        }
    }

    #[test]
    fn the_public_id_is_found_in_a_delivery_address() {
        for (location, expected) in [
            (
                "https://res.cloudinary.com/demo/image/upload/v1312461204/processed_images/a.jpg",
                "processed_images/a",
            ),
            (
                "https://res.cloudinary.com/demo/image/upload/processed_images/v1.2.png",
                "processed_images/v1.2",
            ),
            ("https://demo-res.cloudinary.com/image/upload/v1/p/caf%C3%A9.avif", "p/café"),
            ("https://pictures.example/image/upload/v1/vases/a.jpg", "vases/a"),
        ] {
            assert_eq!(public_id(location).as_deref(), Some(expected), "{location}");
        }
        for foreign in ["processed_images/000001-01-a.jpg", "https://shop.example/a.jpg", ""] {
            assert_eq!(public_id(foreign), None, "{foreign}");
        }
    }
}
