//! What the HTTP API does whatever its records stand on.

use std::process::Output;
use std::thread::sleep;
use std::time::{Duration, Instant};

use pixmill_testkit::collector::{Collector, Told};
use pixmill_testkit::origin::{Origin, Settings};
use pixmill_testkit::sink::{Reply, Sink};
use serde_json::{Value, json};

use crate::caller::{Caller, form};
use crate::seeded;
use crate::server::{Process, Server};

pub(crate) fn origin() -> Origin {
    Origin::start(Settings::serving(seeded::pictures())).expect("the origin starts")
}

/// A catalogue of two good pictures and one that is missing.
pub(crate) fn catalogue(origin: &Origin) -> String {
    let [good, gone] = [origin.url("/caps.jpg"), origin.url("/x/status/404")];
    format!("S. No.,Product Name,Input Image Urls\n1,Cap,\"{good}, {gone}\"\n2,Other cap,{good}?2\n")
}

pub(crate) fn pixmill(server: &Server, arguments: &[&str]) -> Output {
    server.pixmill(arguments).output().unwrap()
}

pub(crate) fn key(server: &Server, arguments: &[&str]) -> String {
    let data = server.data();
    let all = [&["keys", "create", "--data", data.to_str().unwrap()], arguments].concat();
    let output = pixmill(server, &all);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

pub(crate) fn a_catalogue_is_taken_in_whatever_form_it_comes_in(server: &Server) {
    let origin = origin();
    let caller = Caller::start(server, &["--public-url", "https://shop.example"]);
    let catalogue = catalogue(&origin);
    let (content_type, body) = form("csvFile", &catalogue, &[("quality", "30"), ("other", "x")]);
    let from_form = caller.post("/v1/requests", &[("content-type", &content_type)], body);
    let from_csv = caller.post_csv("/v1/requests?quality=30&name=shop.csv", &catalogue);
    let listed = json!({"products": [
        {"name": "Cap", "images": [origin.url("/caps.jpg"), origin.url("/x/status/404")]},
        {"name": "Other cap", "images": [format!("{}?2", origin.url("/caps.jpg"))]},
    ], "recipe": {"quality": 30}});
    let from_json = caller.post(
        "/v1/requests?name=shop.csv",
        &[("content-type", "application/json")],
        listed.to_string(),
    );
    let mut outputs = Vec::new();
    for answer in [&from_form, &from_csv, &from_json] {
        assert_eq!(answer.status, 202, "{answer:?}");
        let id = answer.id();
        assert_eq!(answer.header("location"), format!("https://shop.example/v1/requests/{id}"));
        let request = caller.wait_for(&id);
        for (name, value) in [("totalImages", 3), ("processedImages", 3), ("failedImages", 1), ("rows", 2)] {
            assert_eq!(request[name], value, "{name} of {request}");
        }
        assert_eq!((&request["catalogue"], &request["request_id"]), (&"shop.csv".into(), &id.clone().into()));
        let results = caller.get(&format!("/v1/requests/{id}/results.csv"), &[]);
        assert_eq!(results.header("content-type"), "text/csv; charset=utf-8");
        let output = format!("https://shop.example/processed_images/{id}/000001-01-caps.jpg");
        assert!(results.text.contains(&output), "{}", results.text);
        outputs.push(caller.get(&format!("/processed_images/{id}/000001-01-caps.jpg"), &[]));
    }
    assert!(outputs.iter().all(|output| output.text == outputs[0].text), "one recipe, one picture");
    let listed = caller.get("/v1/requests?limit=2&status=completed", &[]).json();
    assert_eq!((listed["data"].as_array().unwrap().len(), &listed["has_more"]), (2, &true.into()));
    let cursor = listed["next_cursor"].as_str().unwrap();
    let rest = caller.get(&format!("/v1/requests?cursor={cursor}"), &[]).json();
    assert_eq!((&rest["data"][0]["id"], &rest["has_more"]), (&from_form.id().into(), &false.into()));
    let usage = caller.get("/v1/usage", &[]).json();
    assert_eq!(
        (&usage["requests"], &usage["images"], &usage["failedImages"]),
        (&3.into(), &9.into(), &3.into())
    );
    let [week] = usage["weeks"].as_array().unwrap().as_slice() else { panic!("of one week: {usage}") };
    assert_eq!((&week["requests"], &week["bytesAfter"]), (&3.into(), &usage["bytesAfter"]));
    assert!(week["week"].as_str().unwrap().ends_with("T00:00:00.000Z"), "{usage}");
    let formats = usage["formats"].as_array().unwrap();
    let sum = |name: &str| formats.iter().map(|format| format[name].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("requests"), sum("images"), sum("failedImages")), (3, 9, 3), "{usage}");
    assert!(formats.iter().any(|format| format["format"] == "jpeg"), "{usage}");
}

