//! What runs in a child: one picture after the other, from standard input to standard output.

use std::any::Any;
use std::fs::File;
use std::io::{self, Read, StdinLock};
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::thread;

use pixmill_codec::{Error, Limits, Recipe, Recompressed, Workspace, probe};

use super::walls;
use super::wire::{self, Granted, Needs, Order, Reply};

/// What is run: the codec, or in benchmarks something in its place.
pub type Codec = fn(&[u8], &Recipe, &Limits, &mut Workspace) -> Result<Recompressed, Error>;

/// The stack of the thread that decodes, bytes.
const STACK: usize = 8 << 20;

/// Room for sources that is kept from picture to picture, bytes.
const KEPT: usize = 4 << 20;

/// Most characters of what is told about a picture.
const MESSAGE: usize = 2_000;

/// What a panic said last.
static LAST_WORDS: Mutex<String> = Mutex::new(String::new());

/// Recompresses whatever is ordered, until nobody orders any more.
pub fn serve(codec: Codec) -> ExitCode {
    walls::around_process();
    panic::set_hook(Box::new(|panic| {
        *LAST_WORDS.lock().unwrap_or_else(PoisonError::into_inner) = panic.to_string();
    }));
    let work = move || Desk::open(codec)?.work();
    let working = thread::Builder::new().name("codec".into()).stack_size(STACK).spawn(work);
    match working.map(thread::JoinHandle::join) {
        Ok(Ok(Ok(()))) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Where one picture after the other is worked on.
struct Desk {
    codec: Codec,
    orders: StdinLock<'static>,
    replies: File,
    source: Vec<u8>,
    workspace: Workspace,
}

impl Desk {
    /// Shuts itself in before anything of a picture is read.
    fn open(codec: Codec) -> io::Result<Self> {
        let (orders, replies) = (io::stdin().lock(), replies()?);
        let walls = walls::around_work(&replies);
        let mut desk = Desk { codec, orders, replies, source: Vec::new(), workspace: Workspace::default() };
        desk.say(&Reply::Ready(walls), &[])?;
        Ok(desk)
    }

    fn say(&mut self, reply: &Reply, body: &[u8]) -> io::Result<()> {
        wire::write(&mut self.replies, reply, body)
    }

    fn work(&mut self) -> io::Result<()> {
        while let Some(order) = wire::read::<Order>(&mut self.orders)? {
            self.read_source(order.source_bytes)?;
            #[cfg(feature = "failpoints")]
            super::harm::at("read", &self.source);
            if !self.may(&order)? {
                continue;
            }
            let Order { recipe, .. } = &order;
            let (codec, source, limits) = (self.codec, &self.source, order.limits());
            let recompressed = caught(|| {
                #[cfg(feature = "failpoints")]
                super::harm::at("decode", source);
                codec(source, recipe, &limits, &mut self.workspace)
            });
            match recompressed {
                Ok(done) => self.done(&done)?,
                Err(reply) => {
                    if matches!(reply, Reply::Panicked { .. }) {
                        self.workspace = Workspace::default();
                    }
                    self.say(&reply, &[])?;
                }
            }
        }
        Ok(())
    }

    fn done(&mut self, done: &Recompressed) -> io::Result<()> {
        let Recompressed { bytes, format, width, height, frames, kept_source } = done;
        let (format, width, height, frames, kept_source) = (*format, *width, *height, *frames, *kept_source);
        let reply = Reply::Done { format, width, height, frames, kept_source, bytes: bytes.len() as u64 };
        #[cfg(feature = "failpoints")]
        super::harm::answering(&mut self.replies, &reply, bytes, &self.source)?;
        self.say(&reply, bytes)
    }

    fn read_source(&mut self, bytes: u64) -> io::Result<()> {
        self.source.clear();
        if self.source.capacity() > KEPT {
            self.source = Vec::new();
        }
        let length = usize::try_from(bytes).map_err(io::Error::other)?;
        self.source.reserve_exact(length);
        let read = self.orders.by_ref().take(bytes).read_to_end(&mut self.source)?;
        if read < length { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    /// Whether a picture may be begun. Asks for what its header says it needs, where that is more than is free.
    fn may(&mut self, order: &Order) -> io::Result<bool> {
        let source = &self.source;
        let needs = caught(|| {
            let probe = probe(source, &order.recipe, &order.limits())?;
            let pixels = u64::from(probe.width) * u64::from(probe.height);
            Ok(Needs { memory_bytes: probe.memory_bytes, pixels })
        });
        match needs {
            Ok(needs) if needs.within(order.free) => Ok(true),
            Ok(needs) => {
                self.say(&Reply::Asks(needs), &[])?;
                Ok(wire::read::<Granted>(&mut self.orders)?.is_some())
            }
            Err(reply) => {
                self.say(&reply, &[])?;
                Ok(false)
            }
        }
    }
}

/// What came of it, or what to say of a refusal or a panic.
fn caught<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Reply> {
    let said = |message: String| message.chars().take(MESSAGE).collect::<String>();
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => {
            Err(Reply::Refused { code: error.kind.code().to_owned(), message: said(error.message) })
        }
        Err(panic) => {
            let words = LAST_WORDS.lock().unwrap_or_else(PoisonError::into_inner).clone();
            drop::<Box<dyn Any + Send>>(panic);
            Err(Reply::Panicked { message: said(words) })
        }
    }
}

/// Standard output without the buffer that looks for ends of lines.
fn replies() -> io::Result<File> {
    #[cfg(unix)]
    let handle = std::os::fd::AsFd::as_fd(&io::stdout()).try_clone_to_owned()?;
    #[cfg(windows)]
    let handle = std::os::windows::io::AsHandle::as_handle(&io::stdout()).try_clone_to_owned()?;
    Ok(File::from(handle))
}
