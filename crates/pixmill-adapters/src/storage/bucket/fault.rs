//! What went wrong at an object store, as the engine's ports say it.

use std::error::Error;

use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;

/// Characters of the store's sentence that are kept.
const LONGEST_REASON: usize = 300;

/// The fault: ours, where the client below raised one, else a refusal in the store's own words. Addresses are left
/// out, for they may be signed.
pub(super) fn fault(error: &object_store::Error) -> Fault {
    let mut cause: &(dyn Error + 'static) = error;
    loop {
        if let Some(fault) = cause.downcast_ref::<Fault>() {
            return fault.clone();
        }
        match cause.source() {
            Some(source) => cause = source,
            None => break,
        }
    }
    let told = cause.to_string();
    let reason: String = reason(&told).chars().take(LONGEST_REASON).collect();
    Fault::permanent(Code::StoreRejected, format!("the bucket's server refused: {reason}"))
}

/// The code and message of a store's answer in XML, or all of it.
fn reason(told: &str) -> String {
    let element = |name: &str| {
        let (_, rest) = told.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(text, _)| text.trim())
    };
    match (element("Code"), element("Message")) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        _ => told.trim().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_is_quoted_without_its_markup() {
        let told = "Server returned non-2xx status code: 403 Forbidden: <?xml version=\"1.0\"?><Error>\
            <Code>AccessDenied</Code><Message>Access Denied</Message><RequestId>1</RequestId></Error>";
        assert_eq!(reason(told), "AccessDenied: Access Denied");
        assert_eq!(reason("no answer "), "no answer");
    }
}