pub(crate) fn failed_images_are_corrected_and_retried(server: &Server) {
    let origin = origin();
    let sink = Sink::start(|_| Reply::from(200)).expect("a sink");
    let caller = Caller::start(server, &[]);
    let (content_type, body) = form("file", &catalogue(&origin), &[("webhook_url", &sink.url("/hook"))]);
    let id = caller.post("/v1/requests", &[("content-type", &content_type)], body).id();
    caller.wait_for(&id);
    let path = format!("/v1/requests/{id}/failed.csv");
    let failed = caller.get(&path, &[]).text;
    let lines: Vec<_> = failed.lines().collect();
    assert_eq!(lines[0], "Row,Position,S. No.,Product Name,Input Image Urls,Image Errors");
    let gone = origin.url("/x/status/404");
    assert!(lines.len() == 2 && lines[1].starts_with(&format!("1,2,1,Cap,{gone},fetch.status ")), "{failed}");
    let retry = format!("/v1/requests/{id}/retry");
    let wrong = caller.post_csv(&retry, &failed.replace("\n1,2,", "\n2,1,"));
    assert_eq!((wrong.status, wrong.code().as_str()), (422, "catalogue.row"));
    assert_eq!(wrong.json()["errors"][0]["line"], 2);
    let corrected = failed.replace(&gone, &origin.url("/motocross-fade.png"));
    let retried = caller.post_csv(&retry, &corrected);
    assert_eq!((retried.status, &retried.json()["round"]), (202, &2.into()));
    assert_eq!(caller.wait_for(&id)["failedImages"], 0);
    assert_eq!(caller.get(&path, &[]).text.lines().count(), 1);
    assert_eq!(caller.post(&retry, &[], "").code(), "request.state", "nothing is left to retry");
    let heard = sink.wait_for(2, Duration::from_secs(60));
    assert_eq!(heard.len(), 2, "each round is told");
    let deliveries = caller.get(&format!("/v1/webhooks/deliveries?requestId={id}"), &[]).json();
    let told = &deliveries["data"][0];
    assert_eq!(told["body"], heard[1].body, "as it was sent");
    assert!(told["tookMs"].is_u64(), "{told}");
    assert_eq!(
        (&told["headers"]["webhook-timestamp"], &told["headers"]["webhook-signature"]),
        (&heard[1].header("webhook-timestamp").into(), &"v1,***".into())
    );
    let signature = heard[1].header("webhook-signature");
    assert!(!signature.is_empty() && !deliveries.to_string().contains(signature), "{deliveries}");
    let first = deliveries["data"][0]["id"].as_str().unwrap().to_owned();
    let again = caller.post(&format!("/v1/webhooks/deliveries/{first}/redeliver"), &[], "");
    assert_eq!(again.status, 202, "{again:?}");
    let heard = sink.wait_for(3, Duration::from_secs(60));
    assert_eq!(heard[2].header("webhook-id"), deliveries["data"][0]["eventId"].as_str().unwrap());
}

