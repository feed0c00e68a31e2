//! A form with a file, as `multipart/form-data` (RFC 7578).

use bytes::Bytes;
use uuid::Uuid;

/// A file of a form. Its name says nothing: the public id does.
#[derive(Clone, Copy)]
pub(super) struct File<'a> {
    pub(super) media_type: &'static str,
    pub(super) bytes: &'a [u8],
}

/// A form, ready to be sent.
pub(super) struct Form {
    pub(super) media_type: String,
    pub(super) body: Bytes,
}

impl Form {
    /// Fields, whose names and values hold no line break, and perhaps a file.
    pub(super) fn of(fields: &[(String, String)], file: Option<File<'_>>) -> Self {
        let boundary = Uuid::new_v4().simple().to_string();
        let room = file.map_or(0, |file| file.bytes.len()) + 256 * (fields.len() + 2);
        let mut body = Vec::with_capacity(room);
        for (name, value) in fields {
            let part =
                format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
            body.extend_from_slice(part.as_bytes());
        }
        if let Some(file) = file {
            let head = format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"file\"\r\n\
                 Content-Type: {}\r\n\r\n",
                file.media_type
            );
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(file.bytes);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        Form { media_type: format!("multipart/form-data; boundary={boundary}"), body: body.into() }
    }
}
