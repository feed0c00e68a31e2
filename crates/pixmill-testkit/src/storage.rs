//! What every storage promises.

use std::future::Future;
use std::sync::Arc;

use pixmill_engine::port::storage::Storage;

/// Runs the suite. `make` gives a storage that is empty; `read` reads an output back by its location as whoever is
/// shown it would, `None` when it is not there.
///
/// # Panics
/// When a promise is broken.
pub async fn suite<R, F>(make: impl Fn() -> Arc<dyn Storage>, read: R)
where
    R: Fn(String) -> F,
    F: Future<Output = Option<Vec<u8>>>,
{
    an_output_is_readable_once_stored(make(), &read).await;
    storing_again_overwrites(make(), &read).await;
    many_at_once_all_arrive(make(), &read).await;
    removing_what_is_not_there_is_no_fault(make(), &read).await;
}

async fn an_output_is_readable_once_stored<R, F>(storage: Arc<dyn Storage>, read: &R)
where
    R: Fn(String) -> F,
    F: Future<Output = Option<Vec<u8>>>,
{
    for bytes in [vec![], vec![7u8; 3_000_000]] {
        let location =
            storage.put("processed_images/000001-01-a.jpg", "image/jpeg", bytes.clone()).await.unwrap();
        assert_eq!(read(location).await, Some(bytes));
    }
}

async fn storing_again_overwrites<R, F>(storage: Arc<dyn Storage>, read: &R)
where
    R: Fn(String) -> F,
    F: Future<Output = Option<Vec<u8>>>,
{
    let key = "processed_images/000001-01-a.jpg";
    let first = storage.put(key, "image/jpeg", b"first".to_vec()).await.unwrap();
    let second = storage.put(key, "image/jpeg", b"second".to_vec()).await.unwrap();
    assert_eq!(first, second, "a key has one location");
    assert_eq!(read(second).await, Some(b"second".to_vec()));
}

async fn many_at_once_all_arrive<R, F>(storage: Arc<dyn Storage>, read: &R)
where
    R: Fn(String) -> F,
    F: Future<Output = Option<Vec<u8>>>,
{
    let puts = (0..100u32).map(|number| {
        let storage = storage.clone();
        tokio::spawn(async move {
            let key = format!("processed_images/{:06}/{number:06}-01.png", number / 10);
            (number, storage.put(&key, "image/png", number.to_le_bytes().to_vec()).await.unwrap())
        })
    });
    for put in puts.collect::<Vec<_>>() {
        let (number, location) = put.await.unwrap();
        assert_eq!(read(location).await, Some(number.to_le_bytes().to_vec()));
    }
}

async fn removing_what_is_not_there_is_no_fault<R, F>(storage: Arc<dyn Storage>, read: &R)
where
    R: Fn(String) -> F,
    F: Future<Output = Option<Vec<u8>>>,
{
    let location =
        storage.put("processed_images/000002-01-b.jpg", "image/jpeg", b"x".to_vec()).await.unwrap();
    for _ in 0..2 {
        storage.remove(std::slice::from_ref(&location)).await.unwrap();
        assert_eq!(read(location.clone()).await, None);
    }
}
