//! Which fault a failed request is. Messages name the origin alone: paths and queries may hold secrets.

use std::error::Error;
use std::io;

use hyper_util::client::legacy;
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use rustls::CertificateError;

use super::HEAD_MAX;
use super::mend::TooLong;

/// The fault of a request that got no answer from `place`.
pub(in crate::net) fn before_an_answer(error: &legacy::Error, place: &str) -> Fault {
    if let Some(fault) = find::<Fault>(error) {
        return fault.clone();
    }
    // The crate has no other way to tell.
    let is_too_large = |hyper: &hyper::Error| hyper.is_parse() && hyper.to_string().contains("too large");
    let reason = match find::<hyper::Error>(error) {
        hyper if hyper.is_some_and(is_too_large) || is_too_long(error) => {
            format!("answered with more headers than are read (1,000, and {} KiB)", HEAD_MAX >> 10)
        }
        Some(hyper) if hyper.is_parse() => "answered with something that is not HTTP".to_owned(),
        Some(hyper) if hyper.is_incomplete_message() => "hung up without an answer".to_owned(),
        _ => match find::<io::Error>(error) {
            Some(io) => format!("broke the connection before an answer: {}", in_words(io)),
            None => "broke the connection before an answer".to_owned(),
        },
    };
    Fault::transient(Code::FetchConnect, format!("{place} {reason}."))
}

/// The fault of a body that did not come to its end.
pub(super) fn within_a_body(error: &hyper::Error, place: &str) -> Fault {
    match find::<io::Error>(error) {
        Some(io) if io.kind() == io::ErrorKind::ConnectionReset => {
            let message =
                format!("{place} broke off before the whole file had come: the connection was reset.");
            Fault::transient(Code::FetchTruncated, message)
        }
        _ => cut(place),
    }
}

/// The fault of an answer that holds less than was asked for.
pub(super) fn in_part(place: &str) -> Fault {
    let message = format!("{place} sent a part of the file (206), although all of it was asked for.");
    Fault::transient(Code::FetchTruncated, message)
}

/// The fault of a body that is over too soon.
pub(super) fn cut(place: &str) -> Fault {
    let message = format!("{place} broke off before the whole file had come.");
    Fault::transient(Code::FetchTruncated, message)
}

/// What happened to a connection, in words rather than a system's or a library's.
pub(in crate::net) fn in_words(error: &io::Error) -> String {
    use io::ErrorKind::*;
    let words = match error.kind() {
        ConnectionRefused => "nobody listens there",
        ConnectionReset | BrokenPipe => "the connection was reset",
        ConnectionAborted | UnexpectedEof | NotConnected => "the other side hung up",
        TimedOut => "nobody answered in time",
        HostUnreachable | NetworkUnreachable | NetworkDown => "there is no way to it from here",
        AddrNotAvailable => "this machine has no address to call from",
        PermissionDenied => "this machine's own rules forbid it",
        _ if is_out_of_files(error) => "this process has too many files and connections open",
        _ => return format!("the network failed (error {})", error.raw_os_error().unwrap_or_default()),
    };
    words.to_owned()
}

/// `EMFILE` and `ENFILE`, which have no kind of their own.
fn is_out_of_files(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(23 | 24))
}

/// Why a handshake came to nothing, in words, and what to do.
pub(in crate::net) fn of_encryption(error: &rustls::Error) -> String {
    use rustls::Error::*;
    match error {
        InvalidCertificate(certificate) => of_a_certificate(certificate).to_owned(),
        NoCertificatesPresented => "it shows no certificate".to_owned(),
        AlertReceived(_) => "it refused the handshake".to_owned(),
        InvalidMessage(_) | InappropriateMessage { .. } | InappropriateHandshakeMessage { .. } => {
            "what answers there does not speak TLS".to_owned()
        }
        PeerIncompatible(_) => "it speaks only versions of TLS that are no longer safe".to_owned(),
        _ => "the handshake failed".to_owned(),
    }
}

fn of_a_certificate(error: &CertificateError) -> &'static str {
    use CertificateError::*;
    match error {
        Expired | ExpiredContext { .. } => "its certificate has expired",
        NotValidYet | NotValidYetContext { .. } => {
            "its certificate is not valid yet; is this machine's clock right?"
        }
        NotValidForName | NotValidForNameContext { .. } => "its certificate is for another name",
        UnknownIssuer => {
            "its certificate comes from an issuer that is not trusted; name the issuer's own with --ca-file if you \
             trust it"
        }
        Revoked => "its certificate was revoked",
        BadSignature | BadEncoding => "its certificate is broken",
        _ => "its certificate can't be trusted",
    }
}

fn is_too_long(error: &legacy::Error) -> bool {
    find::<io::Error>(error).and_then(io::Error::get_ref).is_some_and(|inner| inner.is::<TooLong>())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_of_the_system_stands_where_words_say_it() {
        for number in [111, 104, 32, 110, 113, 101, 99, 13, 24] {
            let words = in_words(&io::Error::from_raw_os_error(number));
            assert!(!words.contains("error") && !words.contains("os"), "{number}: {words}");
        }
    }

    #[test]
    fn a_certificate_of_nobody_known_names_the_option_that_makes_it_known() {
        let error = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        assert!(of_encryption(&error).contains("--ca-file"));
    }
}
