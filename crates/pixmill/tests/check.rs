//! `pixmill check` from outside.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn check(folder: &Path, options: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pixmill"))
        .args(["check", "c.csv", "--json"])
        .args(options)
        .current_dir(folder)
        .output()
        .unwrap()
}

/// The summary, which is the last line.
fn summary(output: &Output) -> Value {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let last: Value = serde_json::from_str(text.lines().last().expect("a line")).unwrap();
    last["summary"].clone()
}

fn catalogue(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("c.csv"), text).unwrap();
    folder
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn offline_counts_and_asks_nobody() {
    let folder = catalogue(
        "Name,Image Urls\na,https://h.example/1.jpg\nb,\"https://h.example/1.jpg, https://h.example/2.jpg\"\n",
    );
    let output = check(folder.path(), &["--offline"]);
    assert_eq!(output.status.code(), Some(0));
    let told = summary(&output);
    assert_eq!((&told["rows"], &told["images"]), (&2.into(), &3.into()));
    assert_eq!((&told["distinct"], &told["duplicates"]), (&2.into(), &1.into()));
    assert_eq!(told["origins"][0]["probed"], 0);
    assert_eq!(names(folder.path()), ["c.csv"]);
}

#[test]
fn rows_that_cannot_be_used_are_told_and_the_others_counted() {
    let folder = catalogue("Name,Image Urls\na,https://h.example/1.jpg\nbroken\n");
    let output = check(folder.path(), &["--offline", "--errors", "wrong.csv"]);
    assert_eq!(output.status.code(), Some(3));
    let told = summary(&output);
    assert_eq!((&told["rows"], &told["row_errors_total"]), (&1.into(), &1.into()));
    assert_eq!(told["row_errors"][0]["line"], 3);
    assert_eq!(told["row_errors"][0]["code"], "catalogue.row");
    let wrong = std::fs::read_to_string(folder.path().join("wrong.csv")).unwrap();
    let mut lines = wrong.lines();
    assert_eq!(lines.next(), Some("Catalogue,Line,Image,Code,Message,What to do"));
    assert!(lines.next().is_some_and(|line| line.starts_with("c.csv,3,,catalogue.row,")), "{wrong}");
}

#[test]
fn a_catalogue_without_a_header_is_refused() {
    let folder = catalogue("elephant,giraffe\n1,2\n");
    let output = check(folder.path(), &["--offline"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(summary(&output)["row_errors"][0]["code"], "catalogue.header");
    assert!(String::from_utf8_lossy(&output.stderr).contains("catalogue.header"));
}

/// Answers every request for `/there.png` with a picture and all others with 404, one connection at a time.
fn origin() -> std::net::SocketAddr {
    let picture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/pictures/caps.jpg");
    let picture = std::fs::read(picture).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            let mut piece = [0; 1024];
            while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                match stream.read(&mut piece) {
                    Ok(0) | Err(_) => break,
                    Ok(read) => request.extend_from_slice(&piece[..read]),
                }
            }
            let there = request.starts_with(b"GET /there.jpg");
            let (status, body) =
                if there { ("200 OK", picture.as_slice()) } else { ("404 Not Found", &b""[..]) };
            let head =
                format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            // A probe may have seen enough before all is sent.
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        }
    });
    address
}

#[test]
fn probes_find_what_is_gone_and_measure_what_is_there() {
    let address = origin();
    let folder = catalogue(&format!(
        "Name,Image Urls\na,http://{address}/there.jpg\nb,\"http://{address}/gone.jpg, ftp://h.example/x.jpg\"\n"
    ));
    let output = check(folder.path(), &["--allow-address", "127.0.0.1"]);
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    let told = summary(&output);
    let problems: Vec<_> = told["problems"].as_array().unwrap().iter().collect();
    assert_eq!(problems.len(), 2, "{told}");
    assert_eq!((&problems[0]["line"], &problems[0]["position"]), (&3.into(), &1.into()));
    assert_eq!(problems[0]["code"], "fetch.status");
    assert_eq!(problems[1]["code"], "url.scheme");
    let origin = &told["origins"][0];
    assert_eq!((&origin["probed"], &origin["failed"]), (&2.into(), &1.into()));
    let size =
        std::fs::metadata(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/pictures/caps.jpg"));
    assert_eq!(origin["mean_bytes"], size.unwrap().len());
    assert!(told["estimate"]["bytes_after"].as_u64().is_some_and(|bytes| bytes > 0), "{told}");
    assert_eq!(names(folder.path()), ["c.csv"]);
}

#[test]
fn loopback_is_not_asked_unless_it_is_opened() {
    let address = origin();
    let folder = catalogue(&format!("Name,Image Urls\na,http://{address}/there.jpg\n"));
    let output = check(folder.path(), &[]);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(summary(&output)["problems"][0]["code"], "fetch.blocked_address");
}

#[test]
fn several_catalogues_end_with_their_total() {
    let folder = catalogue("Name,Image Urls\na,http://h.example/1.jpg\n");
    let more = "Image Urls\nhttp://h.example/1.jpg\nhttp://h.example/2.jpg\n";
    std::fs::write(folder.path().join("d.csv"), more).unwrap();
    let output = check(folder.path(), &["d.csv", "--offline"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(summary(&output)["rows"], 3);
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 3);
}

#[test]
fn offline_looks_whether_local_files_are_there_and_opens_none() {
    let folder = catalogue("Name,Image Urls\na,there.jpg\nb,missing.jpg\nc,https://h.example/1.jpg\n");
    std::fs::write(folder.path().join("there.jpg"), "no picture at all").unwrap();
    let output = check(folder.path(), &["--offline"]);
    assert_eq!(output.status.code(), Some(3));
    let told = summary(&output);
    assert_eq!(
        (&told["problems"][0]["code"], &told["problems"][0]["line"]),
        (&"file.missing".into(), &3.into())
    );
    assert_eq!(told["problems_total"], 1);
}

#[test]
fn standard_input_is_checked_whatever_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_pixmill"))
        .args(["check", "-", "--json", "--offline"])
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let json =
        br#"{"products":[{"title":"Cap","images":[{"src":"https://h.example/1.jpg"},{"src":"a.jpg"}]}]}"#;
    child.stdin.take().unwrap().write_all(json).unwrap();
    let output = child.wait_with_output().unwrap();
    let told = summary(&output);
    assert_eq!(
        (&told["catalogue"], &told["images"], &told["problems_total"]),
        (&"-".into(), &2.into(), &1.into())
    );
    assert_eq!(told["understood"]["format"], "JSON");
    assert_eq!(told["understood"]["columns"][0]["name"], "images.src");
    assert!(names(folder.path()).is_empty());
}

#[test]
fn pictures_beside_the_catalogue_are_looked_for() {
    let folder = catalogue("Name,Image Urls\na,missing.jpg\nb,../outside.jpg\n");
    let output = check(folder.path(), &[]);
    assert_eq!(output.status.code(), Some(3));
    let told = summary(&output);
    assert_eq!(
        (&told["problems"][0]["code"], &told["problems"][1]["code"]),
        (&"file.missing".into(), &"file.outside".into())
    );
}
