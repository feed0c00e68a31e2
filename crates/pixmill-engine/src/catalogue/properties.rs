//! What holds for any catalogue at all.

use std::io::{self, Read};

use proptest::prelude::*;

use super::naming::{Meaning, meaning};
use super::variants::{cells, read, try_read};
use super::*;

/// Hands out its bytes in pieces of one length.
struct Pieces<'a> {
    bytes: &'a [u8],
    length: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let count = room.len().min(self.length).min(self.bytes.len());
        room[..count].copy_from_slice(&self.bytes[..count]);
        self.bytes = &self.bytes[count..];
        Ok(count)
    }
}

/// One byte over and over.
struct Endless {
    left: usize,
}

impl Read for Endless {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let count = room.len().min(self.left);
        room[..count].fill(b'y');
        self.left -= count;
        Ok(count)
    }
}

#[test]
fn an_endless_field_is_not_buffered() {
    for opening in ["name,url\nMug,a.png\n2,\"", "name,url\nMug,a.png\n2,"] {
        let reader = opening.as_bytes().chain(Endless { left: 50_000_000 });
        let mut catalogue = Catalogue::open(reader).expect("a header");
        let mut row = Row::default();
        assert_eq!(catalogue.next_row(&mut row).expect("no fault"), Next::Row);
        let Next::Bad(bad) = catalogue.next_row(&mut row).expect("no fault") else { panic!("a bad row") };
        assert_eq!((bad.line, bad.kept.is_none()), (3, opening.ends_with('"')));
        assert_eq!(catalogue.next_row(&mut row).expect("no fault"), Next::End);
        assert!(catalogue.buffer_bytes() <= 2 * MAX_RECORD_BYTES, "{}", catalogue.buffer_bytes());
    }
}

#[test]
fn a_readers_fault_is_handed_on() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }
    assert!(matches!(Catalogue::open(Broken), Err(OpenError::Io(_))));
    let rows = "name,url\n".to_owned() + &"Mug,a.png\n".repeat(60_000);
    let mut catalogue = Catalogue::open(rows.as_bytes().chain(Broken)).expect("a header");
    let mut row = Row::default();
    let fault = loop {
        match catalogue.next_row(&mut row) {
            Ok(Next::Row) => {}
            Ok(other) => panic!("{other:?}"),
            Err(fault) => break fault,
        }
    };
    assert_eq!(fault.kind(), io::ErrorKind::ConnectionReset);
}

/// Bytes in which what matters to the reader is frequent.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            ",", ";", "|", "\t", "\n", "\r", "\r\n", "\"", "\"\"", ",\"", "\",", " \"", "\" ,", " ", "\0", "http://a/b.png",
            "a", "é", "\u{2028}", "Mug", "\u{feff}", "'",
        ]).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..4),
    ];
    let header =
        prop::sample::select(vec!["name,url\n", "url;n\r\n", "n|url\r", "url\n", "a\tb\turls\n", ""]);
    (header, prop::collection::vec(piece, 0..60))
        .prop_map(|(header, pieces)| [header.as_bytes().to_vec(), pieces.concat()].concat())
}

/// Whether no part of a field, whatever the delimiter, is itself what a column of pictures is called (`kep`, `pix0`).
fn is_no_title(field: &str) -> bool {
    let parts = || field.split([',', ';', '|', '\t', '"', '\r', '\n']);
    !parts().any(|part| matches!(meaning(part), Meaning::Picture | Meaning::Weak | Meaning::Address))
}

/// Fields of a table with at least two columns, the last of which holds addresses.
fn table() -> impl Strategy<Value = Vec<Vec<String>>> {
    (2usize..6).prop_flat_map(|columns| {
        let field = prop_oneof![
            "[a-z0-9]{0,12}",
            "[ ,;|\t\"'\r\n\u{b}\u{85}\u{2028}a-cé☕=+@-]{0,12}",
            prop::collection::vec(any::<char>().prop_filter("text", |c| !c.is_control()), 0..6)
                .prop_map(|chars| chars.into_iter().collect::<String>()),
        ];
        let field = field.prop_filter("no title", |field| is_no_title(field));
        prop::collection::vec(prop::collection::vec(field, columns), 0..20)
    })
}

fn written(rows: &[Vec<String>], delimiter: u8, end: csv::Terminator, style: csv::QuoteStyle) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new()
        .delimiter(delimiter)
        .terminator(end)
        .quote_style(style)
        .from_writer(Vec::new());
    for row in rows {
        writer.write_record(row).expect("a row is written");
    }
    writer.into_inner().expect("a table is written")
}

fn is_blank(row: &[String], delimiter: u8) -> bool {
    // What reads as nothing but delimiters, white space and quotes.
    let text: String = row.concat();
    text.bytes().all(|byte| byte == delimiter || matches!(byte, b' ' | b'\t' | b'"'))
}

fn delimiters() -> impl Strategy<Value = u8> {
    prop::sample::select(vec![b',', b';', b'\t', b'|'])
}

fn ends() -> impl Strategy<Value = csv::Terminator> {
    prop::sample::select(vec![
        csv::Terminator::Any(b'\n'),
        csv::Terminator::CRLF,
        csv::Terminator::Any(b'\r'),
    ])
}

