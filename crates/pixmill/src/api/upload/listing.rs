//! Images listed in JSON, as a catalogue.

use http::StatusCode;
use pixmill_engine::code::Code;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::super::options::is_option;
use super::super::problem::{FieldError, Problem};

/// Most bytes of a list. A longer one is better sent as CSV, which is read as it comes.
pub(super) const MOST_BYTES: u64 = 8 << 20;

/// Faults that are told.
const FAULTS: usize = 1_000;

/// Images to be taken in: `images` or `products`, and options.
#[derive(ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "says in the API's description what the reader below takes")]
pub(in crate::api) enum Listing {
    /// Images, each a product of its own.
    #[schema(example = json!({"images": ["https://shop.example/cap.jpg"]}))]
    Images {
        /// What to fetch.
        images: Vec<Image>,
        /// What to do to each image: `format`, `quality`, `maxWidth`, …
        #[schema(value_type = Option<Object>)]
        recipe: Option<Map<String, Value>>,
        /// Told when the request is completed.
        #[serde(rename = "webhookUrl")]
        webhook_url: Option<String>,
    },
    /// Products.
    #[schema(example = json!({"products": [{"name": "Cap", "images": ["https://shop.example/cap.jpg"]}]}))]
    Products {
        /// What has images.
        products: Vec<Product>,
        /// What to do to each image: `format`, `quality`, `maxWidth`, …
        #[schema(value_type = Option<Object>)]
        recipe: Option<Map<String, Value>>,
        /// Told when the request is completed.
        #[serde(rename = "webhookUrl")]
        webhook_url: Option<String>,
    },
}

/// An image: its address, or that and its product's name.
#[derive(ToSchema)]
#[serde(untagged)]
#[schema(as = ListedImage)]
#[allow(dead_code, reason = "see Listing")]
pub(in crate::api) enum Image {
    Address(String),
    Named { url: String, name: Option<String> },
}

/// A product with its images.
#[derive(ToSchema)]
#[allow(dead_code, reason = "see Listing")]
pub(in crate::api) struct Product {
    name: Option<String>,
    images: Vec<String>,
}

/// What a list says.
#[derive(Debug)]
pub(super) struct Read {
    /// The same as CSV.
    pub(super) catalogue: Vec<u8>,
    /// Options by name.
    pub(super) options: Vec<(String, String)>,
}

/// Reads a list.
///
/// # Errors
/// `body.malformed` for what is no JSON or names something unknown; each entry that is none.
pub(super) fn read(text: &[u8]) -> Result<Read, Problem> {
    let value: Value = serde_json::from_slice(text)
        .map_err(|error| Problem::new(Code::BodyMalformed, format!("the body is no JSON: {error}")))?;
    let Value::Object(mut body) = value else {
        return Err(Problem::new(Code::BodyMalformed, "the body is no JSON object"));
    };
    let (images, products) = (body.remove("images"), body.remove("products"));
    let mut rows = Rows { writer: csv::Writer::from_writer(Vec::new()), errors: Vec::new() };
    rows.write("Product Name", "Input Image Urls");
    match (images, products) {
        (Some(Value::Array(images)), None) => {
            images.iter().enumerate().for_each(|(at, image)| rows.image(at, image))
        }
        (None, Some(Value::Array(products))) => {
            products.iter().enumerate().for_each(|(at, product)| rows.product(at, product));
        }
        _ => {
            return Err(Problem::new(
                Code::BodyMalformed,
                "the body must hold a list 'images' or a list 'products'",
            ));
        }
    }
    let options = options(body, &mut rows.errors);
    if !rows.errors.is_empty() {
        let detail = "the list holds entries that can't be used";
        let problem = Problem::new(Code::BodyMalformed, detail).with_status(StatusCode::UNPROCESSABLE_ENTITY);
        return Err(problem.because(rows.errors));
    }
    let catalogue =
        rows.writer.into_inner().map_err(|_| Problem::new(Code::BodyMalformed, "the list can't be read"))?;
    Ok(Read { catalogue, options })
}

struct Rows {
    writer: csv::Writer<Vec<u8>>,
    errors: Vec<FieldError>,
}

impl Rows {
    fn write(&mut self, name: &str, urls: &str) {
        // Memory can be written to.
        let _ = self.writer.write_record([name, urls]);
    }

    fn wrong(&mut self, field: String, message: &str) {
        if self.errors.len() < FAULTS {
            self.errors.push(FieldError::of_field(Code::BodyMalformed, field, message));
        }
    }

    fn image(&mut self, at: usize, image: &Value) {
        let (url, name) = match image {
            Value::String(url) => (Some(url.as_str()), Some("")),
            Value::Object(image) => (image.get("url").and_then(Value::as_str), name(image)),
            _ => (None, None),
        };
        match (url.filter(|url| !url.trim().is_empty()), name) {
            (Some(url), Some(name)) => self.write(name, &cell(url)),
            _ => self.wrong(
                format!("images[{at}]"),
                "allowed are an address, and an object with 'url' and 'name'",
            ),
        }
    }

