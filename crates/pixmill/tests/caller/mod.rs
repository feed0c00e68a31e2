//! A server that answers calls, and a client that makes them.

#![allow(dead_code, reason = "each test file uses its part")]

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use ureq::http::Response;
use ureq::typestate::WithoutBody;
use ureq::{Agent, Body, RequestBuilder};

use super::server::{Process, Server};

/// Longer than anything here takes on a busy machine.
const LONG: Duration = Duration::from_secs(120);

/// An answer, all of it.
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) text: String,
    pub(crate) bytes: Vec<u8>,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?} {}", self.status, self.headers, self.text)
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The code of a problem.
    pub(crate) fn code(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], self.status, "{self:?}");
        assert!(problem["instance"].as_str().unwrap().ends_with(self.header("x-request-id")), "{self:?}");
        problem["code"].as_str().unwrap().to_owned()
    }

    pub(crate) fn id(&self) -> String {
        self.json()["id"].as_str().unwrap_or_else(|| panic!("{self:?}")).to_owned()
    }
}

/// A server that answers, and how it is called.
pub(crate) struct Caller {
    agent: Agent,
    pub(crate) url: String,
    pub(crate) process: Process,
    /// What the server said before it listened.
    pub(crate) said: Vec<Value>,
}

impl Caller {
    /// Starts `pixmill serve` and waits until it listens.
    pub(crate) fn start(server: &Server, arguments: &[&str]) -> Self {
        Self::of(Process::start(server.command(arguments).stderr(Stdio::piped())))
    }

    /// The same by another command, which is given the state folder and then the server's command line.
    pub(crate) fn start_through(server: &Server, command: &[&str], arguments: &[&str]) -> Self {
        let served = server.command(arguments);
        let mut through = Command::new(command[0]);
        through.args(&command[1..]).arg(server.data()).arg(served.get_program()).args(served.get_args());
        through.current_dir(served.get_current_dir().expect("a folder"));
        for (name, value) in served.get_envs() {
            match value {
                Some(value) => through.env(name, value),
                None => through.env_remove(name),
            };
        }
        Self::of(Process::start(through.stdout(Stdio::null()).stderr(Stdio::piped())))
    }

    fn of(mut process: Process) -> Self {
        let mut lines = BufReader::new(process.0.stderr.take().expect("piped")).lines();
        let mut said = Vec::new();
        let url = loop {
            let line = lines.next().and_then(Result::ok).unwrap_or_else(|| panic!("it ended: {said:#?}"));
            let told: Value = serde_json::from_str(&line).unwrap_or_default();
            if told["message"] == "listening" {
                break format!("http://{}", told["address"].as_str().expect("an address"));
            }
            said.push(told);
        };
        // Whoever writes into a closed pipe ends.
        std::thread::spawn(move || lines.for_each(drop));
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .timeout_global(Some(LONG))
            .build();
        Caller { agent: agent.into(), url, process, said }
    }

    pub(crate) fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask(self.agent.get(self.address(path)), headers)
    }

    /// How long an answer is that is larger than a test should hold.
    pub(crate) fn get_long(&self, path: &str) -> u64 {
        let answer = self.agent.get(self.address(path)).call().unwrap();
        std::io::copy(&mut answer.into_body().into_reader(), &mut std::io::sink()).expect("the whole answer")
    }

    pub(crate) fn options(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask(self.agent.options(self.address(path)), headers)
    }

    fn ask(&self, mut request: RequestBuilder<WithoutBody>, headers: &[(&str, &str)]) -> Answer {
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(request.call().unwrap_or_else(|error| panic!("{error}")))
    }

    pub(crate) fn delete_as(&self, path: &str, authorization: &str) -> Answer {
        self.ask(self.agent.delete(self.address(path)), &[("authorization", authorization)])
    }

    pub(crate) fn delete(&self, path: &str) -> Answer {
        answer(self.agent.delete(self.address(path)).call().unwrap())
    }

    pub(crate) fn post(&self, path: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Answer {
        let mut request = self.agent.post(self.address(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(request.send(body.as_ref()).unwrap_or_else(|error| panic!("{path}: {error}")))
    }

    pub(crate) fn post_csv(&self, path: &str, catalogue: &str) -> Answer {
        self.post(path, &[("content-type", "text/csv")], catalogue)
    }

    fn address(&self, path: &str) -> String {
        if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.url) }
    }

    /// Waits until a request has ended.
    pub(crate) fn wait_for(&self, id: &str) -> Value {
        let began = Instant::now();
        loop {
            let request = self.get(&format!("/v1/requests/{id}"), &[]).json();
            if matches!(request["status"].as_str(), Some("completed" | "cancelled")) {
                return request;
            }
            assert!(began.elapsed() < LONG, "{request}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Watches a request to the end of its stream: names, ids and bodies of events.
    pub(crate) fn watch(&self, id: &str, last: Option<&str>) -> Vec<(String, String, Value)> {
        let mut request = self.agent.get(self.address(&format!("/v1/requests/{id}/events")));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let text = answer(request.call().unwrap()).text;
        let field = |event: &str, name: &str| {
            let line =
                event.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")).map(str::to_owned));
            line.unwrap_or_default()
        };
        let events = text.split("\n\n").filter(|event| event.contains("event: "));
        events
            .map(|event| {
                let data = serde_json::from_str(&field(event, "data")).expect("JSON");
                (field(event, "event"), field(event, "id"), data)
            })
            .collect()
    }
}

fn answer(mut response: Response<Body>) -> Answer {
    let headers = response.headers().iter().map(|(name, value)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    });
    let headers = headers.collect();
    let status = response.status().as_u16();
    let bytes = response.body_mut().read_to_vec().expect("the whole body");
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Answer { status, headers, text, bytes }
}

/// A form with a file and fields after it, and its content type.
pub(crate) fn form(file: &str, catalogue: &str, fields: &[(&str, &str)]) -> (String, String) {
    let mut body = format!(
        "--edge\r\nContent-Disposition: form-data; name=\"{file}\"; filename=\"shop.csv\"\r\n\
         Content-Type: text/csv\r\n\r\n{catalogue}\r\n"
    );
    for (name, value) in fields {
        body += &format!("--edge\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    }
    ("multipart/form-data; boundary=edge".to_owned(), body + "--edge--\r\n")
}