pub(crate) fn a_catalogue_comes_back_with_its_outputs_in_place(server: &Server) {
    let origin = origin();
    let caller = Caller::start(server, &[]);
    let [good, gone, slow] = ["/caps.jpg", "/x/status/404", "/x/hang"].map(|path| origin.url(path));
    let text = format!(
        "\u{feff}#export\r\nSKU;Bild;Preis;Galerie Bilder\r\nC-1;{good};9,50;\"{good} | {gone} \"\r\n\r\nbroken\r\n\
         \"C \"\"2\"\"\";N/A;;{good}?2\r\n"
    );
    let (content_type, body) = form("file", &text, &[]);
    let id = caller.post("/v1/requests", &[("content-type", &content_type)], body).id();
    let request = caller.wait_for(&id);
    let path = format!("/v1/requests/{id}/catalogue");
    assert_eq!(request["links"]["catalogue"], format!("{}{path}", caller.url));
    assert_eq!(request["understood"]["header_line"], 2, "{request}");
    let output = |number: &str| format!("{}/processed_images/{id}/{number}-caps.jpg", caller.url);
    let equal = caller.get(&format!("/v1/requests/{id}/images"), &[]).json();
    assert_eq!(equal["data"][1]["outputUrl"], output("000001-01"), "equal addresses have one output");
    let want = text.replace(&format!("{good}?2"), &output("000003-01"));
    let want = want.replace(&format!("{good};"), &format!("{};", output("000001-01")));
    let want = want.replace(&format!("{good} "), &format!("{} ", output("000001-01")));
    let again = caller.get(&path, &[]);
    assert_eq!((again.status, again.text.as_str()), (200, want.as_str()));
    assert_eq!(again.header("content-type"), "text/csv; charset=utf-8");
    assert_eq!(again.header("content-disposition"), "attachment; filename=\"shop.csv\"");
    // A correction's output stands where the address stood that it replaced.
    let failed = caller.get(&format!("/v1/requests/{id}/failed.csv"), &[]).text;
    let corrected = failed.replace(&gone, &origin.url("/motocross-fade.png"));
    assert_eq!(caller.post_csv(&format!("/v1/requests/{id}/retry"), &corrected).status, 202);
    assert_eq!(caller.wait_for(&id)["failedImages"], 0);
    let fade = format!("{}/processed_images/{id}/000001-03-motocross-fade.jpg", caller.url);
    assert_eq!(caller.get(&path, &[]).text, want.replace(&gone, &fade));
    // While it runs, what has not ended is as it came.
    let running =
        caller.post_csv("/v1/requests?name=a%2Fb%22%C3%BC.csv", &format!("name,image\nCap,{slow}\n"));
    let still = caller.get(&format!("/v1/requests/{}/catalogue", running.id()), &[]);
    assert_eq!(still.text, format!("name,image\nCap,{slow}\n"));
    let name = "attachment; filename=\"b__.csv\"; filename*=UTF-8''b%22%C3%BC.csv";
    assert_eq!(still.header("content-disposition"), name);
    assert_eq!(caller.delete(&format!("/v1/requests/{id}")).status, 204);
    assert_eq!(caller.get(&path, &[]).code(), "request.not_found", "it goes with its request");
    let listed = json!({"images": [good]}).to_string();
    let listed = caller.post("/v1/requests", &[("content-type", "application/json")], listed);
    assert_eq!(listed.json()["links"]["catalogue"], Value::Null);
    let none = caller.get(&format!("/v1/requests/{}/catalogue", listed.id()), &[]);
    assert_eq!((none.status, none.code().as_str()), (409, "request.state"), "no file was handed in");
}

pub(crate) fn watchers_miss_nothing_and_see_nothing_twice(server: &Server) {
    let origin = origin();
    let caller = Caller::start(server, &[]);
    let (catalogue, expected) = seeded::catalogue(&origin.url(""), 12);
    let images = expected.iter().map(Vec::len).sum::<usize>();
    let id = caller.post_csv("/v1/requests", &catalogue).id();
    let created = caller.get(&format!("/v1/requests/{id}"), &[]).json()["createdAt"].clone();
    assert!(created.as_str().unwrap().ends_with('Z'));
    let live = caller.watch(&id, None);
    let (name, end, body) = live.last().expect("events");
    assert_eq!((name.as_str(), &body["status"]), ("completed", &"completed".into()));
    let resumed = caller.watch(&id, Some("0:~"));
    assert_eq!(resumed[0].0, "progress");
    let mut seen: Vec<_> = resumed.iter().filter(|(name, ..)| name == "image").collect();
    assert_eq!(seen.len(), images, "from the beginning all of them");
    let middle = &seen[images / 2].1;
    let rest: Vec<_> =
        caller.watch(&id, Some(middle)).into_iter().filter(|(name, ..)| name == "image").collect();
    assert_eq!(rest.len(), images - images / 2 - 1, "after one of them the others");
    seen.sort_by_key(|(_, _, image)| (image["row"].as_u64(), image["position"].as_u64()));
    seen.dedup_by_key(|(_, _, image)| image["id"].clone());
    assert_eq!(seen.len(), images);
    let processed: Vec<_> = live
        .iter()
        .filter(|(name, ..)| name == "progress")
        .map(|(_, _, body)| body["processedImages"].as_u64())
        .collect();
    assert!(processed.is_sorted(), "progress never falls: {processed:?}");
    let over = caller.get(&format!("/v1/requests/{id}/events"), &[("last-event-id", end)]);
    assert_eq!(over.status, 204, "whoever has heard it all is told to stay away");
    for wrong in ["x", "\u{84}"] {
        let refused = caller.get(&format!("/v1/requests/{id}/events"), &[("last-event-id", wrong)]);
        assert_eq!(refused.code(), "query.invalid", "{wrong:?}");
    }
}

