//! Outputs of the storage `file:`. Whoever knows an output's address, with its request's random id in it, may see it.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures::stream;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use percent_encoding::percent_decode_str;
use pixmill_codec::OutputFormat;
use pixmill_engine::code::Code;
use pixmill_engine::model::id::RequestId;

use super::Api;
use super::answer;
use super::problem::Problem;

/// Bytes that are read at a time.
const PIECE: u64 = 64 << 10;

/// How long others may keep an output before they ask again: a retry may make another of it.
const CACHE: &str = "public, max-age=300";

/// A stored picture
#[utoipa::path(
    get, operation_id = "showOutput", path = "/processed_images/{path}", tag = "outputs", params(("path" = String, Path)),
    responses((status = 200, content_type = "image/jpeg", body = Vec<u8>), (status = 206), (status = 304), (status = 404), (status = 416))
)]
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let missing = || Problem::new(Code::FileMissing, "there is no such picture");
    let root = api.on.outputs.clone().ok_or_else(missing)?;
    let path = below(&root, uri.path()).ok_or_else(missing)?;
    let request = request_of(&path, &root).ok_or_else(missing)?;
    // A worker may have stored one just after its request was deleted.
    if api.on.ledger.request(&request).await?.is_none() {
        return Err(missing());
    }
    let opened = tokio::task::spawn_blocking(move || open(&root, &path)).await.ok().flatten();
    let (file, metadata, media_type) = opened.ok_or_else(missing)?;
    let tag = tag(&metadata);
    if matches(&headers, header::IF_NONE_MATCH, &tag) {
        return Ok(described(StatusCode::NOT_MODIFIED.into_response(), &tag));
    }
    let length = metadata.len();
    let whole = headers.contains_key(header::IF_RANGE) && !matches(&headers, header::IF_RANGE, &tag);
    let asked = headers.get(header::RANGE).filter(|_| !whole).and_then(|range| range.to_str().ok());
    let (status, range) = match asked.map_or(Asked::Whole, |text| asked_range(text, length)) {
        Asked::Whole => (StatusCode::OK, 0..length),
        Asked::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Asked::Beyond => {
            let mut response = StatusCode::RANGE_NOT_SATISFIABLE.into_response();
            insert(&mut response, header::CONTENT_RANGE, format!("bytes */{length}"));
            return Ok(response);
        }
    };
    let mut response = answer::of(status, media_type, Body::from_stream(pieces(file, range.clone())));
    insert(&mut response, header::CONTENT_LENGTH, (range.end - range.start).to_string());
    if status == StatusCode::PARTIAL_CONTENT {
        let told = format!("bytes {}-{}/{length}", range.start, range.end - 1);
        insert(&mut response, header::CONTENT_RANGE, told);
    }
    Ok(described(response, &tag))
}

fn described(mut response: Response, tag: &str) -> Response {
    insert(&mut response, header::ETAG, tag.to_owned());
    insert(&mut response, header::CACHE_CONTROL, CACHE.to_owned());
    insert(&mut response, header::ACCEPT_RANGES, "bytes".to_owned());
    response
}

fn insert(response: &mut Response, name: header::HeaderName, value: String) {
    response.headers_mut().extend(HeaderValue::from_str(&value).ok().map(|value| (name, value)));
}

/// The file that a path of a URL names, when all its parts are plain names.
fn below(root: &Path, path: &str) -> Option<PathBuf> {
    let mut found = root.to_owned();
    for part in path.trim_start_matches('/').split('/') {
        let part = percent_decode_str(part).decode_utf8().ok()?;
        let mut components = Path::new(&*part).components();
        let plain = matches!((components.next(), components.next()), (Some(Component::Normal(_)), None));
        if !plain || part.contains(['/', '\\', '\0', ':']) || part.starts_with('.') {
            return None;
        }
        found.push(&*part);
    }
    Some(found)
}

/// The request whose output lies at a path: the folder below the outputs' own is called by its id.
fn request_of(path: &Path, root: &Path) -> Option<RequestId> {
    let folder = path.strip_prefix(root).ok()?.components().nth(1)?.as_os_str().to_str()?;
    Some(RequestId::from(&*percent_decode_str(folder).decode_utf8().ok()?))
}

/// Opens a picture, unless links lead out of the folder or it is no picture of ours.
fn open(root: &Path, path: &Path) -> Option<(File, Metadata, &'static str)> {
    let media_type = OutputFormat::of_extension(path.extension()?.to_str()?)?.media_type();
    if !path.canonicalize().ok()?.starts_with(root.canonicalize().ok()?) {
        return None;
    }
    let file = unwaiting().open(path).ok()?;
    let metadata = file.metadata().ok().filter(Metadata::is_file)?;
    Some((file, metadata, media_type))
}

/// Opening what is no file, such as a pipe, must not wait for whoever writes there.
fn unwaiting() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        &mut options,
        rustix::fs::OFlags::NONBLOCK.bits().cast_signed(),
    );
    options
}

/// Outputs are renamed into place, so that another picture has another time.
fn tag(metadata: &Metadata) -> String {
    let changed = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    format!("\"{:x}-{:x}\"", changed.map_or(0, |time| time.as_nanos()), metadata.len())
}

