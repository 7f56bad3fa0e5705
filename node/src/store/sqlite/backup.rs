//! A copy of the directory at one moment, and what a restored copy must not do.

use std::path::Path;

use sqlx::Connection;

use super::inspect::{Look, inspect};
use super::open::{FILE, MARK, MARKER, migrate, open_beside};
use super::script::Script;
use super::{Sqlite, packages};
use crate::store::mark::Mark;
use crate::store::{DirectoryBackend as _, StoreError};

/// Copies the directory as it is now into `to`, which holds none yet. Works beside a running node.
pub(crate) async fn copy(data_dir: &Path, to: &Path) -> Result<(), StoreError> {
    let io = |source| StoreError::Io { path: to.to_owned(), source };
    let (mut connection, _) = open_beside(data_dir).await?;
    let file = to.join(FILE);
    let mut script = Script::new("VACUUM INTO ?");
    script.bind(file.to_string_lossy().into_owned());
    script.execute(&mut connection).await?;
    connection.close().await?;
    let created = std::fs::File::create(to.join(MARKER)).map_err(io)?;
    created.sync_all().map_err(io)?;
    std::fs::File::open(&file).and_then(|file| file.sync_all()).map_err(io)?;
    // A copy that cannot be read is none.
    let found = inspect(to, Look { whole: true, first: false }).await?;
    Mark::create(&to.join(MARK), found.commits)
}

/// Makes a copied directory fit to go on from: what may have been handed out since is spent.
/// Returns the number of one-time packages that are.
pub(crate) async fn revive(data_dir: &Path) -> Result<u64, StoreError> {
    let (mut connection, found) = open_beside(data_dir).await?;
    migrate(&mut connection, found).await?;
    let mut store = Sqlite::new(connection, data_dir)?;
    store.begin().await?;
    let spent = packages::spend_all(&mut store.connection).await?;
    store.commit().await?;
    store.close().await;
    Ok(spent)
}
