use serde_json::{Value, json};

use super::*;
use crate::code::Code;
use crate::model::image::{Failure, Output};
use crate::stack::scope::End;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn read(told: &Value) -> Result<Table, Wrong> {
    Table::read(told, &|name| (name == "API_KEY").then(|| "secret".to_owned()))
}

fn told(items: Option<&str>, url: &str, returns: Value, fails: Option<&str>) -> Value {
    let mut told = json!({ "queue": "q", "url": url, "returns": returns });
    items.into_iter().for_each(|items| told["items"] = items.into());
    fails.into_iter().for_each(|fails| told["fails"] = fails.into());
    told
}

fn table(items: Option<&str>, url: &str, returns: Value, fails: Option<&str>) -> Table {
    read(&told(items, url, returns, fails)).unwrap()
}

fn stored(location: &str) -> End {
    let output = Output { location: location.into(), bytes_before: 9, bytes_after: 5, frames: 1 };
    End { output: Some(output), failure: None }
}

fn failed() -> End {
    let failure = Failure { code: Code::FetchStatus, message: "the server answered 404".into() };
    End { output: None, failure: Some(failure) }
}

/// How a job ends whose pictures ended so.
fn done(table: &Table, data: &Value, ends: &[End]) -> Done {
    let products = table.products(data).unwrap();
    let pictures = table.pictures(&products).unwrap();
    table.done(&Scope { products: &products, pictures: &pictures, ends, ..Scope::of(data, NOW) })
}

fn urls(table: &Table, data: &Value) -> Result<Vec<String>, String> {
    let pictures = table.pictures(&table.products(data)?)?;
    Ok(pictures.into_iter().map(|picture| picture.url).collect())
}

#[test]
fn a_picture_a_job_returns_what_its_table_says() {
    let returns = json!({
        "outputUrl": "$output", "requestId": "$.requestId", "product": "$.productOid", "bytes": "$bytes",
        "none": "$.nothing", "said": "$$output", "name": "{$.requestId}-{$position}.jpg", "lacking": "$error|none",
    });
    let table = table(None, "$.url", returns, None);
    let data = json!({ "url": "http://a/1.jpg", "requestId": "r", "productOid": "p" });
    let value = json!({
        "outputUrl": "https://cdn/1.jpg", "requestId": "r", "product": "p", "bytes": 5, "none": null,
        "said": "$output", "name": "r-0.jpg", "lacking": "none",
    });
    assert_eq!(done(&table, &data, &[stored("https://cdn/1.jpg")]), Done::Completed(value));
    let Done::Failed(reason) = done(&table, &data, &[failed()]) else { panic!("it failed") };
    assert_eq!(reason, "fetch.status: the server answered 404");
}

#[test]
fn a_list_a_job_returns_an_entry_for_each() {
    let returns =
        json!([{ "url": "$output", "error": "$error", "place": "$position", "metadata": "@.metadata" }]);
    let table = table(Some("$.data[*]"), "$.url", returns, None);
    let data = json!({ "data": [{ "url": " http://a/1.jpg", "metadata": { "sku": 1 } }, { "url": "http://a/2.jpg" }] });
    assert_eq!(urls(&table, &data).unwrap(), [" http://a/1.jpg", "http://a/2.jpg"]);
    let value = json!([
        { "url": "https://cdn/1.jpg", "error": null, "place": 0, "metadata": { "sku": 1 } },
        { "url": null, "error": "fetch.status: the server answered 404", "place": 1, "metadata": null },
    ]);
    assert_eq!(done(&table, &data, &[stored("https://cdn/1.jpg"), failed()]), Done::Completed(value));
    assert_eq!(done(&table, &json!({ "data": [] }), &[]), Done::Completed(json!([])));
}

