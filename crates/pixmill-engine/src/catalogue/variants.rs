//! Catalogues as people really write them: what → the addresses of each row, and the rows that can't be used.

use super::*;
use crate::code::Code;

/// What a catalogue was read as.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) rows: Vec<Row>,
    pub(super) bad: Vec<BadRow>,
}

pub(super) fn try_read(reader: impl std::io::Read) -> Result<(Header, Reading), Refusal> {
    let mut catalogue = match Catalogue::open(reader) {
        Ok(catalogue) => catalogue,
        Err(OpenError::Refused(refusal)) => return Err(refusal),
        Err(OpenError::Io(error)) => panic!("{error}"),
    };
    let (mut reading, mut row) = (Reading::default(), Row::default());
    loop {
        match catalogue.next_row(&mut row).expect("readers of tests do not fail") {
            Next::Row => reading.rows.push(row.clone()),
            Next::Bad(bad) => reading.bad.push(bad),
            Next::End => break,
        }
    }
    assert_eq!(row_counts(&reading), catalogue.counts());
    let numbers = reading.rows.iter().map(|row| row.number);
    let numbers =
        numbers.chain(reading.bad.iter().filter_map(|bad| bad.kept.as_ref()).map(|kept| kept.number));
    let mut numbers: Vec<u64> = numbers.collect();
    numbers.sort_unstable();
    assert!(numbers.iter().copied().eq(0..numbers.len() as u64), "places have gaps: {numbers:?}");
    Ok((catalogue.header().clone(), reading))
}

fn row_counts(reading: &Reading) -> Counts {
    Counts { usable: reading.rows.len() as u64, unusable: reading.bad.len() as u64 }
}

pub(super) fn read(text: &[u8]) -> Reading {
    try_read(text).unwrap_or_else(|refusal| panic!("{refusal}")).1
}

/// The fields of a stored record, as the csv crate reads it between two others: on its own it would take an empty
/// record for a blank line, and a first U+FEFF for a byte order mark.
pub(super) fn cells(record: &str) -> Vec<String> {
    let line = format!("first,{record},last");
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(line.as_bytes());
    let mut records = reader.records();
    let fields = records.next().expect("a record").expect("a valid one");
    assert!(records.next().is_none(), "one record only: {record:?}");
    fields.iter().skip(1).take(fields.len() - 2).map(str::to_owned).collect()
}

/// The numbers of the pictures in each row.
type Want = &'static [&'static [usize]];

const HEADER: &str = "S. No.,Product Name,Input Image Urls\n";
const TWO: &str = "1,Mug,{0}\n2,Cup,{1}\n";
const BOTH: Want = &[&[0], &[1]];

fn url(number: usize) -> String {
    format!("http://127.0.0.1:8080/p{number}.png")
}

fn filled(body: &str) -> String {
    (0..8).fold(body.to_owned(), |text, number| text.replace(&format!("{{{number}}}"), &url(number)))
}

/// The numbers of the pictures; what follows the picture's name is not compared.
fn pictures(reading: &Reading) -> Vec<Vec<usize>> {
    let number = |text: &str| {
        let found = (0..8).find(|number| text.to_lowercase().starts_with(&url(*number)));
        found.unwrap_or_else(|| panic!("{text:?} is none of the pictures"))
    };
    reading.rows.iter().map(|row| row.urls.iter().map(number).collect()).collect()
}

#[track_caller]
fn reads(name: &str, bytes: &[u8], want: Want, bad_lines: &[u64]) {
    let reading = read(bytes);
    assert_eq!(pictures(&reading), want, "{name}");
    assert_eq!(reading.bad.iter().map(|bad| bad.line).collect::<Vec<_>>(), bad_lines, "{name}");
    for bad in &reading.bad {
        assert_eq!(bad.code, Code::CatalogueRow);
        assert!(!bad.reason.contains(',') && bad.reason.ends_with('.'), "{}", bad.reason);
    }
}

fn utf16(text: &str, big: bool) -> Vec<u8> {
    text.encode_utf16().flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
}

