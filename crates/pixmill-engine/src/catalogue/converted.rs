//! Catalogues that come as something else than text: spreadsheets and JSON.

use rawzip::{CompressionMethod, ZipArchiveWriter};
use std::io::Write;

use super::variants::try_read;
use super::*;

/// A ZIP file of these parts.
fn packed(parts: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut archive = ZipArchiveWriter::new(&mut bytes);
    for (name, text) in parts {
        let file = archive.new_file(name).compression_method(CompressionMethod::DEFLATE);
        let (mut entry, config) = file.start().expect("memory does not fail");
        let encoder = flate2::write::DeflateEncoder::new(&mut entry, flate2::Compression::fast());
        let mut writer = config.wrap(encoder);
        writer.write_all(text.as_bytes()).expect("memory does not fail");
        let (encoder, descriptor) = writer.finish().expect("memory does not fail");
        encoder.finish().expect("memory does not fail");
        entry.finish(descriptor).expect("memory does not fail");
    }
    archive.finish().expect("memory does not fail");
    bytes
}

const WORKBOOK: &str = r#"<workbook xmlns:r="r"><sheets><sheet name="Hidden" sheetId="3" state="hidden" r:id="rId3"/>
    <sheet name="Read me" sheetId="1" r:id="rId1"/><sheet name="Caps &amp; cups" sheetId="2" r:id="rId2"/></sheets></workbook>"#;

const RELATIONS: &str = r#"<Relationships><Relationship Id="rId1" Type="x/worksheet" Target="worksheets/sheet1.xml"/>
    <Relationship Id="rId2" Type="x/worksheet" Target="/xl/worksheets/sheet2.xml"/>
    <Relationship Id="rId3" Type="x/worksheet" Target="worksheets/sheet1.xml"/></Relationships>"#;

const SHARED: &str = r#"<sst><si><t>Name</t></si><si><t>Image</t></si>
    <si><r><t>Cap, </t></r><r><rPr/><t xml:space="preserve">&quot;red&quot;</t></r><rPh><t>x</t></rPh></si><si><t>view</t></si>
    <si><t>a_x000D_&#10;b</t></si></sst>"#;

/// A workbook whose second sheet has these rows after its header in row 3.
fn workbook(rows: &str) -> Vec<u8> {
    let sheet = format!(
        r#"<worksheet xmlns:r="r"><dimension ref="A1:D9"/><sheetData>
        <row r="1"><c r="B1" t="inlineStr"><is><t>Our caps</t></is></c></row>
        <row r="3"><c r="B3" t="s"><v>0</v></c><c r="C3" t="s"><v>1</v></c><c r="D3" t="inlineStr"><is><t>Gallery</t></is></c></row>
        {rows}</sheetData><hyperlinks><hyperlink ref="C5:C5" r:id="rId1"/><hyperlink ref="B5" r:id="rId2"/></hyperlinks></worksheet>"#
    );
    let links = r#"<Relationships>
        <Relationship Id="rId1" Type="x/hyperlink" TargetMode="External" Target="http://a/5.png?x=1&amp;y=2"/>
        <Relationship Id="rId2" Type="x/hyperlink" TargetMode="External" Target="https://shop.example/products/5"/></Relationships>"#;
    packed(&[
        ("xl/workbook.xml", WORKBOOK),
        ("xl/_rels/workbook.xml.rels", RELATIONS),
        ("xl/sharedStrings.xml", SHARED),
        (
            "xl/worksheets/sheet1.xml",
            "<worksheet><sheetData><row><c t=\"inlineStr\"><is><t>Help</t></is></c></row></sheetData></worksheet>",
        ),
        ("xl/worksheets/sheet2.xml", &sheet),
        ("xl/worksheets/_rels/sheet2.xml.rels", links),
    ])
}

const ROWS: &str = r#"<row r="4"><c r="B4" t="s"><v>2</v></c><c r="D4" t="str"><f>A1&amp;"x"</f><v>http://a/1.png, http://a/2.png</v></c></row>
    <row r="5"><c r="B5" t="s"><v>4</v></c><c r="C5" t="s"><v>3</v></c></row>
    <row r="7"><c r="B7"><v>7.5</v></c><c r="C7" t="e"><f>_xlfn.IMAGE("http://a/7.png")</f><v>#VALUE!</v></c></row>"#;

fn urls(reading: &super::variants::Reading) -> Vec<Vec<String>> {
    reading.rows.iter().map(|row| row.urls.iter().map(str::to_owned).collect()).collect()
}

fn told(bytes: &[u8], hints: &Hints) -> Result<Understood, String> {
    let mut catalogue = Catalogue::open_as(bytes, hints).map_err(|error| error.to_string())?;
    let mut row = Row::default();
    while catalogue.next_row(&mut row).map_err(|error| error.to_string())? != Next::End {}
    Ok(catalogue.understood())
}

