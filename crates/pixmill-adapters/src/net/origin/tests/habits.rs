//! What servers get wrong and browsers read all the same, a line of a table each.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

use super::servers::{fetched, here};
use super::*;

/// What becomes of a habit.
#[derive(Debug, Clone, Copy)]
enum End {
    /// The picture comes whole.
    Whole,
    /// Nothing comes, which is no fault of the server's form.
    Empty,
    /// A fault of this code, with these words in its sentence.
    Fault(Code, &'static str),
}

use End::{Empty, Fault as Told, Whole};

/// Answers each connection's first request with these bytes, and closes it or leaves it open.
fn server(answer: Vec<u8>, closes: bool) -> SocketAddr {
    let listener = TcpListener::bind((HERE, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut open: Vec<TcpStream> = Vec::new();
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
                head.push(byte[0]);
            }
            let _ = stream.write_all(&answer);
            if !closes {
                open.push(stream);
            }
        }
    });
    address
}

async fn end(answer: &[u8], closes: bool) -> Result<Vec<u8>, Fault> {
    let address = server(answer.to_vec(), closes);
    let url = format!("http://{address}/a.jpg?key=secret");
    let origin = here();
    let fetching = fetched(&origin, &url);
    tokio::time::timeout(Duration::from_secs(20), fetching).await.expect("it ends with the answer")
}

async fn check(habit: &str, answer: &[u8], closes: bool, wanted: End) {
    match (end(answer, closes).await, wanted) {
        (Ok(bytes), Whole) => assert_eq!(bytes, b"picture", "{habit}"),
        (Ok(bytes), Empty) => assert!(bytes.is_empty(), "{habit}"),
        (Err(fault), Told(code, words)) => {
            assert_eq!(fault.code, code, "{habit}: {fault}");
            assert!(fault.message.contains(words) && !fault.message.contains("secret"), "{habit}: {fault}");
        }
        (came, wanted) => panic!("{habit}: {came:?} rather than {wanted:?}"),
    }
}

const LENGTH: &str = "Content-Length: 7\r\n\r\npicture";
const CHUNKED: &str = "Transfer-Encoding: chunked\r\n\r\n";
const NO_HTTP: End = Told(Code::FetchConnect, "not HTTP");
const CUT: End = Told(Code::FetchTruncated, "broke off");

#[tokio::test]
async fn first_lines_of_every_spelling_are_read() {
    for (line, wanted) in [
        ("HTTP/1.1 200 OK", Whole),
        ("HTTP/1.0 200 OK", Whole),
        ("HTTP/1.1 200", Whole),
        ("HTTP/1.1 200 ", Whole),
        ("HTTP/1.1  200  OK", Whole),
        ("HTTP/1.1\t200\tOK", Whole),
        ("http/1.1 200 ok", Whole),
        ("HTTP/1.2 200 OK", Whole),
        ("HTTP/2.0 200 OK", Whole),
        ("HTTP/2 200", Whole),
        ("ICY 200 OK", Whole),
        ("HTTP/1.1 200 P\u{159}ipraveno", Whole),
        ("HTTP/1.1 200 O\u{1}K\0", Whole),
        ("\r\n\r\nHTTP/1.1 200 OK", Whole),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK", Whole),
        ("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 103 More\r\n\r\nHTTP/1.1 200 OK", Whole),
        ("HTTP/1.1 OK", NO_HTTP),
        ("HTTP/1.1 2000 OK", NO_HTTP),
        ("<html>", NO_HTTP),
        ("SSH-2.0-OpenSSH_9.2", NO_HTTP),
    ] {
        check(line, format!("{line}\r\n{LENGTH}").as_bytes(), true, wanted).await;
    }
    check("HTTP/0.9", b"\xFF\xD8\xFF\xE0", true, NO_HTTP).await;
    check("lines that end with LF", b"HTTP/1.1 200 OK\nContent-Length: 7\n\npicture", false, Whole).await;
}

