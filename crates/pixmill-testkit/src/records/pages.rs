//! However wide a catalogue is, what is read of it at a time is bounded.

use std::fmt::Debug;

use pixmill_engine::model::image::{Candidate, ImageView, Moment};
use pixmill_engine::port::records::page::{Bytes, PAGE_BYTES, may_go_on};
use pixmill_engine::port::records::{Ledger, RequestView};

use super::*;

/// Rows of the wide catalogue, and bytes of what is wide in it.
const WIDE: usize = 9;
const WIDE_BYTES: usize = PAGE_BYTES / 3;

/// More than there is of anything.
const MANY: usize = 1_000;

/// Reads page after page. None is empty but the one after the last, and none has more bytes than a page and an item.
async fn read<T: Bytes + Clone + Debug, F>(what: &str, mut next: impl FnMut(Vec<T>) -> F) -> Vec<T>
where
    F: Future<Output = Vec<T>>,
{
    let (mut all, mut pages) = (Vec::new(), 0);
    loop {
        let page = next(all.clone()).await;
        if page.is_empty() {
            assert!(pages > 1, "{what}: all in one page");
            return all;
        }
        let largest = page.iter().map(Bytes::bytes).max().unwrap_or_default();
        let bytes: usize = page.iter().map(Bytes::bytes).sum();
        assert!(bytes < PAGE_BYTES + largest, "{what}: {bytes} bytes in a page");
        let ends = !may_go_on(&page, MANY);
        all.extend(page);
        pages += 1;
        if ends {
            assert_eq!(next(all.clone()).await.len(), 0, "{what}: a page that is not full is the last");
        }
    }
}

/// Rows whose columns and whose only input are wide.
fn wide_rows(from: usize) -> Vec<NewRow> {
    let inputs: Vec<_> =
        (from..from + WIDE).map(|row| format!("http://h/{row}?{}", "x".repeat(WIDE_BYTES))).collect();
    let rows: Vec<Vec<&str>> = inputs.iter().map(|input| vec![input.as_str()]).collect();
    rows_of(&rows)
}

fn rows_of(inputs: &[Vec<&str>]) -> Vec<NewRow> {
    rows(&inputs.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

pub(super) async fn every_page_is_bounded_by_bytes(
    (records, ledger): (Arc<dyn RecordsForTests>, Arc<dyn Ledger>),
) {
    // Narrow ones first, so that nobody can go by what came before.
    let narrow: Vec<_> = (0..300).map(|row| format!("http://h/narrow/{row}")).collect();
    let narrow = rows_of(&narrow.iter().map(|input| vec![input.as_str()]).collect::<Vec<_>>());
    let new = new_request();
    let id = new.id.clone();
    records.begin(new, START).await.unwrap();
    records.append(&id, narrow, START).await.unwrap();
    for batch in 0..3 {
        records.append(&id, wide_rows(batch * WIDE), START).await.unwrap();
    }
    records.open(&id, intake_end(300 + 3 * WIDE as u64), START).await.unwrap();

    let all = read("rows", async |all| records.rows(&id, all.len() as u64, MANY).await.unwrap()).await;
    assert_eq!(all.len(), 300 + 3 * WIDE);
    let fresh = read("fresh", async |all: Vec<Candidate>| {
        records.fresh(&id, all.last().map(|last| &last.image), MANY).await.unwrap()
    })
    .await;
    assert_eq!(fresh.len(), all.len());
    let ids: Vec<_> = fresh.iter().map(|candidate| candidate.image.clone()).collect();
    records.defer(&ids, at(1), START).await.unwrap();
    let (due, _) = records.due(None, at(2), MANY).await.unwrap();
    assert!(due.iter().map(Bytes::bytes).sum::<usize>() < PAGE_BYTES + due[due.len() - 1].bytes(), "due");
    let claims = records.claim(&ids, Lease::from(at(2)), at(2)).await.unwrap();
    assert_eq!(claims.len(), ids.len());
    for some in claims.chunks(100) {
        settle(&records, some.iter().map(failed), at(3)).await;
    }

    let after = |all: &[ImageView]| all.last().map(|last| last.image.clone());
    let images =
        read("images", async |all| ledger.images(&id, None, after(&all).as_ref(), MANY).await.unwrap()).await;
    assert_eq!(images.len(), ids.len());
    let ends = read("failed", async |all: Vec<(ImageView, String)>| {
        let last = all.last().map(|(view, _)| &view.image);
        ledger.failed(&id, last, MANY).await.unwrap()
    })
    .await;
    let cells: Vec<_> = ends.iter().map(|(view, cells)| (view.row, cells)).collect();
    assert_eq!(cells, (0..).zip(all.iter().map(|row| &row.cells)).collect::<Vec<_>>());
    let ended = read("ended_since", async |all: Vec<ImageView>| {
        let last = all.last();
        let moment = Moment {
            at: last.map_or(Timestamp::default(), |last| last.ended.unwrap()),
            image: last.map(|last| last.image.clone()),
        };
        ledger.ended_since(&id, &moment, MANY).await.unwrap()
    })
    .await;
    assert_eq!(ended.len(), ids.len());
    lists_of_requests_with_wide_headers_are_bounded(&records, &*ledger).await;
}

async fn lists_of_requests_with_wide_headers_are_bounded(
    records: &Arc<dyn RecordsForTests>,
    ledger: &dyn Ledger,
) {
    for _ in 0..WIDE {
        let new = NewRequest { tenant: "wide".to_owned(), header: "h".repeat(WIDE_BYTES), ..new_request() };
        let id = new.id.clone();
        records.begin(new, START).await.unwrap();
        records.append(&id, rows(&[&["http://h/0"]]), START).await.unwrap();
        records.open(&id, intake_end(1), START).await.unwrap();
    }
    let listed = read("requests_of", async |all: Vec<RequestView>| {
        let last = all.last().map(|view| &view.request.id);
        ledger.requests_of("wide", None, last, MANY).await.unwrap()
    })
    .await;
    assert_eq!(listed.len(), WIDE);
}
