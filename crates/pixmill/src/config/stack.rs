//! `[[stack]]` tables of the file: the shapes that applications give their jobs.

use std::ops::Range;

use pixmill_engine::stack::table::{Table, Told};
use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::file::File;
use super::names::nearest;

/// What the tables are called.
pub(super) const STACK: &str = "stack";

/// The keys that a table may have.
const KEYS: [&str; 8] = ["dialect", "fails", "items", "jobs", "prefix", "queue", "returns", "url"];

/// What keys of a queue begin with unless a table says otherwise.
const PREFIX: &str = "bull";

/// The tables of a file that was named.
///
/// # Errors
/// A sentence on the first mistake, with its line and what is allowed.
pub(super) fn stacks(file: &File) -> Result<Vec<Table>, String> {
    let table = file.table()?;
    let Some((key, value)) = table.get_ref().iter().find(|(key, _)| key.get_ref() == STACK) else {
        return Ok(Vec::new());
    };
    let reading = Reading { file };
    if !file.named {
        return Err(format!(
            "{} opens something, and the file was only found in the working folder: say --config {} if you trust it, or \
             remove the table",
            file.place(key.span(), "[[stack]]"),
            file.name
        ));
    }
    let DeValue::Array(tables) = value.get_ref() else {
        return Err(format!(
            "{} is a {}: it is written as [[stack]]",
            file.place(key.span(), STACK),
            value.get_ref().type_str()
        ));
    };
    let mut stacks: Vec<Table> = Vec::new();
    for table in tables {
        let read = match table.get_ref() {
            DeValue::Table(fields) => reading.table(fields, table.span())?,
            _ => return Err(format!("{} is written as [[stack]]", file.place(table.span(), STACK))),
        };
        if stacks.iter().any(|other| (&other.queue, &other.prefix) == (&read.queue, &read.prefix)) {
            let place = file.place(table.span(), "[[stack]]");
            return Err(format!("{place} is the second for queue '{}': remove one", read.queue));
        }
        stacks.push(read);
    }
    Ok(stacks)
}

struct Reading<'a> {
    file: &'a File,
}

impl Reading<'_> {
    fn table(&self, fields: &DeTable<'_>, span: Range<usize>) -> Result<Table, String> {
        for key in fields.keys() {
            let name: &str = key.get_ref();
            if !KEYS.contains(&name) {
                let meant = nearest(name, KEYS.into_iter());
                let meant = meant.map(|name| format!("did you mean {name}?"));
                let meant = meant.unwrap_or_else(|| format!("allowed are {}", KEYS.join(", ")));
                return Err(format!(
                    "{} is not a key of a table: {meant}",
                    self.file.place(key.span(), &format!("[[stack]] {name}"))
                ));
            }
        }
        let at = |name: &str| {
            let found = fields.iter().find(|(key, _)| key.get_ref() == name);
            let span = found.map_or(span.clone(), |(key, _)| key.span());
            self.file.place(span, &format!("[[stack]] {name}"))
        };
        let text = |name: &str| match fields.get(name).map(Spanned::get_ref) {
            None => Ok(None),
            Some(DeValue::String(text)) if !text.is_empty() => Ok(Some(text.to_string())),
            Some(_) => Err(format!("{}: a text is needed", at(name))),
        };
        let needed =
            |name: &str| text(name)?.ok_or_else(|| format!("{} is missing: a text is needed", at(name)));
        match text("dialect")?.as_deref() {
            None | Some("bullmq") => {}
            Some(other) => {
                return Err(format!("{}: '{other}' is not served, allowed is bullmq", at("dialect")));
            }
        }
        let jobs = match fields.get("jobs").map(Spanned::get_ref) {
            None => vec!["*".to_owned()],
            Some(DeValue::Array(names)) => {
                let name = |name: &Spanned<DeValue<'_>>| name.get_ref().as_str().map(str::to_owned);
                let names: Option<Vec<_>> = names.iter().map(name).collect();
                names
                    .filter(|names| !names.is_empty())
                    .ok_or_else(|| format!("{}: a list of names is needed", at("jobs")))?
            }
            Some(_) => return Err(format!("{}: a list of names is needed", at("jobs"))),
        };
        let returns = fields
            .get("returns")
            .ok_or_else(|| format!("{} is missing: a value is needed", at("returns")))?;
        let told = Told {
            queue: needed("queue")?,
            prefix: text("prefix")?.unwrap_or_else(|| PREFIX.to_owned()),
            jobs,
            items: text("items")?,
            url: needed("url")?,
            returns: json(returns.get_ref())
                .ok_or_else(|| format!("{}: dates are not allowed", at("returns")))?,
            fails: text("fails")?,
        };
        Table::read(told).map_err(|wrong| format!("{}: {}", at(wrong.key), wrong.told))
    }
}

