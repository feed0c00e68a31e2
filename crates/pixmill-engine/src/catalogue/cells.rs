//! A row's fields as one CSV record (RFC 4180, commas, no line end): how original columns are kept.

/// Fields as one record.
pub fn record<'f>(fields: impl IntoIterator<Item = &'f str>) -> String {
    let mut record = String::new();
    for (index, field) in fields.into_iter().enumerate() {
        push_field(&mut record, index == 0, field);
    }
    record
}

/// The fields of a record that [`record`] wrote.
pub fn fields(record: &str) -> Vec<String> {
    let (mut fields, mut rest) = (Vec::new(), Some(record));
    while let Some(text) = rest {
        let mut quoted = false;
        let end = text.char_indices().find_map(|(at, letter)| {
            quoted ^= letter == '"';
            (letter == ',' && !quoted).then_some(at)
        });
        let field = &text[..end.unwrap_or(text.len())];
        rest = end.map(|end| &text[end + 1..]);
        let bare = field.strip_prefix('"').and_then(|field| field.strip_suffix('"'));
        fields.push(bare.map_or_else(|| field.to_owned(), |bare| bare.replace("\"\"", "\"")));
    }
    fields
}

/// Appends one field to a record, after a comma unless it is the first.
pub(super) fn push_field(record: &mut String, first: bool, field: &str) {
    if !first {
        record.push(',');
    }
    if !needs_quotes(field) {
        record.push_str(field);
        return;
    }
    record.push('"');
    for (index, part) in field.split('"').enumerate() {
        if index > 0 {
            record.push_str("\"\"");
        }
        record.push_str(part);
    }
    record.push('"');
}

/// Whether a byte may be part of what needs quotes: control bytes, `"`, and the first bytes of U+0085, U+2028
/// and U+2029. The delimiter is not among them.
pub(super) fn is_suspect(byte: u8) -> bool {
    (byte < 0x20 && byte != b'\t') | (byte == b'"') | (byte == 0xC2) | (byte == 0xE2)
}

/// Beside what RFC 4180 wants quoted, everything that some reader takes for a line end: vertical tabs, form
/// feeds, separators of C0, U+0085, U+2028 and U+2029 (Python's `splitlines` does).
fn needs_quotes(field: &str) -> bool {
    if !field.bytes().fold(false, |found, byte| found | is_suspect(byte) | (byte == b',')) {
        return false;
    }
    field
        .chars()
        .any(|c| matches!(c, ',' | '"' | '\u{85}' | '\u{2028}' | '\u{2029}') || (c < ' ' && c != '\t'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_back() {
        for written in [&["1", "", "a,b", "say \"x\"", "line\nend"][..], &[""], &["\"", "\",\""]] {
            assert_eq!(fields(&record(written.iter().copied())), written);
        }
    }

    #[test]
    fn plain_fields_stay_bare() {
        assert_eq!(
            record(["1", "", " Tasse à café ☕ ", "=1+1", "a;b\tc|d"]),
            "1,, Tasse à café ☕ ,=1+1,a;b\tc|d"
        );
    }

    #[test]
    fn whatever_may_part_fields_or_lines_is_quoted() {
        assert_eq!(record(["a,b", "5\" tall"]), "\"a,b\",\"5\"\" tall\"");
        assert_eq!(record(["a\nb", "a\rb"]), "\"a\nb\",\"a\rb\"");
        for c in ['\u{b}', '\u{c}', '\u{1c}', '\u{1e}', '\u{85}', '\u{2028}', '\u{2029}'] {
            assert_eq!(record([format!("a{c}b").as_str()]), format!("\"a{c}b\""));
        }
        assert_eq!(record(["a–b", "a\u{a0}b"]), "a–b,a\u{a0}b", "neighbours of these are not");
    }
}
