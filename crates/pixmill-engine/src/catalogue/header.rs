//! The header: which column is which, whatever its spelling.

use super::cells::push_field;
use super::fields::Fields;

/// A catalogue's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The columns' names as they were, in their order.
    pub columns: Vec<String>,
    /// The same as one CSV record without line end, for the results.
    pub cells: String,
    /// The column of image addresses.
    pub url: usize,
    /// The column of product names.
    pub name: Option<usize>,
    /// The column of serial numbers.
    pub serial: Option<usize>,
}

/// Names of the address column without case and marks, the surest first. Those that say "image" come before those
/// that may be a product's own page; what only some exports use comes last.
const URL_NAMES: [&str; 32] = [
    "inputimageurls",
    "inputimageurl",
    "imageurls",
    "imageurl",
    "inputurls",
    "inputurl",
    "images",
    "imagesrc",
    "urls",
    "url",
    "image",
    "imagesrcs",
    "imagelinks",
    "imagelink",
    "inputimages",
    "inputimage",
    "productimages",
    "productimage",
    "productimageurls",
    "productimageurl",
    "pictures",
    "picture",
    "pictureurls",
    "pictureurl",
    "photos",
    "photo",
    "photourls",
    "photourl",
    "imgurls",
    "imgurl",
    "imgs",
    "img",
];
const NAME_NAMES: [&str; 7] = ["productname", "name", "product", "title", "producttitle", "itemname", "item"];
const SERIAL_NAMES: [&str; 10] =
    ["sno", "serialnumber", "serial", "serialno", "srno", "slno", "sn", "no", "number", "id"];

impl Header {
    /// Reads a header. None without a column of image addresses.
    pub(super) fn read(fields: &Fields<'_>) -> Option<(Header, UrlName)> {
        let columns: Vec<String> = (0..fields.len()).map(|index| fields.value(index).into_owned()).collect();
        let plain: Vec<String> = columns.iter().map(|name| plain(name)).collect();
        let find = |names: &[&str]| {
            let rank = names.iter().position(|name| plain.iter().any(|column| column == name))?;
            Some((rank, plain.iter().position(|column| column == names[rank])?))
        };
        let (rank, url) = find(&URL_NAMES)?;
        let mut cells = String::new();
        for (index, column) in columns.iter().enumerate() {
            push_field(&mut cells, index == 0, column);
        }
        let (name, serial) = (find(&NAME_NAMES), find(&SERIAL_NAMES));
        let header = Header {
            columns,
            cells,
            url,
            name: name.map(|found| found.1),
            serial: serial.map(|found| found.1),
        };
        Some((header, UrlName { rank }))
    }

    /// How many columns there are up to the last one with a name, but at least up to the address column.
    /// Spreadsheets leave nameless ones at the end.
    pub(super) fn named(&self) -> usize {
        let last = self.columns.iter().rposition(|name| !name.trim().is_empty()).unwrap_or(0);
        last.max(self.url) + 1
    }
}

/// How sure the address column's name is: the lesser the surer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct UrlName {
    rank: usize,
}

/// A name without case, white space and marks.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::scan::Scan;

    fn read(line: &str) -> Option<Header> {
        let mut scan = Scan::default();
        scan.record(line.as_bytes(), b',', true);
        Header::read(&Fields { text: line, spans: &scan.fields }).map(|found| found.0)
    }

    #[test]
    fn columns_are_known_by_every_spelling() {
        for line in [
            "S. No.,Product Name,Input Image Urls",
            "Serial Number,Product Name,Input Image URLs",
            "s_no,product_name,input_image_urls",
            "S NO,PRODUCT NAME,INPUT IMAGE URLS",
            "S.No.,name,image urls",
            "Serial,title,Image Src",
            "id,product,images",
            "No,Name,Input Urls",
            " S. No. , Product Name , Input Image Urls ",
            "sno,Product-Name,Image URL(s)",
            "SerialNumber,ProductName,InputImageUrl",
            "sr no,name,image",
            "sl. no.,name,photos",
        ] {
            let header = read(line).unwrap_or_else(|| panic!("{line}"));
            assert_eq!((header.serial, header.name, header.url), (Some(0), Some(1), 2), "{line}");
        }
    }

    #[test]
    fn the_surest_name_wins_wherever_it_stands() {
        assert_eq!(read("url,Image,Input Image Urls").map(|header| header.url), Some(2));
        assert_eq!(read("image,url").map(|header| header.url), Some(1));
        assert_eq!(read("url,Image URL").map(|header| header.url), Some(1));
        assert_eq!(read("Image URL,Image URL").map(|header| header.url), Some(0));
    }

    #[test]
    fn names_that_merely_hold_url_are_no_address_column() {
        for line in [
            "S. No.,Product Name,Price",
            "1,Mug,http://a/1.png",
            "Output Image Urls,Image Status",
            "curl,hurl",
        ] {
            assert_eq!(read(line), None, "{line}");
        }
    }

    #[test]
    fn names_are_kept_as_they_were() {
        let header = read("\"Price, €\", Name ,URL,").expect("a header");
        assert_eq!(header.columns, ["Price, €", " Name ", "URL", ""]);
        assert_eq!(header.cells, "\"Price, €\", Name ,URL,");
        assert_eq!(header.named(), 3);
        assert_eq!(read("a,url").expect("a header").name, None);
    }
}