pub(crate) fn a_key_and_a_body_make_one_request(server: &Server) {
    let origin = origin();
    let caller = Caller::start(server, &[]);
    let post = |key: &str, quality: &str, catalogue: &str| {
        let (content_type, body) = form("file", catalogue, &[("quality", quality)]);
        caller.post("/v1/requests", &[("content-type", &content_type), ("idempotency-key", key)], body)
    };
    let catalogue = catalogue(&origin);
    let first = post("k1", "30", &catalogue);
    assert_eq!(post("k1", "30", &catalogue).id(), first.id());
    for other in [post("k1", "31", &catalogue), post("k1", "30", &catalogue.replace("Other", "Third"))] {
        assert_eq!((other.status, other.code().as_str()), (422, "idempotency.mismatch"));
    }
    assert_ne!(post("k2", "30", &catalogue).id(), first.id());
    assert_eq!(post("k3", "30", "no catalogue\n").status, 422);
    assert_eq!(post("k3", "30", &catalogue).status, 202, "what came to nothing may be tried again");
    assert_eq!(post(&"k".repeat(256), "30", &catalogue).code(), "query.invalid");
    let all = caller.get("/v1/requests", &[]).json();
    assert_eq!(all["data"].as_array().unwrap().len(), 3);
}

pub(crate) fn a_tenant_sees_its_own_requests_alone(server: &Server) {
    let origin = origin();
    let [a, b] = ["a", "b"].map(|tenant| format!("Bearer {}", key(server, &["--tenant", tenant])));
    let caller = Caller::start(server, &[]);
    assert_eq!(caller.get("/v1/requests", &[]).code(), "auth.missing", "a key exists, so one is asked for");
    assert_eq!(caller.get("/v1/requests", &[("authorization", "Bearer pxm_x")]).code(), "auth.invalid");
    let headers = [("authorization", a.as_str()), ("content-type", "text/csv")];
    let id = caller.post("/v1/requests", &headers, catalogue(&origin)).id();
    assert_eq!(caller.get(&format!("/v1/requests/{id}"), &headers[..1]).status, 200);
    let other = [("authorization", b.as_str())];
    for path in ["", "/images", "/results.csv", "/failed.csv", "/catalogue", "/events"] {
        let answer = caller.get(&format!("/v1/requests/{id}{path}"), &other);
        assert_eq!((answer.status, answer.code().as_str()), (404, "request.not_found"), "{path}");
    }
    for path in ["cancel", "retry"] {
        assert_eq!(caller.post(&format!("/v1/requests/{id}/{path}"), &other, "").status, 404, "{path}");
    }
    assert_eq!(caller.get("/v1/requests", &other).json()["data"], json!([]));
    assert_eq!(caller.get(&format!("/v1/requests?cursor={id}"), &other).code(), "query.invalid");
    let data = server.data();
    let listed = pixmill(server, &["keys", "list", "--data", data.to_str().unwrap()]);
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(!listed.contains(a.trim_start_matches("Bearer ")), "secrets are shown once");
    let first: Value = serde_json::from_str(listed.lines().next().unwrap()).unwrap();
    let revoke = ["keys", "revoke", first["id"].as_str().unwrap(), "--data", data.to_str().unwrap()];
    assert!(pixmill(server, &revoke).status.success());
    let began = Instant::now();
    while caller.get("/v1/requests", &headers[..1]).status != 401 {
        assert!(began.elapsed().as_secs() < 60, "a revoked key goes on holding");
        sleep(Duration::from_millis(100));
    }
}

