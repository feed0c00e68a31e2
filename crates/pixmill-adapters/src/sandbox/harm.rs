//! What a picture may do to its process, for tests: a source that ends with `pixmill-harm:WHAT@WHERE` does it there. In
//! builds for crash tests alone.

use std::fs::File;
use std::io::{self, Write};
use std::net::{TcpStream, UdpSocket};
use std::process::{Command, abort, exit};
use std::thread;
use std::time::Duration;

use super::wire::{Reply, framed};

const MARK: &[u8] = b"pixmill-harm:";

/// What is to be done at a point.
fn asked<'s>(point: &str, source: &'s [u8]) -> Option<&'s str> {
    let from = source.len().saturating_sub(64);
    let at = source[from..].windows(MARK.len()).position(|window| window == MARK)?;
    let (what, place) = str::from_utf8(&source[from + at + MARK.len()..]).ok()?.split_once('@')?;
    (place == point).then_some(what)
}

/// Does it.
pub(super) fn at(point: &str, source: &[u8]) {
    let Some(what) = asked(point, source) else { return };
    match what {
        "panic" => panic!("as asked"),
        "abort" => abort(),
        "exit" => exit(0),
        "hang" => loop {
            std::hint::spin_loop();
        },
        "sleep" => loop {
            thread::sleep(Duration::from_secs(3600));
        },
        "bloat" => {
            let taken: Vec<_> = (0..160).map(|_| vec![1_u8; 64 << 20]).collect();
            panic!("{} MiB could be had", taken.len() * 64);
        }
        "overflow" => {
            let deep = overflow(1);
            panic!("as deep as {deep}");
        }
        "wait" => thread::sleep(Duration::from_millis(300)),
        "escape" => {
            let escaped = escapes();
            assert!(escaped.is_empty(), "{escaped:?}");
        }
        _ => {}
    }
}

/// Does it in the middle of an answer.
pub(super) fn answering(replies: &mut File, reply: &Reply, bytes: &[u8], source: &[u8]) -> io::Result<()> {
    at("done", source);
    match asked("answering", source) {
        Some("nonsense") => replies.write_all(b"\x05\0\0\0hello"),
        Some("long") => replies.write_all(&[255; 4096]),
        Some("much") => {
            let Reply::Done { format, width, height, frames, kept_source, memory_bytes, .. } = *reply else {
                return Ok(());
            };
            let reply =
                Reply::Done { format, width, height, frames, kept_source, bytes: 1 << 40, memory_bytes };
            replies.write_all(&framed(&reply)?)
        }
        Some(_) => {
            replies.write_all(&framed(reply)?)?;
            replies.write_all(&bytes[..bytes.len() / 2])?;
            at("answering", source);
            Ok(())
        }
        None => Ok(()),
    }
}

/// What could be done that must not be.
fn escapes() -> Vec<&'static str> {
    let mut escaped = Vec::new();
    let mut tried = |what, could: bool| escaped.extend(could.then_some(what));
    tried("read a file", File::open("/proc/self/status").is_ok());
    tried("read a folder", std::fs::read_dir("/").is_ok());
    tried("write a file", File::create(std::env::temp_dir().join("pixmill-harm")).is_ok());
    tried("connect", TcpStream::connect("127.0.0.1:9").is_err_and(|error| error.raw_os_error() != Some(1)));
    tried("open a socket", UdpSocket::bind("127.0.0.1:0").is_ok());
    tried("start a process", Command::new("/bin/true").spawn().is_ok());
    tried("start a thread", thread::Builder::new().spawn(|| {}).is_ok());
    escaped
}

#[expect(unconditional_recursion, reason = "that is what it is for")]
#[inline(never)]
fn overflow(depth: u64) -> u64 {
    let room = std::hint::black_box([depth; 512]);
    overflow(room[0] + 1) + room[511]
}