/// Lengths of a row: around those of buffers and of the longest row, where something can meet, and any.
fn lengths() -> impl Strategy<Value = usize> {
    let around = |length: usize| length - 40..length + 40;
    prop_oneof![
        around(256 << 10),
        around(512 << 10),
        around(MAX_RECORD_BYTES),
        around(MAX_RECORD_BYTES + (64 << 10)),
        100_000usize..1_300_000,
    ]
}

proptest! {
    // Each reads megabytes, so that few are tried, where it matters.
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn pieces_that_meet_in_the_middle_of_a_long_row_change_nothing(
        before in 0usize..3, long in lengths(), quoted in any::<bool>(), length in 1000usize..70_000,
    ) {
        let quote = if quoted { "\"" } else { "" };
        let row = format!("{quote}{}{quote},b.png\n", "x".repeat(long));
        let text = format!("name,url\n{}{row}3,c.png\nshort\n", "1,a.png\n".repeat(before * 9000));
        let whole = try_read(text.as_bytes());
        let in_pieces = try_read(Pieces { bytes: text.as_bytes(), length });
        prop_assert!(whole == in_pieces);
        let lines: Vec<u64> = whole.expect("a catalogue").1.bad.iter().map(|bad| bad.line).collect();
        prop_assert_eq!(*lines.last().expect("the short row"), before as u64 * 9000 + 4);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_to_their_end(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = try_read(bytes.as_slice());
    }

    #[test]
    fn any_soup_is_read_to_its_end_whatever_the_pieces_it_comes_in(bytes in soup()) {
        let whole = try_read(bytes.as_slice());
        for length in [1, 2, 7] {
            prop_assert_eq!(&try_read(Pieces { bytes: &bytes, length }), &whole);
        }
        if let Ok((header, reading)) = whole {
            for row in &reading.rows {
                prop_assert_eq!(cells(&row.cells).len(), header.columns.len());
            }
            for kept in reading.bad.iter().filter_map(|bad| bad.kept.as_ref()) {
                prop_assert_eq!(cells(&kept.cells).len(), header.columns.len());
            }
        }
    }

    #[test]
    fn any_table_reads_back_exactly(
        rows in table(), delimiter in delimiters(), end in ends(), all_quoted in any::<bool>(),
    ) {
        let columns = rows.first().map_or(2, Vec::len);
        let mut header: Vec<String> = (1..columns).map(|number| format!("c{number}")).collect();
        header.push("Input Image Urls".to_owned());
        let all: Vec<Vec<String>> = std::iter::once(header).chain(rows.iter().cloned()).collect();
        let style = if all_quoted { csv::QuoteStyle::Always } else { csv::QuoteStyle::Necessary };
        let reading = read(&written(&all, delimiter, end, style));
        prop_assert_eq!(&reading.bad, &vec![]);
        let got: Vec<Vec<String>> = reading.rows.iter().map(|row| cells(&row.cells)).collect();
        let want: Vec<Vec<String>> = rows.into_iter().filter(|row| !is_blank(row, delimiter)).collect();
        prop_assert_eq!(got, want);
    }

    #[test]
    fn results_give_the_original_columns_back(rows in table(), statuses in prop::collection::vec(any::<bool>(), 0..5)) {
        let columns = rows.first().map_or(2, Vec::len);
        let mut header: Vec<String> = (1..columns).map(|number| format!("c{number}")).collect();
        header.push("image urls".to_owned());
        let all: Vec<Vec<String>> = std::iter::once(header.clone()).chain(rows.iter().cloned()).collect();
        let bytes = written(&all, b',', csv::Terminator::CRLF, csv::QuoteStyle::Necessary);
        let (head, reading) = try_read(bytes.as_slice()).expect("a catalogue");
        let mut writer = ResultsWriter::new(Vec::new(), &head).expect("memory does not fail");
        for row in &reading.rows {
            let slot = |done: &bool| match done {
                true => Slot { output: "o.jpg", status: "completed", ..Slot::default() },
                false => Slot { status: "failed", ..Slot::default() },
            };
            writer.row(&row.cells, statuses.iter().map(slot)).expect("memory does not fail");
        }
        let results = writer.finish().expect("memory does not fail");
        let mut reader = csv::Reader::from_reader(results.as_slice());
        let titles: Vec<String> = reader.headers().expect("a header").iter().map(str::to_owned).collect();
        prop_assert_eq!(&titles[..columns], &header[..]);
        prop_assert_eq!(&titles[columns..], &ADDED_COLUMNS.map(str::to_owned)[..]);
        let got: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().expect("valid results");
        let want: Vec<&Vec<String>> = rows.iter().filter(|row| !is_blank(row, b',')).collect();
        prop_assert_eq!(got.len(), want.len());
        for (record, original) in got.iter().zip(want) {
            prop_assert!(record.iter().take(columns).eq(original.iter().map(String::as_str)));
            let entries = if statuses.is_empty() { 0 } else { record[columns + 1].split(", ").count() };
            prop_assert_eq!(entries, statuses.len());
        }
    }
}
