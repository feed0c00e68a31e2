//! The servers that tests stand on: they answer, they come back, and they never outlive a test.

use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use pixmill_testkit::services::End;
use pixmill_testkit::services::mongodb::Mongodb;
use pixmill_testkit::services::node::Node;
use pixmill_testkit::services::redis::{Persistence, Redis};
use pixmill_testkit::services::s3::{BUCKET, S3};

const SET: &str = "
    import { Redis } from 'ioredis';
    await new Redis(process.env.REDIS_URL).set('key', process.argv[1]);";
const GET: &str = "
    import { Redis } from 'ioredis';
    console.log(await new Redis(process.env.REDIS_URL).get('key'));";

async fn set_then_end(persistence: Persistence, how: End) -> String {
    let mut redis = Redis::start(persistence, &[]).await;
    let url = redis.url();
    let environment = [("REDIS_URL", url.as_str())];
    Node::run(SET, &["kept"], &environment).await;
    redis.stop(how);
    redis.start_again().await;
    Node::run(GET, &[], &environment).await
}

#[tokio::test]
async fn an_append_only_redis_comes_back_with_what_it_held() {
    for how in [End::Killed, End::Asked] {
        assert_eq!(set_then_end(Persistence::AppendOnly, how).await, "kept\n", "{how:?}");
    }
}

#[tokio::test]
async fn a_redis_without_persistence_comes_back_empty() {
    assert_eq!(set_then_end(Persistence::None, End::Asked).await, "null\n");
}

#[tokio::test]
async fn a_database_comes_back_with_what_it_held() {
    const INSERT: &str = "
        import { MongoClient } from 'mongodb';
        const client = await MongoClient.connect(process.env.MONGODB_URI);
        await client.db().collection('things').insertOne({ _id: 'kept' }, { writeConcern: { w: 'majority', j: true } });";
    const FIND: &str = "
        import { MongoClient } from 'mongodb';
        const client = await MongoClient.connect(process.env.MONGODB_URI);
        console.log((await client.db().collection('things').findOne())?._id);";
    let mut mongodb = Mongodb::start(&[]).await;
    let url = mongodb.url("pictures");
    let environment = [("MONGODB_URI", url.as_str())];
    Node::run(INSERT, &[], &environment).await;
    for how in [End::Asked, End::Killed] {
        mongodb.stop(how);
        mongodb.start_again().await;
        assert_eq!(Node::run(FIND, &[], &environment).await, "kept\n", "{how:?}");
    }
}

#[tokio::test]
async fn the_bucket_is_there() {
    let s3 = S3::start().await;
    const STATUS: &str = "console.log((await fetch(process.argv[1])).status);";
    for (bucket, status) in [(BUCKET, "200\n"), ("another", "404\n")] {
        let url = format!("{}/{bucket}", s3.endpoint());
        assert_eq!(Node::run(STATUS, &[&url], &[]).await, status, "{bucket}");
    }
}

#[tokio::test]
#[should_panic(expected = "went wrong")]
async fn a_program_that_fails_tells_what_it_said() {
    Node::run("throw new Error('went wrong');", &[], &[]).await;
}

/// Not a test: what the next one starts as a process of its own.
#[tokio::test]
#[ignore = "started by the test below"]
async fn holds_a_redis() {
    let redis = Redis::start(Persistence::None, &[]).await;
    println!("{}", redis.url());
    tokio::time::sleep(Duration::from_secs(600)).await;
}

#[tokio::test]
async fn a_server_dies_with_a_test_that_is_killed() {
    use std::io::{BufRead, BufReader};

    let mut test = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "services::holds_a_redis", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(test.stdout.take().unwrap()).lines();
    let address = lines
        .map_while(Result::ok)
        .find_map(|line| line.split_once("redis://").map(|(_, address)| address.to_owned()))
        .unwrap();
    assert!(TcpStream::connect(&address).is_ok());
    test.kill().unwrap();
    test.wait().unwrap();
    for _ in 0..1_000 {
        if TcpStream::connect(&address).is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the server at {address} lives on");
}