#[test]
fn when_a_job_fails_is_for_the_table_to_say() {
    let data = json!({ "data": [{ "url": "a" }, { "url": "b" }] });
    let fails = |fails, ends: &[End]| {
        let table = table(Some("$.data[*]"), "$.url", json!(["$output"]), Some(fails));
        matches!(done(&table, &data, ends), Done::Failed(_))
    };
    let (some, all) = ([stored("x"), failed()], [failed(), failed()]);
    assert_eq!([fails("any", &some), fails("all", &some), fails("never", &some)], [true, false, false]);
    assert_eq!([fails("any", &all), fails("all", &all), fails("never", &all)], [true, true, false]);
}

#[test]
fn what_a_job_lacks_is_told() {
    let list = table(Some("$.data[*]"), "$.url", json!(["$output"]), None);
    for data in [json!({}), json!({ "data": "text" }), json!(null), json!({ "data": [{ "link": "a" }] })] {
        assert!(list.fits(&data).is_err(), "{data}");
    }
    let second = urls(&list, &json!({ "data": [{ "url": "a" }, {}] })).unwrap().remove(1);
    assert_eq!(second, "", "it ends as url.invalid");
    let one = table(None, "$.urls[*]", json!("$output"), None);
    assert!(one.fits(&json!({ "url": "a" })).is_err());
}

/// One that looks documents up.
fn of_documents() -> Value {
    json!({
        "queue": "q", "items": "$.inputUrls[*]", "url": "$",
        "documents": { "collection": "products", "filter": { "_id": "oid($.productId)", "requestId": "$.requestId" } },
        "request": {
            "collection": "requests", "filter": { "requestId": "$.requestId" }, "total": "$request.total",
            "ended": ["$request.done", "$failed"], "update": { "$set": { "status": "COMPLETED", "at": "$now" } },
        },
        "write": [{ "on": "product", "collection": "products", "update": { "$set": { "outputUrls": ["$output|"] } } }],
    })
}

#[test]
fn what_is_looked_for_is_only_what_a_job_names_in_full() {
    let table = read(&of_documents()).unwrap();
    let id = "507f1f77bcf86cd799439011";
    assert_eq!(table.fits(&json!({ "productId": id, "requestId": "r" })), Ok(()));
    for strange in [
        json!({ "productId": id }),
        json!({ "productId": id, "requestId": null }),
        json!({ "productId": id, "requestId": { "$ne": null } }),
        json!({ "productId": id, "requestId": ["r"] }),
        json!({ "productId": "7", "requestId": "r" }),
    ] {
        assert!(table.fits(&strange).is_err(), "{strange}");
    }
    let data = json!({ "productId": id, "requestId": "r" });
    let Source::Documents(lookup) = &table.source else { panic!("they are in documents") };
    let filter = lookup.filter.filter(&Scope::of(&data, NOW)).unwrap();
    assert_eq!(filter, json!({ "_id": { "$oid": id }, "requestId": "r" }));
}

#[test]
fn products_have_their_own_pictures_and_what_failed_stands_at_its_place() {
    let mut told = of_documents();
    told.as_object_mut().unwrap().remove("documents");
    told["products"] = "$.products[*]".into();
    told["write"][0]["filter"] = json!({ "name": "$product.name" });
    let table = read(&told).unwrap();
    let data = json!({ "requestId": "r", "products": [
        { "name": "cap", "inputUrls": ["a", "b"] }, { "name": "mug", "inputUrls": [] }, { "name": "pen", "inputUrls": ["c"] },
    ] });
    let products = table.products(&data).unwrap();
    let pictures = table.pictures(&products).unwrap();
    let ends = [stored("x"), failed(), stored("z")];
    let scope = Scope { products: &products, pictures: &pictures, ends: &ends, ..Scope::of(&data, NOW) };
    let Act::Update { filter: Some(filter), update, repeatable: true } = &table.writes[0].act else {
        panic!("it sets")
    };
    let of = |product| {
        let scope = Scope { product: Some(product), ..scope };
        (
            filter.filter(&scope).unwrap()["name"].clone(),
            update.written(&scope).unwrap()["$set"]["outputUrls"].clone(),
        )
    };
    assert_eq!(of(0), (json!("cap"), json!(["x", ""])));
    assert_eq!(of(1), (json!("mug"), json!([])));
    assert_eq!(of(2), (json!("pen"), json!(["z"])));
    assert_eq!(table.field().as_deref(), Some("inputUrls"));
}

