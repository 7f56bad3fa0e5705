//! Statements with their values, run by the writer.

use std::borrow::Cow;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ToSql, params_from_iter};

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

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Int(value) => ValueRef::Integer(*value),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
            Self::Null => ValueRef::Null,
        }))
    }
}

/// One statement. Its text is constant, so that the connection keeps it prepared.
pub(super) struct Statement {
    pub(super) sql: &'static str,
    pub(super) values: Vec<Value>,
    /// Told when the statement changes nothing.
    pub(super) once: Option<u64>,
}

/// Runs statements in order; answers `once` of those that have changed nothing.
pub(super) fn run(connection: &Connection, statements: &[Statement]) -> rusqlite::Result<Vec<u64>> {
    let mut ignored = Vec::new();
    for Statement { sql, values, once } in statements {
        let changed = connection.prepare_cached(sql)?.execute(params_from_iter(values))?;
        ignored.extend(once.filter(|_| changed == 0));
    }
    Ok(ignored)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_get_their_own_values_in_order() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE t (a INTEGER, b BLOB, c TEXT)").unwrap();
        let insert = |a: i64, b: Option<Vec<u8>>| Statement {
            sql: "INSERT INTO t (a, b, c) VALUES (?, ?, ?)",
            values: vec![a.into(), b.into(), "x".into()],
            once: Some(a.unsigned_abs()),
        };
        let mut statements: Vec<_> = (0..100).map(|n| insert(n, Some(vec![7; 3]))).collect();
        statements.push(Statement {
            sql: "DELETE FROM t WHERE a < ?",
            values: vec![98_i64.into()],
            once: Some(7),
        });
        statements.push(insert(200, None));
        statements.push(Statement {
            sql: "DELETE FROM t WHERE a < ?",
            values: vec![98_i64.into()],
            once: Some(8),
        });
        assert_eq!(run(&connection, &statements).unwrap(), [8]);
        let mut left = connection.prepare("SELECT a, b, c FROM t ORDER BY a").unwrap();
        let left = left.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        let left: Vec<(i64, Option<Vec<u8>>, String)> = left.map(Result::unwrap).collect();
        let x = || "x".to_owned();
        assert_eq!(
            left,
            [(98, Some(vec![7; 3]), x()), (99, Some(vec![7; 3]), x()), (200, None, x())]
        );
    }
}
