//! What holds for any table in any dialect: what is written in it is found, and what is put in its place stands where it
//! stood, with every other byte as it was.

use encoding_rs::Encoding;
use proptest::prelude::*;

use super::trace::encoded;
use super::variants::try_read;
use super::*;

/// How a cell holds its addresses.
#[derive(Debug, Clone, Copy)]
enum Held {
    List(&'static str),
    Json,
    Python,
    Captioned,
    Image,
    Markdown,
    Tag,
    Keys,
    Quoted,
}

const HELD: [Held; 16] = [
    Held::List(","),
    Held::List(", "),
    Held::List(";"),
    Held::List("|"),
    Held::List(" "),
    Held::List("\n"),
    Held::List("-|-"),
    Held::List(" | "),
    Held::Json,
    Held::Python,
    Held::Captioned,
    Held::Image,
    Held::Markdown,
    Held::Tag,
    Held::Keys,
    Held::Quoted,
];

fn cell(held: Held, addresses: &[String]) -> String {
    let each = |form: &dyn Fn(&str) -> String, between: &str| {
        addresses.iter().map(|address| form(address)).collect::<Vec<_>>().join(between)
    };
    if addresses.is_empty() {
        return String::new();
    }
    match held {
        Held::List(between) => addresses.join(between),
        Held::Json => format!(
            "[{}]",
            each(
                &|address| format!("{{\"url\":\"{}\",\"alt\":\"a cap\"}}", address.replace('/', "\\/")),
                ","
            )
        ),
        Held::Python => format!("[{}]", each(&|address| format!("'{address}'"), ", ")),
        Held::Captioned => each(&|address| format!("cap.jpg ({address})"), ","),
        Held::Image => each(&|address| format!("=IMAGE(\"{address}\")"), ""),
        Held::Markdown => each(&|address| format!("![a cap]({address})"), " "),
        Held::Tag => each(&|address| format!("<img alt='x' src=\"{address}\">"), ""),
        Held::Keys => each(&|address| format!("URL1={address}"), ","),
        Held::Quoted => each(&|address| format!("\"{address}\""), ", "),
    }
}

/// Addresses as shops have them, of which each is one of its kind by its number.
fn address(kind: usize, number: usize) -> String {
    match kind % 6 {
        0 => format!("http://cdn.example/{number}.jpg"),
        1 => format!("https://shop.example/w_200,h_300/{number}.png"),
        2 => format!("https://shop.example/images/{number}/a-b_c.webp?v=2"),
        3 => format!("https://shop.example/cup;front;{number}.jpg"),
        4 => format!("http://cdn.example/123_High_Street,_London_{number}.jpg"),
        _ => format!("https://cdn.example/({number}).jpeg"),
    }
}

/// A table of pictures: how it is written and what is in it.
#[derive(Debug, Clone)]
struct Table {
    delimiter: u8,
    end: csv::Terminator,
    all_quoted: bool,
    encoding: &'static Encoding,
    mark: bool,
    title: bool,
    held: [Held; 2],
    /// Of each row, the kinds of addresses in each of two columns.
    rows: Vec<[Vec<usize>; 2]>,
}

fn tables() -> impl Strategy<Value = Table> {
    let encodings =
        vec![encoding_rs::UTF_8, encoding_rs::UTF_16LE, encoding_rs::UTF_16BE, encoding_rs::WINDOWS_1252];
    let ends = vec![csv::Terminator::Any(b'\n'), csv::Terminator::CRLF, csv::Terminator::Any(b'\r')];
    let held = || prop::sample::select(HELD.to_vec());
    let addresses = || prop::collection::vec(0usize..6, 0..4);
    let rows = prop::collection::vec((addresses(), addresses()).prop_map(|(one, other)| [one, other]), 1..12);
    let dialect = (prop::sample::select(b",;\t|".to_vec()), prop::sample::select(ends), any::<bool>());
    let text = (prop::sample::select(encodings), any::<bool>(), any::<bool>());
    (dialect, text, held(), held(), rows).prop_map(
        |((delimiter, end, all_quoted), (encoding, mark, title), one, other, rows)| Table {
            delimiter,
            end,
            all_quoted,
            encoding,
            mark: mark && encoding != encoding_rs::WINDOWS_1252,
            title,
            held: [one, other],
            rows,
        },
    )
}

impl Table {
    /// The addresses of each row, in the order of columns and positions, as they are or replaced.
    fn addresses(&self, replaced: bool) -> Vec<[Vec<String>; 2]> {
        let mut number = 0;
        let mut one = |kind: &usize| {
            number += 1;
            match replaced && number % 3 > 0 {
                // What needs quotes goes on to need them, so that a writer writes it alike.
                true => address(*kind, number).replace("example/", "example/new/"),
                false => address(*kind, number),
            }
        };
        self.rows
            .iter()
            .map(|row| [row[0].iter().map(&mut one).collect(), row[1].iter().map(&mut one).collect()])
            .collect()
    }

