//! Bot tokens, as hashes.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use quicproquo_client::{GroupId, Seals};
use tokio_util::sync::CancellationToken;

use super::{Record, Store, StoreError, Tx, from_db, groups_text, to_db};
use crate::auth::{Grant, Login, Scope, TokenHash};

pub(super) type Row = (
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
    Option<Vec<u8>>,
);

pub(super) const SELECT: &str = "SELECT token_id, bot_id, hash, label, scopes, groups, \
    created_at_ms, expires_at_ms, parent, device_id, seal FROM tokens";

impl Store {
    /// All tokens of all bots.
    pub(crate) async fn tokens(&self) -> Result<Vec<Grant>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(SELECT).fetch_all(&self.pool).await?;
        let whole = rows.into_iter().filter_map(|row| {
            let (token_id, seal) = (row.0.clone(), row.10.clone());
            let grant = grant(row).filter(|grant| {
                with_fields(grant, |fields| self.seals.holds("tokens", fields, seal.as_deref()))
            });
            if grant.is_none() {
                super::changed("tokens", &token_id);
            }
            grant
        });
        Ok(whole.collect())
    }

    /// Adds a token, with the answer to the request.
    pub(crate) async fn add_token(
        &self,
        grant: &Grant,
        record: Option<&Record>,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        insert(&mut tx, grant, &self.seals).await?;
        super::requests::insert(&mut tx, record, &self.seals).await?;
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
        insert(&mut tx, grant, &self.seals).await?;
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
        super::requests::insert(&mut tx, record, &self.seals).await?;
        self.commit(tx).await
    }
}

async fn delete(tx: &mut Tx, token_id: &str) -> Result<(), StoreError> {
    let query = sqlx::query("DELETE FROM tokens WHERE token_id = ?").bind(token_id);
    query.execute(&mut **tx).await?;
    Ok(())
}

/// Everything that a token's row says.
fn with_fields<T>(grant: &Grant, work: impl FnOnce(&[Option<&[u8]>]) -> T) -> T {
    let (scopes, groups) = (scopes_text(grant), groups_text(grant.groups.as_ref()));
    let created = to_db(grant.created_at_ms).to_be_bytes();
    let expires = grant.expires_at_ms.map(|at| to_db(at).to_be_bytes());
    let login = grant.login.as_ref();
    work(&[
        Some(grant.token_id.as_bytes()),
        Some(grant.bot_id.as_bytes()),
        Some(grant.hash.as_bytes()),
        Some(grant.label.as_bytes()),
        Some(scopes.as_bytes()),
        groups.as_deref().map(str::as_bytes),
        Some(&created),
        expires.as_ref().map(<[u8; 8]>::as_slice),
        login.map(|login| login.parent.as_bytes()),
        login.map(|login| login.device_id.as_bytes()),
    ])
}

fn scopes_text(grant: &Grant) -> String {
    serde_json::to_string(&grant.scopes).unwrap_or_default()
}

pub(super) fn seal_of(grant: &Grant, seals: &Seals) -> Vec<u8> {
    with_fields(grant, |fields| seals.bind("tokens", fields))
}

pub(super) async fn insert(tx: &mut Tx, grant: &Grant, seals: &Seals) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO tokens
         (token_id, bot_id, hash, label, scopes, groups, created_at_ms, expires_at_ms,
          parent, device_id, seal)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&grant.token_id)
    .bind(&grant.bot_id)
    .bind(grant.hash.as_bytes().as_slice())
    .bind(&grant.label)
    .bind(scopes_text(grant))
    .bind(groups_text(grant.groups.as_ref()))
    .bind(to_db(grant.created_at_ms))
    .bind(grant.expires_at_ms.map(to_db))
    .bind(grant.login.as_ref().map(|login| &login.parent))
    .bind(grant.login.as_ref().map(|login| &login.device_id))
    .bind(seal_of(grant, seals))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) fn grant(row: Row) -> Option<Grant> {
    let (token_id, bot_id, hash, label, scopes, groups, created, expires, parent, device_id, _) =
        row;
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
