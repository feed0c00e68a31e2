//! The bytes of catalogues as they came, a document each piece.

use async_trait::async_trait;
use futures::StreamExt;
use mongodb::Collection;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, Document, doc};
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::originals::Originals;

use super::command::{Reading, broken, find};
use super::fault::fault;
use super::{Mongodb, Shared, schema};

/// Catalogues whose requests are looked for at a time.
const AT_A_TIME: u32 = 1_000;

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

    async fn unclaimed(&self) -> Result<u64, Fault> {
        let (first, id) = (doc! { "piece": 0 }, doc! { "_id": 0, "request": 1 });
        let pieces = self.shared.originals().find(first).projection(id).batch_size(AT_A_TIME).await;
        let mut pieces = pieces.map_err(|error| fault(&error))?.ready_chunks(AT_A_TIME as usize);
        let mut unclaimed = 0;
        while let Some(chunk) = pieces.next().await {
            let chunk = chunk.into_iter().collect::<Result<Vec<_>, _>>().map_err(|error| fault(&error))?;
            let ids: Vec<_> = chunk.iter().filter_map(|piece| piece.get("request").cloned()).collect();
            let (read, which) = (ids.len(), doc! { "_id": { "$in": ids } });
            let reading = Reading { fields: doc! { "_id": 1 }, ..Reading::default() };
            unclaimed += read.saturating_sub(find(&self.shared.requests(), which, reading).await?.len());
        }
        Ok(unclaimed as u64)
    }
}

impl Shared {
    pub(super) fn originals(&self) -> Collection<Document> {
        self.database.collection(schema::ORIGINALS)
    }
}
