//! An application's documents, which its tables say how to read and write: any collection, one statement at a time.
//!
//! Beside it stand collections of ours: what was done, what is to be told, what is open.

use async_trait::async_trait;
use mongodb::bson::{Document, doc};
use mongodb::error::{Error, ErrorKind, WriteFailure};
use mongodb::options::IndexOptions;
use mongodb::{Collection, Database, IndexModel};
use pixmill_engine::code::Code;
use pixmill_engine::fault::{Blame, Fault};
use pixmill_engine::port::documents::{Documents, Query};
use serde_json::Value;

use super::command;
use super::fault::{fault, is_duplicate, is_of_document};
use super::json::{document, value};
use super::{Mongodb, Settings};

/// Indexes of our own collections.
const INDEXES: [(&str, [&str; 3]); 3] = [
    ("pixmill_ends", ["queue", "request", "failed"]),
    ("pixmill_tellings", ["queue", "due", "at"]),
    ("pixmill_open", ["queue", "since", "_id"]),
];

/// Documents in a database.
pub struct MongoDocuments {
    database: Database,
}

impl MongoDocuments {
    /// Connects to the database that an address names, and makes what belongs to our own collections.
    ///
    /// # Errors
    /// As those of [`Mongodb::connect`].
    pub async fn connect(address: &str, settings: &Settings) -> Result<Self, Fault> {
        let MongoDocuments { database } = Self::to_be_read(address, settings).await?;
        for (collection, fields) in INDEXES {
            let keys: Document = fields.into_iter().map(|field| (field.to_owned(), 1.into())).collect();
            let options = IndexOptions::builder().name("pixmill".to_owned()).build();
            let index = IndexModel::builder().keys(keys).options(options).build();
            let made = database.collection::<Document>(collection).create_index(index).await;
            made.map_err(|error| fault(&error))?;
        }
        Ok(MongoDocuments { database })
    }

    /// The same where nothing is to be written.
    ///
    /// # Errors
    /// As those of [`Mongodb::connect`].
    pub async fn to_be_read(address: &str, settings: &Settings) -> Result<Self, Fault> {
        Ok(MongoDocuments { database: Mongodb::reach(Mongodb::options(address, settings).await?)? })
    }

    fn collection(&self, name: &str) -> Collection<Document> {
        self.database.collection(name)
    }
}

#[async_trait]
impl Documents for MongoDocuments {
    async fn find(&self, query: Query, most: usize) -> Result<Vec<Value>, Fault> {
        let order = document(&query.sort);
        let reading = command::Reading { order, most, ..command::Reading::default() };
        let found =
            command::find(&self.collection(&query.collection), document(&query.filter), reading).await?;
        Ok(found.into_iter().map(|found| value(found.into())).collect())
    }

    async fn collections(&self) -> Result<Vec<String>, Fault> {
        let mut names = self.database.list_collection_names().await.map_err(|error| fault(&error))?;
        names.retain(|name| !name.starts_with("pixmill_") && !name.starts_with("system."));
        names.sort();
        Ok(names)
    }

    async fn count(&self, collection: &str, filter: Value) -> Result<u64, Fault> {
        let counted = self.collection(collection).count_documents(document(&filter)).await;
        counted.map_err(|error| fault(&error))
    }

    async fn insert(&self, collection: &str, new: Value) -> Result<bool, Fault> {
        let new = document(&new);
        let by_id = doc! { "_id": new.get("_id").cloned() };
        match self.collection(collection).insert_one(new).await {
            Ok(_) => Ok(true),
            Err(error) if is_duplicate(&error) => {
                match self.collection(collection).count_documents(by_id).await {
                    Ok(0) => Err(refused(&error)),
                    Ok(_) => Ok(false),
                    Err(error) => Err(fault(&error)),
                }
            }
            Err(error) => Err(refused(&error)),
        }
    }

    async fn update(&self, collection: &str, filter: Value, update: Value) -> Result<bool, Fault> {
        let changed = self.collection(collection).update_one(document(&filter), document(&update)).await;
        Ok(changed.map_err(|error| refused(&error))?.matched_count > 0)
    }

    async fn delete(&self, collection: &str, filter: Value) -> Result<(), Fault> {
        debug_assert!(collection.starts_with("pixmill_"), "an application's are never deleted");
        command::delete(&self.database, collection, document(&filter)).await.map(|_| ())
    }
}

/// What the database says of a write: what a document does not allow is the job's.
fn refused(error: &Error) -> Fault {
    match &*error.kind {
        ErrorKind::Write(WriteFailure::WriteError(write)) if is_of_document(write.code) => {
            let told = format!("MongoDB refuses what is to be written: {}", write.message);
            Fault::permanent(Code::JobInvalid, told).of(Blame::Image)
        }
        _ => fault(error),
    }
}
