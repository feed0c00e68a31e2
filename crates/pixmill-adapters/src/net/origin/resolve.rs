//! Host names to addresses: the system's resolver, asked seldom and by few at once.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use tokio::sync::{Semaphore, oneshot};

/// How long an answer is believed. The system's resolver doesn't tell what DNS allows.
const ANSWER_KEPT: Duration = Duration::from_secs(30);
/// How long a failure is believed: a burst of requests for one host shares it, a retry asks anew.
const FAILURE_KEPT: Duration = Duration::from_millis(500);
const ENTRIES_MAX: usize = 1024;
/// Look-ups at once, each of which holds a thread: those that have just begun, and those that nobody has answered for so
/// long that they make room for others. However many names are never answered for, the rest are looked up meanwhile.
const LOOKUPS_MAX: usize = 16;
const SLOW: Duration = Duration::from_millis(100);
const SLOW_MAX: usize = 480;

type Lookup = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;
type Found = Result<Arc<[IpAddr]>, Arc<str>>;

struct Entry {
    asked: Instant,
    answer: Shared<BoxFuture<'static, Found>>,
}

impl Entry {
    fn is_fresh(&self, now: Instant) -> bool {
        let age = now.duration_since(self.asked);
        match self.answer.peek() {
            None => true,
            Some(Ok(_)) => age < ANSWER_KEPT,
            Some(Err(_)) => age < FAILURE_KEPT,
        }
    }
}

/// Resolves each name once, however many ask at a time, and remembers it for a little while.
pub(super) struct Resolver {
    lookup: Arc<Lookup>,
    permits: Arc<Semaphore>,
    slow: Arc<Semaphore>,
    entries: Mutex<HashMap<String, Entry>>,
}

/// Why a look-up failed, rather than what `getaddrinfo` calls it.
fn in_words(error: &io::Error) -> &'static str {
    let text = error.to_string();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    match () {
        () if says(&["Temporary failure", "try again"]) => "the name server did not answer",
        () if says(&["not known", "No address", "nodename", "No such host"]) => "nobody knows that name",
        () => "the look-up failed",
    }
}

impl Resolver {
    /// By `getaddrinfo`, so that hosts files, search domains and `localhost` mean what they mean elsewhere.
    pub(super) fn of_the_system() -> Self {
        Self::by(|host| match (host, 0).to_socket_addrs() {
            Ok(sockets) => Ok(sockets.map(|socket| socket.ip()).collect()),
            Err(error) => Err(io::Error::other(in_words(&error))),
        })
    }

    /// By a function that may block.
    pub(super) fn by(lookup: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static) -> Self {
        Resolver {
            lookup: Arc::new(lookup),
            permits: Arc::new(Semaphore::new(LOOKUPS_MAX)),
            slow: Arc::new(Semaphore::new(SLOW_MAX)),
            entries: Mutex::default(),
        }
    }

    /// The addresses of a name, one at least, or why there are none.
    pub(super) async fn addresses(&self, host: &str) -> Found {
        self.entry(host).await
    }

    fn entry(&self, host: &str) -> Shared<BoxFuture<'static, Found>> {
        let now = Instant::now();
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.get(host).filter(|entry| entry.is_fresh(now)) {
            return entry.answer.clone();
        }
        if entries.len() >= ENTRIES_MAX {
            entries.retain(|_, entry| entry.is_fresh(now));
        }
        if entries.len() >= ENTRIES_MAX {
            entries.clear();
        }
        let answer = self.ask(host.to_owned());
        entries.insert(host.to_owned(), Entry { asked: now, answer: answer.clone() });
        answer
    }

    /// In a task of its own: a look-up can't be stopped, and others may wait for it when its first asker
    /// has given up.
    fn ask(&self, host: String) -> Shared<BoxFuture<'static, Found>> {
        let (lookup, permits, slow) = (self.lookup.clone(), self.permits.clone(), self.slow.clone());
        let task = tokio::spawn(async move {
            let quick = permits.acquire_owned().await;
            let mut looking = apart(move || lookup(&host));
            if let Ok(found) = tokio::time::timeout(SLOW, &mut looking).await {
                return found;
            }
            let _slow = slow.acquire_owned().await;
            drop(quick);
            looking.await
        });
        async move {
            let died = || Arc::from("the look-up died");
            let found = task.await.map_err(|_| died())?.map_err(|_| died())?;
            match found {
                Ok(addresses) if addresses.is_empty() => Err(Arc::from("it has no address")),
                Ok(addresses) => Ok(Arc::from(addresses)),
                Err(error) => Err(Arc::from(error.to_string())),
            }
        }
        .boxed()
        .shared()
    }
}

