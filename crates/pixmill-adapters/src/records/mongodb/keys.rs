//! Keys that clients show.

use async_trait::async_trait;
use mongodb::bson::{Bson, Document, doc};
use pixmill_engine::fault::Fault;
use pixmill_engine::model::key::Key;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::records::Keys;

use super::command::{self, Again, Reading, broken, find};
use super::document::{date, moment, string, whole};
use super::fault::fault;
use super::{Mongodb, schema};

#[async_trait]
impl Keys for Mongodb {
    async fn keys(&self) -> Result<Vec<Key>, Fault> {
        let keys = self.shared.database.collection::<Document>(schema::KEYS);
        let oldest_first = Reading { order: doc! { "_id": 1 }, ..Reading::default() };
        find(&keys, doc! {}, oldest_first).await?.iter().map(key).collect()
    }

    async fn add_key(&self, key: Key) -> Result<(), Fault> {
        let mut document = doc! {
            "_id": key.id,
            "tenant": key.tenant,
            "name": key.name,
            "hash": key.hash,
            "createdAt": date(key.created),
        };
        if let Some(calls) = key.per_minute {
            document.insert("perMinute", i64::from(calls));
        }
        if let Some(at) = key.revoked {
            document.insert("revokedAt", date(at));
        }
        let keys = self.shared.database.collection::<Document>(schema::KEYS);
        keys.insert_one(document).await.map(drop).map_err(|error| fault(&error))
    }

    async fn revoke_key(&self, id: &str, now: Timestamp) -> Result<bool, Fault> {
        let holds = doc! { "_id": id, "revokedAt": Bson::Null };
        let revoke = vec![command::one(holds, doc! { "$set": { "revokedAt": date(now) } })];
        let revoked = command::update(&self.shared.database, schema::KEYS, revoke, Again::Safe).await?;
        Ok(revoked.matched == 1 || revoked.twice)
    }
}

fn key(document: &Document) -> Result<Key, Fault> {
    Ok(Key {
        id: string(document, "_id").to_owned(),
        tenant: string(document, "tenant").to_owned(),
        name: string(document, "name").to_owned(),
        hash: string(document, "hash").to_owned(),
        per_minute: whole(document, "perMinute").and_then(|calls| u32::try_from(calls).ok()),
        created: moment(document, "createdAt").ok_or_else(|| broken("the time of a key"))?,
        revoked: moment(document, "revokedAt"),
    })
}
