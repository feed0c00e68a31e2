//! What a webhook is told: flat, so that receivers of the Node stack go on working.

use serde_json::json;

use crate::model::event::{Completion, Telling};
use crate::model::id::RequestId;
use crate::model::lease::Token;
use crate::model::request::{Progress, RequestStatus};
use crate::model::time::Timestamp;

/// The body of an event. The same for every try, whatever became of the request since.
pub fn of(telling: &Telling, links: &str) -> String {
    let Telling { event, progress, .. } = telling;
    json!({
        "type": "request.completed",
        "timestamp": event.at.to_string(),
        "requestId": event.request.as_str(),
        "status": RequestStatus::Completed.as_str(),
        "round": event.round,
        "processedImages": progress.ended(),
        "totalImages": progress.total(),
        "failedImages": progress.failed,
        "bytesBefore": progress.bytes_before,
        "bytesAfter": progress.bytes_after,
        "resultsUrl": format!("{links}/v1/requests/{}/results.csv", event.request),
    })
    .to_string()
}

/// An event as none ever was, for those who try a receiver out.
pub fn sample(now: Timestamp) -> Telling {
    let completed = Progress {
        completed: 14,
        failed: 1,
        bytes_before: 2_461_000,
        bytes_after: 666_000,
        ..Progress::default()
    };
    Telling {
        event: Completion { id: RequestId::new().to_string(), request: RequestId::new(), round: 1, at: now },
        progress: completed,
        url: None,
        traceparent: None,
        tries: 0,
        token: Token(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_flat_and_says_all() {
        let mut telling = sample(Timestamp(1_700_000_000_000));
        telling.event.request = "r1".into();
        let body: serde_json::Value = serde_json::from_str(&of(&telling, "https://h")).unwrap();
        let told = json!({
            "type": "request.completed", "timestamp": "2023-11-14T22:13:20.000Z", "requestId": "r1",
            "status": "completed", "round": 1, "processedImages": 15, "totalImages": 15, "failedImages": 1,
            "bytesBefore": 2_461_000, "bytesAfter": 666_000,
            "resultsUrl": "https://h/v1/requests/r1/results.csv",
        });
        assert_eq!(body, told);
    }
}
