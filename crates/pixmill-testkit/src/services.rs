//! Real servers for tests, each of the test's own: on a free loopback port, in a temporary folder, ended with the test.
//!
//! `crates/pixmill-testkit/services/install` puts the programs there.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub mod mongodb;
pub mod node;
mod port;
pub mod redis;
pub mod s3;

/// Longest wait for a server's first answer: it is generous, since machines that test are busy.
const START: Duration = Duration::from_secs(60);

/// Runs the command `$@`, tells its process id, and waits for a word on standard input: a signal's name ends the
/// command with it. When the input ends instead, so also when the test's process dies in whatever way, the command is
/// killed and its folder `$0` removed.
const GUARD: &str = r#"
exec 3<&0
"$@" </dev/null >>"$0/log" 2>&1 &
server=$!
echo $server
( if read -r signal <&3; then kill -"$signal" $server; else kill -KILL $server; exit 1; fi ) 2>/dev/null &
guard=$!
wait $server
: >"$0/ended"
wait $guard || rm -rf "$0"
"#;

/// How a server is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// At once, as when the machine's memory ran out: `SIGKILL`.
    Killed,
    /// As an operator would: `SIGTERM`.
    Asked,
}

/// A server program that ends with the test.
#[derive(Debug)]
pub struct Service {
    command: Vec<String>,
    environment: Vec<(String, String)>,
    folder: PathBuf,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    guard: Child,
    pid: u32,
}

impl Service {
    /// Starts a command in a folder of its own, which `command` is told of.
    fn start(
        name: &str,
        environment: &[(&str, &str)],
        command: impl FnOnce(&Path) -> Vec<String>,
    ) -> Service {
        let folder = std::env::temp_dir().join(format!("pixmill-{name}-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&folder).expect("the temporary folder can be written to");
        let command = command(&folder);
        let environment =
            environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut service = Service { command, environment, folder, running: None };
        service.launch(&[]);
        service
    }

    /// Runs the command, with more arguments if wanted.
    fn launch(&mut self, more: &[&str]) {
        let _ = fs::remove_file(self.folder.join("ended"));
        let mut guard = Command::new("sh")
            .arg("-c")
            .arg(GUARD)
            .arg(&self.folder)
            .args(&self.command)
            .args(more)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("there is a shell");
        let mut pid = String::new();
        let mut told = BufReader::new(guard.stdout.take().expect("its output is piped"));
        told.read_line(&mut pid).expect("the shell tells the process id");
        let pid = pid.trim().parse().expect("a process id is a number");
        self.running = Some(Running { guard, pid });
    }

    /// The process, to send it other signals; none while it is stopped.
    pub fn pid(&self) -> Option<u32> {
        self.running.as_ref().map(|running| running.pid)
    }

    /// Ends the server and leaves its folder, for [`Service::launch`].
    fn stop(&mut self, how: End) {
        let Some(mut running) = self.running.take() else { return };
        let mut input = running.guard.stdin.take().expect("its input is piped");
        let signal: &[u8] = match how {
            End::Killed => b"KILL\n",
            End::Asked => b"TERM\n",
        };
        // A guard that is gone already has nothing left to end.
        let _ = input.write_all(signal);
        let _ = running.guard.wait();
    }

    /// What the server has written so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.folder.join("log")).unwrap_or_default()).into_owned()
    }

    /// Waits until `answers` gives something back.
    ///
    /// # Panics
    /// When the server ended, or gave no answer for a minute; its log is in the message.
    async fn wait<T>(&self, answers: impl AsyncFn() -> Option<T>) -> T {
        let until = Instant::now() + START;
        loop {
            let ended = self.folder.join("ended").exists();
            // Asked after: what it said last counts.
            if let Some(answer) = answers().await {
                return answer;
            }
            assert!(
                !ended && Instant::now() < until,
                "{} {}:\n{}",
                self.command[0],
                if ended { "ended" } else { "did not answer" },
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(mut running) = self.running.take() {
            drop(running.guard.stdin.take());
            let _ = running.guard.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Where the install script puts things.
fn installed() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    root.join(target).join("services")
}

/// A program on the path.
fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| File::open(file).is_ok())
}

/// A program, or a failure of the test that says how to get it.
fn require(program: Option<PathBuf>, what: &str) -> String {
    let program = program.filter(|file| file.exists());
    let program = program.unwrap_or_else(|| {
        panic!(
            "{what} is not installed: run crates/pixmill-testkit/services/install once, then the test again"
        )
    });
    program.to_string_lossy().into_owned()
}
