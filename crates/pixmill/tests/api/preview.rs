//! Looks at catalogues before they are handed in.

use serde_json::{Value, json};

use crate::caller::{Caller, form};
use crate::server::Server;

const EXPORT: &str = "Exported on Monday,,,,,\n\
    Handle,Title,Product URL,Image Src,Image Alt Text,Swatch\n\
    cap,\"Cap, red\",https://shop.example/cap,\"https://cdn.example/1.jpg?v=1, https://cdn.example/2.jpg\",Front,\n\
    cap,,,N/A,,pics/s.png\nbroken\n\
    cup,Cup,https://shop.example/cup,https://img.example:8080/3.jpg,,https://cdn.example/2.jpg\n";

#[test]
fn a_preview_says_what_a_catalogue_is_understood_as_and_stores_nothing() {
    let server = Server::new();
    let caller = Caller::start(&server, &["--role", "api"]);
    let (content_type, body) = form("file", EXPORT, &[]);
    let looked = caller.post("/v1/preview", &[("content-type", &content_type)], body);
    assert_eq!(looked.status, 200, "{looked:?}");
    insta::assert_snapshot!("preview", serde_json::to_string_pretty(&looked.json()).expect("JSON"));
    for media_type in ["text/csv", "application/octet-stream"] {
        let raw = caller.post("/v1/preview", &[("content-type", media_type)], EXPORT);
        assert_eq!(raw.json(), looked.json(), "in whatever form it comes");
    }
    let suggested = &looked.json()["suggested"];
    let said = |name: &str| suggested[name].as_str().unwrap_or_default().replace(' ', "%20");
    let mut path =
        format!("/v1/preview?nameColumn={}&headerRow={}", said("nameColumn"), suggested["headerRow"]);
    for column in suggested["column"].as_array().expect("a list") {
        path += &format!("&column={}", column.as_str().expect("a name").replace(' ', "%20"));
    }
    let as_suggested = caller.post_csv(&path, EXPORT).json();
    assert_eq!(as_suggested["rows"], looked.json()["rows"], "what is suggested reads alike");
    assert_eq!(caller.get("/v1/requests", &[]).json()["data"], json!([]));
}

#[test]
fn what_is_said_of_a_catalogue_counts_in_its_preview() {
    let server = Server::new();
    let caller = Caller::start(&server, &["--role", "api"]);
    let text = "a;b;c\nx;y;z\n1;2;https://cdn.example/1.jpg\n";
    let (_, file) = form("file", text, &[]);
    let fields = [("column", "3"), ("name_column", "2"), ("headerRow", "2"), ("delimiter", ";")];
    let before: String = fields
        .iter()
        .map(|(name, value)| {
            format!("--edge\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        })
        .collect();
    let headers = [("content-type", "multipart/form-data; boundary=edge")];
    let looked = caller.post("/v1/preview", &headers, before + &file).json();
    assert_eq!(looked["understood"]["header_line"], 2, "{looked}");
    let role = |column: usize| looked["columns"][column]["role"].as_str().unwrap_or_default().to_owned();
    assert_eq!([role(0), role(1), role(2)], ["other", "name", "picture"]);
    assert_eq!(looked["rows"][0]["images"], json!([{"column": 3, "url": "https://cdn.example/1.jpg"}]));
}

#[test]
fn the_first_bytes_of_a_file_are_enough_and_what_is_cut_is_no_bad_row() {
    let server = Server::new();
    let caller = Caller::start(&server, &["--role", "api"]);
    let mut text = String::from("sku,name,Image,Gallery\n");
    for number in 0..2_000 {
        text += &format!(
            "{number},Cap,https://cdn.example/{number}.jpg,\"https://cdn.example/{number}-2.jpg\"\n"
        );
    }
    let whole = caller.post_csv("/v1/preview", &text).json();
    assert_eq!((&whole["images"], &whole["partial"]), (&4_000.into(), &false.into()));
    for (beginning, path) in [(&text[..65_536], "/v1/preview"), (&text[..40_001], "/v1/preview?partial=true")]
    {
        let looked = caller.post_csv(path, beginning).json();
        assert_eq!((&looked["partial"], &looked["rowErrorsTotal"]), (&true.into(), &0.into()), "{looked}");
        assert_eq!(looked["rows"], whole["rows"]);
        assert_eq!(looked["rows"].as_array().map(Vec::len), Some(20));
        assert_eq!(looked["images"].as_u64(), looked["understood"]["rows"].as_u64().map(|rows| 2 * rows));
        assert_eq!(looked["hosts"][0]["images"], looked["images"]);
    }
}

#[test]
fn what_cannot_be_previewed_is_a_problem_that_says_why() {
    let server = Server::new();
    let caller = Caller::start(&server, &["--role", "api"]);
    let problem = |path: &str, content_type: &str, body: &str| {
        let answer = caller.post(path, &[("content-type", content_type)], body);
        (answer.status, answer.code(), answer.json())
    };
    let (status, code, body) = problem("/v1/preview", "text/csv", "name,price\nCap,5\n");
    assert_eq!((status, code.as_str(), &body["errors"][0]["line"]), (422, "catalogue.header", &1.into()));
    let (status, code, _) = problem("/v1/preview", "text/csv", "%PDF-1.7\n");
    assert_eq!((status, code.as_str()), (422, "catalogue.encoding"));
    let (status, code, body) = problem("/v1/preview?delimiter=ab", "text/csv", "a\n");
    assert_eq!((status, code.as_str()), (422, "recipe.invalid"));
    assert_eq!(body["errors"][0]["field"], "delimiter");
    assert_eq!(problem("/v1/preview?partial=x", "text/csv", EXPORT).1, "query.invalid");
    assert_eq!(problem("/v1/preview", "image/png", "x").1, "body.media_type");
    assert_eq!(
        problem("/v1/preview", "multipart/form-data; boundary=edge", "--edge--\r\n").1,
        "body.malformed"
    );
    let (content_type, late) = form("file", "name,price\nCap,5\n", &[("column", "2")]);
    let (_, code, body) = problem("/v1/preview", &content_type, &late);
    assert_eq!(code, "body.malformed");
    assert!(body["detail"].as_str().unwrap_or_default().contains("before it in the form"), "{body}");
    let rows = caller.post_csv("/v1/preview", "name,image\nCap,\nCup,N/A\n").json();
    let warning = rows["warnings"][0].as_str().unwrap_or_default();
    assert!(warning.contains("no picture was found in 2 rows"), "{rows}");
    assert_ne!(rows["rows"], Value::Null);
}
