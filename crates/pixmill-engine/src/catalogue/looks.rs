//! What one address, or what stands for none, looks like.

use std::collections::HashSet;
use std::sync::LazyLock;

use super::words::{HOST_ENDINGS, OTHER_ENDINGS, PAGE_PLACES, PICTURE_ENDINGS, PICTURE_PLACES, PLACEHOLDERS};

/// No placeholder is longer, in bytes.
const LONGEST_PLACEHOLDER: usize = 40;

static KNOWN: LazyLock<HashSet<&str>> = LazyLock::new(|| PLACEHOLDERS.iter().copied().collect());

/// What an address looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Looks {
    /// A picture: its name's end or the place where it lies says so.
    Picture,
    /// It says nothing of itself.
    Unknown,
    /// A page, by the place where it lies.
    Page,
    /// A page or another file, by its name's end; or a host alone.
    Other,
}

/// What an address with a scheme looks like.
pub(super) fn looks(address: &str) -> Looks {
    let Some((scheme, rest)) = address.split_once(':') else { return Looks::Unknown };
    if scheme.eq_ignore_ascii_case("data") {
        return if rest.get(..6).is_some_and(|kind| kind.eq_ignore_ascii_case("image/")) {
            Looks::Picture
        } else {
            Looks::Other
        };
    }
    let rest = rest.trim_start_matches('/').to_lowercase();
    let (place, query) = rest.split_once(['?', '#']).unwrap_or((&rest, ""));
    let (host, path) = place.split_once('/').unwrap_or((place, ""));
    let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or("");
    if has_picture_ending(last) || path.split(['/', ',', ';']).any(has_picture_ending) {
        return Looks::Picture;
    }
    if ending(last).is_some_and(|ending| OTHER_ENDINGS.contains(&ending)) {
        return Looks::Other;
    }
    if query.split(['&', '=', '/']).any(has_picture_ending) {
        return Looks::Picture;
    }
    if (path.trim_matches('/').is_empty() && query.is_empty()) || path.split(['/', '-', '_']).any(is_film) {
        return Looks::Other;
    }
    if path.split('/').rev().skip(1).any(|part| PAGE_PLACES.contains(&part))
        && !says_picture(host)
        && !says_picture(path)
    {
        return Looks::Page;
    }
    if says_picture(host) || says_picture(path) { Looks::Picture } else { Looks::Unknown }
}

/// Whether a part of a path says sound or film.
fn is_film(part: &str) -> bool {
    matches!(part, "mp3" | "mp4" | "audio" | "video" | "videos")
}

/// Whether an address's file is a picture by its name, or one that somebody shares.
pub(super) fn is_sure(address: &str) -> bool {
    let place = address.split(['?', '#']).next().unwrap_or(address);
    has_picture_ending(place) || SHARING_HOSTS.iter().any(|host| place.contains(host))
}

/// Hosts of files that people share.
const SHARING_HOSTS: [&str; 5] =
    ["://drive.google.", "dropbox.com/", "://1drv.ms/", "onedrive.live.", ".sharepoint.com/"];

fn says_picture(place: &str) -> bool {
    PICTURE_PLACES.iter().any(|word| place.contains(word))
}

fn ending(name: &str) -> Option<&str> {
    let (stem, ending) = name.rsplit_once('.')?;
    (!stem.is_empty() && ending.len() <= 6).then_some(ending)
}

/// Whether a file's name, or an address without its query, ends as a picture's.
pub(super) fn has_picture_ending(name: &str) -> bool {
    let Some(dot) = name.rfind('.') else { return false };
    let ending = &name[dot + 1..];
    dot > 0 && ending.len() <= 5 && PICTURE_ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known))
}