/// The same in JSON; none for what JSON has not.
fn json(value: &DeValue<'_>) -> Option<Value> {
    Some(match value {
        DeValue::String(text) => text.to_string().into(),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok()?.into(),
        DeValue::Float(number) => number.as_str().parse::<f64>().ok()?.into(),
        DeValue::Boolean(value) => (*value).into(),
        DeValue::Array(list) => {
            Value::Array(list.iter().map(|value| json(value.get_ref())).collect::<Option<_>>()?)
        }
        DeValue::Table(fields) => {
            let field = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
                Some((ToString::to_string(key.get_ref()), json(value.get_ref())?))
            };
            Value::Object(fields.iter().map(field).collect::<Option<Map<_, _>>>()?)
        }
        DeValue::Datetime(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Table>, String> {
        stacks(&File { named: true, ..File::with(text) })
    }

    const LIST: &str =
        "[[stack]]\nqueue = \"q\"\nitems = \"$.data[*]\"\nurl = \"$.url\"\nreturns = [\"$output\"]\n";

    #[test]
    fn each_table_is_about_a_queue() {
        let tables =
            read(&format!("quality = 40\n{LIST}{}", LIST.replace("\"q\"", "\"r\"\nprefix = \"shop\"")));
        let tables = tables.unwrap();
        let queues: Vec<_> =
            tables.iter().map(|table| (table.prefix.as_str(), table.queue.as_str())).collect();
        assert_eq!(queues, [("bull", "q"), ("shop", "r")]);
        assert!(read("quality = 40").unwrap().is_empty());
    }

    #[test]
    fn a_mistake_is_told_with_file_line_and_what_is_allowed() {
        for (text, told) in [
            (format!("{LIST}{LIST}"), "in line 6 of pixmill.toml is the second for queue 'q'"),
            (
                LIST.replace("returns =", "retruns ="),
                "[[stack]] retruns in line 5 of pixmill.toml is not a key of a table: did you mean returns?",
            ),
            (
                LIST.replace("$.url", "url"),
                "[[stack]] url in line 4 of pixmill.toml: 'url' is not a JSONPath",
            ),
            (
                LIST.replace("$output", "$outptu"),
                "[[stack]] returns in line 5 of pixmill.toml: '$outptu' stands for nothing",
            ),
            (
                LIST.replace("queue = \"q\"", "dialect = \"bull\""),
                "[[stack]] dialect in line 2 of pixmill.toml: 'bull' is not served",
            ),
            (LIST.replace("queue = \"q\"\n", ""), "[[stack]] queue in line 1 of pixmill.toml is missing"),
            ("stack = 1".to_owned(), "stack in line 1 of pixmill.toml is a integer"),
        ] {
            let said = read(&text).unwrap_err();
            assert!(said.contains(told), "{said}");
        }
        let found = stacks(&File::with(LIST)).unwrap_err();
        assert!(found.contains("--config pixmill.toml"), "{found}");
    }
}
