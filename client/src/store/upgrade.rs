//! Rows of versions that bound less to sealed values: of a database once, and of older archives.

use std::collections::{HashMap, HashSet};

use futures::TryStreamExt as _;
use serde_bytes::ByteBuf;
use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqliteConnection;

use super::StoreError;
use super::bound::NOTHING;
use super::seal::Sealer;
use super::tables::{self, Cell, Cells, FINGERPRINT, IDENTITY, TABLES, Table, cell};

/// Rows that are sealed anew between two reads.
const PAGE: usize = 500;
/// An absent time in CBOR.
const NONE: &[u8] = &[0xF6];

/// What every row of a database has had sealed and bound, as its `check` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Format {
    /// Less than now.
    Former,
    /// All there is today.
    Rows,
    /// And so has what the application keeps elsewhere.
    Application,
}

impl Format {
    pub(super) fn text(self) -> &'static [u8] {
        match self {
            Self::Former => b"quicproquo",
            Self::Rows => b"quicproquo-2",
            Self::Application => b"quicproquo-3",
        }
    }

    pub(super) fn of(text: &[u8]) -> Option<Self> {
        let all = [Self::Former, Self::Rows, Self::Application];
        all.into_iter().find(|format| format.text() == text)
    }
}

/// What is needed to know of an identity to complete its former rows.
#[derive(Debug, Default)]
pub(super) struct Former {
    pub(super) own: Vec<u8>,
    /// Identities with a name that pointed to another key before.
    pub(super) took_over: HashSet<Vec<u8>>,
}

impl Former {
    /// Takes a row of `names` into account.
    pub(super) fn note(&mut self, row: &Cells) {
        if let (Some(Cell::Bytes(identity)), Some(Cell::Int(1))) =
            (cell(row, "identity"), cell(row, "changed"))
        {
            self.took_over.insert(identity.to_vec());
        }
    }

    /// Adds to an opened row what former versions did not write.
    pub(super) fn complete(&self, table: &str, row: &mut Cells) {
        let bytes = |bytes: &[u8]| Cell::Bytes(ByteBuf::from(bytes));
        match table {
            "messages" => {
                let own =
                    matches!(cell(row, "sender"), Some(Cell::Bytes(key)) if **key == self.own);
                if own {
                    fill(row, "seal", bytes(NOTHING));
                }
            }
            "names" => fill(row, "seal", bytes(NOTHING)),
            "trust" => {
                let took_over = matches!(cell(row, "identity"),
                    Some(Cell::Bytes(key)) if self.took_over.contains(&**key));
                fill(row, "took_over", Cell::Int(took_over.into()));
                fill(row, "verified", bytes(NONE));
            }
            _ => {}
        }
    }
}

/// Makes of a row of trust that does not open one that says no more than that it did not: names
/// and keys that were met are not to be taken for new ones. `None`: it is of another table.
pub(super) fn distrusted(table: &str, row: &mut Cells) -> Option<()> {
    let column = match table {
        "names" => "changed",
        "trust" => "took_over",
        _ => return None,
    };
    row.retain(|(name, _)| !["seal", "verified", column].contains(&name.as_str()));
    row.push((column.to_owned(), Cell::Int(1)));
    Former::default().complete(table, row);
    Some(())
}