/// Whether a cell, or a piece of one, says that there is no picture.
pub(super) fn is_placeholder(text: &str) -> bool {
    if text.len() > LONGEST_PLACEHOLDER || has_picture_ending(text) {
        return false;
    }
    let spreadsheet_error =
        text.len() > 2 && text.starts_with('#') && text.ends_with(['!', '?']) && !text.contains(['.', ' ']);
    if spreadsheet_error || text.chars().all(|c| !c.is_alphanumeric() && c != '~') {
        return true;
    }
    KNOWN.contains(text) || KNOWN.contains(text.to_lowercase().as_str())
}

/// Whether an address begins with a host, as in `www.shop.example/a.jpg`.
pub(super) fn begins_with_host(text: &str) -> bool {
    let (host, path) = text.split_once('/').unwrap_or((text, ""));
    let (name, number) = host.split_once(':').unwrap_or((host, ""));
    if path.is_empty()
        || !name.contains('.')
        || !number.bytes().all(|byte| byte.is_ascii_digit())
        || name.len() > 253
    {
        return false;
    }
    if name.parse::<std::net::Ipv4Addr>().is_ok() {
        return true;
    }
    let mut labels = name.rsplit('.');
    let last = labels.next().unwrap_or("");
    let well_made = |label: &str| {
        !label.is_empty()
            && label.len() < 64
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte >= 0x80)
            && !label.starts_with('-')
    };
    let labels: Vec<&str> = labels.collect();
    if labels.is_empty() || !labels.iter().all(|label| well_made(label)) {
        return false;
    }
    let last = last.to_ascii_lowercase();
    let country = last.len() == 2 && last.bytes().all(|byte| byte.is_ascii_alphabetic());
    let known = country || HOST_ENDINGS.contains(&last.as_str()) || last.starts_with("xn--");
    known || (labels.last().is_some_and(|first| first.eq_ignore_ascii_case("www")) && well_made(&last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_pages_and_others_are_told_apart() {
        for picture in [
            "http://a/b.JPG",
            "https://cdn.shop.example/123",
            "https://h/render.php?file=a.png",
            "https://h/x.jpg/w_200",
            "https://h/images/123",
            "data:image/png;base64,AA",
            "https://lh3.googleusercontent.com/d/1abc",
            "http://h/p/1/a.webp?v=2",
        ] {
            assert_eq!(looks(picture), Looks::Picture, "{picture}");
        }
        for page in ["http://h/p/1", "https://h/products/red-cap", "https://www.amazon.com/dp/B00"] {
            assert_eq!(looks(page), Looks::Page, "{page}");
        }
        for other in ["http://h/", "http://h", "https://h/a.html", "https://h/m.pdf?x=1", "data:text/plain,x"]
        {
            assert_eq!(looks(other), Looks::Other, "{other}");
        }
        assert_eq!(looks("http://h/abc"), Looks::Unknown);
    }

    #[test]
    fn placeholders_are_no_pictures() {
        for nothing in [
            "N/A",
            "n/a",
            "#REF!",
            "#NAME?",
            "#DIV/0!",
            "null",
            "NULL",
            "-",
            "—",
            "[]",
            "{}",
            "\"\"",
            "no_selection",
            "None",
            "нет",
        ] {
            assert!(is_placeholder(nothing), "{nothing}");
        }
        for something in ["a", "a.jpg", "-.jpg", "/a", "#1.jpg", "nan.png", "cap"] {
            assert!(!is_placeholder(something), "{something}");
        }
    }

    #[test]
    fn hosts_are_told_from_folders() {
        for host in [
            "www.shop.example/a.jpg",
            "cdn.shop.de/x",
            "shop.com:8080/a",
            "bücher.example/a",
            "127-0-0-1.nip.io/a.jpg",
        ] {
            assert!(begins_with_host(host), "{host}");
        }
        for folder in [
            "a.jpg",
            "pics/a.jpg",
            "v1.2/a.jpg",
            "my.pics/a.jpg",
            "shop.com",
            "../a.jpg",
            "./a.jpg",
            ".hidden/a.jpg",
            "a b.com/x",
        ] {
            assert!(!begins_with_host(folder), "{folder}");
        }
    }
}
