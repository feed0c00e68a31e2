//! The documentation in the program: every page is there, every link leads somewhere, for people and for programs.

use std::collections::{BTreeMap, BTreeSet};

use url::Url;

use crate::caller::Caller;
use crate::cases::key;
use crate::server::Server;

/// What stands in `name="…"` of a page, as it was before it was written as HTML.
fn attributes<'p>(page: &'p str, name: &str) -> Vec<String> {
    let begin = format!(" {name}=\"");
    let found: Vec<&'p str> =
        page.split(begin.as_str()).skip(1).filter_map(|rest| rest.split('"').next()).collect();
    found.into_iter().map(|text| text.replace("&amp;", "&")).collect()
}

/// Every page of the help that links lead to from the first, by its path.
fn walk(caller: &Caller, first: &str) -> BTreeMap<String, String> {
    let (mut seen, mut to_see) = (BTreeMap::new(), vec![first.to_owned()]);
    while let Some(path) = to_see.pop() {
        if seen.contains_key(&path) {
            continue;
        }
        let answer = caller.get(&path, &[]);
        assert_eq!(answer.status, 200, "{path}");
        let place = Url::parse(&format!("http://localhost{path}")).unwrap();
        for link in attributes(&answer.text, "href") {
            let target = place.join(&link).unwrap();
            if target.host_str() == Some("localhost") && target.path().starts_with(first) {
                to_see.push(target.path().to_owned());
            }
        }
        seen.insert(path, answer.text);
    }
    seen
}

#[test]
fn every_page_of_the_help_is_there_without_a_key_and_its_links_lead_somewhere() {
    let server = Server::new();
    key(&server, &[]);
    let caller = Caller::start(&server, &["--role", "api", "--public-url", "https://shop.example/pixmill"]);
    assert_eq!(caller.get("/help", &[]).header("location"), "/pixmill/help/");
    assert_eq!(caller.get("/help/", &[]).status, 200, "where the proxy cuts the path off");
    let pages = walk(&caller, "/pixmill/help/");
    assert!(pages.len() > 35, "{:?}", pages.keys());
    let anchors: BTreeMap<&str, BTreeSet<String>> = pages
        .iter()
        .map(|(path, page)| (path.as_str(), attributes(page, "id").into_iter().collect()))
        .collect();
    for (path, page) in &pages {
        let place = Url::parse(&format!("http://localhost{path}")).unwrap();
        for link in attributes(page, "href") {
            let target = place.join(&link).unwrap();
            let (Some(anchor), Some(there)) = (target.fragment(), anchors.get(target.path())) else {
                continue;
            };
            assert!(there.contains(anchor), "{path}: {link}");
        }
        assert!(!page.contains("<script>") && !page.contains(" style=\""), "{path} does more than pages may");
    }
}

#[test]
fn words_are_found_in_the_help() {
    let server = Server::new();
    let caller = Caller::start(&server, &["--role", "api"]);
    let found = caller.get("/help/?q=retry-failed", &[]);
    assert!(found.text.contains("href=\"/help/running#resume\""), "{found:?}");
    let nothing = caller.get("/help/?q=%3Cscript%3Ealert", &[]);
    assert!(nothing.text.contains("Nothing for") && !nothing.text.contains("<script>alert"), "{nothing:?}");
    let unknown = caller.get("/help/no-such-page", &[]);
    assert!(unknown.status == 404 && unknown.text.contains("route.unknown"), "{unknown:?}");
    let policy = found.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && !policy.contains("-inline"), "{policy}");
}

#[test]
fn programs_read_the_same_pages_as_text() {
    let server = Server::new();
    let caller = Caller::start(&server, &["--role", "api"]);
    let index = caller.get("/llms.txt", &[]);
    assert!(index.text.starts_with("# pixmill ") && index.header("content-type").starts_with("text/plain"));
    let links =
        index.text.lines().filter_map(|line| line.strip_prefix("- [")?.split_once("](")?.1.split(')').next());
    let paths: Vec<&str> = links.map(|link| link.strip_prefix(&caller.url).unwrap()).collect();
    assert!(paths.len() > 35, "{index:?}");
    let whole = caller.get("/llms-full.txt", &[]).text;
    for path in paths {
        let page = caller.get(path, &[]);
        assert!(
            page.status == 200 && page.header("content-type").starts_with("text/markdown"),
            "{path}: {page:?}"
        );
        assert!(whole.contains(page.text.trim()), "{path} is not in /llms-full.txt");
    }
}
