//! Uploads under way: so many in all and of each tenant. Where there is no room, one that hardly sends gives way.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pixmill_engine::code::Code;
use tokio_util::sync::CancellationToken;

use super::super::problem::Problem;
use super::pace::Pace;

/// Most at a time, of a tenant and in all: each has a thread or two and a few hundred KiB.
const EACH: usize = 24;
const ALL: usize = 96;

/// What is slower than this gives way, bytes a second.
const HARDLY: f64 = 64.0;

/// When to come again.
const LATER: Duration = Duration::from_secs(5);

/// Those under way.
#[derive(Default)]
pub(in crate::api) struct Uploads(Mutex<Vec<Arc<Entry>>>);

struct Entry {
    tenant: Arc<str>,
    pace: Arc<Pace>,
    gave_way: CancellationToken,
}

/// An upload's right to go on; given back when dropped.
pub(in crate::api) struct Ticket {
    uploads: Arc<Uploads>,
    entry: Arc<Entry>,
}

impl Uploads {
    fn entries(&self) -> MutexGuard<'_, Vec<Arc<Entry>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets an upload begin.
    ///
    /// # Errors
    /// `rate.limited`, with 503 where others take the room.
    pub(in crate::api) fn admit(self: &Arc<Self>, tenant: &Arc<str>) -> Result<Ticket, Problem> {
        let mut entries = self.entries();
        let own = entries.iter().filter(|entry| entry.tenant == *tenant).count();
        if own >= EACH || entries.len() >= ALL {
            let crowd = if own >= EACH { tenant.clone() } else { largest(&entries) };
            let Some(slowest) = slowest(&entries, &crowd, Instant::now()) else {
                return Err(no_room(own >= EACH));
            };
            entries.swap_remove(slowest).gave_way.cancel();
        }
        let (pace, gave_way) = Default::default();
        let entry = Arc::new(Entry { tenant: tenant.clone(), pace, gave_way });
        entries.push(entry.clone());
        Ok(Ticket { uploads: self.clone(), entry })
    }
}

/// The tenant with most uploads under way.
fn largest(entries: &[Arc<Entry>]) -> Arc<str> {
    let of = |tenant: &Arc<str>| entries.iter().filter(|entry| entry.tenant == *tenant).count();
    entries.iter().map(|entry| &entry.tenant).max_by_key(|tenant| of(tenant)).cloned().unwrap_or_default()
}

/// Which of a tenant's hardly sends.
fn slowest(entries: &[Arc<Entry>], tenant: &Arc<str>, now: Instant) -> Option<usize> {
    let of_tenant = entries.iter().enumerate().filter(|(_, entry)| entry.tenant == *tenant);
    let rates = of_tenant.filter_map(|(at, entry)| Some((at, entry.pace.rate(now)?)));
    let slow = rates.filter(|(_, rate)| *rate < HARDLY);
    slow.min_by(|one, other| one.1.total_cmp(&other.1)).map(|(at, _)| at)
}

fn no_room(own: bool) -> Problem {
    if own {
        let detail = format!("{EACH} uploads of a tenant may be under way, and so many are");
        return Problem::new(Code::RateLimited, detail).after(LATER);
    }
    let detail = "there is no room for more uploads now";
    Problem::new(Code::RateLimited, detail).unavailable().after(LATER)
}

impl Ticket {
    /// How fast the upload comes, to be told by who reads it.
    pub(in crate::api) fn pace(&self) -> Arc<Pace> {
        self.entry.pace.clone()
    }

    /// Returns once the upload must give way to others.
    pub(in crate::api) async fn gives_way(&self) -> Problem {
        self.entry.gave_way.cancelled().await;
        Problem::new(Code::RateLimited, "hardly anything came, and others waited for the room").after(LATER)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.uploads.entries().retain(|entry| !Arc::ptr_eq(entry, &self.entry));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> Arc<str> {
        name.into()
    }

    #[test]
    fn a_tenant_has_its_share_and_no_more() {
        let uploads = Arc::new(Uploads::default());
        let mut own: Vec<_> = (0..EACH).map(|_| uploads.admit(&tenant("one")).unwrap()).collect();
        assert_eq!(uploads.admit(&tenant("one")).err().unwrap().code(), Code::RateLimited);
        let _other = uploads.admit(&tenant("other")).unwrap();
        own.pop();
        let _again = uploads.admit(&tenant("one")).unwrap();
    }

    #[test]
    fn what_hardly_sends_gives_way_and_what_sends_stays() {
        let uploads = Arc::new(Uploads::default());
        let own: Vec<_> = (0..EACH).map(|_| uploads.admit(&tenant("one")).unwrap()).collect();
        let began = Instant::now().checked_sub(Duration::from_secs(10)).expect("the machine runs longer");
        for (number, ticket) in own.iter().enumerate() {
            ticket.pace().wait(began);
            ticket.pace().came(100, began);
            ticket.pace().wait(began);
            ticket.pace().came(if number == 7 { 1 } else { 10_000 }, began + Duration::from_secs(9));
        }
        let _new = uploads.admit(&tenant("one")).unwrap();
        let gone: Vec<_> = own.iter().map(|ticket| ticket.entry.gave_way.is_cancelled()).collect();
        assert_eq!(gone.iter().position(|gone| *gone), Some(7));
        assert_eq!(gone.iter().filter(|gone| **gone).count(), 1);
        assert!(uploads.admit(&tenant("one")).is_err(), "the others send");
    }
}
