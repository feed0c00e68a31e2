//! Promises of keeping catalogues as they came.

use pixmill_engine::port::records::Ledger;

use super::*;

/// Longer than an intake may stand still.
const LATE: u64 = 3_600_000;

/// Runs the suite. `make` gives empty records and the same as a server uses them.
///
/// # Panics
/// When a promise is broken.
pub async fn suite<M, F>(make: M)
where
    M: Fn() -> F,
    F: Future<Output = (Arc<dyn RecordsForTests>, Arc<dyn Ledger>)>,
{
    a_catalogue_comes_back_piece_by_piece(make().await).await;
    what_is_discarded_leaves_no_piece(make().await).await;
    an_intake_of_which_pieces_come_does_not_stand_still(make().await).await;
    what_is_deleted_leaves_no_piece(make().await).await;
    nothing_is_kept_for_no_intake(make().await).await;
}

type Made = (Arc<dyn RecordsForTests>, Arc<dyn Ledger>);

/// A piece of bytes that no text has.
fn piece(number: u32, length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| (at as u32).wrapping_mul(2_654_435_761).wrapping_add(number).to_be_bytes()[0])
        .collect()
}

async fn begun((_, ledger): &Made, pieces: u32) -> RequestId {
    let new = new_request();
    let id = new.id.clone();
    ledger.begin(new, START).await.unwrap();
    for number in 0..pieces {
        ledger.keep(&id, number, piece(number, 256 << 10), START).await.unwrap();
    }
    id
}

/// All pieces of a request, to the first that is not there.
async fn kept(ledger: &Arc<dyn Ledger>, id: &RequestId) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    while let Some(piece) = ledger.kept(id, pieces.len() as u32).await.unwrap() {
        pieces.push(piece);
    }
    pieces
}

async fn a_catalogue_comes_back_piece_by_piece(made: Made) {
    let (one, other) = (begun(&made, 3).await, begun(&made, 1).await);
    made.1.keep(&one, 3, piece(3, 1), START).await.unwrap();
    for id in [&one, &other] {
        made.1.append(id, rows(&[&["http://h/a.jpg"]]), START).await.unwrap();
        made.1.open(id, intake_end(1), START).await.unwrap();
    }
    let mut want: Vec<_> = (0..3).map(|number| piece(number, 256 << 10)).collect();
    want.push(piece(3, 1));
    assert!(kept(&made.1, &one).await == want);
    assert_eq!(kept(&made.1, &other).await.len(), 1, "each request has its own");
    let none = take_in_distinct(&made.0, 1).await;
    assert_eq!(made.1.kept(&none, 0).await.unwrap(), None, "nothing was kept of it");
    assert_eq!(made.1.kept(&RequestId::new(), 0).await.unwrap(), None, "nobody knows it");
}

async fn what_is_discarded_leaves_no_piece(made: Made) {
    let id = begun(&made, 40).await;
    made.1.discard(&id).await.unwrap();
    assert_eq!(made.0.traces(&id).await, 0);
    let stood_still = begun(&made, 2).await;
    assert_eq!(made.1.forget_intakes(at(LATE), at(LATE)).await.unwrap(), 1);
    assert_eq!(made.0.traces(&stood_still).await, 0);
}

async fn an_intake_of_which_pieces_come_does_not_stand_still(made: Made) {
    let id = begun(&made, 1).await;
    made.1.keep(&id, 1, piece(1, 9), at(LATE)).await.unwrap();
    assert_eq!(made.1.forget_intakes(at(LATE - 1), at(LATE)).await.unwrap(), 0);
}

async fn what_is_deleted_leaves_no_piece(made: Made) {
    let (id, _another) = (begun(&made, 40).await, begun(&made, 2).await);
    assert_eq!(made.1.unclaimed().await.unwrap(), 0, "each has its request");
    made.1.open(&id, intake_end(0), START).await.unwrap();
    assert!(made.1.delete(&id).await.unwrap());
    assert_eq!(made.1.unclaimed().await.unwrap(), 0);
    assert_eq!(made.0.traces(&id).await, 0);
    assert_eq!(made.1.kept(&id, 0).await.unwrap(), None);
}

async fn nothing_is_kept_for_no_intake(made: Made) {
    let open = take_in_distinct(&made.0, 1).await;
    for id in [open, RequestId::new()] {
        let refused = made.1.keep(&id, 0, piece(0, 9), START).await.unwrap_err();
        assert_eq!(refused.code, Code::RequestNotFound);
    }
}
