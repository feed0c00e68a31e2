//! What is known to be secret, and taken out of texts that others wrote too.

use crate::config::options::ServeOptions;
use crate::config::{Said, environment};
use crate::wiring;

/// Shorter ones are words of any text.
const SHORTEST: usize = 5;

/// What secrets that pixmill makes begin with.
const OURS: [&str; 2] = ["whsec_", "pxm_"];

const STARS: &str = "***";

/// Secrets, the longest first: one may be part of another.
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    /// Those that settings hold, the one in the state folder, and those of clouds.
    pub(super) fn of(options: &ServeOptions, said: &[Said]) -> Secrets {
        let kept = wiring::kept_secret(&options.data).into_iter();
        let all = said.iter().flat_map(|said| &said.secrets).cloned();
        Secrets::from(all.chain(kept).chain(environment::secrets_of_clouds()).collect())
    }

    fn from(all: Vec<String>) -> Secrets {
        let mut parts: Vec<String> = all.iter().flat_map(|secret| parts(secret)).collect();
        parts.retain(|part| part.len() >= SHORTEST);
        parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
        parts.dedup();
        Secrets(parts)
    }

    /// The text with stars in their place.
    pub(super) fn taken_out_of(&self, text: &str) -> String {
        let mut text =
            self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), STARS));
        for beginning in OURS {
            text = without(&text, beginning);
        }
        text
    }
}

/// A secret as a whole, and where it is an address the parts of it that are: user, password, what its query says, as they
/// are written and as they are meant.
fn parts(secret: &str) -> Vec<String> {
    let mut parts: Vec<String> = secret.split_whitespace().map(str::to_owned).collect();
    let Some((_, rest)) = secret.split_once("://") else {
        // A header: its value, and what follows the scheme in it.
        let value = secret.split_once(':').map(|(_, value)| value.trim());
        parts.extend(
            value
                .into_iter()
                .flat_map(|value| [value, value.rsplit(' ').next().unwrap_or(value)])
                .map(str::to_owned),
        );
        return parts;
    };
    if let Some((user, _)) = rest.rsplit_once('@') {
        parts.extend(user.split(':').map(str::to_owned));
        parts.push(user.to_owned());
    }
    let query = rest.split_once(['?', '#']).map_or("", |(_, query)| query);
    parts.extend(query.split(['&', '#']).filter_map(|pair| Some(pair.split_once('=')?.1.to_owned())));
    let meant = |part: &String| percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned();
    let meant: Vec<_> = parts.iter().map(meant).collect();
    parts.extend(meant);
    parts
}

/// The text without what follows such a beginning.
fn without(text: &str, beginning: &str) -> String {
    let mut pieces = text.split(beginning);
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let of_it = |sign: char| sign.is_ascii_alphanumeric() || matches!(sign, '+' | '/' | '=' | '-' | '_');
        plain.push_str(beginning);
        plain.push_str(STARS);
        plain.push_str(piece.trim_start_matches(of_it).trim_start_matches(STARS));
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_found_wherever_they_stand() {
        let secrets = Secrets::from(vec![
            "redis://user:pa%24%24word@cache:6379".into(),
            "mongodb://db/shop?authSource=x&tlsCertificateKeyFilePassword=key-password".into(),
            "Authorization: Bearer abcdefgh".into(),
            "whsec_AAAA whsec_BBBB".into(),
        ]);
        let text = "pa$$word pa%24%24word key-password abcdefgh whsec_AAAA pxm_0123-45 whsec_CCCC+/= cache";
        assert_eq!(secrets.taken_out_of(text), "*** *** *** *** *** pxm_*** whsec_*** cache");
    }

    #[test]
    fn words_that_are_no_secrets_stay() {
        let secrets = Secrets::from(vec!["redis://cache:6379".into(), "cloudinary://a:b@shop".into()]);
        assert_eq!(secrets.taken_out_of("a cache, b shop"), "a cache, b shop");
    }
}
