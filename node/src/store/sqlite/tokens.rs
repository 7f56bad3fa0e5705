//! Tokens that the operator issues, also beside a running node.

use std::path::Path;

use sqlx::Connection;

use super::open::open_beside;
use super::script::Script;
use crate::store::{StoreError, StoredToken};

/// Stores the SHA-256 of a token.
pub(crate) async fn issue(
    data_dir: &Path,
    hash: [u8; 32],
    token: StoredToken,
) -> Result<(), StoreError> {
    let mut connection = open_beside(data_dir).await?;
    let mut script = Script::new("INSERT INTO tokens VALUES (?, ?, ?)");
    script
        .bind(hash.as_slice())
        .bind(token.identity.as_bytes().as_slice())
        .bind(token.expires_at.cast_signed());
    script.execute(&mut connection).await?;
    connection.close().await?;
    Ok(())
}
