//! Where in a file of JSON its records are.

use super::super::naming::{Meaning, meaning};
use super::flat::string;
use super::scan::{Piece, Pieces, Scan, is_space};

/// How deep the list of records is looked for.
const DEEPEST: usize = 6;

/// How records follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Row {
    /// In a list, or in an object whose members they are.
    Within,
    /// One after the other, to the file's end.
    After,
    /// One a line.
    Lines,
}

/// Where records are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// Where the first of them is looked for.
    pub(super) from: usize,
    pub(super) row: Row,
}

/// Finds the records in the beginning of a text, which is all there is if `ended`.
pub(super) fn shape(text: &[u8], ended: bool) -> Shape {
    let first = text.iter().position(|byte| !is_space(*byte)).unwrap_or(text.len());
    let value = &text[first..];
    let end = Scan::default().end(value);
    let line = end.is_some_and(|end| {
        !value[..end].contains(&b'\n')
            && value[end..].iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\r')) == Some(&b'\n')
    });
    let next = end.and_then(|end| value[end..].iter().find(|byte| !is_space(**byte) && **byte != b','));
    let after = Shape { from: first, row: Row::After };
    let within = |from: usize| Shape { from: first + from, row: Row::Within };
    match (value.first(), next) {
        (Some(_), Some(b'{' | b'[' | b'"')) if line => Shape { from: first, row: Row::Lines },
        (Some(_), Some(b'{' | b'[' | b'"')) => after,
        (Some(b'['), _) => within(1),
        (Some(b'{'), _) => match list(value, end.is_some()) {
            Some(from) => within(from),
            None if end.is_none() && !ended && is_map(value) => within(1),
            None => after,
        },
        _ => after,
    }
}

/// A list that may be that of records.
#[derive(Debug)]
struct List {
    /// The first byte within.
    from: usize,
    depth: usize,
    /// It holds objects or lists, rather than strings.
    of_objects: bool,
    /// Its name says picture: it belongs to a record.
    of_pictures: bool,
    /// The object that it is in, by its number.
    parent: usize,
}

/// Where the records of an object begin. None where it is itself one.
fn list(value: &[u8], whole: bool) -> Option<usize> {
    if is_map(value) {
        return Some(1);
    }
    let (lists, illustrated) = lists(value);
    let alone = |list: &&List| !illustrated.contains(&list.parent);
    let records = lists.iter().filter(|list| list.of_objects && !list.of_pictures && (!whole || alone(list)));
    let records = records.min_by_key(|list| list.depth);
    let pictures = || {
        let found =
            lists.iter().filter(|list| list.of_pictures || !list.of_objects).min_by_key(|list| list.depth)?;
        (members(value) <= 2 && found.depth == 1).then_some(found)
    };
    records.or_else(pictures).map(|list| list.from)
}

/// The lists in an object, and those objects in it, by number, that have pictures of their own.
fn lists(value: &[u8]) -> (Vec<List>, Vec<usize>) {
    let mut pieces = Pieces::new(value);
    let (mut lists, mut illustrated) = (Vec::new(), Vec::new());
    let mut open: Vec<(bool, usize)> = Vec::new();
    let (mut objects, mut key) = (0, String::new());
    let mut fresh: Option<List> = None;
    while let Ok(Some(piece)) = pieces.next() {
        if let Some(mut list) = fresh.take() {
            list.of_objects = matches!(piece, Piece::Open { .. });
            if list.of_objects || matches!(piece, Piece::String(_)) {
                lists.push(list);
            }
        }
        match piece {
            Piece::Key(at) => {
                key = string(&value[at]).into_owned();
                if meaning(&key) == Meaning::Picture
                    && let Some((false, number)) = open.last()
                {
                    illustrated.push(*number);
                }
            }
            Piece::Open { list } => {
                let in_list = open.iter().any(|(list, _)| *list);
                if list && !in_list && open.len() <= DEEPEST {
                    let parent = open.last().map_or(0, |(_, number)| *number);
                    let of_pictures = meaning(&key) == Meaning::Picture;
                    fresh = Some(List {
                        from: pieces.at(),
                        depth: open.len(),
                        of_objects: false,
                        of_pictures,
                        parent,
                    });
                }
                objects += 1;
                open.push((list, objects));
            }
            Piece::Close => {
                open.pop();
            }
            Piece::String(_) | Piece::Bare(_) => {}
        }
    }
    (lists, illustrated)
}

