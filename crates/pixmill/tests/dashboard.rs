//! The dashboard from outside: pages as links and forms alone, against the real binary.

use pixmill_testkit::origin::Origin;
use pixmill_testkit::sink::{Reply, Sink};

use crate::api::operating::wait_until;
use crate::caller::{Answer, Caller, form};
use crate::cases::{catalogue, key, origin, pixmill};
use crate::server::Server;

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// What a browser sends with a form of a page of this server's.
fn own(caller: &Caller) -> (&'static str, String) {
    ("origin", caller.url.clone())
}

fn encoded(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

fn submit(caller: &Caller, path: &str, cookie: &str, pairs: &[(&str, &str)]) -> Answer {
    let (name, origin) = own(caller);
    caller.post(path, &[FORM, (name, &origin), ("cookie", cookie)], encoded(pairs))
}

/// Signs in, and answers with the cookie.
fn sign_in(caller: &Caller, key: &str) -> String {
    let answer = submit(caller, "/sign-in", "", &[("key", key), ("next", "/requests?failed=true")]);
    assert_eq!((answer.status, answer.header("location")), (303, "/requests?failed=true"), "{answer:?}");
    let cookie = answer.header("set-cookie");
    assert!(cookie.contains("; HttpOnly; SameSite=Lax"), "{cookie}");
    cookie.split(';').next().unwrap().to_owned()
}

fn failed_request(caller: &Caller, origin: &Origin) -> String {
    let id = caller.post_csv("/v1/requests?name=shop.csv", &catalogue(origin)).id();
    caller.wait_for(&id);
    id
}

#[test]
fn a_failure_is_found_corrected_and_retried_with_forms_alone() {
    let (origin, server) = (origin(), Server::new());
    let caller = Caller::start(&server, &[]);
    let (content_type, body) = form("file", &catalogue(&origin), &[("quality", "30"), ("format", "")]);
    let (name, own) = own(&caller);
    let made = caller.post("/requests/new", &[("content-type", &content_type), (name, &own)], body);
    assert_eq!(made.status, 303, "{made:?}");
    let page = made.header("location").to_owned();
    let id = page.strip_prefix("/requests/").unwrap();
    caller.wait_for(id);
    let list = caller.get("/requests", &[]).text;
    assert!(list.contains("shop.csv") && list.contains("done, with failures"), "{list}");
    let overview = caller.get(&page, &[]).text;
    assert!(overview.contains("fetch.status") && overview.contains("quality 30"), "{overview}");
    let again = format!("/v1/requests/{id}/catalogue");
    assert!(overview.contains(&format!("href=\"{again}\"")), "{overview}");
    assert_eq!(caller.get(&again, &[]).status, 200);
    let failures = format!("{page}/failures?q=code:fetch.status");
    let shown = caller.get(&failures, &[]).text;
    assert!(shown.contains("name=\"url:1:2\"") && shown.contains("Cap"), "{shown}");
    let [was, better] = [origin.url("/x/status/404"), format!("{}?better", origin.url("/caps.jpg"))];
    let wrong = submit(&caller, &failures, "", &[("was:1:2", &was), ("url:1:2", "javascript:alert(1)")]);
    assert_eq!(wrong.status, 422);
    assert!(wrong.text.contains("value=\"javascript:alert(1)\""), "what was typed is there still");
    let unchanged = submit(&caller, &failures, "", &[("was:1:2", &was), ("url:1:2", &was)]);
    assert!(unchanged.header("location").ends_with("&done=unchanged"), "{unchanged:?}");
    let done = submit(&caller, &failures, "", &[("was:1:2", &was), ("url:1:2", &better)]);
    assert!(done.header("location").ends_with("&done=corrected-1"), "{done:?}");
    let told = caller.get(done.header("location"), &[]).text;
    assert!(told.contains("1 address corrected"), "{told}");
    let request = caller.wait_for(id);
    assert_eq!((&request["failedImages"], &request["round"]), (&0.into(), &2.into()));
    let images = caller.get(&format!("{page}/images?q=better"), &[]).text;
    assert_eq!(images.matches("<tr data-row>").count(), 1, "{images}");
    assert!(caller.get(&format!("{page}/worst"), &[]).text.contains("<li data-row>"));
    let deleted = submit(&caller, &format!("{page}/delete"), "", &[]);
    assert_eq!(deleted.header("location"), "/requests?done=deleted");
    assert_eq!(caller.get(&page, &[]).status, 404);
}

#[test]
fn failures_are_told_and_those_that_fit_retried() {
    let (origin, server) = (origin(), Server::new());
    let caller = Caller::start(&server, &[]);
    let catalogue = format!(
        "SKU,Name,Image Urls\n1,Cap,{0}/x/status/404\n2,Mug,{0}/x/status/410\n3,Pot,{0}/caps.jpg\n4,Hat,http://nowhere.invalid/a.jpg\n",
        origin.url("")
    );
    let id = caller.post_csv("/v1/requests", &catalogue).id();
    let request = caller.wait_for(&id);
    assert_eq!((&request["tenant"], &request["recipe"]["quality"]), (&"default".into(), &50.into()));
    let path = format!("/v1/requests/{id}");
    let failures = caller.get(&format!("{path}/failures"), &[]).json();
    let group = &failures["data"][0];
    assert_eq!(
        (&group["code"], &group["images"], &group["hosts"][0]["images"]),
        (&"fetch.status".into(), &2.into(), &2.into())
    );
    assert!(group["hosts"][0]["host"].as_str().unwrap().starts_with("127.0.0.1:"), "{failures}");
    assert_eq!(failures["hostsComplete"], true);
    let found = |asked: &str| {
        let asked = encoded(&[("q", asked)]);
        let page = caller.get(&format!("{path}/images?{asked}"), &[]).json();
        let rows = page["data"].as_array().unwrap().iter().map(|image| image["row"].as_u64().unwrap());
        rows.collect::<Vec<_>>()
    };
    assert_eq!(found("code:fetch.status"), [1, 2]);
    assert_eq!(found("host:nowhere.invalid"), [4]);
    assert_eq!(found("sku:2"), [2]);
    assert_eq!(found("pot"), [3], "a cell");
    assert_eq!(found("caps.jpg saved:>0"), [3]);
    let wrong = caller.get(&format!("{path}/images?q=saved:little"), &[]);
    assert_eq!((wrong.status, wrong.code().as_str()), (400, "query.invalid"));
    let image = caller.get(&format!("{path}/images?q=sku:3"), &[]).json()["data"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let one = caller.get(&format!("{path}/images/{image}"), &[]).json();
    assert_eq!((&one["row"][1]["column"], &one["row"][1]["value"]), (&"Name".into(), &"Pot".into()));
    assert_eq!(caller.get(&format!("{path}/images/elephant"), &[]).code(), "request.not_found");
    let retried = caller.post(&format!("{path}/retry?q=sku:2"), &[], "");
    assert_eq!((retried.status, &retried.json()["round"]), (202, &2.into()), "{retried:?}");
    let request = caller.wait_for(&id);
    assert_eq!(request["failedImages"], 3);
    assert_eq!(caller.post(&format!("{path}/retry?q=sku:3"), &[], "").code(), "request.state");
    let said = pixmill(&server, &["images", &id, "--query", "code:fetch", "--server", &caller.url]);
    assert_eq!(String::from_utf8_lossy(&said.stdout).lines().count(), 3, "{said:?}");
    let said = pixmill(&server, &["failures", &id, "--server", &caller.url]);
    assert!(String::from_utf8_lossy(&said.stdout).contains("fetch.dns"), "{said:?}");
}

#[test]
fn whoever_signs_in_stays_until_the_key_is_revoked() {
    let server = Server::new();
    let secret = key(&server, &["--name", "Ada", "--role", "admin"]);
    let _other = key(&server, &[]);
    let caller = Caller::start(&server, &["--role", "api"]);
    let asked = caller.get("/requests?failed=true", &[("accept", "text/html")]);
    assert_eq!((asked.status, asked.header("location")), (303, "/sign-in?next=%2Frequests%3Ffailed%3Dtrue"));
    for wrong in ["pxm_x", "", "\r\nx"] {
        let refused = submit(&caller, "/sign-in", "", &[("key", wrong), ("next", "/\"><b>")]);
        assert_eq!((refused.status, refused.header("set-cookie")), (401, ""));
        assert!(
            refused.text.contains("unknown or revoked") && !refused.text.contains("\"><b>"),
            "{refused:?}"
        );
    }
    let cookie = sign_in(&caller, &secret);
    let page = caller.get("/requests", &[("cookie", &cookie)]);
    assert!(page.status == 200 && page.text.contains("Ada"), "{page:?}");
    assert_eq!(caller.get("/v1/requests", &[("cookie", &cookie)]).status, 200);
    let altered = format!("{cookie}x");
    assert_eq!(caller.get("/v1/requests", &[("cookie", &altered)]).status, 401);
    let out = submit(&caller, "/sign-out", &cookie, &[]);
    assert!(out.header("set-cookie").contains("Max-Age=0"), "{out:?}");
    let data = server.data();
    let listed = pixmill(&server, &["keys", "list", "--data", data.to_str().unwrap()]);
    let first = String::from_utf8(listed.stdout).unwrap().lines().next().unwrap().to_owned();
    let listed: serde_json::Value = serde_json::from_str(&first).unwrap();
    assert_eq!(listed["role"], "admin");
    let id = listed["id"].as_str().unwrap();
    assert!(pixmill(&server, &["keys", "revoke", id, "--data", data.to_str().unwrap()]).status.success());
    std::thread::sleep(std::time::Duration::from_millis(1_200));
    let after = caller.get("/v1/requests", &[("cookie", &cookie)]);
    assert_eq!((after.status, after.code().as_str()), (401, "auth.missing"));
}

#[test]
fn a_role_allows_what_it_says() {
    let (origin, server) = (origin(), Server::new());
    let [read, submitter] = ["read", "submit"].map(|role| key(&server, &["--role", role]));
    let caller = Caller::start(&server, &[]);
    let bearer = |key: &str| format!("Bearer {key}");
    let hand_in = |key: &str| {
        let headers = [("authorization", bearer(key)), ("content-type", "text/csv".to_owned())];
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        caller.post("/v1/requests", &headers, catalogue(&origin))
    };
    let refused = hand_in(&read);
    assert_eq!((refused.status, refused.code().as_str()), (403, "auth.role"));
    let id = hand_in(&submitter).id();
    let cookie = sign_in(&caller, &read);
    for path in [
        "/requests/new",
        "/webhooks/recover",
        &format!("/requests/{id}/cancel"),
        &format!("/requests/{id}/delete"),
    ] {
        assert_eq!(submit(&caller, path, &cookie, &[]).status, 403, "{path}");
    }
    let page = caller.get(&format!("/requests/{id}"), &[("cookie", &cookie)]);
    assert_eq!(page.status, 200);
    assert!(
        !page.text.contains("<form method=\"post\" action=\"/requests/"),
        "what is not allowed is not offered"
    );
}

#[test]
fn pages_of_other_sites_act_in_nobodys_name() {
    let (origin, server) = (origin(), Server::new());
    let caller = Caller::start(&server, &[]);
    let id = failed_request(&caller, &origin);
    let secret = key(&server, &["--role", "admin"]);
    // A server that runs knows of it within a second.
    std::thread::sleep(std::time::Duration::from_millis(1_200));
    let cookie = sign_in(&caller, &secret);
    let paths = [
        format!("/requests/{id}/retry"),
        format!("/requests/{id}/delete"),
        format!("/requests/{id}/cancel"),
        format!("/requests/{id}/failures"),
        "/webhooks/recover".to_owned(),
        "/sign-out".to_owned(),
        format!("/v1/requests/{id}/retry"),
        format!("/v1/requests/{id}/cancel"),
        "/keys".to_owned(),
        "/hosts".to_owned(),
        "/v1/keys".to_owned(),
        "/v1/hosts/shop.example/pause".to_owned(),
    ];
    let forged: [&[(&str, &str)]; 8] = [
        &[],
        &[("origin", "null")],
        &[("origin", "http://evil.example")],
        &[("origin", "https://127.0.0.1")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site"), ("origin", "http://evil.example")],
        &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")],
        &[("referer", "http://127.0.0.1/requests")],
    ];
    let mut refused = 0;
    for path in &paths {
        for headers in forged {
            let headers: Vec<_> =
                headers.iter().copied().chain([FORM, ("cookie", cookie.as_str())]).collect();
            let answer = caller.post(path, &headers, "q=code:fetch.status");
            assert_eq!(answer.status, 403, "{path} {headers:?} {answer:?}");
            refused += 1;
        }
    }
    assert!(refused >= 40, "{refused}");
    let elsewhere = caller.post("/sign-in", &[FORM, ("origin", "http://evil.example")], "key=pxm_x");
    assert_eq!(
        (elsewhere.status, elsewhere.header("set-cookie")),
        (403, ""),
        "nobody is signed in by another site"
    );
    let request = caller.get(&format!("/v1/requests/{id}"), &[("cookie", &cookie)]).json();
    assert_eq!((&request["failedImages"], &request["round"]), (&1.into(), &1.into()), "nothing was changed");
}

#[test]
fn pages_may_not_be_framed_and_run_nothing_of_their_own() {
    let (origin, server) = (origin(), Server::new());
    let caller = Caller::start(&server, &[]);
    let id = failed_request(&caller, &origin);
    for path in pages(&id) {
        let page = caller.get(&path, &[]);
        assert_eq!(page.status, 200, "{path} {page:?}");
        let policy = page.header("content-security-policy");
        for rule in [
            "default-src 'none'",
            "script-src 'self';",
            "style-src 'self';",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        ] {
            assert!(policy.contains(rule), "{path}: {policy}");
        }
        assert!(!policy.contains("'unsafe-inline'"), "{path}: {policy}");
        assert_eq!(
            (page.header("x-frame-options"), page.header("cache-control")),
            ("DENY", "no-store"),
            "{path}"
        );
        assert_eq!(
            page.header("referrer-policy"),
            "same-origin",
            "{path}: its forms say where they come from"
        );
        for inline in [" style=", " onclick=", "<style", "<script>", "javascript:"] {
            assert!(!page.text.contains(inline), "{path}: {inline}");
        }
        assert!(page.text.len() < 100_000, "{path}: {} bytes", page.text.len());
    }
    let page = caller.get("/requests", &[]).text;
    let style = page
        .split("href=\"")
        .find(|part| part.contains("pixmill.css"))
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .to_owned();
    let style = caller.get(&style, &[]);
    assert_eq!((style.status, style.header("content-type")), (200, "text/css; charset=utf-8"));
    assert!(style.header("cache-control").contains("immutable"), "{style:?}");
    assert_eq!(caller.get("/assets/x/..%2f..%2fCargo.toml", &[]).status, 404);
}

fn pages(id: &str) -> Vec<String> {
    let of = |rest: &str| format!("/requests/{id}{rest}");
    [
        "",
        "/failures",
        "/failures?q=code:fetch",
        "/images",
        "/images?q=cap",
        "/worst",
        "/worst?by=score",
        "/report",
    ]
    .map(of)
    .into_iter()
    .chain(["/requests", "/requests/new", "/savings", "/webhooks", "/sign-in"].map(str::to_owned))
    .chain(["/hosts", "/system", "/workers", "/keys", "/audit"].map(str::to_owned))
    .collect()
}

#[test]
fn hostile_catalogues_are_shown_as_text() {
    let server = Server::new();
    let caller = Caller::start(&server, &[]);
    let corpus = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "'-alert(1)-'",
        "</textarea><svg onload=alert(1)>",
        "{{constructor.constructor('alert(1)')()}}",
        "<hx-partial hx-target='body'>x</hx-partial>",
        "<a href=javascript:alert(1)>x</a>",
        "\u{202e}<iframe srcdoc=x>",
        "<b hx-get='/sign-out' hx-trigger='load'>x</b>",
        "]]><!--<script>",
    ];
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let mut catalogue = format!("SKU,{},Image Urls\n", quoted("Product <script>alert(2)</script> Name"));
    for (row, hostile) in corpus.iter().enumerate() {
        let address = format!("http://127.0.0.1:9/{}", hostile.replace([' ', '"', '\u{202e}'], "%20"));
        catalogue += &format!("{row},{},{}\n", quoted(hostile), quoted(&address));
    }
    let name = encoded(&[("name", "<script>alert(3)</script>.csv")]);
    let id = caller.post_csv(&format!("/v1/requests?name_column=2&{name}"), &catalogue).id();
    let image = caller.get(&format!("/v1/requests/{id}/images?limit=1"), &[]).json()["data"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    submit(&caller, &format!("/requests/{id}/cancel"), "", &[]);
    let hostile = encoded(&[("q", corpus[1]), ("name", corpus[0]), ("next", corpus[1])]);
    let more = [
        format!("/requests/{id}/images/{image}"),
        format!("/requests?{hostile}"),
        format!("/sign-in?{hostile}"),
        format!("/requests/{id}/failures?{hostile}"),
        format!("/requests/{id}/images?{hostile}"),
        format!("/requests/{}", "%3Cscript%3E"),
    ];
    for path in pages(&id).into_iter().chain(more) {
        let page = caller.get(&path, &[]).text.replace("<script src=\"/assets/", "");
        for live in [
            "<script",
            "<img src=x",
            "<svg onload",
            "<iframe",
            "<hx-partial",
            "<b hx-get",
            "href=\"javascript",
            "href=javascript:alert(1)>x</a>",
        ] {
            assert!(!page.contains(live), "{path}: {live}: {page}");
        }
    }
}

#[test]
fn a_webhook_s_try_shows_what_was_sent_and_answered() {
    let (origin, server) = (origin(), Server::new());
    let answer = "<script>alert(1)</script><img src=x onerror=alert(2)>";
    let sink = Sink::start(move |_| Reply { body: answer.to_owned(), ..Reply::from(500) }).unwrap();
    let caller = Caller::start(&server, &[]);
    let url = encoded(&[("webhookUrl", &sink.url("/hook?token=elephant"))]);
    let id = caller.post_csv(&format!("/v1/requests?{url}"), &catalogue(&origin)).id();
    caller.wait_for(&id);
    let heard = sink.wait_for(1, std::time::Duration::from_secs(60)).remove(0);
    let shown = || caller.get(&format!("/webhooks?request={id}"), &[]).text;
    wait_until("the try", || shown().contains("What was sent"));
    let page = shown();
    for line in ["&#34;requestId&#34;", id.as_str(), "webhook-signature: v1,***", heard.header("webhook-id")]
    {
        assert!(page.contains(line), "{line}: {page}");
    }
    for hidden in [heard.header("webhook-signature"), "elephant", "<script>alert", "<img src=x"] {
        assert!(!page.contains(hidden), "{hidden}: {page}");
    }
    assert!(page.contains("alert(1)"), "an answer is shown as text: {page}");
}

#[test]
fn savings_are_shown_by_week_and_by_format() {
    let (origin, server) = (origin(), Server::new());
    let caller = Caller::start(&server, &[]);
    for format in ["jpeg", "webp"] {
        let id = caller.post_csv(&format!("/v1/requests?format={format}"), &catalogue(&origin)).id();
        caller.wait_for(&id);
    }
    let page = caller.get("/savings", &[]).text;
    for row in ["<th scope=\"row\">JPEG</th>", "<th scope=\"row\">WebP</th>"] {
        assert_eq!(page.matches(row).count(), 1, "{row}: {page}");
    }
    let usage = caller.get("/v1/usage", &[]).json();
    let week = &usage["weeks"][0]["week"].as_str().unwrap()[..10];
    assert!(page.contains(&format!("<th scope=\"row\">{week}</th>")), "{week}: {page}");
}

#[test]
fn tenants_see_no_page_of_each_other() {
    let (origin, server) = (origin(), Server::new());
    let [one, other] = ["one", "other"].map(|tenant| key(&server, &["--tenant", tenant]));
    let caller = Caller::start(&server, &[]);
    let [one, other] = [sign_in(&caller, &one), sign_in(&caller, &other)];
    let (content_type, body) = form("file", &catalogue(&origin), &[]);
    let own = own(&caller);
    let made = caller.post(
        "/requests/new",
        &[("content-type", &content_type), (own.0, &own.1), ("cookie", &one)],
        body,
    );
    let id =
        made.header("location").strip_prefix("/requests/").unwrap_or_else(|| panic!("{made:?}")).to_owned();
    for path in pages(&id).into_iter().filter(|path| path.contains(&id)) {
        assert_eq!(caller.get(&path, &[("cookie", &one)]).status, 200, "{path}");
        assert_eq!(caller.get(&path, &[("cookie", &other)]).status, 404, "{path}");
    }
    for act in ["cancel", "retry", "delete", "failures"] {
        assert_eq!(submit(&caller, &format!("/requests/{id}/{act}"), &other, &[]).status, 404, "{act}");
    }
    assert_eq!(caller.get(&format!("/requests/{id}/live"), &[("cookie", &other)]).status, 404);
    let list = caller.get("/requests", &[("cookie", &other)]).text;
    assert!(!list.contains(&id) && list.contains("Nothing handed in yet"), "{list}");
}

#[test]
fn a_sub_path_is_cut_off_by_proxies_or_not() {
    let server = Server::new();
    let caller = Caller::start(&server, &["--role", "api", "--public-url", "https://shop.example/pixmill/"]);
    let home = caller.get("/pixmill/", &[("accept", "text/html")]);
    assert_eq!((home.status, home.header("location")), (303, "/pixmill/requests"), "{home:?}");
    for path in ["/requests", "/pixmill/requests"] {
        let page = caller.get(path, &[]);
        assert_eq!(page.status, 200, "{path}");
        for link in page.text.split(" href=\"").skip(1).chain(page.text.split(" action=\"").skip(1)) {
            let link = link.split('"').next().unwrap();
            assert!(link.starts_with("/pixmill/") || link.starts_with('#'), "{path}: {link}");
        }
    }
    assert_eq!(caller.get("/pixmill/healthz", &[]).status, 200);
    assert_eq!(caller.get("/pixmill/v1/requests", &[]).status, 200);
    assert_eq!(caller.get("/pixmill/nowhere", &[]).code(), "route.unknown");
    let metrics = caller.get("/metrics", &[]).text;
    assert!(!metrics.contains("route=\"/pixmill"), "{metrics}");
    let secret = key(&server, &[]);
    std::thread::sleep(std::time::Duration::from_millis(1_200));
    let answer = submit(&caller, "/sign-in", "", &[("key", &secret)]);
    let cookie = answer.header("set-cookie");
    assert!(cookie.starts_with("__Secure-pixmill=") && cookie.contains("Path=/pixmill/;"), "{answer:?}");
}

#[test]
fn a_request_is_watched_to_its_end() {
    let (origin, server) = (origin(), Server::new());
    let caller = Caller::start(&server, &[]);
    let id = failed_request(&caller, &origin);
    let stream = caller.get(&format!("/requests/{id}/live"), &[]);
    assert_eq!(stream.header("content-type"), "text/event-stream");
    assert!(stream.text.starts_with("data: <hx-partial"), "{stream:?}");
    assert!(
        stream.text.ends_with("event: over\ndata: completed\n\n"),
        "a stream without an end is asked for again: {stream:?}"
    );
}
