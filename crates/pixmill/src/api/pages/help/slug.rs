//! What links call a heading, as GitHub and mdBook name it. The build script reads this file too.

use std::collections::HashMap;

/// The names of one page's headings.
#[derive(Debug, Default)]
pub(crate) struct Slugs(HashMap<String, usize>);

impl Slugs {
    /// The name of the next heading: one that says the same as an earlier one has a number.
    pub(crate) fn of(&mut self, heading: &str) -> String {
        let plain: String = heading
            .trim()
            .chars()
            .filter_map(|letter| match letter {
                letter if letter.is_whitespace() => Some('-'),
                letter if letter.is_alphanumeric() || matches!(letter, '-' | '_') => Some(letter),
                _ => None,
            })
            .flat_map(char::to_lowercase)
            .collect();
        let before = self.0.entry(plain.clone()).or_default();
        *before += 1;
        if *before == 1 { plain } else { format!("{plain}-{}", *before - 1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_are_called_as_elsewhere() {
        let mut slugs = Slugs::default();
        for (heading, slug) in [
            ("5. Back", "5-back"),
            ("fetch.status", "fetchstatus"),
            ("GET /v1/requests/{id}", "get-v1requestsid"),
            ("`pixmill` in a request", "pixmill-in-a-request"),
            ("Back", "back"),
            ("Back", "back-1"),
        ] {
            assert_eq!(slugs.of(heading), slug);
        }
    }
}
