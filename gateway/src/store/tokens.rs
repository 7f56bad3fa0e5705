//! Bot tokens, as hashes.

use std::collections::{BTreeSet, HashSet};

use quicproquo_client::GroupId;
use tokio_util::sync::CancellationToken;

use super::{Record, Store, StoreError, Tx, from_db, to_db};
use crate::auth::{Grant, Scope, TokenHash};

type Row = (String, String, Vec<u8>, String, String, Option<String>, i64, Option<i64>);

impl Store {
    /// All tokens of all bots.
    pub(crate) async fn tokens(&self) -> Result<Vec<Grant>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT token_id, bot_id, hash, label, scopes, groups, created_at_ms, expires_at_ms
             FROM tokens",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(|row| grant(row).ok_or(StoreError::Damaged("tokens"))).collect()
    }

    /// Adds a token, with the answer to the request.
    pub(crate) async fn add_token(
        &self,
        grant: &Grant,
        record: Option<&Record>,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        insert(&mut tx, grant).await?;
        super::requests::insert(&mut tx, record).await?;
        self.commit(tx).await
    }

    /// Deletes a token, with the answer to the request.
    pub(crate) async fn delete_token(
        &self,
        token_id: &str,
        record: Option<&Record>,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query("DELETE FROM tokens WHERE token_id = ?")
            .bind(token_id)
            .execute(&mut *tx)
            .await?;
        super::requests::insert(&mut tx, record).await?;
        self.commit(tx).await
    }
}

pub(super) async fn insert(tx: &mut Tx, grant: &Grant) -> Result<(), StoreError> {
    let scopes = serde_json::to_string(&grant.scopes).unwrap_or_default();
    let groups =
        grant.groups.as_ref().map(|groups| serde_json::to_string(groups).unwrap_or_default());
    sqlx::query(
        "INSERT INTO tokens
         (token_id, bot_id, hash, label, scopes, groups, created_at_ms, expires_at_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&grant.token_id)
    .bind(&grant.bot_id)
    .bind(grant.hash.as_bytes().as_slice())
    .bind(&grant.label)
    .bind(scopes)
    .bind(groups)
    .bind(to_db(grant.created_at_ms))
    .bind(grant.expires_at_ms.map(to_db))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

fn grant(row: Row) -> Option<Grant> {
    let (token_id, bot_id, hash, label, scopes, groups, created_at_ms, expires_at_ms) = row;
    let scopes: BTreeSet<Scope> = serde_json::from_str(&scopes).ok()?;
    let groups: Option<HashSet<GroupId>> = match groups {
        Some(groups) => Some(serde_json::from_str(&groups).ok()?),
        None => None,
    };
    Some(Grant {
        token_id,
        bot_id,
        label,
        hash: TokenHash::from_slice(&hash)?,
        scopes,
        groups,
        created_at_ms: from_db(created_at_ms),
        expires_at_ms: expires_at_ms.map(from_db),
        revoked: CancellationToken::new(),
    })
}