pub(crate) fn cancelled_requests_are_deleted_with_their_outputs(server: &Server) {
    let origin = origin();
    let caller = Caller::start(server, &[]);
    let id =
        caller.post_csv("/v1/requests", &format!("Name,Image Urls\nCap,{}\n", origin.url("/x/hang"))).id();
    let path = format!("/v1/requests/{id}");
    assert_eq!(caller.delete(&path).code(), "request.state");
    let cancelled = caller.post(&format!("{path}/cancel"), &[], "");
    assert_eq!((cancelled.status, &cancelled.json()["cancelledImages"]), (200, &1.into()));
    assert_eq!(caller.post(&format!("{path}/cancel"), &[], "").status, 200);
    assert!(caller.watch(&id, None).iter().all(|(name, ..)| name != "completed"), "there is no completion");
    assert_eq!(caller.delete(&path).status, 204);
    assert_eq!(caller.get(&path, &[]).code(), "request.not_found");
    let done = caller.post_csv("/v1/requests", &catalogue(&origin)).id();
    caller.wait_for(&done);
    let folder = server.storage().join("processed_images").join(&done);
    assert!(folder.read_dir().unwrap().count() > 0);
    assert_eq!(caller.post(&format!("/v1/requests/{done}/cancel"), &[], "").code(), "request.state");
    assert_eq!(caller.delete(&format!("/v1/requests/{done}")).status, 204);
    assert_eq!(folder.read_dir().map_or(0, Iterator::count), 0, "outputs go with their request");
}

pub(crate) fn what_ended_long_ago_is_forgotten_with_its_outputs(server: &Server) {
    let (origin, away) = (origin(), Sink::start(|_| 503.into()).expect("the sink starts"));
    let hook = away.url("/hook");
    let caller = Caller::start(server, &["--retention", "1s"]);
    let outputs = |id: &str| {
        let folder = server.storage().join("processed_images").join(id);
        folder.read_dir().map_or(0, Iterator::count)
    };
    let owed = caller.post_csv(&format!("/v1/requests?webhookUrl={hook}"), &catalogue(&origin)).id();
    assert_eq!(caller.wait_for(&owed)["status"], "completed");
    let open = format!("Name,Image Urls\nCap,{}\n", origin.url("/x/hang"));
    let open = caller.post_csv("/v1/requests", &open).id();
    let over = caller.post_csv("/v1/requests", &catalogue(&origin)).id();
    let began = Instant::now();
    while caller.get(&format!("/v1/requests/{over}"), &[]).status != 404 {
        assert!(began.elapsed() < Duration::from_secs(120), "it is kept: {}", server.said());
        sleep(Duration::from_millis(50));
    }
    assert_eq!(outputs(&over), 0, "outputs go with their request");
    assert_eq!(caller.get(&format!("/v1/requests/{open}"), &[]).json()["status"], "processing");
    let kept = caller.get(&format!("/v1/requests/{owed}"), &[]);
    assert_eq!(kept.status, 200, "whose webhook is owed is kept: {kept:?}");
    assert_eq!(outputs(&owed), 2);
}

