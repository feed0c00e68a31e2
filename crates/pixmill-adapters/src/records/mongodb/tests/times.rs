//! Processes whose clocks tell different times, on records that go by the server's.

use std::time::Duration;

use pixmill_engine::port::records::{Idempotency, Reservation};
use pixmill_testkit::services::mongodb::database;

use super::*;

/// How far a clock may be wrong.
const HOURS: Duration = Duration::from_secs(3 * 3600);
const LEASE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_held_as_long_as_it_is_held_whatever_a_clock_says() {
    let records = Mongodb::connect(&database().await, Settings::default(), START).await.unwrap();
    let right = START;
    for (key, wrong) in [("late", right + HOURS), ("early", right - HOURS)] {
        let id = RequestId::new();
        let reserved = records.reserve("a", key, &id, wrong + LEASE, wrong).await.unwrap();
        assert_eq!(reserved, Reservation::New);
        for clock in [right, wrong, right - HOURS, right + HOURS] {
            let other = records.reserve("a", key, &RequestId::new(), clock + LEASE, clock).await.unwrap();
            let Reservation::InFlight(until) = other else { panic!("{key} at {clock}: {other:?}") };
            assert!(until > clock && until <= clock + LEASE, "{key}: held until {until} at {clock}");
        }
        records.hold(&id, wrong, wrong).await.unwrap();
        let other = records.reserve("a", key, &RequestId::new(), right + LEASE, right).await.unwrap();
        assert_eq!(other, Reservation::New, "{key}: its holder let it lapse");
    }
}
