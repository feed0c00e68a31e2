//! Forms as Cloudinary's clients send them: `multipart/form-data`.

use std::collections::BTreeMap;

use bytes::Bytes;
use hyper::Request;
use hyper::header::CONTENT_TYPE;

/// Fields by name, lists joined by commas as they are signed, and the file.
#[derive(Debug, Default)]
pub(super) struct Form {
    pub(super) fields: BTreeMap<String, String>,
    pub(super) file: Option<Bytes>,
}

impl Form {
    /// The form in a request's body, or why there is none.
    pub(super) fn read(request: &Request<Bytes>) -> Result<Form, String> {
        let kind =
            request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let boundary = kind.strip_prefix("multipart/form-data").and_then(|rest| rest.split_once("boundary="));
        let (_, boundary) = boundary.ok_or_else(|| format!("{kind}: not a form with parts"))?;
        let mark = format!("\r\n--{}", boundary.trim_matches('"'));
        // The first mark stands at the very beginning, without its line break.
        let mut body = request.body().clone();
        if !body.starts_with(&mark.as_bytes()[2..]) {
            return Err("The body does not begin with its boundary".to_owned());
        }
        body = body.slice(mark.len() - 2..);
        let mut form = Form::default();
        loop {
            if body.starts_with(b"--") {
                return Ok(form);
            }
            let end = find(&body, mark.as_bytes()).ok_or("The body breaks off")?;
            form.add(&body.slice(..end))?;
            body = body.slice(end + mark.len()..);
        }
    }

    fn add(&mut self, part: &Bytes) -> Result<(), String> {
        let end = find(part, b"\r\n\r\n").ok_or("A part has no head")?;
        let head = String::from_utf8_lossy(&part[..end]);
        let content = part.slice(end + 4..);
        let name = parameter(&head, "name").ok_or("A part has no name")?;
        if parameter(&head, "filename").is_some() {
            self.file = Some(content);
            return Ok(());
        }
        let value = String::from_utf8(content.to_vec()).map_err(|_| format!("{name} is not UTF-8"))?;
        match self.fields.entry(name.trim_end_matches("[]").to_owned()) {
            std::collections::btree_map::Entry::Vacant(entry) => drop(entry.insert(value)),
            std::collections::btree_map::Entry::Occupied(mut entry) => {
                entry.get_mut().push_str(&format!(",{value}"));
            }
        }
        Ok(())
    }
}

/// A quoted parameter of a part's head.
fn parameter<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = head.split_once(&format!("; {name}=\""))?;
    rest.split_once('"').map(|(value, _)| value)
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let (first, rest) = wanted.split_first()?;
    let mut from = 0;
    loop {
        let at = from + bytes.get(from..)?.iter().position(|byte| byte == first)?;
        if bytes[at + 1..].starts_with(rest) {
            return Some(at);
        }
        from = at + 1;
    }
}

/// First and last byte of `bytes FIRST-LAST/TOTAL`, and how many there are, unless that is not known yet (`-1`).
pub(super) fn range(text: &str) -> Option<(usize, usize, Option<usize>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let total = if total == "-1" { None } else { Some(total.parse().ok()?) };
    Some((first.parse().ok()?, last.parse().ok()?, total))
}