    fn product(&mut self, at: usize, product: &Value) {
        let Value::Object(product) = product else {
            return self.wrong(format!("products[{at}]"), "allowed are objects with 'name' and 'images'");
        };
        let Some(Value::Array(images)) = product.get("images") else {
            return self.wrong(format!("products[{at}].images"), "a list of addresses is needed");
        };
        let urls: Vec<String> = images.iter().filter_map(Value::as_str).map(cell).collect();
        if urls.len() < images.len() || urls.iter().any(String::is_empty) {
            return self.wrong(format!("products[{at}].images"), "allowed are addresses alone");
        }
        match name(product) {
            Some(name) => self.write(name, &urls.join("\n")),
            None => self.wrong(format!("products[{at}].name"), "allowed is text"),
        }
    }
}

/// The name of a product, which may have none; `None` for what is no text.
fn name(product: &Map<String, Value>) -> Option<&str> {
    match product.get("name") {
        None | Some(Value::Null) => Some(""),
        Some(name) => name.as_str(),
    }
}

/// An address so that a cell of many parts it from others only where it ends: what may part is written otherwise.
fn cell(url: &str) -> String {
    let mut cell = String::with_capacity(url.len());
    for letter in url.trim().chars() {
        match letter {
            ' ' => cell.push_str("%20"),
            ',' => cell.push_str("%2C"),
            '|' => cell.push_str("%7C"),
            '"' => cell.push_str("%22"),
            letter if letter.is_whitespace() || letter.is_control() => {}
            letter => cell.push(letter),
        }
    }
    cell
}

fn options(body: Map<String, Value>, errors: &mut Vec<FieldError>) -> Vec<(String, String)> {
    let mut options = Vec::new();
    for (name, value) in body {
        match value {
            Value::Null if name == "recipe" => {}
            Value::Object(recipe) if name == "recipe" => {
                recipe.into_iter().for_each(|(name, value)| option(name, &value, &mut options, errors));
            }
            value => option(name, &value, &mut options, errors),
        }
    }
    options
}

fn option(name: String, value: &Value, options: &mut Vec<(String, String)>, errors: &mut Vec<FieldError>) {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(_) | Value::Object(_) => {
            return errors.push(FieldError::of_field(Code::BodyMalformed, name, "a single value is allowed"));
        }
    };
    if !is_option(&name) {
        return errors.push(FieldError::of_field(Code::BodyMalformed, name, "there is no such option"));
    }
    if !text.is_empty() {
        options.push((name, text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalogue(text: &str) -> String {
        String::from_utf8(read(text.as_bytes()).unwrap().catalogue).unwrap()
    }

    #[test]
    fn lists_become_catalogues() {
        assert_eq!(
            catalogue(
                r#"{"images": ["http://h/w_1,h_2/a b.jpg", {"url": "http://h/2", "name": "Mug, blue"}]}"#
            ),
            "Product Name,Input Image Urls\n,http://h/w_1%2Ch_2/a%20b.jpg\n\"Mug, blue\",http://h/2\n"
        );
        assert_eq!(
            catalogue(
                r#"{"products": [{"name": "Mug", "images": ["http://h/1", "http://h/2"]}, {"images": []}]}"#
            ),
            "Product Name,Input Image Urls\nMug,\"http://h/1\nhttp://h/2\"\n,\n"
        );
    }

    #[test]
    fn options_stand_beside_or_in_the_recipe() {
        let text = r#"{"images": [], "recipe": {"quality": 40, "progressive": true}, "webhookUrl": "https://h/", "maxWidth": null}"#;
        let mut options = read(text.as_bytes()).unwrap().options;
        options.sort();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let expected = [pair("progressive", "true"), pair("quality", "40"), pair("webhookUrl", "https://h/")];
        assert_eq!(options, expected);
    }

    #[test]
    fn whatever_is_wrong_is_named() {
        for (text, field) in [
            (r#"{"images": [1]}"#, "images[0]"),
            (r#"{"images": [{"name": "x"}]}"#, "images[0]"),
            (r#"{"images": [{"url": "http://h/1", "name": 1}]}"#, "images[0]"),
            (r#"{"products": [{"images": [], "name": []}]}"#, "products[0].name"),
            (r#"{"products": [{"images": [" "]}]}"#, "products[0].images"),
            (r#"{"products": [{}]}"#, "products[0].images"),
            (r#"{"images": [], "qualty": 3}"#, "qualty"),
            (r#"{"images": [], "quality": [3]}"#, "quality"),
        ] {
            assert_eq!(read(text.as_bytes()).unwrap_err().fields(), [field], "{text}");
        }
        for text in ["", "[]", "{}", r#"{"images": 1}"#, r#"{"images": [], "products": []}"#] {
            assert_eq!(read(text.as_bytes()).unwrap_err().code(), Code::BodyMalformed, "{text}");
        }
    }
}
