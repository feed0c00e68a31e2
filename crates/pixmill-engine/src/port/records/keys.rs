//! Keys that clients show: a notice each, for good.

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::code::Code;
use crate::fault::Fault;
use crate::model::key::{Key, Role};
use crate::model::time::Timestamp;
use crate::port::boards::{Board, Boards, Change, FOR_GOOD, Notice, On};

/// Keys that are read at a time.
const AT_A_TIME: usize = 1_000;

/// Keys that clients show.
#[async_trait]
pub trait Keys: Boards {
    /// Every key, oldest first, revoked ones too. One that can't be read is left out.
    async fn keys(&self) -> Result<Vec<Key>, Fault> {
        let (mut keys, mut before) = (Vec::new(), None::<String>);
        loop {
            let page = self.standing(Board::Keys, before.as_deref(), AT_A_TIME, Timestamp::default()).await?;
            let is_last = page.len() < AT_A_TIME;
            before = page.last().map(|last| last.name.clone());
            keys.extend(page.iter().filter_map(key));
            if is_last {
                keys.reverse();
                return Ok(keys);
            }
        }
    }

    /// Adds a key.
    async fn add_key(&self, key: Key) -> Result<(), Fault> {
        let to = Some((text(&key), FOR_GOOD));
        let add = Change { board: Board::Keys, name: key.id.clone(), on: On::Nothing, to };
        match self.change_one(add, key.created).await? {
            true => Ok(()),
            false => {
                Err(Fault::permanent(Code::RequestState, format!("the key {} is there already", key.id)))
            }
        }
    }

    /// Revokes a key; false when there is none of this id that holds.
    async fn revoke_key(&self, id: &str, now: Timestamp) -> Result<bool, Fault> {
        let Some(notice) = self.notice(Board::Keys, id, now).await? else { return Ok(false) };
        let Some(held) = key(&notice).filter(|key| key.revoked.is_none()) else { return Ok(false) };
        let revoked = text(&Key { revoked: Some(now), ..held });
        let on = On::Text(notice.text);
        // A key changes once: whoever comes second has not revoked it.
        let revoke = Change { board: Board::Keys, name: notice.name, on, to: Some((revoked, FOR_GOOD)) };
        self.change_one(revoke, now).await
    }
}

impl<T: Boards> Keys for T {}

/// A key as it stands on its board.
fn text(key: &Key) -> String {
    json!({
        "tenant": key.tenant,
        "name": key.name,
        "hash": key.hash,
        "role": key.role.as_str(),
        "per_minute": key.per_minute,
        "created": key.created.0,
        "revoked": key.revoked.map(|at| at.0),
    })
    .to_string()
}

fn key(notice: &Notice) -> Option<Key> {
    let key = serde_json::from_str(&notice.text).ok().and_then(|text| read(&notice.name, &text));
    if key.is_none() {
        tracing::warn!(id = notice.name, "a key that can't be read is passed over");
    }
    key
}

fn read(id: &str, text: &Value) -> Option<Key> {
    let string = |name: &str| text[name].as_str().map(str::to_owned);
    Some(Key {
        id: id.to_owned(),
        tenant: string("tenant")?,
        name: string("name")?,
        hash: string("hash")?,
        role: Role::parse(text["role"].as_str()?),
        per_minute: text["per_minute"].as_u64().and_then(|calls| u32::try_from(calls).ok()),
        created: Timestamp(text["created"].as_i64()?),
        revoked: text["revoked"].as_i64().map(Timestamp),
    })
}
