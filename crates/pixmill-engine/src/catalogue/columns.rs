//! Which columns hold pictures: what their names say, together with what stands in the first rows.

use super::header::PictureColumn;
use super::looks::{Looks, has_picture_ending, is_placeholder, is_sure, looks};
use super::naming::{Meaning, meaning, plain};
use super::urls::{Reading, Urls};
use super::words::OTHER_ENDINGS;

/// What was found of a header's columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Judged {
    /// The columns of pictures, left to right; at least one.
    pub(super) pictures: Vec<PictureColumn>,
    /// How sure that is.
    pub(super) surety: Surety,
    /// Columns that look like pictures and are not among them, and why.
    pub(super) alike: Vec<(usize, &'static str)>,
}

/// How sure it is which columns hold pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Surety {
    /// The name is one that catalogues of pictures have, whatever stands in the column.
    Spelling,
    /// No name says so, but cells do.
    Cells,
    /// The name says address, and cells look like pictures.
    Address,
    /// The name says picture, and there is no cell to tell otherwise.
    Name,
    /// The name says picture, and cells hold addresses.
    Both,
}

/// What stands in a column.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Contents {
    /// Cells that hold anything.
    filled: u32,
    /// Those that hold a picture's address or path.
    pictures: u32,
    /// Those that hold nothing else.
    pure: u32,
    /// Those that hold an address or path that may be a picture's.
    perhaps: u32,
    /// Those that hold a page's address, by where it lies.
    pages: u32,
    /// Those that hold addresses of something else.
    others: u32,
    /// Those that hold the address of a file that is a picture by its name, or one that is shared.
    sure: u32,
    /// Those that hold nothing but the name or path of a file.
    paths: u32,
    /// Those of them whose file is named by an address in the same row.
    twins: u32,
}

impl Contents {
    /// Cells that hold an address.
    pub(super) fn addresses(&self) -> u32 {
        self.pictures + self.perhaps + self.pages + self.others
    }

    /// Whether a cell holds what looks like a picture.
    pub(super) fn has_pictures(&self) -> bool {
        self.pictures > 0
    }

    /// Whether they name files whose addresses stand in other columns.
    fn is_twin(&self) -> bool {
        self.twins > 0 && self.twins == self.paths && self.paths == self.filled
    }

    fn look_like_pictures(&self) -> bool {
        self.pure > 0 && self.pure * 2 >= self.filled
    }
}

/// Looks at each column's cells.
pub(super) fn contents(columns: usize, rows: &[Vec<String>]) -> Vec<Contents> {
    let mut all = vec![Contents::default(); columns];
    let mut urls = Urls::default();
    for row in rows {
        for (contents, cell) in all.iter_mut().zip(row) {
            look(cell.trim(), contents, &mut urls);
        }
        for (contents, cell) in all.iter_mut().zip(row) {
            look_for_twin(cell.trim(), contents, row);
        }
    }
    all
}

/// Looks whether a cell names one file that an address in the same row names, too.
fn look_for_twin(cell: &str, contents: &mut Contents, row: &[String]) {
    if cell.contains("://") || !has_picture_ending(cell) || cell.contains([',', ';', '|', '\n']) {
        return;
    }
    contents.paths += 1;
    let name = cell.rsplit(['/', '\\']).next().unwrap_or(cell);
    contents.twins += u32::from(row.iter().any(|other| other.contains("://") && other.contains(name)));
}

/// Whether what stands before an address names a file that is no picture, as in `manual.pdf (https://…)`.
fn is_of_other(before: &str) -> bool {
    let name = before.trim_end_matches(['(', ' ']);
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    OTHER_ENDINGS.iter().any(|other| ending.eq_ignore_ascii_case(other))
}