    fn written(&self, addresses: &[[Vec<String>; 2]]) -> Vec<u8> {
        let style = if self.all_quoted { csv::QuoteStyle::Always } else { csv::QuoteStyle::Necessary };
        let mut writer = csv::WriterBuilder::new()
            .delimiter(self.delimiter)
            .terminator(self.end)
            .quote_style(style)
            .from_writer(Vec::new());
        let mut write = |record: [&str; 5]| writer.write_record(record).expect("memory does not fail");
        if self.title {
            write(["Caps, cups & jugs", "", "", "", ""]);
        }
        write(["SKU", "Name", "Image", "Price", "Gallery Images"]);
        for (number, row) in addresses.iter().enumerate() {
            let (one, other) = (cell(self.held[0], &row[0]), cell(self.held[1], &row[1]));
            write([&format!("C-{number}"), "Tasse à café; \"grande\", 5\"", &one, "9.50 €", &other]);
        }
        let text = String::from_utf8(writer.into_inner().expect("memory does not fail")).expect("UTF-8");
        let text = if self.mark { format!("\u{feff}{text}") } else { text };
        encoded(&text, self.encoding).expect("every sign is in every encoding")
    }
}

proptest! {
    #[test]
    fn whatever_is_written_in_whatever_form_is_found_again_and_replaced_in_place(table in tables()) {
        let addresses = table.addresses(false);
        // A table without any picture has nothing by which its columns are known but their names, which is another test's.
        prop_assume!(addresses.iter().any(|row| !row[0].is_empty()));
        let bytes = table.written(&addresses);
        let (_, reading) = try_read(bytes.as_slice()).expect("a catalogue");
        let found: Vec<Vec<String>> = reading.rows.iter().map(|row| row.urls.iter().map(str::to_owned).collect()).collect();
        let want: Vec<Vec<String>> = addresses.iter().map(|row| row.concat()).collect();
        prop_assert_eq!(&found, &want);
        let replaced = table.addresses(true);
        let outputs = |number: u64| {
            let (old, new) = (want[number as usize].iter(), replaced[number as usize].concat());
            Ok::<_, std::io::Error>(old.zip(new).map(|(old, new)| (*old != new).then_some(new)).collect())
        };
        let mut again = Vec::new();
        Rewriter::open(bytes.as_slice(), &Hints::default()).expect("a catalogue").rewrite(&mut again, outputs).expect("memory does not fail");
        let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        prop_assert_eq!(shown(&again), shown(&table.written(&replaced)));
    }

    #[test]
    fn any_bytes_come_again_as_they_are_where_nothing_is_replaced(bytes in prop::collection::vec(any::<u8>(), 0..400), quoted in any::<bool>()) {
        let head = if quoted { "\"name\",\"image\"\r\n" } else { "name;image\n" };
        let bytes = [head.as_bytes(), &bytes].concat();
        if let Ok(rewriter) = Rewriter::open(bytes.as_slice(), &Hints::default()) {
            let mut again = Vec::new();
            rewriter.rewrite(&mut again, |_| Ok::<_, std::io::Error>(Vec::new())).expect("memory does not fail");
            prop_assert!(again == bytes);
        }
    }
}

fn again(bytes: &[u8], output: &str) -> Vec<u8> {
    let mut again = Vec::new();
    let rewriter = Rewriter::open(bytes, &Hints::default()).expect("a catalogue");
    rewriter
        .rewrite(&mut again, |_| Ok::<_, std::io::Error>(vec![Some(output.to_owned()); 9]))
        .expect("memory does not fail");
    again
}

#[test]
fn what_is_put_into_a_field_does_not_part_it() {
    let new = "https://new.example/a,b;c.jpg";
    assert_eq!(
        again(b"name,image\nCap,http://a/1.jpg\n", new),
        b"name,image\nCap,https://new.example/a%2Cb%3Bc.jpg\n"
    );
    assert_eq!(
        again(b"name,image\nCap,\"http://a/1.jpg\"\n", new),
        b"name,image\nCap,\"https://new.example/a,b;c.jpg\"\n"
    );
    assert_eq!(again(b"name,image\nCap,http://a/1.jpg\n", "o/a,b.jpg"), b"name,image\nCap,\"o/a,b.jpg\"\n");
}

#[test]
fn lists_that_spilled_out_of_their_cell_are_replaced_where_they_are() {
    let text = b"name,image\nCap,http://a/1.jpg, http://a/2.jpg,http://a/3.jpg\nCup,http://a/4.jpg\n";
    assert_eq!(
        again(text, "https://n/o.jpg"),
        b"name,image\nCap,https://n/o.jpg, https://n/o.jpg,https://n/o.jpg\nCup,https://n/o.jpg\n"
    );
}

#[test]
fn what_is_no_row_comes_again_as_it_was() {
    let text = "\u{feff}#INFO,x\n\nSKU,Image\n\0C-1,http://a/1.jpg\nSKU,Image\nbroken\n,,,\nC-2,\"http://a/2.jpg\nC-3,x";
    let want = text.replace("http://a/1.jpg", "https://n/o.jpg");
    assert_eq!(String::from_utf8(again(text.as_bytes(), "https://n/o.jpg")), Ok(want));
}

#[test]
fn names_are_what_cells_show() {
    let table = "name,image\n\"=HYPERLINK(\"\"https://s/p\"\",\"\"Cap\"\")\",http://a/1.png\n=HYPERLINK(A1),http://a/2.png\n";
    let reading = try_read(table.as_bytes()).expect("a catalogue").1;
    let names: Vec<&str> = reading.rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["Cap", "=HYPERLINK(A1)"]);
}

#[test]
fn a_catalogue_in_gzip_is_read_and_written_again_like_any_other() {
    use std::io::Write;
    let text = "name;bild\r\nTasse;\"http://a/1.png, http://a/2.png\"\r\n";
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(text.as_bytes()).expect("memory does not fail");
    let packed = packed.finish().expect("memory does not fail");
    let rewriter = Rewriter::open(packed.as_slice(), &Hints::default()).expect("a catalogue");
    assert!(rewriter.is_gzip() && !rewriter.is_converted());
    let want = text.replace("http://a/1.png", "https://n/o.jpg").replace("http://a/2.png", "https://n/o.jpg");
    assert_eq!(again(&packed, "https://n/o.jpg"), want.as_bytes());
}