#[test]
fn the_first_sheet_with_pictures_is_read_with_its_links_and_without_working_out_formulas() {
    let bytes = workbook(ROWS);
    let (header, reading) = try_read(bytes.as_slice()).expect("a catalogue");
    assert_eq!(header.columns, ["", "Name", "Image", "Gallery"]);
    assert_eq!(
        urls(&reading),
        [vec!["http://a/1.png", "http://a/2.png"], vec!["http://a/5.png?x=1&y=2"], vec!["http://a/7.png"]]
    );
    assert_eq!(reading.rows.iter().map(|row| row.line).collect::<Vec<_>>(), [4, 5, 7]);
    assert_eq!(
        reading.rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(),
        ["Cap, \"red\"", "a\r\nb", "7.5"]
    );
    let understood = told(&bytes, &Hints::default()).expect("a catalogue");
    assert_eq!(
        (understood.format.as_str(), understood.header_line, understood.rows_above),
        ("XLSX", Some(3), 1)
    );
    assert_eq!(understood.sheet.as_deref(), Some("Caps & cups"));
    assert_eq!(understood.sheets, ["Read me", "Caps & cups", "Hidden"]);
    assert_eq!(understood.delimiter, None);
    assert_eq!(Understood::from_json(&understood.to_json()), understood);
}

#[test]
fn a_sheet_is_asked_for_by_name_or_number() {
    let bytes = workbook(ROWS);
    let of = |sheet: &str| told(&bytes, &Hints { sheet: Some(sheet.to_owned()), ..Hints::default() });
    for sheet in ["caps & cups", "2"] {
        assert_eq!(of(sheet).expect("it is there").images(), 4, "{sheet}");
    }
    let by_row = Hints { header_row: Some(3), ..Hints::default() };
    assert_eq!(
        told(&bytes, &by_row).expect("it is there").header_line,
        Some(3),
        "rows are those of the sheet"
    );
    for (sheet, why) in
        [("1", "No column of pictures"), ("Caps", "no sheet 'Caps' among 'Read me'"), ("9", "no sheet '9'")]
    {
        let refused = of(sheet).expect_err("it has no pictures");
        assert!(refused.contains(why), "{refused}");
    }
}

#[test]
fn spreadsheets_of_open_document_are_read_up_to_their_last_row_that_holds_something() {
    let content = r#"<office:document-content xmlns:office="o" xmlns:table="t" xmlns:text="x" xmlns:xlink="l"><office:body>
        <office:spreadsheet><table:table table:name="Leer"><table:table-row><table:table-cell/></table:table-row></table:table>
        <table:table table:name="Bilder"><table:table-row table:number-rows-repeated="2"><table:table-cell table:number-columns-repeated="1024"/></table:table-row>
        <table:table-row><table:table-cell><text:p>Name</text:p></table:table-cell><table:table-cell><text:p>Bild</text:p></table:table-cell></table:table-row>
        <table:table-row><table:table-cell><office:annotation><text:p>http://a/no.png</text:p></office:annotation><text:p>M<text:s text:c="2"/>&amp; T</text:p><text:p>2</text:p></table:table-cell>
          <table:table-cell table:formula="of:=HYPERLINK(&quot;http://a/1.png&quot;;&quot;x&quot;)"><text:p>x</text:p></table:table-cell></table:table-row>
        <table:table-row table:number-rows-repeated="2"><table:table-cell office:value="7"><text:p>7,0</text:p></table:table-cell>
          <table:table-cell><text:p><text:a xlink:href="http://a/2.png">view</text:a></text:p></table:table-cell></table:table-row>
        <table:table-row table:number-rows-repeated="1048000"><table:table-cell table:number-columns-repeated="1024"/></table:table-row>
        </table:table></office:spreadsheet></office:body></office:document-content>"#;
    let bytes =
        packed(&[("mimetype", "application/vnd.oasis.opendocument.spreadsheet"), ("content.xml", content)]);
    let (_, reading) = try_read(bytes.as_slice()).expect("a catalogue");
    assert_eq!(urls(&reading), [["http://a/1.png"], ["http://a/2.png"], ["http://a/2.png"]]);
    assert_eq!(
        reading.rows.iter().map(|row| (row.line, row.name.as_str())).collect::<Vec<_>>(),
        [(4, "M  & T\n2"), (5, "7"), (6, "7")]
    );
    let understood = told(&bytes, &Hints::default()).expect("a catalogue");
    assert_eq!(
        (understood.format.as_str(), understood.sheet.as_deref(), understood.header_line),
        ("ODS", Some("Bilder"), Some(3))
    );
}

