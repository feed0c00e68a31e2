//! The one list of error codes.

use std::fmt;
use std::io::ErrorKind;

macro_rules! codes {
    ($($variant:ident $text:literal $sentence:literal,)*) => {
        /// A stable code. Once published, a code keeps its meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code { $(#[doc = $sentence] $variant,)* }

        impl Code {
            /// Every code, in the order of the list.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// The code as it is written everywhere, `area.fault`.
            pub fn as_str(self) -> &'static str { match self { $(Code::$variant => $text,)* } }

            /// What to do about it, a sentence for people.
            pub fn advice(self) -> &'static str { match self { $(Code::$variant => $sentence,)* } }
        }
    };
}

codes! {
    UrlInvalid "url.invalid" "The address can't be parsed: correct it in the catalogue.",
    UrlScheme "url.scheme" "Only http and https addresses are fetched: correct it in the catalogue.",
    FetchDns "fetch.dns" "The host name does not resolve: check its spelling, or try again later.",
    FetchBlockedAddress "fetch.blocked_address" "The address is private or reserved: open its range with --allow-address if you trust it.",
    FetchConnect "fetch.connect" "No connection could be made: is the server up and its port open?",
    FetchTls "fetch.tls" "The encrypted connection failed: check the server's certificate.",
    FetchTimeout "fetch.timeout" "The server took too long: try again later or raise --timeout.",
    FetchStatus "fetch.status" "The server refused: open the address in a browser to see why.",
    FetchRedirects "fetch.redirects" "Too many redirects: put the final address into the catalogue.",
    FetchTooLarge "fetch.too_large" "The file is larger than allowed: raise --max-bytes if it is meant to be.",
    FetchTruncated "fetch.truncated" "The connection ended before the picture did: try again later.",
    ImageEmpty "image.empty" "The file has no bytes: upload the picture again at its origin.",
    ImageUnsupported "image.unsupported" "Not a picture in a format that is read (JPEG, PNG, WebP, GIF, TIFF, BMP, AVIF): convert it.",
    ImageCorrupt "image.corrupt" "The picture is broken or cut short: export it again; --lenient accepts nearly whole ones.",
    ImageTooManyPixels "image.too_many_pixels" "The picture has more pixels than allowed: raise --max-pixels if it is meant to be.",
    ImageTooSlow "image.too_slow" "Recompressing took too long: ask for a smaller size or another format, or raise --max-seconds.",
    ImageCrashed "image.crashed" "The decoder crashed on this picture: export it again, and please report it.",
    StoreRejected "store.rejected" "The storage refused the output: check its permissions and limits.",
    StoreUnavailable "store.unavailable" "The storage could not be reached: try again later.",
    AttemptsExhausted "attempts.exhausted" "The worker died each time it tried this picture: look at the picture and at the machine's memory.",
    RequestCancelled "request.cancelled" "The request was cancelled.",
    FileMissing "file.missing" "There is no such file: check the path and --base-dir; where the pictures lie on the web, give --base-url.",
    FileOutside "file.outside" "The path leaves the base folder: move the file or set --base-dir; where the pictures lie on the web, give --base-url.",
    JobInvalid "job.invalid" "The job lacks what it needs: see the producer's documentation.",
    JobUnknown "job.unknown" "The job names an image that is not in records.",
    AuthMissing "auth.missing" "Send a key: Authorization: Bearer pxm_….",
    AuthInvalid "auth.invalid" "The key is unknown or revoked.",
    AuthRole "auth.role" "The caller may not do this: use a key whose role allows it, from a page of this server.",
    RequestNotFound "request.not_found" "There is no such request.",
    RequestState "request.state" "The request's state does not allow this.",
    IdempotencyMismatch "idempotency.mismatch" "The Idempotency-Key was used with another body.",
    IdempotencyInFlight "idempotency.in_flight" "A request with this Idempotency-Key is being taken in.",
    RateLimited "rate.limited" "Slow down: see Retry-After.",
    BodyMediaType "body.media_type" "The body's media type is not accepted.",
    BodyMalformed "body.malformed" "The body can't be read.",
    BodyTooLarge "body.too_large" "The body is larger than allowed.",
    RecipeInvalid "recipe.invalid" "The recipe holds a value that is not allowed.",
    WebhookAddress "webhook.address" "The webhook's address may not be called.",
    RouteUnknown "route.unknown" "There is nothing at this address: see /docs.",
    RouteMethod "route.method" "The method is not allowed at this address: see Allow.",
    QueryInvalid "query.invalid" "A parameter holds a value that is not allowed.",
    ConfigInvalid "config.invalid" "The configuration holds a value that is not allowed.",
    StateBusy "state.busy" "Another pixmill works on this folder: wait for it or stop it, or choose another folder.",
    StateOtherCatalogue "state.other_catalogue" "This output folder belongs to another catalogue or recipe: choose another with --output.",
    DiskFull "disk.full" "The disk is full: make room and run again; nothing that was finished is lost.",
    DiskReadOnly "disk.read_only" "The folder can't be written to: check its permissions, or choose another with --output.",
    BackupInvalid "backup.invalid" "Nothing was changed: use another backup, or fetch this one anew.",
    BackendUnavailable "backend.unavailable" "A backend can't be reached: check that it runs and its address.",
    CatalogueEncoding "catalogue.encoding" "The catalogue is not text: export it as CSV.",
    CatalogueHeader "catalogue.header" "The catalogue lacks a header with a column of image URLs, such as 'Input Image Urls'.",
    CatalogueRow "catalogue.row" "The row can't be used: correct it in the catalogue.",
    CatalogueTooLarge "catalogue.too_large" "The catalogue is larger than allowed.",
}

impl Code {
    /// The code written so, if there is one.
    pub fn parse(text: &str) -> Option<Code> {
        Code::ALL.iter().copied().find(|code| code.as_str() == text)
    }
}

impl Code {
    /// What keeps a folder or a file of ours from being written: a full disk, or everything else.
    pub fn of_unwritable(kind: ErrorKind) -> Code {
        match kind {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Code::DiskFull,
            _ => Code::DiskReadOnly,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<pixmill_codec::ErrorKind> for Code {
    fn from(kind: pixmill_codec::ErrorKind) -> Self {
        use pixmill_codec::ErrorKind;
        match kind {
            ErrorKind::Empty => Code::ImageEmpty,
            ErrorKind::Unsupported => Code::ImageUnsupported,
            ErrorKind::Corrupt => Code::ImageCorrupt,
            ErrorKind::TooManyPixels => Code::ImageTooManyPixels,
            ErrorKind::TooSlow => Code::ImageTooSlow,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_read_back_from_its_text() {
        for code in Code::ALL {
            assert_eq!(Code::parse(code.as_str()), Some(*code));
        }
    }

    #[test]
    fn codec_errors_keep_their_codes() {
        use pixmill_codec::ErrorKind::*;
        for kind in [Empty, Unsupported, Corrupt, TooManyPixels, TooSlow] {
            assert_eq!(Code::from(kind).as_str(), kind.code());
        }
    }
}
