//! A child as its parent sees it.

use std::io::{self, ErrorKind, IoSlice, Read};
use std::process::{ChildStderr, ExitStatus};
use std::time::Duration;

use bytes::{BufMut, Bytes};
use pixmill_codec::{Limits, Recipe, Recompressed};
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::port::sandbox::{Charge, Memory};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, ChildStdout};

use super::death::{Failed, crashed, judged};
use super::nursery::Nursery;
use super::time;
use super::wire::{self, Granted, Needs, Order, Reply, Walls};

/// What a picture may take before its header is known, or as much as the one before it took, up to a bound: most take no
/// more, so that their child need not ask.
const FREE: Needs = Needs { memory_bytes: 8 << 20, pixels: time::PIXELS };
const MOST_FREE_BYTES: u64 = 32 << 20;

/// Bytes that a child takes beside what pictures need: its program, its stack, what its heap keeps.
const OWN_BYTES: u64 = 128 << 20;

/// Room in a pipe: most pictures go through it at once, so that neither side waits for the other in between. It is no more
/// than what Linux allows everybody, and takes memory only while something is in it.
#[cfg(target_os = "linux")]
const PIPE_BYTES: usize = 1 << 20;

/// How long one that has closed its pipe is waited for.
const DYING: Duration = Duration::from_secs(2);

/// How much is heard of what one said last, bytes.
const LAST_WORDS: u64 = 4 << 10;

/// Most characters that are shown of what a child says of a picture.
const MESSAGE: usize = 500;

/// One picture's work.
pub(super) struct Job<'j> {
    /// The picture; behind it, where it is to be judged, what was made of it.
    pub(super) source: Bytes,
    pub(super) result_bytes: u64,
    pub(super) recipe: Recipe,
    pub(super) limits: Limits,
    pub(super) memory: &'j dyn Memory,
    /// Of a processor, for a usual picture.
    pub(super) time: Duration,
}

/// A child that runs. Dropped, it is ended.
pub(super) struct Child {
    process: Option<std::process::Child>,
    nursery: Nursery,
    orders: ChildStdin,
    replies: BufReader<ChildStdout>,
    said: ChildStderr,
    /// Pictures that it was given.
    pub(super) pictures: u32,
    /// What pictures may take in it at most, bytes.
    pub(super) allowed_bytes: u64,
    /// What the next one may take before its header is known.
    free: Needs,
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            self.nursery.end(process);
        }
    }
}

/// What became of a picture, as far as the codec could tell.
pub(super) type Answer = Result<Done, Fault>;

/// What was done with a picture.
pub(super) enum Done {
    Made(Recompressed),
    Judged(f64),
}

/// Why no answer came.
enum Silence {
    /// It broke off.
    Broken(io::Error),
    /// What it says makes no sense.
    Nonsense(&'static str),
    TooSlow(Duration),
}

impl From<io::Error> for Silence {
    fn from(error: io::Error) -> Self {
        Silence::Broken(error)
    }
}

impl Child {
    /// Takes a process that was started.
    ///
    /// # Errors
    /// When its pipes can't be had.
    pub(super) fn new(mut process: std::process::Child, nursery: Nursery) -> io::Result<Self> {
        let pipes = (process.stdin.take(), process.stdout.take(), process.stderr.take());
        let (Some(orders), Some(replies), Some(said)) = pipes else {
            nursery.end(process);
            return Err(io::Error::other("its pipes are not there"));
        };
        #[cfg(target_os = "linux")]
        for pipe in [std::os::fd::AsFd::as_fd(&orders), std::os::fd::AsFd::as_fd(&replies)] {
            // Where it stays small, pictures go through it all the same.
            let _ = rustix::pipe::fcntl_setpipe_size(pipe, PIPE_BYTES);
        }
        let (orders, replies) = match (ChildStdin::from_std(orders), ChildStdout::from_std(replies)) {
            (Ok(orders), Ok(replies)) => (orders, BufReader::new(replies)),
            (Err(error), _) | (_, Err(error)) => {
                nursery.end(process);
                return Err(error);
            }
        };
        let mut child = Child {
            process: Some(process),
            nursery,
            orders,
            replies,
            said,
            pictures: 0,
            allowed_bytes: 0,
            free: FREE,
        };
        child.allow(FREE.memory_bytes);
        Ok(child)
    }

