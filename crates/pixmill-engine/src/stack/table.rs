//! What a table says of the jobs of one queue: where addresses are in them, and what they return.

use std::fmt;

use serde_json::Value;
use serde_json_path::JsonPath;

use super::template::Template;
use crate::model::image::{Failure, Output};
use crate::port::errands::Done;

/// The most addresses that a job may have.
const MOST_ITEMS: usize = 100_000;

/// A key of a table, and what is wrong with what it says.
#[derive(Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Which key.
    pub key: &'static str,
    /// What is wrong, and what is allowed.
    pub told: String,
}

/// What a table says, as it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// The queue's name.
    pub queue: String,
    /// What its keys begin with.
    pub prefix: String,
    /// What jobs are called that are taken, `*` for any name.
    pub jobs: Vec<String>,
    /// Where in the job its items are: a path; the job itself is the one where none is said.
    pub items: Option<String>,
    /// Where in an item its address is: a path.
    pub url: String,
    /// What a job returns.
    pub returns: Value,
    /// When a job fails: `any`, `all` or `never`.
    pub fails: Option<String>,
}

/// When a job fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fails {
    Any,
    All,
    Never,
}

/// A table that was found right.
#[derive(Clone)]
pub struct Table {
    /// The queue's name.
    pub queue: String,
    /// What its keys begin with.
    pub prefix: String,
    /// What jobs are called that are taken, `*` for any name.
    pub jobs: Vec<String>,
    items: Option<JsonPath>,
    url: JsonPath,
    returns: Template,
    fails: Fails,
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "table of {}:{}", self.prefix, self.queue)
    }
}

/// One of a job's pictures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Item<'a> {
    /// What the job says of it.
    pub said: &'a Value,
    /// Its address; empty where it has none.
    pub url: &'a str,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// Its output, where it is completed.
    pub output: Option<Output>,
    /// Why it failed, where it did.
    pub failure: Option<Failure>,
}

impl Table {
    /// Reads what was written.
    ///
    /// # Errors
    /// The first key that is wrong.
    pub fn read(told: Told) -> Result<Table, Wrong> {
        let wrong = |key, told| Wrong { key, told };
        let path = |key, text: &str| path(text).map_err(|told| Wrong { key, told });
        let returns = Template::read(&told.returns).map_err(|told| wrong("returns", told))?;
        let fails = match told.fails.as_deref() {
            None if returns.is_of_one() => Fails::Any,
            None => Fails::Never,
            Some("any") => Fails::Any,
            Some("all") => Fails::All,
            Some("never") => Fails::Never,
            Some(other) => {
                return Err(wrong("fails", format!("'{other}' is none of any, all and never")));
            }
        };
        Ok(Table {
            items: told.items.as_deref().map(|text| path("items", text)).transpose()?,
            url: path("url", &told.url)?,
            returns,
            fails,
            queue: told.queue,
            prefix: told.prefix,
            jobs: told.jobs,
        })
    }

    /// The pictures that a job names, in order.
    ///
    /// # Errors
    /// What it lacks.
    pub fn items<'a>(&self, data: &'a Value) -> Result<Vec<Item<'a>>, String> {
        let said = match &self.items {
            None => vec![data],
            Some(path) => path.query(data).all(),
        };
        if said.is_empty() && !self.is_empty_list(data) {
            return Err(format!(
                "nothing is at {} in its data",
                self.items.as_ref().map_or("$".into(), ToString::to_string)
            ));
        }
        if said.len() > MOST_ITEMS {
            return Err(format!("it names more than {MOST_ITEMS} pictures"));
        }
        if self.returns.is_of_one() && said.len() != 1 {
            return Err(format!("it names {} pictures, and the table says what one returns", said.len()));
        }
        let items: Vec<_> = said
            .into_iter()
            .map(|said| {
                let found = self.url.query(said).first();
                Item { said, url: found.and_then(Value::as_str).unwrap_or_default() }
            })
            .collect();
        if !items.is_empty() && items.iter().all(|item| self.url.query(item.said).is_empty()) {
            return Err(format!("no address is at {} in its data", self.url));
        }
        Ok(items)
    }

    /// Whether a job says that it has no pictures, rather than nothing: what holds them is there.
    fn is_empty_list(&self, data: &Value) -> bool {
        let Some(text) = self.items.as_ref().map(ToString::to_string) else { return false };
        let Some(list) = text.strip_suffix("[*]") else { return false };
        let list = JsonPath::parse(list).ok().and_then(|list| list.query(data).first());
        list.is_some_and(|list| list.as_array().is_some_and(Vec::is_empty))
    }

    /// How a job ends whose pictures ended so.
    pub fn done(&self, data: &Value, items: &[Item<'_>], ends: &[End]) -> Done {
        let failed: Vec<_> = ends.iter().filter_map(|end| end.failure.as_ref()).collect();
        let fails = match self.fails {
            Fails::Any => !failed.is_empty(),
            Fails::All => !failed.is_empty() && failed.len() == ends.len(),
            Fails::Never => false,
        };
        if let (true, Some(first)) = (fails, failed.first()) {
            let first = format!("{}: {}", first.code, first.message);
            return Done::Failed(match ends.len() {
                1 => first,
                all => format!("{} of {all} pictures failed, the first: {first}", failed.len()),
            });
        }
        Done::Completed(self.returns.value(data, items, ends))
    }
}

