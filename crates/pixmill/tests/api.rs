//! The HTTP API from outside, against the real binary.

mod clients;
mod exports;
pub(crate) mod operating;
mod preview;
mod sheets;
#[cfg(feature = "otlp")]
mod traces;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use serde_json::{Value, json};

use crate::caller::{Caller, form};
use crate::cases::{self, catalogue, key, origin, pixmill};
use crate::server::{Process, Server};

#[test]
fn a_catalogue_is_taken_in_whatever_form_it_comes_in() {
    cases::a_catalogue_is_taken_in_whatever_form_it_comes_in(&Server::new());
}

#[test]
fn a_list_in_json_may_be_as_long_as_a_catalogue() {
    let server = Server::new();
    let caller = Caller::start(&server, &["--role", "api"]);
    let images: Vec<_> = (0..300_000).map(|number| format!("http://shop.example/{number}.jpg")).collect();
    let list = json!({"images": images}).to_string();
    assert!(list.len() > 8 << 20, "longer than any entry of it may be");
    let answer = caller.post("/v1/requests", &[("content-type", "application/json")], list);
    assert_eq!((answer.status, &answer.json()["totalImages"]), (202, &300_000.into()));
}

#[test]
fn outputs_are_handed_out_once_and_in_parts() {
    let (origin, server) = (origin(), Server::new());
    let caller = Caller::start(&server, &[]);
    let id = caller.post_csv("/v1/requests", &catalogue(&origin)).id();
    caller.wait_for(&id);
    let images = caller.get(&format!("/v1/requests/{id}/images?status=completed&limit=1"), &[]).json();
    let url = images["data"][0]["outputUrl"].as_str().unwrap().to_owned();
    assert!(url.starts_with(&caller.url), "{url}");
    let whole = caller.get(&url, &[]);
    assert_eq!((whole.status, whole.header("content-type")), (200, "image/jpeg"));
    let tag = whole.header("etag");
    assert_eq!(caller.get(&url, &[("if-none-match", tag)]).status, 304);
    let part = caller.get(&url, &[("range", "bytes=0-1")]);
    let length = whole.header("content-length");
    assert_eq!((part.status, part.header("content-range")), (206, format!("bytes 0-1/{length}").as_str()));
    assert_eq!(part.header("content-length"), "2");
    let changed = caller.get(&url, &[("range", "bytes=0-1"), ("if-range", "\"other\"")]);
    assert_eq!(changed.status, 200, "another picture is sent whole");
    assert_eq!(caller.get(&url, &[("range", "bytes=99999999-")]).status, 416);
    for path in ["/processed_images/..%2f..%2fpixmill.db", "/processed_images/nowhere.jpg"] {
        assert_eq!(caller.get(path, &[]).code(), "file.missing");
    }
}

#[test]
fn pages_of_an_allowed_origin_may_call_and_no_others() {
    let server = Server::new();
    let asks = |origin: &'static str| {
        [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "authorization"),
        ]
    };
    let allowed = |caller: &Caller, origin| {
        caller.options("/v1/requests", &asks(origin)).header("access-control-allow-origin").to_owned()
    };
    let closed = Caller::start(&server, &[]);
    assert_eq!(allowed(&closed, "https://shop.example"), "", "off unless asked for");
    drop(closed);
    let caller = Caller::start(&server, &["--cors-origin", "https://shop.example"]);
    assert_eq!(allowed(&caller, "https://shop.example"), "https://shop.example");
    assert_eq!(allowed(&caller, "https://evil.example"), "");
    let read = caller.get("/v1/requests", &[("origin", "https://shop.example")]);
    assert_eq!((read.status, read.code().as_str()), (401, "auth.missing"), "a page shows a key");
    assert_eq!(read.header("access-control-allow-origin"), "https://shop.example", "and may read why");
}

#[test]
fn failed_images_are_corrected_and_retried() {
    cases::failed_images_are_corrected_and_retried(&Server::new());
}

#[test]
fn watchers_miss_nothing_and_see_nothing_twice() {
    cases::watchers_miss_nothing_and_see_nothing_twice(&Server::new());
}

#[test]
fn a_catalogue_comes_back_with_its_outputs_in_place() {
    cases::a_catalogue_comes_back_with_its_outputs_in_place(&Server::new());
}

#[test]
fn a_key_and_a_body_make_one_request() {
    cases::a_key_and_a_body_make_one_request(&Server::new());
}

