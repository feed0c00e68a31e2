//! What lies in storage and no record names, and what records name and storage has not.

use std::collections::{BTreeSet, HashSet};

use percent_encoding::percent_decode_str;

use crate::fault::Fault;
use crate::model::id::RequestId;
use crate::model::image::ImageStatus;
use crate::model::request::{DEFAULT_TENANT, Request, RequestStatus};
use crate::pipeline::OUTPUTS_FOLDER;
use crate::pipeline::save::folder;
use crate::port::records::Ledger;
use crate::port::storage::Storage;

/// Images and requests that are read at a time.
const PAGE: usize = 1_000;

/// An output without an image, or an image without its output.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Orphan {
    /// No image names the output at this location.
    Stray(String),
    /// An image of the request completed with an output at this location, and none is there.
    Gone(RequestId, String),
}

/// How much was looked at, and found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Orphans {
    /// Whether the storage tells what is in it.
    pub listed: bool,
    /// Outputs in storage of requests that have ended, or of none.
    pub outputs: u64,
    /// Requests that are under way or being deleted, whose outputs come and go.
    pub passed_over: u64,
    /// Outputs that no image names.
    pub strays: u64,
    /// Outputs that images name, and that are not there.
    pub gone: u64,
    /// Requests that are not there, and whose catalogues were kept.
    pub originals: u64,
}

/// Looks at all outputs, and calls for each orphan. Changes nothing, beside servers that work. Holds the outputs of one
/// request in memory at a time, and the ids of all.
///
/// # Errors
/// Those of records and of storage.
pub async fn look(
    ledger: &dyn Ledger,
    storage: &dyn Storage,
    call: &mut (dyn FnMut(Orphan) + Send),
) -> Result<Orphans, Fault> {
    let deleting = ledger.deletions(PAGE).await?.into_iter().map(|deletion| deletion.request).collect();
    let mut look = Look { ledger, storage, call, deleting, seen: HashSet::new(), found: Orphans::default() };
    look.in_storage().await?;
    look.in_records().await?;
    look.found.originals = ledger.unclaimed().await?;
    Ok(look.found)
}

struct Look<'l> {
    ledger: &'l dyn Ledger,
    storage: &'l dyn Storage,
    call: &'l mut (dyn FnMut(Orphan) + Send),
    deleting: HashSet<RequestId>,
    /// Requests whose folder was looked at.
    seen: HashSet<RequestId>,
    found: Orphans,
}

impl Look<'_> {
    /// Each request's folder in storage, beside its images.
    async fn in_storage(&mut self) -> Result<(), Fault> {
        let Some(top) = self.storage.list(OUTPUTS_FOLDER).await? else { return Ok(()) };
        self.found.listed = true;
        for location in top.locations {
            self.found.outputs += 1;
            self.stray(location);
        }
        for folder in top.folders {
            let name = folder.rsplit('/').next().unwrap_or_default();
            let request = RequestId::from(percent_decode_str(name).decode_utf8_lossy().into_owned());
            let present = self.all_within(&folder).await?;
            match self.ledger.request(&request).await? {
                None => {
                    // What is being deleted goes record and all: only what stays is a stray.
                    for location in self.all_within(&folder).await?.intersection(&present) {
                        self.found.outputs += 1;
                        self.stray(location.clone());
                    }
                }
                Some(found) if self.rests(&found) => self.compare(&request, present).await?,
                Some(_) => self.found.passed_over += 1,
            }
            self.seen.insert(request);
        }
        Ok(())
    }

    /// Requests of which nothing lies in storage, or of all where it can't be listed.
    async fn in_records(&mut self) -> Result<(), Fault> {
        let keys = self.ledger.keys().await?;
        let tenants: BTreeSet<_> =
            keys.into_iter().map(|key| key.tenant).chain([DEFAULT_TENANT.to_owned()]).collect();
        for tenant in tenants {
            let mut before = None;
            loop {
                let page = self.ledger.requests_of(&tenant, None, before.as_ref(), PAGE).await?;
                for view in &page {
                    let request = &view.request;
                    if view.progress.completed > 0 && !self.seen.contains(&request.id) && self.rests(request)
                    {
                        self.compare(&request.id, BTreeSet::new()).await?;
                    }
                }
                match page.last() {
                    Some(last) => before = Some(last.request.id.clone()),
                    None => break,
                }
            }
        }
        Ok(())
    }

    /// Whether nothing is done to a request.
    fn rests(&self, request: &Request) -> bool {
        matches!(request.status, RequestStatus::Completed | RequestStatus::Cancelled)
            && !self.deleting.contains(&request.id)
    }

    /// What is present of a request's outputs, beside what its images name.
    async fn compare(&mut self, request: &RequestId, mut present: BTreeSet<String>) -> Result<(), Fault> {
        self.found.outputs += present.len() as u64;
        // Equal addresses share an output, and images of other programs have outputs elsewhere.
        let (own, mut named) = (format!("{}/", folder(request)), BTreeSet::new());
        let (status, mut after) = (Some(ImageStatus::Completed), None);
        loop {
            let page = self.ledger.images(request, status, after.as_ref(), PAGE).await?;
            let outputs = page.iter().filter_map(|image| image.slot.output.as_ref());
            named.extend(outputs.map(|output| &output.location).filter(|at| at.contains(&own)).cloned());
            match page.last() {
                Some(last) => after = Some(last.image.clone()),
                None => break,
            }
        }
        let absent: Vec<_> = named.iter().filter(|at| !present.contains(*at)).cloned().collect();
        let gone = if self.found.listed { absent } else { self.storage.lost(absent).await? };
        for location in gone {
            self.found.gone += 1;
            (self.call)(Orphan::Gone(request.clone(), location));
        }
        present.retain(|at| !named.contains(at));
        present.into_iter().for_each(|location| self.stray(location));
        Ok(())
    }

    fn stray(&mut self, location: String) {
        self.found.strays += 1;
        (self.call)(Orphan::Stray(location));
    }

    /// What lies in a folder and those below it.
    async fn all_within(&self, folder: &str) -> Result<BTreeSet<String>, Fault> {
        let (mut folders, mut locations) = (vec![folder.to_owned()], BTreeSet::new());
        while let Some(folder) = folders.pop() {
            let Some(listing) = self.storage.list(&folder).await? else { break };
            locations.extend(listing.locations);
            folders.extend(listing.folders);
        }
        Ok(locations)
    }
}
