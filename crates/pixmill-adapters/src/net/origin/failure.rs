//! Which fault a failed request is. Messages name the origin alone: paths and queries may hold secrets.

use std::error::Error;
use std::io;

use hyper_util::client::legacy;
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;

/// The fault of a request that got no answer from `place`.
pub(in crate::net) fn before_an_answer(error: &legacy::Error, place: &str) -> Fault {
    if let Some(fault) = find::<Fault>(error) {
        return fault.clone();
    }
    let reason = match find::<hyper::Error>(error) {
        Some(hyper) if hyper.is_parse() => "answered with something that is not HTTP".to_owned(),
        Some(hyper) if hyper.is_incomplete_message() => "hung up without an answer".to_owned(),
        _ => match find::<io::Error>(error) {
            Some(io) => format!("broke the connection before an answer ({io})"),
            None => "broke the connection before an answer".to_owned(),
        },
    };
    Fault::transient(Code::FetchConnect, format!("{place} {reason}."))
}

/// The fault of a body that did not come to its end.
pub(super) fn within_a_body(error: &hyper::Error, place: &str) -> Fault {
    let reason = match find::<io::Error>(error) {
        Some(io) => format!(" ({io})"),
        None => String::new(),
    };
    let message = format!("{place} broke off before the whole file had come{reason}.");
    Fault::transient(Code::FetchTruncated, message)
}

/// The first error of type `T` in the chain.
fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}
