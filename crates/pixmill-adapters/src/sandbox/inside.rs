//! What runs in a child: one picture after the other, from standard input to standard output.

use std::any::Any;
use std::fs::File;
use std::io;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::thread;

use pixmill_codec::{Error, Limits, Recipe, Recompressed, Workspace, probe};

use super::inbox::Inbox;
use super::walls;
use super::wire::{self, Granted, Needs, Order, Reply};

/// What is run: the codec, or in benchmarks something in its place.
pub type Codec = fn(&[u8], &Recipe, &Limits, &mut Workspace) -> Result<Recompressed, Error>;

/// The stack of the thread that decodes, bytes.
const STACK: usize = 8 << 20;

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
    orders: Inbox<File>,
    replies: File,
    workspace: Workspace,
}

impl Desk {
    /// Shuts itself in before anything of a picture is read.
    fn open(codec: Codec) -> io::Result<Self> {
        let (orders, replies) = pipes()?;
        let walls = walls::around_work(&orders, &replies);
        let orders = Inbox::new(orders);
        let mut desk = Desk { codec, orders, replies, workspace: Workspace::default() };
        desk.say(&Reply::Ready(walls), &[])?;
        Ok(desk)
    }

    fn say(&mut self, reply: &Reply, body: &[u8]) -> io::Result<()> {
        wire::write(&mut self.replies, reply, body)
    }

    fn work(&mut self) -> io::Result<()> {
        while let Some(order) = self.orders.head::<Order>()? {
            self.orders.take_source(usize::try_from(order.source_bytes).map_err(io::Error::other)?)?;
            #[cfg(feature = "failpoints")]
            super::harm::at("read", self.orders.source());
            if let Some(needs) = self.may(&order)? {
                match order.result_bytes {
                    0 => self.recompress(&order, needs)?,
                    _ => self.judge(&order)?,
                }
            }
            self.orders.forget_source();
        }
        Ok(())
    }

    fn recompress(&mut self, order: &Order, needs: Needs) -> io::Result<()> {
        let (codec, source, limits) = (self.codec, self.orders.source(), order.limits());
        let recompressed = caught(|| {
            #[cfg(feature = "failpoints")]
            super::harm::at("decode", source);
            codec(source, &order.recipe, &limits, &mut self.workspace)
        });
        match recompressed {
            Ok(done) => self.done(&done, needs),
            Err(reply) => self.refuse(&reply),
        }
    }

    /// Says what came instead of a result. What a panic has left half done is not worked with.
    fn refuse(&mut self, reply: &Reply) -> io::Result<()> {
        if matches!(reply, Reply::Panicked { .. }) {
            self.workspace = Workspace::default();
        }
        self.say(reply, &[])
    }

    fn done(&mut self, done: &Recompressed, Needs { memory_bytes, .. }: Needs) -> io::Result<()> {
        let Recompressed { bytes, format, width, height, frames, kept_source } = done;
        let (format, width, height, frames, kept_source) = (*format, *width, *height, *frames, *kept_source);
        let length = bytes.len() as u64;
        let reply = Reply::Done { format, width, height, frames, kept_source, bytes: length, memory_bytes };
        #[cfg(feature = "failpoints")]
        super::harm::answering(&mut self.replies, &reply, bytes, self.orders.source())?;
        self.say(&reply, bytes)
    }

    /// Holds what was made of a picture against it.
    fn judge(&mut self, order: &Order) -> io::Result<()> {
        let both = self.orders.source();
        let (source, result) = both.split_at(picture_bytes(order, both));
        let (limits, workspace) = (order.limits(), &mut self.workspace);
        let judged = caught(|| pixmill_codec::judge(source, result, &order.recipe, &limits, workspace));
        match judged {
            Ok(score) => self.say(&Reply::Judged { score }, &[]),
            Err(reply) => self.refuse(&reply),
        }
    }

    /// What a picture needs, where it may be begun. Asks for what its header says, where that is more than is free.
    fn may(&mut self, order: &Order) -> io::Result<Option<Needs>> {
        let both = self.orders.source();
        let source = &both[..picture_bytes(order, both)];
        let needs = caught(|| {
            let probe = probe(source, &order.recipe, &order.limits())?;
            let pixels = u64::from(probe.width) * u64::from(probe.height);
            Ok(Needs { memory_bytes: probe.memory_bytes, pixels })
        });
        match needs {
            Ok(needs) if needs.within(order.free) => Ok(Some(needs)),
            Ok(needs) => {
                self.say(&Reply::Asks(needs), &[])?;
                Ok(self.orders.head::<Granted>()?.map(|_| needs))
            }
            Err(reply) => {
                self.say(&reply, &[])?;
                Ok(None)
            }
        }
    }
}

/// How much of what came is the picture itself.
fn picture_bytes(order: &Order, source: &[u8]) -> usize {
    source.len().saturating_sub(usize::try_from(order.result_bytes).unwrap_or(usize::MAX))
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

/// Standard input and output without their buffers.
fn pipes() -> io::Result<(File, File)> {
    #[cfg(unix)]
    use std::os::fd::AsFd as _;
    #[cfg(windows)]
    use std::os::windows::io::AsHandle as _;
    #[cfg(unix)]
    let (orders, replies) =
        (io::stdin().as_fd().try_clone_to_owned(), io::stdout().as_fd().try_clone_to_owned());
    #[cfg(windows)]
    let (orders, replies) =
        (io::stdin().as_handle().try_clone_to_owned(), io::stdout().as_handle().try_clone_to_owned());
    Ok((File::from(orders?), File::from(replies?)))
}