/// Does what may take long on a thread of its own, so that those are free that others wait for.
fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> oneshot::Receiver<T> {
    let (tell, told) = oneshot::channel();
    // Where no thread can be had, whoever waits is told by the sender's end.
    let _ = std::thread::Builder::new().name("look-up".to_owned()).spawn(move || tell.send(work()));
    told
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn counting(answer: fn(&str) -> io::Result<Vec<IpAddr>>) -> (Resolver, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        let resolver = Resolver::by(move |host| {
            counter.fetch_add(1, Ordering::SeqCst);
            answer(host)
        });
        (resolver, asked)
    }

    #[tokio::test]
    async fn many_who_ask_for_a_name_share_one_look_up() {
        let (resolver, asked) = counting(|_| Ok(vec![IpAddr::from([192, 0, 2, 1])]));
        let askers = (0..100).map(|_| resolver.addresses("a.example"));
        for found in futures::future::join_all(askers).await {
            assert_eq!(found.unwrap().as_ref(), [IpAddr::from([192, 0, 2, 1])]);
        }
        resolver.addresses("a.example").await.unwrap();
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_look_up_outlives_the_asker_who_gave_up() {
        let (resolver, asked) = counting(|_| Ok(vec![IpAddr::from([192, 0, 2, 1])]));
        assert!(resolver.addresses("a.example").now_or_never().is_none());
        resolver.addresses("a.example").await.unwrap();
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn names_that_nobody_answers_for_hold_up_no_other() {
        let (_never, closed) = std::sync::mpsc::channel::<()>();
        let closed = Mutex::new(closed);
        let resolver = Resolver::by(move |host| {
            if host.starts_with("dead") {
                // Each waits until the test is over.
                let _ = closed.lock().map(|closed| closed.recv());
            }
            Ok(vec![IpAddr::from([192, 0, 2, 1])])
        });
        for number in 0..LOOKUPS_MAX * 4 {
            assert!(resolver.addresses(&format!("dead-{number}.example")).now_or_never().is_none());
        }
        let began = Instant::now();
        let found = tokio::time::timeout(Duration::from_secs(20), resolver.addresses("good.example")).await;
        assert!(found.is_ok_and(|found| found.is_ok()), "not after {:?}", began.elapsed());
    }

    #[tokio::test]
    async fn the_names_remembered_are_bounded() {
        let (resolver, _) = counting(|_| Ok(vec![IpAddr::from([192, 0, 2, 1])]));
        for number in 0..ENTRIES_MAX + 10 {
            resolver.addresses(&format!("{number}.example")).await.unwrap();
        }
        assert!(resolver.entries.lock().unwrap().len() <= ENTRIES_MAX);
    }

    #[tokio::test]
    async fn a_name_without_addresses_is_a_failure() {
        let (resolver, _) = counting(|_| Ok(vec![]));
        assert!(resolver.addresses("a.example").await.is_err());
        let (resolver, _) = counting(|_| Err(io::Error::other("no such name")));
        assert_eq!(resolver.addresses("a.example").await.unwrap_err().as_ref(), "no such name");
    }

    #[test]
    fn an_answer_and_a_failure_are_believed_for_their_time_alone() {
        let entry = |found: Found| {
            let entry = Entry { asked: Instant::now(), answer: async { found }.boxed().shared() };
            entry.answer.clone().now_or_never();
            entry
        };
        let (good, bad) = (entry(Ok(Arc::from([]))), entry(Err(Arc::from("no"))));
        assert!(good.is_fresh(good.asked + ANSWER_KEPT / 2) && !good.is_fresh(good.asked + ANSWER_KEPT));
        assert!(bad.is_fresh(bad.asked + FAILURE_KEPT / 2) && !bad.is_fresh(bad.asked + FAILURE_KEPT));
    }
}