fn matches(headers: &HeaderMap, name: header::HeaderName, tag: &str) -> bool {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).any(|list| {
        list.split(',').map(str::trim).any(|one| one == "*" || one.trim_start_matches("W/") == tag)
    })
}

#[derive(Debug, PartialEq)]
enum Asked {
    Whole,
    Part(Range<u64>),
    Beyond,
}

/// A range as asked for (RFC 9110 section 14). Several at once, and what is none, get the whole.
fn asked_range(text: &str, length: u64) -> Asked {
    let bounds = text.strip_prefix("bytes=").and_then(|range| range.split_once('-'));
    let Some((first, last)) = bounds.filter(|(_, last)| !last.contains(',')) else { return Asked::Whole };
    let range = match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => first..length.min(last.saturating_add(1)),
        (Ok(first), Err(_)) if last.trim().is_empty() => first..length,
        (Err(_), Ok(last)) if first.trim().is_empty() && last > 0 => length.saturating_sub(last)..length,
        (Err(_), Ok(0)) if first.trim().is_empty() => return Asked::Beyond,
        _ => return Asked::Whole,
    };
    if range.start >= length { Asked::Beyond } else { Asked::Part(range) }
}

/// The bytes of a range, piece by piece.
fn pieces(
    file: File,
    range: Range<u64>,
) -> impl futures::Stream<Item = Result<Vec<u8>, std::io::Error>> + Send + 'static {
    stream::try_unfold((file, range), |(mut file, range)| async move {
        if range.is_empty() {
            return Ok(None);
        }
        let reading = tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; PIECE.min(range.end - range.start) as usize];
            file.seek(SeekFrom::Start(range.start))?;
            file.read_exact(&mut piece)?;
            let left = range.start + piece.len() as u64..range.end;
            Ok(Some((piece, (file, left))))
        });
        reading.await.unwrap_or_else(|broken| Err(std::io::Error::other(broken)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below_the_root() {
        let root = Path::new("/data/images");
        let plain = below(root, "/processed_images/0192-ab/000001-01-caf%C3%A9.jpg").unwrap();
        assert_eq!(plain, Path::new("/data/images/processed_images/0192-ab/000001-01-café.jpg"));
        let encoded = below(root, "/processed_images/%252E%252E/a.jpg").unwrap();
        assert_eq!(encoded, Path::new("/data/images/processed_images/%2E%2E/a.jpg"));
        for wrong in [
            "/processed_images/../../etc/passwd",
            "/processed_images/%2e%2e/x.jpg",
            "/processed_images/..%2fx.jpg",
            "/processed_images/%2Fetc%2Fpasswd",
            "/processed_images//etc/passwd",
            "/processed_images/a%00.jpg",
            "/processed_images/..%5c..%5cx.jpg",
            "/processed_images/C:x.jpg",
            "/processed_images/.hidden/x.jpg",
            "/processed_images/%ff.jpg",
            "/processed_images/",
        ] {
            assert_eq!(below(root, wrong), None, "{wrong}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_do_not_lead_out() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("images");
        std::fs::create_dir(&root).unwrap();
        std::fs::write(folder.path().join("secret.jpg"), "x").unwrap();
        std::os::unix::fs::symlink(folder.path().join("secret.jpg"), root.join("a.jpg")).unwrap();
        std::fs::write(root.join("b.jpg"), "x").unwrap();
        std::fs::write(root.join("c.txt"), "x").unwrap();
        assert!(open(&root, &root.join("a.jpg")).is_none());
        assert!(open(&root, &root.join("b.jpg")).is_some());
        assert!(open(&root, &root.join("c.txt")).is_none());
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_among_outputs_keeps_nobody_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("a.jpg");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let (tell, told) = std::sync::mpsc::channel();
        let root = folder.path().to_owned();
        std::thread::spawn(move || tell.send(open(&root, &pipe).is_none()));
        assert_eq!(told.recv_timeout(std::time::Duration::from_secs(10)), Ok(true));
    }

    #[test]
    fn an_output_belongs_to_the_request_that_its_folder_names() {
        let root = Path::new("/data/images");
        let of = |path: &str| request_of(&below(root, path).unwrap(), root);
        assert_eq!(of("/processed_images/0192-ab/000001-01-a.jpg"), Some("0192-ab".into()));
        assert_eq!(of("/processed_images/a%2520b/010000/012346-01-a.webp"), Some("a b".into()));
        assert_eq!(of("/processed_images"), None);
    }

    #[test]
    fn ranges_are_read_as_the_standard_has_them() {
        for (text, asked) in [
            ("bytes=0-3", Asked::Part(0..4)),
            ("bytes=2-", Asked::Part(2..10)),
            ("bytes=-3", Asked::Part(7..10)),
            ("bytes=-30", Asked::Part(0..10)),
            ("bytes=5-99", Asked::Part(5..10)),
            ("bytes=10-", Asked::Beyond),
            ("bytes=-0", Asked::Beyond),
            ("bytes=3-1", Asked::Whole),
            ("bytes=0-1,3-4", Asked::Whole),
            ("items=0-1", Asked::Whole),
            ("bytes=x-y", Asked::Whole),
        ] {
            assert_eq!(asked_range(text, 10), asked, "{text}");
        }
        assert_eq!(asked_range("bytes=0-", 0), Asked::Beyond);
    }
}
