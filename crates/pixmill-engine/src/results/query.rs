//! What people ask for of a request's images: words, and qualifiers such as `code:fetch.status` and `saved:<5%`.

use std::borrow::Cow;

use crate::catalogue::fields;
use crate::model::image::{ImageStatus, ImageView};

/// The longest question, bytes, and most terms in it.
const LONGEST: usize = 1_000;
const MOST_TERMS: usize = 20;

/// Qualifiers, and what they mean to whoever is told.
pub const QUALIFIERS: [(&str, &str); 8] = [
    ("status", "pending, processing, completed, failed or cancelled"),
    ("code", "a code such as fetch.status, or its first part"),
    ("host", "the host that is asked, or the end of its name"),
    ("sku", "a cell of the row, all of it"),
    ("name", "a part of any cell of the row"),
    ("row", "a row, or several: 10-90"),
    ("saved", "how much smaller it became: <5%, >50%"),
    ("bytes", "bytes before: >1MB, <20kB"),
];

/// What is asked for: all terms must fit.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ImageQuery(Vec<Term>);

#[derive(Debug, Clone, PartialEq)]
enum Term {
    Status(ImageStatus),
    Code(String),
    Host(String),
    /// From and to, from 1.
    Rows(u64, u64),
    /// Percent.
    Saved(Side, f64),
    Bytes(Side, f64),
    /// A whole cell, in small letters.
    Cell(String),
    /// A part of a cell, in small letters.
    InCells(String),
    /// A part of the address or of a cell, in small letters.
    Anywhere(String),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Side {
    Below,
    Above,
}

impl ImageQuery {
    /// Reads a question.
    ///
    /// # Errors
    /// A sentence on what is allowed.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("a question may have {LONGEST} bytes"));
        }
        let words = words(text);
        if words.len() > MOST_TERMS {
            return Err(format!("a question may have {MOST_TERMS} words"));
        }
        words.iter().map(|word| term(word)).collect::<Result<_, _>>().map(ImageQuery)
    }

    /// Whether all images fit.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The status that is asked for, which records find fast.
    pub fn status(&self) -> Option<ImageStatus> {
        let said = self.0.iter().find_map(|term| match term {
            Term::Status(status) => Some(*status),
            _ => None,
        });
        // Nothing else has a code.
        let coded = || self.0.iter().any(|term| matches!(term, Term::Code(_))).then_some(ImageStatus::Failed);
        said.or_else(coded)
    }

    /// Whether an image fits, as far as that can be told without its row: `None` where the row decides.
    pub fn fits(&self, view: &ImageView) -> Option<bool> {
        let mut open = false;
        for term in &self.0 {
            match term.fits(view) {
                Some(false) => return Some(false),
                Some(true) => {}
                None => open = true,
            }
        }
        (!open).then_some(true)
    }

    /// Whether the row of an image fits, given its columns as one CSV record, for an image that fits otherwise.
    pub fn fits_row(&self, view: &ImageView, cells: &str) -> bool {
        let cells = lower(cells);
        let row_fits = |term: &Term| match term {
            Term::Cell(cell) => fields(&cells).contains(cell),
            Term::InCells(part) | Term::Anywhere(part) => cells.contains(part.as_str()),
            _ => true,
        };
        self.0.iter().all(|term| term.fits(view).unwrap_or_else(|| row_fits(term)))
    }
}

impl Term {
    fn fits(&self, view: &ImageView) -> Option<bool> {
        let output = view.slot.output.as_ref();
        Some(match self {
            Term::Status(status) => view.slot.status == *status,
            Term::Code(code) => view.slot.failure.as_ref().is_some_and(|failure| {
                let rest = failure.code.as_str().strip_prefix(code.as_str());
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            }),
            Term::Host(host) => {
                let found = host_of(&view.input);
                let above = found.strip_suffix(host.as_str());
                above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
            }
            Term::Rows(from, to) => (*from..=*to).contains(&(view.row + 1)),
            Term::Saved(side, percent) => output.is_some_and(|output| {
                let share = 1.0 - output.bytes_after as f64 / output.bytes_before.max(1) as f64;
                side.holds(share * 100.0, *percent)
            }),
            Term::Bytes(side, bytes) => {
                output.is_some_and(|output| side.holds(output.bytes_before as f64, *bytes))
            }
            Term::Anywhere(part) if lower(&view.input).contains(part.as_str()) => true,
            Term::Cell(_) | Term::InCells(_) | Term::Anywhere(_) => return None,
        })
    }
}

impl Side {
    fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Side::Below => value < bound,
            Side::Above => value > bound,
        }
    }
}

/// The host of an address, with its port where it has one, in small letters; nothing for a path.
pub fn host_of(input: &str) -> String {
    let Some((_, rest)) = input.split_once("//") else { return String::new() };
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let host = rest[..end].rsplit('@').next().unwrap_or_default();
    host.to_lowercase()
}

fn lower(text: &str) -> Cow<'_, str> {
    match text.bytes().any(|byte| byte.is_ascii_uppercase() || !byte.is_ascii()) {
        true => text.to_lowercase().into(),
        false => text.into(),
    }
}

