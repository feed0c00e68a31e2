//! A server that speaks S3's protocol: moto, which keeps everything in memory.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::port::Port;
use super::{Service, installed, require};

/// An S3 server of the test's own, with one empty bucket. It takes any access key.
#[derive(Debug)]
pub struct S3 {
    _service: Service,
    port: Port,
}

/// The name of its bucket.
pub const BUCKET: &str = "pictures";

impl S3 {
    /// Starts one and waits until it has made its bucket.
    pub async fn start() -> S3 {
        let program = require(Some(installed().join("venv/bin/moto_server")), "the S3 server");
        let port = Port::any();
        let service = Service::start("s3", &[], |_| {
            let arguments = [program.as_str(), "-H", "127.0.0.1", "-p", &port.number().to_string()];
            arguments.map(str::to_owned).into()
        });
        service.wait(async || make_bucket(port.number()).await).await;
        S3 { _service: service, port }
    }

    /// Its endpoint: `http://127.0.0.1:PORT`. The bucket is a folder of it (path style).
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port.number())
    }
}

async fn make_bucket(port: u16) -> Option<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    let request = format!(
        "PUT /{BUCKET} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok()?;
    answer.starts_with(b"HTTP/1.1 200").then_some(())
}
