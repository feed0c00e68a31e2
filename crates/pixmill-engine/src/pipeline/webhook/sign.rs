//! Signatures as Standard Webhooks has them, one for each secret, so that secrets can be rotated.

use std::borrow::Cow;
use std::collections::BTreeMap;

use standardwebhooks::{HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook};

use crate::model::time::Timestamp;

/// Bytes of a secret, as Standard Webhooks has it: a shorter one can be guessed from a signature.
const LEAST: usize = 24;
const MOST: usize = 64;

/// Signs with one secret, or with two while one takes the other's place.
pub struct Signer(Vec<Webhook>);

impl Signer {
    /// From secrets as they are handed out, `whsec_` and base64, parted by white space.
    ///
    /// # Errors
    /// A sentence on what is allowed; it repeats nothing of the secret.
    pub fn new(secrets: &str) -> Result<Self, String> {
        let signers = secrets.split_whitespace().map(|secret| {
            let encoded =
                secret.strip_prefix("whsec_").filter(|encoded| (LEAST..=MOST).contains(&bytes(encoded)));
            encoded.and_then(|encoded| Webhook::new(encoded).ok())
        });
        let signers: Option<Vec<_>> = signers.collect();
        match signers {
            Some(signers) if !signers.is_empty() => Ok(Signer(signers)),
            _ => Err(format!(
                "allowed are whsec_ and {LEAST} to {MOST} bytes as base64, one or two parted by a space"
            )),
        }
    }

    /// The headers that name and sign an event told at a time.
    pub fn headers(&self, id: &str, at: Timestamp, body: &str) -> Vec<(Cow<'static, str>, String)> {
        let seconds = at.0.div_euclid(1_000);
        let signatures = self
            .0
            .iter()
            .map(|signer| signer.sign(id, seconds, body.as_bytes()).expect("text can be signed"));
        vec![
            (HEADER_WEBHOOK_ID.into(), id.to_owned()),
            (HEADER_WEBHOOK_TIMESTAMP.into(), seconds.to_string()),
            (HEADER_WEBHOOK_SIGNATURE.into(), signatures.collect::<Vec<_>>().join(" ")),
        ]
    }
}

/// The same as those are shown who look at a try later: a signature is for its receiver alone.
pub fn masked(id: &str, at: Timestamp) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        (HEADER_WEBHOOK_ID, id.to_owned()),
        (HEADER_WEBHOOK_TIMESTAMP, at.0.div_euclid(1_000).to_string()),
        (HEADER_WEBHOOK_SIGNATURE, "v1,***".to_owned()),
    ])
}

/// How many bytes base64 stands for.
fn bytes(encoded: &str) -> usize {
    encoded.trim_end_matches('=').len() * 3 / 4
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

    #[test]
    fn the_published_example_is_signed_as_published() {
        let signer = Signer::new(SECRET).unwrap_or_else(|error| panic!("{error}"));
        let body = r#"{"email":"test@example.com","username":"test_user"}"#;
        let headers = signer.headers("msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", Timestamp(1_649_367_553_999), body);
        assert_eq!(headers[1].1, "1649367553");
        assert_eq!(headers[2].1, "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=");
    }

    #[test]
    fn two_secrets_sign_twice() {
        let signer = Signer::new(&format!("{SECRET} whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")).ok().unwrap();
        assert_eq!(signer.headers("id", Timestamp(0), "{}")[2].1.split(' ').count(), 2);
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        let of = |bytes: usize| format!("whsec_{}", "QUFB".repeat(bytes / 3));
        for wrong in ["", " ", "secret", "whsec_", "whsec_%%%", &format!("{SECRET} x"), &of(0)] {
            assert!(Signer::new(wrong).is_err(), "{wrong}");
        }
        let fits: Vec<usize> =
            (1..=99).filter(|bytes| bytes % 3 == 0 && Signer::new(&of(*bytes)).is_ok()).collect();
        assert_eq!((fits[0], *fits.last().unwrap()), (24, 63));
        for short in ["whsec_YQ==", "whsec_YWJjZGU=", &format!("{SECRET} whsec_YQ==")] {
            assert!(Signer::new(short).is_err(), "{short}");
        }
    }
}
