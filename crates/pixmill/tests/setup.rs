//! The first start where others can reach the server: a link, once, and nothing else.

use crate::caller::{Answer, Caller};
use crate::cases::{key, pixmill};
use crate::server::Server;

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// A server that others can reach, called from this machine, and the path of its link.
fn started(server: &Server) -> (Caller, String) {
    let mut caller = Caller::start(server, &["--listen", "0.0.0.0:0"]);
    caller.url = caller.url.replace("0.0.0.0", "127.0.0.1");
    let link =
        caller.said.iter().find_map(|line| line["link"].as_str()).expect("a link is printed").to_owned();
    let at = link.find("/setup/").unwrap();
    (caller, link[at..].to_owned())
}

fn make(caller: &Caller, link: &str, origin: &str) -> Answer {
    caller.post(link, &[FORM, ("origin", origin)], "name=first")
}

#[test]
fn a_server_that_others_reach_is_set_up_by_a_link_once() {
    let server = Server::new();
    let (caller, link) = started(&server);
    assert_eq!(caller.get("/healthz", &[]).status, 200);
    for path in ["/v1/requests", "/v1/usage", "/metrics"] {
        let refused = caller.get(path, &[]);
        assert_eq!(refused.code(), "auth.missing", "{path}");
        assert!(refused.text.contains("link that it printed"), "{refused:?}");
    }
    assert!(caller.get("/requests", &[]).header("location").starts_with("/sign-in"));
    assert!(caller.get("/sign-in", &[]).text.contains("has no key yet"));
    // Whoever looks at links before people do spends nothing.
    for _ in 0..2 {
        let page = caller.get(&link, &[]);
        assert!(page.status == 200 && page.text.contains("Make the key"), "{page:?}");
    }
    assert_eq!(caller.get("/setup/elephant", &[]).status, 404);
    assert_eq!(make(&caller, &link, "https://evil.example").status, 403, "a page of another site");
    let own = caller.url.clone();
    assert_eq!(make(&caller, "/setup/elephant", &own).status, 404);
    let made = make(&caller, &link, &own);
    assert_eq!((made.status, made.header("cache-control")), (200, "no-store"), "{made:?}");
    let secret = made.text.split_once("pxm_").expect("a key").1;
    let secret =
        format!("pxm_{}", secret.split(|letter: char| !letter.is_ascii_alphanumeric()).next().unwrap());
    assert_eq!(caller.get("/v1/requests", &[("authorization", &format!("Bearer {secret}"))]).status, 200);
    let cookie = made.header("set-cookie").split(';').next().unwrap().to_owned();
    assert_eq!(caller.get("/requests", &[("cookie", &cookie)]).status, 200, "its maker is signed in");
    let lines = caller.get("/v1/audit", &[("cookie", &cookie)]).json();
    let line = &lines["data"][0];
    assert_eq!((&line["action"], &line["by"]), (&"key.created".into(), &"the setup link".into()), "{lines}");
    assert_eq!((&line["from"], &line["tenant"]), (&"127.0.0.1".into(), &"default".into()), "{lines}");
    assert!(line["detail"].as_str().unwrap().contains("first"), "{lines}");
    assert!(!lines.to_string().contains(&secret), "no secret is written down");
    assert_eq!(make(&caller, &link, &own).status, 404, "spent");
    assert_eq!(caller.get("/v1/requests", &[]).code(), "auth.missing");
    let listed = pixmill(&server, &["keys", "list", "--data", server.data().to_str().unwrap()]);
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.contains("\"role\":\"admin\"") && listed.contains("\"name\":\"first\""), "{listed}");
}

#[test]
fn a_key_made_elsewhere_ends_the_wait_and_the_link() {
    let server = Server::new();
    let (caller, link) = started(&server);
    let secret = key(&server, &["--role", "read"]);
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    assert_eq!(caller.get("/v1/requests", &[("authorization", &format!("Bearer {secret}"))]).status, 200);
    assert_eq!(caller.get(&link, &[]).status, 409);
    assert_eq!(make(&caller, &link, &caller.url).status, 409);
    // Where a key is, or networks are trusted, no link is printed.
    drop(caller);
    let again = Caller::start(&server, &["--listen", "0.0.0.0:0"]);
    assert!(again.said.iter().all(|line| line["link"].is_null()), "{:?}", again.said);
}
