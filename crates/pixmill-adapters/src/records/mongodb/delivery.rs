//! A try at telling a webhook as a document of a collection of pixmill's own.

use std::time::Duration;

use mongodb::bson::{self, DateTime, Document};
use pixmill_engine::code::Code;
use pixmill_engine::model::event::{Answer, Delivery};
use pixmill_engine::model::image::Failure;
use serde::{Deserialize, Serialize};

use super::document::{date, writable};
use super::{odd, schema};

/// The document.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Try {
    #[serde(rename = "_id")]
    id: String,
    event: String,
    request: String,
    tenant: String,
    url: String,
    at: DateTime,
    /// Milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    took: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(flatten)]
    answer: Answered,
}

/// What the receiver answered, or why it did not.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Answered {
    Answer { status: u16, answer: String },
    Failure { code: String, message: String },
}

impl Try {
    /// As it is written, of a tenant's request.
    pub(super) fn new(delivery: &Delivery, tenant: &str) -> Self {
        Try {
            id: delivery.id.clone(),
            event: delivery.event.clone(),
            request: delivery.request.to_string(),
            tenant: tenant.to_owned(),
            url: delivery.url.clone(),
            at: date(delivery.at),
            took: delivery.took.map(|took| took.as_millis() as i64),
            body: delivery.body.clone(),
            answer: match &delivery.answer {
                Ok(Answer { status, beginning }) => {
                    Answered::Answer { status: *status, answer: beginning.clone() }
                }
                Err(Failure { code, message }) => {
                    Answered::Failure { code: code.as_str().to_owned(), message: message.clone() }
                }
            },
        }
    }

    fn read(self) -> Option<Delivery> {
        let answer = match self.answer {
            Answered::Answer { status, answer } => Ok(Answer { status, beginning: answer }),
            Answered::Failure { code, message } => Err(Failure { code: Code::parse(&code)?, message }),
        };
        let request = self.request.into();
        Some(Delivery {
            id: self.id,
            event: self.event,
            request,
            url: self.url,
            at: writable(self.at)?,
            took: self.took.and_then(|took| u64::try_from(took).ok()).map(Duration::from_millis),
            body: self.body,
            answer,
        })
    }
}

/// A try as its document tells it; none where it can't be read, which is told of once.
pub(super) fn delivery_in(document: &Document) -> Option<Delivery> {
    let delivery = bson::deserialize_from_document::<Try>(document.clone()).ok().and_then(Try::read);
    if delivery.is_none() {
        odd::tell(schema::DELIVERIES, document, "it is no try to tell a webhook");
    }
    delivery
}
