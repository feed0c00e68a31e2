//! Boards on which processes leave word for each other.

use async_trait::async_trait;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::boards::{Board, Boards, Notice};

use super::Memory;

#[async_trait]
impl Boards for Memory {
    async fn put_up(&self, board: Board, notices: Vec<Notice>, now: Timestamp) -> Result<(), Fault> {
        self.call("put_up", |store| {
            store.boards.retain(|_, notice| notice.until > now);
            let named = notices.into_iter().map(|notice| ((board, notice.name.clone()), notice));
            store.boards.extend(named);
            Ok(())
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
        self.call("standing", |store| {
            let of_it = store.boards.iter().rev().filter(|((of, _), _)| *of == board);
            let wanted = of_it.map(|(_, notice)| notice).filter(|notice| {
                notice.until > now && before.is_none_or(|before| notice.name.as_str() < before)
            });
            Ok(wanted.take(most).cloned().collect())
        })
        .await
    }

    async fn take_off(&self, board: Board, name: &str) -> Result<bool, Fault> {
        self.call("take_off", |store| Ok(store.boards.remove(&(board, name.to_owned())).is_some())).await
    }
}
