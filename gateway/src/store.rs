//! The gateway's own database: bots, tokens, consumers, answers to admin requests.
//!
//! One connection in exclusive locking mode: one process, and every commit is durable
//! (`synchronous = FULL`) before it is answered.

mod bots;
mod consumers;
mod former;
mod matrix;
mod requests;
mod tokens;
mod webhooks;

use std::collections::{BTreeSet, HashSet};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use quicproquo_client::{GroupId, Mark, Seals, Sync, pages};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqliteLockingMode, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{Sqlite, SqlitePool, Transaction};

use crate::error::GatewayError;
use crate::problem::{Kind, Problem};

pub(crate) use bots::{BotRow, BotState};
pub(crate) use consumers::{ConsumerChange, CursorRow, DeliveryRow, DeliveryState, StoredConsumer};
pub(crate) use requests::Record;
pub(crate) use webhooks::WebhookRow;

type Tx = Transaction<'static, Sqlite>;

/// A call on the store failed; nothing was written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// A unique value is there already.
    #[error("the value exists already")]
    Exists,
    /// A row does not hold what was written.
    #[error("a row of {0} is damaged")]
    Damaged(&'static str),
    /// The driver failed.
    #[error("database: {0}")]
    Database(sqlx::Error),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(cause) if cause.is_unique_violation() => Self::Exists,
            _ => Self::Database(error),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the gateway's database failed");
        match error {
            StoreError::Exists | StoreError::Damaged(_) => Self::new(Kind::Internal),
            StoreError::Database(_) => Self::new(Kind::StorageUnavailable),
        }
    }
}

/// The database.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    pool: SqlitePool,
    mark: Arc<Mark>,
    seals: Seals,
}

impl Store {
    /// Opens `gateway.db` in a folder, makes both when absent, and takes the database's lock.
    ///
    /// # Errors
    /// `Io`, `InUse`, `Database`.
    pub(crate) async fn open(
        folder: &Path,
        sync: Sync,
        seals: Seals,
    ) -> Result<Self, GatewayError> {
        let path = folder.join("gateway.db");
        let marker = folder.join("gateway.created");
        if marker.exists() && !path.exists() {
            let detail = "the file is missing, and a new one would hide the loss; restore it";
            return Err(GatewayError::Database { path, detail: detail.to_owned() });
        }
        prepare(folder, &path)?;
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .locking_mode(SqliteLockingMode::Exclusive)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(match sync {
                Sync::Full => SqliteSynchronous::Full,
                Sync::Late => SqliteSynchronous::Normal,
            })
            .foreign_keys(true)
            // What is deleted is overwritten, not only marked as free.
            .pragma("secure_delete", "ON")
            .busy_timeout(Duration::from_millis(500));
        let failed = |error: &dyn std::fmt::Display| opening(&path, &error.to_string());
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options)
            .await
            .map_err(|error| failed(&error))?;
        let mut connection = pool.acquire().await.map_err(|error| failed(&error))?;
        let mark = Mark::open(&folder.join("gateway.db.mark"), &mut connection).await;
        let mark = Arc::new(mark.map_err(|error| failed(&error))?);
        let found = pages::contradiction(&mut connection, &path).await;
        if let Some(detail) = found.map_err(|error| failed(&error))? {
            return Err(failed(&detail));
        }
        drop(connection);
        sqlx::migrate!().run(&pool).await.map_err(|error| failed(&error))?;
        std::fs::write(&marker, b"")
            .map_err(|source| GatewayError::Io { path: marker.clone(), source })?;
        Ok(Self { pool, mark, seals })
    }

    /// Whether a write transaction can begin.
    pub(crate) async fn check(&self) -> Result<(), StoreError> {
        self.begin().await?.rollback().await?;
        Ok(())
    }

    /// Closes the database; what was answered is durable.
    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }

    async fn begin(&self) -> Result<Tx, StoreError> {
        let begin = async || self.pool.begin_with("BEGIN IMMEDIATE").await;
        match begin().await {
            Ok(tx) => Ok(tx),
            Err(error) => {
                // After a full disk SQLite rolls back by itself, the driver goes on counting that
                // transaction as open, and on this connection no other could ever begin.
                tracing::warn!(%error, "the gateway's database is opened again");
                self.pool.acquire().await?.close().await?;
                Ok(begin().await?)
            }
        }
    }

    /// Commits, and notes that it did.
    async fn commit(&self, mut tx: Tx) -> Result<(), StoreError> {
        let commit = Mark::number(&mut tx).await?;
        tx.commit().await?;
        self.mark.set(commit);
        Ok(())
    }
}

/// A set of groups as it is written, in one order.
fn groups_text(groups: Option<&HashSet<GroupId>>) -> Option<String> {
    groups.map(|groups| {
        let groups: BTreeSet<&GroupId> = groups.iter().collect();
        serde_json::to_string(&groups).unwrap_or_default()
    })
}

/// A row that its seal does not fit is left out: nobody is let in by it.
fn changed(table: &'static str, row: &str) {
    tracing::error!(table, row, "a row was changed in the database and does not count");
}

/// What must not be read is sealed, and the rest is still nobody else's business.
fn prepare(folder: &Path, path: &Path) -> Result<(), GatewayError> {
    let io = |path: &Path| {
        let path: PathBuf = path.to_owned();
        move |source| GatewayError::Io { path, source }
    };
    std::fs::create_dir_all(folder).map_err(io(folder))?;
    std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .map(drop)
        .map_err(io(path))
}

fn opening(path: &Path, detail: &str) -> GatewayError {
    let path = path.to_owned();
    if detail.contains("database is locked") {
        return GatewayError::InUse { path };
    }
    GatewayError::Database { path, detail: detail.to_owned() }
}

/// `SQLite` has no unsigned integers; times and counts stay far below the border.
fn to_db(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn from_db(value: i64) -> u64 {
    u64::try_from(value).unwrap_or_default()
}

#[cfg(test)]
mod tests;
