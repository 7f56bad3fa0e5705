//! All rows of an identity, opened, and their way into another database.

use std::collections::HashSet;

use quicproquo_core::identity::IdentityKey;
use quicproquo_core::provider::{group_scope, key_package_scope};
use rusqlite::{Connection, params_from_iter};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqliteRow;
use zeroize::Zeroize;

use super::bound::NOTHING;
use super::identities::policy_text;
use super::seal::Sealer;
use super::tables::{self, Cell, Cells, IDENTITY, SECRET, SEED, Sealed, TABLES, Table, cell};
use super::upgrade::{self, Former};
use super::{Halted, IdentityRecord, Overlay, Owner, Store, StoreError, mls};
use crate::model::InvitePolicy;

/// The type of the event that a received message is.
const RECEIVED: &str = "message.received";
/// What is not carried over: the new database has its own.
const OWN: [&str; 3] = ["id", "halted", "halted_seal"];

/// Everything a database knows of an identity, in clear.
#[derive(Serialize, Deserialize)]
pub(crate) struct Exported {
    pub(crate) identity: IdentityKey,
    /// The name it claimed first.
    pub(crate) name: Option<String>,
    /// What whoever exports it wants to find again.
    #[serde(default)]
    pub(crate) note: ByteBuf,
    /// Its row of `identities`.
    row: Cells,
    hybrid_keys: Vec<Cells>,
    /// Of received messages `events` has those whose own row was damaged. Archives of version 1 have
    /// all.
    tables: Vec<(String, Vec<Cells>)>,
    /// Scope, key, value.
    mls: Vec<(ByteBuf, ByteBuf, ByteBuf)>,
}

impl Drop for Exported {
    fn drop(&mut self) {
        let tables = self.tables.iter_mut().flat_map(|(_, rows)| rows);
        for row in tables.chain(&mut self.hybrid_keys).chain([&mut self.row]) {
            for (_, cell) in row {
                if let Cell::Bytes(bytes) = cell {
                    bytes.zeroize();
                }
            }
        }
        for (_, _, value) in &mut self.mls {
            value.zeroize();
        }
    }
}

impl std::fmt::Debug for Exported {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exported").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl Exported {
    #[cfg(test)]
    pub(crate) fn empty(identity: IdentityKey) -> Self {
        let (row, name, note) = (Vec::new(), None, ByteBuf::new());
        Self { identity, name, note, row, hybrid_keys: vec![], tables: vec![], mls: vec![] }
    }
}

impl Store {
    /// Everything of an identity whose session stands still. What is damaged stays behind.
    pub(crate) async fn export(
        &self,
        owner: Owner,
        identity: IdentityKey,
    ) -> Result<Exported, StoreError> {
        let name = self.names_of(owner, [identity].into()).await?.name(&identity);
        let key = identity.as_bytes();
        let rows = self.rows_of("identities", "id", owner).await?;
        let row = rows.first().map(tables::cells).transpose()?.unwrap_or_default();
        let row = opened(&self.sealer, "identities", &SEED, key, &row);
        let mut row = row.ok_or_else(|| StoreError::Row("identities", "the seed".into()))?;
        if !tables::open(&self.sealer, &IDENTITY[..1], key, &mut row) {
            row.retain(|(column, _)| column != "policy_seal");
            let policy = Cell::Text(policy_text(&InvitePolicy::default()));
            row.iter_mut()
                .filter(|(column, _)| column == "invite_policy")
                .for_each(|cell| cell.1 = policy.clone());
        }
        let mut hybrid_keys = Vec::new();
        for row in self.rows_of("hybrid_keys", "owner", owner).await? {
            let row = tables::cells(&row)?;
            hybrid_keys.extend(opened(&self.sealer, "hybrid_keys", &SECRET, key, &row));
        }
        let mut exported = Exported {
            identity,
            name,
            note: ByteBuf::new(),
            row,
            hybrid_keys,
            tables: Vec::with_capacity(TABLES.len()),
            mls: Vec::new(),
        };
        let mut gone = Vec::new();
        for table in &TABLES {
            let mut rows = Vec::new();
            for row in self.rows_of(table.name, "owner", owner).await? {
                let row = tables::cells(&row)?;
                let row_key = Table::row_key(owner.0, &table.key_of(&row));
                match opened(&self.sealer, table.name, table.sealed, &row_key, &row) {
                    Some(row) => rows.push(row),
                    None if table.name == "messages" => gone.extend(gone_message(&row)),
                    None => {}
                }
            }
            if table.name == "events" {
                rows.append(&mut gone);
            }
            for scope in scopes(table.name, &rows) {
                match self.mls_scope(owner, &scope, &Overlay::default()).await {
                    Ok(found) => exported.mls.extend(found.into_iter().map(|(key, value)| {
                        (scope.clone().into(), ByteBuf::from(key), ByteBuf::from(value))
                    })),
                    Err(error) if error.is_damage() => {
                        tracing::error!(%error, "damaged MLS state is not exported");
                    }
                    Err(error) => return Err(error),
                }
            }
            exported.tables.push((table.name.to_owned(), rows));
        }
        Ok(exported)
    }

