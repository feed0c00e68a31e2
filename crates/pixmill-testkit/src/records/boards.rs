//! Promises of boards on which processes leave word for each other.

use pixmill_engine::port::boards::{Board, Boards, FOR_GOOD, Notice};

use super::*;

/// Runs the suite. `make` gives empty records.
///
/// # Panics
/// When a promise is broken.
pub async fn suite<M, F>(make: M)
where
    M: Fn() -> F,
    F: Future<Output = Arc<dyn Boards>>,
{
    a_notice_stands_until_its_time_is_over(make().await).await;
    the_later_notice_of_a_name_takes_the_place_of_the_one_before(make().await).await;
    boards_hold_what_was_put_up_on_them_alone(make().await).await;
    the_last_names_come_first_page_by_page(make().await).await;
    what_is_taken_off_is_gone(make().await).await;
    any_text_comes_back_as_it_was(make().await).await;
}

fn notice(name: &str, text: &str, until: Timestamp) -> Notice {
    Notice { name: name.into(), text: text.into(), until }
}

async fn put(boards: &Arc<dyn Boards>, board: Board, notices: &[Notice], now: Timestamp) {
    boards.put_up(board, notices.to_vec(), now).await.unwrap();
}

/// The names of what stands, as they come.
async fn names(boards: &Arc<dyn Boards>, board: Board, now: Timestamp) -> Vec<String> {
    let standing = boards.standing(board, None, 1_000, now).await.unwrap();
    standing.into_iter().map(|notice| notice.name).collect()
}

async fn a_notice_stands_until_its_time_is_over(boards: Arc<dyn Boards>) {
    let all = [notice("short", "1", at(10)), notice("long", "2", at(1_000)), notice("good", "3", FOR_GOOD)];
    put(&boards, Board::Workers, &all, START).await;
    assert_eq!(names(&boards, Board::Workers, at(9)).await, ["short", "long", "good"]);
    assert_eq!(names(&boards, Board::Workers, at(10)).await, ["long", "good"]);
    assert_eq!(names(&boards, Board::Workers, at(1_000)).await, ["good"]);
    // What ran out is forgotten when something is put up, and stands no more, whatever the time.
    put(&boards, Board::Audit, &[], at(2_000)).await;
    assert_eq!(names(&boards, Board::Workers, START).await, ["good"]);
    let standing = boards.standing(Board::Workers, None, 9, at(9)).await.unwrap();
    assert_eq!(standing, [notice("good", "3", FOR_GOOD)]);
}

async fn the_later_notice_of_a_name_takes_the_place_of_the_one_before(boards: Arc<dyn Boards>) {
    put(&boards, Board::Hosts, &[notice("a", "old", at(10))], START).await;
    put(&boards, Board::Hosts, &[notice("a", "new", at(90))], at(5)).await;
    let standing = boards.standing(Board::Hosts, None, 9, at(50)).await.unwrap();
    assert_eq!(standing, [notice("a", "new", at(90))]);
}

async fn boards_hold_what_was_put_up_on_them_alone(boards: Arc<dyn Boards>) {
    for board in Board::ALL {
        put(&boards, board, &[notice("same", board.as_str(), at(90))], START).await;
    }
    for board in Board::ALL {
        let standing = boards.standing(board, None, 9, START).await.unwrap();
        assert_eq!(standing, [notice("same", board.as_str(), at(90))]);
    }
}

async fn the_last_names_come_first_page_by_page(boards: Arc<dyn Boards>) {
    let all: Vec<_> = (0..250).map(|number| notice(&format!("{number:04}"), "x", at(90))).collect();
    put(&boards, Board::Audit, &all, START).await;
    let (mut seen, mut before) = (Vec::new(), None::<String>);
    loop {
        let page = boards.standing(Board::Audit, before.as_deref(), 100, START).await.unwrap();
        assert!(page.len() <= 100);
        seen.extend(page.iter().map(|notice| notice.name.clone()));
        match page.last() {
            Some(last) => before = Some(last.name.clone()),
            None => break,
        }
    }
    let want: Vec<_> = all.iter().rev().map(|notice| notice.name.clone()).collect();
    assert_eq!(seen, want);
}

async fn what_is_taken_off_is_gone(boards: Arc<dyn Boards>) {
    put(&boards, Board::Hosts, &[notice("a", "x", at(90)), notice("b", "y", at(90))], START).await;
    assert!(boards.take_off(Board::Hosts, "a").await.unwrap());
    assert!(!boards.take_off(Board::Hosts, "a").await.unwrap(), "it is gone already");
    assert!(!boards.take_off(Board::Workers, "b").await.unwrap(), "it stands on another board");
    assert_eq!(names(&boards, Board::Hosts, START).await, ["b"]);
}

async fn any_text_comes_back_as_it_was(boards: Arc<dyn Boards>) {
    let odd = ["$set", "a.b.example:8080", "höhe", "[::1]:80", "x/y", "{\"$gt\": \"\"}"];
    let all: Vec<_> = odd
        .iter()
        .map(|name| notice(name, &format!("\"{name}\"\u{0}\n{}", "é".repeat(9_999)), at(90)))
        .collect();
    put(&boards, Board::Hosts, &all, START).await;
    let mut standing = boards.standing(Board::Hosts, None, 9, START).await.unwrap();
    let mut want = all;
    standing.sort_by(|one, other| one.name.cmp(&other.name));
    want.sort_by(|one, other| one.name.cmp(&other.name));
    assert!(standing == want);
}
