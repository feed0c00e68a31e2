//! Which account outputs go to, and proof that they come from its owner.

use std::fmt::{self, Write};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::header::HeaderValue;
use percent_encoding::percent_decode_str;
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use ring::digest::{self, Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use url::{ParseError, Url};

/// Where the vendor is asked, unless the address says otherwise.
const UPLOAD_PREFIX: &str = "https://api.cloudinary.com";

/// An account, with its secret.
pub(super) struct Account {
    cloud: String,
    key: String,
    secret: String,
    upload_prefix: String,
    algorithm: &'static Algorithm,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cloudinary://{}:***@{}", self.key, self.cloud)
    }
}

impl Account {
    /// Reads `cloudinary://KEY:SECRET@CLOUD[?upload_prefix=URL&signature_algorithm=sha1|sha256]`. Other settings of
    /// the vendor's libraries are passed over: they are about what those libraries do.
    ///
    /// # Errors
    /// `config.invalid`, without the secret.
    pub(super) fn parse(address: &str) -> Result<Self, Fault> {
        let url = Url::parse(address).map_err(|error| match error {
            // Who is there but no host.
            ParseError::EmptyHost => invalid("names no cloud"),
            _ => invalid("is no URL"),
        })?;
        if url.scheme() != "cloudinary" {
            return Err(invalid("begins with another scheme"));
        }
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let mut account = Account {
            cloud: url.host_str().map(decoded).unwrap_or_default(),
            key: decoded(url.username()),
            secret: url.password().map(decoded).unwrap_or_default(),
            upload_prefix: UPLOAD_PREFIX.to_owned(),
            algorithm: &SHA1_FOR_LEGACY_USE_ONLY,
        };
        for (part, name) in [(&account.key, "key"), (&account.secret, "secret"), (&account.cloud, "cloud")] {
            if part.is_empty() {
                return Err(invalid(&format!("names no {name}")));
            }
        }
        for (name, value) in url.query_pairs() {
            match (name.as_ref(), value.as_ref()) {
                ("upload_prefix", prefix) => account.upload_prefix = prefix_of(prefix)?,
                ("signature_algorithm", "sha1") => account.algorithm = &SHA1_FOR_LEGACY_USE_ONLY,
                ("signature_algorithm", "sha256") => account.algorithm = &SHA256,
                ("signature_algorithm", other) => {
                    return Err(invalid(&format!("names signature_algorithm '{other}', not sha1 or sha256")));
                }
                _ => {}
            }
        }
        Ok(account)
    }

    /// Where `action` is asked for.
    pub(super) fn url(&self, action: &str) -> String {
        format!("{}/v1_1/{}/image/{action}", self.upload_prefix, self.cloud)
    }

    /// Where the admin API is asked for nothing, and with what (RFC 7617).
    pub(super) fn ping(&self) -> (String, Option<HeaderValue>) {
        let credentials = BASE64_STANDARD.encode(format!("{}:{}", self.key, self.secret));
        let mut credentials = HeaderValue::from_str(&format!("Basic {credentials}")).ok();
        credentials.iter_mut().for_each(|value| value.set_sensitive(true));
        (format!("{}/v1_1/{}/ping", self.upload_prefix, self.cloud), credentials)
    }

    /// The fields, which must be sorted by name and hold no `&`, with the time (seconds since 1970), the key and the
    /// signature. The key is not signed.
    pub(super) fn signed(&self, fields: &[(&str, &str)], now: u64) -> Vec<(String, String)> {
        debug_assert!(fields.is_sorted_by_key(|(name, _)| *name), "the vendor sorts before it signs");
        let mut fields: Vec<_> =
            fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        fields.push(("timestamp".to_owned(), now.to_string()));
        let told: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let signature = self.digest(&(told.join("&") + &self.secret));
        fields.push(("api_key".to_owned(), self.key.clone()));
        fields.push(("signature".to_owned(), signature));
        fields
    }

    fn digest(&self, text: &str) -> String {
        let digest = digest::digest(self.algorithm, text.as_bytes());
        digest.as_ref().iter().fold(String::new(), |mut hexadecimal, byte| {
            let _ = write!(hexadecimal, "{byte:02x}");
            hexadecimal
        })
    }
}

fn prefix_of(value: &str) -> Result<String, Fault> {
    match Url::parse(value) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(value.trim_end_matches('/').to_owned()),
        _ => Err(invalid(&format!("names upload_prefix '{value}', which is no http or https URL"))),
    }
}

fn invalid(what: &str) -> Fault {
    let message = format!(
        "The storage address {what}; it should be cloudinary://KEY:SECRET@CLOUD, as Cloudinary's console shows it"
    );
    Fault::permanent(Code::ConfigInvalid, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(address: &str) -> String {
        Account::parse(address).expect_err(address).message
    }

    /// The example of the vendor's documentation.
    #[test]
    fn requests_are_signed_as_the_vendor_prescribes() {
        let signature = |address: &str| {
            let account = Account::parse(address).unwrap();
            let fields = [("eager", "w_400,h_300,c_pad|w_260,h_200,c_crop"), ("public_id", "sample_image")];
            account.signed(&fields, 1_315_060_510).pop().unwrap().1
        };
        assert_eq!(signature("cloudinary://1234:abcd@demo"), "bfd09f95f331f558cbd1320e67aa8d488770583e");
        assert_eq!(
            signature("cloudinary://1234:abcd@demo?signature_algorithm=sha256"),
            "cc927e1290f9e3ae4c1a741eda21a4630b4ce80f9ce0bc0296337d25cf40f91e"
        );
    }

    #[test]
    fn settings_of_the_vendors_libraries_are_taken_or_passed_over() {
        let account = Account::parse(
            "cloudinary://k:s%2Fx@Cloud-1?secure=true&upload_prefix=https%3A%2F%2Fapi-eu.cloudinary.com/&cname=a",
        )
        .unwrap();
        assert_eq!(account.url("upload"), "https://api-eu.cloudinary.com/v1_1/Cloud-1/image/upload");
        assert_eq!(account.secret, "s/x");
        let plain = Account::parse("cloudinary://k:s@demo").unwrap();
        assert_eq!(plain.url("destroy"), "https://api.cloudinary.com/v1_1/demo/image/destroy");
    }

    #[test]
    fn what_is_wrong_with_an_address_is_told_without_the_secret() {
        assert!(complaint("cloudinary://key:hush@").contains("no cloud"));
        assert!(complaint("cloudinary://:hush@demo").contains("no key"));
        assert!(complaint("cloudinary://key@demo").contains("no secret"));
        assert!(complaint("https://key:hush@demo").contains("scheme"));
        assert!(complaint("hush").contains("no URL"));
        assert!(complaint("cloudinary://key:hush@demo?signature_algorithm=md5").contains("'md5'"));
        assert!(complaint("cloudinary://key:hush@demo?upload_prefix=here").contains("'here'"));
        for address in ["cloudinary://key:hush@", "cloudinary://:hush@demo", "https://key:hush@demo", "hush"]
        {
            assert!(!complaint(address).contains("hush"), "{address}");
        }
        assert!(!format!("{:?}", Account::parse("cloudinary://key:hush@demo").unwrap()).contains("hush"));
    }
}
