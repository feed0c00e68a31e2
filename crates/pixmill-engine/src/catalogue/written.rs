//! What is written in the place of an address, whatever the catalogue came as.

use super::cut::Form;

/// Bytes that are gathered before they are written.
pub(super) const PIECE: usize = 64 * 1024;

/// An address as its cell's form has it.
pub(super) fn written(output: &str, form: Form) -> String {
    match form {
        Form::Plain => output.to_owned(),
        Form::Json => output.replace('\\', "\\\\").replace('"', "\\\"").replace('/', "\\/"),
        Form::Html => output.replace('&', "&amp;").replace('"', "&quot;"),
    }
}
