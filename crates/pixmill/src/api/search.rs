//! Looks for images of a request: piece by piece, each within a time, whatever records they lie in.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::{ImageId, RequestId};
use pixmill_engine::model::image::ImageView;
use pixmill_engine::port::records::Ledger;
use pixmill_engine::results::query::ImageQuery;

/// How long one piece is looked for.
pub(super) const PIECE: Duration = Duration::from_millis(180);

/// Images that are read at a time.
pub(super) const AT_A_TIME: usize = 1_000;

/// Rows between two that are read along rather than asked for apart.
const GAP: u64 = 50;

/// What was found, and how far was looked.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    /// Images that fit, in the order of the catalogue.
    pub(super) images: Vec<ImageView>,
    /// Images that were looked at.
    pub(super) searched: u64,
    /// Where to go on; `None` once all has been looked at.
    pub(super) next: Option<ImageId>,
}

/// Looks for up to `most` images after a certain one, within a time.
///
/// # Errors
/// Those of records.
pub(super) async fn search(
    ledger: &dyn Ledger,
    request: &RequestId,
    query: &ImageQuery,
    mut after: Option<ImageId>,
    most: usize,
    within: Duration,
) -> Result<Found, Fault> {
    let began = Instant::now();
    let mut found = Found::default();
    loop {
        let wanted = if query.is_empty() { AT_A_TIME.min(most + 1) } else { AT_A_TIME };
        let page = ledger.images(request, query.status(), after.as_ref(), wanted).await?;
        let Some(last) = page.last().map(|view| view.image.clone()) else {
            found.next = None;
            return Ok(found);
        };
        let open = page.iter().filter(|view| query.fits(view).is_none()).map(|view| view.row);
        let cells = cells(ledger, request, open).await?;
        let fits = |view: &ImageView| {
            let row = || cells.get(&view.row).is_some_and(|cells| query.fits_row(view, cells));
            query.fits(view).unwrap_or_else(row)
        };
        for view in page {
            if found.images.len() == most {
                return Ok(found);
            }
            found.searched += 1;
            found.next = Some(view.image.clone());
            if fits(&view) {
                found.images.push(view);
            }
        }
        after = Some(last);
        if began.elapsed() >= within {
            return Ok(found);
        }
    }
}

/// The columns of rows, each as one CSV record, by the rows' numbers.
///
/// # Errors
/// Those of records.
pub(super) async fn cells(
    ledger: &dyn Ledger,
    request: &RequestId,
    rows: impl Iterator<Item = u64>,
) -> Result<BTreeMap<u64, String>, Fault> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for row in rows {
        match runs.last_mut() {
            Some((_, last)) if (*last..=*last + GAP).contains(&row) => *last = row,
            _ => runs.push((row, row)),
        }
    }
    let mut cells = BTreeMap::new();
    for (first, last) in runs {
        let mut next = first;
        while next <= last {
            let most = usize::try_from(last - next + 1).unwrap_or(usize::MAX);
            let rows = ledger.rows(request, next, most).await?;
            if rows.is_empty() {
                break;
            }
            let read = rows.len() as u64;
            cells.extend((next..).zip(rows).map(|(number, row)| (number, row.cells)));
            next += read;
        }
    }
    Ok(cells)
}