    /// Waits until it is up and shut in.
    ///
    /// # Errors
    /// When it ends instead, with what it said.
    pub(super) async fn ready(&mut self) -> io::Result<Walls> {
        match wire::next::<Reply>(&mut self.replies).await {
            Ok(Reply::Ready(walls)) => Ok(walls),
            Ok(_) => Err(io::Error::other("it begins with something else")),
            Err(error) => {
                self.status().await;
                Err(io::Error::other(format!("{error}; it said: {}", shown(&self.last_words()))))
            }
        }
    }

    /// Whether it has ended while nobody asked it for anything.
    pub(super) fn has_ended(&mut self) -> bool {
        self.process.as_mut().is_none_or(|process| !matches!(process.try_wait(), Ok(None)))
    }

    /// Recompresses one picture, or judges what was made of it. Whatever fails, the child is of no more use.
    pub(super) async fn work(&mut self, job: &Job<'_>) -> Result<Answer, Failed> {
        self.pictures += 1;
        match self.answer(job).await {
            Ok(answer) => Ok(answer),
            Err(Silence::Nonsense(what)) => Err(crashed(&format!("its process {what}"))),
            Err(Silence::TooSlow(allowed)) => Err(Failed::Picture(Fault::permanent(
                Code::ImageTooSlow,
                format!("recompressing took longer than {} s of a processor", allowed.as_secs_f32()),
            ))),
            Err(Silence::Broken(error)) if error.kind() == ErrorKind::InvalidData => {
                Err(crashed(&shown(&error.to_string())))
            }
            Err(Silence::Broken(_)) => {
                let status = self.status().await;
                Err(judged(status, &self.last_words(), self.allowed_bytes))
            }
        }
    }

    /// What it says of a picture, once there is memory for it.
    async fn answer(&mut self, job: &Job<'_>) -> Result<Answer, Silence> {
        let source_bytes = job.source.len() as u64;
        let free = self.free;
        let mut charge: Charge = job.memory.charge(free.memory_bytes + source_bytes).await;
        self.allow(free.memory_bytes + source_bytes);
        let Limits { max_pixels, max_scans, lenient } = job.limits;
        let (recipe, result_bytes) = (job.recipe, job.result_bytes);
        let order = Order { recipe, max_pixels, max_scans, lenient, source_bytes, result_bytes, free };
        let time = time::allowed(job.time, free.pixels, &job.recipe);
        let mut reply = self.within(time, &order, &job.source).await?;
        if let Reply::Asks(needs) = reply {
            // Given back first: two that each hold a part and wait for more would wait for good.
            drop(charge);
            charge = job.memory.charge(needs.memory_bytes.saturating_add(source_bytes)).await;
            self.allow(needs.memory_bytes.saturating_add(source_bytes));
            let time = time::allowed(job.time, needs.pixels.min(max_pixels), &job.recipe);
            reply = self.within(time, &Granted, &[]).await?;
        }
        let answer = match reply {
            Reply::Done { format, width, height, frames, kept_source, bytes, memory_bytes }
                if job.result_bytes == 0 =>
            {
                // In steps, or pictures of about one size would ask by turns.
                let like_it = memory_bytes.clamp(FREE.memory_bytes, MOST_FREE_BYTES);
                self.free.memory_bytes = like_it.next_multiple_of(FREE.memory_bytes);
                let bytes = self.output(bytes, job.time).await?;
                Ok(Done::Made(Recompressed { bytes, format, width, height, frames, kept_source }))
            }
            Reply::Judged { score } if job.result_bytes > 0 => Ok(Done::Judged(score)),
            Reply::Refused { code, message } => Err(refused(&code, &message)?),
            Reply::Panicked { message } => {
                tracing::warn!(said = shown(&message), "the decoder panicked on a picture; please report it");
                Err(Fault::permanent(Code::ImageCrashed, "the decoder crashed on this picture"))
            }
            Reply::Ready(_) | Reply::Asks(_) | Reply::Done { .. } | Reply::Judged { .. } => {
                return Err(Silence::Nonsense("answers what nobody asked"));
            }
        };
        drop(charge);
        Ok(answer)
    }

