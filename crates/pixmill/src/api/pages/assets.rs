//! What pages load, from this server alone: styles, modules, and what others made, kept as it came.

use std::sync::LazyLock;

use axum::body::Body;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use pixmill_engine::code::Code;
use sha2::{Digest, Sha256};

use super::super::answer;
use super::super::problem::Problem;

macro_rules! assets {
    ($($name:literal $media_type:literal $path:literal,)*) => {
        /// Name, media type and bytes.
        const ASSETS: &[(&str, &str, &[u8])] =
            &[$(($name, $media_type, include_bytes!(concat!("../../../dashboard/", $path))),)*];
    };
}

assets! {
    "pixmill.css" "text/css; charset=utf-8" "styles/pixmill.css",
    "parts.css" "text/css; charset=utf-8" "styles/parts.css",
    "help.css" "text/css; charset=utf-8" "styles/help.css",
    "icon.svg" "image/svg+xml" "styles/icon.svg",
    "first.js" "text/javascript; charset=utf-8" "modules/first.js",
    "pixmill.js" "text/javascript; charset=utf-8" "modules/pixmill.js",
    "keys.js" "text/javascript; charset=utf-8" "modules/keys.js",
    "compare.js" "text/javascript; charset=utf-8" "modules/compare.js",
    "live.js" "text/javascript; charset=utf-8" "modules/live.js",
    "element.js" "text/javascript; charset=utf-8" "modules/element.js",
    "preview.js" "text/javascript; charset=utf-8" "modules/preview.js",
    "trial.js" "text/javascript; charset=utf-8" "modules/trial.js",
    "upload.js" "text/javascript; charset=utf-8" "modules/upload.js",
    "htmx.min.js" "text/javascript; charset=utf-8" "vendor/htmx.min.js",
    "hx-sse.min.js" "text/javascript; charset=utf-8" "vendor/hx-sse.min.js",
}

/// Changes with any of them, so that browsers may keep each for good.
pub(super) static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = Sha256::new();
    for (name, _, bytes) in ASSETS {
        hasher.update(name);
        hasher.update(bytes);
    }
    hasher.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
});

/// Answers with one of them.
pub(in crate::api) async fn show(uri: Uri, headers: HeaderMap) -> Result<Response, Problem> {
    let name = uri.path().rsplit('/').next().unwrap_or_default();
    let found = ASSETS.iter().find(|(known, ..)| *known == name);
    let (_, media_type, bytes) =
        found.ok_or_else(|| Problem::new(Code::RouteUnknown, "there is nothing at this address"))?;
    let tag = format!("\"{}\"", *VERSION);
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response = match known {
        true => answer::of(StatusCode::NOT_MODIFIED, media_type, Body::empty()),
        false => answer::of(StatusCode::OK, media_type, Body::from(*bytes)),
    };
    let headers = response.headers_mut();
    headers.extend(HeaderValue::from_str(&tag).ok().map(|tag| (header::ETAG, tag)));
    let current = uri.path().contains(VERSION.as_str());
    let kept = if current { "public, max-age=31536000, immutable" } else { "public, max-age=60" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(kept));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_made_is_as_it_came() {
        let known = [
            ("htmx.min.js", "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130"),
            ("hx-sse.min.js", "18ef2761356ec1fe0bb6d92612315b37517a7c1e9856b661c5ae81fef239d103"),
        ];
        for (name, hash) in known {
            let (.., bytes) = ASSETS.iter().find(|(found, ..)| *found == name).unwrap();
            let found: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(found, hash, "{name}");
        }
    }

    #[test]
    fn a_page_weighs_little() {
        // The page of one request as it goes on has most: what others made, and none of what is for pictures and files.
        let of_it = ASSETS
            .iter()
            .filter(|(name, ..)| !["compare.js", "preview.js", "trial.js", "upload.js"].contains(name));
        let all: usize = of_it.map(|(.., bytes)| bytes.len()).sum();
        assert!(all < 90_000, "{all}");
    }
}