    async fn rows_of(
        &self,
        table: &'static str,
        column: &'static str,
        owner: Owner,
    ) -> Result<Vec<SqliteRow>, StoreError> {
        let sql = AssertSqlSafe(format!("SELECT * FROM {table} WHERE {column} = ?"));
        Ok(sqlx::query(sql).bind(owner.0).fetch_all(&self.reads).await?)
    }

    /// Whether an identity is in this database.
    pub(crate) async fn has_identity(&self, identity: &IdentityKey) -> Result<bool, StoreError> {
        let found: Option<i64> = sqlx::query_scalar("SELECT id FROM identities WHERE identity = ?")
            .bind(&identity.as_bytes()[..])
            .fetch_optional(&self.reads)
            .await?;
        Ok(found.is_some())
    }

    /// Writes everything of an identity that is not here.
    pub(crate) async fn import(&self, exported: Exported) -> Result<IdentityRecord, StoreError> {
        let sealer = std::sync::Arc::clone(&self.sealer);
        let owner = self.writer.import(sealer, exported).await?;
        let record = self.identity_of(owner).await;
        if record.is_err() {
            // It would keep this database from being opened.
            self.delete_identity(owner).await?;
        }
        record
    }
}

/// Names of MLS rows are hidden; they are found by what they belong to.
fn scopes(table: &str, rows: &[Cells]) -> Vec<Vec<u8>> {
    let column = match table {
        "groups" => "group_id",
        "key_packages" => "reference",
        _ => return Vec::new(),
    };
    let cells = rows.iter().filter_map(|row| cell(row, column));
    let bytes = cells.filter_map(|cell| match cell {
        Cell::Bytes(bytes) => Some(bytes.as_slice()),
        _ => None,
    });
    let scope = if table == "groups" { group_scope } else { key_package_scope };
    bytes.map(scope).collect()
}

/// The row with its sealed columns opened; `None` when they do not open.
fn opened(
    sealer: &Sealer,
    table: &'static str,
    columns: &[Sealed],
    row_key: &[u8],
    as_stored: &Cells,
) -> Option<Cells> {
    let mut row = as_stored.clone();
    if !tables::open(sealer, columns, row_key, &mut row) {
        tracing::error!(table, "a damaged row is not exported");
        row.clone_from(as_stored);
        upgrade::distrusted(table, &mut row)?;
    }
    row.retain(|(name, _)| !OWN.contains(&name.as_str()));
    Some(row)
}

/// The event that says that a received message is gone.
fn gone_message(row: &Cells) -> Option<Cells> {
    let copied = |from: &str, to: &str| Some((to.to_owned(), cell(row, from)?.clone()));
    let received = matches!(cell(row, "seal"), None | Some(Cell::Null));
    received.then_some(())?;
    Some(vec![
        copied("owner", "owner")?,
        copied("seq", "seq")?,
        ("kind".to_owned(), Cell::Text(RECEIVED.to_owned())),
        copied("group_id", "group_id")?,
        copied("received_at", "occurred_at")?,
        copied("seq", "message")?,
    ])
}