#[test]
fn a_tenant_sees_its_own_requests_alone() {
    cases::a_tenant_sees_its_own_requests_alone(&Server::new());
}

#[test]
fn a_key_has_its_limit() {
    let server = Server::new();
    let key = format!("Bearer {}", key(&server, &["--per-minute", "2"]));
    let caller = Caller::start(&server, &[]);
    let ask = || caller.get("/v1/usage", &[("authorization", &key)]);
    let first = ask();
    assert_eq!((first.header("ratelimit-limit"), first.header("ratelimit-remaining")), ("2", "1"));
    ask();
    let third = ask();
    assert_eq!((third.status, third.code().as_str()), (429, "rate.limited"));
    assert!((1..=30).contains(&third.header("retry-after").parse::<u64>().unwrap()), "{third:?}");
    assert_eq!((third.header("ratelimit-limit"), third.header("ratelimit-remaining")), ("2", "0"));
}

#[test]
fn clients_of_node_stacks_go_on_working() {
    let (origin, server) = (origin(), Server::new());
    let caller = Caller::start(&server, &[]);
    for upload in ["/upload", "/api/upload"] {
        let (content_type, body) = form("csv", &catalogue(&origin), &[]);
        let answer = caller.post(upload, &[("content-type", &content_type)], body);
        let request = answer.json();
        assert_eq!((answer.status, &request["processedProducts"]), (200, &2.into()), "{answer:?}");
        assert_eq!((&request["_id"], &request["requestId"]), (&request["id"], &request["id"]));
        let id = answer.id();
        caller.wait_for(&id);
        for status in ["/status", "/api/status"] {
            let told = caller.get(&format!("{status}/{id}"), &[]).json();
            assert_eq!((&told["status"], &told["_id"]), (&"completed".into(), &id.clone().into()));
        }
        for csv in ["/api/csv", "/api/download", "/download"] {
            assert!(caller.get(&format!("{csv}/{id}"), &[]).text.contains("Output Image Urls"), "{csv}");
        }
    }
}

