//! What was asked of an origin, in memory and, one line of JSON a request, in a file that outlives it.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// The head of a request.
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: BTreeMap<String, String>,
}

/// One request, ended or under way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    /// When it came, seconds of Unix time.
    pub time: f64,
    /// When it ended, seconds of Unix time, `None` while it is under way. An answer that has come may
    /// still be.
    pub ended: Option<f64>,
    /// Its method.
    pub method: String,
    /// Its target as sent, with the query.
    pub path: String,
    /// The address of the origin at which it came.
    pub host: IpAddr,
    /// Which of the origin's connections brought it, from 1.
    pub connection: usize,
    /// The status that was answered, 0 for none.
    pub status: u16,
    /// Bytes of the body that were sent.
    pub bytes: u64,
    /// Whether all of an honest answer was sent, known once it has ended.
    pub complete: bool,
    /// Its headers, names in lower case. Not in the file.
    #[serde(skip)]
    pub headers: BTreeMap<String, String>,
}

#[derive(Default)]
struct Seen {
    entries: Vec<Entry>,
    /// Requests under way at each address, now and at most.
    under_way: HashMap<IpAddr, (usize, usize)>,
}

pub(super) struct Log {
    seen: Mutex<Seen>,
    file: Option<File>,
    accepted: AtomicUsize,
    open: AtomicUsize,
    open_peak: AtomicUsize,
}

impl Log {
    pub(super) fn new(file: Option<&Path>) -> io::Result<Self> {
        let append = |path| File::options().create(true).append(true).open(path);
        Ok(Log {
            seen: Mutex::default(),
            file: file.map(append).transpose()?,
            accepted: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            open_peak: AtomicUsize::new(0),
        })
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn entries(&self) -> Vec<Entry> {
        self.seen().entries.clone()
    }

    pub(super) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    pub(super) fn open_peak(&self) -> usize {
        self.open_peak.load(Ordering::SeqCst)
    }

    pub(super) fn peak(&self, host: IpAddr) -> usize {
        self.seen().under_way.get(&host).map_or(0, |(_, peak)| *peak)
    }

    /// Counts a connection for as long as what is returned lives.
    pub(super) fn connected(self: &Arc<Self>) -> Connection {
        let open = self.open.fetch_add(1, Ordering::SeqCst) + 1;
        self.open_peak.fetch_max(open, Ordering::SeqCst);
        Connection { number: self.accepted.fetch_add(1, Ordering::SeqCst) + 1, log: Arc::clone(self) }
    }

    /// Writes a request down, and its end when what is returned is dropped, however it comes about.
    pub(super) fn begin(
        self: &Arc<Self>,
        connection: &Connection,
        host: IpAddr,
        request: &Request,
    ) -> Ongoing {
        let mut seen = self.seen();
        let (now, peak) = seen.under_way.entry(host).or_default();
        *now += 1;
        *peak = (*peak).max(*now);
        let entry = Entry {
            time: unix_seconds(),
            ended: None,
            method: request.method.clone(),
            path: request.path.clone(),
            host,
            connection: connection.number,
            status: 0,
            bytes: 0,
            complete: false,
            headers: request.headers.clone(),
        };
        seen.entries.push(entry);
        Ongoing { log: Arc::clone(self), index: seen.entries.len() - 1 }
    }

    fn end(&self, index: usize) {
        let mut seen = self.seen();
        let entry = &mut seen.entries[index];
        entry.ended = Some(unix_seconds());
        if let Some(mut file) = self.file.as_ref() {
            let mut line = serde_json::to_vec(&entry).expect("an entry is plain data");
            line.push(b'\n');
            // One write, so that whoever reads meanwhile sees whole lines.
            file.write_all(&line).expect("the log can be written");
        }
        let host = entry.host;
        if let Some((now, _)) = seen.under_way.get_mut(&host) {
            *now -= 1;
        }
    }
}

/// An open connection.
pub(super) struct Connection {
    log: Arc<Log>,
    number: usize,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.log.open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A request under way.
pub(super) struct Ongoing {
    log: Arc<Log>,
    index: usize,
}

impl Ongoing {
    /// Writes more of it down, before whoever asked can know it where that matters.
    pub(super) fn note(&self, change: impl FnOnce(&mut Entry)) {
        change(&mut self.log.seen().entries[self.index]);
    }
}

impl Drop for Ongoing {
    fn drop(&mut self) {
        self.log.end(self.index);
    }
}

fn unix_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
