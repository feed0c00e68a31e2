//! A stand-in for Cloudinary: its upload API and its delivery, as its own libraries and ours need them.
//!
//! It checks signatures, keeps assets in memory, and gathers chunks under the vendor's rules. Addresses are http, for
//! it has no certificate, and a folder is a part of the public id. It knows no transformations and fetches nothing.

mod access;
mod form;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Value, json};

use self::form::Form;
use super::standin::{Running, StandIn};

/// What stands in a delivery address as it is.
const IN_AN_ADDRESS: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Chunks but the last must be larger, bytes.
const CHUNK_MIN: usize = 5_000_000;

/// An account with its assets.
#[derive(Debug)]
pub struct Cloudinary {
    cloud: String,
    key: String,
    secret: String,
    largest: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    assets: BTreeMap<String, Asset>,
    /// Chunks gathered so far, by upload.
    uploads: BTreeMap<String, Vec<u8>>,
}

/// A stored picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asset {
    /// Its bytes.
    pub bytes: Bytes,
    /// When it was last stored, seconds since 1970.
    pub version: u64,
    /// The extension of its format.
    pub format: &'static str,
    /// How often it was stored.
    pub uploads: u64,
}

/// A refusal: status and sentence.
type Refusal = (u16, String);

impl Cloudinary {
    /// The secret of the account that [`Cloudinary::start`] makes.
    pub const SECRET: &str = "well-kept-secret";

    /// Starts an account that takes pictures of up to 100 MB.
    ///
    /// # Errors
    /// Those of [`Running::start`].
    pub fn start() -> io::Result<Running<Cloudinary>> {
        Self::start_for(100_000_000)
    }

    /// Starts an account that takes pictures of up to so many bytes.
    ///
    /// # Errors
    /// Those of [`Running::start`].
    pub fn start_for(largest: usize) -> io::Result<Running<Cloudinary>> {
        Running::start(Cloudinary {
            cloud: "demo".to_owned(),
            key: "123456789012345".to_owned(),
            secret: Self::SECRET.to_owned(),
            largest,
            state: Mutex::default(),
        })
    }

    /// All assets, by public id.
    pub fn assets(&self) -> BTreeMap<String, Asset> {
        self.state().assets.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, cloud: &str, action: &str, request: &Request<Bytes>) -> Result<Value, Refusal> {
        if cloud != self.cloud {
            return Err((401, format!("Invalid cloud_name {cloud}")));
        }
        let form = Form::read(request).map_err(|reason| (400, reason))?;
        access::authorise(&form.fields, &self.key, &self.secret, now())?;
        match action {
            "upload" => self.upload(form, request),
            "destroy" => Ok(self.destroy(&form.fields)),
            _ => Err((404, "Not found".to_owned())),
        }
    }

    fn upload(&self, form: Form, request: &Request<Bytes>) -> Result<Value, Refusal> {
        let file = form.file.ok_or((400, "Missing required parameter - file".to_owned()))?;
        let Some(file) = self.gather(file, request)? else { return Ok(json!({ "done": false })) };
        if file.len() > self.largest {
            let told = format!("File size too large. Got {}. Maximum is {}.", file.len(), self.largest);
            return Err((400, told));
        }
        let format = format_of(&file).ok_or((400, "Invalid image file".to_owned()))?;
        let field = |name: &str| form.fields.get(name).map(String::as_str).unwrap_or_default();
        let name = match field("public_id") {
            "" => format!("unnamed-{}", self.state().assets.len()),
            given => given.to_owned(),
        };
        let folder = field("folder").trim_matches('/');
        let public_id = if folder.is_empty() { name } else { format!("{folder}/{name}") };
        if public_id.contains(['?', '&', '#', '\\', '%', '<', '>', '+']) || public_id.ends_with('/') {
            return Err((400, format!("public_id ({public_id}) is invalid")));
        }
        let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let old = self.state().assets.get(&public_id).cloned();
        let kept = matches!(field("overwrite"), "false" | "0");
        let (asset, existing) = match old {
            Some(old) if kept => (old, true),
            old => {
                let uploads = old.map_or(0, |old| old.uploads) + 1;
                (Asset { bytes: file, version: now(), format, uploads }, false)
            }
        };
        self.state().assets.insert(public_id.clone(), asset.clone());
        Ok(self.told(host, &public_id, &asset, existing))
    }

    /// The whole file, once its last chunk has come.
    fn gather(&self, file: Bytes, request: &Request<Bytes>) -> Result<Option<Bytes>, Refusal> {
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
        let (Some(upload), Some(range)) = (header("x-unique-upload-id"), header("content-range")) else {
            return Ok(Some(file));
        };
        let wrong = |reason: &str| (400, format!("Content-Range {range}: {reason}"));
        let (first, last, total) = form::range(range).ok_or_else(|| wrong("can't be read"))?;
        let mut state = self.state();
        let gathered = state.uploads.entry(upload.to_owned()).or_default();
        if first != gathered.len() || last + 1 != first + file.len() {
            return Err(wrong("does not follow what came before"));
        }
        gathered.extend_from_slice(&file);
        // Whoever doesn't know the whole length until the end says -1 until then.
        if total != Some(gathered.len()) {
            return if file.len() > CHUNK_MIN { Ok(None) } else { Err(wrong("the chunk is too small")) };
        }
        Ok(state.uploads.remove(upload).map(Bytes::from))
    }

