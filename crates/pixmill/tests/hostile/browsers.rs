//! Pages of others, in a browser that reaches the server, and proxies before it.

use super::keys::key;
use super::wire::{address, ask};
use crate::caller::Caller;
use crate::server::Server;

/// A call for a list with these header lines.
fn list(caller: &Caller, headers: &str) -> u16 {
    ask(caller, &format!("GET /v1/requests HTTP/1.1\n{headers}\n\n")).0
}

/// A call that changes something.
fn submit(caller: &Caller, headers: &str) -> u16 {
    let catalogue = "Name,Image Urls\nCap,http://h/a.jpg\n";
    let head = format!(
        "POST /v1/requests HTTP/1.1\nconnection: close\ncontent-type: text/csv\ncontent-length: {}\n{headers}\n\n",
        catalogue.len()
    );
    super::wire::answer(super::wire::begin(caller, &head, catalogue.as_bytes())).0
}

#[test]
fn a_name_that_leads_here_opens_nothing() {
    let server = Server::new();
    let caller = Caller::start(&server, &["--role", "api", "--public-url", "https://shop.example"]);
    let own = address(&caller);
    let port = own.rsplit(':').next().unwrap();
    for host in [own, "localhost", &format!("LocalHost:{port}"), "[::1]", "127.1.2.3", "shop.example"] {
        assert_eq!(list(&caller, &format!("host: {host}")), 200, "{host}");
        assert_eq!(submit(&caller, &format!("host: {host}")), 202, "{host}");
    }
    for host in [
        "evil.example",
        &format!("evil.example:{port}"),
        "10.0.0.1",
        "localhost.evil.example",
        "xshop.example",
        "127.0.0.1.evil.example",
    ] {
        assert_eq!(list(&caller, &format!("host: {host}")), 401, "{host}");
        assert_eq!(list(&caller, &format!("host: {host}\nsec-fetch-site: same-origin")), 401, "{host}");
        assert_eq!(submit(&caller, &format!("host: {host}\norigin: http://{host}")), 401, "{host}");
        let (status, _) = ask(&caller, &format!("GET /metrics HTTP/1.1\nhost: {host}\n\n"));
        assert_eq!(status, 401, "{host}");
        let (status, text) = ask(&caller, &format!("DELETE /v1/requests/x HTTP/1.1\nhost: {host}\n\n"));
        assert!(status == 401 && text.contains("--public-url"), "{host}: {text}");
        let (status, _) = ask(&caller, &format!("GET /healthz HTTP/1.1\nhost: {host}\n\n"));
        assert_eq!(status, 200, "health is nobody's secret");
    }
}

#[test]
fn a_call_names_one_host() {
    let server = Server::new();
    let caller = Caller::start(&server, &["--role", "api"]);
    let own = address(&caller);
    for head in [
        "GET /healthz HTTP/1.1\n\n".to_owned(),
        "GET /v1/requests HTTP/1.1\n\n".to_owned(),
        format!("GET /v1/requests HTTP/1.1\nhost: {own}\nhost: {own}\n\n"),
        format!("GET /v1/requests HTTP/1.1\nhost: {own}\nhost: evil.example\n\n"),
        format!("GET http://evil.example/v1/requests HTTP/1.1\nhost: {own}\n\n"),
        format!("GET http://{own}/v1/requests HTTP/1.1\nhost: evil.example\n\n"),
    ] {
        let (status, text) = ask(&caller, &head);
        assert!(status == 400 && text.contains("query.invalid"), "{head}: {text}");
    }
    let both = "GET http://evil.example/v1/requests HTTP/1.1\nhost: evil.example\n\n";
    assert_eq!(ask(&caller, both).0, 401, "one that is not ours");
    assert_eq!(ask(&caller, &format!("GET http://{own}/v1/requests HTTP/1.1\nhost: {own}\n\n")).0, 200);
}

#[test]
fn pages_of_other_sites_change_nothing() {
    let server = Server::new();
    let caller = Caller::start(&server, &["--role", "api"]);
    let own = format!("host: {}", address(&caller));
    let url = &caller.url;
    for fine in [
        String::new(),
        format!("\norigin: {url}"),
        "\nsec-fetch-site: none".to_owned(),
        format!("\nsec-fetch-site: same-origin\norigin: {url}"),
    ] {
        assert_eq!(submit(&caller, &format!("{own}{fine}")), 202, "{fine}");
    }
    for foreign in [
        "\norigin: http://evil.example".to_owned(),
        "\norigin: null".to_owned(),
        format!("\norigin: {}", url.replace("http:", "https:")),
        format!("\norigin: {url}0"),
        "\nsec-fetch-site: cross-site".to_owned(),
        format!("\nsec-fetch-site: same-site\norigin: {url}"),
    ] {
        assert_eq!(submit(&caller, &format!("{own}{foreign}")), 401, "{foreign}");
    }
}

#[test]
fn whoever_comes_through_a_proxy_is_not_taken_for_the_proxy() {
    let server = Server::new();
    let own = |caller: &Caller| format!("host: {}", address(caller));
    let told = [
        "x-forwarded-for: 8.8.8.8",
        "x-forwarded-for: 127.0.0.1",
        "forwarded: for=127.0.0.1",
        "via: 1.1 proxy",
        "x-real-ip: 127.0.0.1",
    ];
    let caller = Caller::start(&server, &["--role", "api"]);
    for told in told {
        assert_eq!(list(&caller, &format!("{}\n{told}", own(&caller))), 401, "{told}");
    }
    let (_, why) =
        ask(&caller, &format!("GET /v1/usage HTTP/1.1\n{}\nx-forwarded-for: 8.8.8.8\n\n", own(&caller)));
    assert!(why.contains("--trust-proxy"), "{why}");
    drop(caller);
    let caller = Caller::start(&server, &["--role", "api", "--trust-proxy", "127.0.0.1"]);
    for (told, status) in [
        ("x-forwarded-for: 127.0.0.9", 200),
        ("x-forwarded-for: 8.8.8.8, 127.0.0.9", 200),
        ("forwarded: for=127.0.0.9;proto=https", 200),
        ("x-forwarded-for: 127.0.0.9, 8.8.8.8", 401),
        ("x-forwarded-for: 8.8.8.8", 401),
        ("forwarded: for=127.0.0.9\nx-forwarded-for: 8.8.8.8", 401),
        ("via: 1.1 proxy", 401),
    ] {
        assert_eq!(list(&caller, &format!("{}\n{told}", own(&caller))), status, "{told}");
    }
}

#[test]
fn a_key_opens_whatever_host_and_proxy_it_comes_by() {
    let server = Server::new();
    let key = key(&server, &[]);
    let caller = Caller::start(&server, &["--role", "api"]);
    for headers in [
        "host: pixmill:3000",
        "host: shop.example\nx-forwarded-for: 8.8.8.8\nvia: 1.1 proxy",
        "host: shop.example\norigin: https://other.example\nsec-fetch-site: cross-site",
    ] {
        assert_eq!(list(&caller, &format!("{headers}\nauthorization: Bearer {key}")), 200, "{headers}");
    }
}