fn look(cell: &str, contents: &mut Contents, urls: &mut Urls) {
    if cell.is_empty() || is_placeholder(cell) {
        return;
    }
    contents.filled += 1;
    if !cell.bytes().any(|byte| matches!(byte, b'/' | b'.' | b':' | b'\\')) {
        return;
    }
    urls.clear();
    urls.read_cell(cell, Reading { column: 0, strict: true, base: None });
    let mut covered = 0;
    let (mut picture, mut perhaps, mut page, mut other, mut sure) = (false, false, false, false, false);
    for position in 0..urls.len() {
        let (Some(address), Some(place)) = (urls.get(position), urls.place(position)) else { continue };
        covered += place.at.len();
        if cell.get(..place.at.start).is_some_and(is_of_other) {
            other = true;
            continue;
        }
        let has_scheme = address.contains("://") || address.starts_with("data:");
        sure |= has_scheme && is_sure(address);
        match has_scheme.then(|| looks(address)) {
            Some(Looks::Picture) => picture = true,
            Some(Looks::Unknown) => perhaps = true,
            Some(Looks::Page) => page = true,
            Some(Looks::Other) => other = true,
            None if has_picture_ending(address) => picture = true,
            None => perhaps |= address.contains(['/', '\\']) && !address.contains(char::is_whitespace),
        }
    }
    match () {
        () if picture => contents.pictures += 1,
        () if perhaps => contents.perhaps += 1,
        () if page => contents.pages += 1,
        () if other => contents.others += 1,
        () => {}
    }
    contents.sure += u32::from(sure);
    contents.pure += u32::from(picture && covered * 2 >= cell.len());
}

/// Names that a catalogue of pictures has had from the first, without marks.
const SPELLINGS: [&str; 12] = [
    "inputimageurls",
    "inputimageurl",
    "imageurls",
    "imageurl",
    "inputurls",
    "inputurl",
    "images",
    "imagesrc",
    "image",
    "urls",
    "url",
    "imagelinks",
];

/// Finds the columns of pictures under a header. None where there is none.
pub(super) fn judge(names: &[String], contents: &[Contents]) -> Option<Judged> {
    let meanings: Vec<Meaning> = names.iter().map(|name| meaning(name)).collect();
    let of = |index: usize| contents.get(index).copied().unwrap_or_default();
    let (chosen, surety) = choose(names, &meanings, &of)?;
    let pictures: Vec<PictureColumn> = (0..names.len())
        .filter(|index| chosen.contains(index))
        .map(|index| PictureColumn { index, strict: surety == Surety::Both && of(index).filled == 0 })
        .collect();
    let unread = (0..names.len()).filter(|index| !chosen.contains(index));
    let alike = unread.filter_map(|index| Some((index, reason(meanings[index], of(index))?))).collect();
    Some(Judged { pictures, surety, alike })
}

fn choose(
    names: &[String],
    meanings: &[Meaning],
    of: &impl Fn(usize) -> Contents,
) -> Option<(Vec<usize>, Surety)> {
    let those = |wanted: &dyn Fn(usize) -> bool| {
        (0..names.len()).filter(|index| wanted(*index)).collect::<Vec<usize>>()
    };
    let holds = |index: usize| match meanings[index] {
        Meaning::Picture => {
            let found = of(index);
            !found.is_twin()
                && found.pictures + found.perhaps + found.pages > 0
                && found.others <= found.pictures + found.perhaps + found.pages
        }
        Meaning::Weak => of(index).look_like_pictures(),
        _ => false,
    };
    let is_empty = |index: usize| meanings[index] == Meaning::Picture && of(index).filled == 0;
    let named = those(&holds);
    if !named.is_empty() {
        let mut all = those(&|index| holds(index) || is_empty(index));
        let nameless: Vec<usize> = those(&|index| {
            meanings[index] == Meaning::Nameless
                && of(index).look_like_pictures()
                && follows(index, meanings, &all)
        });
        all.extend(nameless);
        return Some((all, Surety::Both));
    }
    let by_cells = those(&|index| {
        matches!(meanings[index], Meaning::Other | Meaning::Nameless) && of(index).look_like_pictures()
    });
    let empty = those(&is_empty);
    if !empty.is_empty() && by_cells.is_empty() {
        return Some((empty, Surety::Name));
    }
    let addresses = those(&|index| {
        meanings[index] == Meaning::Address && of(index).pictures > 0 && of(index).pictures >= of(index).pages
    });
    if !addresses.is_empty() {
        return Some((addresses, Surety::Address));
    }
    if !by_cells.is_empty() {
        return Some((by_cells, Surety::Cells));
    }
    let links = those(&|index| meanings[index] == Meaning::Link && of(index).sure * 2 > of(index).filled);
    if !links.is_empty() {
        return Some((links, Surety::Cells));
    }
    let perhaps = those(&|index| {
        matches!(meanings[index], Meaning::Address | Meaning::Weak)
            && of(index).perhaps > 0
            && of(index).pages + of(index).others == 0
    });
    if let Some(first) = perhaps.first() {
        return Some((vec![*first], Surety::Address));
    }
    let plain: Vec<String> = names.iter().map(|name| plain(name)).collect();
    let spelled = SPELLINGS.iter().find_map(|spelling| plain.iter().position(|name| name == spelling));
    // What is called `url` and holds pages is no column of pictures.
    let holds_pages = |index: usize| (of(index).pages + of(index).others) * 2 > of(index).filled;
    spelled
        .filter(|index| meanings[*index] == Meaning::Picture || !holds_pages(*index))
        .map(|index| (vec![index], Surety::Spelling))
}