#[test]
fn line_ends_and_encodings() {
    let plain = filled(&format!("{HEADER}{TWO}"));
    let tasse = plain.replace("Mug", "Tasse ☕");
    let western = plain.replace("Mug", "Tasse à café – “grand”");
    reads("plain", plain.as_bytes(), BOTH, &[]);
    reads("crlf", plain.replace('\n', "\r\n").as_bytes(), BOTH, &[]);
    reads("cr-only", plain.replace('\n', "\r").as_bytes(), BOTH, &[]);
    reads("no-last-newline", plain.trim_end().as_bytes(), BOTH, &[]);
    let blanks = filled(&format!("\n{HEADER}\n1,Mug,{{0}}\n\n,,\n2,Cup,{{1}}\n\n\n"));
    reads("blank-lines", blanks.as_bytes(), BOTH, &[]);
    reads("utf8-bom", format!("\u{feff}{plain}").as_bytes(), BOTH, &[]);
    let quoted = filled(&format!("\u{feff}\"S. No.\",\"Product Name\",\"Input Image Urls\"\n{TWO}"));
    reads("utf8-bom-quoted-header", quoted.as_bytes(), BOTH, &[]);
    let first = filled("\u{feff}Input Image Urls,Product Name\n{0},Mug\n{1},Cup\n");
    reads("bom-before-url-column", first.as_bytes(), BOTH, &[]);
    for big in [false, true] {
        reads("utf16", &utf16(&format!("\u{feff}{tasse}"), big), BOTH, &[]);
        reads("utf16 without a mark", &utf16(&tasse, big), BOTH, &[]);
        assert_eq!(read(&utf16(&tasse, big)).rows[0].name, "Tasse ☕");
    }
    let (western_bytes, _, _) = encoding_rs::WINDOWS_1252.encode(&western);
    reads("windows-1252", &western_bytes, BOTH, &[]);
    assert_eq!(read(&western_bytes).rows[0].name, "Tasse à café – “grand”");
    reads("unicode", plain.replace("Mug", "杯子 ☕ Ωμέγα").as_bytes(), BOTH, &[]);
}

#[test]
fn delimiters() {
    for delimiter in [";", "\t", "|"] {
        reads(delimiter, filled(&format!("{HEADER}{TWO}")).replace(',', delimiter).as_bytes(), BOTH, &[]);
    }
    let table: &[(&str, &str, Want)] = &[
        (
            "commas in cells",
            "S. No.;Product Name;Input Image Urls\n1;Mug, big;{0},{1}\n2;Cup;{2}, {3}\n",
            &[&[0, 1], &[2, 3]],
        ),
        ("tab", "S. No.\tProduct Name\tInput Image Urls\n1\tMug\t{0},{1}\n2\tCup\t{2}\n", &[&[0, 1], &[2]]),
        (
            "semicolons in names",
            "S. No.,Product Name,Input Image Urls\n1,a;b;c;d;e,{0}\n2,f;g;h;i;j,{1}\n",
            BOTH,
        ),
        ("urls-only-column", "url\n{0}\n{1}\n", BOTH),
        ("only a list", "urls\n{0},{1}\n{2}\n", &[&[0, 1], &[2]]),
        ("announced", "sep=;\nname;urls\nMug;{0}\nCup;{1}\n", BOTH),
        ("announced to quotes", "\"sep=,\"\r\nname,urls\r\nMug,{0}\r\nCup,{1}\r\n", BOTH),
        ("spilled over semicolons", "name;urls\nMug;{0}?a=1;b=2;{1}\nCup;{2}; {3}\n", &[&[0, 1], &[2, 3]]),
        ("spilled over tabs", "name\turls\nMug\t{0}\t{1}\nCup\t{2}\n", &[&[0, 1], &[2]]),
        ("spilled over pipes", "name|urls\nMug|{0}|{1}\nCup|{2}\n", &[&[0, 1], &[2]]),
    ];
    for (name, body, want) in table {
        reads(name, filled(body).as_bytes(), want, &[]);
    }
}

