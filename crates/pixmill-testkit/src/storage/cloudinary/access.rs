//! Who may change an account's assets: whoever signs with its secret.

use std::collections::BTreeMap;
use std::fmt::Write;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use hyper::Request;
use hyper::header::AUTHORIZATION;
use sha1::Digest;

use super::Refusal;

/// A request is taken for so long after it was signed, seconds.
const STALE_AFTER: u64 = 3_600;

/// Checks a signed form as the vendor does: every field but these, sorted by name, then the secret.
pub(super) fn authorise(
    fields: &BTreeMap<String, String>,
    key: &str,
    secret: &str,
    now: u64,
) -> Result<(), Refusal> {
    let field =
        |name: &str| fields.get(name).ok_or_else(|| (400, format!("Missing required parameter - {name}")));
    if field("api_key")? != key {
        return Err((401, format!("Unknown API key {}", field("api_key")?)));
    }
    let signed = signed(fields);
    let signature = field("signature")?;
    let expected = match signature.len() {
        64 => hexadecimal(&sha2::Sha256::digest(format!("{signed}{secret}"))),
        _ => sha1(&format!("{signed}{secret}")),
    };
    if *signature != expected {
        return Err((401, format!("Invalid Signature {signature}. String to sign - '{signed}'.")));
    }
    let then: u64 = field("timestamp")?.parse().unwrap_or_default();
    if then + STALE_AFTER < now {
        return Err((400, format!("Stale request - reported time is {then} which is more than 1 hour ago")));
    }
    Ok(())
}

fn signed(fields: &BTreeMap<String, String>) -> String {
    let unsigned = ["api_key", "cloud_name", "file", "resource_type", "signature"];
    let signed =
        fields.iter().filter(|(name, value)| !unsigned.contains(&name.as_str()) && !value.is_empty());
    signed.map(|(name, value)| format!("{name}={}", value.replace('&', "%26"))).collect::<Vec<_>>().join("&")
}

/// Whether a request bears key and secret themselves (RFC 7617), as those to the admin API do.
pub(super) fn is_owner(request: &Request<Bytes>, key: &str, secret: &str) -> bool {
    let told = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    told == format!("Basic {}", BASE64_STANDARD.encode(format!("{key}:{secret}")))
}

/// A text's SHA-1, hexadecimal.
pub(super) fn sha1(text: &str) -> String {
    hexadecimal(&sha1::Sha1::digest(text))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
