//! Every adapter in its port's suite.

use std::sync::Arc;

use pixmill_adapters::queue::database::DatabaseQueue;
use pixmill_adapters::storage::disk::DiskStorage;
use pixmill_engine::port::queue::Queue;
use pixmill_engine::port::storage::Storage;
use pixmill_testkit as testkit;
use pixmill_testkit::storage::Stored;

#[tokio::test]
async fn database_queue_conforms() {
    let make = async || Arc::new(DatabaseQueue::new(100)) as Arc<dyn Queue>;
    testkit::queue::suite(make).await;
    testkit::queue::jobs_are_delivered_in_order(make().await).await;
}

#[tokio::test]
async fn disk_storage_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let (root, temporary) = (folder.path().join("out"), folder.path().join("tmp"));
    let read = |location: String| {
        let path = root.join(location);
        async move { std::fs::read(path).ok().map(|bytes| Stored { media_type: None, bytes }) }
    };
    testkit::storage::suite(|| Arc::new(DiskStorage::open(&root, &temporary).unwrap()), read).await;
    testkit::storage::listing(Arc::new(DiskStorage::open(&root, &temporary).unwrap())).await;
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0, "temporary files were left");
}

#[tokio::test]
async fn disk_storage_that_is_shared_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("images");
    let read = |location: String| {
        let path = root.join(location);
        async move { std::fs::read(path).ok().map(|bytes| Stored { media_type: None, bytes }) }
    };
    let other = DiskStorage::shared(&root).unwrap();
    testkit::storage::suite(|| Arc::new(DiskStorage::shared(&root).unwrap()), read).await;
    let location = other.put("processed_images/a.jpg", "image/jpeg", b"still here".to_vec()).await.unwrap();
    let stored = read(location).await.expect("others come and go beside it");
    assert_eq!(stored.bytes, b"still here");
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let fault =
        DiskStorage::open(&file.join("out"), &folder.path().join("tmp")).expect_err("a file is in the way");
    assert!(fault.message.contains("file"), "{fault}");
}