    /// Says something, and waits for a reply as long as the picture may take.
    async fn within(
        &mut self,
        time: Duration,
        head: &impl serde::Serialize,
        body: &[u8],
    ) -> Result<Reply, Silence> {
        let process = self.id();
        let talk = async {
            let head = wire::framed(head)?;
            let sent = self.orders.write_vectored(&[IoSlice::new(&head), IoSlice::new(body)]).await?;
            self.orders.write_all(head.get(sent..).unwrap_or_default()).await?;
            self.orders.write_all(&body[sent.saturating_sub(head.len())..]).await?;
            wire::next::<Reply>(&mut self.replies).await
        };
        tokio::select! {
            biased;
            reply = talk => Ok(reply?),
            () = time::is_over(process, time) => Err(Silence::TooSlow(time)),
        }
    }

    /// Reads a picture that is there already, but for what the pipe can't hold.
    async fn output(&mut self, bytes: u64, time: Duration) -> Result<Vec<u8>, Silence> {
        if bytes > self.allowed_bytes {
            return Err(Silence::Nonsense("announces more than it may have"));
        }
        let (length, process) = (bytes as usize, self.id());
        let mut output = Vec::with_capacity(length);
        let read = async {
            while output.len() < length {
                let left = length - output.len();
                if self.replies.read_buf(&mut (&mut output).limit(left)).await? == 0 {
                    return Err(io::Error::from(ErrorKind::UnexpectedEof));
                }
            }
            Ok(())
        };
        tokio::select! {
            biased;
            read = read => read?,
            () = time::is_over(process, time) => return Err(Silence::TooSlow(time)),
        }
        Ok(output)
    }

    fn id(&self) -> u32 {
        self.process.as_ref().map_or(0, std::process::Child::id)
    }

    /// Lets pictures take so much, which the kernel sees to where it can.
    fn allow(&mut self, bytes: u64) {
        if bytes <= self.allowed_bytes {
            return;
        }
        self.allowed_bytes = bytes;
        #[cfg(target_os = "linux")]
        {
            use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
            let Some(pid) = Pid::from_raw(self.id() as i32) else { return };
            // Half as much again, for allocators round up and what they gave back is not all of use.
            let most = bytes.saturating_add(bytes / 2).saturating_add(OWN_BYTES);
            let maximum = getrlimit(Resource::Data).maximum;
            let current = Some(maximum.map_or(most, |maximum| maximum.min(most)));
            if let Err(error) = prlimit(Some(pid), Resource::Data, Rlimit { current, maximum }) {
                tracing::debug!(%error, "a child's memory can't be limited");
            }
        }
    }

    /// How it ended. One that closed its pipe and lives on is ended, and then that says nothing.
    async fn status(&mut self) -> Option<ExitStatus> {
        let process = self.process.as_mut()?;
        let (mut waited, mut nap) = (Duration::ZERO, Duration::from_millis(1));
        while waited < DYING {
            if let Some(status) = process.try_wait().ok()? {
                return Some(status);
            }
            tokio::time::sleep(nap).await;
            waited += nap;
            nap = (nap * 2).min(Duration::from_millis(50));
        }
        None
    }

    /// What it said last, where it has ended.
    fn last_words(&mut self) -> String {
        let mut words = Vec::new();
        if self.has_ended() {
            let _ = self.said.by_ref().take(LAST_WORDS).read_to_end(&mut words);
        }
        String::from_utf8_lossy(&words).into_owned()
    }
}

/// The codec's refusal, where there is such a one.
fn refused(code: &str, message: &str) -> Result<Fault, Silence> {
    use pixmill_codec::ErrorKind::{Corrupt, Empty, TooManyPixels, TooSlow, Unsupported};
    let known = [Empty, Unsupported, Corrupt, TooManyPixels, TooSlow];
    let kind = known.into_iter().find(|kind| kind.code() == code);
    let kind = kind.ok_or(Silence::Nonsense("refuses for a reason that there is not"))?;
    Ok(Fault::permanent(kind.into(), shown(message)))
}

/// What a child says, as it may be shown: on one line, and not much of it.
fn shown(text: &str) -> String {
    let printable = text.trim().chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    printable.take(MESSAGE).collect()
}
