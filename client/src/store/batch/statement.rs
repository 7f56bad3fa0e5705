//! Statements with their values, run many at a time.
//!
//! Each call into the database driver costs a hop between threads, more than a small statement
//! itself; so statements are joined, and one call runs all of them.

use std::borrow::Cow;

use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Executor as _};

/// Statements joined into one call.
const JOINED: usize = 32;
/// Bound values in one call.
const VALUES: usize = 16_000;

/// A bound value.
#[derive(Clone)]
pub(super) enum Value {
    Int(i64),
    Text(Cow<'static, str>),
    Bytes(Vec<u8>),
    Null,
}

impl Value {
    /// What it takes in a row.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Int(_) => 8,
            Self::Text(text) => text.len() as u64,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Null => 0,
        }
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Int(super::super::int(value))
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Int(value.into())
    }
}

impl From<u16> for Value {
    fn from(value: u16) -> Self {
        Self::Int(value.into())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Int(value.into())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value.into())
    }
}

impl From<&'static str> for Value {
    fn from(value: &'static str) -> Self {
        Self::Text(value.into())
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(value)
    }
}

impl From<&[u8]> for Value {
    fn from(value: &[u8]) -> Self {
        Self::Bytes(value.to_vec())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// One statement; its parameters are anonymous, so that statements can be joined.
pub(super) struct Statement {
    pub(super) sql: Cow<'static, str>,
    pub(super) values: Vec<Value>,
}

/// Runs statements in order.
pub(super) async fn run(
    connection: &mut SqliteConnection,
    statements: &[Statement],
) -> Result<(), sqlx::Error> {
    let mut rest = statements;
    while !rest.is_empty() {
        let mut sql = String::new();
        let mut count = 0;
        let mut values = Vec::new();
        for statement in rest.iter().take(JOINED) {
            if count > 0 && values.len() + statement.values.len() > VALUES {
                break;
            }
            sql.push_str(&statement.sql);
            sql.push(';');
            values.extend(&statement.values);
            count += 1;
        }
        // Made of the constant texts of this module; every value is bound.
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for value in values {
            query = match value {
                Value::Int(value) => query.bind(value),
                Value::Text(value) => query.bind(&**value),
                Value::Bytes(value) => query.bind(&value[..]),
                Value::Null => query.bind(None::<i64>),
            };
        }
        connection.execute(query).await?;
        rest = &rest[count..];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use sqlx::Connection as _;

    use super::*;

    #[tokio::test]
    async fn joined_statements_get_their_own_values_in_order() {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        connection.execute("CREATE TABLE t (a INTEGER, b BLOB)").await.unwrap();
        let insert = |a: i64, b: Option<Vec<u8>>| Statement {
            sql: "INSERT INTO t (a, b) VALUES (?, ?)".into(),
            values: vec![a.into(), b.into()],
        };
        let mut statements: Vec<_> = (0..100).map(|n| insert(n, Some(vec![7; 3]))).collect();
        statements.push(Statement {
            sql: "DELETE FROM t WHERE a < ?".into(),
            values: vec![98_i64.into()],
        });
        statements.push(insert(200, None));
        run(&mut connection, &statements).await.unwrap();
        let left: Vec<(i64, Option<Vec<u8>>)> = sqlx::query_as("SELECT a, b FROM t ORDER BY a")
            .fetch_all(&mut connection)
            .await
            .unwrap();
        assert_eq!(left, [(98, Some(vec![7; 3])), (99, Some(vec![7; 3])), (200, None)]);
    }
}
