//! The order in which ends are told, where writing them takes long.

use std::net::SocketAddr;

use mongodb::bson::oid::ObjectId;
use pixmill_engine::model::image::ImageView;
use pixmill_testkit::services::mongodb::database;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};

use super::super::order::IN_ORDER_AFTER;
use super::*;

/// A way to a server on which each answer takes so long: its address.
async fn slow_way(server: String, answer: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((caller, _)) = listener.accept().await {
            let (mut said, mut heard) = caller.into_split();
            let (mut answers, mut asked) = TcpStream::connect(&server).await.unwrap().into_split();
            tokio::spawn(async move { copy(&mut said, &mut asked).await });
            tokio::spawn(async move {
                let mut some = vec![0; 1 << 20];
                while let Ok(bytes @ 1..) = answers.read(&mut some).await {
                    tokio::time::sleep(answer).await;
                    if heard.write_all(&some[..bytes]).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    address
}

/// What a watcher is told that comes back until something new is there.
async fn told(records: &Mongodb, request: &RequestId, since: &Moment) -> Vec<ImageView> {
    for _ in 0..200 {
        let told = records.ended_since(request, since, 9).await.unwrap();
        if !told.is_empty() {
            return told;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("nothing is told after {since:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_took_long_to_write_is_told_to_those_who_may_have_read_past_it() {
    let address = database().await;
    let rest = address.strip_prefix("mongodb://").unwrap();
    let (server, of_database) = rest.split_once('/').unwrap();
    let way = slow_way(server.to_owned(), 3 * IN_ORDER_AFTER).await;
    let near = connect(&address).await;
    let far = connect(&format!("mongodb://{way}/{of_database}")).await;
    let request = own("r", "pending", 3);
    near.shared.requests().insert_one(request).await.unwrap();
    let id = RequestId::from("r");
    let ids = [(); 3].map(|()| ObjectId::new());
    let image = |id: &ObjectId| doc! { "_id": *id, "requestId": "r", "inputUrl": "http://h/a.jpg" };
    near.shared.images().insert_many(ids.each_ref().map(image)).await.unwrap();
    let images: Vec<_> =
        near.fresh(&id, None, 9).await.unwrap().into_iter().map(|candidate| candidate.image).collect();
    let claims = near.claim(&images, Lease::from(START), START).await.unwrap();
    let mut ends = claims.into_iter().map(|claim| {
        let output = Output { location: "out.jpg".into(), bytes_before: 3, bytes_after: 2, frames: 1 };
        vec![Settlement { image: claim.image, token: claim.token, outcome: Outcome::Completed(output) }]
    });
    let beginning = Moment { at: START, image: None };
    let (slowly, soon) = (ends.next().unwrap(), ends.next().unwrap());
    let settled = tokio::spawn(async move { far.settle(slowly, START).await });
    let first = told(&near, &id, &beginning).await;
    let seen = |view: &ImageView| Moment { at: view.ended.unwrap(), image: Some(view.image.clone()) };
    assert_eq!(settled.await.unwrap().unwrap().won, [true]);
    let again = told(&near, &id, &seen(&first[0])).await;
    assert_eq!(again[0].image, first[0].image, "its time was that of its writing's beginning");
    assert_eq!(near.settle(soon, START).await.unwrap().won, [true]);
    let after = told(&near, &id, &seen(&again[0])).await;
    assert_ne!(after[0].image, again[0].image);
    assert_eq!(after.len(), 1, "one that is written soon is told once");
}
