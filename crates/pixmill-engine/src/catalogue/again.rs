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
    /// The names of its columns, and how those of pictures hold addresses.
    columns: Vec<(&'static str, Option<Held>)>,
    /// Of each row, the kinds of addresses in each column of pictures.
    rows: Vec<[Vec<usize>; 3]>,
}

/// What columns of pictures are called.
const PICTURES: [&str; 12] = [
    "Image",
    "Gallery Images",
    "Bild",
    "Imágenes",
    "images/0",
    "g:image_link",
    "Zusatzbilder 2",
    "productImageUrl",
    "photo_1",
    "Image URL (Import)",
    "Afbeelding",
    "thumbnail",
];

/// What others are called, and what they hold.
const OTHERS: [(&str, &str); 7] = [
    ("SKU", "C-7"),
    ("Name", "Tasse à café; \"grande\", 5\""),
    ("Price", "9.50 €"),
    ("Image Alt Text", "cup.jpg, front"),
    ("Product URL", "https://shop.example/products/cup"),
    ("Description", "See <a href='https://shop.example/p/1'>ours</a>,\nall of them | each"),
    ("Stock", ""),
];

fn tables() -> impl Strategy<Value = Table> {
    let encodings =
        vec![encoding_rs::UTF_8, encoding_rs::UTF_16LE, encoding_rs::UTF_16BE, encoding_rs::WINDOWS_1252];
    let ends = vec![csv::Terminator::Any(b'\n'), csv::Terminator::CRLF, csv::Terminator::Any(b'\r')];
    let pictures = prop::sample::subsequence(PICTURES.to_vec(), 1..4);
    let held = prop::collection::vec(prop::sample::select(HELD.to_vec()), 3);
    // A row that holds nothing at all is none, so that one column is always filled.
    let others = prop::sample::subsequence(OTHERS[1..].to_vec(), 1..6)
        .prop_map(|others| std::iter::once(OTHERS[0]).chain(others).collect::<Vec<_>>());
    let columns = (pictures, held, others).prop_flat_map(|(pictures, held, others)| {
        let pictures = pictures.into_iter().zip(held).map(|(name, held)| (name, Some(held)));
        let all: Vec<_> = pictures.chain(others.into_iter().map(|(name, _)| (name, None))).collect();
        Just(all).prop_shuffle()
    });
    let addresses = || prop::collection::vec(0usize..6, 0..4);
    let row = (addresses(), addresses(), addresses()).prop_map(|(one, other, third)| [one, other, third]);
    let rows = prop::collection::vec(row, 1..12);
    let dialect = (prop::sample::select(b",;\t|".to_vec()), prop::sample::select(ends), any::<bool>());
    let text = (prop::sample::select(encodings), any::<bool>(), any::<bool>());
    (dialect, text, columns, rows).prop_map(
        |((delimiter, end, all_quoted), (encoding, mark, title), columns, rows)| Table {
            delimiter,
            end,
            all_quoted,
            encoding,
            mark: mark && encoding != encoding_rs::WINDOWS_1252,
            title,
            columns,
            rows,
        },
    )
}

impl Table {
    /// The addresses of each row, in the order of columns and positions, as they are or replaced.
    fn addresses(&self, replaced: bool) -> Vec<Vec<Vec<String>>> {
        let mut number = 0;
        let mut one = |kind: &usize| {
            number += 1;
            match replaced && number % 3 > 0 {
                // What needs quotes goes on to need them, so that a writer writes it alike.
                true => address(*kind, number).replace("example/", "example/new/"),
                false => address(*kind, number),
            }
        };
        let pictures = self.columns.iter().filter(|(_, held)| held.is_some()).count();
        let mut row = |row: &[Vec<usize>; 3]| {
            row[..pictures].iter().map(|kinds| kinds.iter().map(&mut one).collect()).collect()
        };
        self.rows.iter().map(&mut row).collect()
    }

    /// The cells of a row with these addresses.
    fn cells(&self, addresses: &[Vec<String>]) -> Vec<String> {
        let mut addresses = addresses.iter();
        let other = |name: &str| OTHERS.iter().find(|(other, _)| *other == name).map_or("", |(_, cell)| cell);
        let columns = self.columns.iter().map(|(name, held)| match held {
            Some(held) => cell(*held, addresses.next().map_or(&[], Vec::as_slice)),
            None => other(name).to_owned(),
        });
        columns.collect()
    }