/// The members of an object, as far as they are there.
fn members(value: &[u8]) -> usize {
    let (mut pieces, mut depth, mut count) = (Pieces::new(value), 0, 0);
    while let Ok(Some(piece)) = pieces.next() {
        match piece {
            Piece::Open { .. } => depth += 1,
            Piece::Close => depth -= 1,
            Piece::Key(_) if depth == 1 => count += 1,
            _ => {}
        }
    }
    count
}

/// Whether an object's members are records: objects with mostly the same names in them.
fn is_map(value: &[u8]) -> bool {
    let (mut pieces, mut depth) = (Pieces::new(value), 0);
    let mut names: Vec<Vec<Vec<u8>>> = Vec::new();
    while let Ok(Some(piece)) = pieces.next() {
        match piece {
            Piece::Open { list } => {
                depth += 1;
                if depth == 2 {
                    if list || names.len() > 8 {
                        return !list;
                    }
                    names.push(Vec::new());
                }
            }
            Piece::Close => depth -= 1,
            Piece::Key(at) if depth == 2 => {
                if let Some(last) = names.last_mut() {
                    last.push(value[at].to_vec());
                }
            }
            Piece::String(_) | Piece::Bare(_) if depth == 1 => return false,
            _ => {}
        }
    }
    let [first, second, ..] = names.as_slice() else { return false };
    let same = first.iter().filter(|name| second.contains(name)).count();
    same > 0 && same * 2 >= first.len().min(second.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn begins(text: &str, record: &str, row: Row) {
        let shape = shape(text.as_bytes(), true);
        let from = text[shape.from..].find(['{', '[', '"']).map(|at| shape.from + at).unwrap_or(shape.from);
        assert!(text[from..].starts_with(record) && shape.row == row, "{text}: {shape:?}");
    }

    #[test]
    fn records_are_found_wherever_programs_put_them() {
        begins(r#"[{"a":1},{"a":2}]"#, r#"{"a":1}"#, Row::Within);
        begins(r#" ["http://a/1.png"]"#, "\"http", Row::Within);
        begins("{\"a\":1}\n{\"a\":2}\n", r#"{"a":1}"#, Row::Lines);
        begins("{\"a\":\n1}\n{\"a\":2}\n", "{", Row::After);
        begins("[\"name\",\"image\"]\n[\"Cap\",\"a.png\"]", "[\"name\"", Row::Lines);
        begins(r#"{"count":2,"products":[{"id":1,"images":[{"src":"x"}]}]}"#, r#"{"id":1"#, Row::Within);
        begins(r#"{"data":{"products":{"edges":[{"node":{"id":1}}]}},"x":{}}"#, r#"{"node""#, Row::Within);
        begins(r#"{"values":[["name","image"],["Cap","a.png"]]}"#, "[\"name\"", Row::Within);
        begins(r#"{"images":["http://a/1.png"]}"#, "\"http", Row::Within);
        begins(r#"{"name":"Cap","sku":1,"images":[{"src":"x"}]}"#, r#"{"name""#, Row::After);
        begins(r#"{"product":{"images":[{"src":"x"}],"variants":[{"id":1}]}}"#, r#"{"product""#, Row::After);
        begins(
            r#"{"c1":{"name":"Cap","image":"x"},"c2":{"name":"Cup","image":"y"}}"#,
            r#""c1""#,
            Row::Within,
        );
        begins("{}", "{}", Row::After);
        begins("[]", "", Row::Within);
    }
}
