//! Every table with rows of an identity, and how its sealed columns are sealed: what works on all of
//! them works from this list.

use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Column as _, Row as _, TypeInfo as _, ValueRef as _};

use super::bound::{Field, bind};
use zeroize::Zeroize as _;

use super::record;
use super::seal::Sealer;

/// A table whose first column is `owner`.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    /// The rest of the primary key.
    pub(super) key: &'static [&'static str],
    /// Its sealed columns; they may be NULL.
    pub(super) sealed: &'static [Sealed],
}

/// A sealed column.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) column: &'static str,
    /// What its values are sealed as: the table, or with what is bound to them, table and column.
    pub(super) label: &'static str,
    /// Columns that are bound to its values.
    bound: &'static [&'static str],
    /// Columns that are bound too where `seal` is NULL and so does not bind them.
    without_seal: &'static [&'static str],
}

const fn table(
    name: &'static str,
    key: &'static [&'static str],
    sealed: &'static [Sealed],
) -> Table {
    Table { name, key, sealed }
}

const fn plain(label: &'static str, column: &'static str) -> Sealed {
    Sealed { column, label, bound: &[], without_seal: &[] }
}

const fn bound(
    label: &'static str,
    column: &'static str,
    bound: &'static [&'static str],
) -> Sealed {
    Sealed { column, label, bound, without_seal: &[] }
}

/// All but `identities` and `hybrid_keys`, whose row key is the identity, and `mls`.
pub(super) const TABLES: [Table; 14] = [
    table("key_packages", &["reference"], &[]),
    table("groups", &["group_id"], &[plain("groups", "record")]),
    table(
        "messages",
        &["seq"],
        &[
            Sealed {
                column: "content",
                label: CONTENT,
                bound: &["group_id", "sender", "message_id", "received_at"],
                without_seal: &STATE,
            },
            bound(DELIVERY, "seal", &STATE),
        ],
    ),
    table("attachments", &["attachment_id"], &[plain("attachments", "record")]),
    table("events", &["seq"], &[plain("events", "data")]),
    table("hidden_events", &["n", "group_id"], &[plain("hidden_events", "data")]),
    table("outbox", &["counter"], &[plain("outbox", "record")]),
    table("inbox", &["hash"], &[]),
    table("buffered", &["n", "group_id"], &[plain("buffered", "payload")]),
    table("set_aside", &["hash"], &[plain("set_aside", "payload")]),
    table("intents", &["n"], &[plain("intents", "record")]),
    table(
        "idempotency",
        &["key"],
        &[bound(FINGERPRINT, "fingerprint", &["intent", "message", "attachment"])],
    ),
    table("names", &["name"], &[bound(PIN, "seal", &["identity", "pinned_at", "changed"])]),
    table("trust", &["identity"], &[bound(TRUST, "verified", &["first_seen", "took_over"])]),
];

/// What changes of an own message until it is sent.
const STATE: [&str; 3] = ["state", "epoch", "recipients"];

/// Labels of sealed values with what is bound to them.
pub(super) const CONTENT: &str = "messages.content";
pub(super) const DELIVERY: &str = "messages.seal";
pub(super) const FINGERPRINT: &str = "idempotency.fingerprint";
pub(super) const PIN: &str = "names.seal";
pub(super) const TRUST: &str = "trust.verified";
pub(super) const POLICY: &str = "identities.policy_seal";
pub(super) const HALTED: &str = "identities.halted_seal";

/// MLS state; its names are hidden, see `mls.rs`.
pub(super) const MLS: Table = table("mls", &["scope", "key"], &[plain("mls", "value")]);

/// Seals of an identity's own row; the row key is the identity.
pub(super) const IDENTITY: [Sealed; 2] =
    [bound(POLICY, "policy_seal", &["invite_policy"]), bound(HALTED, "halted_seal", &["halted"])];

/// What else is sealed with an identity as row key.
pub(super) const SEED: [Sealed; 1] = [plain("identities", "seed")];
pub(super) const SECRET: [Sealed; 1] = [plain("hybrid_keys", "secret")];

/// A row: columns and cells.
pub(super) type Cells = Vec<(String, Cell)>;

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

    /// As it is bound to sealed values.
    pub(super) fn field(&self) -> Field<'_> {
        match self {
            Self::Null => Field::Null,
            Self::Int(number) => Field::Int(*number),
            Self::Text(text) => Field::Text(text),
            Self::Bytes(bytes) => Field::Bytes(bytes),
        }
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

    /// The key of a row, without its owner.
    pub(super) fn key_of(&self, row: &Cells) -> Vec<Cell> {
        self.key.iter().filter_map(|column| cell(row, column).cloned()).collect()
    }
}

impl Sealed {
    /// The associated data of this column in a row.
    pub(super) fn associated(&self, row_key: &[u8], row: &Cells) -> Vec<u8> {
        if self.bound.is_empty() {
            return row_key.to_vec();
        }
        let alone = matches!(cell(row, "seal"), None | Some(Cell::Null));
        let more = self.without_seal.iter().filter(|_| alone);
        let columns = self.bound.iter().chain(more);
        bind(row_key, columns.map(|column| cell(row, column).map_or(Field::Null, Cell::field)))
    }
}

/// Seals the sealed columns of an opened row. What was deleted is empty, and stays so.
pub(super) fn seal(sealer: &Sealer, columns: &[Sealed], row_key: &[u8], row: &mut Cells) {
    for spec in columns {
        let associated = spec.associated(row_key, row);
        if let Some((_, Cell::Bytes(plain))) = row.iter_mut().find(|(name, _)| name == spec.column)
            && !plain.is_empty()
        {
            let value = sealer.seal(spec.label, &associated, plain);
            plain.zeroize();
            *plain = value.into();
        }
    }
}

/// Opens the sealed columns of a row; `false`: one does not open.
pub(super) fn open(sealer: &Sealer, columns: &[Sealed], row_key: &[u8], row: &mut Cells) -> bool {
    for spec in columns {
        let associated = spec.associated(row_key, row);
        if let Some((_, Cell::Bytes(value))) = row.iter_mut().find(|(name, _)| name == spec.column)
            && !value.is_empty()
        {
            let Ok(plain) = sealer.open(spec.label, &associated, value) else { return false };
            *value = plain.to_vec().into();
        }
    }
    true
}

/// The cell of a column.
pub(super) fn cell<'a>(row: &'a Cells, column: &str) -> Option<&'a Cell> {
    row.iter().find(|(name, _)| name == column).map(|(_, cell)| cell)
}

/// All cells of a row with the names of their columns.
pub(super) fn cells(row: &SqliteRow) -> Result<Cells, sqlx::Error> {
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
