//! Values that hold secrets, and how they are shown: with `***` in their place.

use std::fmt;

/// Settings whose values hold secrets, as `pixmill.toml` names them.
const HOLDING: [&str; 11] = [
    "api_key",
    "database",
    "header",
    "metrics_token",
    "proxy",
    "queue",
    "redis",
    "storage",
    "webhook",
    "webhook_secret",
    "webhook_url",
];

/// What is shown of a value of this setting.
pub(super) fn shown(name: &str, value: &str) -> String {
    match name {
        "webhook_secret" | "api_key" | "header" | "metrics_token" => "***".to_owned(),
        name if HOLDING.contains(&name) => masked(value),
        _ => value.to_owned(),
    }
}

/// Whether values of this setting are shown otherwise than they are.
pub(super) fn holds_secrets(name: &str) -> bool {
    HOLDING.contains(&name)
}

/// An address without user, password and query, which is where secrets are. Nobody who forgot to encode a password's
/// signs finds half of it in a log: everything up to the last `@` counts as one.
pub(super) fn masked(address: &str) -> String {
    let (scheme, rest) = match address.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), address),
    };
    let (user, place) = match rest.rsplit_once('@') {
        Some((_, place)) => ("***@", place),
        None => ("", rest),
    };
    let place = place.split(['?', '#']).next().unwrap_or_default();
    format!("{scheme}{user}{place}")
}

/// A secret as a whole, which never shows.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// As it was set: for the one that it is meant for.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Secret(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The address of a backend, whose secrets never show.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Address(String);

impl Address {
    /// As it was set, secrets included: for the client that connects.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Address {
    fn from(text: &str) -> Self {
        Address(text.to_owned())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&masked(&self.0))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_show_as_stars() {
        for (address, shown) in [
            ("redis://:secret@cache:6379/2", "redis://***@cache:6379/2"),
            ("mongodb://user:se/cr@t@a:1,b:2/shop?authSource=x", "mongodb://***@a:1,b:2/shop"),
            ("cloudinary://key:secret@cloud?upload_prefix=http://h", "cloudinary://***@cloud"),
            ("redis://cache?password=secret", "redis://cache"),
            ("sqlite:pixmill-data/pixmill.db", "sqlite:pixmill-data/pixmill.db"),
        ] {
            assert_eq!(Address::from(address).to_string(), shown);
            assert_eq!(format!("{:?}", Address::from(address)), shown);
        }
        assert_eq!(shown("webhook_secret", "whsec_c2VjcmV0"), "***");
        assert_eq!(shown("quality", "40"), "40");
    }
}
