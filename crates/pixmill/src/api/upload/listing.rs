//! Images listed in JSON, as a catalogue.

mod read;
mod rows;

use pixmill_engine::catalogue::Hints;
use pixmill_engine::code::Code;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::pipeline::accept::apart;
use serde_json::{Map, Value};
use tokio::sync::oneshot;
use utoipa::ToSchema;

use super::super::problem::Problem;
use super::Upload;
use super::body::{self, Body};

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

/// Takes a list in: one thread makes it a catalogue as it comes, another one reads that.
pub(super) async fn take(
    upload: &Upload,
    name: &str,
    mut pairs: Vec<(String, String)>,
    body: Body,
) -> Result<RequestId, Problem> {
    let (tell, told) = oneshot::channel();
    let options = async move {
        let gone = Problem::new(Code::BodyMalformed, "the list broke off");
        pairs.extend(told.await.map_err(|_| gone)?);
        upload.options(&pairs).await
    };
    let (pipe, json) = body::pipe();
    let (lines, catalogue) = body::pipe();
    let list = async move {
        let read = apart(move || {
            let Some(read) = read::read(json, lines)? else { return Ok(()) };
            // Said before the catalogue ends, for then it is waited for.
            let _ = tell.send(read.options);
            read.catalogue.end();
            Ok(())
        })?;
        read.await.unwrap_or_else(|_| Err(Problem::new(Code::BodyMalformed, "the list can't be read")))
    };
    let pump = body::pump(pipe, body.into_stream());
    let (consumed, listed, pumped) =
        tokio::join!(upload.consume(name, catalogue, Hints::default(), options, false), list, pump);
    pumped.and(listed).and(consumed)
}
