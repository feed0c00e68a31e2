//! The ways of misbehaving, by the first word of the path below `/x/`.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::{Component, Path};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use percent_encoding::percent_decode_str;

use super::Pictures;
use super::exchange::Exchange;

const PAGE: &[u8] = b"<!doctype html><title>Sorry</title><h1>We could not find that picture</h1>\n";
/// Sent where a path names no picture but a trick needs some bytes.
const FILLER: &[u8] = &[0xAB; 10_000];
const PLAIN: &str = "text/plain";

/// Pictures, and what was asked before.
pub(super) struct Tricks {
    pictures: Pictures,
    asked: Mutex<HashMap<String, u32>>,
}

/// What follows a trick.
enum Then {
    /// The exchange is over.
    Done,
    /// Another path is to be answered.
    Answer(String),
}

impl Tricks {
    pub(super) fn new(pictures: Pictures) -> Self {
        Tricks { pictures, asked: Mutex::default() }
    }

    /// Answers as the path says. An error ends the connection.
    pub(super) async fn answer(&self, exchange: &mut Exchange<'_>) -> io::Result<()> {
        let mut path = exchange.request.path.clone();
        loop {
            let then = match path.strip_prefix("/x/") {
                Some(trick) => self.trick(exchange, trick).await?,
                None => self.picture(exchange, &path).await?,
            };
            match then {
                Then::Done => return Ok(()),
                Then::Answer(next) => path = next,
            }
        }
    }

    async fn picture(&self, exchange: &mut Exchange<'_>, path: &str) -> io::Result<Then> {
        self.as_kind(exchange, path, kind(path), &[]).await?;
        Ok(Then::Done)
    }

    async fn as_kind(
        &self,
        exchange: &mut Exchange<'_>,
        path: &str,
        kind: &str,
        more: &[(&str, &str)],
    ) -> io::Result<()> {
        match self.find(path) {
            Some(bytes) => exchange.answer(200, kind, &bytes, more).await,
            None => exchange.answer(404, PLAIN, b"not here\n", &[]).await,
        }
    }

    async fn trick(&self, exchange: &mut Exchange<'_>, trick: &str) -> io::Result<Then> {
        let (name, rest) = trick.split_once('/').unwrap_or((trick, ""));
        match name.split('?').next().unwrap_or_default() {
            "status" => exchange.answer(number(rest)?, PLAIN, b"as asked\n", &[]).await?,
            "flaky" => return self.flaky(exchange, rest).await,
            "storm" => return self.storm(exchange, rest).await,
            "slow" => return slow(rest).await,
            "drip" => self.drip(exchange, rest).await?,
            "truncated" => self.truncated(exchange, rest).await?,
            "cut-chunks" => cut_chunks(exchange).await?,
            "hang" => exchange.until_they_leave().await?,
            "reset" => exchange.reset()?,
            "garbage" => exchange.raw(b"220 mail.example ESMTP ready\r\n").await?,
            "empty" => exchange.answer(200, "image/jpeg", b"", &[]).await?,
            "html" => exchange.answer(200, "text/html; charset=utf-8", PAGE, &[]).await?,
            "wrongtype" => self.as_kind(exchange, rest, "text/html", &[]).await?,
            "odd-header" => {
                self.as_kind(exchange, rest, kind(rest), &[("X Odd, {header}", "\u{e9}")]).await?
            }
            "endless" => endless(exchange).await?,
            "gzipbomb" => {
                exchange.answer(200, "image/jpeg", gzip_bomb(), &[("Content-Encoding", "gzip")]).await?;
            }
            "redirect" => return redirect(exchange, rest).await,
            "redirect-loop" => {
                let here = exchange.request.path.clone();
                redirect_to(exchange, &here).await?;
            }
            "redirect-to" => {
                let place = rest.split(['/', '?']).next().unwrap_or_default();
                redirect_to(exchange, &percent_decode_str(place).decode_utf8_lossy()).await?;
            }
            _ => exchange.answer(404, PLAIN, b"no such trick\n", &[]).await?,
        }
        Ok(Then::Done)
    }

    /// The picture, to so many requests of all in a second of the clock, and 429 to others, without a word of when to
    /// come again.
    async fn storm(&self, exchange: &mut Exchange<'_>, rest: &str) -> io::Result<Then> {
        let (many, path) = rest.split_once('/').unwrap_or((rest, ""));
        let second = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let asked = {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            let count = asked.entry(format!("storm in {second}")).or_insert(0);
            *count += 1;
            *count
        };
        if asked <= number::<u32>(many)? {
            return Ok(Then::Answer(format!("/{path}")));
        }
        exchange.answer(429, PLAIN, b"too many\n", &[]).await?;
        Ok(Then::Done)
    }