#[test]
fn headers() {
    for header in [
        "Serial Number,Product Name,Input Image Urls",
        "S.No,Product Name,Input Image URLs",
        "s_no,product_name,input_image_urls",
        "S NO,PRODUCT NAME,INPUT IMAGE URLS",
        "SerialNumber,ProductName,InputImageUrls",
        "S.No.,name,image urls",
        "Serial,title,Image Src",
        "id,product,images",
        "No,Name,Input Urls",
        "#,title,urls",
        " S. No. , Product Name , Input Image Urls ",
    ] {
        let text = filled(&format!("{header}\n{TWO}"));
        reads(header, text.as_bytes(), BOTH, &[]);
        assert_eq!(read(text.as_bytes()).rows[0].name, "Mug", "{header}");
    }
    reads("no-serial", filled("Product Name,Input Image Urls\nMug,{0}\nCup,{1}\n").as_bytes(), BOTH, &[]);
    let other = filled("Input Image Urls,Price,Product Name,S. No.\n{0},5,Mug,1\n{1},6,Cup,2\n");
    reads("other-order", other.as_bytes(), BOTH, &[]);
    let extra =
        "SKU,S. No.,Colour,Product Name,Input Image Urls,Stock,Note\na,1,red,Mug,{0},4,x\nb,2,,Cup,{1},,\n";
    reads("extra-columns", filled(extra).as_bytes(), BOTH, &[]);
    // What sounds like a name among the rows is a row.
    for row in ["Kép", "pics", "photo"] {
        let text = format!("Product Name,Input Image Urls\n,{row}\nMug,\n");
        let reading = read(text.as_bytes());
        assert_eq!(cells(&reading.rows[0].cells), ["", row]);
    }
    let columns: String = (0..5000).map(|number| format!(",c{number}")).collect();
    let values = ",".repeat(5000);
    reads(
        "many-columns",
        filled(&format!("url{columns}\n{{0}}{values}\n{{1}}{values}\n")).as_bytes(),
        BOTH,
        &[],
    );
}

#[test]
fn several_addresses_in_a_cell() {
    let forty: Vec<usize> = (0..40).map(|number| number % 8).collect();
    let list = forty.iter().map(|number| format!("{{{number}}}")).collect::<Vec<_>>().join(",");
    let cell_forty = format!("1,Mug,\"{list}\"\n");
    let table: &[(&str, Want)] = &[
        ("1,Mug,\"{0},{1}\"\n2,Cup,\"{2},{3},{4}\"\n", &[&[0, 1], &[2, 3, 4]]),
        ("1,Mug,\"{0}, {1}\"\n2,Cup,\"{2},   {3}\"\n", &[&[0, 1], &[2, 3]]),
        ("1,Mug,\"{0}\n{1}\"\n2,Cup,\"{2}\r\n{3}\"\n", &[&[0, 1], &[2, 3]]),
        ("1,Mug,\"{0},\n{1},\n{2}\"\n", &[&[0, 1, 2]]),
        ("1,Mug,{0}|{1}\n2,Cup,{2} | {3}\n", &[&[0, 1], &[2, 3]]),
        ("1,Mug,{0} {1}\n2,Cup,{2}  {3}\n", &[&[0, 1], &[2, 3]]),
        ("1,Mug,\"{0}, {1}|{2}\n{3} {4}\"\n", &[&[0, 1, 2, 3, 4]]),
        ("1,Mug,\"{0}?t=w_200,h_300, {1}?t=w_1,h_2,{2}\"\n", &[&[0, 1, 2]]),
        ("1,Mug,\"{0}?t=a|b|{1}\"\n", &[&[0, 1]]),
        ("1,Mug,\"{0},{1},\"\n2,Cup,\",{2}, ,{3},,\"\n", &[&[0, 1], &[2, 3]]),
        ("1,Mug,  {0}  \n2,Cup,\t{1}\t\n", BOTH),
        ("1,Mug,{0}?a=1&b=2;c=3#top\n2,Cup,{1}?u=%20x\n", BOTH),
        ("1,Mug,\"{0},{0},{1},{0}\"\n", &[&[0, 0, 1, 0]]),
        ("1,Mug,\"'{0}', '{1}'\"\n2,Cup,{2}\n", &[&[0, 1], &[2]]),
    ];
    let reading = read(filled(&format!("{HEADER}{cell_forty}")).as_bytes());
    assert_eq!(pictures(&reading), [forty]);
    for (body, want) in table {
        reads(body, filled(&format!("{HEADER}{body}")).as_bytes(), want, &[]);
    }
    let loud = filled(&format!("{HEADER}{TWO}")).replace("http://", "HTTP://");
    reads("cell-upper-scheme", loud.as_bytes(), BOTH, &[]);
}

