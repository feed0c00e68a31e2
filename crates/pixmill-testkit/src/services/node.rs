//! Node, with the vendors' own clients: what the ecosystem's programs see and do.

use super::{Service, installed, on_path, require};

/// A program of Node's that runs beside the test, such as a worker or a dashboard.
#[derive(Debug)]
pub struct Node {
    service: Service,
}

impl Node {
    /// Starts an ES module given as text, with the packages of `services/package.json`. Its arguments begin at
    /// `process.argv[1]`.
    pub fn start(module: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Node {
        let node = require(on_path("node"), "node");
        let packages = require(Some(installed().join("node/node_modules")), "the Node packages");
        // A module from the command line finds packages from where it runs.
        let within = r#"cd "$0/.." && exec "$@""#;
        let service = Service::start("node", environment, |_| {
            let run = ["sh", "-c", within, &packages, &node, "--input-type=module", "--eval", module, "--"];
            run.into_iter().chain(arguments.iter().copied()).map(str::to_owned).collect()
        });
        Node { service }
    }

    /// Runs a module to its end and gives back what it wrote.
    ///
    /// # Panics
    /// When it has not ended within a minute.
    pub async fn run(module: &str, arguments: &[&str], environment: &[(&str, &str)]) -> String {
        let module = format!("{module}\n;console.log('{DONE}');process.exit(0);");
        let node = Node::start(&module, arguments, environment);
        node.line(DONE).await;
        node.output().replace(&format!("{DONE}\n"), "")
    }

    /// Waits until it writes a line that begins so; gives back the rest of the line.
    ///
    /// # Panics
    /// When the program ended before, or a minute went by.
    pub async fn line(&self, beginning: &str) -> String {
        let found = async || {
            let log = self.service.log();
            let whole = log.rfind('\n').map_or("", |end| &log[..end]);
            whole.lines().find_map(|line| line.strip_prefix(beginning)).map(str::to_owned)
        };
        self.service.wait(found).await
    }

    /// What it has written so far, standard output and error.
    pub fn output(&self) -> String {
        self.service.log()
    }

    /// Its process, to freeze or kill it.
    pub fn pid(&self) -> Option<u32> {
        self.service.pid()
    }
}

/// The last line of a module that ran to its end.
const DONE: &str = "-- done --";
