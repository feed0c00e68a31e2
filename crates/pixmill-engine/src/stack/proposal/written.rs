//! A table as a file of settings has it.

use serde_json::{Map, Value};

/// Tables that get a header of their own.
const TABLES: [&str; 4] = ["documents", "request", "csv", "write"];

/// As TOML.
pub fn toml(table: &Value) -> String {
    let empty = Map::new();
    let fields = table.as_object().unwrap_or(&empty);
    let mut text = "[[stack]]\n".to_owned();
    let (tables, values): (Vec<_>, Vec<_>) =
        fields.iter().partition(|(name, _)| TABLES.contains(&name.as_str()));
    for (name, value) in values {
        text.push_str(&format!("{} = {}\n", key(name), inline(value)));
    }
    for (name, value) in tables {
        let (header, list) = match value {
            Value::Array(list) => (format!("[[stack.{name}]]"), list.iter().collect()),
            value => (format!("[stack.{name}]"), vec![value]),
        };
        for one in list {
            text.push_str(&format!("\n{header}\n"));
            for (name, value) in one.as_object().unwrap_or(&empty) {
                text.push_str(&format!("{} = {}\n", key(name), inline(value)));
            }
        }
    }
    text
}

fn key(name: &str) -> String {
    let bare = !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if bare { name.to_owned() } else { quoted(name) }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn inline(value: &Value) -> String {
    match value {
        Value::Array(list) => format!("[{}]", list.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) if fields.is_empty() => "{}".to_owned(),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| format!("{} = {}", key(name), inline(value)));
            format!("{{ {} }}", fields.collect::<Vec<_>>().join(", "))
        }
        Value::String(text) => quoted(text),
        other => other.to_string(),
    }
}
