//! Talks to a server's API, for the commands that do.

use std::io::{BufRead, BufReader, Read};
use std::time::Duration;

use http::{Request, Response};
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use serde_json::Value;

use crate::config::client::ServerFlags;
use crate::display::plain;
use crate::wiring::talk::{Heard, Said, Talk};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(15);

/// The longest answer that is taken as one, bytes.
const LONGEST: u64 = 10 << 20;

/// How often a stream of events is taken up again, and after which pause.
const TRIES: u32 = 30;
const PAUSE: Duration = Duration::from_secs(1);

/// A server.
pub(crate) struct Client {
    talk: Talk,
    server: String,
    authorization: Option<String>,
}

/// One event of a request's life.
#[derive(Debug)]
pub(crate) struct Event {
    /// `progress`, `image` or `completed`.
    pub(crate) name: String,
    /// What it says.
    pub(crate) data: Value,
}

impl Client {
    /// The server that is meant.
    ///
    /// # Errors
    /// `fetch.connect`: this machine has no room for it.
    pub(crate) fn new(flags: &ServerFlags) -> Result<Self, Fault> {
        let server = flags.server.as_str().trim_end_matches('/').to_owned();
        let talk = Talk::new(CONNECT).map_err(|error| unreachable(&server, &error.to_string()))?;
        let authorization = flags.api_key.as_ref().map(|key| format!("Bearer {}", key.reveal()));
        Ok(Client { talk, server, authorization })
    }

    /// Asks for something.
    ///
    /// # Errors
    /// `fetch.connect`; the problem that the server tells.
    pub(crate) fn get(&self, path: &str) -> Result<Response<Heard>, Fault> {
        self.get_from(path, None)?.map_err(|(_, fault)| fault)
    }

    /// The same, going on after an event; the status with the problem.
    fn get_from(
        &self,
        path: &str,
        last: Option<&str>,
    ) -> Result<Result<Response<Heard>, (u16, Fault)>, Fault> {
        let headers: Vec<_> = last.map(|last| ("last-event-id", last)).into_iter().collect();
        self.ask(Request::get(self.address(path)), &headers, Said::nothing())
    }

    /// Posts a body.
    ///
    /// # Errors
    /// Those of `get`.
    pub(crate) fn post(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: Said,
    ) -> Result<Response<Heard>, Fault> {
        self.ask(Request::post(self.address(path)), headers, body)?.map_err(|(_, fault)| fault)
    }

    fn address(&self, path: &str) -> String {
        format!("{}{path}", self.server)
    }

    fn ask(
        &self,
        mut request: http::request::Builder,
        headers: &[(&str, &str)],
        body: Said,
    ) -> Result<Result<Response<Heard>, (u16, Fault)>, Fault> {
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let failed = |reason: String| unreachable(&self.server, &reason);
        let request = request.body(body).map_err(|error| failed(error.to_string()))?;
        Ok(answered(self.talk.ask(request).map_err(failed)?))
    }

    /// Follows a request's events to their end. A stream that breaks off is taken up where it was.
    ///
    /// # Errors
    /// Those of `get`, once that has been tried for a while.
    pub(crate) fn watch(&self, id: &str, mut hear: impl FnMut(&Event)) -> Result<(), Fault> {
        let path = format!("/v1/requests/{}/events", encoded(id));
        let (mut last, mut vain) = (None, 0);
        loop {
            let fault = match self.get_from(&path, last.as_deref()) {
                Ok(Ok(response)) if response.status() == 204 => return Ok(()),
                Ok(Ok(response)) => {
                    let before = last.clone();
                    let events = BufReader::new(response.into_body());
                    follow(events, &mut last, &mut hear);
                    vain = if last == before { vain + 1 } else { 0 };
                    Fault::transient(Code::FetchTruncated, "the server says nothing new")
                }
                Ok(Err((status, fault))) if status < 500 => return Err(fault),
                Ok(Err((_, fault))) | Err(fault) => {
                    vain += 1;
                    fault
                }
            };
            if vain > TRIES {
                return Err(fault);
            }
            std::thread::sleep(PAUSE);
        }
    }
}