#[test]
fn bombs_and_other_archives_are_refused_as_what_they_are() {
    let zeros = " ".repeat(70 << 20);
    let bomb = packed(&[
        ("xl/workbook.xml", WORKBOOK),
        ("xl/_rels/workbook.xml.rels", RELATIONS),
        ("xl/worksheets/sheet1.xml", &zeros),
        ("xl/worksheets/sheet2.xml", &zeros),
    ]);
    let long = packed(&[
        ("xl/workbook.xml", WORKBOOK),
        ("xl/_rels/workbook.xml.rels", RELATIONS),
        ("xl/worksheets/sheet1.xml", &format!("<a b=\"{}\"/>", &zeros[..5 << 20])),
    ]);
    for (bytes, why) in [
        (bomb, "200 times larger"),
        (long, "longer than 4 MiB"),
        (packed(&[("a.csv", "x")]), "a ZIP file: unpack it"),
        (packed(&[("word/document.xml", "<x/>")]), "a Word document"),
        (packed(&[("xl/workbook.bin", "x")]), ".xlsb"),
        (workbook("")[..900].to_vec(), "can't be unpacked"),
    ] {
        let refused = told(&bytes, &Hints::default()).expect_err("it is none");
        assert!(refused.contains(why), "{refused}");
    }
}

#[test]
fn a_spreadsheet_comes_again_as_csv() {
    let bytes = workbook(ROWS);
    let rewriter = Rewriter::open(bytes.as_slice(), &Hints::default()).expect("a catalogue");
    assert!(rewriter.is_converted());
    let mut again = Vec::new();
    let outputs = |number| Ok::<_, std::io::Error>(vec![Some(format!("https://n/{number}.jpg")); 2]);
    rewriter.rewrite(&mut again, outputs).expect("memory does not fail");
    let want = ",Our caps\n,Name,Image,Gallery\n,\"Cap, \"\"red\"\"\",,\"https://n/0.jpg, https://n/0.jpg\"\n\
        ,\"a\r\nb\",\"=HYPERLINK(\"\"https://n/1.jpg\"\",\"\"view\"\")\",\n,7.5,\"=IMAGE(\"\"https://n/2.jpg\"\")\",\n";
    assert_eq!(String::from_utf8(again).expect("UTF-8"), want);
}

/// A row's line, name and addresses.
type NamedRow = (u64, String, String);

/// What is read of JSON: the columns of pictures, and each row's line, name and addresses.
fn of_json(text: &str) -> (Vec<String>, Vec<NamedRow>, Vec<u64>) {
    let (header, reading) = try_read(text.as_bytes()).unwrap_or_else(|refusal| panic!("{text}: {refusal}"));
    let pictures = header.pictures.iter().map(|picture| header.columns[picture.index].clone()).collect();
    let of = |row: &Row| (row.line, row.name.clone(), row.urls.iter().collect::<Vec<_>>().join(" "));
    (pictures, reading.rows.iter().map(of).collect(), reading.bad.iter().map(|bad| bad.line).collect())
}

#[track_caller]
fn json(text: &str, pictures: &[&str], rows: &[(u64, &str, &str)], bad: &[u64]) {
    let rows: Vec<_> =
        rows.iter().map(|(line, name, urls)| (*line, (*name).to_owned(), (*urls).to_owned())).collect();
    let got = of_json(text);
    assert_eq!(
        (got.0.iter().map(String::as_str).collect::<Vec<_>>(), got.1, got.2),
        (pictures.to_vec(), rows, bad.to_vec()),
        "{text}"
    );
}

#[test]
fn json_is_read_wherever_its_records_and_pictures_are() {
    let products = r#"{"products":[
        {"id":1,"title":"Cap","url":"https://s/products/cap","images":[{"src":"http:\/\/a\/1.png","alt":"front"},{"src":"http://a/2.png"}],"cover":{"media":{"url":"http://a/3.png"}}},
        {"id":2,"title":"Cup","images":[],"cover":null}]}"#;
    json(
        products,
        &["images.src", "cover.media.url"],
        &[(2, "Cap", "http://a/1.png http://a/2.png http://a/3.png"), (3, "Cup", "")],
        &[],
    );
    json(
        "{\"name\":\"é\",\"image\":\"a.png\"}\n\n{\"name\":\"x\"\n{\"image\":\"http://a/2.png,http://a/3.png\"}",
        &["image"],
        &[(1, "é", "a.png"), (4, "", "http://a/2.png http://a/3.png")],
        &[3],
    );
    json(
        r#"["http://a/1.png","http:\/\/a\/2.png"]"#,
        &["Image Url"],
        &[(1, "", "http://a/1.png"), (1, "", "http://a/2.png")],
        &[],
    );
    json(
        "{\"values\":[[\"name\",\"image\"],\n[\"Cap\",\"http://a/1.png\"]]}",
        &["image"],
        &[(2, "Cap", "http://a/1.png")],
        &[],
    );
    json(
        "{\"s1\":{\"name\":\"Cap\",\"photo\":\"http://a/1.png\"},\n\"s2\":{\"name\":\"Cup\",\"photo\":\"http://a/2.png\"}}",
        &["photo"],
        &[(1, "Cap", "http://a/1.png"), (2, "Cup", "http://a/2.png")],
        &[],
    );
    json(
        "{\"name\":\"Cap\",\"sku\":1,\"images\":{\"0\":\"http://a/1.png\",\"1\":\"http://a/2.png\"}}",
        &["images"],
        &[(1, "Cap", "http://a/1.png http://a/2.png")],
        &[],
    );
    json(
        "{\"data\":{\"items\":[{\"node\":{\"featuredImage\":{\"url\":\"http://a/1.png\"}}}],\"total\":1}}",
        &["node.featuredImage.url"],
        &[(1, "", "http://a/1.png")],
        &[],
    );
}

