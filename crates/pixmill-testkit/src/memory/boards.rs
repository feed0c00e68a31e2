//! Boards on which processes leave word for each other.

use async_trait::async_trait;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::lease::{Lease, Token};
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::boards::{Board, Boards, Change, FOR_GOOD, Notice};

use super::{Memory, Store, Times, Wrong};

#[async_trait]
impl Boards for Memory {
    async fn change(&self, changes: Vec<Change>, now: Timestamp) -> Result<Vec<bool>, Fault> {
        let times = self.times(now);
        let now = times.of_store(now);
        self.call("change", |store| {
            store.boards.retain(|(board, _), notice| notice.until > now || *board == Board::Rights);
            Ok(changes.into_iter().map(|change| store.change_board(change, times, now)).collect())
        })
        .await
    }

    async fn standing(
        &self,
        board: Board,
        before: Option<&str>,
        most: usize,
        now: Timestamp,
    ) -> Result<Vec<Notice>, Fault> {
        let times = self.times(now);
        let now = times.of_store(now);
        self.call("standing", |store| {
            let of_it = store.boards.iter().rev().filter(|((of, _), _)| *of == board);
            let wanted = of_it.map(|(_, notice)| notice).filter(|notice| {
                notice.until > now && before.is_none_or(|before| notice.name.as_str() < before)
            });
            let of_caller = |notice: &Notice| Notice {
                until: if notice.until == FOR_GOOD { FOR_GOOD } else { times.of_caller(notice.until) },
                ..notice.clone()
            };
            Ok(wanted.take(most).map(of_caller).collect())
        })
        .await
    }
}

impl Store {
    fn change_board(&mut self, change: Change, times: Times, now: Timestamp) -> bool {
        let anyone = self.wrong == Some(Wrong::RightsAreShared) && change.board == Board::Rights;
        let place = (change.board, change.name);
        let standing = self.boards.get(&place).filter(|notice| notice.until > now);
        if !anyone && !change.on.allows(standing.map(|notice| notice.text.as_str())) {
            return false;
        }
        let Some((text, until)) = change.to else { return self.boards.remove(&place).is_some() };
        let until = if until == FOR_GOOD { until } else { times.of_store(until) };
        self.boards.insert(place.clone(), Notice { name: place.1, text, until });
        true
    }

    /// Rights that were taken: whose token has each, and until when.
    pub fn rights(&self) -> impl Iterator<Item = (&str, Lease)> {
        let rights = self.boards.iter().filter(|((board, _), _)| *board == Board::Rights);
        rights.filter_map(|((_, name), notice)| {
            let token = Token(notice.text.parse().ok()?);
            Some((name.as_str(), Lease { token, until: notice.until }))
        })
    }
}
