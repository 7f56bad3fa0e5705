//! Names and hybrid keys.

use sqlx::{Row, SqliteConnection};

use super::script::Script;
use crate::store::write::{ClaimName, PutHybridKey};
use crate::store::{Refusal, StoreError};

pub(super) async fn claim(
    connection: &mut SqliteConnection,
    claim: &ClaimName,
) -> Result<Result<(), Refusal>, StoreError> {
    let identity = claim.identity.as_bytes().as_slice();
    let mut script = Script::new(
        "SELECT (SELECT identity FROM names WHERE name = ?),
                (SELECT count(*) FROM names WHERE identity = ?),
                (SELECT coalesce(heir, x'') FROM tombstones WHERE name = ?)",
    );
    script.bind(claim.name.as_str()).bind(identity).bind(claim.name.as_str());
    let rows = script.fetch(connection).await?;
    let row = rows.first().ok_or_else(|| StoreError::Database("no answer".into()))?;
    let owner: Option<&[u8]> = row.try_get(0)?;
    match owner {
        Some(owner) if owner == identity => return Ok(Ok(())),
        Some(_) => return Ok(Err(Refusal::NameTaken)),
        None => {}
    }
    // Of a tombstone without heir the bytes are empty, which nobody's key is.
    let heir: Option<&[u8]> = row.try_get(2)?;
    if heir.is_some_and(|heir| heir != identity) {
        return Ok(Err(Refusal::NameRetired));
    }
    let held: u32 = row.try_get(1)?;
    if held as usize >= claim.limit {
        return Ok(Err(Refusal::TooManyNames));
    }
    let mut script = Script::new("DELETE FROM tombstones WHERE name = ?;");
    script.bind(claim.name.as_str());
    script.push("INSERT INTO names (name, identity, signature) VALUES (?, ?, ?)");
    script.bind(claim.name.as_str()).bind(identity).bind(claim.signature.as_slice());
    script.execute(connection).await?;
    Ok(Ok(()))
}

pub(super) async fn put_hybrid_key(
    connection: &mut SqliteConnection,
    put: &PutHybridKey,
) -> Result<(), StoreError> {
    let mut script = Script::new(
        "INSERT INTO hybrid_keys VALUES (?, ?)
         ON CONFLICT DO UPDATE SET public_key = excluded.public_key",
    );
    script.bind(put.identity.as_bytes().as_slice()).bind(put.key.as_slice());
    script.execute(connection).await
}
