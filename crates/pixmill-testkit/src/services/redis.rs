//! Redis.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::port::Port;
use super::{End, Service, on_path, require};

/// What a Redis forgets when it is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persistence {
    /// Nothing that it acknowledged: an append-only file, synced with each write.
    AppendOnly,
    /// Everything.
    None,
}

/// A Redis of the test's own.
#[derive(Debug)]
pub struct Redis {
    service: Service,
    port: Port,
}

impl Redis {
    /// Starts one, with more arguments for `redis-server` if wanted, and waits until it answers.
    pub async fn start(persistence: Persistence, arguments: &[&str]) -> Redis {
        let program = require(on_path("redis-server"), "redis-server");
        let port = Port::any();
        let append_only = if persistence == Persistence::AppendOnly { "yes" } else { "no" };
        let service = Service::start("redis", &[], |folder| {
            let (port, folder) = (port.number().to_string(), folder.to_string_lossy());
            let own = ["--port", &port, "--bind", "127.0.0.1", "--dir", &folder, "--save", ""];
            let kept = ["--appendonly", append_only, "--appendfsync", "always"];
            let all = [program.as_str()].into_iter().chain(own).chain(kept).chain(arguments.iter().copied());
            all.map(str::to_owned).collect()
        });
        let redis = Redis { service, port };
        redis.answers().await;
        redis
    }

    /// Where it is: `redis://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port.number())
    }

    /// Its process, to freeze it.
    pub fn pid(&self) -> Option<u32> {
        self.service.pid()
    }

    /// Ends it; its folder stays.
    pub fn stop(&mut self, how: End) {
        self.service.stop(how);
    }

    /// Starts it again after [`Redis::stop`], on the same port and folder.
    pub async fn start_again(&mut self) {
        self.service.launch(&[]);
        self.answers().await;
    }

    /// Has it forget everything: `FLUSHALL`.
    ///
    /// # Panics
    /// When it does not.
    pub async fn forget(&self) {
        assert_eq!(self.told("FLUSHALL").await.as_ref(), Some(b"+OK\r\n"));
    }

    async fn answers(&self) {
        // It says -LOADING while it reads its file, -NOAUTH where a password was asked for.
        let well = async || matches!(&self.told("PING").await?, b"+PONG" | b"-NOAU").then_some(());
        self.service.wait(well).await;
    }

    /// The beginning of what it answers to a command; none where nobody answers.
    async fn told(&self, command: &str) -> Option<[u8; 5]> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port.number())).await.ok()?;
        stream.write_all(format!("{command}\r\n").as_bytes()).await.ok()?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).await.ok()?;
        Some(answer)
    }
}
