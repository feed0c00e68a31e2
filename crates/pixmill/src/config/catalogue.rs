//! Section catalogue: what is said of a catalogue, over what its contents say.

use pixmill_engine::catalogue::{Hints, base_url, delimiter, encoding};
use url::Url;

use super::bounds::whole;

/// What a catalogue is. Everything is found out where it is not said.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Catalogue")]
pub(crate) struct CatalogueFlags {
    /// A column of pictures, by its name or its number from 1; repeatable [default: all that say so]
    #[arg(long, value_name = "NAME", action = clap::ArgAction::Append)]
    column: Vec<String>,

    /// The column of products' names, by its name or its number
    #[arg(long, value_name = "NAME")]
    name_column: Option<String>,

    /// The line of the header; 0 for a catalogue without one [default: the first that names pictures]
    #[arg(long, value_name = "N", value_parser = whole::<u64>(0, 1 << 32))]
    header_row: Option<u64>,

    /// Address put before paths in cells, such as https://shop.example/media/
    #[arg(long, value_name = "URL", value_parser = base_url)]
    base_url: Option<Url>,

    /// The encoding, such as windows-1252 or macintosh
    #[arg(long, value_name = "NAME", value_parser = encoding)]
    encoding: Option<String>,

    /// Delimiter of fields: one character, or 'tab'
    #[arg(long, value_name = "SIGN", value_parser = delimiter)]
    delimiter: Option<u8>,

    /// The sheet of a spreadsheet, by its name or its number from 1 [default: the first with pictures]
    #[arg(long, value_name = "NAME")]
    sheet: Option<String>,
}

impl CatalogueFlags {
    /// What is said.
    pub(crate) fn hints(&self) -> Hints {
        Hints {
            columns: self.column.clone(),
            name_column: self.name_column.clone(),
            header_row: self.header_row,
            base_url: self.base_url.clone(),
            encoding: self.encoding.clone(),
            delimiter: self.delimiter,
            sheet: self.sheet.clone(),
        }
    }
}
