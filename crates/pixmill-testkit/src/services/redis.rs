//! Redis.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{End, Service, free_port, on_path, require};

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
    port: u16,
}

impl Redis {
    /// Starts one, with more arguments for `redis-server` if wanted, and waits until it answers.
    pub async fn start(persistence: Persistence, arguments: &[&str]) -> Redis {
        let program = require(on_path("redis-server"), "redis-server");
        let port = free_port();
        let append_only = if persistence == Persistence::AppendOnly { "yes" } else { "no" };
        let service = Service::start("redis", &[], |folder| {
            let (port, folder) = (port.to_string(), folder.to_string_lossy());
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
        format!("redis://127.0.0.1:{}", self.port)
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

    async fn answers(&self) {
        self.service
            .wait(async || {
                let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.ok()?;
                stream.write_all(b"PING\r\n").await.ok()?;
                let mut answer = [0; 5];
                stream.read_exact(&mut answer).await.ok()?;
                // It says -LOADING while it reads its file, -NOAUTH where a password was asked for.
                (&answer == b"+PONG" || &answer == b"-NOAU").then_some(())
            })
            .await;
    }
}