#[test]
fn wrong_calls_are_told_what_is_wrong_and_leave_nothing_behind() {
    let server = Server::new();
    let caller = Caller::start(&server, &["--max-upload", "1"]);
    let csv = [("content-type", "text/csv")];
    let json = [("content-type", "application/json")];
    let good = "Name,Image Urls\nCap,http://h/a.jpg\n";
    let two_files = form("file", good, &[]).1.replace("--edge--\r\n", "") + &form("csv", good, &[]).1;
    let edge = [("content-type", "multipart/form-data; boundary=edge")];
    let large = format!("Name,Image Urls\n{}", "Cap,http://h/a.jpg\n".repeat(100_000));
    let large_list =
        format!(r#"{{"images": [{}"http://h/a.jpg"]}}"#, r#""http://h/a.jpg", "#.repeat(100_000));
    for (status, code, answer) in [
        (415, "body.media_type", caller.post("/v1/requests", &[("content-type", "image/png")], good)),
        (415, "body.media_type", caller.post("/v1/requests", &[], good)),
        (422, "catalogue.header", caller.post("/v1/requests", &csv, "elephant,mouse\n1,2\n")),
        (422, "catalogue.encoding", caller.post("/v1/requests", &csv, [0x1f, 0x8b, 8, 0])),
        (422, "catalogue.row", caller.post("/v1/requests", &csv, "Name,Image Urls\nCap\nMug\n")),
        (413, "body.too_large", caller.post("/v1/requests", &csv, &large)),
        (413, "body.too_large", caller.post("/v1/requests", &edge, form("file", &large, &[]).1)),
        (400, "body.malformed", caller.post("/v1/requests", &edge, "--edge--\r\n")),
        (400, "body.malformed", caller.post("/v1/requests", &edge, two_files)),
        (
            400,
            "body.malformed",
            caller.post("/v1/requests", &[("content-type", "multipart/form-data")], good),
        ),
        (400, "body.malformed", caller.post("/v1/requests", &edge, &form("file", good, &[]).1[..60])),
        (
            400,
            "body.malformed",
            caller.post("/v1/requests", &edge, form("file", good, &[]).1.replace("--edge--", "")),
        ),
        (400, "body.malformed", caller.post("/v1/requests", &json, "{")),
        (400, "body.malformed", caller.post("/v1/requests", &json, r#"{"images": ["http://h/a.jpg""#)),
        (413, "body.too_large", caller.post("/v1/requests", &json, &large_list)),
        (422, "body.malformed", caller.post("/v1/requests", &json, r#"{"images": [3]}"#)),
        (422, "body.malformed", caller.post("/v1/requests", &json, r#"{"images": ["http://h/a.jpg", 3]}"#)),
        (422, "recipe.invalid", caller.post("/v1/requests", &json, r#"{"images": [], "quality": 0}"#)),
        (422, "recipe.invalid", caller.post("/v1/requests?quality=0", &csv, good)),
        (
            422,
            "recipe.invalid",
            caller.post("/v1/requests", &edge, form("file", good, &[("format", "bmp")]).1),
        ),
        (422, "webhook.address", caller.post("/v1/requests?webhookUrl=ftp://h/", &csv, good)),
        (422, "webhook.address", caller.post("/v1/requests?webhookUrl=http://10.0.0.1/", &csv, good)),
        (422, "webhook.address", caller.post("/v1/requests?webhookUrl=http://[::1]/", &csv, good)),
        (404, "request.not_found", caller.get("/v1/requests/none", &[])),
        (404, "request.not_found", caller.get("/v1/requests/%ff", &[])),
        (404, "request.not_found", caller.post("/v1/requests/none/cancel", &[], "")),
        (404, "request.not_found", caller.delete("/v1/requests/none")),
        (404, "request.not_found", caller.post("/v1/webhooks/deliveries/none/redeliver", &[], "")),
        (404, "route.unknown", caller.get("/v2", &[])),
        (405, "route.method", caller.delete("/v1/usage")),
        (400, "query.invalid", caller.get("/v1/requests?limit=0", &[])),
        (400, "query.invalid", caller.get("/v1/requests?status=receiving", &[])),
        (422, "query.invalid", caller.get("/v1/requests?cursor=none", &[])),
        (400, "query.invalid", caller.get("/v1/usage?from=yesterday", &[])),
        (400, "query.invalid", caller.get("/v1/usage?until=", &[])),
        (422, "recipe.invalid", caller.post("/v1/requests?quality=", &csv, good)),
        (401, "auth.missing", caller.get("/v1/usage", &[("sec-fetch-site", "cross-site")])),
        (401, "auth.missing", caller.get("/v1/usage", &[("origin", "https://evil.example")])),
    ] {
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{answer:?}");
    }
    assert_eq!(caller.get("/v1/requests", &[]).json()["data"], json!([]));
    let health = caller.get("/readyz", &[]).json();
    assert_eq!(health["status"], "ok", "{health}");
}

#[test]
fn who_is_refused_before_the_body_came_is_told_that_the_connection_ends() {
    let server = Server::new();
    let caller = Caller::start(&server, &[]);
    let head = |media_type: &str, query: &str, bytes: usize| {
        format!(
            "POST /v1/requests{query} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: {media_type}\r\ncontent-length: {bytes}\r\n\r\n"
        )
    };
    let answer = |sent: &str| {
        let mut stream = TcpStream::connect(caller.url.trim_start_matches("http://")).unwrap();
        stream.write_all(sent.as_bytes()).unwrap();
        let (mut answer, mut part) = (Vec::new(), [0; 1024]);
        while !answer.ends_with(b"}") {
            let read = stream.read(&mut part).unwrap();
            assert!(read > 0, "{}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&part[..read]);
        }
        String::from_utf8(answer).unwrap()
    };
    for (status, head) in [(415, head("image/png", "", 9)), (422, head("text/csv", "?quality=0", 9))] {
        let answer = answer(&head);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    }
    let read_whole = answer(&(head("application/json", "", 1) + "{"));
    assert!(
        read_whole.starts_with("HTTP/1.1 400 ") && !read_whole.contains("connection: close"),
        "{read_whole}"
    );
}

#[test]
fn cancelled_requests_are_deleted_with_their_outputs() {
    cases::cancelled_requests_are_deleted_with_their_outputs(&Server::new());
}

#[test]
fn what_ended_long_ago_is_forgotten_with_its_outputs() {
    cases::what_ended_long_ago_is_forgotten_with_its_outputs(&Server::new());
}

#[test]
fn a_server_is_not_open_to_others_by_accident() {
    let server = Server::new();
    let open = Caller::start(&server, &["--listen", "0.0.0.0:0", "--trust", "10.0.0.0/8"]);
    let url = open.url.replace("0.0.0.0", "127.0.0.1");
    assert_eq!(open.get(&format!("{url}/v1/usage"), &[]).code(), "auth.missing");
    assert_eq!(open.get(&format!("{url}/healthz"), &[]).status, 200);
}

#[test]
fn two_processes_answer_as_one() {
    cases::two_processes_answer_as_one(&Server::new());
}

#[test]
fn an_api_and_a_worker_may_be_two_processes() {
    let (origin, server) = (origin(), Server::new());
    let caller = Caller::start(&server, &["--role", "api"]);
    let _worker = Process::start(&mut server.command(&["--role", "worker"]));
    let id = caller.post_csv("/v1/requests", &catalogue(&origin)).id();
    assert_eq!(caller.wait_for(&id)["completedImages"], 2);
    let metrics = caller.get("/metrics", &[]);
    assert!(
        metrics.text.contains("bullmq_job_count{queue=\"image-processing\",state=\"completed\"} 2"),
        "{metrics:?}"
    );
    caller.process.signal("TERM");
    assert_eq!(caller.process.exit_code(), Some(0));
}

#[test]
fn commands_do_what_the_api_does() {
    let (origin, server) = (origin(), Server::new());
    let caller = Caller::start(&server, &[]);
    let ask = |arguments: &[&str], code: i32| {
        let output = pixmill(&server, &[arguments, &["--server", &caller.url]].concat());
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {told}");
        (String::from_utf8(output.stdout).unwrap(), told)
    };
    let file = server.data().join("shop.csv");
    std::fs::write(&file, catalogue(&origin)).unwrap();
    let (submitted, told) = ask(&["submit", file.to_str().unwrap(), "--watch", "--quality", "30"], 3);
    assert!(told.contains("completed: 3 of 3 images, 1 failed"), "{told}");
    assert!(told.contains("read as CSV, UTF-8, parted by ',', header in line 1"), "{told}");
    assert!(told.contains("pictures in 'Input Image Urls'"), "{told}");
    let id = serde_json::from_str::<Value>(&submitted).unwrap()["id"].as_str().unwrap().to_owned();
    let failed = server.data().join("failed.csv");
    ask(&["results", &id, "--failed", "-o", failed.to_str().unwrap()], 0);
    let text = std::fs::read_to_string(&failed).unwrap();
    std::fs::write(&failed, text.replace("/x/status/404", "/motocross-fade.png")).unwrap();
    ask(&["retry", &id, failed.to_str().unwrap()], 0);
    let (events, _) = ask(&["watch", &id, "--json"], 0);
    let last: Value = serde_json::from_str(events.lines().last().unwrap()).unwrap();
    assert_eq!((&last["event"], &last["failedImages"]), (&"completed".into(), &0.into()));
    let (results, _) = ask(&["results", &id], 0);
    assert_eq!(results.lines().count(), 3);
    let (again, _) = ask(&["results", &id, "--catalogue"], 0);
    assert_eq!(again.matches("/processed_images/").count(), 3, "{again}");
    assert!(again.starts_with("S. No.,Product Name,Input Image Urls\n1,Cap,\"http"), "{again}");
    assert!(ask(&["status", &id], 0).0.contains("\"completed\""));
    let (_, told) = ask(&["cancel", &id], 1);
    assert!(told.contains("request.state"), "{told}");
    std::fs::write(&file, "a;b;Bild;Foto\nx;y;N/A;http://shop.example/1.jpg\n").unwrap();
    let said = ["--column", "Bild", "--name-column", "1", "--delimiter", ";", "--header-row", "1"];
    let (_, told) = ask(&[&["submit", file.to_str().unwrap()], &said[..]].concat(), 3);
    assert!(told.contains("warning: no picture was found in 1 row"), "{told}");
    assert!(ask(&["status", "none"], 1).1.contains("request.not_found"));
}

#[test]
fn the_description_is_what_it_was() {
    let output = Command::new(env!("CARGO_BIN_EXE_pixmill")).arg("openapi").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    insta::assert_snapshot!("openapi", text);
    let server = Server::new();
    let caller = Caller::start(&server, &["--role", "api"]);
    assert_eq!(caller.get("/openapi.json", &[]).text, text);
    let page = caller.get("/docs", &[]);
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(
        !page.text.contains("src=\"http") && !page.text.contains("https://"),
        "nothing comes from elsewhere"
    );
    let description: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(description["openapi"], "3.1.0");
    for (path, methods) in description["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys().filter(|method| *method == "get") {
            let answer = caller.get(&path.replace("{id}", "none").replace("{path}", "none"), &[]);
            assert!(
                !answer.text.contains("route."),
                "{method} {path} is described and not served: {answer:?}"
            );
        }
    }
}