/// Whether nothing but nameless columns lies between a column and one of pictures before it.
fn follows(index: usize, meanings: &[Meaning], pictures: &[usize]) -> bool {
    let before = (0..index).rev().find(|before| meanings[*before] != Meaning::Nameless);
    before.is_some_and(|before| pictures.contains(&before))
}

/// Why a column that looks like pictures is not read.
fn reason(meaning: Meaning, contents: Contents) -> Option<&'static str> {
    let looks = contents.look_like_pictures();
    match meaning {
        Meaning::Picture if contents.is_twin() => Some("other columns hold the addresses of its files"),
        Meaning::Picture if contents.filled > 0 => Some("its cells hold no picture's address"),
        Meaning::About if looks => Some("its name says that it tells something about a picture"),
        Meaning::Address if looks => Some("other columns say picture"),
        Meaning::Page | Meaning::Link if looks => Some("its name says that it holds a page"),
        Meaning::Weak | Meaning::Other | Meaning::Nameless if looks => Some("its name does not say picture"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(names: &str, rows: &[&str]) -> Option<(Vec<usize>, Surety, usize)> {
        let split = |line: &str| line.split('\t').map(str::to_owned).collect::<Vec<String>>();
        let names = split(names);
        let rows: Vec<Vec<String>> = rows.iter().map(|row| split(row)).collect();
        let judged = judge(&names, &contents(names.len(), &rows))?;
        Some((
            judged.pictures.iter().map(|picture| picture.index).collect(),
            judged.surety,
            judged.alike.len(),
        ))
    }

    #[test]
    fn all_columns_that_say_picture_and_hold_addresses_are_read() {
        let row = ["x\thttp://a/1.png\tfront\thttp://a/2.png\thttp://a/p/1"];
        assert_eq!(
            read("name\tImage Src\tImage Alt Text\tVariant Image\turl", &row),
            Some((vec![1, 3], Surety::Both, 0))
        );
        assert_eq!(
            read("image\timage_2\timage_3", &["http://a/1.png\t\thttp://a/2.png"]),
            Some((vec![0, 1, 2], Surety::Both, 0))
        );
    }

    #[test]
    fn a_name_alone_does_not_make_pictures_of_words() {
        assert_eq!(
            read("image\tImage is Thumbnail\tPhoto shoot", &["http://a/1.png\tTRUE\tMay"]),
            Some((vec![0], Surety::Both, 1))
        );
        assert_eq!(read("media\timage", &["CD\thttp://a/1.png"]), Some((vec![1], Surety::Both, 0)));
    }

    #[test]
    fn addresses_count_where_nothing_says_picture() {
        assert_eq!(read("name\turl", &["x\thttp://a/1.png"]), Some((vec![1], Surety::Address, 0)));
        assert_eq!(read("name\turl", &["x\thttp://a/xyz"]), Some((vec![1], Surety::Address, 0)));
        assert_eq!(read("name\turl", &["x\thttp://a/products/cap"]), None);
        assert_eq!(read("name\tlink", &["x\thttp://a/cap.html"]), None);
        assert_eq!(read("name\turl", &["x\t"]), Some((vec![1], Surety::Spelling, 0)));
        assert_eq!(read("name\tInput Image Urls", &["x\t"]), Some((vec![1], Surety::Name, 0)));
    }

    #[test]
    fn cells_tell_in_languages_that_are_not_known() {
        assert_eq!(
            read("a\tqwertz", &["x\thttp://a/1.png", "y\thttp://a/2.png"]),
            Some((vec![1], Surety::Cells, 0))
        );
        assert_eq!(
            read("a\tnotes", &["x\tsee <img src=\"http://a/1.png\"> for a picture of the cap, which is red"]),
            None
        );
        assert_eq!(read("a\tb\tc", &["1\t2\t3"]), None);
    }

    #[test]
    fn nameless_columns_after_one_of_pictures_go_on_with_it() {
        let row = ["Rod\thttp://a/1.png\thttp://a/2.png\t\t2014"];
        assert_eq!(read("title\timage_urls\t\t\tArchive_Year", &row), Some((vec![1, 2], Surety::Both, 0)));
    }
}