#[test]
fn json_that_can_not_be_read_is_told() {
    json(
        "[{\"image\":\"http://a/1.png\"},\n{\"image\" 2},\n3,\n{\"image\":\"http://a/2.png\"",
        &["image"],
        &[(1, "", "http://a/1.png")],
        &[2, 3, 4],
    );
    for (text, why) in [
        ("[]", "without any record"),
        ("{\"a\":1}", "No column of pictures"),
        ("[{\"name\":\"x\"}]", "No column of pictures among 'name'"),
    ] {
        let refused = told(text.as_bytes(), &Hints::default()).expect_err("it has no pictures");
        assert!(refused.contains(why), "{refused}");
    }
    let late =
        format!("[{}{{\"photo\":\"http://a/9.png\"}}]", "{\"image\":\"http://a/1.png\"},".repeat(50_000));
    let understood = told(late.as_bytes(), &Hints::default()).expect("a catalogue");
    assert_eq!((understood.images(), understood.out_of_step, understood.rows), (50_000, 1, 50_000));
}

#[test]
fn a_record_too_long_costs_only_itself() {
    for (open, end) in [("[", "]"), ("", "")] {
        let long = format!("{{\"image\":\"http://a/2.png\",\"x\":\"{}\"}}", "y".repeat(6 << 20));
        let between = if open.is_empty() { "\n" } else { ",\n" };
        let text = format!(
            "{open}{{\"image\":\"http://a/1.png\"}}{between}{long}{between}{{\"image\":\"http://a/3.png\"}}{end}"
        );
        json(&text, &["image"], &[(1, "", "http://a/1.png"), (3, "", "http://a/3.png")], &[2]);
    }
}

#[test]
fn json_comes_again_byte_for_byte_but_for_addresses() {
    let text = " {\"count\": 2,\r\n \"products\": [ {\"name\": \"a\\/b\", \"images\": [{\"src\": \"http:\\/\\/a\\/1.png\"}, {\"src\":\"http://a/2.png\", \"w\":1.0}],\
        \"html\": \"<img src=\\\"http://a/2.png\\\">\"} , {\"images\": [] }, {\"broken\" }, {\"images\":[{\"src\":\"y/x.png\"},{\"src\":\"http://a/2.png?a=1&amp;b=2 \"}]}], \"next\": null }\n";
    let want = text
        .replace("http:\\/\\/a\\/1.png", "https:\\/\\/n\\/0.jpg")
        .replace("{\"src\":\"http://a/2.png\",", "{\"src\":\"https://n/1.jpg?x=1&y=2\",")
        .replace("http://a/2.png?a=1&amp;b=2", "https://n/1.jpg?x=1&amp;y=2");
    let outputs = |_| {
        Ok::<_, std::io::Error>(vec![
            Some("https://n/0.jpg".to_owned()),
            Some("https://n/1.jpg?x=1&y=2".to_owned()),
        ])
    };
    let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let want = want.replacen("{\"src\":\"y/x.png\"}", "{\"src\":\"https://n/0.jpg\"}", 1);
    for (bytes, want) in [
        (text.as_bytes().to_vec(), want.as_bytes().to_vec()),
        (wide(&format!("\u{feff}{text}")), wide(&format!("\u{feff}{want}"))),
    ] {
        let mut again = Vec::new();
        let rewriter = Rewriter::open(bytes.as_slice(), &Hints::default()).expect("a catalogue");
        assert!(!rewriter.is_converted());
        rewriter.rewrite(&mut again, outputs).expect("memory does not fail");
        assert_eq!(String::from_utf8_lossy(&again), String::from_utf8_lossy(&want));
    }
}
