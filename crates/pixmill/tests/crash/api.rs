//! The crash loop of a server on embedded defaults.

use crate::server::Server;
use crate::upload::{self, ROWS, differing};

async fn left_behind(server: &Server, (): &()) -> Vec<String> {
    let connection = rusqlite::Connection::open(server.data().join("pixmill.db")).expect("records");
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("a count");
    let counted = [
        ("requests", "SELECT count(*) FROM requests", 1),
        ("rows", "SELECT count(*) FROM rows", ROWS as i64),
        ("images under way", "SELECT count(*) FROM images WHERE status < 2 OR lease IS NOT NULL", 0),
        (
            "inputs of no request",
            "SELECT count(*) FROM inputs WHERE request NOT IN (SELECT num FROM requests)",
            0,
        ),
        ("events", "SELECT count(*) FROM events", 1),
        ("events under way", "SELECT count(*) FROM events WHERE due IS NOT NULL", 0),
        ("keys", "SELECT count(*) FROM boards WHERE board = 'intakes'", 1),
    ];
    differing(counted.map(|(what, sql, right)| (what, count(sql), right)))
}

#[test]
fn an_upload_makes_one_request_and_one_event_however_often_the_server_is_killed() {
    upload::play_all("embedded defaults", async || (Server::new(), ()), left_behind);
}
