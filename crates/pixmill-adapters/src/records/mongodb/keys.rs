//! Keys that clients show.

use async_trait::async_trait;
use mongodb::bson::{Bson, Document, doc};
use pixmill_engine::fault::Fault;
use pixmill_engine::model::key::{Key, Role};
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::records::Keys;

use uuid::Uuid;

use super::command::{self, Again, Reading, find};
use super::document::{date, moment, said, string, whole};
use super::fault::fault;
use super::{Mongodb, odd, schema};

#[async_trait]
impl Keys for Mongodb {
    async fn keys(&self) -> Result<Vec<Key>, Fault> {
        let keys = self.shared.database.collection::<Document>(schema::KEYS);
        let oldest_first = Reading { order: doc! { "_id": 1 }, ..Reading::default() };
        Ok(find(&keys, doc! {}, oldest_first).await?.iter().filter_map(key).collect())
    }

    async fn add_key(&self, key: Key) -> Result<(), Fault> {
        let mut document = doc! {
            "_id": key.id,
            "tenant": key.tenant,
            "name": key.name,
            "hash": key.hash,
            "role": key.role.as_str(),
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
        let by = Uuid::new_v4().to_string();
        let set = doc! { "revokedAt": date(now), "revokedBy": &by };
        let revoke = vec![command::one(holds, doc! { "$set": set })];
        let revoked = command::update(&self.shared.database, schema::KEYS, revoke, Again::Safe).await?;
        if !revoked.may_be_ours() {
            return Ok(revoked.matched == 1);
        }
        let keys = self.shared.database.collection::<Document>(schema::KEYS);
        let ours = keys.find_one(doc! { "_id": id, "revokedBy": by }).await.map_err(|error| fault(&error))?;
        Ok(ours.is_some())
    }
}

/// A key as its document tells it; none where it can't be read, which is told of once.
fn key(document: &Document) -> Option<Key> {
    let key = read_key(document);
    if key.is_none() {
        odd::tell(schema::KEYS, document, "it is no key");
    }
    key
}

fn read_key(document: &Document) -> Option<Key> {
    Some(Key {
        id: said(document, "_id")?.to_owned(),
        tenant: said(document, "tenant")?.to_owned(),
        name: string(document, "name").to_owned(),
        hash: said(document, "hash")?.to_owned(),
        // Keys that were made before there were roles hand catalogues in.
        role: said(document, "role").map_or(Role::Submit, Role::parse),
        per_minute: whole(document, "perMinute").and_then(|calls| u32::try_from(calls).ok()),
        created: moment(document, "createdAt")?,
        revoked: moment(document, "revokedAt"),
    })
}
