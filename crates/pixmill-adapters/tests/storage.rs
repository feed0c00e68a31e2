//! Storages that are asked over HTTP, against stand-ins of their services.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full};
use hyper::Request;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use pixmill_adapters::clock::SystemClock;
use pixmill_adapters::net::trust::Trust;
use pixmill_adapters::storage::bucket::Bucket;
use pixmill_adapters::storage::cloudinary::Cloudinary;
use pixmill_engine::checkup::Severity;
use pixmill_engine::code::Code;
use pixmill_engine::port::clock::Clock;
use pixmill_engine::port::storage::Storage;
use pixmill_testkit as testkit;
use pixmill_testkit::services::s3::{BUCKET, S3};
use pixmill_testkit::storage::objects::Objects;
use pixmill_testkit::storage::standin::{Running, Trouble};
use pixmill_testkit::storage::{Stored, picture};

/// What a reader gets at an address.
async fn read(location: String) -> Option<Stored> {
    let client: Client<HttpConnector, Empty<Bytes>> =
        Client::builder(TokioExecutor::new()).build(HttpConnector::new());
    let (head, body) = client.get(location.parse().unwrap()).await.unwrap().into_parts();
    let bytes = body.collect().await.unwrap().to_bytes().to_vec();
    let media_type = head.headers.get(CONTENT_TYPE).map(|kind| kind.to_str().unwrap().to_owned());
    head.status.is_success().then_some(Stored { media_type, bytes })
}

type Fake = testkit::storage::cloudinary::Cloudinary;

fn cloudinary(address: &str) -> Arc<dyn Storage> {
    Arc::new(Cloudinary::open(address, &Trust::default()).unwrap())
}

#[tokio::test]
async fn cloudinary_storage_conforms() {
    for algorithm in ["sha1", "sha256"] {
        let service = Fake::start().unwrap();
        let address = format!("{}&signature_algorithm={algorithm}", service.address());
        testkit::storage::suite(|| cloudinary(&address), read).await;
    }
}

#[tokio::test]
async fn cloudinary_faults_are_told_apart() {
    let service = Fake::start().unwrap();
    let storage = cloudinary(&service.address());
    testkit::storage::faults::suite(storage, service, &[420], &[Fake::SECRET], read).await;
}

#[tokio::test]
async fn cloudinary_outputs_lie_in_the_folder_that_node_users_know() {
    let service = Fake::start().unwrap();
    let storage = cloudinary(&service.address());
    storage.put("processed_images/000001-01-red-hat.png", "image/png", picture("a", 0)).await.unwrap();
    let assets = service.service().assets();
    assert_eq!(assets.keys().collect::<Vec<_>>(), ["processed_images/000001-01-red-hat"]);
}

#[tokio::test]
async fn an_upload_that_was_cut_once_stored_leaves_one_asset() {
    let service = Fake::start().unwrap();
    let storage = cloudinary(&service.address());
    service.misbehave(|number| (number < 2).then_some(Trouble::CutAfter));
    let put = || storage.put("processed_images/000001-01-a.png", "image/png", picture("a", 0));
    assert!(put().await.is_err() && put().await.is_err());
    put().await.unwrap();
    let assets = service.service().assets();
    assert_eq!(assets.values().map(|asset| asset.uploads).collect::<Vec<_>>(), [3]);
}

#[tokio::test]
async fn large_outputs_are_sent_in_chunks() {
    let service = Fake::start().unwrap();
    let storage = cloudinary(&service.address());
    let bytes = picture("large", 45_000_000);
    let key = "processed_images/000001-01-a.png";
    let location = storage.put(key, "image/png", bytes.clone()).await.unwrap();
    assert_eq!(service.asked(), 3);
    assert!(read(location).await.unwrap().bytes == bytes);

    service.misbehave(|number| (number == 1).then_some(Trouble::CutAfter));
    assert!(storage.put(key, "image/png", bytes.clone()).await.unwrap_err().transient);
    service.behave();
    storage.put(key, "image/png", bytes).await.unwrap();
    assert_eq!(service.asked(), 3, "what was cut begins anew");
}

#[tokio::test]
async fn what_cloudinary_says_is_passed_on() {
    let service = Fake::start_for(10_000).unwrap();
    let told = async |address: &str, bytes: Vec<u8>| {
        let put = cloudinary(address).put("processed_images/a.png", "image/png", bytes).await;
        let fault = put.expect_err("refused");
        assert_eq!((fault.code, fault.transient), (Code::StoreRejected, false), "{fault}");
        assert!(!fault.message.contains(Fake::SECRET), "{fault}");
        fault.message
    };
    let address = service.address();
    let too_large = told(&address, picture("a", 20_000)).await;
    assert!(too_large.contains("File size too large"), "{too_large}");
    assert!(told(&address, b"text".to_vec()).await.contains("Invalid image file"));
    let wrong_secret = told(&address.replace(Fake::SECRET, "other"), picture("a", 0)).await;
    assert!(wrong_secret.contains("401: Invalid Signature"), "{wrong_secret}");
    assert!(told(&address.replace("@demo", "@other"), picture("a", 0)).await.contains("Invalid cloud_name"));
    assert!(told(&address.replace("//123", "//923"), picture("a", 0)).await.contains("Unknown API key"));
}

