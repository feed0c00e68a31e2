//! What those who run a server see and do: who works, how hosts stand, who may call, who did what.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::caller::{Answer, Caller};
use crate::cases::{catalogue, key, origin, pixmill};
use crate::server::{Process, Server};

/// Looks again and again until it is so.
pub(crate) fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(90), "{what} has not come");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// What a list of the API's holds.
fn listed(caller: &Caller, path: &str, headers: &[(&str, &str)]) -> Vec<Value> {
    let answer = caller.get(path, headers);
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.json()["data"].as_array().unwrap().clone()
}

fn worker(server: &Server) -> Process {
    Process::start(&mut server.command(&["--role", "worker"]))
}

/// The host of an origin of tests, as rules name it.
fn host(origin: &pixmill_testkit::origin::Origin) -> String {
    origin.url("").trim_start_matches("http://").trim_end_matches('/').to_owned()
}

const ALARM: &str = "No worker runs";

pub(crate) fn workers_tell_that_they_live_and_their_absence_is_told(server: &Server) {
    let origin = origin();
    let api = Caller::start(server, &["--role", "api"]);
    assert!(!api.get("/requests", &[]).text.contains(ALARM), "nothing waits");
    let id = api.post_csv("/v1/requests", &catalogue(&origin)).id();
    for page in ["/requests", "/savings", "/webhooks", "/workers", "/hosts", "/system", "/keys", "/audit"] {
        wait_until("the alarm", || api.get(page, &[]).text.contains(ALARM));
    }
    assert!(api.get("/workers", &[]).text.contains("pixmill serve --role worker"), "what to do is told");
    assert_eq!(api.get("/v1/system", &[]).json()["stranded"], true);
    let roles = || {
        let all = listed(&api, "/v1/workers", &[]);
        all.iter().map(|one| one["role"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    wait_until("the API's process", || roles() == ["api"]);
    let worker = worker(server);
    api.wait_for(&id);
    wait_until("what it did", || {
        let all = listed(&api, "/v1/workers", &[]);
        let one = all.iter().find(|one| one["role"] == "worker");
        one.is_some_and(|one| one["completedImages"] == 2 && one["failedImages"] == 1)
    });
    let one = listed(&api, "/v1/workers", &[]).into_iter().find(|one| one["role"] == "worker").unwrap();
    assert_eq!((&one["pid"], &one["version"]), (&worker.0.id().into(), &env!("CARGO_PKG_VERSION").into()));
    wait_until("the end of the alarm", || !api.get("/requests", &[]).text.contains(ALARM));
    assert!(api.get("/workers", &[]).text.contains(&format!("· {}", worker.0.id())));
    worker.signal("TERM");
    assert!(worker.stopped());
    wait_until("its goodbye", || roles() == ["api"]);
    assert!(!api.get("/requests", &[]).text.contains(ALARM), "no work waits");
}

pub(crate) fn a_host_that_is_paused_is_left_alone_by_every_worker(server: &Server) {
    let origin = origin();
    let api = Caller::start(server, &["--role", "api"]);
    let (one, other) = (worker(server), worker(server));
    wait_until("both workers", || listed(&api, "/v1/workers", &[]).len() == 3);
    let host = host(&origin);
    let place = format!("/v1/hosts/{host}");
    let paused = api.post(&format!("{place}/pause"), &[], "");
    assert_eq!((paused.status, &paused.json()["state"]), (200, &"paused".into()), "{paused:?}");
    std::thread::sleep(Duration::from_secs(3));
    let id = api.post_csv("/v1/requests", &catalogue(&origin)).id();
    wait_until("what waits", || {
        let all = listed(&api, "/v1/hosts", &[]);
        all.iter().any(|one| one["host"] == host.as_str() && one["waiting"].as_u64() > Some(0))
    });
    assert!(origin.log().is_empty(), "it was asked: {:?}", origin.log());
    let request = api.get(&format!("/v1/requests/{id}"), &[]).json();
    assert_eq!(request["processedImages"], 0);
    let said = pixmill(server, &["hosts", "resume", &host, "--server", &api.url]);
    assert!(said.status.success(), "{said:?}");
    let request = api.wait_for(&id);
    assert_eq!(request["failedImages"], 1);
    for image in listed(&api, &format!("/v1/requests/{id}/images"), &[]) {
        assert!(image["attempts"].as_u64() <= Some(1), "waiting counts no attempt: {image}");
    }
    // What was counted is written every quarter of a minute, and at the end.
    [one, other].into_iter().for_each(|worker| {
        worker.signal("TERM");
        assert!(worker.stopped());
    });
    let all = listed(&api, "/v1/hosts", &[]);
    let found = all.iter().find(|one| one["host"] == host.as_str()).unwrap();
    assert_eq!((&found["state"], &found["asked"]["requests"]), (&"fine".into(), &3.into()), "{found}");
    let fault = &found["asked"]["faults"][0];
    assert_eq!((&fault["code"], &fault["requests"]), (&"fetch.status".into(), &1.into()), "{found}");
    assert!(found["asked"]["bytes"].as_u64() > Some(1_000) && found["asked"]["medianMs"].is_u64(), "{found}");
}

pub(crate) fn a_hosts_limit_and_pause_stand_until_they_are_taken_back(server: &Server) {
    let api = Caller::start(server, &["--role", "api"]);
    let order = |what: &str| api.post(&format!("/v1/hosts/{what}"), &[], "");
    let limited = order("https%3A%2F%2FShop.example%2Fa.jpg/limit?most=2").json();
    assert_eq!((&limited["host"], &limited["limit"]), (&"shop.example".into(), &2.into()));
    let both = order("shop.example/pause?minutes=60").json();
    assert!(both["pausedUntil"].is_string() && both["limit"] == 2, "{both}");
    assert_eq!(both["orderedBy"], "somebody without a key");
    let resumed = order("shop.example/resume").json();
    assert_eq!((&resumed["state"], &resumed["limit"]), (&"fine".into(), &2.into()));
    assert_eq!(order("shop.example/limit").json()["limit"], Value::Null);
    assert_eq!(listed(&api, "/v1/hosts", &[]), [] as [Value; 0], "nothing is wanted of it any more");
    for wrong in ["shop.example/limit?most=0", "x/limit?most=a", "x/pause?minutes=99999", "a%20b/pause"] {
        let refused = order(wrong);
        assert_eq!((refused.status, refused.code().as_str()), (400, "query.invalid"), "{wrong}");
    }
    let actions: Vec<_> = listed(&api, "/v1/audit", &[])
        .iter()
        .map(|line| line["action"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(actions, ["host.limited", "host.resumed", "host.paused", "host.limited"]);
}

pub(crate) fn keys_are_made_and_revoked_by_those_who_may_and_it_is_written_down(server: &Server) {
    let admin = format!("Bearer {}", key(server, &["--name", "Ada", "--role", "admin"]));
    let api = Caller::start(server, &["--role", "api"]);
    let ada: &[(&str, &str)] = &[("authorization", &admin)];
    let make = |by: &str, new: &Value| -> Answer {
        api.post("/v1/keys", &[("authorization", by), ("content-type", "application/json")], new.to_string())
    };
    let made = make(&admin, &json!({"name": "checkout", "tenant": "shop", "perMinute": 90}));
    assert_eq!((made.status, &made.json()["role"]), (201, &"submit".into()), "{made:?}");
    let secret = made.json()["secret"].as_str().unwrap().to_owned();
    let checkout = format!("Bearer {secret}");
    let holds = |key: &str| api.get("/v1/usage", &[("authorization", key)]).status == 200;
    wait_until("the key", || holds(&checkout));
    assert_eq!(api.get("/v1/usage", &[("authorization", &checkout)]).json()["tenant"], "shop");
    for path in ["/v1/keys", "/v1/audit", "/v1/hosts", "/v1/workers", "/v1/system"] {
        let refused = api.get(path, &[("authorization", &checkout)]);
        assert_eq!((refused.status, refused.code().as_str()), (403, "auth.role"), "{path}");
    }
    assert_eq!(make(&checkout, &json!({})).code(), "auth.role");
    // Whoever administers a tenant has to do with that one alone.
    let made_admin = make(&admin, &json!({"name": "Bo", "tenant": "shop", "role": "admin"})).json();
    let bo = format!("Bearer {}", made_admin["secret"].as_str().unwrap());
    wait_until("the tenant's administrator", || holds(&bo));
    let of_bo: &[(&str, &str)] = &[("authorization", &bo)];
    let own = listed(&api, "/v1/keys", of_bo);
    assert!(own.len() == 2 && own.iter().all(|key| key["tenant"] == "shop"), "{own:?}");
    assert_eq!(make(&bo, &json!({"tenant": "default"})).code(), "auth.role");
    assert_eq!(make(&bo, &json!({"name": "till"})).json()["tenant"], "shop");
    assert_eq!(api.post("/v1/hosts/x/pause", of_bo, "").code(), "auth.role");
    for (wrong, fields) in [
        (json!({"role": "boss"}), &["role"][..]),
        (json!({"tenant": "a b", "perMinute": 0, "name": "a\nb"}), &["tenant", "name", "perMinute"]),
    ] {
        let refused = make(&admin, &wrong);
        assert_eq!(refused.code(), "query.invalid", "{wrong}");
        let told = refused.json()["errors"].as_array().unwrap().clone();
        assert_eq!(told.iter().map(|one| one["field"].as_str().unwrap()).collect::<Vec<_>>(), fields);
    }
    assert_eq!(make(&admin, &json!({"colour": "red"})).code(), "body.malformed");
    let id = made.id();
    let revoke = |by: &str, id: &str| api.delete_as(&format!("/v1/keys/{id}"), by);
    let adas = listed(&api, "/v1/keys", ada)[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(revoke(&bo, &adas).code(), "request.not_found", "another tenant's");
    assert_eq!(revoke(&admin, &id).status, 204);
    wait_until("its end", || api.get("/v1/usage", &[("authorization", &checkout)]).status == 401);
    assert_eq!(revoke(&admin, &id).code(), "request.not_found", "it is revoked already");
    let lines = api.get("/v1/audit", ada);
    assert!(!lines.text.contains("pxm_") && !lines.text.contains("\"hash\""), "{}", lines.text);
    let lines = listed(&api, "/v1/audit", ada);
    let told: Vec<_> =
        lines.iter().map(|line| (line["action"].as_str().unwrap(), line["by"].as_str().unwrap())).collect();
    let created = |by| ("key.created", by);
    assert_eq!(
        told,
        [("key.revoked", "Ada"), created("Bo"), created("Ada"), created("Ada"), created("command line")]
    );
    assert_eq!((&lines[0]["object"], &lines[0]["tenant"]), (&id.into(), &"default".into()));
    assert_eq!(listed(&api, "/v1/audit", of_bo).len(), 1, "those of the own tenant");
    let first = api.get("/v1/audit?limit=2", ada).json();
    let next = format!("/v1/audit?cursor={}", first["next_cursor"].as_str().unwrap());
    assert_eq!(listed(&api, &next, ada).len(), 3);
}

pub(crate) fn the_system_is_told_without_its_secrets(server: &Server) {
    let api = Caller::start(server, &[]);
    let system = api.get("/v1/system", &[]);
    assert_eq!(system.status, 200, "{system:?}");
    assert!(!system.text.contains("whsec_"), "{}", system.text);
    let body = system.json();
    let parts: Vec<_> =
        body["parts"].as_array().unwrap().iter().map(|part| part["part"].as_str().unwrap()).collect();
    assert_eq!(parts, ["records", "queue", "storage", "backup", "webhook", "together"]);
    assert_eq!(body["lastBackupAt"], serde_json::Value::Null);
    std::fs::write(server.data().join("last-backup"), "").unwrap();
    for (path, told) in [("/v1/system", "lastBackupAt"), ("/readyz", "lastBackupAt")] {
        let answer = api.get(path, &[]).json();
        assert!(answer[told].as_str().is_some_and(|at| at.ends_with('Z')), "{path}: {answer}");
    }
    let records = body["parts"][0]["findings"].as_array().unwrap();
    assert!(records.iter().any(|one| one["about"] == "size" && one["verdict"] == "ok"), "{records:?}");
    assert!(body["disks"][0]["totalBytes"].as_u64() > Some(0), "{body}");
    let again = api.post("/v1/system", &[], "");
    assert_eq!(again.status, 200, "{again:?}");
    let page = api.get("/system", &[]).text;
    assert!(page.contains("round trip") && !page.contains("whsec_"), "{page}");
}
