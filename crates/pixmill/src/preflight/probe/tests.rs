use std::sync::atomic::AtomicUsize;

use async_trait::async_trait;
use bytes::Bytes;
use pixmill_engine::port::origin::{Body, Hop};

use super::*;

/// Answers by path: a status, a redirect, or bytes; counts how often it is asked.
#[derive(Default)]
struct Scripted {
    asked: AtomicUsize,
}

struct Pieces(Option<Bytes>);

#[async_trait]
impl Body for Pieces {
    async fn chunk(&mut self) -> Result<Option<Bytes>, Fault> {
        Ok(self.0.take())
    }
}

#[async_trait]
impl Origin for Scripted {
    async fn get(&self, hop: &Hop) -> Result<Answer, Fault> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let (status, location, body) = match hop.url.path() {
            "/moved" => (302, Some("/page".to_owned()), Bytes::new()),
            "/page" => (200, None, Bytes::from_static(b"<!doctype html><title>Sorry</title>")),
            "/loop" => (302, Some("/loop".to_owned()), Bytes::new()),
            "/down" => (503, None, Bytes::new()),
            "/down-connection" => return Err(Fault::transient(Code::FetchConnect, "refused")),
            _ => (404, None, Bytes::new()),
        };
        let length = body.len() as u64;
        let body = Box::new(Pieces(Some(body).filter(|body| !body.is_empty())));
        Ok(Answer { status, location, ..Answer::of_file(length, body) })
    }
}

async fn probe(paths: impl IntoIterator<Item = &str>) -> (Vec<Probed>, usize) {
    let origin = Arc::new(Scripted::default());
    let settings = Settings {
        connections: 4,
        per_origin: 1,
        timeout: Duration::from_secs(600),
        max_bytes: 1000,
        limits: Limits::default(),
        recipe: Recipe::default(),
    };
    let prober = Prober { origin: origin.clone(), files: None, settings, offline: false };
    let (give, take) = mpsc::channel(100);
    let (tell, mut told) = mpsc::channel(100);
    for (line, path) in paths.into_iter().enumerate() {
        let source = Source::parse(&format!("http://shop.example{path}")).unwrap();
        give.send(Target { line: line as u64, position: 0, source }).await.unwrap();
    }
    drop(give);
    prober.run(take, tell).await;
    let mut found = Vec::new();
    while let Some(probed) = told.recv().await {
        found.push(probed);
    }
    (found, origin.asked.load(Ordering::Relaxed))
}

async fn code(path: &str) -> Code {
    let (found, _) = probe([path]).await;
    found[0].found.as_ref().expect_err(path).code
}

#[tokio::test]
async fn what_is_gone_or_no_picture_is_told() {
    assert_eq!(code("/gone").await, Code::FetchStatus);
    assert_eq!(code("/page").await, Code::ImageUnsupported);
    assert_eq!(code("/moved").await, Code::ImageUnsupported);
    assert_eq!(code("/loop").await, Code::FetchRedirects);
}

#[tokio::test]
async fn an_origin_that_is_down_is_left_alone() {
    let (found, asked) = probe(["/down-connection"; 30]).await;
    assert_eq!(found.len(), GIVEN_UP as usize);
    assert_eq!(asked, GIVEN_UP as usize);
}

#[tokio::test]
async fn what_is_gone_does_not_count_as_down() {
    let (found, _) = probe(["/gone"; 30]).await;
    assert_eq!(found.len(), 30);
}