/// What a path may hold of an id.
pub(crate) fn encoded(id: &str) -> String {
    percent_encoding::utf8_percent_encode(id, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// The JSON of an answer.
///
/// # Errors
/// `body.malformed`: it is not pixmill that answers.
pub(crate) fn json(mut response: Response<Heard>) -> Result<Value, Fault> {
    let text = text(response.body_mut());
    let value = text.ok().and_then(|text| serde_json::from_str(&text).ok());
    value.ok_or_else(|| {
        Fault::permanent(Code::BodyMalformed, "the answer is no JSON: is that a pixmill server?")
    })
}

/// An answer that is one, or the problem that it tells, with its status.
fn answered(mut response: Response<Heard>) -> Result<Response<Heard>, (u16, Fault)> {
    let status = response.status().as_u16();
    match status {
        ..300 => return Ok(response),
        300..400 => return Err((status, elsewhere(&response))),
        _ => {}
    }
    let text = text(response.body_mut()).unwrap_or_default();
    let problem: Value = serde_json::from_str(&text).unwrap_or_default();
    let code = problem["code"].as_str().and_then(Code::parse).unwrap_or(Code::FetchStatus);
    let mut message =
        problem["detail"].as_str().map_or_else(|| format!("the server answered {status}"), one_line);
    let others = problem["errors"].as_array().into_iter().flatten();
    for error in others.filter(|error| error["message"] != problem["detail"]).take(10) {
        let place = match (&error["line"], &error["field"]) {
            (Value::Number(line), _) => format!("line {line}"),
            (_, field) => one_line(field.as_str().unwrap_or_default()),
        };
        message
            .push_str(&format!("\n  {place}: {}", one_line(error["message"].as_str().unwrap_or_default())));
    }
    Err((status, Fault::permanent(code, message)))
}

/// A server's words begin no lines of their own among ours.
fn one_line(text: &str) -> String {
    plain::line(text).into_owned()
}

/// A server that sends to another address: keys are for the one that was named alone.
fn elsewhere(response: &Response<Heard>) -> Fault {
    let place = response.headers().get("location").and_then(|place| place.to_str().ok());
    let told = format!(
        "the server answered {} and sends to {}: name with --server the one that answers",
        response.status().as_u16(),
        place.unwrap_or("another address")
    );
    Fault::permanent(Code::FetchStatus, told)
}

/// Text of an answer, not more of it than a person could read.
fn text(body: &mut Heard) -> std::io::Result<String> {
    let mut text = String::new();
    body.take(LONGEST).read_to_string(&mut text)?;
    Ok(text)
}

fn unreachable(server: &str, reason: &str) -> Fault {
    Fault::transient(Code::FetchConnect, format!("{server} can't be talked to: {reason}"))
}

/// Reads events until the stream ends, remembering the last one's id.
fn follow(events: BufReader<impl Read>, last: &mut Option<String>, hear: &mut impl FnMut(&Event)) {
    let (mut name, mut data, mut id) = (String::new(), String::new(), None);
    for line in events.lines().map_while(Result::ok) {
        match line.split_once(": ") {
            Some(("event", value)) => value.clone_into(&mut name),
            Some(("data", value)) => value.clone_into(&mut data),
            Some(("id", value)) => id = Some(value.to_owned()),
            _ if line.is_empty() => {
                if let Ok(data) = serde_json::from_str(&data) {
                    hear(&Event { name: std::mem::take(&mut name), data });
                }
                *last = id.take().or(last.take());
                data.clear();
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_as_they_are_written() {
        let text =
            "event: progress\nid: 1:~\ndata: {\"a\":1}\n\n: still here\n\nid: 2:~1\n\nevent: image\nid: 3";
        let (mut last, mut heard) = (None, Vec::new());
        follow(BufReader::new(text.as_bytes()), &mut last, &mut |event| {
            heard.push((event.name.clone(), event.data.clone()));
        });
        assert_eq!(heard, [("progress".to_owned(), serde_json::json!({"a": 1}))]);
        assert_eq!(last.as_deref(), Some("2:~1"), "half an event is none");
    }
}
