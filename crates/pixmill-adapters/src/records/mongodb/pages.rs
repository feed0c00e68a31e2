//! Images of a request as clients page through them.

use std::collections::HashMap;

use mongodb::bson::{Bson, Document, doc};
use pixmill_engine::catalogue::record;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::ImageId;
use pixmill_engine::model::image::{ImageStatus, ImageView, Moment};
use pixmill_engine::model::request::RequestStatus;
use pixmill_engine::port::records::page::{Bytes, PAGE_BYTES, Page};
use pixmill_engine::port::records::{ImageQuery, Images};

use super::Shared;
use super::command::{Reading, find};
use super::document::{
    as_it_is, date, few, image_id, moment, no_output, place, said, slot, slot_fields, string,
};
use super::field;
use super::head::Head;
use super::id::{Series, later, matching, text};
use super::order::IN_ORDER_AFTER;
use super::page::page;

impl Shared {
    /// Images, with the columns of their rows where these are asked for.
    pub(super) async fn images_of(
        &self,
        head: &Head,
        query: &ImageQuery,
        most: usize,
    ) -> Result<Vec<(ImageView, String)>, Fault> {
        let mut order = doc! { "_id": 1 };
        let conditions = match &query.which {
            Images::InOrder { status, after } => in_order(head, *status, after.as_ref()),
            Images::One(image) => {
                Some(vec![doc! { "_id": matching(image.as_str()), field::REQUEST_ID: head.images() }])
            }
            Images::EndedAfter(moment) => {
                order = doc! { field::ENDED: 1, "_id": 1 };
                Some(self.ended_after(head, moment).await?)
            }
        };
        let Some(conditions) = conditions else { return Ok(Vec::new()) };
        let conditions = doc! { "$and": conditions };
        let reading = Reading { fields: fields(query.columns), order, most, ..Reading::default() };
        if !query.columns {
            let view = |image: &Document| Some((view(image, head)?, String::new()));
            return page(&self.images(), &conditions, reading, &self.widths.images, view).await;
        }
        let listed = |image: &Document| {
            Some(Listed { view: view(image, head)?, product: as_it_is(image, field::PRODUCT_ID) })
        };
        let images = page(&self.images(), &conditions, reading, &self.widths.images, listed).await?;
        let (rows, told) = self.rows_of(&images).await?;
        let mut page = Page::new(most);
        for Listed { view, product } in images.into_iter().take(told) {
            if page.is_full() {
                break;
            }
            let cells = cells(text(&product).and_then(|id| rows.get(&id)), &view.input);
            page.push((view, cells));
        }
        Ok(page.into_items())
    }

    /// The rows of images, as many as fill a page; and of how many images, from the first, they are.
    async fn rows_of(&self, images: &[Listed]) -> Result<(HashMap<String, RowOf>, usize), Fault> {
        let (mut rows, mut left) = (HashMap::new(), images);
        let mut bytes = 0;
        while !left.is_empty() && bytes < PAGE_BYTES {
            let (some, rest) = left.split_at(self.widths.products.answer(left.len()));
            let ids: Vec<_> = some.iter().map(|image| image.product.clone()).collect();
            let fields = doc! { field::CELLS: 1, "name": 1 };
            let reading = Reading { fields, order: doc! {}, most: 0, ..Reading::default() };
            let found = find(&self.products(), doc! { "_id": { "$in": ids } }, reading).await?;
            let found: Vec<_> = found.iter().filter_map(row_of).collect();
            let of_these: usize = found.iter().map(|(_, row)| row.bytes()).sum();
            self.widths.products.saw(found.len(), of_these);
            bytes += of_these;
            rows.extend(found);
            left = rest;
        }
        Ok((rows, images.len() - left.len()))
    }

    /// Matches images that ended after a moment, in the order in which the server says they did. While others may be
    /// ending, the latest are held back, so that none is told after one that ended later.
    async fn ended_after(&self, head: &Head, since: &Moment) -> Result<Vec<Document>, Fault> {
        let at = date(since.at);
        let mut conditions = vec![doc! { field::REQUEST_ID: head.images() }];
        match &since.image {
            Some(image) => {
                let mut next = later(image.as_str());
                next.push(doc! { field::ENDED: { "$gt": at } });
                conditions.push(doc! { field::ENDED: { "$gte": at }, "$or": next });
            }
            None => conditions.push(doc! { field::ENDED: { "$gt": at } }),
        }
        if head.status.is_open() {
            let until = date(self.server_time().await? - IN_ORDER_AFTER);
            conditions.push(doc! { field::ENDED: { "$lt": until } });
        }
        Ok(conditions)
    }
}

/// The fields of an [`ImageView`], and the one that leads to its row.
fn fields(columns: bool) -> Document {
    let mut fields = slot_fields();
    fields.extend(doc! {
        field::ROW: 1, field::POSITION: 1, field::INPUT_URL: 1, field::ATTEMPTS: 1, field::ENDED: 1,
    });
    if columns {
        fields.insert(field::PRODUCT_ID, 1);
    }
    fields
}

fn view(document: &Document, head: &Head) -> Option<ImageView> {
    let (row, position) = place(document);
    Some(ImageView {
        image: image_id(document)?,
        row,
        position,
        input: string(document, field::INPUT_URL).to_owned(),
        attempts: few(document, field::ATTEMPTS).unwrap_or_default(),
        ended: moment(document, field::ENDED),
        slot: slot(document, head.status),
    })
}

/// An image and the product that it belongs to.
struct Listed {
    view: ImageView,
    product: Bson,
}

impl Bytes for Listed {
    fn bytes(&self) -> usize {
        self.view.bytes()
    }
}

/// What a product says of an image's row.
enum RowOf {
    Cells(String),
    Name(String),
}

impl Bytes for RowOf {
    fn bytes(&self) -> usize {
        let (RowOf::Cells(text) | RowOf::Name(text)) = self;
        size_of::<RowOf>() + text.len()
    }
}

fn row_of(product: &Document) -> Option<(String, RowOf)> {
    let row = match said(product, field::CELLS) {
        Some(cells) => RowOf::Cells(cells.to_owned()),
        None => RowOf::Name(string(product, "name").to_owned()),
    };
    Some((text(product.get("_id")?)?, row))
}

/// The columns of an image's row; made up where there was no catalogue.
fn cells(row: Option<&RowOf>, input: &str) -> String {
    match row {
        Some(RowOf::Cells(cells)) => cells.clone(),
        Some(RowOf::Name(name)) => record(["", name, input]),
        None => record(["", "", input]),
    }
}

/// Matches the images of a request that are shown as this, those after a certain one; nothing where none can be. The ids
/// of a catalogue's images are one range, in its order.
fn in_order(head: &Head, status: Option<ImageStatus>, after: Option<&ImageId>) -> Option<Vec<Document>> {
    let mut conditions = vec![doc! { field::REQUEST_ID: head.images() }];
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
    let told = |status: Bson| doc! { field::STATUS: status, field::OUTPUT_URL: no_output() };
    let (completed, failed) = (ImageStatus::Completed.as_str(), ImageStatus::Failed.as_str());
    Some(match status {
        ImageStatus::Completed => {
            doc! { "$or": [{ field::STATUS: completed }, { field::OUTPUT_URL: { "$gt": "" } }] }
        }
        ImageStatus::Failed => {
            let mut told = told(failed.into());
            if head.own {
                // Says what the index needs to have them in order: an image that has ended is never due.
                told.insert(field::DUE, Bson::Null);
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
