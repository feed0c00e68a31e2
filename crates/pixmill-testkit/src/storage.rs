//! What every storage promises, and stand-ins for the services that outputs are stored at.

pub mod cloudinary;
pub mod faults;
pub mod objects;
mod picture;
pub mod standin;

use std::future::Future;
use std::sync::Arc;

use pixmill_engine::port::storage::Storage;

pub use self::picture::picture;

/// An output as a reader gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// What it is said to be; `None` where a storage doesn't say.
    pub media_type: Option<String>,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

const PNG: &str = "image/png";

/// Runs the suite. `make` gives another handle on a storage; `read` reads an output back by its location as whoever
/// is shown it would, `None` when it is not there.
///
/// # Panics
/// When a promise is broken.
pub async fn suite<R, F>(make: impl Fn() -> Arc<dyn Storage>, read: R)
where
    R: Fn(String) -> F,
    F: Future<Output = Option<Stored>>,
{
    an_output_is_readable_once_stored(make(), &read).await;
    names_in_any_alphabet_are_kept_apart(make(), &read).await;
    storing_again_overwrites(make(), make(), &read).await;
    many_at_once_all_arrive(make(), &read).await;
    the_same_key_at_once_leaves_one_whole_output(make(), &read).await;
    removing_what_is_not_there_is_no_fault(make(), &read).await;
    removing_leaves_the_others(make(), &read).await;
    what_is_there_is_not_lost(make()).await;
}

/// What storages promise that tell what is in them.
///
/// # Panics
/// When a promise is broken.
pub async fn listing(storage: Arc<dyn Storage>) {
    let mut locations = Vec::new();
    for key in [
        "list-a/000001-01-café.png",
        "list-a/000002-01.png",
        "list-a/010000/010001-01-b.png",
        "list-a-b/000001-01.png",
    ] {
        locations.push(put(&*storage, &format!("processed_images/{key}"), &picture("listed", 0)).await);
    }
    let list = async |folder: &str| {
        let mut listing = storage.list(folder).await.unwrap().expect("it tells what is in it");
        listing.folders.sort();
        listing.locations.sort();
        (listing.folders, listing.locations)
    };
    let mut direct = locations[..2].to_vec();
    direct.sort();
    assert_eq!(
        list("processed_images/list-a").await,
        (vec!["processed_images/list-a/010000".into()], direct)
    );
    assert_eq!(list("processed_images/list-a/010000").await, (Vec::new(), locations[2..3].to_vec()));
    let (folders, _) = list("processed_images").await;
    for folder in ["processed_images/list-a", "processed_images/list-a-b"] {
        assert!(folders.iter().any(|found| found == folder), "{folders:?}");
    }
    assert_eq!(list("processed_images/none").await, (Vec::new(), Vec::new()));
}

async fn what_is_there_is_not_lost(storage: Arc<dyn Storage>) {
    let there = put(&*storage, "processed_images/lost/a.png", &picture("there", 0)).await;
    assert_eq!(storage.lost(vec![there]).await, Ok(Vec::new()));
}

fn assert_is(stored: Option<Stored>, bytes: &[u8]) {
    let stored = stored.expect("it can be read");
    assert_eq!(stored.bytes.len(), bytes.len());
    assert!(stored.bytes == bytes, "other bytes came back");
    assert!(stored.media_type.is_none_or(|kind| kind == PNG), "it is shown as something else");
}

/// Most tries at storing an output, as the pipeline has attempts: a service that is asked for much at once may say that
/// it is overrun.
const TRIES: u32 = 20;

/// Stores an output, again after a transient fault.
async fn put(storage: &dyn Storage, key: &str, bytes: &[u8]) -> String {
    for _ in 1..TRIES {
        match storage.put(key, PNG, bytes.to_vec()).await {
            Err(fault) if fault.transient => tokio::task::yield_now().await,
            stored => return stored.unwrap(),
        }
    }
    storage.put(key, PNG, bytes.to_vec()).await.unwrap()
}