#[test]
fn quotes() {
    let table: &[(&str, &str)] = &[
        ("1,\"Mug, large, blue\",{0}\n2,\"Cup\",{1}\n", "Mug, large, blue"),
        ("1,\"Mug\nwith two lines\",{0}\n2,Cup,{1}\n", "Mug\nwith two lines"),
        ("1,\"The \"\"best\"\" mug\",{0}\n2,\"\"\"Cup\"\"\",{1}\n", "The \"best\" mug"),
        ("1,Mug 5\" tall,{0}\n2,Cup,{1}\n", "Mug 5\" tall"),
        ("1, \"Mug, large\", \"{0}\"\n2, \"Cup\", \"{1}\"\n", "Mug, large"),
        ("1,\"Mug 5\" tall\",{0}\n2,Cup,{1}\n", "Mug 5 tall\""),
    ];
    for (body, name) in table {
        let text = filled(&format!("{HEADER}{body}"));
        reads(body, text.as_bytes(), BOTH, &[]);
        assert_eq!(read(text.as_bytes()).rows[0].name, *name);
    }
    let everything =
        "\"S. No.\",\"Product Name\",\"Input Image Urls\"\n\"1\",\"Mug\",\"{0}\"\n\"2\",\"Cup\",\"{1}\"\n";
    reads("quoted-everything", filled(everything).as_bytes(), BOTH, &[]);
}

#[test]
fn lists_that_spill_out_of_their_cell() {
    let table: &[(&str, &str, Want)] = &[
        (HEADER, "1,Mug,{0},{1},{2}\n2,Cup,{3}\n3,Jug,{4},{5}\n", &[&[0, 1, 2], &[3], &[4, 5]]),
        (HEADER, "1,Mug,{0}, {1}, {2}\n", &[&[0, 1, 2]]),
        (HEADER, "1,Mug,{0},{1},,,\n2,Cup,{2},,,,\n", &[&[0, 1], &[2]]),
        (HEADER, "1,Mug,\"{0},{1}\",{2}\n", &[&[0, 1, 2]]),
        (HEADER, "1,Mug,\"{0}\",\"{1}\"\n", &[&[0, 1]]),
        (HEADER, "1,Mug,{0}?t=w_200,h_300,{1}\n", &[&[0, 1]]),
        ("urls,price\n", "{0},{1},5\n{2},6\n{3},{4},\n{5},{6},5,,,\n", &[&[0, 1], &[2], &[3], &[5, 6]]),
        ("urls,price\n", "{0}?t=w_1,h_2,{1},5\n", &[&[0, 1]]),
        ("urls,price\n", "{0},5,{1},{2}\n{3},6,,\n", &[&[0, 1, 2], &[3]]),
        ("name,urls,,\n", "Mug,{0},{1},\nCup,{2},,\nJug,{3},{4},{5},{6}\n", &[&[0, 1], &[2], &[3, 4, 5, 6]]),
        ("urls,note\n", "{0},a nice, mug\n", &[&[0]]),
    ];
    // `{3},{4},` fits the header but for what trails it, so the second address may well be what the column says.
    for (header, body, want) in table {
        reads(body, filled(&format!("{header}{body}")).as_bytes(), want, &[]);
    }
}

#[test]
fn spilled_addresses_are_folded_into_their_cell() {
    let kept = |text: &str| {
        read(filled(text).as_bytes()).rows.iter().map(|row| cells(&row.cells)).collect::<Vec<_>>()
    };
    let both = filled("{0}, {1}");
    assert_eq!(kept("name,urls\nMug,{0}, {1}\n"), [["Mug", &both]]);
    assert_eq!(kept("name\turls\nMug\t{0}\t{1}\n"), [["Mug", &both]]);
    assert_eq!(kept("urls,price\n{0}, {1},5\n"), [[both.as_str(), "5"]]);
    assert_eq!(kept("name,urls,,\nMug,{0}, {1},\n"), [["Mug", &both, "", ""]]);
    assert_eq!(kept("name,urls,,\nMug,{0},note,\n"), [["Mug", &url(0), "note", ""]]);
    assert_eq!(kept("name,urls,price,note\nMug,{0}\n"), [["Mug", &url(0), "", ""]]);
}

