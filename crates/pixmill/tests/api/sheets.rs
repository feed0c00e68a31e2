//! Spreadsheets and JSON, handed in over HTTP as a form's file and as the body itself.

use flate2::Crc;
use serde_json::Value;

use crate::caller::{Answer, Caller};
use crate::cases::origin;
use crate::server::Server;

/// A ZIP file of these parts, as they are.
fn archive(parts: &[(&str, &str)]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, text) in parts {
        let mut crc = Crc::new();
        crc.update(text.as_bytes());
        let [length, name_length] =
            [text.len(), name.len()].map(|length| u32::try_from(length).expect("short"));
        let mut head = vec![20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0];
        head.extend([crc.sum(), length, length].into_iter().flat_map(u32::to_le_bytes));
        head.extend([name_length as u16, 0].into_iter().flat_map(u16::to_le_bytes));
        let at = u32::try_from(bytes.len()).expect("short");
        directory.extend(b"PK\x01\x02\x14\0");
        directory.extend(&head);
        directory.extend([0; 10]);
        directory.extend(at.to_le_bytes());
        directory.extend(name.as_bytes());
        bytes.extend(b"PK\x03\x04");
        bytes.extend(head);
        bytes.extend([name.as_bytes(), text.as_bytes()].concat());
    }
    let [count, size, at] =
        [parts.len(), directory.len(), bytes.len()].map(|n| u32::try_from(n).expect("short"));
    bytes.extend(directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend([count as u16; 2].into_iter().flat_map(u16::to_le_bytes));
    bytes.extend([size, at].into_iter().flat_map(u32::to_le_bytes));
    bytes.extend([0; 2]);
    bytes
}

fn sheet(rows: &[&[&str]]) -> String {
    let cell = |text: &&str| format!("<c t=\"inlineStr\"><is><t>{text}</t></is></c>");
    let row = |cells: &&[&str]| format!("<row>{}</row>", cells.iter().map(cell).collect::<String>());
    format!("<worksheet><sheetData>{}</sheetData></worksheet>", rows.iter().map(row).collect::<String>())
}

/// A workbook of two sheets with pictures.
fn workbook(base: &str) -> Vec<u8> {
    let [cap, fade] = [format!("{base}/caps.jpg"), format!("{base}/motocross-fade.png")];
    archive(&[
        (
            "xl/workbook.xml",
            "<workbook xmlns:r=\"r\"><sheets><sheet name=\"Caps\" sheetId=\"1\" r:id=\"rId1\"/>\
             <sheet name=\"Jugs\" sheetId=\"2\" r:id=\"rId2\"/></sheets></workbook>",
        ),
        (
            "xl/_rels/workbook.xml.rels",
            "<Relationships><Relationship Id=\"rId1\" Type=\"x/worksheet\" Target=\"worksheets/sheet1.xml\"/>\
             <Relationship Id=\"rId2\" Type=\"x/worksheet\" Target=\"worksheets/sheet2.xml\"/></Relationships>",
        ),
        ("xl/worksheets/sheet1.xml", &sheet(&[&["Name", "Image"], &["Cap", &cap], &["Hat", &cap]])),
        ("xl/worksheets/sheet2.xml", &sheet(&[&["Name", "Image"], &["Jug, red", &fade]])),
    ])
}

/// Hands a file in within a form, a field before it.
fn posted(caller: &Caller, path: &str, (name, bytes): (&str, &[u8]), (field, value): (&str, &str)) -> Answer {
    let before = format!(
        "--edge\r\nContent-Disposition: form-data; name=\"{field}\"\r\n\r\n{value}\r\n\
         --edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n"
    );
    let body = [before.as_bytes(), bytes, b"\r\n--edge--\r\n"].concat();
    caller.post(path, &[("content-type", "multipart/form-data; boundary=edge")], body)
}