async fn an_output_is_readable_once_stored<R, F>(storage: Arc<dyn Storage>, read: &R)
where
    R: Fn(String) -> F,
    F: Future<Output = Option<Stored>>,
{
    for bytes in [picture("small", 0), picture("large", 3_000_000)] {
        let location = storage.put("processed_images/000001-01-a.png", PNG, bytes.clone()).await.unwrap();
        assert_is(read(location).await, &bytes);
    }
}

async fn names_in_any_alphabet_are_kept_apart<R, F>(storage: Arc<dyn Storage>, read: &R)
where
    R: Fn(String) -> F,
    F: Future<Output = Option<Stored>>,
{
    let mut stored = Vec::new();
    for name in ["café", "cafe", "猫", "v1.2", "a_b-c", "%2Fx"] {
        let bytes = picture(name, 0);
        let key = format!("processed_images/010000/000003-01-{name}.png");
        stored.push((storage.put(&key, PNG, bytes.clone()).await.unwrap(), bytes));
    }
    for (location, bytes) in stored {
        assert_is(read(location).await, &bytes);
    }
}

async fn storing_again_overwrites<R, F>(storage: Arc<dyn Storage>, other: Arc<dyn Storage>, read: &R)
where
    R: Fn(String) -> F,
    F: Future<Output = Option<Stored>>,
{
    let key = "processed_images/000004-01-a.png";
    let first = storage.put(key, PNG, picture("first", 100)).await.unwrap();
    // By another process, which took over.
    let second = other.put(key, PNG, picture("second", 10)).await.unwrap();
    for location in [first, second] {
        assert_is(read(location).await, &picture("second", 10));
    }
}

async fn many_at_once_all_arrive<R, F>(storage: Arc<dyn Storage>, read: &R)
where
    R: Fn(String) -> F,
    F: Future<Output = Option<Stored>>,
{
    let puts = (0..100).map(|number| {
        let storage = storage.clone();
        tokio::spawn(async move {
            let key = format!("processed_images/{:06}/{number:06}-01.png", number / 10);
            let bytes = picture(&number.to_string(), 0);
            (put(&*storage, &key, &bytes).await, bytes)
        })
    });
    for put in puts.collect::<Vec<_>>() {
        let (location, bytes) = put.await.unwrap();
        assert_is(read(location).await, &bytes);
    }
}

async fn the_same_key_at_once_leaves_one_whole_output<R, F>(storage: Arc<dyn Storage>, read: &R)
where
    R: Fn(String) -> F,
    F: Future<Output = Option<Stored>>,
{
    let versions: Vec<_> = (0..8).map(|number| picture(&number.to_string(), 100_000)).collect();
    let puts = versions.iter().cloned().map(|bytes| {
        let storage = storage.clone();
        tokio::spawn(async move { put(&*storage, "processed_images/000005-01-a.png", &bytes).await })
    });
    for put in puts.collect::<Vec<_>>() {
        let stored = read(put.await.unwrap()).await.expect("it can be read");
        assert!(versions.contains(&stored.bytes), "a mixture of two outputs");
    }
}

async fn removing_what_is_not_there_is_no_fault<R, F>(storage: Arc<dyn Storage>, read: &R)
where
    R: Fn(String) -> F,
    F: Future<Output = Option<Stored>>,
{
    let location = storage.put("processed_images/000006-01-café.png", PNG, picture("b", 0)).await.unwrap();
    for _ in 0..2 {
        storage.remove(std::slice::from_ref(&location)).await.unwrap();
        assert_eq!(read(location.clone()).await, None);
    }
    storage.remove(&[]).await.unwrap();
}

async fn removing_leaves_the_others<R, F>(storage: Arc<dyn Storage>, read: &R)
where
    R: Fn(String) -> F,
    F: Future<Output = Option<Stored>>,
{
    let mut locations = Vec::new();
    for number in 0..20 {
        let key = format!("processed_images/000007-{number:02}.png");
        locations.push(storage.put(&key, PNG, picture("c", number)).await.unwrap());
    }
    let kept = locations.split_off(15);
    storage.remove(&locations).await.unwrap();
    for location in locations {
        assert_eq!(read(location).await, None);
    }
    for (number, location) in (15..).zip(kept) {
        assert_is(read(location).await, &picture("c", number));
    }
}