/// Whether a row of `events` repeats a received message, as archives of version 1 have it.
fn repeats(row: &Cells, messages: &HashSet<i64>) -> bool {
    let received = matches!(cell(row, "kind"), Some(Cell::Text(kind)) if kind == RECEIVED);
    received && matches!(cell(row, "seq"), Some(Cell::Int(seq)) if messages.contains(seq))
}

/// Writes an exported identity, for the writer.
pub(super) fn insert(
    connection: &Connection,
    sealer: &Sealer,
    exported: &Exported,
) -> Result<Owner, StoreError> {
    let key = exported.identity.as_bytes();
    let mut row = exported.row.clone();
    row.retain(|(column, _)| !IDENTITY.iter().any(|spec| spec.column == column));
    row.push(("halted".to_owned(), Cell::Text(Halted::Exported.text())));
    for spec in &IDENTITY {
        row.push((spec.column.to_owned(), Cell::Bytes(ByteBuf::from(NOTHING))));
    }
    tables::seal(sealer, &IDENTITY, key, &mut row);
    tables::seal(sealer, &SEED, key, &mut row);
    put(connection, "identities", row)?;
    let owner = connection.last_insert_rowid();
    for row in &exported.hybrid_keys {
        let mut row = owned(row.clone(), owner);
        tables::seal(sealer, &SECRET, key, &mut row);
        put(connection, "hybrid_keys", row)?;
    }
    let mut former = Former { own: key.to_vec(), ..Former::default() };
    let messages = exported.tables.iter().filter(|(name, _)| name == "messages");
    let messages = messages.flat_map(|(_, rows)| rows).filter_map(|row| match cell(row, "seq") {
        Some(Cell::Int(seq)) => Some(*seq),
        _ => None,
    });
    let messages: HashSet<i64> = messages.collect();
    for (name, rows) in &exported.tables {
        let table = TABLES.iter().find(|table| table.name == name);
        let table = table.ok_or_else(|| StoreError::Row("archive", format!("table {name}")))?;
        for row in rows.iter().filter(|row| name != "events" || !repeats(row, &messages)) {
            let mut row = owned(row.clone(), owner);
            former.note(&row);
            former.complete(table.name, &mut row);
            let row_key = Table::row_key(owner, &table.key_of(&row));
            tables::seal(sealer, table.sealed, &row_key, &mut row);
            put(connection, table.name, row)?;
        }
    }
    let owner = Owner(owner);
    for (scope, key, value) in &exported.mls {
        let scope_name = mls::scope_name(sealer, owner, scope);
        let key_name = sealer.name(&[scope, key]);
        let value = mls::seal(sealer, owner, &scope_name, &key_name, key, value);
        let bytes = |bytes: &[u8]| Cell::Bytes(bytes.to_vec().into());
        let row = vec![
            ("owner".to_owned(), Cell::Int(owner.0)),
            ("scope".to_owned(), bytes(&scope_name)),
            ("key".to_owned(), bytes(&key_name)),
            ("value".to_owned(), bytes(&value)),
        ];
        put(connection, "mls", row)?;
    }
    Ok(owner)
}

fn owned(mut row: Cells, owner: i64) -> Cells {
    for (name, cell) in &mut row {
        if name == "owner" {
            *cell = Cell::Int(owner);
        }
    }
    row
}

/// Columns that this version does not know are refused by the database.
fn put(connection: &Connection, table: &'static str, row: Cells) -> Result<(), StoreError> {
    let is_word = |name: &str| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if let Some((name, _)) = row.iter().find(|(name, _)| name.is_empty() || !is_word(name)) {
        return Err(StoreError::Row("archive", format!("column {name}")));
    }
    let (columns, cells): (Vec<String>, Vec<Cell>) = row.into_iter().unzip();
    let places = vec!["?"; columns.len()].join(", ");
    let sql = format!("INSERT INTO {table} ({}) VALUES ({places})", columns.join(", "));
    connection.execute(&sql, params_from_iter(&cells))?;
    Ok(())
}

#[cfg(test)]
pub(super) mod tests;
