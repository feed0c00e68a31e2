//! What others wrote, on a terminal: nothing of it steers one.

use std::io::{Read, Write};
use std::net::TcpListener;

use crate::server::Server;

/// A title, a link, clearing, C1 in UTF-8, backspaces.
const HOSTILE: &str = "\x1b]0;OWNED\x07\x1b[31mRED\x1b[2J\x1b]8;;http://evil\x1b\\x\u{9b}5m\x08\x7f";

/// What a command says where colours are wanted, on both of its outputs.
fn said(server: &Server, arguments: &[&str]) -> String {
    let output = server.pixmill(arguments).env("CLICOLOR_FORCE", "1").output().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

/// The first thing that steers a terminal, other than line ends and colours.
fn steering(text: &str) -> Option<String> {
    let mut rest = text;
    while let Some(at) = rest.find(|sign: char| sign.is_control() && !matches!(sign, '\n' | '\t')) {
        let found = &rest[at..];
        let parameters = found.strip_prefix("\x1b[").unwrap_or("x");
        let end = parameters.find(|sign: char| !sign.is_ascii_digit() && sign != ';').unwrap_or(0);
        if !parameters[end..].starts_with('m') {
            return Some(found.chars().take(40).collect());
        }
        rest = &parameters[end + 1..];
    }
    None
}

fn assert_plain(text: &str, what: &str) {
    assert_eq!(steering(text), None, "{what}: {text:?}");
}

/// A server that says the same to everybody.
fn hostile_server(status: &'static str, media_type: &'static str, body: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut head = [0; 4096];
            let _ = stream.read(&mut head);
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-type: {media_type}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    url
}

#[test]
fn hosts_schemes_and_names_of_a_catalogue() {
    let server = Server::new();
    let folder = server.data();
    let title = "\x1b]0;OWNED\x07";
    let name = format!("c{title}.csv");
    let rows = format!(
        "Product{title},Input Image Urls\nCap,http://{title}/a.jpg\nMug,{title}://h/a.jpg\nHat,\"{HOSTILE}\"\n"
    );
    std::fs::write(folder.join(&name), rows).unwrap();
    let path = folder.join(&name);
    let (path, out) = (path.to_str().unwrap(), folder.join("out"));
    for arguments in [
        &["run", path, "-o", out.to_str().unwrap()][..],
        &["check", path],
        &["check", path, "--offline"],
        &["run", path, "-o", out.to_str().unwrap(), "--json"],
        &["image", &format!("q{title}.jpg"), "out.jpg"],
        &["run", &format!("q{title}.csv")],
        &["run", &format!("--{title}")],
        &["run", path, "--quality", title],
    ] {
        let said = said(&server, arguments);
        assert!(said.contains("OWNED"), "{arguments:?}: {said:?}");
        assert_plain(&said, &format!("{arguments:?}"));
    }
}

#[test]
fn what_a_server_answers() {
    let server = Server::new();
    let escaped = serde_json::to_string(HOSTILE).unwrap();
    let problem = format!(
        r#"{{"code": "auth.invalid", "detail": {escaped}, "errors": [{{"field": {escaped}, "message": {escaped}}}]}}"#
    );
    let request =
        format!(r#"{{"id": "x", "status": {escaped}, "processedImages": {escaped}, "totalImages": 1}}"#);
    let event = format!("event: progress\nid: 1:~\ndata: {request}\n\n");
    let urls = [
        hostile_server("401 No", "application/problem+json", problem),
        hostile_server("200 OK", "application/json", request),
        hostile_server("500 No", "text/plain", HOSTILE.to_owned()),
    ];
    for url in &urls {
        for command in ["status", "cancel", "retry"] {
            assert_plain(&said(&server, &[command, "x", "--server", url]), &format!("{command} {url}"));
        }
    }
    let refused = said(&server, &["watch", "x", "--server", &urls[0]]);
    assert!(refused.contains("OWNED"), "{refused}");
    assert_plain(&refused, "watch");
    assert!(!refused.contains("\nerror"), "no lines of its own: {refused}");
    // One that says the same for ever is watched for a while and left.
    let watching = server
        .pixmill(&["watch", "x", "--server", &hostile_server("200 OK", "text/event-stream", event)])
        .env("CLICOLOR_FORCE", "1")
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut watching = crate::server::Process(watching);
    let mut heard = [0; 64];
    watching.0.stderr.as_mut().unwrap().read_exact(&mut heard).unwrap();
    assert_plain(&String::from_utf8_lossy(&heard), "watch");
}

#[test]
fn what_a_receiver_answers() {
    let server = Server::new();
    let url = hostile_server("200 OK", "text/plain", HOSTILE.to_owned());
    let data = server.data();
    let said = said(&server, &["webhook", "test", &url, "--data", data.to_str().unwrap()]);
    assert!(said.contains("OWNED"), "{said:?}");
    assert_plain(&said, "webhook test");
}
