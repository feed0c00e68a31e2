//! Pages on which services share files: rewritten to the file where the service says how, else named for what they are.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use url::Url;

/// The address of the file that a share page shows, where the service documents one.
pub(super) fn file_of(url: &Url) -> Option<Url> {
    let segments: Vec<&str> = url.path_segments()?.filter(|segment| !segment.is_empty()).collect();
    match url.host_str()? {
        "drive.google.com" => drive(url, &segments),
        "www.dropbox.com" | "dropbox.com" => dropbox(url, &segments),
        "1drv.ms" => one_drive(url),
        "onedrive.live.com" => live(url, &segments),
        "github.com" => github(url, &segments),
        host if host.ends_with(".sharepoint.com") => share_point(url, &segments),
        _ => None,
    }
}

/// Whether an address is one of a service that shows files on pages, and not the file's own.
pub(super) fn is_page(url: &Url) -> bool {
    const HOSTS: [&str; 12] = [
        "drive.google.com",
        "photos.app.goo.gl",
        "photos.google.com",
        "www.dropbox.com",
        "dropbox.com",
        "1drv.ms",
        "onedrive.live.com",
        "www.icloud.com",
        "share.icloud.com",
        "app.box.com",
        "we.tl",
        "wetransfer.com",
    ];
    url.host_str().is_some_and(|host| {
        HOSTS.contains(&host) || host.ends_with(".sharepoint.com") || host.ends_with(".box.com")
    })
}

fn value<'u>(url: &'u Url, name: &str) -> Option<std::borrow::Cow<'u, str>> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value)
}

/// The address with a query field set, others kept.
fn with(url: &Url, name: &str, set: &str) -> Url {
    let others: Vec<_> = url.query_pairs().into_owned().filter(|(key, _)| key != name).collect();
    let mut url = url.clone();
    url.query_pairs_mut().clear().extend_pairs(others).append_pair(name, set);
    url
}

/// `/file/d/ID/view`, `/open?id=ID` → `/uc?export=download&id=ID`.
fn drive(url: &Url, segments: &[&str]) -> Option<Url> {
    let id = match segments {
        ["file", "d", id, ..] => (*id).to_owned(),
        ["open"] => value(url, "id")?.into_owned(),
        ["uc"] if value(url, "export").is_none() => value(url, "id")?.into_owned(),
        _ => return None,
    };
    let mut file = Url::parse("https://drive.google.com/uc?export=download").ok()?;
    file.query_pairs_mut().append_pair("id", &id);
    if let Some(key) = value(url, "resourcekey") {
        file.query_pairs_mut().append_pair("resourcekey", &key);
    }
    Some(file)
}

/// `?dl=0`, or none → `?dl=1`.
fn dropbox(url: &Url, segments: &[&str]) -> Option<Url> {
    let is_file = matches!(segments, ["s", _, _, ..] | ["scl", "fi", _, _, ..]);
    let is_raw = value(url, "raw").is_some_and(|raw| raw == "1");
    (is_file && !is_raw && value(url, "dl").is_none_or(|dl| dl != "1")).then(|| with(url, "dl", "1"))
}

/// A sharing address, encoded as the shares API has it.
fn one_drive(url: &Url) -> Option<Url> {
    let encoded = BASE64_URL_SAFE_NO_PAD.encode(url.as_str());
    Url::parse(&format!("https://api.onedrive.com/v1.0/shares/u!{encoded}/root/content")).ok()
}

/// `/redir?resid=…`, `/embed?resid=…` → `/download?resid=…`.
fn live(url: &Url, segments: &[&str]) -> Option<Url> {
    let shown = matches!(segments, ["redir" | "embed" | "redir.aspx"]);
    (shown && value(url, "resid").is_some()).then(|| {
        let mut file = url.clone();
        file.set_path("/download");
        file
    })
}

/// `/:i:/g/…`, a picture → the same with `download=1`.
fn share_point(url: &Url, segments: &[&str]) -> Option<Url> {
    let kind = segments.first().filter(|kind| kind.starts_with(':') && kind.ends_with(':'));
    (kind.is_some() && value(url, "download").is_none()).then(|| with(url, "download", "1"))
}

/// `/OWNER/REPOSITORY/blob/…` → the same with `raw=true`.
fn github(url: &Url, segments: &[&str]) -> Option<Url> {
    let is_page = matches!(segments, [_, _, "blob", _, _, ..]) && value(url, "raw").is_none();
    is_page.then(|| with(url, "raw", "true"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Option<String> {
        file_of(&Url::parse(text).unwrap()).map(String::from)
    }

    #[test]
    fn share_pages_lead_to_their_files() {
        for (page, wanted) in [
            (
                "https://drive.google.com/file/d/1aB_c/view?usp=sharing",
                "https://drive.google.com/uc?export=download&id=1aB_c",
            ),
            (
                "https://drive.google.com/open?id=1aB_c&resourcekey=0-x",
                "https://drive.google.com/uc?export=download&id=1aB_c&resourcekey=0-x",
            ),
            ("https://www.dropbox.com/s/k/a.jpg", "https://www.dropbox.com/s/k/a.jpg?dl=1"),
            (
                "https://www.dropbox.com/scl/fi/k/a.jpg?rlkey=z&dl=0",
                "https://www.dropbox.com/scl/fi/k/a.jpg?rlkey=z&dl=1",
            ),
            (
                "https://1drv.ms/i/s!Ab",
                "https://api.onedrive.com/v1.0/shares/u!aHR0cHM6Ly8xZHJ2Lm1zL2kvcyFBYg/root/content",
            ),
            (
                "https://onedrive.live.com/redir?resid=A%211&authkey=k",
                "https://onedrive.live.com/download?resid=A%211&authkey=k",
            ),
            (
                "https://shop-my.sharepoint.com/:i:/g/personal/x/E?e=1",
                "https://shop-my.sharepoint.com/:i:/g/personal/x/E?e=1&download=1",
            ),
            (
                "https://github.com/shop/pictures/blob/main/a.jpg",
                "https://github.com/shop/pictures/blob/main/a.jpg?raw=true",
            ),
        ] {
            assert_eq!(file(page).as_deref(), Some(wanted), "{page}");
            assert_eq!(file(wanted), None, "the file's own address is left as it is: {wanted}");
        }
    }

    #[test]
    fn other_addresses_are_left_alone() {
        for own in [
            "https://shop.example/file/d/1/view",
            "https://www.dropbox.com/s/k/a.jpg?raw=1",
            "https://dl.dropboxusercontent.com/s/k/a.jpg",
            "https://drive.google.com/drive/folders/1",
            "https://raw.githubusercontent.com/o/r/main/a.jpg",
            "https://notdrive.google.com.evil.example/file/d/1/view",
        ] {
            assert_eq!(file(own), None, "{own}");
        }
    }
}
