//! What those who run a server see and do, by forms alone.

use crate::api::operating::{self as cases, wait_until};
use crate::caller::{Answer, Caller};
use crate::cases::key;
use crate::server::Server;

const FORM: &str = "application/x-www-form-urlencoded";

fn submit(caller: &Caller, path: &str, cookie: &str, pairs: &[(&str, &str)]) -> Answer {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    caller.post(path, &[("content-type", FORM), ("origin", &caller.url), ("cookie", cookie)], body)
}

#[test]
fn workers_tell_that_they_live_and_their_absence_is_told() {
    cases::workers_tell_that_they_live_and_their_absence_is_told(&Server::new());
}

#[test]
fn a_host_that_is_paused_is_left_alone_by_every_worker() {
    cases::a_host_that_is_paused_is_left_alone_by_every_worker(&Server::new());
}

#[test]
fn a_hosts_limit_and_pause_stand_until_they_are_taken_back() {
    cases::a_hosts_limit_and_pause_stand_until_they_are_taken_back(&Server::new());
}

#[test]
fn keys_are_made_and_revoked_by_those_who_may_and_it_is_written_down() {
    cases::keys_are_made_and_revoked_by_those_who_may_and_it_is_written_down(&Server::new());
}

#[test]
fn the_system_is_told_without_its_secrets() {
    cases::the_system_is_told_without_its_secrets(&Server::new());
}

#[test]
fn a_host_is_paused_limited_and_resumed_by_forms_alone() {
    let server = Server::new();
    let caller = Caller::start(&server, &["--role", "api"]);
    assert!(caller.get("/hosts", &[]).text.contains("Nothing fetched yet"), "an empty page teaches");
    let order = |pairs: &[(&str, &str)]| submit(&caller, "/hosts", "", pairs);
    let done = order(&[("host", "shop.example"), ("do", "pause"), ("minutes", "60"), ("most", "")]);
    assert_eq!(done.header("location"), "/hosts?done=paused&host=shop.example", "{done:?}");
    let page = caller.get(done.header("location"), &[]).text;
    assert!(page.contains("shop.example is paused") && page.contains(">paused</span>"), "{page}");
    assert!(page.contains("goes on <time"), "{page}");
    order(&[("host", "shop.example"), ("do", "limit"), ("minutes", ""), ("most", "3")]);
    order(&[("host", "shop.example"), ("do", "resume")]);
    let page = caller.get("/hosts", &[]).text;
    assert!(page.contains("limited to 3 at a time") && !page.contains(">paused</span>"), "{page}");
    for wrong in [
        &[("host", "<b>"), ("do", "pause")][..],
        &[("host", "a"), ("do", "explode")],
        &[("host", "a"), ("do", "limit"), ("most", "-1")],
    ] {
        let refused = order(wrong);
        assert_eq!(refused.status, 400, "{wrong:?}");
        assert!(!refused.text.contains("<b>"), "{refused:?}");
    }
}

#[test]
fn a_key_is_made_shown_once_and_revoked_by_forms_alone() {
    let server = Server::new();
    let caller = Caller::start(&server, &["--role", "api"]);
    let page = caller.get("/keys", &[]).text;
    assert!(page.contains("make the first one for yourself"), "{page}");
    let name = "<script>alert(1)</script>";
    let made = submit(&caller, "/keys", "", &[("name", name), ("tenant", "default"), ("role", "admin")]);
    assert_eq!(made.status, 200, "{made:?}");
    let secret = made.text.split("value=\"pxm_").nth(1).and_then(|rest| rest.split('"').next());
    let secret = format!("pxm_{}", secret.expect("it is shown"));
    assert!(!made.text.contains(name), "names are text");
    wait_until("the key", || caller.get("/keys", &[("accept", "text/html")]).status == 303);
    let cookie = submit(&caller, "/sign-in", "", &[("key", &secret), ("next", "/keys")]);
    assert_eq!(cookie.header("location"), "/keys", "{cookie:?}");
    let cookie = cookie.header("set-cookie").split(';').next().unwrap().to_owned();
    let page = caller.get("/keys", &[("cookie", &cookie)]).text;
    assert!(!page.contains(&secret) && page.contains("yours"), "{page}");
    let wrong = submit(&caller, "/keys", &cookie, &[("name", "Bo"), ("tenant", "a b"), ("perMinute", "x")]);
    assert_eq!(wrong.status, 400);
    assert!(
        wrong.text.contains("tenant: ") && wrong.text.contains("value=\"Bo\""),
        "what was typed is there"
    );
    let other = key(&server, &["--name", "Cy"]);
    let listed = caller.get("/v1/keys", &[("cookie", &cookie)]).json();
    let id = listed["data"].as_array().unwrap().iter().find(|key| key["name"] == "Cy").unwrap()["id"].clone();
    let revoke = format!("/keys/{}/revoke", id.as_str().unwrap());
    assert_eq!(submit(&caller, &revoke, "", &[]).status, 303, "whoever has not signed in is asked to");
    let revoked = submit(&caller, &revoke, &cookie, &[]);
    assert_eq!(revoked.header("location"), "/keys?done=revoked", "{revoked:?}");
    let bearer = format!("Bearer {other}");
    wait_until("its end", || caller.get("/v1/usage", &[("authorization", &bearer)]).status == 401);
    let audit = caller.get("/audit", &[("cookie", &cookie)]).text;
    assert!(
        audit.contains("revoked a key") && audit.contains("&#60;script&#62;") && !audit.contains(name),
        "{audit}"
    );
}

#[test]
fn whoever_may_only_look_is_offered_nothing_else() {
    let server = Server::new();
    let [reader, shop] = [["--role", "read", "--tenant", "default"], ["--role", "admin", "--tenant", "shop"]]
        .map(|arguments| key(&server, &arguments));
    let caller = Caller::start(&server, &["--role", "api"]);
    let sign_in = |key: &str| {
        let answer = submit(&caller, "/sign-in", "", &[("key", key)]);
        answer.header("set-cookie").split(';').next().unwrap().to_owned()
    };
    let (reader, shop) = (sign_in(&reader), sign_in(&shop));
    for path in ["/hosts", "/workers", "/system"] {
        let page = caller.get(path, &[("cookie", &reader)]);
        assert_eq!(page.status, 200, "{path}");
        let offered = page.text.matches("<form method=\"post\"").count();
        assert_eq!(offered, 1, "{path}: to sign out, and nothing else");
        assert_eq!(caller.get(path, &[("cookie", &shop)]).status, 403, "{path} is not a tenant's");
    }
    for (path, pairs) in [("/hosts", &[("host", "a"), ("do", "pause")][..]), ("/keys", &[]), ("/system", &[])]
    {
        assert_eq!(submit(&caller, path, &reader, pairs).status, 403, "{path}");
    }
    for path in ["/keys", "/audit"] {
        assert_eq!(caller.get(path, &[("cookie", &reader)]).status, 403, "{path}");
        assert_eq!(caller.get(path, &[("cookie", &shop)]).status, 200, "{path}");
    }
    let page = caller.get("/requests", &[("cookie", &shop)]).text;
    assert!(page.contains("href=\"/keys\">System") && !page.contains("href=\"/hosts\""), "{page}");
}
