//! Reading, for whoever wants to know.

use std::collections::BTreeMap;

use async_trait::async_trait;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::event::Completion;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::row::{ResultRow, RowError};
use pixmill_engine::port::diagnose::Diagnose;
use pixmill_engine::port::records::{FailureGroup, Report};

use super::{Memory, page};

impl Diagnose for Memory {}

#[async_trait]
impl Report for Memory {
    async fn rows(&self, id: &RequestId, first: u64, most: usize) -> Result<Vec<ResultRow>, Fault> {
        self.call("rows", |store| {
            let entry = store.entry(id)?;
            let first = usize::try_from(first).unwrap_or(usize::MAX);
            let rows = entry.rows.iter().skip(first).map(|row| {
                let images = &entry.images[row.first..row.first + row.images];
                ResultRow {
                    cells: row.cells.clone(),
                    error: row.error.clone(),
                    slots: images.iter().map(|image| image.slot(entry.status())).collect(),
                }
            });
            Ok(page(rows, most))
        })
        .await
    }

    async fn row_errors(&self, id: &RequestId) -> Result<Vec<RowError>, Fault> {
        self.call("row_errors", |store| Ok(store.entry(id)?.row_errors.clone())).await
    }

    async fn failures(&self, id: &RequestId) -> Result<Vec<FailureGroup>, Fault> {
        self.call("failures", |store| {
            let mut groups: BTreeMap<&str, FailureGroup> = BTreeMap::new();
            for image in &store.entry(id)?.images {
                let Some(failure) = &image.failure else { continue };
                let group = groups.entry(failure.code.as_str()).or_insert_with(|| FailureGroup {
                    code: failure.code,
                    images: 0,
                    example: image.input.clone(),
                    message: failure.message.clone(),
                });
                group.images += 1;
            }
            let mut groups: Vec<_> = groups.into_values().collect();
            groups.sort_by_key(|group| std::cmp::Reverse(group.images));
            Ok(groups)
        })
        .await
    }

    async fn noted(&self, id: &RequestId) -> Result<u64, Fault> {
        self.call("noted", |store| {
            let outputs = store.entry(id)?.images.iter().filter_map(|image| image.output.as_ref());
            Ok(outputs.filter(|output| output.note().is_some()).count() as u64)
        })
        .await
    }

    async fn completions(&self, id: &RequestId) -> Result<Vec<Completion>, Fault> {
        self.call("completions", |store| {
            Ok(store.entry(id)?.events.iter().map(|event| event.completion.clone()).collect())
        })
        .await
    }
}
