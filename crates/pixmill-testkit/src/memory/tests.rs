//! Records in memory in the suites of their port.

use std::sync::Arc;

use async_trait::async_trait;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::request::{Progress, RequestStatus};

use super::{Link, Memory};
use crate::records::{self, RecordsForTests};

#[async_trait]
impl RecordsForTests for Memory {
    async fn count(&self, request: &RequestId) -> Progress {
        self.store().find(request).expect("a request").progress()
    }

    async fn cancel_halfway(&self, request: &RequestId) {
        self.store().entry(request).unwrap().request.status = RequestStatus::Cancelled;
    }

    async fn garble(&self, request: &RequestId) {
        self.store().entry(request).unwrap().garbled = true;
    }

    async fn traces(&self, request: &RequestId) -> u64 {
        u64::from(self.store().find(request).is_some())
    }

    fn many_rows(&self) -> usize {
        3_000
    }
}

/// A way on which others come in between.
struct Busy;

#[async_trait]
impl Link for Busy {
    async fn there(&self, _call: &'static str) -> Result<(), Fault> {
        tokio::task::yield_now().await;
        Ok(())
    }
}

fn memory() -> Arc<Memory> {
    Arc::new(Memory::over(Arc::default(), Arc::new(Busy)))
}

fn both<R: ?Sized>(as_port: fn(Arc<Memory>) -> Arc<R>) -> (Arc<dyn RecordsForTests>, Arc<R>) {
    let memory = memory();
    (memory.clone(), as_port(memory))
}

#[tokio::test]
async fn records_in_memory_conform() {
    records::suite(|| async { memory() as _ }).await;
}

#[tokio::test]
async fn records_in_memory_conform_as_an_outbox() {
    records::outbox::suite(|| async { both(|memory| memory as _) }).await;
}

#[tokio::test]
async fn records_in_memory_conform_as_a_directory() {
    records::directory::suite(|| async { both(|memory| memory as _) }).await;
}

#[tokio::test]
async fn records_in_memory_conform_in_retirement() {
    records::retirement::suite(|| async { both(|memory| memory as _) }).await;
}

#[tokio::test]
async fn records_in_memory_conform_in_succession() {
    records::succession::suite(|| async { both(|memory| memory as _) }).await;
}

#[tokio::test]
async fn records_in_memory_conform_in_keeping_catalogues() {
    records::originals::suite(|| async { both(|memory| memory as _) }).await;
}

#[tokio::test]
async fn records_in_memory_conform_as_boards() {
    records::boards::suite(|| async { memory() as _ }).await;
}
