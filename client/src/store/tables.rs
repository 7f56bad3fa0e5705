//! Every table with rows of an identity, and under which row key its sealed column is sealed: what
//! works on all of them works from this list.

use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Column as _, Row as _, TypeInfo as _, ValueRef as _};

use super::record;

/// A table whose first column is `owner`.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    /// The rest of the primary key.
    pub(super) key: &'static [&'static str],
    /// The sealed column, if there is one; it may be NULL.
    pub(super) sealed: Option<&'static str>,
}

const fn table(
    name: &'static str,
    key: &'static [&'static str],
    sealed: Option<&'static str>,
) -> Table {
    Table { name, key, sealed }
}

/// All but `identities` and `hybrid_keys`, whose row key is the identity, and `mls`.
pub(super) const TABLES: [Table; 14] = [
    table("key_packages", &["reference"], None),
    table("groups", &["group_id"], Some("record")),
    table("messages", &["seq"], Some("content")),
    table("attachments", &["attachment_id"], Some("record")),
    table("events", &["seq"], Some("data")),
    table("hidden_events", &["n", "group_id"], Some("data")),
    table("outbox", &["counter"], Some("record")),
    table("inbox", &["hash"], None),
    table("buffered", &["n", "group_id"], Some("payload")),
    table("set_aside", &["hash"], Some("payload")),
    table("intents", &["n"], Some("record")),
    table("idempotency", &["key"], None),
    table("names", &["name"], None),
    table("trust", &["identity"], Some("verified")),
];

/// MLS state; its names are hidden, see `mls.rs`.
pub(super) const MLS: Table = table("mls", &["scope", "key"], Some("value"));

/// A value of a column.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) enum Cell {
    Null,
    Int(i64),
    Text(String),
    Bytes(serde_bytes::ByteBuf),
}

impl Cell {
    fn of(row: &SqliteRow, column: usize) -> Result<Self, sqlx::Error> {
        let value = row.try_get_raw(column)?;
        if value.is_null() {
            return Ok(Self::Null);
        }
        Ok(match value.type_info().name() {
            "INTEGER" => Self::Int(row.try_get(column)?),
            "TEXT" => Self::Text(row.try_get(column)?),
            _ => Self::Bytes(serde_bytes::ByteBuf::from(row.try_get::<Vec<u8>, _>(column)?)),
        })
    }

    /// As it stands in a row key.
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Null => Vec::new(),
            // As `record::row` has it.
            Self::Int(number) => number.to_be_bytes().to_vec(),
            Self::Text(text) => text.as_bytes().to_vec(),
            Self::Bytes(bytes) => bytes.to_vec(),
        }
    }
}

impl ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl Table {
    /// The associated data of the sealed column: owner, then the key.
    pub(super) fn row_key(owner: i64, key: &[Cell]) -> Vec<u8> {
        record::named(owner, &key.iter().flat_map(Cell::bytes).collect::<Vec<_>>())
    }

    pub(super) fn columns(&self) -> String {
        self.key.join(", ")
    }
}

/// All cells of a row with the names of their columns.
pub(super) fn cells(row: &SqliteRow) -> Result<Vec<(String, Cell)>, sqlx::Error> {
    let columns = row.columns().iter();
    columns.map(|column| Ok((column.name().to_owned(), Cell::of(row, column.ordinal())?))).collect()
}

/// Runs a statement made of the constant texts of this module; every cell is bound.
pub(super) async fn execute(
    connection: &mut SqliteConnection,
    sql: String,
    cells: &[Cell],
) -> Result<u64, sqlx::Error> {
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for cell in cells {
        query = match cell {
            Cell::Null => query.bind(None::<i64>),
            Cell::Int(number) => query.bind(*number),
            Cell::Text(text) => query.bind(text.clone()),
            Cell::Bytes(bytes) => query.bind(bytes.to_vec()),
        };
    }
    Ok(query.execute(connection).await?.rows_affected())
}
