//! Several multi-row statements in one trip to the database thread.

use std::fmt::Write as _;

use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, Encode, Sqlite, SqliteConnection, Type};

use crate::store::StoreError;

/// SQLite allows 32,766 parameters in one statement.
const MAX_PARAMETERS: usize = 30_000;

/// Scripts up to this many parameters repeat often enough to stay prepared.
const KEEP_PREPARED: usize = 64;

/// Statements with their parameters. Only texts of this program go into the SQL.
#[derive(Debug, Default)]
pub(super) struct Script {
    sql: String,
    arguments: SqliteArguments,
    count: usize,
    failed: Option<String>,
}

impl Script {
    pub(super) fn new(sql: &str) -> Self {
        Self { sql: sql.to_owned(), ..Self::default() }
    }

    /// Appends text.
    pub(super) fn push(&mut self, sql: &str) {
        self.sql.push_str(sql);
    }

    /// Gives the next `?` its value.
    pub(super) fn bind<'t, T>(&mut self, value: T) -> &mut Self
    where
        T: Encode<'t, Sqlite> + Type<Sqlite>,
    {
        self.count += 1;
        if let Err(error) = self.arguments.add(value) {
            self.failed = Some(error.to_string());
        }
        self
    }

    /// Appends `(?,..),(?,..)`, one tuple of `columns` per item.
    pub(super) fn tuples<R>(
        &mut self,
        items: impl IntoIterator<Item = R>,
        columns: usize,
        mut bind: impl FnMut(&mut Self, R),
    ) {
        let tuple = format!("({})", ["?"].repeat(columns).join(","));
        for (at, item) in items.into_iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            let _ = write!(self.sql, "{comma}{tuple}");
            bind(self, item);
        }
    }

    /// Appends `head (?,..),(?,..) tail;` for all items, as often as parameters demand.
    pub(super) fn rows<R: Copy>(
        &mut self,
        head: &str,
        items: &[R],
        columns: usize,
        tail: &str,
        mut bind: impl FnMut(&mut Self, R),
    ) {
        for chunk in chunks(items, columns) {
            self.push(head);
            self.tuples(chunk.iter().copied(), columns, &mut bind);
            self.push(tail);
            self.push(";");
        }
    }

    pub(super) async fn execute(self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        if self.sql.is_empty() {
            return Ok(());
        }
        let keep = self.count <= KEEP_PREPARED;
        self.check()?;
        sqlx::query_with(AssertSqlSafe(self.sql), self.arguments)
            .persistent(keep)
            .execute(connection)
            .await?;
        Ok(())
    }

    pub(super) async fn fetch(
        self,
        connection: &mut SqliteConnection,
    ) -> Result<Vec<SqliteRow>, StoreError> {
        let keep = self.count <= KEEP_PREPARED;
        self.check()?;
        let rows = sqlx::query_with(AssertSqlSafe(self.sql), self.arguments)
            .persistent(keep)
            .fetch_all(connection)
            .await?;
        Ok(rows)
    }

    fn check(&self) -> Result<(), StoreError> {
        self.failed.as_ref().map_or(Ok(()), |error| Err(StoreError::Database(error.clone())))
    }
}

/// Slices that fit into one statement.
pub(super) fn chunks<R>(items: &[R], columns: usize) -> impl Iterator<Item = &[R]> {
    items.chunks(MAX_PARAMETERS / columns.max(1))
}
