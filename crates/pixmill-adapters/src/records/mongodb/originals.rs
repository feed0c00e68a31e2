//! The bytes of catalogues as they came, a document each piece.

use async_trait::async_trait;
use mongodb::Collection;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, Document, doc};
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::originals::Originals;

use super::command::broken;
use super::fault::fault;
use super::{Mongodb, Shared, schema};

#[async_trait]
impl Originals for Mongodb {
    async fn keep(
        &self,
        request: &RequestId,
        piece: u32,
        bytes: Vec<u8>,
        now: Timestamp,
    ) -> Result<(), Fault> {
        self.shared.touch_intake(request, now).await?;
        let bytes = Binary { subtype: BinarySubtype::Generic, bytes };
        let piece = doc! { "request": request.as_str(), "piece": i64::from(piece), "bytes": bytes };
        self.shared.originals().insert_one(piece).await.map(drop).map_err(|error| fault(&error))
    }

    async fn kept(&self, request: &RequestId, piece: u32) -> Result<Option<Vec<u8>>, Fault> {
        let which = doc! { "request": request.as_str(), "piece": i64::from(piece) };
        let found = self.shared.originals().find_one(which).await.map_err(|error| fault(&error))?;
        match found.map(|mut found| found.remove("bytes")) {
            None => Ok(None),
            Some(Some(Bson::Binary(bytes))) => Ok(Some(bytes.bytes)),
            Some(_) => Err(broken("a piece of a catalogue is no bytes")),
        }
    }
}

impl Shared {
    pub(super) fn originals(&self) -> Collection<Document> {
        self.database.collection(schema::ORIGINALS)
    }
}
