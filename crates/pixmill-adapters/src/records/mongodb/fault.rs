//! What an error of the driver means to whoever asked. Addresses hold passwords, so they are never named.

use mongodb::error::{Error, ErrorKind, WriteFailure};
use pixmill_engine::code::Code;
use pixmill_engine::fault::{Blame, Fault};

/// Server codes that say who asks lacks a right.
const UNAUTHORIZED: i32 = 13;
const AUTHENTICATION_FAILED: i32 = 18;

const DUPLICATE_KEY: i32 = 11_000;

/// What the server says while it starts, stops or hands over to another: it may be well next time. From the driver
/// specification of retryable writes.
const PASSING: [i32; 14] = [6, 7, 64, 89, 91, 100, 112, 134, 189, 262, 9_001, 10_107, 11_600, 11_602];
const PASSING_TOO: [i32; 4] = [13_388, 13_435, 13_436, 50];

/// What the server says of a change that a document does not allow: what stands at a path is of another kind, the app
/// has rules for its documents, or they grow too large.
const OF_DOCUMENT: [i32; 9] = [2, 14, 28, 40, 66, 121, 10_334, 17_419, DUPLICATE_KEY];

/// Whether a change failed for what its document holds.
pub(super) fn is_of_document(code: i32) -> bool {
    OF_DOCUMENT.contains(&code)
}

/// An address that the driver refuses.
pub(super) fn address(error: &Error) -> Fault {
    match &*error.kind {
        ErrorKind::InvalidArgument { message, .. } => {
            Fault::permanent(Code::ConfigInvalid, format!("the MongoDB address can't be read: {message}"))
        }
        _ => fault(error),
    }
}

/// The fault that an error of the driver stands for: whatever was asked for, it is the server's.
pub(super) fn fault(error: &Error) -> Fault {
    of_server(error).of(Blame::Backend)
}

fn of_server(error: &Error) -> Fault {
    let (code, message) = match &*error.kind {
        ErrorKind::Command(command) => (Some(command.code), command.message.clone()),
        ErrorKind::Write(WriteFailure::WriteError(write)) => (Some(write.code), write.message.clone()),
        ErrorKind::Write(WriteFailure::WriteConcernError(concern)) => {
            (Some(concern.code), concern.message.clone())
        }
        ErrorKind::InsertMany(many) => match (&many.write_errors, &many.write_concern_error) {
            (Some(errors), _) if !errors.is_empty() => (Some(errors[0].code), errors[0].message.clone()),
            (_, Some(concern)) => (Some(concern.code), concern.message.clone()),
            _ => (None, error.to_string()),
        },
        ErrorKind::Authentication { message, .. } => (Some(AUTHENTICATION_FAILED), message.clone()),
        kind => (None, kind.to_string()),
    };
    match code {
        Some(code) => refused(code, &message),
        None if is_of_connection(error) => {
            Fault::transient(Code::BackendUnavailable, format!("MongoDB can't be reached: {message}"))
        }
        None => Fault::permanent(Code::BackendUnavailable, format!("MongoDB: {message}")),
    }
}

/// What the server's refusal means.
pub(super) fn refused(code: i32, message: &str) -> Fault {
    let unavailable = Code::BackendUnavailable;
    let fault = match code {
        UNAUTHORIZED => Fault::permanent(
            unavailable,
            format!("the MongoDB user lacks a right: {message}; give it the role readWrite on this database"),
        ),
        AUTHENTICATION_FAILED => Fault::permanent(
            unavailable,
            format!("MongoDB refused the user or the password: {message}; check both in the address"),
        ),
        code if PASSING.contains(&code) || PASSING_TOO.contains(&code) => {
            Fault::transient(unavailable, format!("MongoDB is not ready: {message}"))
        }
        _ => Fault::permanent(unavailable, format!("MongoDB refused ({code}): {message}")),
    };
    fault.of(Blame::Backend)
}

/// Whether a document of this id, or of another unique value, is there already.
pub(super) fn is_duplicate(error: &Error) -> bool {
    matches!(&*error.kind, ErrorKind::Write(WriteFailure::WriteError(write)) if write.code == DUPLICATE_KEY)
}

fn is_of_connection(error: &Error) -> bool {
    matches!(
        &*error.kind,
        ErrorKind::Io(_)
            | ErrorKind::ServerSelection { .. }
            | ErrorKind::ConnectionPoolCleared { .. }
            | ErrorKind::DnsResolve { .. }
    )
}
