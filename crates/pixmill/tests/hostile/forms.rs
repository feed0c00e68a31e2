//! Forms in which pages of others reach for a server through a browser that may call it: each refused, by the API and by
//! pages alike.

use super::keys::key;
use super::wire::{address, answer, ask, begin};
use crate::caller::Caller;
use crate::server::Server;

/// What a page of another site, or a stranger's program, sends along with somebody's cookie.
fn forged(own: &str) -> Vec<String> {
    let port = own.rsplit(':').next().unwrap();
    vec![
        String::new(),
        "origin: null".to_owned(),
        "origin: http://evil.example".to_owned(),
        "origin:".to_owned(),
        "origin: file://".to_owned(),
        "origin: http://127.0.0.1".to_owned(),
        format!("origin: https://{own}"),
        format!("origin: http://{own}0"),
        format!("origin: http://{own}/"),
        format!("origin: http://{own}.evil.example"),
        format!("origin: http://evil.example#{own}"),
        format!("origin: http://evil.example@{own}"),
        format!("origin: http://localhost:{port}"),
        format!("origin: http://[::1]:{port}"),
        format!("origin: http://{own}, http://evil.example"),
        format!("origin: http://{own}\norigin: http://evil.example"),
        format!("origin: http://{own}\nsec-fetch-site: cross-site"),
        format!("origin: http://{own}\nsec-fetch-site: same-site"),
        "sec-fetch-site: Same-Origin".to_owned(),
        "sec-fetch-site: same-origin\nsec-fetch-site: cross-site".to_owned(),
        "sec-fetch-site: cross-site\nsec-fetch-mode: navigate\nsec-fetch-dest: document".to_owned(),
        "sec-fetch-site: cross-site\nsec-fetch-mode: navigate\nsec-fetch-dest: iframe".to_owned(),
        format!("sec-fetch-mode: no-cors\nreferer: http://{own}/keys"),
        format!("referer: http://{own}/keys"),
        "origin: http://evil.example\nx-http-method-override: GET".to_owned(),
    ]
}

/// Lines of a call that reaches this address under another name, or through others.
fn rebound(own: &str) -> Vec<String> {
    let port = own.rsplit(':').next().unwrap();
    let named = ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "127.0.0.1.nip.io"];
    let named = named.into_iter().chain(["10.0.0.1", "0.0.0.0", "[::ffff:10.0.0.1]", "localhost."]);
    let mut forms: Vec<_> = named.map(|name| format!("host: {name}:{port}")).collect();
    forms.extend([
        "host: evil.example".to_owned(),
        format!("host: localhost@evil.example:{port}"),
        format!("host: evil.example:{port}\norigin: http://evil.example:{port}"),
        format!("host: evil.example:{port}\nsec-fetch-site: same-origin"),
        format!("host: {own}\nhost: evil.example"),
        "accept: */*".to_owned(),
    ]);
    forms.extend(
        ["x-forwarded-for: 127.0.0.1", "x-real-ip: 127.0.0.1", "forwarded: for=127.0.0.1", "via: 1.1 evil"]
            .map(|told| format!("host: {own}\n{told}")),
    );
    forms
}

/// What a browser says of what another site's page puts into itself.
fn framed(own: &str) -> Vec<String> {
    let embedded = ["iframe", "frame", "object", "embed"].map(|kind| ("navigate", kind));
    let loaded = [("no-cors", "image"), ("no-cors", "script"), ("cors", "empty")];
    let forms = embedded.into_iter().chain(loaded).map(|(mode, kind)| {
        format!("host: {own}\nsec-fetch-site: cross-site\nsec-fetch-mode: {mode}\nsec-fetch-dest: {kind}")
    });
    forms.collect()
}

/// Whether nothing was given away: a refusal, or the page that asks for a key.
fn is_refused((status, text): &(u16, String)) -> bool {
    matches!(status, 400 | 401 | 403) || (*status == 303 && text.contains("location: /sign-in"))
}

#[test]
fn fifty_forms_of_forged_rebound_and_framed_calls_are_refused_on_api_and_pages() {
    let server = Server::new();
    let caller = Caller::start(&server, &["--role", "api"]);
    let own = address(&caller).to_owned();
    let foreign: Vec<_> = rebound(&own).into_iter().chain(framed(&own)).collect();
    for form in &foreign {
        for path in ["/v1/requests", "/requests", "/v1/keys", "/keys"] {
            let told = ask(&caller, &format!("GET {path} HTTP/1.1\n{form}\n\n"));
            assert!(is_refused(&told), "GET {path} {form}: {told:?}");
            assert!(!told.1.to_ascii_lowercase().contains("access-control-allow-origin"), "{told:?}");
        }
    }
    let secret = key(&server, &["--role", "admin"]);
    // A server that runs knows of it within a second.
    std::thread::sleep(std::time::Duration::from_millis(1_200));
    let form = [("content-type", "application/x-www-form-urlencoded"), ("origin", caller.url.as_str())];
    let signed_in = caller.post("/sign-in", &form, format!("key={secret}"));
    let cookie = signed_in.header("set-cookie").split(';').next().unwrap().to_owned();
    let forged = forged(&own);
    for form in &forged {
        for (path, kind, body) in [
            ("/v1/keys", "application/json", r#"{"name":"evil","role":"admin"}"#),
            ("/keys", "application/x-www-form-urlencoded", "name=evil&role=admin"),
        ] {
            let length = body.len();
            let head = format!(
                "POST {path} HTTP/1.1\nhost: {own}\nconnection: close\ncookie: {cookie}\ncontent-type: {kind}\n\
                 content-length: {length}\n{form}\n\n"
            )
            .replace("\n\n\n", "\n\n");
            let told = answer(begin(&caller, &head, body.as_bytes()));
            assert!(is_refused(&told), "POST {path} {form}: {told:?}");
        }
    }
    let keys = caller.get("/v1/keys", &[("cookie", &cookie)]).text;
    assert!(!keys.contains("evil"), "nothing was made: {keys}");
    for path in ["/requests", "/keys", "/sign-in", "/requests/none", "/v1/requests", "/help/"] {
        let page = caller.get(path, &[("cookie", &cookie)]);
        let policy = page.header("content-security-policy");
        assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert_eq!(page.header("x-frame-options"), "DENY", "{path}");
    }
    let forms = forged.len() + foreign.len();
    println!("{forms} forms refused, on API and pages");
    assert!(forms >= 50, "{forms}");
}