#[test]
fn places_in_arrays_are_named_by_keys_and_lead_nowhere_else() {
    let told = json!({
        "queue": "q", "url": "$.url",
        "write": { "on": "completed", "collection": "r", "filter": { "_id": "$.id" },
                   "update": { "$set": { "products.{$.product}.outputs.{$.index}": "$output" } } },
    });
    let table = read(&told).unwrap();
    let Act::Update { update, .. } = &table.writes[0].act else { panic!("it updates") };
    let key = |data: Value| update.written(&Scope::of(&data, NOW)).map(|update| update["$set"].to_string());
    let place = key(json!({ "product": 2, "index": 0 }));
    assert_eq!(place.unwrap(), r#"{"products.2.outputs.0":null}"#);
    for strange in [json!("0.$x"), json!("a.b"), json!(""), json!(null), json!({ "$oid": 1 })] {
        assert!(key(json!({ "product": strange, "index": 0 })).is_err(), "{strange}");
    }
}

#[test]
fn ids_of_new_documents_are_the_same_whenever_a_job_comes_again() {
    let data = json!({ "url": "a" });
    let pictures = [0, 1].map(|position| Picture { product: 0, position, said: json!("a"), url: "a".into() });
    let id = |seed, picture| {
        let scope = Scope { pictures: &pictures, picture, seed, ..Scope::of(&data, NOW) };
        scope.id()["$oid"].as_str().unwrap().to_owned()
    };
    assert_eq!(id(1, Some(0)), id(1, Some(0)));
    assert_eq!(id(1, Some(0)).len(), 24);
    let all = [id(1, Some(0)), id(1, Some(1)), id(2, Some(0)), id(1, None)];
    assert!((0..4).all(|one| (0..one).all(|other| all[one] != all[other])), "{all:?}");
}

#[test]
fn what_counts_or_appends_is_not_done_twice_and_what_sets_may_be() {
    for (update, repeatable) in [
        (json!({ "$set": { "a": 1 } }), true),
        (json!({ "$set": { "a": 1 }, "$inc": { "n": 1 } }), false),
        (json!({ "$push": { "outputs": "$output" } }), false),
    ] {
        let write =
            json!({ "on": "completed", "collection": "r", "filter": { "_id": "$.id" }, "update": update });
        let table = read(&json!({ "queue": "q", "url": "$.url", "write": [write] })).unwrap();
        let Act::Update { repeatable: found, .. } = table.writes[0].act else { panic!("it updates") };
        assert_eq!(found, repeatable, "{update}");
    }
}

#[test]
fn a_tables_mistake_is_told_with_its_key_and_what_is_allowed() {
    let wrong = |change: &dyn Fn(&mut Value)| {
        let mut told = of_documents();
        change(&mut told);
        let wrong = read(&told).unwrap_err();
        (wrong.path.join("."), wrong.told)
    };
    type Change<'a> = &'a dyn Fn(&mut Value);
    let cases: [(Change<'_>, &str, &str); 16] = [
        (&|told| told["items"] = "data[*]".into(), "items", "RFC 9535"),
        (&|told| told["returns"] = json!({ "a": "$outputs" }), "returns.a", "$output"),
        (&|told| told["returns"] = json!(["$output", "$url"]), "returns", "one element"),
        (&|told| told["returns"] = json!([["$output"]]), "returns", "in a list"),
        (&|told| told["returns"] = "@.[".into(), "returns", "RFC 9535"),
        (&|told| told["fails"] = "some".into(), "fails", "any, all, never"),
        (&|told| told["dialect"] = "bull".into(), "dialect", "bullmq"),
        (&|told| told["documents"]["filter"] = json!({}), "documents.filter", "a document with fields"),
        (&|told| told["documents"]["filter"]["a"] = "$output".into(), "documents.filter.a", "none has ended"),
        (
            &|told| told["documents"]["filter"]["a"] = "$request.a".into(),
            "documents.filter.a",
            "not known here",
        ),
        (
            &|told| told["documents"]["collection"] = "pixmill_ends".into(),
            "documents.collection",
            "an application's",
        ),
        (
            &|told| told["write"][0]["on"] = "done".into(),
            "write.0.on",
            "start, completed, failed, picture, product, job",
        ),
        (&|told| told["write"][0]["collection"] = "other".into(), "write.0.filter", "which document"),
        (
            &|told| told["write"][0]["update"]["$set"]["a"] = "$output".into(),
            "write.0.update.$set.a",
            "[\"$output\"]",
        ),
        (&|told| told["request"]["total"] = "$.total".into(), "request.total", "count("),
        (
            &|told| told["request"]["update"] = json!({ "$inc": { "n": 1 } }),
            "request.update",
            "value of its own",
        ),
    ];
    for (change, path, allowed) in cases {
        let (place, told) = wrong(change);
        assert_eq!(place, path, "{told}");
        assert!(told.contains(allowed), "{path}: {told}");
    }
}

#[test]
fn a_request_is_known_as_complete_by_what_completed_it() {
    let complete = |set: Value| {
        let mut told = of_documents();
        told["request"]["update"]["$set"] = set;
        read(&told).map(|table| table.request.unwrap())
    };
    let data = json!({ "userId": "507f1f77bcf86cd799439011", "requestId": "r" });
    for set in [
        json!({ "status": "COMPLETED", "by": "oid($.userId)" }),
        json!({ "status": "COMPLETED", "at": "$now", "id": "$id", "total": "$total", "of": "$request.name" }),
        json!({ "status": "COMPLETED", "in {$.userId}": "said", "by": "user {$.userId}", "all": ["$.userId"] }),
        json!({ "status": "$$done", "note": "a {brace}", "way{}": 1, "error": null, "key": "$env.API_KEY" }),
    ] {
        let told = complete(set.clone()).unwrap();
        let mut written = told.update.written(&Scope::of(&data, NOW)).unwrap()["$set"].take();
        assert!(told.is_complete(&written), "{set}: {:?}", told.marks);
        written["status"] = "PENDING".into();
        assert!(!told.is_complete(&written), "{set}: {:?}", told.marks);
    }
    let by_job = complete(json!({ "by": "oid($.userId)" })).unwrap_err();
    assert_eq!(by_job.path.join("."), "request.update");
    // Workers need not have the same environment.
    let by_worker = complete(json!({ "by": "$env.API_KEY" })).unwrap_err();
    assert_eq!(by_worker.path.join("."), "request.update");
}

#[test]
fn secrets_of_webhooks_come_from_the_environment() {
    let hook = |headers: Value| {
        let hook = json!({ "on": "completed", "url": "http://shop/hook", "headers": headers, "body": { "url": "$output" } });
        read(&json!({ "queue": "q", "url": "$.url", "returns": null, "webhook": [hook] }))
    };
    let table = hook(json!({ "X-API-Key": "$env.API_KEY" })).unwrap();
    assert_eq!(table.hooks[0].headers, [("x-api-key".to_owned(), "secret".to_owned())]);
    let wrong = hook(json!({ "X-API-Key": "$env.OTHER" })).unwrap_err();
    assert!(wrong.told.contains("OTHER"), "{wrong:?}");
    assert!(hook(json!({ "X API": "a" })).is_err() && hook(json!({ "a": "$.secret" })).is_err());
}
