//! `[[stack]]` tables of the file: the shapes that applications give their jobs.

use std::ops::Range;

use pixmill_engine::stack::table::{Table, Wrong};
use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::file::{File, STACK};
use super::names::nearest;

/// The tables of a file that was named; variables of the environment may be named in them.
///
/// # Errors
/// A sentence on the first mistake, with its line and what is allowed.
pub(super) fn stacks(
    file: &File,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<Table>, String> {
    let table = file.table()?;
    let Some((key, value)) = table.get_ref().iter().find(|(key, _)| key.get_ref() == STACK) else {
        return Ok(Vec::new());
    };
    let reading = Reading { file, environment };
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
    environment: &'a dyn Fn(&str) -> Option<String>,
}

impl Reading<'_> {
    fn table(&self, fields: &DeTable<'_>, span: Range<usize>) -> Result<Table, String> {
        let mut told = Map::new();
        for (key, value) in fields {
            let name: &str = key.get_ref();
            let value = json(value.get_ref()).ok_or_else(|| {
                format!(
                    "{}: dates are not allowed",
                    self.file.place(key.span(), &format!("[[stack]] {name}"))
                )
            })?;
            told.insert(name.to_owned(), value);
        }
        Table::read(&Value::Object(told), self.environment).map_err(|wrong| self.told(&wrong, fields, span))
    }

    /// A mistake, with the line of the innermost key that is there.
    fn told(&self, wrong: &Wrong, fields: &DeTable<'_>, span: Range<usize>) -> String {
        let place = self.file.place(
            span_of(fields, &wrong.path).unwrap_or(span),
            &format!("[[stack]] {}", wrong.path.join(".")),
        );
        if wrong.allowed.is_empty() {
            let colon = if wrong.told.starts_with("is ") { "" } else { ":" };
            return format!("{place}{colon} {}", wrong.told);
        }
        let name = wrong.path.last().map(String::as_str).unwrap_or_default();
        match nearest(name, wrong.allowed.iter().copied()) {
            Some(meant) => format!("{place} is not a key here: did you mean {meant}?"),
            None => format!("{place} {}", wrong.told),
        }
    }
}

/// Where in a table these keys lead, as far as they are there.
fn span_of(fields: &DeTable<'_>, path: &[String]) -> Option<Range<usize>> {
    let (first, rest) = path.split_first()?;
    let (key, value) = fields.iter().find(|(key, _)| key.get_ref() == first.as_str())?;
    Some(within(value, rest).unwrap_or_else(|| key.span()))
}

fn within(value: &Spanned<DeValue<'_>>, path: &[String]) -> Option<Range<usize>> {
    match value.get_ref() {
        DeValue::Table(fields) => span_of(fields, path),
        DeValue::Array(list) => {
            let (first, rest) = path.split_first()?;
            let one = list.get(first.parse::<usize>().ok()?)?;
            Some(within(one, rest).unwrap_or_else(|| one.span()))
        }
        _ => None,
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
        let environment = |name: &str| (name == "API_KEY").then(|| "secret".to_owned());
        stacks(&File { named: true, ..File::with(text) }, &environment)
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
                "[[stack]] retruns in line 5 of pixmill.toml is not a key here: did you mean returns?",
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
            (
                format!(
                    "{LIST}[[stack.write]]\non = \"completed\"\ncollection = \"images\"\ninsert = {{ out = \"$outptu\" }}\n"
                ),
                "[[stack]] write.0.insert.out in line 9 of pixmill.toml: '$outptu' stands for nothing: allowed are $url",
            ),
            (
                format!(
                    "{LIST}[[stack.webhook]]\non = \"job\"\nurl = \"http://a\"\nbody = 1\nheaders = {{ key = \"$env.KEY\" }}\n"
                ),
                "[[stack]] webhook.0.headers in line 10 of pixmill.toml: the environment has no KEY",
            ),
            ("stack = 1".to_owned(), "stack in line 1 of pixmill.toml is a integer"),
        ] {
            let said = read(&text).unwrap_err();
            assert!(said.contains(told), "{said}");
        }
        let found = stacks(&File::with(LIST), &|_| None).unwrap_err();
        assert!(found.contains("--config pixmill.toml"), "{found}");
    }
}
