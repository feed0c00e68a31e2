//! Words that the API's description lists, from where they are defined.

use std::borrow::Cow;

use pixmill_engine::look::Size;
use pixmill_engine::model::image::ImageStatus;
use pixmill_engine::model::request::RequestStatus as Status;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::config::recipe;

/// Statuses of requests, without that of an intake, which nobody sees.
pub(super) const REQUEST_STATUSES: &[Status] = Status::ALL.split_at(1).1;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $shown:literal, $words:expr) => {
        $(#[$doc])*
        pub(super) struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new().schema_type(Type::String).enum_values(Some($words)).into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                $shown.into()
            }
        }
    };
}

words!(
    /// A request's status.
    RequestWord, "RequestStatus", REQUEST_STATUSES.iter().map(|status| status.as_str())
);
words!(
    /// An image's status.
    ImageWord, "ImageStatus", ImageStatus::ALL.iter().map(|status| status.as_str())
);
words!(
    /// A format of outputs.
    FormatWord, "Format", recipe::FORMATS
);
words!(
    /// How large a picture is shown.
    SizeWord, "Size", Size::ALL.iter().map(|size| size.as_str())
);