/// Seals what former versions did not, in a transaction of the caller.
///
/// What is damaged stays as it is.
pub(super) async fn upgrade(
    reads: &mut SqliteConnection,
    writes: &mut SqliteConnection,
    sealer: &Sealer,
) -> Result<(), StoreError> {
    let mut identities = HashMap::new();
    for row in sqlx::query("SELECT * FROM identities").fetch_all(&mut *reads).await? {
        let mut row = tables::cells(&row)?;
        let (Some(Cell::Int(id)), Some(Cell::Bytes(key))) =
            (cell(&row, "id").cloned(), cell(&row, "identity").cloned())
        else {
            continue;
        };
        for spec in &IDENTITY {
            fill(&mut row, spec.column, Cell::Bytes(ByteBuf::from(NOTHING)));
        }
        tables::seal(sealer, &IDENTITY, &key, &mut row);
        let sealed = IDENTITY.iter().filter_map(|spec| cell(&row, spec.column).cloned());
        let cells: Vec<Cell> = sealed.chain([Cell::Int(id)]).collect();
        let update = "UPDATE identities SET policy_seal = ?, halted_seal = ? WHERE id = ?";
        tables::execute(writes, update.to_owned(), &cells).await?;
        identities.insert(id, Former { own: key.to_vec(), ..Former::default() });
    }
    for table in &TABLES {
        if table.sealed.iter().any(|spec| spec.label != table.name) {
            upgrade_table(reads, writes, sealer, table, &mut identities).await?;
        }
    }
    sqlx::query("UPDATE meta SET value = ? WHERE key = 'check'")
        .bind(sealer.seal("meta", b"check", Format::Rows.text()))
        .execute(writes)
        .await?;
    Ok(())
}

async fn upgrade_table(
    reads: &mut SqliteConnection,
    writes: &mut SqliteConnection,
    sealer: &Sealer,
    table: &Table,
    identities: &mut HashMap<i64, Former>,
) -> Result<(), StoreError> {
    let name = table.name;
    let rows = sqlx::query(AssertSqlSafe(format!("SELECT * FROM {name}"))).fetch(reads);
    let mut pages = rows.try_chunks(PAGE);
    while let Some(page) = pages.try_next().await.map_err(|error| error.1)? {
        for row in page {
            let mut row = tables::cells(&row)?;
            let Some(Cell::Int(owner)) = cell(&row, "owner").cloned() else { continue };
            let Some(former) = identities.get_mut(&owner) else { continue };
            former.note(&row);
            let key = table.key_of(&row);
            let row_key = Table::row_key(owner, &key);
            if !open_former(sealer, table, &row_key, &mut row) {
                tracing::warn!(table = name, owner, "a damaged row stays as it is");
                continue;
            }
            row.retain(|(column, _)| column != "took_over");
            former.complete(name, &mut row);
            tables::seal(sealer, table.sealed, &row_key, &mut row);
            let is_new = |column: &str| {
                column == "took_over" || table.sealed.iter().any(|spec| spec.column == column)
            };
            row.retain(|(column, _)| is_new(column));
            let set: Vec<String> = row.iter().map(|(column, _)| format!("{column} = ?")).collect();
            let by = table.key.join(" = ? AND ");
            let sql = format!("UPDATE {name} SET {} WHERE owner = ? AND {by} = ?", set.join(", "));
            let cells = row.into_iter().map(|(_, cell)| cell).chain([Cell::Int(owner)]).chain(key);
            tables::execute(writes, sql, &cells.collect::<Vec<_>>()).await?;
        }
    }
    Ok(())
}

/// Opens what former versions have sealed in a row; `false`: it is damaged.
fn open_former(sealer: &Sealer, table: &Table, row_key: &[u8], row: &mut Cells) -> bool {
    for spec in table.sealed.iter().filter(|spec| spec.label != FINGERPRINT) {
        let value = row.iter_mut().find(|(column, _)| column == spec.column);
        if let Some((_, Cell::Bytes(value))) = value
            && !value.is_empty()
        {
            let Ok(plain) = sealer.open(table.name, row_key, value) else { return false };
            *value = ByteBuf::from(plain.to_vec());
        }
    }
    true
}

/// Sets a cell that is absent or NULL.
fn fill(row: &mut Cells, column: &str, value: Cell) {
    match row.iter_mut().find(|(name, _)| name == column) {
        Some((_, cell)) if *cell == Cell::Null => *cell = value,
        Some(_) => {}
        None => row.push((column.to_owned(), value)),
    }
}

#[cfg(test)]
mod tests;