    fn written(&self, addresses: &[Vec<Vec<String>>]) -> Vec<u8> {
        let style = if self.all_quoted { csv::QuoteStyle::Always } else { csv::QuoteStyle::Necessary };
        let mut writer = csv::WriterBuilder::new()
            .delimiter(self.delimiter)
            .terminator(self.end)
            .quote_style(style)
            .from_writer(Vec::new());
        let mut write = |record: &[String]| writer.write_record(record).expect("memory does not fail");
        if self.title {
            let mut title = vec![String::new(); self.columns.len()];
            title[0] = "Caps, cups & jugs".to_owned();
            write(&title);
        }
        write(&self.columns.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>());
        for row in addresses {
            write(&self.cells(row));
        }
        let text = String::from_utf8(writer.into_inner().expect("memory does not fail")).expect("UTF-8");
        let text = if self.mark { format!("\u{feff}{text}") } else { text };
        encoded(&text, self.encoding).expect("every sign is in every encoding")
    }

    fn written_as_json(&self, addresses: &[Vec<Vec<String>>]) -> Vec<u8> {
        let rows = addresses.iter().map(|row| {
            let members = self.columns.iter().zip(self.cells(row));
            let members =
                members.map(|((name, _), cell)| ((*name).to_owned(), serde_json::Value::String(cell)));
            serde_json::Value::Object(members.collect())
        });
        let rows = serde_json::Value::Array(rows.collect());
        serde_json::to_vec_pretty(&rows).expect("memory does not fail")
    }
}

/// What is read of bytes, row by row.
fn found(bytes: &[u8]) -> Vec<Vec<String>> {
    let (_, reading) = try_read(bytes).expect("a catalogue");
    reading.rows.iter().map(|row| row.urls.iter().map(str::to_owned).collect()).collect()
}

/// The bytes again, with other addresses in the places of those that differ.
fn replaced(bytes: &[u8], old: &[Vec<String>], new: &[Vec<String>]) -> String {
    let outputs = |number: u64| {
        let (old, new) = (old[number as usize].iter(), new[number as usize].iter());
        Ok::<_, std::io::Error>(old.zip(new).map(|(old, new)| (*old != *new).then(|| new.clone())).collect())
    };
    let mut again = Vec::new();
    let rewriter = Rewriter::open(bytes, &Hints::default()).expect("a catalogue");
    rewriter.rewrite(&mut again, outputs).expect("memory does not fail");
    String::from_utf8_lossy(&again).into_owned()
}

proptest! {
    #[test]
    fn whatever_is_written_in_whatever_form_is_found_again_and_replaced_in_place(table in tables()) {
        let addresses = table.addresses(false);
        // A table without any picture has nothing by which its columns are known but their names, which is another test's.
        prop_assume!(addresses.iter().any(|row| !row[0].is_empty()));
        let other = table.addresses(true);
        let flat = |rows: &[Vec<Vec<String>>]| rows.iter().map(|row| row.concat()).collect::<Vec<_>>();
        let (want, new) = (flat(&addresses), flat(&other));
        let bytes = table.written(&addresses);
        prop_assert_eq!(&found(&bytes), &want);
        prop_assert_eq!(replaced(&bytes, &want, &new), String::from_utf8_lossy(&table.written(&other)).into_owned());
    }

    #[test]
    fn whatever_is_written_as_json_is_found_again_and_replaced_in_place(table in tables()) {
        // In the order of members, which serde_json sorts.
        let mut table = table;
        table.columns.sort_by_key(|(name, _)| *name);
        let addresses = table.addresses(false);
        prop_assume!(addresses.iter().any(|row| !row[0].is_empty()));
        let other = table.addresses(true);
        let flat = |rows: &[Vec<Vec<String>>]| rows.iter().map(|row| row.concat()).collect::<Vec<_>>();
        let (want, new) = (flat(&addresses), flat(&other));
        let bytes = table.written_as_json(&addresses);
        prop_assert_eq!(&found(&bytes), &want);
        prop_assert_eq!(replaced(&bytes, &want, &new), String::from_utf8_lossy(&table.written_as_json(&other)).into_owned());
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
