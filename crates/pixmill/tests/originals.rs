//! Looks at originals, which are not kept: asked for anew, bounded, by an image's id alone, and for its tenant alone.

use pixmill_testkit::origin::Origin;
use serde_json::{Value, json};

use crate::caller::{Caller, form};
use crate::cases::{catalogue, key, origin};
use crate::server::Server;

/// A request that has ended, and the ids of its images.
fn worked(caller: &Caller, catalogue: &str, headers: &[(&str, &str)]) -> (String, Vec<String>) {
    let headers = [headers, &[("content-type", "text/csv")]].concat();
    let id = caller.post("/v1/requests", &headers, catalogue).id();
    let images = loop {
        let request = caller.get(&format!("/v1/requests/{id}"), &headers).json();
        if request["status"] == "completed" {
            break caller.get(&format!("/v1/requests/{id}/images"), &headers).json();
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    let ids = images["data"].as_array().unwrap().iter().map(|image| image["id"].as_str().unwrap().to_owned());
    (id, ids.collect())
}

fn asked(origin: &Origin, path: &str) -> usize {
    origin.log().iter().filter(|entry| entry.path.split('?').next() == Some(path)).count()
}

#[test]
fn an_original_is_asked_for_anew_and_kept_for_whoever_looks_again() {
    let (origin, server) = (origin(), Server::new());
    let caller = Caller::start(&server, &["--attempts", "1"]);
    let (id, images) = worked(&caller, &catalogue(&origin), &[]);
    let before = asked(&origin, "/caps.jpg");
    let of = |image: &str, rest: &str| format!("/v1/requests/{id}/images/{image}/{rest}");
    let seen = caller.get(&of(&images[0], "original"), &[]);
    assert_eq!((seen.status, seen.header("content-type")), (200, "image/webp"), "{seen:?}");
    assert!(seen.bytes.starts_with(b"RIFF"), "encoded anew, whatever it was");
    assert!(seen.header("content-security-policy").starts_with("sandbox"), "{seen:?}");
    assert_eq!(seen.header("cross-origin-resource-policy"), "same-origin");
    assert!(seen.header("cache-control").starts_with("private"));
    let thumb = caller.get(&of(&images[0], "original?size=thumb"), &[]);
    assert!(thumb.status == 200 && thumb.bytes.len() < seen.bytes.len(), "{}", thumb.bytes.len());
    assert_eq!(caller.get(&of(&images[0], "original"), &[]).bytes, seen.bytes);
    let score = caller.get(&of(&images[0], "score"), &[]).json();
    assert!(score["score"].as_f64().is_some_and(|score| (30.0..95.0).contains(&score)), "{score}");
    assert_eq!(score["changed"], false, "{score}");
    assert_eq!(asked(&origin, "/caps.jpg"), before + 1, "each was made of what came once");
    // One that is gone says so, and is not asked for again at once.
    let gone = asked(&origin, "/x/status/404");
    for _ in 0..3 {
        let told = caller.get(&of(&images[1], "original"), &[]);
        assert_eq!((told.status, told.code().as_str()), (502, "fetch.status"), "{told:?}");
        assert!(told.text.contains("404"), "{told:?}");
    }
    assert_eq!(asked(&origin, "/x/status/404"), gone + 1);
    assert_eq!(caller.get(&of(&images[1], "score"), &[]).code(), "request.state");
    for (wrong, code) in
        [("elephant", "request.not_found"), ("http%3A%2F%2F127.0.0.1%2Fcaps.jpg", "request.not_found")]
    {
        assert_eq!(caller.get(&of(wrong, "original"), &[]).code(), code, "by an image's id alone");
    }
    assert_eq!(caller.get(&of(&images[0], "original?size=huge"), &[]).code(), "query.invalid");
    let page = caller.get(&format!("/requests/{id}/images/{}", images[0]), &[]).text;
    assert!(page.contains(&of(&images[0], "original")) && page.contains("data-compare"), "{page}");
    let scored = caller.get(&format!("/requests/{id}/images/{}?score=true", images[0]), &[]).text;
    assert!(scored.contains("SSIMULACRA2"), "without JavaScript: {scored}");
    let worst = caller.get(&format!("/requests/{id}/worst?by=score"), &[]).text;
    assert!(worst.contains("size=thumb") && worst.matches("<li data-row>").count() == 2, "{worst}");
}

#[test]
fn looks_are_guarded_like_the_work_and_a_tenants_own() {
    let (origin, server) = (origin(), Server::new());
    let [one, other] = ["one", "other"].map(|tenant| key(&server, &["--tenant", tenant]));
    let reader = key(&server, &["--tenant", "one", "--role", "read"]);
    let [one, other, reader] = [one, other, reader].map(|secret| format!("Bearer {secret}"));
    let caller = Caller::start(&server, &["--attempts", "1"]);
    // An address that may not be called, by name and after a redirect.
    let rows = format!(
        "SKU,Image Urls\n1,http://10.0.0.1/a.jpg\n2,{}\n3,{}\n",
        origin.url("/x/redirect-to/http%3A%2F%2F10.0.0.1%2Fa.jpg"),
        origin.url("/caps.jpg"),
    );
    let (id, images) = worked(&caller, &rows, &[("authorization", &one)]);
    let of = |image: &str| format!("/v1/requests/{id}/images/{image}/original");
    for image in &images[..2] {
        let refused = caller.get(&of(image), &[("authorization", &one)]);
        assert_eq!((refused.status, refused.code().as_str()), (502, "fetch.blocked_address"), "{refused:?}");
    }
    for path in [of(&images[2]), of(&images[2]).replace("original", "score")] {
        assert_eq!(caller.get(&path, &[("authorization", &one)]).status, 200, "{path}");
        assert_eq!(caller.get(&path, &[("authorization", &reader)]).status, 200, "{path}");
        assert_eq!(caller.get(&path, &[("authorization", &other)]).status, 404, "{path}");
        assert_eq!(caller.get(&path, &[]).code(), "auth.missing", "{path}");
    }
    // A trial is its tenant's too, and nothing for who may only look.
    let body = json!({"url": origin.url("/caps.jpg"), "quality": 20}).to_string();
    let with =
        |key: &str| [("authorization", key.to_owned()), ("content-type", "application/json".to_owned())];
    let send = |key: &str| {
        let headers = with(key);
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        caller.post("/v1/preview/image", &headers, &body)
    };
    assert_eq!(send(&reader).code(), "auth.role");
    let tried = send(&one).json();
    for picture in ["before", "after"] {
        let path = tried[picture].as_str().unwrap();
        assert_eq!(caller.get(path, &[("authorization", &one)]).status, 200, "{path}");
        assert_eq!(caller.get(path, &[("authorization", &other)]).code(), "file.missing", "{path}");
    }
}

#[test]
fn a_recipe_is_tried_on_one_picture() {
    let (origin, server) = (origin(), Server::new());
    let caller = Caller::start(&server, &["--role", "api"]);
    let json_type = [("content-type", "application/json")];
    let by_url = |quality: u8| -> Value {
        let body =
            json!({"url": origin.url("/caps.jpg"), "quality": quality, "max_width": "", "format": "jpeg"});
        caller.post("/v1/preview/image", &json_type, body.to_string()).json()
    };
    let (low, high) = (by_url(20), by_url(85));
    assert!(low["bytesAfter"].as_u64() < high["bytesAfter"].as_u64(), "{low} {high}");
    assert!(low["score"].as_f64() < high["score"].as_f64(), "{low} {high}");
    assert_eq!(asked(&origin, "/caps.jpg"), 1, "asked for once, however often it is tried");
    let after = caller.get(low["after"].as_str().unwrap(), &[]);
    assert_eq!(
        (after.header("content-type"), after.bytes.len() as u64),
        ("image/jpeg", low["bytesAfter"].as_u64().unwrap())
    );
    let picture =
        std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/pictures/caps.jpg")).unwrap();
    let sent =
        caller.post("/v1/preview/image?quality=20", &[("content-type", "image/jpeg")], &picture).json();
    assert_eq!((&sent["bytesAfter"], &sent["score"]), (&low["bytesAfter"], &low["score"]));
    let refused =
        |headers: &[(&str, &str)], body: &str| caller.post("/v1/preview/image", headers, body).code();
    assert_eq!(refused(&json_type, "{}"), "body.malformed");
    assert_eq!(refused(&json_type, &json!({"url": origin.url("/x/status/404")}).to_string()), "fetch.status");
    assert_eq!(
        refused(&json_type, &json!({"url": "http://10.0.0.1/a.jpg"}).to_string()),
        "fetch.blocked_address"
    );
    assert_eq!(
        refused(&json_type, &json!({"url": origin.url("/caps.jpg"), "quality": 0}).to_string()),
        "recipe.invalid"
    );
    assert_eq!(refused(&[("content-type", "image/png")], "no picture"), "image.unsupported");
    assert_eq!(refused(&[("content-type", "text/csv")], "a"), "body.media_type");
}

#[test]
fn shops_are_asked_before_a_catalogue_is_handed_in() {
    let (origin, server) = (origin(), Server::new());
    let caller = Caller::start(&server, &["--role", "api"]);
    let found = caller.post_csv("/v1/preflight?quality=30", &catalogue(&origin)).json();
    assert_eq!(
        (&found["rows"], &found["images"], &found["problemsTotal"]),
        (&2.into(), &3.into(), &1.into()),
        "{found}"
    );
    assert_eq!(found["problems"][0]["code"], "fetch.status", "{found}");
    assert_eq!((&found["problems"][0]["line"], &found["problems"][0]["position"]), (&2.into(), &2.into()));
    assert_eq!((&found["origins"][0]["probed"], &found["origins"][0]["failed"]), (&3.into(), &1.into()));
    let [before, after] = ["bytesBefore", "bytesAfter"].map(|name| found["estimate"][name].as_u64().unwrap());
    assert!(after < before, "{found}");
    assert_eq!(caller.post_csv("/v1/preflight?probe=0", "a").code(), "query.invalid");
    assert_eq!(caller.post_csv("/v1/preflight", "Name,Image Urls\nbroken\n").code(), "catalogue.row");
    assert_eq!(caller.get("/v1/requests", &[]).json()["data"], json!([]), "nothing is stored");
    // The same without JavaScript: a page with what was found, and what was said still in the form.
    let (content_type, body) = form("file", &catalogue(&origin), &[("quality", "30"), ("format", "webp")]);
    let page =
        caller.post("/requests/new/look", &[("content-type", &content_type), ("origin", &caller.url)], body);
    assert_eq!(page.status, 200, "{page:?}");
    for shown in [
        "3 pictures in 2 rows",
        "SSIMULACRA2",
        "/v1/preview/pictures/",
        "value=\"30\"",
        "line 2, picture 2",
        "value=\"webp\" selected",
    ] {
        assert!(page.text.contains(shown), "{shown}: {}", page.text);
    }
}
