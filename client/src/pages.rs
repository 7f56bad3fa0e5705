//! Whether the pages of a database make sense together.

use std::path::Path;

use sqlx::Row as _;
use sqlx::sqlite::SqliteConnection;

/// Databases up to this size are checked as a whole when they are opened: half a second at most.
const CHECKED_BYTES: u64 = 64 * 1024 * 1024;

/// Looks for tables and indexes that contradict each other or themselves. `None`: all is well, or
/// the file is larger than 64 MiB, and was not looked at. Bytes inside of values are not covered;
/// what must not change unnoticed there is sealed.
///
/// # Errors
/// Of the database.
pub async fn contradiction(
    connection: &mut SqliteConnection,
    path: &Path,
) -> Result<Option<String>, sqlx::Error> {
    if std::fs::metadata(path).is_ok_and(|file| file.len() > CHECKED_BYTES) {
        return Ok(None);
    }
    let row = sqlx::query("PRAGMA integrity_check(1)").fetch_one(&mut *connection).await?;
    // Bytes of damage that it cites need not be UTF-8.
    let found: Vec<u8> = row.try_get_unchecked(0)?;
    let found = String::from_utf8_lossy(&found);
    Ok((found != "ok").then(|| found.into_owned()))
}

#[cfg(test)]
mod tests {
    use sqlx::Connection as _;
    use sqlx::Executor as _;

    use super::*;

    #[tokio::test]
    async fn an_index_that_lacks_a_row_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.db");
        let url = format!("sqlite://{}?mode=rwc", path.display());
        let mut database = SqliteConnection::connect(&url).await.unwrap();
        for statement in [
            "CREATE TABLE t (a INTEGER NOT NULL, b INTEGER NOT NULL, PRIMARY KEY (a)) WITHOUT ROWID",
            "CREATE INDEX t_by_b ON t (b)",
            "INSERT INTO t VALUES (1, 2), (3, 4)",
        ] {
            database.execute(statement).await.unwrap();
        }
        assert_eq!(contradiction(&mut database, &path).await.unwrap(), None);
        let root = "SELECT rootpage FROM sqlite_schema WHERE name = 't_by_b'";
        let root: i64 = sqlx::query_scalar(root).fetch_one(&mut database).await.unwrap();
        database.close().await.unwrap();

        // The number of the rows in a page of 4 KiB.
        let cells = (u64::try_from(root).unwrap() - 1) * 4096 + 3;
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &[0, 1], cells).unwrap();
        let mut database = SqliteConnection::connect(&url).await.unwrap();
        assert!(contradiction(&mut database, &path).await.unwrap().is_some());
    }
}
