//! Starts children and buries them, on a thread of its own: a child is told to die with the thread that started it, so
//! that thread has to live as long as the sandbox.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

/// How often a child that was ended is looked after.
const LOOK: Duration = Duration::from_millis(10);

/// What the thread is asked for.
enum Task {
    Start(oneshot::Sender<io::Result<Child>>),
    End(Child),
}

/// A handle on the thread, which ends with its last handle.
#[derive(Clone)]
pub(super) struct Nursery(Sender<Task>);

impl Nursery {
    /// `program` with `argument` is to become a child.
    ///
    /// # Errors
    /// When the thread can't be started.
    pub(super) fn open(program: PathBuf, argument: &'static str) -> io::Result<Self> {
        let (tasks, asked) = mpsc::channel();
        thread::Builder::new().name("nursery".into()).spawn(move || keep(&asked, &program, argument))?;
        Ok(Nursery(tasks))
    }

    /// Has a child started; it is there once the receiver says so.
    pub(super) fn start(&self) -> oneshot::Receiver<io::Result<Child>> {
        let (started, starting) = oneshot::channel();
        // Where the thread is gone, the receiver tells it.
        let _ = self.0.send(Task::Start(started));
        starting
    }

    /// Ends a child, whatever it does, and waits for it, so that none is left as a zombie.
    pub(super) fn end(&self, mut child: Child) {
        let _ = child.kill();
        if let Err(mpsc::SendError(Task::End(mut child))) = self.0.send(Task::End(child)) {
            let _ = child.wait();
        }
    }
}

fn keep(asked: &Receiver<Task>, program: &Path, argument: &str) {
    let mut dying: Vec<Child> = Vec::new();
    loop {
        let task = if dying.is_empty() {
            asked.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            asked.recv_timeout(LOOK)
        };
        match task {
            Ok(Task::Start(started)) => {
                // Whoever asked may have been stopped in the meantime.
                if let Err(Ok(mut child)) = started.send(start(program, argument)) {
                    let _ = child.kill();
                    dying.push(child);
                }
            }
            Ok(Task::End(child)) => dying.push(child),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        dying.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
    }
    for mut child in dying {
        let _ = child.wait();
    }
}

/// A child has nothing of its parent's: no environment, where secrets are, no folder, no terminal.
fn start(program: &Path, argument: &str) -> io::Result<Child> {
    let mut command = Command::new(program);
    command.arg(argument).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        // Ctrl-C is for the parent, which finishes what is under way. It says so in `ps`, too.
        command.env_clear().current_dir("/").process_group(0).arg0(format!("pixmill: {argument}"));
    }
    command.spawn()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_child_finds_nothing_of_its_parents_environment() {
        let child = start(Path::new("/usr/bin/env"), "-0").unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    }
}