    /// 503 as often as asked for, each path counted apart, then the picture.
    async fn flaky(&self, exchange: &mut Exchange<'_>, rest: &str) -> io::Result<Then> {
        let (times, path) = rest.split_once('/').unwrap_or((rest, ""));
        let asked = {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            let asked = asked.entry(rest.to_owned()).or_default();
            *asked += 1;
            *asked
        };
        if asked > number(times)? {
            return Ok(Then::Answer(format!("/{path}")));
        }
        exchange.answer(503, PLAIN, b"busy\n", &[("Retry-After", "1")]).await?;
        Ok(Then::Done)
    }

    async fn drip(&self, exchange: &mut Exchange<'_>, path: &str) -> io::Result<()> {
        let bytes = self.find(path).unwrap_or(Bytes::from_static(FILLER));
        exchange.head(200, &[("Content-Length", &bytes.len().to_string())]).await?;
        for byte in bytes.chunks(1) {
            exchange.body(byte).await?;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        exchange.complete();
        Ok(())
    }

    /// Promises all, sends half, hangs up politely.
    async fn truncated(&self, exchange: &mut Exchange<'_>, path: &str) -> io::Result<()> {
        let bytes = self.find(path).unwrap_or(Bytes::from_static(FILLER));
        exchange.keep = false;
        exchange.head(200, &[("Content-Length", &bytes.len().to_string())]).await?;
        exchange.body(&bytes[..bytes.len() / 2]).await
    }

    /// The picture that a path names.
    fn find(&self, path: &str) -> Option<Bytes> {
        let name = path.split('?').next().unwrap_or_default().trim_start_matches('/');
        let name = percent_decode_str(name).decode_utf8().ok()?;
        match &self.pictures {
            Pictures::Memory(pictures) => pictures.get(name.as_ref()).cloned(),
            Pictures::Folder(folder) => {
                let name = Path::new(name.as_ref());
                let inside = name.components().all(|component| matches!(component, Component::Normal(_)));
                inside.then(|| std::fs::read(folder.join(name)).ok()).flatten().map(Bytes::from)
            }
        }
    }
}

async fn slow(rest: &str) -> io::Result<Then> {
    let (wait, path) = rest.split_once('/').unwrap_or((rest, ""));
    tokio::time::sleep(Duration::from_millis(number(wait)?)).await;
    Ok(Then::Answer(format!("/{path}")))
}

/// Chunks for ever, beginning like a JPEG.
async fn endless(exchange: &mut Exchange<'_>) -> io::Result<()> {
    exchange.keep = false;
    exchange.head(200, &[("Transfer-Encoding", "chunked"), ("Content-Type", "image/jpeg")]).await?;
    let mut data = vec![0; 65_536];
    data[..4].copy_from_slice(&[0xFF, 0xD8, 0xFF, 0xE0]);
    loop {
        exchange.body(b"10000\r\n").await?;
        exchange.body(&data).await?;
        exchange.body(b"\r\n").await?;
    }
}

/// Two chunks, and no last one.
async fn cut_chunks(exchange: &mut Exchange<'_>) -> io::Result<()> {
    exchange.keep = false;
    exchange.head(200, &[("Transfer-Encoding", "chunked")]).await?;
    exchange.body(b"5\r\nabcde\r\n5\r\nfghij\r\n").await
}

/// Absolute and relative redirects in turn, then the picture.
async fn redirect(exchange: &mut Exchange<'_>, rest: &str) -> io::Result<Then> {
    let (left, path) = rest.split_once('/').unwrap_or((rest, ""));
    let left: u32 = number(left)?;
    if left == 0 {
        return Ok(Then::Answer(format!("/{path}")));
    }
    let base = match exchange.request.headers.get("host") {
        Some(host) if left % 2 == 1 => format!("http://{host}"),
        _ => String::new(),
    };
    redirect_to(exchange, &format!("{base}/x/redirect/{}/{path}", left - 1)).await?;
    Ok(Then::Done)
}

async fn redirect_to(exchange: &mut Exchange<'_>, place: &str) -> io::Result<()> {
    exchange.answer(302, PLAIN, b"", &[("Location", place)]).await
}

/// A megabyte of gzip that inflates to a gigabyte: a member of zeros sixteen times over.
fn gzip_bomb() -> &'static [u8] {
    static BOMB: OnceLock<Vec<u8>> = OnceLock::new();
    BOMB.get_or_init(|| {
        let zeros = vec![0; 1 << 20];
        let mut member = GzEncoder::new(Vec::new(), Compression::best());
        for _ in 0..64 {
            member.write_all(&zeros).expect("memory takes it");
        }
        member.finish().expect("memory takes it").repeat(16)
    })
}

fn number<N: std::str::FromStr>(text: &str) -> io::Result<N> {
    let digits = text.split(['/', '?']).next().unwrap_or_default();
    digits.parse().map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))
}

fn kind(path: &str) -> &'static str {
    let name = path.split('?').next().unwrap_or_default();
    match Path::new(name).extension().and_then(|extension| extension.to_str()) {
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("png") => "image/png",
        Some("webp") => "image/webp",
        Some("gif") => "image/gif",
        _ => "application/octet-stream",
    }
}
