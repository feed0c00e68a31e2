//! Rows of an Excel workbook (.xlsx), read as they stand in its sheet.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use super::super::package::Package;
use super::cell;
use super::xml::{Token, Xml, attribute};
use super::{MOST_COLUMNS, Named, Record};

/// The most that texts shared by cells may take, in bytes: they are held in memory.
const MOST_SHARED_BYTES: u64 = 128 << 20;

/// Links that are kept.
const MOST_LINKS: usize = 500_000;

const WORKBOOK: &str = "xl/workbook.xml";

/// Whether a package is a workbook.
pub(super) fn is_workbook(package: &Package) -> bool {
    package.has(WORKBOOK) || workbook(package).is_ok_and(|name| package.has(&name))
}

/// A sheet that is being read.
pub(super) struct Xlsx {
    xml: Xml,
    shared: Arc<Shared>,
    links: HashMap<(u32, u32), String>,
    row: u32,
}

/// Texts that cells share, one after the other.
#[derive(Default)]
pub(super) struct Shared {
    text: String,
    ends: Vec<u32>,
}

impl Shared {
    fn get(&self, index: usize) -> &str {
        let Some(end) = self.ends.get(index) else { return "" };
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        self.text.get(start as usize..*end as usize).unwrap_or("")
    }
}

/// The sheets of a workbook, those first that are shown.
pub(super) fn sheets(package: &Package) -> io::Result<Vec<Named>> {
    let workbook = workbook(package)?;
    let targets = relations(package, &workbook)?;
    let (mut shown, mut hidden) = (Vec::new(), Vec::new());
    let mut xml = Xml::new(package.part(&workbook)?);
    loop {
        match xml.next()? {
            Token::Start(sheet) if sheet.local_name().as_ref() == b"sheet" => {
                let target = sheet
                    .attributes()
                    .flatten()
                    .find(|attribute| {
                        attribute.key.as_ref() != b"id" && attribute.key.local_name().as_ref() == b"id"
                    })
                    .and_then(|id| targets.get(String::from_utf8_lossy(&id.value).as_ref()).cloned());
                let Some(Relation { target, .. }) = target.filter(|to| package.has(&to.target)) else {
                    continue;
                };
                let named = Named { name: attribute(&sheet, "name").unwrap_or_default(), part: target };
                match attribute(&sheet, "state").as_deref() {
                    None | Some("visible") => shown.push(named),
                    Some(_) => hidden.push(named),
                }
            }
            Token::Finished => break,
            _ => {}
        }
    }
    shown.append(&mut hidden);
    Ok(shown)
}

impl Xlsx {
    /// `known`: the texts that cells share, once a sheet of the workbook was opened.
    pub(super) fn open(package: &Package, part: &str, known: &OnceCell<Arc<Shared>>) -> io::Result<Self> {
        let relations = relations(package, part)?;
        let links = match relations.values().any(|relation| relation.is_link) {
            true => links(package, part, &relations)?,
            false => HashMap::new(),
        };
        let xml = Xml::new(package.part(part)?);
        if known.get().is_none() {
            let _ = known.set(Arc::new(shared(package)?));
        }
        let shared = known.get().cloned().unwrap_or_default();
        Ok(Xlsx { xml, shared, links, row: 0 })
    }

    /// Fills in the next row that holds something; its number from 1, or none at the end.
    pub(super) fn next(&mut self, record: &mut Record) -> io::Result<Option<u64>> {
        loop {
            match self.xml.next()? {
                Token::Start(row) if row.local_name().as_ref() == b"row" => {
                    let told = attribute(&row, "r").and_then(|number| number.parse().ok());
                    self.row = told.unwrap_or(self.row.saturating_add(1));
                    record.clear();
                    self.cells(record)?;
                    if !record.is_blank() {
                        return Ok(Some(u64::from(self.row)));
                    }
                }
                Token::End(data) if data.local_name().as_ref() == b"sheetData" => return Ok(None),
                Token::Finished => return Ok(None),
                _ => {}
            }
        }
    }

