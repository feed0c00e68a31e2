//! Whether a job is one for pixmill, and what it lacks where it is not.

use serde_json::Value;

use crate::queue::strangers::Stranger;

/// The longest id that is believed to be one, bytes.
const LONGEST_ID: usize = 256;

/// The most bytes of a job's data that are read: ids and an address take few.
const LONGEST_DATA: usize = 64 << 10;

/// Keys that are named of a job that does not fit, and how much of each.
const MOST_KEYS: usize = 12;
const LONGEST_KEY: usize = 40;

/// Stands for every name.
const ANY: &str = "*";

/// Names of jobs that are taken.
#[derive(Debug, Clone)]
pub(super) struct Names(pub(super) Vec<String>);

impl Names {
    fn take(&self, name: &str) -> bool {
        self.0.iter().any(|known| known == ANY || known == name)
    }
}

/// What a job that fits says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shape<'a> {
    pub(super) request: &'a str,
    pub(super) image: &'a str,
    /// The address, as its producer knows it; it may be empty.
    pub(super) input: &'a str,
}

/// What was read of a job that waits.
pub(super) struct Waiting<'a> {
    /// Its id.
    pub(super) id: &'a str,
    /// What it is called.
    pub(super) name: &'a str,
    /// Its data, none where they can't be read.
    pub(super) data: Option<&'a Value>,
    /// Whether a scheduler made it, whose next one only its own program makes.
    pub(super) scheduled: bool,
}

impl<'a> Waiting<'a> {
    /// Its data, where it is called so and made by no scheduler.
    ///
    /// # Errors
    /// What it lacks.
    pub(super) fn known(&self, names: &Names) -> Result<&'a Value, String> {
        if !names.take(self.name) {
            return Err(format!("taken are jobs called {}", names.0.join(", ")));
        }
        if self.scheduled {
            return Err("a scheduler made it, which its own program carries on".to_owned());
        }
        self.data.ok_or_else(|| "its data can't be read".to_owned())
    }

    /// What it says, where it fits.
    ///
    /// # Errors
    /// What it lacks.
    pub(super) fn shape(&self, names: &Names) -> Result<Shape<'a>, String> {
        let data = self.known(names)?;
        let field = |name: &str| match data.get(name) {
            Some(Value::String(text)) if text.len() > LONGEST_ID && name != "inputUrl" => {
                Err(format!("{name} in its data is longer than {LONGEST_ID} bytes"))
            }
            Some(Value::String(text)) if text.trim().is_empty() && name != "inputUrl" => {
                Err(format!("{name} in its data is empty"))
            }
            Some(Value::String(text)) => Ok(text.as_str()),
            Some(other) => Err(format!("{name} in its data is {}, not a text", kind(other))),
            None if data.is_object() => Err(format!("{name} is missing in its data")),
            None => Err(format!("its data is {}, not an object", kind(data))),
        };
        Ok(Shape { request: field("requestId")?, image: field("imageId")?, input: field("inputUrl")? })
    }

    /// Its kind, for one that does not fit.
    pub(super) fn stranger(&self, lacks: String) -> Stranger {
        let keys = match self.data {
            Some(Value::Object(fields)) if !fields.is_empty() => {
                let names = fields.keys().take(MOST_KEYS).map(|key| short(key));
                format!("the keys {}", names.collect::<Vec<_>>().join(", "))
            }
            Some(data) => format!("{} as data", kind(data)),
            None => "data that can't be read".to_owned(),
        };
        Stranger { name: short(self.name), keys, lacks }
    }
}

/// Data as they stand in Redis; none where they are no JSON, or too much of it.
pub(super) fn data(text: &[u8]) -> Option<Value> {
    if text.len() > LONGEST_DATA {
        return None;
    }
    serde_json::from_slice(text).ok()
}

/// The beginning of a word, without what a terminal would obey.
fn short(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(LONGEST_KEY).collect()
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(fields) if fields.is_empty() => "an empty object",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lacks(name: &str, data: &Value) -> String {
        let waiting = Waiting { id: "7", name, data: Some(data), scheduled: false };
        waiting.shape(&Names(vec!["process-image".into()])).expect_err("it does not fit")
    }

    #[test]
    fn what_a_job_lacks_is_named() {
        for (data, named) in [
            (json!({}), "requestId is missing"),
            (json!(null), "its data is null"),
            (json!([1]), "its data is a list"),
            (json!({"productId": 1, "inputUrl": "u", "requestId": "r"}), "imageId is missing"),
            (json!({"requestId": "r", "imageId": 7, "inputUrl": "u"}), "imageId in its data is a number"),
            (json!({"requestId": "r", "imageId": " ", "inputUrl": "u"}), "imageId in its data is empty"),
            (json!({"requestId": "r", "imageId": "i"}), "inputUrl is missing"),
            (json!({"requestId": "r", "imageId": "i".repeat(257), "inputUrl": "u"}), "longer than 256 bytes"),
        ] {
            let told = lacks("process-image", &data);
            assert!(told.contains(named), "{data}: {told}");
        }
    }

    #[test]
    fn other_names_and_jobs_of_schedulers_are_left_to_their_own_workers() {
        let data = json!({"requestId": "r", "imageId": "i", "inputUrl": ""});
        assert!(lacks("send-mail", &data).contains("process-image"));
        let waiting = |name, scheduled| Waiting { id: "7", name, data: Some(&data), scheduled };
        let names = |names: &[&str]| Names(names.iter().map(|&name| name.to_owned()).collect());
        assert!(waiting("process-image", true).shape(&names(&["process-image"])).is_err());
        for known in [names(&["a", "process-image"]), names(&["*"])] {
            let shape = waiting("process-image", false).shape(&known);
            assert_eq!(shape, Ok(Shape { request: "r", image: "i", input: "" }));
        }
    }

    #[test]
    fn a_kind_is_told_in_few_words_that_no_terminal_obeys() {
        let data = json!({"to\u{1b}[31m": 1, "subject": "hush"});
        let waiting = Waiting { id: "7", name: "mail", data: Some(&data), scheduled: false };
        let told = waiting.stranger("imageId is missing in its data".into()).to_string();
        assert!(told.contains("'mail'") && told.contains("subject") && told.contains("imageId"), "{told}");
        assert!(!told.contains('\u{1b}') && !told.contains("hush"), "{told}");
    }

    #[test]
    fn data_that_are_no_json_or_too_long_are_not_read() {
        assert_eq!(data(b"{\"a\":1}"), Some(json!({"a": 1})));
        assert_eq!(data(b"\xff\xfe"), None);
        assert_eq!(data(format!("\"{}\"", "a".repeat(LONGEST_DATA)).as_bytes()), None);
    }
}
