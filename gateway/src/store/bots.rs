//! Bots.
//!
//! A bot lives in two databases: its identity in the client's, its row here. `creating` and
//! `deleting` mark the time between, so that a start after a crash finishes the work.

use quicproquo_client::IdentityKey;

use super::{Record, Store, StoreError, StoredConsumer, from_db, to_db};
use crate::auth::Grant;

/// How far a bot has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BotState {
    /// Its name is not claimed yet.
    Creating,
    /// At work.
    Active,
    /// Its identity is being deleted.
    Deleting,
}

/// A bot's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BotRow {
    /// Its id.
    pub(crate) bot_id: String,
    /// The name it claimed.
    pub(crate) name: String,
    /// Its identity.
    pub(crate) identity: IdentityKey,
    /// How far it has come.
    pub(crate) state: BotState,
    /// When it was made, unix milliseconds.
    pub(crate) created_at_ms: u64,
}

/// Id, name, identity, state, when it was made, seal.
type Row = (String, String, String, String, i64, Option<Vec<u8>>);

impl Store {
    /// All bots, whatever their state.
    pub(crate) async fn bots(&self) -> Result<Vec<BotRow>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT bot_id, name, identity, state, created_at_ms, seal FROM bots
             ORDER BY created_at_ms",
        )
        .fetch_all(&self.pool)
        .await?;
        let is_whole = |row: &Row| {
            let (bot_id, name, identity, state, _, seal) = row;
            // Only one at work is somebody.
            let whole = state != "active"
                || self.seals.holds("bots", &fields(bot_id, name, identity), seal.as_deref());
            if !whole {
                super::changed("bots", bot_id);
            }
            whole
        };
        rows.into_iter()
            .filter(is_whole)
            .map(|(bot_id, name, identity, state, created_at_ms, _)| {
                let state = match state.as_str() {
                    "creating" => BotState::Creating,
                    "active" => BotState::Active,
                    "deleting" => BotState::Deleting,
                    _ => return Err(StoreError::Damaged("bots")),
                };
                let identity = identity.parse().map_err(|_| StoreError::Damaged("bots"))?;
                let created_at_ms = from_db(created_at_ms);
                Ok(BotRow { bot_id, name, identity, state, created_at_ms })
            })
            .collect()
    }

    /// Reserves a name for a bot that is being created; `Exists` when another bot has it.
    pub(crate) async fn reserve_bot(&self, bot: &BotRow) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "INSERT INTO bots (bot_id, name, identity, state, created_at_ms, seal)
             VALUES (?, ?, ?, 'creating', ?, ?)",
        )
        .bind(&bot.bot_id)
        .bind(&bot.name)
        .bind(bot.identity.to_string())
        .bind(to_db(bot.created_at_ms))
        .bind(self.seal_of(bot))
        .execute(&mut *tx)
        .await?;
        self.commit(tx).await
    }

    /// Puts a reserved bot to work, with its first token and the answer to the request.
    pub(crate) async fn activate_bot(
        &self,
        bot_id: &str,
        grant: &Grant,
        record: Option<&Record>,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query("UPDATE bots SET state = 'active' WHERE bot_id = ?")
            .bind(bot_id)
            .execute(&mut *tx)
            .await?;
        super::tokens::insert(&mut tx, grant, &self.seals).await?;
        super::requests::insert(&mut tx, record, &self.seals).await?;
        self.commit(tx).await
    }

    /// Puts an imported bot to work, with its consumers, its first token and the answer to the request; `Exists`
    /// when its name or its identity is another bot's.
    pub(crate) async fn import_bot(
        &self,
        bot: &BotRow,
        grant: &Grant,
        consumers: &[StoredConsumer],
        record: Option<&Record>,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "INSERT INTO bots (bot_id, name, identity, state, created_at_ms, seal)
             VALUES (?, ?, ?, 'active', ?, ?)",
        )
        .bind(&bot.bot_id)
        .bind(&bot.name)
        .bind(bot.identity.to_string())
        .bind(to_db(bot.created_at_ms))
        .bind(self.seal_of(bot))
        .execute(&mut *tx)
        .await?;
        for consumer in consumers {
            super::consumers::insert(&mut tx, consumer, &self.seals).await?;
        }
        super::tokens::insert(&mut tx, grant, &self.seals).await?;
        super::requests::insert(&mut tx, record, &self.seals).await?;
        self.commit(tx).await
    }

    fn seal_of(&self, bot: &BotRow) -> Vec<u8> {
        self.seals.bind("bots", &fields(&bot.bot_id, &bot.name, &bot.identity.to_string()))
    }

    /// Marks a bot for deletion and deletes its tokens, webhooks and consumers.
    pub(crate) async fn retire_bot(
        &self,
        bot_id: &str,
        record: Option<&Record>,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        for sql in [
            "UPDATE bots SET state = 'deleting' WHERE bot_id = ?",
            "DELETE FROM tokens WHERE bot_id = ?",
            "DELETE FROM webhooks WHERE bot_id = ?",
            "DELETE FROM consumers WHERE bot_id = ?",
        ] {
            sqlx::query(sql).bind(bot_id).execute(&mut *tx).await?;
        }
        super::requests::insert(&mut tx, record, &self.seals).await?;
        self.commit(tx).await
    }

    /// Gives a bot at work another name, with the answer to the request; `Exists` when another bot
    /// has it.
    pub(crate) async fn rename_bot(
        &self,
        bot_id: &str,
        name: &str,
        identity: &IdentityKey,
        record: Option<&Record>,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let seal = self.seals.bind("bots", &fields(bot_id, name, &identity.to_string()));
        sqlx::query("UPDATE bots SET name = ?, seal = ? WHERE bot_id = ? AND state = 'active'")
            .bind(name)
            .bind(seal)
            .bind(bot_id)
            .execute(&mut *tx)
            .await?;
        super::requests::insert(&mut tx, record, &self.seals).await?;
        self.commit(tx).await
    }

    /// Frees the name of a bot that came to nothing, while its identity waits for its deletion.
    pub(crate) async fn free_name(&self, bot_id: &str) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let query = sqlx::query("UPDATE bots SET name = bot_id WHERE bot_id = ?").bind(bot_id);
        query.execute(&mut *tx).await?;
        self.commit(tx).await
    }

    /// Forgets a bot whose identity is deleted.
    pub(crate) async fn forget_bot(&self, bot_id: &str) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query("DELETE FROM bots WHERE bot_id = ?").bind(bot_id).execute(&mut *tx).await?;
        self.commit(tx).await
    }
}

/// What says whom a bot speaks as.
pub(super) fn fields<'a>(
    bot_id: &'a str,
    name: &'a str,
    identity: &'a str,
) -> [Option<&'a [u8]>; 3] {
    [bot_id, name, identity].map(|text| Some(text.as_bytes()))
}
