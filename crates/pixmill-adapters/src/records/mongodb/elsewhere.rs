//! Images of our own requests that another kind of worker has done: it writes an output and nothing else.

use mongodb::bson::{Bson, Document, doc};
use pixmill_engine::fault::Fault;
use pixmill_engine::model::image::ImageStatus;

use super::backlog::any_of;
use super::clock::now_in;
use super::command::{self, Again};
use super::document::addable;
use super::field;
use super::head::Head;
use super::{Shared, schema};

/// Requests whose images are looked for at a time.
const AT_A_TIME: usize = 1_000;

impl Shared {
    /// Ends them as our own workers would: with a status and a time, and so that what follows them ends too.
    pub(super) async fn end_done_elsewhere(&self, fed: &[Head]) -> Result<(), Fault> {
        let own: Vec<_> = fed.iter().filter(|head| head.own).cloned().collect();
        for heads in own.chunks(AT_A_TIME) {
            let statements = vec![
                done(heads, true.into(), doc! { field::TELLING: true }),
                done(heads, doc! { "$ne": true }.into(), Document::new()),
            ];
            command::update(&self.database, schema::IMAGES, statements, Again::Safe).await?;
        }
        Ok(())
    }
}

/// Ends images that nobody of ours holds; whether they are followed decides what else is said.
fn done(heads: &[Head], followed: Bson, also: Document) -> Document {
    let elsewhere = doc! {
        field::REQUEST_ID: { "$in": any_of(heads) },
        field::STATUS: { "$in": [Bson::Null, ImageStatus::Pending.as_str(), ImageStatus::Failed.as_str()] },
        field::OUTPUT_URL: { "$gt": "" },
        field::PIXMILL: addable(),
        field::LEASE: Bson::Null,
        field::FOLLOWED: followed,
    };
    let mut set = doc! { field::STATUS: ImageStatus::Completed.as_str() };
    set.extend(also);
    let end = doc! {
        "$set": set,
        "$unset": { field::DUE: "", field::ERROR: "" },
        "$currentDate": now_in(field::ENDED),
    };
    command::many(elsewhere, end)
}