#[test]
fn rows_that_cannot_be_used_are_told_by_line() {
    let table: &[(&str, &str, Want, &[u64])] = &[
        ("short-row", "1,Mug,{0}\n2,Cup\n3,Jug,{1}\n", BOTH, &[3]),
        ("after a long one", "1,\"Mug\nof two\nlines\",{0}\n2,Cup\n3,Jug,{1}\n", BOTH, &[5]),
        ("two-short-rows", "1\n2,Cup,{0}\n3,Jug\n", &[&[0]], &[2, 4]),
        ("no-row-usable", "1\n2\n3\n", &[], &[2, 3, 4]),
        ("nul-in-row", "1,Mu\0g,{0}\n2,Cup,{1}\n", BOTH, &[]),
        ("unclosed-quote", "1,Mug,{0}\n2,\"Cup,{1}\n3,Jug,{2}\n", &[&[0]], &[3]),
        (
            "quote closed by a later row",
            "1,Mug,{0}\n2,\"Cup,{1}\n3,\"Jug\",{2}\n4,Pot,{3}\n",
            &[&[0], &[3]],
            &[3],
        ),
        ("blank lines count", "\n\r\n1,Mug,{0}\n\r2,Cup\n", &[&[0]], &[6]),
        ("header-only", "", &[], &[]),
    ];
    for (name, body, want, bad) in table {
        reads(name, filled(&format!("{HEADER}{body}")).as_bytes(), want, bad);
    }
    reads("header-only-no-newline", HEADER.trim_end().as_bytes(), &[], &[]);
    reads("out of step", filled("name,urls,price\nMug, big,{0},5\nCup,{1},6\n").as_bytes(), &[&[1]], &[2]);
}

#[test]
fn line_numbers_hold_for_each_line_end() {
    for end in ["\n", "\r", "\r\n"] {
        let text = filled(&format!("{HEADER}1,\"a\n\nb\",{{0}}\n\n2\n3,c,{{1}}\n")).replace('\n', end);
        let reading = read(text.as_bytes());
        assert_eq!(reading.rows.iter().map(|row| row.line).collect::<Vec<_>>(), [2, 7], "{end:?}");
        assert_eq!(reading.bad[0].line, 6, "{end:?}");
    }
}

#[test]
fn unusable_rows_keep_their_place_where_they_have_one() {
    let reading =
        read(filled(&format!("{HEADER}1,Mug,{{0}}\n2,\"C,up\"\n3\0\n4,Jug,{{1}}\n5,\"Pot")).as_bytes());
    assert_eq!(reading.rows.iter().map(|row| row.number).collect::<Vec<_>>(), [0, 3]);
    let kept: Vec<_> =
        reading.bad.iter().map(|bad| bad.kept.as_ref().map(|kept| (kept.number, &*kept.cells))).collect();
    assert_eq!(kept, [Some((1, "2,\"C,up\",")), Some((2, "3,,")), None]);
    assert_eq!(
        reading.bad[0].reason,
        "The row has 2 fields and the header 3: its 'Input Image Urls' is missing."
    );
}

#[test]
fn rows_without_an_image_are_rows() {
    let reading = read(filled(&format!("{HEADER}1,Mug,{{0}}\n2,Cup,\n3,Jug,{{1}}\n")).as_bytes());
    assert_eq!(pictures(&reading), [vec![0], vec![], vec![1]]);
    assert_eq!(read(format!("{HEADER}1,Mug,\n2,Cup,\n").as_bytes()).rows.len(), 2);
}

#[test]
fn original_columns_are_kept_as_they_were() {
    let body = "SKU;Name;Note;urls;Price €\nb-2; Mug, \"large\" ;\"line one\nline two\";a/b.png;1,50\na-1;x;=1+1;;'q' \n";
    let reading = read(body.as_bytes());
    assert_eq!(
        cells(&reading.rows[0].cells),
        ["b-2", " Mug, \"large\" ", "line one\nline two", "a/b.png", "1,50"]
    );
    assert_eq!(cells(&reading.rows[1].cells), ["a-1", "x", "=1+1", "", "'q' "]);
    let header = try_read(body.as_bytes()).expect("a catalogue").0;
    assert_eq!(cells(&header.cells), ["SKU", "Name", "Note", "urls", "Price €"]);
}

#[test]
fn a_stray_legacy_byte_costs_nothing() {
    let mut bytes = filled(&format!("{HEADER}1,Tasse ☕ é,{{0}}\n2,caf")).into_bytes();
    bytes.extend_from_slice(b"\xe9,\"");
    bytes.extend_from_slice(filled("{1}\",{2}\n3,Jug,{3}\n").as_bytes());
    let reading = read(&bytes);
    assert_eq!(pictures(&reading), [vec![0], vec![1, 2], vec![3]]);
    assert_eq!(reading.rows[1].name, "café");
}

