//! A server that speaks MongoDB's protocol: a `mongod` on the path, else the one the install script brings.

use tokio::net::TcpStream;
use tokio::sync::OnceCell;

use super::port::Port;
use super::{End, Service, installed, on_path, require};

/// A server of the test's own.
#[derive(Debug)]
pub struct Mongodb {
    service: Service,
    port: Port,
}

/// A server that the tests of one process share, each with a database of its own: the address of a database that
/// nobody has used. `PIXMILL_TEST_MONGODB_URI`, without a database's name, says to take another server.
pub async fn database() -> String {
    static SHARED: OnceCell<Mongodb> = OnceCell::const_new();
    let name = format!("pixmill_{}", uuid::Uuid::new_v4().simple());
    match std::env::var("PIXMILL_TEST_MONGODB_URI") {
        Ok(uri) => {
            let (uri, options) = uri.split_once('?').map_or((uri.as_str(), None), |(u, o)| (u, Some(o)));
            let options = options.map(|options| format!("?{options}")).unwrap_or_default();
            format!("{}/{name}{options}", uri.trim_end_matches('/'))
        }
        Err(_) => SHARED.get_or_init(|| Mongodb::start(&[])).await.url(&name),
    }
}

impl Mongodb {
    /// Starts one, with more arguments for the server if wanted, and waits until it listens.
    pub async fn start(arguments: &[&str]) -> Mongodb {
        let port = Port::any();
        let (program, folder_flag) = match on_path("mongod") {
            Some(mongod) => (require(Some(mongod), "mongod"), "--dbpath"),
            None => (
                require(Some(installed().join("venv/bin/secantusd-py")), "the MongoDB-compatible server"),
                "--storage-path",
            ),
        };
        let address = if folder_flag == "--dbpath" { "--bind_ip" } else { "--host" };
        let service = Service::start("mongodb", &[], |folder| {
            let (port, folder) = (port.number().to_string(), folder.to_string_lossy());
            let own = [program.as_str(), address, "127.0.0.1", "--port", &port, folder_flag, &folder];
            own.into_iter().chain(arguments.iter().copied()).map(str::to_owned).collect()
        });
        let mongodb = Mongodb { service, port };
        mongodb.listens().await;
        mongodb
    }

    /// The address of one of its databases. Without retryable writes, which a standalone `mongod` refuses.
    pub fn url(&self, database: &str) -> String {
        self.url_of("", database)
    }

    /// The same for a user, `NAME:PASSWORD@`.
    pub fn url_of(&self, user: &str, database: &str) -> String {
        let port = self.port.number();
        format!("mongodb://{user}127.0.0.1:{port}/{database}?directConnection=true&retryWrites=false")
    }

    /// Its process, to freeze it.
    pub fn pid(&self) -> Option<u32> {
        self.service.pid()
    }

    /// Ends it; its folder stays.
    pub fn stop(&mut self, how: End) {
        self.service.stop(how);
    }

    /// Starts it again after [`Mongodb::stop`], on the same port and folder.
    pub async fn start_again(&mut self) {
        self.start_again_with(&[]).await;
    }

    /// The same, with more arguments, such as `--auth`.
    pub async fn start_again_with(&mut self, more: &[&str]) {
        self.service.launch(more);
        self.listens().await;
    }

    async fn listens(&self) {
        self.service.wait(async || TcpStream::connect(("127.0.0.1", self.port.number())).await.ok()).await;
    }
}
