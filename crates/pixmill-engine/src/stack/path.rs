//! Paths within documents, as RFC 9535 has them.

use serde_json_path::JsonPath;

/// A path as RFC 9535 writes it.
pub(super) fn parsed(text: &str) -> Result<JsonPath, String> {
    JsonPath::parse(text)
        .map_err(|error| format!("'{text}' is not a JSONPath (RFC 9535), such as $.images[*].url: {error}"))
}

/// The field of a document at which a path begins.
pub(super) fn first_field(path: &JsonPath) -> Option<String> {
    let path = path.to_string();
    let rest = path.strip_prefix("$.").or_else(|| path.strip_prefix("$['"))?;
    let end = rest.find(['.', '[', '\'']).unwrap_or(rest.len());
    Some(rest[..end].to_owned()).filter(|field| !field.is_empty() && !field.contains('*'))
}
