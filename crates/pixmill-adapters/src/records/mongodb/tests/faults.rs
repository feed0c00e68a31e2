//! Servers that stop, and that refuse.

use mongodb::Client;
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::image::Claim;
use pixmill_testkit::services::End;

use super::*;

/// How long tests wait for a server that is not there.
const IMPATIENT: &str = "&serverSelectionTimeoutMS=300";

async fn refused(address: &str) -> Fault {
    Mongodb::connect(address, Settings::default(), START).await.err().expect("it can't be opened")
}

fn end(claim: &Claim) -> Settlement {
    let output = Output { location: "out.jpg".into(), bytes_before: 3, bytes_after: 2, frames: 1 };
    Settlement { image: claim.image.clone(), token: claim.token, outcome: Outcome::Completed(output) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_in_mid_work_costs_nothing_but_time() {
    let mut server = services::mongodb::Mongodb::start(&[]).await;
    let records = connect(&(server.url("pictures") + IMPATIENT)).await;
    let request = own("r", "pending", 20);
    records.shared.requests().insert_one(request).await.unwrap();
    let image = |number: i32| doc! { "requestId": "r", "inputUrl": format!("http://h/{number}.jpg") };
    records.shared.images().insert_many((0..20).map(image)).await.unwrap();
    let id = RequestId::from("r");
    for how in [End::Asked, End::Killed] {
        let (due, _) = records.due(None, START, 100).await.unwrap();
        let fresh = records.fresh(&id, None, 10).await.unwrap();
        let images: Vec<_> = due.into_iter().chain(fresh).map(|candidate| candidate.image).collect();
        let claims = records.claim(&images, Lease::from(START), START).await.unwrap();
        assert_eq!(claims.len(), 10);
        let ends: Vec<_> = claims.iter().map(end).collect();
        records.settle(ends[..5].to_vec(), START).await.unwrap();
        server.stop(how);
        let fault = records.settle(ends[5..].to_vec(), START).await.unwrap_err();
        assert_eq!((fault.code, fault.transient), (Code::BackendUnavailable, true), "{fault}");
        assert!(records.claim(&images, Lease::from(START), START).await.unwrap_err().transient);
        assert!(records.progress(&id).await.is_err_and(|fault| fault.transient));
        server.start_again().await;
        let settled = records.settle(ends[5..].to_vec(), START).await.unwrap();
        assert_eq!(settled.won, [true; 5], "{how:?}");
    }
    records.reconcile(START).await.unwrap();
    assert_eq!(records.count(&id).await.completed, 20);
    assert_eq!(records.completions(&id).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_address_that_cannot_be_used_is_told_without_its_password() {
    for address in ["mongodb://", "mongo://h/db", "mongodb://user:secret@h:notaport/db"] {
        let fault = refused(address).await;
        assert_eq!((fault.code, fault.transient), (Code::ConfigInvalid, false), "{address}: {fault}");
        assert!(!fault.message.contains("secret"), "{fault}");
    }
    let nobody = format!("mongodb://user:secret@127.0.0.1:1/db?{}", &IMPATIENT[1..]);
    let fault = refused(&nobody).await;
    assert_eq!((fault.code, fault.transient), (Code::BackendUnavailable, true), "{fault}");
    assert!(!fault.message.contains("secret"), "{fault}");
}

#[tokio::test]
async fn a_user_who_lacks_a_right_is_told_which() {
    let mut server = services::mongodb::Mongodb::start(&[]).await;
    let client = Client::with_uri_str(server.url("pictures")).await.unwrap();
    let create = |name: &str, role: &str| doc! { "createUser": name, "pwd": "secret", "roles": [role] };
    client.database("admin").run_command(create("root", "root")).await.unwrap();
    for (name, role) in [("reader", "read"), ("writer", "readWrite")] {
        client.database("pictures").run_command(create(name, role)).await.unwrap();
    }
    server.stop(End::Asked);
    server.start_again_with(&["--auth"]).await;
    let reader = refused(&server.url_of("reader:secret@", "pictures")).await;
    assert_eq!((reader.code, reader.transient), (Code::BackendUnavailable, false));
    assert!(
        reader.message.contains("indexes of 'requests'") && reader.message.contains("readWrite"),
        "{reader}"
    );
    let wrong = refused(&server.url_of("writer:wrong@", "pictures")).await;
    assert_eq!((wrong.code, wrong.transient), (Code::BackendUnavailable, false));
    assert!(wrong.message.contains("password"), "{wrong}");
    let writer = server.url_of("writer:secret@", "pictures");
    assert!(Mongodb::connect(&writer, Settings::default(), START).await.is_ok());
}
