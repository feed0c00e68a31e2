//! Names of requests, images and jobs. Opaque to the engine: records and queue decide what they look like.

use std::fmt;
use std::sync::Arc;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The id as it is written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                $name(text.into())
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                $name(text.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// A request: a UUIDv7 where pixmill made it.
    RequestId
);
id!(
    /// An image of a request.
    ImageId
);
id!(
    /// A job in a queue: the queue decides what it looks like.
    JobId
);

impl RequestId {
    /// A new one (UUIDv7, RFC 9562: time first, so that later requests sort later).
    pub fn new() -> Self {
        RequestId::from(uuid::Uuid::now_v7().to_string())
    }
}

impl Default for RequestId {
    fn default() -> Self {
        RequestId::new()
    }
}