    fn cells(&mut self, record: &mut Record) -> io::Result<()> {
        let (mut column, mut next) = (0, 0);
        let (mut kind, mut shown, mut formula) = (Kind::Value, String::new(), String::new());
        let (mut into, mut phonetic) = (Into::Nothing, false);
        loop {
            match self.xml.next()? {
                Token::Start(element) => match element.local_name().as_ref() {
                    b"c" => {
                        shown.clear();
                        formula.clear();
                        column =
                            attribute(&element, "r").and_then(|at| place(&at)).map_or(next, |(_, at)| at);
                        next = column + 1;
                        kind = Kind::of(attribute(&element, "t").as_deref());
                    }
                    b"v" => into = Into::Shown,
                    b"t" if !phonetic => into = Into::Shown,
                    b"f" => into = Into::Formula,
                    b"rPh" => phonetic = true,
                    _ => {}
                },
                Token::Text(text) => match into {
                    Into::Shown => shown.push_str(&text),
                    Into::Formula => formula.push_str(&text),
                    Into::Nothing => {}
                },
                Token::End(element) => match element.local_name().as_ref() {
                    b"v" | b"t" | b"f" => into = Into::Nothing,
                    b"rPh" => phonetic = false,
                    b"c" => {
                        let link = self.links.get(&(self.row, column)).map(String::as_str);
                        let shown = match kind {
                            Kind::Shared => self.shared.get(shown.parse().unwrap_or(usize::MAX)),
                            Kind::Truth => {
                                if shown == "1" {
                                    "TRUE"
                                } else {
                                    "FALSE"
                                }
                            }
                            Kind::Value => shown.as_str(),
                        };
                        if column < MOST_COLUMNS {
                            record.put(column as usize, &unescaped(&cell::text(shown, &formula, link)));
                        }
                    }
                    b"row" => return Ok(()),
                    _ => {}
                },
                Token::Finished => return Ok(()),
                Token::Other => {}
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Shared,
    Truth,
    Value,
}

impl Kind {
    fn of(name: Option<&str>) -> Self {
        match name {
            Some("s") => Kind::Shared,
            Some("b") => Kind::Truth,
            _ => Kind::Value,
        }
    }
}

#[derive(Clone, Copy)]
enum Into {
    Nothing,
    Shown,
    Formula,
}

/// The row from 1 and the column from 0 of a cell such as `B12`.
fn place(reference: &str) -> Option<(u32, u32)> {
    let letters = reference.bytes().take_while(u8::is_ascii_alphabetic).count();
    let column = reference
        .bytes()
        .take(letters.min(4))
        .fold(0u32, |column, letter| column * 26 + u32::from(letter.to_ascii_uppercase() - b'A' + 1));
    Some((reference[letters..].parse().ok()?, column.checked_sub(1)?))
}

/// `_x000D_` and the like, by which signs are written that XML can't hold.
fn unescaped(text: &str) -> std::borrow::Cow<'_, str> {
    if !text.contains("_x") {
        return text.into();
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("_x") {
        let sign = rest.get(at + 2..at + 6).filter(|_| rest.as_bytes().get(at + 6) == Some(&b'_'));
        let sign = sign.and_then(|digits| char::from_u32(u32::from_str_radix(digits, 16).ok()?));
        plain.push_str(&rest[..at]);
        match sign {
            Some(sign) => plain.push(sign),
            None => plain.push_str("_x"),
        }
        rest = &rest[at + if sign.is_some() { 7 } else { 2 }..];
    }
    plain.push_str(rest);
    plain.into()
}

fn shared(package: &Package) -> io::Result<Shared> {
    let name = ["xl/sharedStrings.xml", "xl/SharedStrings.xml"].into_iter().find(|name| package.has(name));
    let Some(name) = name else { return Ok(Shared::default()) };
    let too_large = || {
        let why = "its texts take more than 128 MiB: save the sheet as CSV".to_owned();
        io::Error::new(io::ErrorKind::InvalidData, why)
    };
    // Marks take a third of it at least.
    if package.size(name) > 2 * MOST_SHARED_BYTES {
        return Err(too_large());
    }
    let mut xml = Xml::new(package.part(name)?);
    let mut shared = Shared::default();
    let (mut keep, mut phonetic) = (false, false);
    loop {
        match xml.next()? {
            Token::Start(element) => match element.local_name().as_ref() {
                b"t" => keep = !phonetic,
                b"rPh" => phonetic = true,
                _ => {}
            },
            Token::Text(text) if keep => shared.text.push_str(&text),
            Token::End(element) => match element.local_name().as_ref() {
                b"t" => keep = false,
                b"rPh" => phonetic = false,
                b"si" => {
                    if shared.text.len() as u64 + 4 * shared.ends.len() as u64 > MOST_SHARED_BYTES {
                        return Err(too_large());
                    }
                    shared.ends.push(u32::try_from(shared.text.len()).map_err(|_| too_large())?);
                }
                _ => {}
            },
            Token::Finished => return Ok(shared),
            _ => {}
        }
    }
}

/// What a part stands in relation to.
#[derive(Clone)]
struct Relation {
    target: String,
    is_link: bool,
}

/// The relations of a part, by their ids.
fn relations(package: &Package, part: &str) -> io::Result<HashMap<String, Relation>> {
    let (folder, file) = part.rsplit_once('/').unwrap_or(("", part));
    let name = format!("{folder}/_rels/{file}.rels");
    let name = name.trim_start_matches('/');
    let mut found = HashMap::new();
    if !package.has(name) {
        return Ok(found);
    }
    let mut xml = Xml::new(package.part(name)?);
    loop {
        match xml.next()? {
            Token::Start(element) if element.local_name().as_ref() == b"Relationship" => {
                let (Some(id), Some(target)) = (attribute(&element, "Id"), attribute(&element, "Target"))
                else {
                    continue;
                };
                let is_link = attribute(&element, "Type").is_some_and(|kind| kind.ends_with("/hyperlink"));
                let external = attribute(&element, "TargetMode").is_some_and(|mode| mode == "External");
                let target = if external { target } else { within(folder, &target) };
                if found.len() < MOST_LINKS {
                    found.insert(id, Relation { target, is_link });
                }
            }
            Token::Finished => return Ok(found),
            _ => {}
        }
    }
}

/// A part's name that is told from a folder.
fn within(folder: &str, target: &str) -> String {
    if let Some(target) = target.strip_prefix('/') {
        return target.to_owned();
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            ".." => {
                parts.pop();
            }
            "." | "" => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn workbook(package: &Package) -> io::Result<String> {
    let relations = relations(package, "")?;
    let of_sheets = relations
        .into_values()
        .map(|relation| relation.target)
        .find(|target| target.ends_with("workbook.xml"));
    Ok(of_sheets.unwrap_or_else(|| WORKBOOK.to_owned()))
}

/// What the cells of a sheet link to.
fn links(
    package: &Package,
    part: &str,
    relations: &HashMap<String, Relation>,
) -> io::Result<HashMap<(u32, u32), String>> {
    let mut links = HashMap::new();
    let mut xml = Xml::new(package.part(part)?);
    loop {
        match xml.next()? {
            Token::Start(element) if element.local_name().as_ref() == b"hyperlink" => {
                let relation = attribute(&element, "id").and_then(|id| relations.get(&id));
                let at = attribute(&element, "ref").unwrap_or_default();
                let (from, to) = at.split_once(':').unwrap_or((&at, &at));
                let (Some(relation), Some(from), Some(to)) = (relation, place(from), place(to)) else {
                    continue;
                };
                for row in from.0..=to.0 {
                    for column in from.1..=to.1.min(MOST_COLUMNS) {
                        if links.len() >= MOST_LINKS {
                            return Ok(links);
                        }
                        links.insert((row, column), relation.target.clone());
                    }
                }
            }
            Token::Finished => return Ok(links),
            _ => {}
        }
    }
}
