//! Bot tokens, as hashes.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use quicproquo_client::GroupId;
use tokio_util::sync::CancellationToken;

use super::{Record, Store, StoreError, Tx, from_db, to_db};
use crate::auth::{Grant, Login, Scope, TokenHash};

type Row = (
    String,
    String,
    Vec<u8>,
    String,
    String,
    Option<String>,
    i64,
    Option<i64>,
    Option<String>,
    Option<String>,
);

impl Store {
    /// All tokens of all bots.
    pub(crate) async fn tokens(&self) -> Result<Vec<Grant>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT token_id, bot_id, hash, label, scopes, groups, created_at_ms, expires_at_ms,
             parent, device_id FROM tokens",
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

    /// Adds the token of a Matrix login in place of others.
    pub(crate) async fn add_login(
        &self,
        grant: &Grant,
        instead_of: &[Arc<Grant>],
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        for ended in instead_of {
            delete(&mut tx, &ended.token_id).await?;
        }
        insert(&mut tx, grant).await?;
        self.commit(tx).await
    }

    /// Deletes the tokens of Matrix logins.
    pub(crate) async fn delete_logins(&self, grants: &[Arc<Grant>]) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        for grant in grants {
            delete(&mut tx, &grant.token_id).await?;
        }
        self.commit(tx).await
    }

    /// Deletes a token and those of logins with it, with the answer to the request.
    pub(crate) async fn delete_token(
        &self,
        token_id: &str,
        record: Option<&Record>,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        delete(&mut tx, token_id).await?;
        super::requests::insert(&mut tx, record).await?;
        self.commit(tx).await
    }
}

async fn delete(tx: &mut Tx, token_id: &str) -> Result<(), StoreError> {
    let query = sqlx::query("DELETE FROM tokens WHERE token_id = ?").bind(token_id);
    query.execute(&mut **tx).await?;
    Ok(())
}

pub(super) async fn insert(tx: &mut Tx, grant: &Grant) -> Result<(), StoreError> {
    let scopes = serde_json::to_string(&grant.scopes).unwrap_or_default();
    let groups =
        grant.groups.as_ref().map(|groups| serde_json::to_string(groups).unwrap_or_default());
    sqlx::query(
        "INSERT INTO tokens
         (token_id, bot_id, hash, label, scopes, groups, created_at_ms, expires_at_ms,
          parent, device_id)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&grant.token_id)
    .bind(&grant.bot_id)
    .bind(grant.hash.as_bytes().as_slice())
    .bind(&grant.label)
    .bind(scopes)
    .bind(groups)
    .bind(to_db(grant.created_at_ms))
    .bind(grant.expires_at_ms.map(to_db))
    .bind(grant.login.as_ref().map(|login| &login.parent))
    .bind(grant.login.as_ref().map(|login| &login.device_id))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

fn grant(row: Row) -> Option<Grant> {
    let (token_id, bot_id, hash, label, scopes, groups, created, expires, parent, device_id) = row;
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
        created_at_ms: from_db(created),
        expires_at_ms: expires.map(from_db),
        login: parent.zip(device_id).map(|(parent, device_id)| Login { parent, device_id }),
        revoked: CancellationToken::new(),
    })
}