/// Words, parted by white space; quotes keep several together.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for letter in text.chars() {
        match letter {
            '"' => quoted = !quoted,
            letter if letter.is_whitespace() && !quoted => words.push(std::mem::take(&mut word)),
            letter => word.push(letter),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

fn term(word: &str) -> Result<Term, String> {
    let known = |name: &str| QUALIFIERS.iter().find(|(known, _)| name.eq_ignore_ascii_case(known));
    let qualified = word.split_once(':').and_then(|(name, value)| known(name).map(|known| (known, value)));
    let Some(((name, meaning), value)) = qualified else { return Ok(Term::Anywhere(word.to_lowercase())) };
    let wrong = || format!("'{name}:' takes {meaning}, not '{value}'");
    let small = value.to_lowercase();
    if small.is_empty() {
        return Err(wrong());
    }
    Ok(match *name {
        "status" => {
            let status = ImageStatus::ALL.into_iter().find(|status| status.as_str() == small);
            Term::Status(status.ok_or_else(wrong)?)
        }
        "code" => Term::Code(small),
        "host" => Term::Host(small),
        "sku" => Term::Cell(small),
        "name" => Term::InCells(small),
        "row" => {
            let (from, to) = small.split_once('-').unwrap_or((&small, &small));
            let number = |text: &str| text.parse::<u64>().map_err(|_| wrong());
            Term::Rows(number(from)?, number(to)?)
        }
        "saved" => compared(small.trim_end_matches('%'))
            .map(|(side, value)| Term::Saved(side, value))
            .ok_or_else(wrong)?,
        _ => {
            let units = [("kb", 1e3), ("mb", 1e6), ("gb", 1e9), ("b", 1.0)];
            let unit = units.into_iter().find_map(|(unit, size)| Some((small.strip_suffix(unit)?, size)));
            let (number, size) = unit.unwrap_or((&small, 1.0));
            compared(number).map(|(side, value)| Term::Bytes(side, value * size)).ok_or_else(wrong)?
        }
    })
}

/// `<5` or `>5`.
fn compared(text: &str) -> Option<(Side, f64)> {
    let (side, number) = match text.strip_prefix('<') {
        Some(number) => (Side::Below, number),
        None => (Side::Above, text.strip_prefix('>')?),
    };
    number.trim().parse().ok().filter(|number: &f64| number.is_finite()).map(|number| (side, number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::Code;
    use crate::model::image::{Failure, Output};
    use crate::model::row::Slot;

    const CELLS: &str = "4711,\"Mug, \"\"large\"\"\",https://cdn.shop.example/Mug.jpg";

    fn view(slot: Slot) -> ImageView {
        ImageView {
            image: "i".into(),
            row: 9,
            position: 0,
            input: "https://user@CDN.shop.example:8443/Mug.jpg?v=2".into(),
            attempts: 1,
            ended: None,
            slot,
        }
    }

    fn completed() -> ImageView {
        let output =
            Output { location: "o".into(), bytes_before: 2_000_000, bytes_after: 1_940_000, frames: 1 };
        view(Slot { status: ImageStatus::Completed, output: Some(output), failure: None })
    }

    fn failed() -> ImageView {
        let failure = Failure { code: Code::FetchStatus, message: "the server answered 404".into() };
        view(Slot { status: ImageStatus::Failed, output: None, failure: Some(failure) })
    }

    fn asks(text: &str, view: &ImageView) -> bool {
        let query = ImageQuery::parse(text).unwrap();
        query.fits(view).unwrap_or_else(|| query.fits_row(view, CELLS))
    }

    #[test]
    fn each_qualifier_tells_images_apart() {
        for fits in [
            "",
            "status:completed",
            "row:10",
            "row:1-10",
            "saved:<5%",
            "saved:>2",
            "bytes:>1MB",
            "bytes:<2001kb",
            "mug.jpg",
            "sku:4711",
            "name:large",
            "name:\"mug, \"",
            "host:shop.example:8443 4711",
            "STATUS:Completed",
        ] {
            assert!(asks(fits, &completed()), "{fits}");
        }
        for unfit in [
            "status:failed",
            "row:11",
            "saved:>5%",
            "bytes:<1MB",
            "elephant",
            "sku:471",
            "sku:mug",
            "host:op.example:8443",
            "code:fetch",
            "mug.jpg elephant",
        ] {
            assert!(!asks(unfit, &completed()), "{unfit}");
        }
        assert!(asks("code:fetch.status", &failed()) && asks("code:fetch host:example:8443", &failed()));
        assert!(!asks("code:fetch.stat", &failed()) && !asks("saved:<5%", &failed()));
    }

    #[test]
    fn addresses_are_words_and_what_records_find_fast_is_told() {
        let query = ImageQuery::parse("https://cdn.shop.example/mug.jpg").unwrap();
        assert_eq!(query.status(), None);
        assert!(query.fits_row(&completed(), CELLS));
        assert_eq!(ImageQuery::parse("code:image").unwrap().status(), Some(ImageStatus::Failed));
    }

    #[test]
    fn what_is_not_understood_is_told_with_what_is() {
        for wrong in ["status:done", "row:x", "saved:5%", "bytes:>", "code:", "saved:<nan"] {
            let told = ImageQuery::parse(wrong).unwrap_err();
            assert!(told.contains("takes"), "{told}");
        }
        assert!(
            ImageQuery::parse(&"a ".repeat(21)).is_err() && ImageQuery::parse(&"a".repeat(1001)).is_err()
        );
    }

    #[test]
    fn hosts_are_found_without_reading_the_whole_address() {
        for (input, host) in [
            ("http://A.b/c", "a.b"),
            ("//h", "h"),
            ("pictures/a.jpg", ""),
            ("https://u:p@h:1?x", "h:1"),
            ("ftp://", ""),
        ] {
            assert_eq!(host_of(input), host, "{input}");
        }
    }
}