/// A path as RFC 9535 writes it.
pub(super) fn path(text: &str) -> Result<JsonPath, String> {
    JsonPath::parse(text)
        .map_err(|error| format!("'{text}' is not a JSONPath (RFC 9535), such as $.images[*].url: {error}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::code::Code;

    fn told(items: Option<&str>, url: &str, returns: Value, fails: Option<&str>) -> Told {
        Told {
            queue: "q".into(),
            prefix: "bull".into(),
            jobs: vec!["*".into()],
            items: items.map(str::to_owned),
            url: url.into(),
            returns,
            fails: fails.map(str::to_owned),
        }
    }

    fn table(items: Option<&str>, url: &str, returns: Value, fails: Option<&str>) -> Table {
        Table::read(told(items, url, returns, fails)).unwrap()
    }

    fn stored(location: &str) -> End {
        let output = Output { location: location.into(), bytes_before: 9, bytes_after: 5, frames: 1 };
        End { output: Some(output), failure: None }
    }

    fn failed() -> End {
        let failure = Failure { code: Code::FetchStatus, message: "the server answered 404".into() };
        End { output: None, failure: Some(failure) }
    }

    #[test]
    fn a_picture_a_job_returns_what_its_table_says() {
        let returns = json!({
            "outputUrl": "$output", "requestId": "$.requestId", "product": "$.productOid", "bytes": "$bytes",
            "none": "$.nothing", "said": "$$output",
        });
        let table = table(None, "$.url", returns, None);
        let data = json!({ "url": "http://a/1.jpg", "requestId": "r", "productOid": "p" });
        let items = table.items(&data).unwrap();
        let value = json!({
            "outputUrl": "https://cdn/1.jpg", "requestId": "r", "product": "p", "bytes": 5, "none": null,
            "said": "$output",
        });
        assert_eq!(table.done(&data, &items, &[stored("https://cdn/1.jpg")]), Done::Completed(value));
        let Done::Failed(reason) = table.done(&data, &items, &[failed()]) else { panic!("it failed") };
        assert_eq!(reason, "fetch.status: the server answered 404");
    }

    #[test]
    fn a_list_a_job_returns_an_entry_for_each() {
        let returns =
            json!([{ "url": "$output", "error": "$error", "place": "$position", "metadata": "@.metadata" }]);
        let table = table(Some("$.data[*]"), "$.url", returns, None);
        let data = json!({ "data": [{ "url": " http://a/1.jpg", "metadata": { "sku": 1 } }, { "url": "http://a/2.jpg" }] });
        let items = table.items(&data).unwrap();
        assert_eq!(
            items.iter().map(|item| item.url).collect::<Vec<_>>(),
            [" http://a/1.jpg", "http://a/2.jpg"]
        );
        let value = json!([
            { "url": "https://cdn/1.jpg", "error": null, "place": 0, "metadata": { "sku": 1 } },
            { "url": null, "error": "fetch.status: the server answered 404", "place": 1, "metadata": null },
        ]);
        assert_eq!(
            table.done(&data, &items, &[stored("https://cdn/1.jpg"), failed()]),
            Done::Completed(value)
        );
        let none = json!({ "data": [] });
        assert_eq!(table.done(&none, &table.items(&none).unwrap(), &[]), Done::Completed(json!([])));
    }

    #[test]
    fn when_a_job_fails_is_for_the_table_to_say() {
        let data = json!({ "data": [{ "url": "a" }, { "url": "b" }] });
        let fails = |fails, ends: &[End]| {
            let table = table(Some("$.data[*]"), "$.url", json!(["$output"]), Some(fails));
            matches!(table.done(&data, &table.items(&data).unwrap(), ends), Done::Failed(_))
        };
        let (some, all) = ([stored("x"), failed()], [failed(), failed()]);
        assert_eq!([fails("any", &some), fails("all", &some), fails("never", &some)], [true, false, false]);
        assert_eq!([fails("any", &all), fails("all", &all), fails("never", &all)], [true, true, false]);
    }

    #[test]
    fn what_a_job_lacks_is_told() {
        let list = table(Some("$.data[*]"), "$.url", json!(["$output"]), None);
        for data in [json!({}), json!({ "data": "text" }), json!(null), json!({ "data": [{ "link": "a" }] })]
        {
            assert!(list.items(&data).is_err(), "{data}");
        }
        assert_eq!(
            list.items(&json!({ "data": [{ "url": "a" }, {}] })).unwrap()[1].url,
            "",
            "it ends as url.invalid"
        );
        let one = table(None, "$.urls[*]", json!("$output"), None);
        assert!(one.items(&json!({ "url": "a" })).is_err());
    }

    #[test]
    fn a_tables_mistake_is_told_with_its_key_and_what_is_allowed() {
        for (told, key, allowed) in [
            (told(Some("data[*]"), "$.url", json!(1), None), "items", "RFC 9535"),
            (told(None, "$.[", json!(1), None), "url", "RFC 9535"),
            (told(None, "$.url", json!({ "a": "$outputs" }), None), "returns", "$output"),
            (told(None, "$.url", json!(["$output", "$url"]), None), "returns", "one element"),
            (told(None, "$.url", json!([["$output"]]), None), "returns", "in a list"),
            (told(None, "$.url", json!("@.["), None), "returns", "RFC 9535"),
            (told(None, "$.url", json!(1), Some("some")), "fails", "any, all and never"),
        ] {
            let wrong = Table::read(told).unwrap_err();
            assert_eq!(wrong.key, key, "{wrong:?}");
            assert!(wrong.told.contains(allowed), "{wrong:?}");
        }
    }
}
