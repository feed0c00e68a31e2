//! Images of our own requests that another kind of worker has done: it writes an output and nothing else.

use mongodb::bson::{Bson, Document, doc};
use pixmill_engine::fault::Fault;
use pixmill_engine::model::image::ImageStatus;

use super::backlog::any_of;
use super::clock::now_in;
use super::command::{self, Again, Reading, find};
use super::document::open;
use super::head::{self, Head};
use super::{Shared, schema};

/// Requests whose images are looked for at a time.
const AT_A_TIME: usize = 1_000;

impl Shared {
    /// Ends them as our own workers would: with a status and a time, and so that what follows them ends too.
    pub(super) async fn end_done_elsewhere(&self) -> Result<(), Fault> {
        let own = doc! { "status": open(), "madeBy": schema::PIXMILL };
        let reading = Reading { fields: head::fields(), ..Reading::default() };
        let heads: Vec<_> = find(&self.requests(), own, reading).await?.iter().filter_map(Head::of).collect();
        for heads in heads.chunks(AT_A_TIME) {
            let statements = vec![
                done(heads, true.into(), doc! { "telling": true }),
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
        "requestId": { "$in": any_of(heads) },
        "status": { "$in": [Bson::Null, ImageStatus::Pending.as_str(), ImageStatus::Failed.as_str()] },
        "outputUrl": { "$gt": "" },
        "lease": Bson::Null,
        "followed": followed,
    };
    let mut set = doc! { "status": ImageStatus::Completed.as_str() };
    set.extend(also);
    let end = doc! {
        "$set": set,
        "$unset": { "due": "", "error": "" },
        "$currentDate": now_in("ended"),
    };
    command::many(elsewhere, end)
}
