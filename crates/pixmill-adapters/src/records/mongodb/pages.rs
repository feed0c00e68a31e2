//! Images of a request as clients page through them.

use std::collections::HashMap;
use std::time::Duration;

use mongodb::bson::{Bson, Document, doc};
use pixmill_engine::catalogue::record;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::ImageId;
use pixmill_engine::model::image::{ImageStatus, ImageView, Moment};
use pixmill_engine::model::request::RequestStatus;

use super::Shared;
use super::command::{Reading, find};
use super::document::{
    as_it_is, date, few, image_id, moment, no_output, place, said, slot, slot_fields, string,
};
use super::head::Head;
use super::id::{Series, later, text};

/// Ends are told after so long: by then every write to which the server gave an earlier time can be read.
const IN_ORDER_AFTER: Duration = Duration::from_millis(100);

impl Shared {
    /// Images in the order of the catalogue, those after a certain one.
    pub(super) async fn images_of(
        &self,
        head: &Head,
        status: Option<ImageStatus>,
        after: Option<&ImageId>,
        most: usize,
    ) -> Result<Vec<ImageView>, Fault> {
        let Some(conditions) = in_order(head, status, after) else { return Ok(Vec::new()) };
        let reading = Reading { fields: fields(), order: doc! { "_id": 1 }, most };
        let found = find(&self.images(), doc! { "$and": conditions }, reading).await?;
        Ok(found.iter().filter_map(|document| view(document, head)).collect())
    }

    /// Failed images and the columns of their rows.
    pub(super) async fn failed_images(
        &self,
        head: &Head,
        after: Option<&ImageId>,
        most: usize,
    ) -> Result<Vec<(ImageView, String)>, Fault> {
        let Some(conditions) = in_order(head, Some(ImageStatus::Failed), after) else {
            return Ok(Vec::new());
        };
        let mut fields = fields();
        fields.insert("productId", 1);
        let reading = Reading { fields, order: doc! { "_id": 1 }, most };
        let images = find(&self.images(), doc! { "$and": conditions }, reading).await?;
        let products: Vec<_> = images.iter().map(|image| as_it_is(image, "productId")).collect();
        let reading = Reading { fields: doc! { "pixmill.cells": 1, "name": 1 }, ..Reading::default() };
        let products = find(&self.products(), doc! { "_id": { "$in": products } }, reading).await?;
        let products: HashMap<_, _> =
            products.iter().filter_map(|product| Some((text(product.get("_id")?)?, product))).collect();
        let row = |image: &Document| {
            let product = image.get("productId").and_then(text).and_then(|id| products.get(&id).copied());
            Some((view(image, head)?, cells(product, image)))
        };
        Ok(images.iter().filter_map(row).collect())
    }

    /// Images that ended after a moment, in the order in which the server says they did. While others may be ending,
    /// the latest are held back, so that none is told after one that ended later.
    pub(super) async fn ended_images(
        &self,
        head: &Head,
        since: &Moment,
        most: usize,
    ) -> Result<Vec<ImageView>, Fault> {
        let at = date(since.at);
        let mut conditions = vec![doc! { "requestId": head.images() }];
        match &since.image {
            Some(image) => {
                let mut next = later(image.as_str());
                next.push(doc! { "pixmill.ended": { "$gt": at } });
                conditions.push(doc! { "pixmill.ended": { "$gte": at }, "$or": next });
            }
            None => conditions.push(doc! { "pixmill.ended": { "$gt": at } }),
        }
        if head.status.is_open() {
            let until = date(self.server_time().await? - IN_ORDER_AFTER);
            conditions.push(doc! { "pixmill.ended": { "$lt": until } });
        }
        let reading = Reading { fields: fields(), order: doc! { "pixmill.ended": 1, "_id": 1 }, most };
        let ended = find(&self.images(), doc! { "$and": conditions }, reading).await?;
        Ok(ended.iter().filter_map(|document| view(document, head)).collect())
    }
}

/// The fields of an [`ImageView`].
fn fields() -> Document {
    let mut fields = slot_fields();
    fields.extend(doc! {
        "pixmill.row": 1, "pixmill.position": 1, "inputUrl": 1, "pixmill.attempts": 1, "pixmill.ended": 1,
    });
    fields
}

fn view(document: &Document, head: &Head) -> Option<ImageView> {
    let (row, position) = place(document);
    Some(ImageView {
        image: image_id(document)?,
        row,
        position,
        input: string(document, "inputUrl").to_owned(),
        attempts: few(document, "pixmill.attempts").unwrap_or_default(),
        ended: moment(document, "pixmill.ended"),
        slot: slot(document, head.status),
    })
}

/// The columns of an image's row; made up where there was no catalogue.
fn cells(product: Option<&Document>, image: &Document) -> String {
    match product.map(|product| (said(product, "pixmill.cells"), string(product, "name"))) {
        Some((Some(cells), _)) => cells.to_owned(),
        Some((None, name)) => record(["", name, string(image, "inputUrl")]),
        None => record(["", "", string(image, "inputUrl")]),
    }
}

/// Matches the images of a request that are shown as this, those after a certain one; nothing where none can be. The ids
/// of a catalogue's images are one range, in its order.
fn in_order(head: &Head, status: Option<ImageStatus>, after: Option<&ImageId>) -> Option<Vec<Document>> {
    let mut conditions = vec![doc! { "requestId": head.images() }];
    if let Some(first) = head.first_image {
        conditions.push(doc! { "_id": { "$gte": first, "$lte": Series::of(first).last() } });
    }
    conditions.extend(after.map(|after| doc! { "$or": later(after.as_str()) }));
    if let Some(status) = status {
        conditions.push(shown_as(status, head)?);
    }
    Some(conditions)
}

/// Matches what the document of an image says that is shown as this.
fn shown_as(status: ImageStatus, head: &Head) -> Option<Document> {
    let cancelled = head.status == RequestStatus::Cancelled;
    let told = |status: Bson| doc! { "status": status, "outputUrl": no_output() };
    let (completed, failed) = (ImageStatus::Completed.as_str(), ImageStatus::Failed.as_str());
    Some(match status {
        ImageStatus::Completed => {
            doc! { "$or": [{ "status": completed }, { "outputUrl": { "$gt": "" } }] }
        }
        ImageStatus::Failed => {
            let mut told = told(failed.into());
            if head.own {
                // Says what the index needs to have them in order: an image that has ended is never due.
                told.insert("pixmill.due", Bson::Null);
            }
            told
        }
        ImageStatus::Cancelled if cancelled => told(doc! { "$nin": [completed, failed] }.into()),
        ImageStatus::Pending | ImageStatus::Processing if cancelled => return None,
        ImageStatus::Pending => {
            let others = ImageStatus::ALL.into_iter().filter(|other| *other != status);
            told(doc! { "$nin": others.map(ImageStatus::as_str).collect::<Vec<_>>() }.into())
        }
        ImageStatus::Processing | ImageStatus::Cancelled => told(status.as_str().into()),
    })
}