    fn told(&self, host: &str, public_id: &str, asset: &Asset, existing: bool) -> Value {
        let path = utf8_percent_encode(public_id, IN_AN_ADDRESS);
        let url =
            format!("http://{host}/{}/image/upload/v{}/{path}.{}", self.cloud, asset.version, asset.format);
        json!({
            "asset_id": access::sha1(public_id),
            "public_id": public_id,
            "version": asset.version,
            "signature": access::sha1(&format!("public_id={public_id}&version={}{}", asset.version, self.secret)),
            "format": asset.format,
            "resource_type": "image",
            "type": "upload",
            "bytes": asset.bytes.len(),
            "overwritten": asset.uploads > 1,
            "existing": existing,
            "url": url,
            "secure_url": url,
        })
    }

    fn destroy(&self, fields: &BTreeMap<String, String>) -> Value {
        let public_id = fields.get("public_id").map(String::as_str).unwrap_or_default();
        match self.state().assets.remove(public_id) {
            Some(_) => json!({ "result": "ok" }),
            None => json!({ "result": "not found" }),
        }
    }

    /// The asset at `[vVERSION/]PUBLIC_ID.FORMAT`, unless it is older than that.
    fn delivered(&self, path: &str) -> Option<Asset> {
        let (version, path) = match path.strip_prefix('v').and_then(|rest| rest.split_once('/')) {
            Some((version, path)) if version.bytes().all(|b| b.is_ascii_digit()) => {
                (version.parse().ok()?, path)
            }
            _ => (0, path),
        };
        let (public_id, format) = path.rsplit_once('.')?;
        let public_id = percent_decode_str(public_id).decode_utf8().ok()?;
        let asset = self.state().assets.get(public_id.as_ref()).cloned()?;
        (asset.format == format && asset.version >= version).then_some(asset)
    }
}

impl Running<Cloudinary> {
    /// The address that configures a client for it.
    pub fn address(&self) -> String {
        let Cloudinary { cloud, key, secret, .. } = self.service();
        format!("cloudinary://{key}:{secret}@{cloud}?upload_prefix={}", self.url(""))
    }
}

impl StandIn for Cloudinary {
    fn answer(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let path = request.uri().path();
        let segments: Vec<_> = path.trim_start_matches('/').splitn(4, '/').collect();
        let delivery = format!("/{}/image/upload/", self.cloud);
        match (request.method(), segments.as_slice()) {
            (&Method::POST, ["v1_1", cloud, "image" | "auto", action]) => {
                match self.change(cloud, action, request) {
                    Ok(told) => json_answer(200, &told),
                    Err((status, message)) => refused(status, &message),
                }
            }
            (&Method::GET, ["v1_1", cloud, "ping"]) if access::is_owner(request, &self.key, &self.secret) => {
                if *cloud == self.cloud {
                    json_answer(200, &json!({ "status": "ok" }))
                } else {
                    refused(401, "cloud_name mismatch")
                }
            }
            (&Method::GET, ["v1_1", ..]) => refused(401, "Invalid credentials"),
            (&Method::GET, _) => match path.strip_prefix(&delivery).and_then(|path| self.delivered(path)) {
                Some(asset) => Response::builder()
                    .header(CONTENT_TYPE, media_type(asset.format))
                    .body(asset.bytes)
                    .expect("the header exists"),
                None => refused(404, "Resource not found"),
            },
            _ => refused(404, "Not found"),
        }
    }
}

fn json_answer(status: u16, told: &Value) -> Response<Bytes> {
    Response::builder()
        .status(status)
        .header(CONTENT_TYPE, "application/json; charset=utf-8")
        .body(told.to_string().into())
        .expect("the status and the header exist")
}

fn refused(status: u16, message: &str) -> Response<Bytes> {
    json_answer(status, &json!({ "error": { "message": message } }))
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// The extension of a picture's format, by its first bytes.
fn format_of(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xFF, 0xD8, 0xFF, ..] => Some("jpg"),
        [0x89, b'P', b'N', b'G', ..] => Some("png"),
        [b'G', b'I', b'F', b'8', ..] => Some("gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("webp"),
        [_, _, _, _, b'f', b't', b'y', b'p', b'a', b'v', b'i', b'f', ..] => Some("avif"),
        _ => None,
    }
}

fn media_type(format: &str) -> &'static str {
    match format {
        "jpg" => "image/jpeg",
        "png" => "image/png",
        "gif" => "image/gif",
        "webp" => "image/webp",
        _ => "image/avif",
    }
}