const SECRET: &str = "d2VsbC1rZXB0LXNlY3JldA==";

/// A bucket of each vendor at a stand-in.
fn bucket(address: &str, service: &Running<Objects>) -> Arc<dyn Storage> {
    bucket_at(address, &service.url(""))
}

fn bucket_at(address: &str, endpoint: &str) -> Arc<dyn Storage> {
    let variables = [
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("GOOGLE_BASE_URL", endpoint),
        ("GOOGLE_BEARER_TOKEN", SECRET),
        ("AZURE_STORAGE_ENDPOINT", endpoint),
        ("AZURE_STORAGE_ACCOUNT_NAME", "shop"),
        ("AZURE_STORAGE_ACCOUNT_KEY", SECRET),
        ("PATH", "/bin"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Arc::new(Bucket::open(address, &variables, &Trust::default()).unwrap())
}

const BUCKETS: [&str; 3] = ["s3://shop/pictures/2026", "gs://shop", "az://shop/pictures"];

#[tokio::test]
async fn bucket_storages_conform() {
    for address in BUCKETS {
        let service = Running::start(Objects::default()).unwrap();
        testkit::storage::suite(|| bucket(address, &service), read).await;
    }
}

/// Lets everybody read the server's bucket, as whoever shows pictures to the world does.
async fn open_to_readers(server: &S3) {
    let policy = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":"*","Action":"s3:GetObject",
            "Resource":"arn:aws:s3:::{BUCKET}/*"}}]}}"#
    );
    let request = Request::put(format!("{}/{BUCKET}?policy", server.endpoint()))
        .header(AUTHORIZATION, "AWS4-HMAC-SHA256 Credential=id/20260101/us-east-1/s3/aws4_request")
        .body(Full::<Bytes>::from(policy))
        .unwrap();
    let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
    assert!(client.request(request).await.unwrap().status().is_success());
}

#[tokio::test]
async fn s3_storage_conforms_at_a_server_that_speaks_its_protocol() {
    let server = S3::start().await;
    open_to_readers(&server).await;
    let address = format!("s3://{BUCKET}/pictures");
    testkit::storage::suite(|| bucket_at(&address, &server.endpoint()), read).await;
    testkit::storage::listing(bucket_at(&address, &server.endpoint())).await;
    let missing = bucket_at("s3://none/pictures", &server.endpoint());
    let put = missing.put("a.png", "image/png", picture("a", 0)).await;
    let fault = put.expect_err("there is no such bucket");
    assert_eq!((fault.code, fault.transient), (Code::StoreRejected, false));
    assert!(fault.message.contains("NoSuchBucket"), "{fault}");
}

#[tokio::test]
async fn bucket_faults_are_told_apart() {
    for address in BUCKETS {
        let service = Running::start(Objects::default()).unwrap();
        let storage = bucket(address, &service);
        testkit::storage::faults::suite(storage, service, &[], &[SECRET], read).await;
    }
}

#[tokio::test]
async fn objects_say_what_they_are_and_may_be_kept_but_not_for_ever() {
    for address in BUCKETS {
        let service = Running::start(Objects::default()).unwrap();
        let key = "processed_images/000001-01-café.png";
        bucket(address, &service).put(key, "image/png", picture("a", 0)).await.unwrap();
        let (path, object) = service.service().all().pop_first().unwrap();
        let (_, folders) = address.split_once("://").unwrap();
        assert_eq!(path, format!("{folders}/{key}"), "names stay readable");
        assert_eq!(object.media_type, "image/png");
        assert!(object.cache_control.contains("max-age=") && !object.cache_control.contains("immutable"));
    }
}

#[tokio::test]
async fn readers_may_be_sent_elsewhere() {
    let service = Running::start(Objects::default()).unwrap();
    let storage = bucket("s3://shop/a?public_url=https%3A%2F%2Fcdn.example", &service);
    let location = storage.put("processed_images/1.png", "image/png", picture("a", 0)).await.unwrap();
    assert_eq!(location, "https://cdn.example/a/processed_images/1.png");
    storage.remove(&[location]).await.unwrap();
    assert!(service.service().all().is_empty());
}

#[tokio::test]
async fn a_bucket_that_readers_cannot_read_is_noticed() {
    let server = S3::start().await;
    let storage = bucket_at(&format!("s3://{BUCKET}"), &server.endpoint());
    let look = async || {
        let findings = storage.diagnose(SystemClock.wall()).await;
        findings.into_iter().map(|finding| (finding.about, finding.severity)).collect::<Vec<_>>()
    };
    assert_eq!(look().await, [("readers", Severity::Doubtful), ("round trip", Severity::Well)]);
    open_to_readers(&server).await;
    let well = [("clock", Severity::Well), ("readers", Severity::Well), ("round trip", Severity::Well)];
    assert_eq!(look().await, well);
}
