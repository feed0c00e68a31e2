//! The first images of a request in an order, such as those that became smaller least, over all of it. What takes longer
//! than a page may is gone on with beside, for whoever looks again.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::image::{ImageStatus, ImageView};
use pixmill_engine::port::records::{Ledger, RequestView};
use tokio::sync::Semaphore;

use super::search::{AT_A_TIME, Found, PIECE};

/// Images that are found.
const MOST: usize = 20;

/// Answers that are kept.
const KEPT: usize = 256;

/// What comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Order {
    /// What became smaller least.
    LeastSaved,
    /// What became smallest beside its original.
    MostSaved,
}

impl Order {
    fn sort(self, images: &mut [ImageView]) {
        let kept = |view: &ImageView| match &view.slot.output {
            Some(output) => output.bytes_after as f64 / output.bytes_before.max(1) as f64,
            None => 0.0,
        };
        images.sort_by(|one, other| match self {
            Order::LeastSaved => kept(other).total_cmp(&kept(one)),
            Order::MostSaved => kept(one).total_cmp(&kept(other)),
        });
    }
}

/// A request as it stood, and an order: as long as nothing else of it ends, the answer holds.
type Key = (RequestId, u32, u64, Order);

/// What was found.
#[derive(Default)]
pub(super) struct Foremost {
    known: Arc<Mutex<Known>>,
}

struct Known {
    found: HashMap<Key, Found>,
    /// Those found first.
    oldest: VecDeque<Key>,
    under_way: HashSet<Key>,
    /// One at a time goes on beside.
    turn: Arc<Semaphore>,
}

impl Default for Known {
    fn default() -> Self {
        let turn = Arc::new(Semaphore::new(1));
        Known { found: HashMap::new(), oldest: VecDeque::new(), under_way: HashSet::new(), turn }
    }
}

impl Known {
    fn keep(&mut self, key: Key, found: Found) {
        if self.found.insert(key.clone(), found).is_some() {
            return;
        }
        self.oldest.push_back(key);
        if self.oldest.len() > KEPT
            && let Some(oldest) = self.oldest.pop_front()
        {
            self.found.remove(&oldest);
        }
    }
}

impl Foremost {
    /// The first completed images of a request, as far as they are known; all of them where `next` is none.
    ///
    /// # Errors
    /// Those of records.
    pub(super) async fn of(
        &self,
        ledger: &Arc<dyn Ledger>,
        standing: &RequestView,
        order: Order,
    ) -> Result<Found, Fault> {
        let (request, completed) = (&standing.request, standing.progress.completed);
        let key = (request.id.clone(), request.round, completed, order);
        if let Some(found) = self.known.lock().unwrap_or_else(PoisonError::into_inner).found.get(&key) {
            return Ok(found.clone());
        }
        let (mut found, began) = (Found::default(), Instant::now());
        while step(&**ledger, &request.id, order, &mut found).await? {
            if began.elapsed() >= PIECE {
                self.go_on_beside(ledger.clone(), key, found.clone());
                return Ok(found);
            }
        }
        Ok(found)
    }

    fn go_on_beside(&self, ledger: Arc<dyn Ledger>, key: Key, mut found: Found) {
        let turn = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if !known.under_way.insert(key.clone()) {
                return;
            }
            known.turn.clone()
        };
        let known = self.known.clone();
        tokio::spawn(async move {
            let _turn = turn.acquire().await;
            let all = loop {
                match step(&*ledger, &key.0, key.3, &mut found).await {
                    Ok(true) => {}
                    Ok(false) => break true,
                    Err(fault) => {
                        tracing::debug!(%fault, "what comes first was not found to its end");
                        break false;
                    }
                }
            };
            let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
            known.under_way.remove(&key);
            if all {
                known.keep(key, found);
            }
        });
    }
}

/// Takes in some more images; whether there may be others.
async fn step(
    ledger: &dyn Ledger,
    request: &RequestId,
    order: Order,
    found: &mut Found,
) -> Result<bool, Fault> {
    let completed = Some(ImageStatus::Completed);
    let page = ledger.images(request, completed, found.next.as_ref(), AT_A_TIME).await?;
    found.searched += page.len() as u64;
    found.next = page.last().map(|view| view.image.clone());
    found.images.extend(page);
    order.sort(&mut found.images);
    found.images.truncate(MOST);
    Ok(found.next.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_answers_are_kept_and_the_oldest_go_first() {
        let mut known = Known::default();
        let key = |number: usize| (RequestId::from(number.to_string()), 1, 9, Order::LeastSaved);
        for number in 0..=KEPT {
            known.keep(key(number), Found::default());
            known.keep(key(number), Found::default());
        }
        assert_eq!((known.found.len(), known.oldest.len()), (KEPT, KEPT));
        assert!(!known.found.contains_key(&key(0)) && known.found.contains_key(&key(KEPT)));
    }
}
