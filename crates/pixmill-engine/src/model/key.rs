//! Keys that clients show: made once, shown once, kept as a hash.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::model::time::Timestamp;

/// What every key begins with, so that scanners of leaked secrets know it.
pub const PREFIX: &str = "pxm_";

/// What a key allows. The more the later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Role {
    /// To look.
    Read,
    /// To hand catalogues in, too, and to do with one's requests what one likes.
    #[default]
    Submit,
    /// To make and revoke keys, too.
    Admin,
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 3] = [Role::Read, Role::Submit, Role::Admin];

    /// As written in records, APIs and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Read => "read",
            Role::Submit => "submit",
            Role::Admin => "admin",
        }
    }

    /// The role written so. One that is not known here, for a newer pixmill wrote it, allows what all allow.
    pub fn parse(text: &str) -> Role {
        Role::ALL.into_iter().find(|role| role.as_str() == text).unwrap_or(Role::Read)
    }
}

/// A key as records keep it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its public id: a UUIDv7, so that later ones sort later.
    pub id: String,
    /// Whose requests it opens.
    pub tenant: String,
    /// What whoever holds it is called.
    pub name: String,
    /// [`hash`] of its secret.
    pub hash: String,
    /// What it allows.
    pub role: Role,
    /// Most calls in a minute; no limit where none is set.
    pub per_minute: Option<u32>,
    /// When it was made.
    pub created: Timestamp,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
}

impl Key {
    /// The key in words, without anything secret.
    pub fn told(&self) -> String {
        let name = if self.name.is_empty() { "a key" } else { &self.name };
        let calls = self.per_minute.map(|calls| format!(", {calls} calls a minute")).unwrap_or_default();
        format!("{name} of tenant {}, role {}{calls}", self.tenant, self.role.as_str())
    }
}

/// A key that was just made, with its secret.
#[derive(Debug)]
pub struct Made {
    /// As records keep it.
    pub key: Key,
    /// To be shown once.
    pub secret: Secret,
}

impl Made {
    /// Makes one.
    pub fn new(tenant: String, name: String, role: Role, per_minute: Option<u32>, now: Timestamp) -> Self {
        let (secret, id) = (Secret::new(), uuid::Uuid::now_v7().to_string());
        let hash = hash(secret.reveal());
        Made { key: Key { id, tenant, name, hash, role, per_minute, created: now, revoked: None }, secret }
    }
}

/// Whether a tenant may be called so.
///
/// # Errors
/// What is allowed, in a sentence.
pub fn tenant_name(text: &str) -> Result<(), String> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    match text {
        "" => Err("a name is needed".to_owned()),
        text if text.len() <= 64 && text.chars().all(plain) => Ok(()),
        _ => Err("allowed are up to 64 letters, digits, '-', '_' and '.'".to_owned()),
    }
}

/// Whether whoever holds a key may be called so.
///
/// # Errors
/// What is allowed, in a sentence.
pub fn holder_name(text: &str) -> Result<(), String> {
    let fits = text.chars().count() <= 100 && !text.chars().any(char::is_control);
    if fits { Ok(()) } else { Err("allowed are up to 100 characters in one line".to_owned()) }
}

/// A key's secret, to be shown once.
pub struct Secret(String);

impl Secret {
    /// A new one: 244 random bits.
    pub fn new() -> Self {
        let [one, other] = [uuid::Uuid::new_v4(), uuid::Uuid::new_v4()].map(uuid::Uuid::simple);
        Secret(format!("{PREFIX}{one}{other}"))
    }

    /// As its holder shows it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl Default for Secret {
    fn default() -> Self {
        Secret::new()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// SHA-256 of a key's secret, hexadecimal. Secrets are random and long, so that a slow hash would gain nothing.
pub fn hash(secret: &str) -> String {
    Sha256::digest(secret.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_differ_and_do_not_show() {
        let (one, other) = (Secret::new(), Secret::new());
        assert_ne!(one.reveal(), other.reveal());
        assert!(one.reveal().starts_with(PREFIX) && one.reveal().len() == 68);
        assert_eq!(format!("{one:?}"), "***");
        assert_eq!(hash("pxm_a").len(), 64);
        assert_ne!(hash(one.reveal()), hash(other.reveal()));
    }
}
