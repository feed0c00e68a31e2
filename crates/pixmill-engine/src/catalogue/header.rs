//! The header: which columns hold what.

use super::cells::push_field;

/// A catalogue's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The columns' names as they were, in their order.
    pub columns: Vec<String>,
    /// The same as one CSV record without line end, for the results.
    pub cells: String,
    /// The columns of pictures, left to right; at least one.
    pub pictures: Vec<PictureColumn>,
    /// The column of product names.
    pub name: Option<usize>,
}

/// A column of pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureColumn {
    /// Its place among the columns, from 0.
    pub index: usize,
    /// Nothing but its name says that it holds pictures: a word alone in a cell is none.
    pub strict: bool,
}

impl Header {
    /// Of these columns.
    pub(super) fn new(columns: Vec<String>, pictures: Vec<PictureColumn>, name: Option<usize>) -> Self {
        let mut cells = String::new();
        for (index, column) in columns.iter().enumerate() {
            push_field(&mut cells, index == 0, column);
        }
        Header { columns, cells, pictures, name }
    }

    /// The first column of pictures.
    pub(super) fn first(&self) -> usize {
        self.pictures.first().map_or(0, |picture| picture.index)
    }

    /// The last column of pictures.
    pub(super) fn last(&self) -> usize {
        self.pictures.last().map_or(0, |picture| picture.index)
    }

    /// How many columns there are up to the last one with a name, but at least up to the last one of pictures.
    /// Spreadsheets leave nameless ones at the end.
    pub(super) fn named(&self) -> usize {
        let last = self.columns.iter().rposition(|name| !name.trim().is_empty()).unwrap_or(0);
        last.max(self.last()) + 1
    }

    /// What a column is called where people read of it.
    pub(super) fn title(&self, column: usize) -> String {
        match self.columns.get(column).map(|name| shown(name)) {
            Some(name) if !name.is_empty() => name,
            _ => format!("column {}", column + 1),
        }
    }
}

/// The longest name that is shown, in characters.
const SHOWN: usize = 60;

/// A text out of a catalogue as it may be shown: one short line without control characters.
pub(super) fn shown(text: &str) -> String {
    let plain = text.trim().chars().map(|c| {
        if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}') { ' ' } else { c }
    });
    plain.take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_as_they_were_and_shown_without_controls() {
        let columns = ["Price, €", " Name ", "URL", ""].map(str::to_owned).to_vec();
        let header = Header::new(columns, vec![PictureColumn { index: 2, strict: false }], Some(1));
        assert_eq!(header.cells, "\"Price, €\", Name ,URL,");
        assert_eq!((header.named(), header.first(), header.last()), (3, 2, 2));
        assert_eq!((header.title(1).as_str(), header.title(3).as_str()), ("Name", "column 4"));
        assert_eq!(shown("a\u{1b}[31m\nb"), "a [31m b");
    }
}