#[tokio::test]
async fn odd_headers_spoil_no_picture() {
    for line in [
        "X-A: a\0b",
        "X-A: \u{1b}[31m",
        "X-A: a\u{7f}",
        "X-A: a\rb",
        "X\0A: b",
        "X-A: a\r\n  folded\r\n\tand again",
        "X-A: a\0\r\n  folded",
        " begins with a space",
        "no colon",
        ": no name",
        "X A: space in the name",
        "X-A : space behind the name",
        "X-A:",
        "X-\u{e9}: latin",
        "Content-Disposition: inline; filename=\"\u{e9}t\u{e9}.jpg\"",
        "Content-Length: 7",
        "Content-Length: 7, 7",
        "Connection: Keep-Alive, Upgrade\r\nUpgrade: h2c",
        "Content-Type: text/html",
        "Content-Encoding: identity",
        "Content-Encoding: none",
        "Content-Encoding:",
        "Content-Encoding: aws-chunked",
        "Content-Encoding: UTF-8",
        "Content-Encoding: gzip",
        "Content-Encoding: gzip, gzip",
        "Content-Encoding: zstd",
    ] {
        check(line, format!("HTTP/1.1 200 OK\r\n{line}\r\n{LENGTH}").as_bytes(), false, Whole).await;
    }
    let large = |length: usize| format!("HTTP/1.1 200 OK\r\nX-A: {}\r\n{LENGTH}", "a".repeat(length));
    check("a head of 250 kB", large(250_000).as_bytes(), false, Whole).await;
    let too_large = Told(Code::FetchConnect, "more headers than are read");
    check("a head of 300 kB", large(300_000).as_bytes(), false, too_large).await;
    check("a head without end", &large(10_000_000).as_bytes()[..9_000_000], true, too_large).await;
}

#[tokio::test]
async fn lengths_that_are_none_are_no_lengths() {
    for line in [
        "Content-Length: -1",
        "Content-Length: abc",
        "Content-Length: +7",
        "Content-Length: 7.0",
        "Content-Length: 0x7",
        "Content-Length:",
        "Content-Length: 99999999999999999999999",
        "Content-Length: 7\r\nContent-Length: 12",
        "Content-Length: 7, 12",
        "Connection: close",
        "Transfer-Encoding: identity",
    ] {
        check(line, format!("HTTP/1.1 200 OK\r\n{line}\r\n\r\npicture").as_bytes(), true, Whole).await;
    }
    check("more than the length", format!("HTTP/1.1 200 OK\r\n{LENGTH} and more").as_bytes(), false, Whole)
        .await;
    let less = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npicture";
    check("less than the length", less.as_bytes(), true, CUT).await;
    for status in ["204 No Content", "205 Reset Content", "304 Not Modified"] {
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        check(status, answer.as_bytes(), false, Empty).await;
    }
    let part = |range: &str| format!("HTTP/1.1 206 Partial Content\r\nContent-Range: {range}\r\n{LENGTH}");
    check("all of it, as a part", part("bytes 0-6/7").as_bytes(), false, Whole).await;
    check("a part, unasked", part("bytes 0-6/20").as_bytes(), false, Told(Code::FetchTruncated, "206")).await;
    check("a later part", part("bytes 7-13/14").as_bytes(), false, Told(Code::FetchTruncated, "206")).await;
}