#[test]
fn a_spreadsheet_is_taken_in_and_given_back_as_csv() {
    let (origin, server) = (origin(), Server::new());
    let caller = Caller::start(&server, &[]);
    let book = workbook(&origin.url(""));
    let xlsx = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
    let raw = |path: &str| caller.post(path, &[("content-type", xlsx)], &book);
    let looked = raw("/v1/preview").json();
    assert_eq!((&looked["understood"]["sheet"], &looked["images"]), (&"Caps".into(), &2.into()), "{looked}");
    let other = posted(&caller, "/v1/preview", ("shop.xlsx", &book), ("sheet", "Jugs")).json();
    assert_eq!((&other["understood"]["sheet"], &other["images"]), (&"Jugs".into(), &1.into()), "{other}");
    let first = raw("/v1/requests?name=shop.xlsx").id();
    let second = posted(&caller, "/v1/requests", ("shop.xlsx", &book), ("sheet", "2")).id();
    for (id, rows) in [(&first, 2), (&second, 1)] {
        let request = caller.wait_for(id);
        assert_eq!((&request["rows"], &request["failedImages"]), (&rows.into(), &0.into()), "{request}");
    }
    let again = caller.get(&format!("/v1/requests/{second}/catalogue"), &[]);
    assert_eq!(again.header("content-type"), "text/csv; charset=utf-8");
    assert_eq!(again.header("content-disposition"), "attachment; filename=\"shop.csv\"");
    let output = format!("{}/processed_images/{second}/000001-01-motocross-fade.jpg", caller.url);
    let lines: Vec<&str> = again.text.lines().collect();
    assert_eq!(lines, ["Name,Image", &format!("\"Jug, red\",{output}")]);
    let file = server.data().join("shop.xlsx");
    std::fs::write(&file, &book).expect("a file");
    let arguments = ["submit", file.to_str().expect("UTF-8"), "--sheet", "Jugs", "--server", &caller.url];
    let submitted = server.pixmill(&arguments).output().expect("it runs");
    let request: Value = serde_json::from_slice(&submitted.stdout).expect("JSON");
    assert_eq!((&request["catalogue"], &request["rows"]), (&"shop.xlsx".into(), &1.into()), "{request}");
}

#[test]
fn records_of_json_are_taken_in_and_given_back_as_they_came() {
    let (origin, server) = (origin(), Server::new());
    let caller = Caller::start(&server, &[]);
    let picture = origin.url("/caps.jpg");
    let array = format!(
        "[\n  {{\"name\": \"Cap\", \"image\": \"{picture}\"}},\n  {{\"name\": \"Hat\", \"image\": null}}\n]\n"
    );
    let lines = format!(
        "{{\"name\":\"Cap\",\"image\":\"{picture}\"}}\n{{\"name\":\"Hat\",\"image\":\"{picture}?2\"}}\n"
    );
    for (media_type, name, text) in
        [("application/json", "shop.json", &array), ("application/x-ndjson", "shop.jsonl", &lines)]
    {
        let path = format!("/v1/requests?name={name}");
        let raw = caller.post(&path, &[("content-type", media_type)], text).id();
        let from_form = posted(&caller, "/v1/requests", (name, text.as_bytes()), ("quality", "40")).id();
        for id in [raw, from_form] {
            let request = caller.wait_for(&id);
            assert_eq!((&request["rows"], &request["failedImages"]), (&2.into(), &0.into()), "{request}");
            let output = |number: &str| format!("{}/processed_images/{id}/{number}-01-caps.jpg", caller.url);
            let want = text.replace(&format!("{picture}?2"), &output("000002"));
            let want = want.replace(&format!("{picture}\""), &format!("{}\"", output("000001")));
            let again = caller.get(&format!("/v1/requests/{id}/catalogue"), &[]);
            assert_eq!(again.text, want);
            assert_eq!(again.header("content-disposition"), format!("attachment; filename=\"{name}\""));
            assert!(again.header("content-type").starts_with(media_type), "{again:?}");
        }
    }
}