#[test]
fn what_is_no_catalogue_is_refused() {
    let gzip = b"\x1f\x8b\x08\0\0\0\0\0\0\x03abc".as_slice();
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    png.extend((0..=255).cycle().take(2048));
    let no_header = filled(TWO);
    let table: &[(&[u8], Code, u64)] = &[
        (b"S. No.,Product Name,Price\n1,Mug,5\n", Code::CatalogueHeader, 1),
        (no_header.as_bytes(), Code::CatalogueHeader, 1),
        (b"\n\n1,2,3\n", Code::CatalogueHeader, 3),
        (b"", Code::CatalogueHeader, 1),
        (b"\xef\xbb\xbf", Code::CatalogueHeader, 1),
        (b"   \n\n  \n", Code::CatalogueHeader, 1),
        (b"\"urls\nno end", Code::CatalogueHeader, 1),
        (b"\"url", Code::CatalogueHeader, 1),
        (gzip, Code::CatalogueEncoding, 1),
        (b"PK\x03\x04\x14\0\0\0", Code::CatalogueEncoding, 1),
        (&png, Code::CatalogueEncoding, 1),
    ];
    for (bytes, code, line) in table {
        let refusal = try_read(*bytes).expect_err("refused");
        assert_eq!((refusal.code, refusal.line), (*code, *line), "{refusal}");
        assert!(!refusal.reason.contains("127.0.0.1"), "an address may be signed: {refusal}");
    }
    let refusal = try_read("S. No.,Product Name,Price\n".as_bytes()).expect_err("refused");
    assert_eq!(
        refusal.reason,
        "No column of pictures among 'S. No.' 'Product Name' 'Price'. Name it 'Input Image Urls' or give --column NAME."
    );
}

#[test]
fn csv_spectrum_is_read_as_it_is_meant() {
    let table: &[(&str, &[&[&str]])] = &[
        (
            "first,last,address,url\nJohn,Doe,120 any st.,\"Anytown, WW\"\n",
            &[&["John", "Doe", "120 any st.", "Anytown, WW"]],
        ),
        ("a,b,url\n1,\"\",\"\"\n2,3,4\n", &[&["1", "", ""], &["2", "3", "4"]]),
        ("a,url\n1,\"ha \"\"ha\"\" ha\"\n3,4\n", &[&["1", "ha \"ha\" ha"], &["3", "4"]]),
        (
            "key,url\n1,\"{\"\"type\"\": \"\"Point\"\", \"\"coordinates\"\": [102.0, 0.5]}\"\n",
            &[&["1", "{\"type\": \"Point\", \"coordinates\": [102.0, 0.5]}"]],
        ),
        (
            "a,b,url\n1,2,3\n\"Once upon \na time\",5,6\n",
            &[&["1", "2", "3"], &["Once upon \na time", "5", "6"]],
        ),
        ("a,url\n1,\"ha \n\"\"ha\"\" \nha\"\n3,4\n", &[&["1", "ha \n\"ha\" \nha"], &["3", "4"]]),
        ("a,b,url\n1,2,3\n4,5,ʤ\n", &[&["1", "2", "3"], &["4", "5", "ʤ"]]),
    ];
    for (text, want) in table {
        for text in [(*text).to_owned(), text.trim_end().to_owned()] {
            let got: Vec<_> = read(text.as_bytes()).rows.iter().map(|row| cells(&row.cells)).collect();
            assert_eq!(got, *want, "{text:?}");
        }
    }
}

#[test]
fn a_huge_field_costs_only_its_row() {
    let name = "x".repeat(2_000_000);
    for field in [name.clone(), format!("\"{name}\""), format!("\"{}\"", "x,\"\"\r\n\"\"\n".repeat(200_000))]
    {
        let text = filled(&format!("{HEADER}1,{field},{{0}}\r\n2,Cup,{{1}}\n3\n"));
        let reading = read(text.as_bytes());
        assert_eq!(pictures(&reading), [[1]]);
        let kept = reading.bad[0].kept.as_ref().expect("it has a place");
        assert_eq!((reading.bad[0].line, kept.number, kept.cells.as_str()), (2, 0, "1,,"));
        let breaks = super::scan::count_breaks(field.as_bytes());
        assert_eq!((reading.rows[0].line, reading.bad[1].line), (3 + breaks, 4 + breaks));
    }
}

#[test]
fn a_row_of_the_greatest_length_is_read_and_a_longer_one_is_not() {
    for (surplus, usable) in [(0, 2), (1, 1)] {
        let name = "x".repeat(MAX_RECORD_BYTES - url(0).len() - "1,,".len() + surplus);
        let reading = read(filled(&format!("{HEADER}1,{name},{{0}}\n2,Cup,{{1}}\n")).as_bytes());
        assert_eq!(reading.rows.len(), usable);
    }
}