#[tokio::test]
async fn chunks_of_every_kind_are_put_together() {
    let one = "7\r\npicture\r\n0\r\n\r\n";
    for (habit, lines, body) in [
        ("plain", CHUNKED, one),
        ("upper case", "Transfer-Encoding: Chunked\r\n\r\n", one),
        ("a length beside them", "Content-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n", one),
        ("a wrong length beside them", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", one),
        ("no length beside them", "Content-Length: x\r\nTransfer-Encoding: chunked\r\n\r\n", one),
        ("extensions", CHUNKED, "7;a=b;c=\"d\"\r\npicture\r\n0;e\r\n\r\n"),
        ("spaces behind sizes", CHUNKED, "7  \r\npicture\r\n0\r\n\r\n"),
        ("zeros before sizes", CHUNKED, "000007\r\npicture\r\n000\r\n\r\n"),
        ("trailers", CHUNKED, "7\r\npicture\r\n0\r\nX-Checksum: 1\r\nX-Other: 2\r\n\r\n"),
        ("bytes behind the end", CHUNKED, "7\r\npicture\r\n0\r\n\r\nmore"),
    ] {
        check(habit, format!("HTTP/1.1 200 OK\r\n{lines}{body}").as_bytes(), false, Whole).await;
        check(habit, format!("HTTP/1.0 200 OK\r\n{lines}{body}").as_bytes(), true, Whole).await;
    }
    let raw = format!("HTTP/1.0 200 OK\r\n{CHUNKED}picture");
    check("HTTP/1.0 that says chunks and sends none", raw.as_bytes(), true, Whole).await;
    for (habit, body) in [("no last chunk", "7\r\npicture\r\n"), ("half a chunk", "9\r\npicture")] {
        check(habit, format!("HTTP/1.1 200 OK\r\n{CHUNKED}{body}").as_bytes(), true, CUT).await;
    }
}

#[tokio::test]
async fn encodings_are_undone_as_they_are_rather_than_as_they_are_called() {
    let gzip = |bytes: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let zlib = {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(b"picture").unwrap();
        encoder.finish().unwrap()
    };
    let raw = {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(b"picture").unwrap();
        encoder.finish().unwrap()
    };
    let once = gzip(b"picture");
    let members = [gzip(b"pict"), gzip(b"ure")].concat();
    for (habit, header, body) in [
        ("gzip", "Content-Encoding: gzip\r\n", &once),
        ("x-gzip", "Content-Encoding: x-gzip\r\n", &once),
        ("GZIP", "Content-Encoding: GZIP\r\n", &once),
        ("gzip that is not told", "", &once),
        ("twice", "Content-Encoding: gzip, gzip\r\n", &gzip(&once)),
        ("twice, in two lines", "Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n", &gzip(&once)),
        ("twice told, once done", "Content-Encoding: gzip, gzip\r\n", &once),
        ("two members", "Content-Encoding: gzip\r\n", &members),
        ("rubbish behind it", "Content-Encoding: gzip\r\n", &[&once[..], b"\0\0\0"].concat()),
        ("deflate with zlib's frame", "Content-Encoding: deflate\r\n", &zlib),
        ("deflate without", "Content-Encoding: deflate\r\n", &raw),
        ("gzip called something", "Content-Encoding: utf-8\r\n", &once),
    ] {
        let head = format!("HTTP/1.1 200 OK\r\n{header}Content-Length: {}\r\n\r\n", body.len());
        check(habit, &[head.as_bytes(), body].concat(), false, Whole).await;
        let head = format!("HTTP/1.1 200 OK\r\n{header}Connection: close\r\n\r\n");
        check(habit, &[head.as_bytes(), body].concat(), true, Whole).await;
    }
    let cut = &once[..once.len() - 12];
    let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", cut.len());
    let fault = Told(Code::FetchTruncated, "gzip encoding has no end");
    check("gzip cut off", &[head.as_bytes(), cut].concat(), false, fault).await;
}

#[tokio::test]
async fn damaged_answers_give_an_answer() {
    let seeds = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/answers");
    let mut state = 1_u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as usize
    };
    let (mut read, mut refused) = (0, 0);
    for file in std::fs::read_dir(seeds).unwrap() {
        let whole = std::fs::read(file.unwrap().path()).unwrap();
        assert!(rehearsal::rehearse(&whole, 1 << 20).await.is_ok(), "{:?}", String::from_utf8_lossy(&whole));
        for round in 0..200 {
            let mut bytes = whole.clone();
            for _ in 0..=round % 4 {
                let at = noise() % bytes.len();
                match round % 3 {
                    0 => bytes[at] = noise() as u8,
                    1 => drop(bytes.remove(at)),
                    _ => bytes.insert(at, b"\r\n \0:0;,\x1F"[noise() % 9]),
                }
            }
            bytes.truncate(bytes.len() - if round % 5 == 0 { noise() % bytes.len() } else { 0 });
            match rehearsal::rehearse(&bytes, 1 << 20).await {
                Ok((_, body)) => read += usize::from(body.len() <= (1 << 20) + (64 << 10)),
                Err(fault) => {
                    refused += usize::from(matches!(fault.code, Code::FetchConnect | Code::FetchTruncated))
                }
            }
        }
    }
    assert!(read + refused >= 2_000 && read > 200 && refused > 200, "{read} read, {refused} refused");
}
