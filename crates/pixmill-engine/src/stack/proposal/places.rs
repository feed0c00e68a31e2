//! Finds addresses in a value.

use serde_json::Value;

/// Where addresses are, however many of them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Place {
    /// Names of fields up to each list on the way.
    pub(super) lists: Vec<Vec<String>>,
    /// Names of fields from the last list on.
    rest: Vec<String>,
    /// How many there are.
    pub(super) count: usize,
}

impl Place {
    /// The path to a list, from the one before.
    pub(super) fn list(&self, number: usize) -> String {
        let names = self.lists.get(number).map(Vec::as_slice).unwrap_or_default();
        format!("{}[*]", path(names))
    }

    /// The path to an address in the innermost list, where that is so deep; of lists that are deeper still, all of it.
    pub(super) fn path(&self, depth: usize) -> String {
        let deeper = self.lists.iter().skip(depth).map(|names| format!("{}[*]", &path(names)[1..]));
        format!("${}{}", deeper.collect::<String>(), &path(&self.rest)[1..])
    }

    /// The first field on the way.
    pub(super) fn field(&self) -> String {
        self.names().next().cloned().unwrap_or_default()
    }

    fn names(&self) -> impl Iterator<Item = &String> {
        self.lists.iter().flatten().chain(&self.rest)
    }

    fn says(&self, words: &[&str]) -> bool {
        self.names().any(|name| words.iter().any(|word| name.to_ascii_lowercase().contains(word)))
    }

    /// Whether a name on the way says that these are outputs, or no pictures at all.
    pub(super) fn says_output(&self) -> bool {
        self.says(&["output", "webhook", "callback", "result", "processed"])
    }

    pub(super) fn says_input(&self) -> bool {
        self.says(&["input", "image", "url", "source"])
    }
}

fn path(names: &[String]) -> String {
    let plain = |name: &String| name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    let parts = names.iter().map(|name| match plain(name) {
        true => format!(".{name}"),
        false => format!("['{}']", name.replace('\'', "\\'")),
    });
    format!("${}", parts.collect::<String>())
}

/// All places of addresses, in the order in which they come.
pub(super) fn places(value: &Value) -> Vec<Place> {
    let mut found = Vec::new();
    go(value, &mut Place { lists: Vec::new(), rest: Vec::new(), count: 1 }, &mut found);
    found
}

fn go(value: &Value, at: &mut Place, found: &mut Vec<Place>) {
    match value {
        Value::String(text) if is_address(text) => {
            match found.iter_mut().find(|place| place.lists == at.lists && place.rest == at.rest) {
                Some(place) => place.count += 1,
                None => found.push(at.clone()),
            }
        }
        Value::Array(list) => {
            let mut within = at.clone();
            within.lists.push(std::mem::take(&mut within.rest));
            list.iter().for_each(|one| go(one, &mut within, found));
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                at.rest.push(name.clone());
                go(value, at, found);
                at.rest.pop();
            }
        }
        _ => {}
    }
}

pub(super) fn is_address(text: &str) -> bool {
    let text = text.trim().to_ascii_lowercase();
    text.starts_with("http://") || text.starts_with("https://")
}
