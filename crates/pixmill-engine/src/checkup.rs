//! How backends are, for whoever set them up: what is found, and the round trips that any of them can be sent on.

use std::future::Future;
use std::time::Duration;

use uuid::Uuid;

use crate::fault::Fault;
use crate::model::id::RequestId;
use crate::model::request::{DEFAULT_TENANT, NewRequest};
use crate::model::time::Timestamp;
pub use crate::port::diagnose::{Diagnose, Finding, Severity};
use crate::port::records::Records;
use crate::port::storage::Storage;

/// Bytes as findings tell them.
pub fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// Clocks that are further apart spoil what is read from them.
const CLOCKS_DIFFER: Duration = Duration::from_secs(5);

/// Clocks that are as far apart make leases run out while they are held.
const CLOCKS_WRONG: Duration = Duration::from_secs(30);

/// How far this machine's clock is from a backend's.
pub fn clock(ours: Timestamp, theirs: Timestamp) -> Finding {
    let apart = ours.since(theirs).max(theirs.since(ours));
    let told = format!(
        "this machine's clock is {} s {} the backend's",
        apart.as_secs(),
        match ours > theirs {
            true => "ahead of",
            false => "behind",
        }
    );
    let advice = "Let NTP set the clocks of both machines.";
    match apart {
        apart if apart >= CLOCKS_WRONG => Finding::wrong("clock", told, advice),
        apart if apart >= CLOCKS_DIFFER => Finding::doubtful("clock", told, advice),
        _ => Finding::well("clock", "agrees with this machine's"),
    }
}

/// What a round trip is called.
pub const ROUND_TRIP: &str = "round trip";

/// The smallest picture: a grey pixel, as PNG.
const PIXEL: [u8; 67] = [
    0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0x00, 0x00, 0x00, 0x0D, 0x49, 0x48, 0x44, 0x52, 0x00,
    0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01, 0x08, 0x00, 0x00, 0x00, 0x00, 0x3A, 0x7E, 0x9B, 0x55, 0x00,
    0x00, 0x00, 0x0A, 0x49, 0x44, 0x41, 0x54, 0x78, 0x9C, 0x63, 0xA8, 0x07, 0x00, 0x00, 0x81, 0x00, 0x80,
    0xD3, 0x94, 0x53, 0x4A, 0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4E, 0x44, 0xAE, 0x42, 0x60, 0x82,
];

/// Stores a picture, has its location looked at, and removes it.
pub async fn round_trip<S, F>(storage: &S, look: impl FnOnce(String) -> F) -> Vec<Finding>
where
    S: Storage + ?Sized,
    F: Future<Output = Vec<Finding>>,
{
    let key = format!("processed_images/pixmill-doctor-{}.png", Uuid::new_v4());
    let location = match storage.put(&key, "image/png", PIXEL.to_vec()).await {
        Ok(location) => location,
        Err(fault) => return vec![Finding::fault(ROUND_TRIP, &fault)],
    };
    let mut findings = look(location.clone()).await;
    findings.push(match storage.remove(std::slice::from_ref(&location)).await {
        Ok(()) => Finding::well(ROUND_TRIP, "a picture was stored and removed again"),
        Err(fault) => Finding::doubtful(
            ROUND_TRIP,
            format!("a picture was stored at {location} but can't be removed: {}", fault.message),
            "Outputs are written, but those of deleted requests will stay: allow removing.",
        ),
    });
    findings
}

/// Looks at records, and takes in a request that nobody sees and that is discarded at once.
pub async fn records(records: &dyn Records, now: Timestamp) -> Vec<Finding> {
    let mut findings = records.diagnose(now).await;
    findings.push(match intake(records, now).await {
        Ok(()) => Finding::well(ROUND_TRIP, "a request was written, read and removed again"),
        Err(fault) => Finding::fault(ROUND_TRIP, &fault),
    });
    findings
}

async fn intake(records: &dyn Records, now: Timestamp) -> Result<(), Fault> {
    let id = RequestId::new();
    let new = NewRequest {
        id: id.clone(),
        tenant: DEFAULT_TENANT.to_owned(),
        header: String::new(),
        catalogue: "pixmill doctor".to_owned(),
        traceparent: None,
    };
    records.begin(new, now).await?;
    let read = records.request(&id).await;
    records.discard(&id).await?;
    read.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_are_judged_either_way() {
        let at = |seconds: i64| Timestamp(1_700_000_000_000 + seconds * 1_000);
        for (theirs, severity) in [
            (4, Severity::Well),
            (-4, Severity::Well),
            (10, Severity::Doubtful),
            (-29, Severity::Doubtful),
            (30, Severity::Wrong),
            (-3_600, Severity::Wrong),
        ] {
            assert_eq!(clock(at(0), at(theirs)).severity, severity, "{theirs}");
        }
        assert!(clock(at(0), at(60)).told.contains("60 s behind"));
        assert!(clock(at(60), at(0)).told.contains("60 s ahead of"));
    }
}
