//! What the vendor's answers mean.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use hyper::Response;
use hyper::header::{HeaderMap, RETRY_AFTER};
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use serde_json::Value;

use crate::net::retry_after::retry_after;

/// When an account's quota begins anew, a date.
const QUOTA_RESET: &str = "x-featureratelimit-reset";

/// Why an answer has another status than 200, beside what its body says.
const REASON: &str = "x-cld-error";

/// Characters of the vendor's sentence that are kept.
const LONGEST_REASON: usize = 300;

/// The answer's content.
///
/// # Errors
/// `store.unavailable` when trying again may help, else `store.rejected` with the vendor's own sentence.
pub(super) fn read(response: Response<Bytes>) -> Result<Value, Fault> {
    let status = response.status().as_u16();
    let content: Option<Value> = serde_json::from_slice(response.body()).ok();
    if response.status().is_success() {
        return content.ok_or_else(|| {
            let message =
                format!("what should be Cloudinary answered {status} with something that is not JSON");
            Fault::transient(Code::StoreUnavailable, message)
        });
    }
    let reason = reason(content.as_ref(), response.headers());
    Err(match status {
        // 420: too many uploads at once, as Cloudinary says it.
        408 | 420 | 425 | 429 | 500.. => {
            let message = format!("Cloudinary is not ready ({status}{reason})");
            Fault::transient(Code::StoreUnavailable, message)
                .after(wait(response.headers(), SystemTime::now()))
        }
        _ => Fault::permanent(Code::StoreRejected, format!("Cloudinary refused ({status}{reason})")),
    })
}

fn reason(content: Option<&Value>, headers: &HeaderMap) -> String {
    let told = content.and_then(|content| content["error"]["message"].as_str());
    let beside = || headers.get(REASON).and_then(|value| value.to_str().ok());
    match told.or_else(beside) {
        Some(told) => format!(": {}", told.chars().take(LONGEST_REASON).collect::<String>()),
        None => String::new(),
    }
}

/// How long it asks to be left alone.
fn wait(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let told = |name: &str| headers.get(name)?.to_str().ok().and_then(|value| retry_after(value.trim(), now));
    told(RETRY_AFTER.as_str()).or_else(|| told(QUOTA_RESET))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(status: u16, headers: &[(&str, &str)], body: &str) -> Fault {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        read(response.body(Bytes::from(body.to_owned())).unwrap()).expect_err("no success")
    }

    #[test]
    fn refusals_carry_the_vendors_sentence_and_are_final() {
        let told = fault(400, &[], r#"{"error":{"message":"Invalid image file"}}"#);
        assert_eq!((told.code, told.transient), (Code::StoreRejected, false));
        assert!(told.message.contains("400: Invalid image file"), "{told}");
        assert!(fault(401, &[(REASON, "Unknown API key 1")], "").message.contains("Unknown API key 1"));
        assert!(fault(403, &[], "<html>").message.contains("(403)"));
        let endless = format!(r#"{{"error":{{"message":"{}"}}}}"#, "x".repeat(5_000));
        assert!(fault(400, &[], &endless).message.len() < 400);
    }

    #[test]
    fn being_overrun_is_transient_and_its_wait_is_heard() {
        for status in [408, 420, 425, 429, 500, 502, 503, 504] {
            let told = fault(status, &[("retry-after", "7")], "");
            assert_eq!((told.code, told.transient), (Code::StoreUnavailable, true), "{status}");
            assert_eq!(told.retry_after, Some(Duration::from_secs(7)));
        }
        assert_eq!(
            fault(420, &[(QUOTA_RESET, "Wed, 21 Oct 2015 07:28:00 GMT")], "").retry_after,
            Some(Duration::ZERO)
        );
        assert_eq!(fault(500, &[], "").retry_after, None);
    }

    #[test]
    fn a_success_that_is_not_json_is_not_believed() {
        assert!(fault(200, &[], "<html>welcome to the hotel's network</html>").transient);
    }
}