pub(crate) fn two_processes_answer_as_one(server: &Server) {
    let origin = origin();
    let [one, other] = [(); 2].map(|()| Caller::start(server, &["--role", "api"]));
    let (catalogue, expected) = seeded::catalogue(&origin.url(""), 6);
    let images = expected.iter().map(Vec::len).sum::<usize>();
    let keyed = [("content-type", "text/csv"), ("idempotency-key", "k")];
    let id = one.post("/v1/requests", &keyed, &catalogue).id();
    assert_eq!(other.post("/v1/requests", &keyed, &catalogue).id(), id, "a key makes one request everywhere");
    assert_eq!(other.get(&format!("/v1/requests/{id}"), &[]).json()["totalImages"], images);
    assert!(origin.log().is_empty(), "who answers calls alone fetches nothing");
    let worker = Process::start(&mut server.command(&["--role", "worker"]));
    let ended = |caller: &Caller, from: &str| -> Vec<(String, Value)> {
        let events = caller.watch(&id, Some(from)).into_iter();
        events.filter(|(name, ..)| name == "image").map(|(_, at, image)| (at, image["id"].clone())).collect()
    };
    let mut seen = ended(&one, "0:~");
    assert_eq!(seen.len(), images, "from the beginning all of them");
    let half = ended(&other, &seen[images / 2].0);
    assert_eq!(half, seen.split_off(images / 2 + 1), "a watcher goes on at another process");
    let failed = other.get(&format!("/v1/requests/{id}/failed.csv"), &[]).text;
    assert_eq!(failed, one.get(&format!("/v1/requests/{id}/failed.csv"), &[]).text);
    let hanging = one.post_csv("/v1/requests", &format!("Image Urls\n{}\n", origin.url("/x/hang"))).id();
    let path = format!("/v1/requests/{hanging}");
    assert_eq!(other.post(&format!("{path}/cancel"), &[], "").json()["cancelledImages"], 1);
    assert_eq!(one.get(&path, &[]).json()["status"], "cancelled");
    assert_eq!(one.delete(&path).status, 204);
    assert_eq!(other.get(&path, &[]).code(), "request.not_found");
    for process in [one.process, other.process, worker] {
        process.signal("TERM");
        assert_eq!(process.exit_code(), Some(0), "{}", server.said());
    }
}

/// The trace of a client, and its span.
pub(crate) const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
pub(crate) const CLIENT: &str = "00f067aa0ba902b7";

/// Uploads a catalogue to one process, lets another one work on it, waits for the webhook and stops both. What the
/// webhook was told of the trace.
pub(crate) fn from_upload_to_webhook(server: &Server, headers: &[(&str, &str)]) -> String {
    let (origin, hook) = (origin(), Sink::start(|_| 204.into()).expect("the sink starts"));
    let caller = Caller::start(server, &["--role", "api"]);
    let worker = Process::start(&mut server.command(&["--role", "worker"]));
    let headers = [&[("content-type", "text/csv")], headers].concat();
    let upload = format!("/v1/requests?webhookUrl={}", hook.url("/hook"));
    caller.wait_for(&caller.post(&upload, &headers, catalogue(&origin)).id());
    let heard = hook.wait_for(1, Duration::from_secs(120));
    assert_eq!(heard.len(), 1, "{}", server.said());
    for process in [worker, caller.process] {
        process.signal("TERM");
        assert_eq!(process.exit_code(), Some(0), "{}", server.said());
    }
    heard[0].header("traceparent").to_owned()
}

pub(crate) fn named<'s>(spans: &'s [Told], name: &str) -> Vec<&'s Told> {
    spans.iter().filter(|span| span.name == name).collect()
}

pub(crate) fn one_trace_leads_from_the_clients_upload_to_its_webhook(server: &Server, collector: &Collector) {
    let heard = from_upload_to_webhook(server, &[("traceparent", &format!("00-{TRACE}-{CLIENT}-01"))]);
    let spans = collector.spans();
    for span in &spans {
        assert_eq!((span.trace.as_str(), span.service.as_str()), (TRACE, "pixmill"), "{span:?}");
    }
    let uploads = named(&spans, "upload");
    assert_eq!(uploads.iter().map(|upload| upload.parent.as_str()).collect::<Vec<_>>(), [CLIENT]);
    let images = named(&spans, "image");
    assert_eq!(images.len(), 3, "{spans:#?}");
    for image in &images {
        assert_eq!(image.parent, uploads[0].id, "{image:?}");
        assert_eq!(image.attribute("request"), uploads[0].attribute("request"));
        let failed = image.attribute("position") == "1";
        assert_eq!(
            (image.is_error, image.attribute("code") == "fetch.status"),
            (failed, failed),
            "{image:?}"
        );
        let stages = spans.iter().filter(|span| span.parent == image.id);
        let mut stages: Vec<_> = stages.map(|span| span.name.as_str()).collect();
        stages.sort();
        let expected: &[_] =
            if failed { &["fetch", "settle"] } else { &["fetch", "recompress", "save", "settle"] };
        assert_eq!(stages, expected, "{image:?}");
    }
    let told = named(&spans, "webhook");
    assert_eq!(told.iter().map(|span| span.parent.as_str()).collect::<Vec<_>>(), [uploads[0].id.as_str()]);
    assert_eq!(heard, format!("00-{TRACE}-{}-01", told[0].id), "the receiver can go on with it");
}
