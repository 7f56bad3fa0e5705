//! Blobs: uploads, complete ones, and those that nobody refers to and whose pieces go bit by bit.

use quicproquo_schemas::id::IdentityKey;
use quicproquo_schemas::limits::BLOB_PIECE;
use sqlx::{Row, SqliteConnection};

use super::row::unsigned;
use super::script::Script;
use crate::store::blob::{BlobChange, BlobView, Upload};
use crate::store::write::{Piece, PutBlob};
use crate::store::{BlobBytes, StoreError};

/// Being uploaded by one owner.
const UPLOAD: i64 = 0;
/// Here as a whole.
const COMPLETE: i64 = 1;
/// On its way out.
const DEAD: i64 = 2;

/// Pieces of dead blobs that one transaction removes.
const DEAD_PIECES: i64 = 8;

type Hash = [u8; 32];

pub(super) async fn view(
    connection: &mut SqliteConnection,
    owner: &IdentityKey,
    sha256: &Hash,
) -> Result<BlobView, StoreError> {
    let key = owner.as_bytes().as_slice();
    let mut view =
        BlobView { upload: upload(connection, owner, sha256).await?, ..BlobView::default() };
    let mut script = Script::new(
        "SELECT b.id, b.size, EXISTS (SELECT 1 FROM blob_refs WHERE owner = ? AND blob = b.id)
         FROM blobs AS b WHERE b.sha256 = ? AND b.state = 1",
    );
    script.bind(key).bind(sha256.as_slice());
    if let Some(row) = script.fetch(connection).await?.first() {
        view.blob = Some((row.try_get(0)?, unsigned(row, 1)?));
        view.owned = row.try_get(2)?;
    }
    let mut script = Script::new(
        "SELECT coalesce(sum(size), 0), count(*) FROM
            (SELECT size FROM blob_refs WHERE owner = ? UNION ALL
             SELECT size FROM blobs WHERE owner = ? AND state = 0)",
    );
    script.bind(key).bind(key);
    if let Some(row) = script.fetch(connection).await?.first() {
        view.used_bytes = unsigned(row, 0)?;
        view.used_count = unsigned(row, 1)?;
    }
    Ok(view)
}

pub(super) async fn upload(
    connection: &mut SqliteConnection,
    owner: &IdentityKey,
    sha256: &Hash,
) -> Result<Option<Upload>, StoreError> {
    let mut script = Script::new(
        "SELECT id, size, received, hash_state FROM blobs
         WHERE owner = ? AND sha256 = ? AND state = 0",
    );
    script.bind(owner.as_bytes().as_slice()).bind(sha256.as_slice());
    let rows = script.fetch(connection).await?;
    rows.first()
        .map(|row| {
            Ok(Upload {
                id: row.try_get(0)?,
                size: unsigned(row, 1)?,
                received: unsigned(row, 2)?,
                state: row.try_get(3)?,
            })
        })
        .transpose()
}

pub(super) async fn apply(
    connection: &mut SqliteConnection,
    put: &PutBlob,
    upload: Option<&Upload>,
    change: BlobChange<'_>,
) -> Result<(), StoreError> {
    match change {
        BlobChange::Refer { blob, size } => {
            refer(connection, put, blob, size).await?;
            kill(connection, upload).await
        }
        BlobChange::Append(piece) => {
            append(connection, put, upload, piece).await?;
            Ok(())
        }
        BlobChange::Complete(piece) => {
            let id = append(connection, put, upload, piece).await?;
            let mut script = Script::new(
                "UPDATE blobs SET state = ?, owner = NULL, hash_state = NULL, expires_at = NULL
                 WHERE id = ?",
            );
            script.bind(COMPLETE).bind(id);
            script.execute(connection).await?;
            refer(connection, put, id, put.size).await
        }
        BlobChange::Discard => kill(connection, upload).await,
    }
}

async fn refer(
    connection: &mut SqliteConnection,
    put: &PutBlob,
    blob: i64,
    size: u64,
) -> Result<(), StoreError> {
    let mut script = Script::new(
        "INSERT INTO blob_refs VALUES (?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET expires_at = excluded.expires_at",
    );
    script
        .bind(put.owner.as_bytes().as_slice())
        .bind(blob)
        .bind(size.cast_signed())
        .bind(put.expires_at.cast_signed());
    script.execute(connection).await
}

/// Returns the id of the upload.
async fn append(
    connection: &mut SqliteConnection,
    put: &PutBlob,
    upload: Option<&Upload>,
    piece: &Piece,
) -> Result<i64, StoreError> {
    let received = (piece.offset + piece.data.len() as u64).cast_signed();
    let mut script = Script::default();
    if let Some(upload) = upload {
        script.push(
            "UPDATE blobs SET received = ?, hash_state = ?, expires_at = ? WHERE id = ?
             RETURNING id",
        );
        script
            .bind(received)
            .bind(piece.state.as_slice())
            .bind(put.upload_expires_at.cast_signed())
            .bind(upload.id);
    } else {
        script.push(
            "INSERT INTO blobs (sha256, state, owner, size, received, hash_state, expires_at)
             VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id",
        );
        script
            .bind(put.sha256.as_slice())
            .bind(UPLOAD)
            .bind(put.owner.as_bytes().as_slice())
            .bind(put.size.cast_signed())
            .bind(received)
            .bind(piece.state.as_slice())
            .bind(put.upload_expires_at.cast_signed());
    }
    let rows = script.fetch(connection).await?;
    let row = rows.first().ok_or_else(|| StoreError::Database("no upload".into()))?;
    let id: i64 = row.try_get(0)?;
    let mut script = Script::new("INSERT INTO pieces (blob, position, data) VALUES (?, ?, ?)");
    script.bind(id).bind(piece.offset.cast_signed()).bind(&*piece.data);
    script.execute(connection).await?;
    Ok(id)
}

async fn kill(
    connection: &mut SqliteConnection,
    upload: Option<&Upload>,
) -> Result<(), StoreError> {
    let Some(upload) = upload else { return Ok(()) };
    let mut script = Script::new("UPDATE blobs SET state = ?, owner = NULL WHERE id = ?");
    script.bind(DEAD).bind(upload.id);
    script.execute(connection).await
}

pub(super) async fn release(
    connection: &mut SqliteConnection,
    owner: &IdentityKey,
    sha256: &Hash,
) -> Result<(), StoreError> {
    let key = owner.as_bytes().as_slice();
    let mut script = Script::new(
        "DELETE FROM blob_refs WHERE owner = ? AND blob IN
            (SELECT id FROM blobs WHERE sha256 = ? AND state = 1);",
    );
    script.bind(key).bind(sha256.as_slice());
    script.push(
        "UPDATE blobs SET state = 2, owner = NULL
         WHERE owner = ? AND sha256 = ? AND state = 0;",
    );
    script.bind(key).bind(sha256.as_slice());
    script.push(
        "UPDATE blobs SET state = 2 WHERE sha256 = ? AND state = 1
            AND NOT EXISTS (SELECT 1 FROM blob_refs WHERE blob = blobs.id);",
    );
    script.bind(sha256.as_slice());
    script.execute(connection).await
}

pub(super) async fn release_all(
    connection: &mut SqliteConnection,
    owner: &IdentityKey,
) -> Result<(), StoreError> {
    let key = owner.as_bytes().as_slice();
    let mut script = Script::new(
        "UPDATE blobs SET state = 2 WHERE state = 1
            AND id IN (SELECT blob FROM blob_refs WHERE owner = ?)
            AND NOT EXISTS (SELECT 1 FROM blob_refs WHERE blob = blobs.id AND owner <> ?);",
    );
    script.bind(key).bind(key);
    script.push("DELETE FROM blob_refs WHERE owner = ?;");
    script.bind(key);
    script.push("UPDATE blobs SET state = 2, owner = NULL WHERE owner = ? AND state = 0;");
    script.bind(key);
    script.execute(connection).await
}

/// Ends references and uploads, and removes pieces of dead blobs. Returns whether some are left.
pub(super) async fn purge(
    connection: &mut SqliteConnection,
    now: u64,
    limit: u32,
) -> Result<bool, StoreError> {
    let (now, limit) = (now.cast_signed(), i64::from(limit));
    let mut script = Script::new(
        "DELETE FROM blob_refs WHERE (owner, blob) IN
            (SELECT owner, blob FROM blob_refs WHERE expires_at <= ? LIMIT ?) RETURNING blob",
    );
    script.bind(now).bind(limit);
    let ended: Vec<i64> = script
        .fetch(connection)
        .await?
        .iter()
        .map(|row| row.try_get(0))
        .collect::<Result<_, _>>()?;
    let mut script = Script::default();
    for blob in ended {
        script.push(
            "UPDATE blobs SET state = 2 WHERE id = ? AND state = 1
                AND NOT EXISTS (SELECT 1 FROM blob_refs WHERE blob = blobs.id);",
        );
        script.bind(blob);
    }
    script.push(
        "UPDATE blobs SET state = 2, owner = NULL WHERE id IN
            (SELECT id FROM blobs WHERE state = 0 AND expires_at <= ? LIMIT ?);",
    );
    script.bind(now).bind(limit);
    script.push(
        "DELETE FROM pieces WHERE rowid IN
            (SELECT p.rowid FROM blobs AS b JOIN pieces AS p ON p.blob = b.id
             WHERE b.state = 2 LIMIT ?);",
    );
    script.bind(DEAD_PIECES);
    script.push(
        "DELETE FROM blobs WHERE id IN (SELECT id FROM blobs WHERE state = 2 AND
            NOT EXISTS (SELECT 1 FROM pieces WHERE blob = blobs.id) LIMIT ?);",
    );
    script.bind(limit);
    script.execute(connection).await?;
    let left = Script::new("SELECT 1 FROM blobs WHERE state = 2 LIMIT 1").fetch(connection).await?;
    Ok(!left.is_empty())
}

pub(super) async fn size(
    connection: &mut SqliteConnection,
    sha256: &Hash,
) -> Result<Option<u64>, StoreError> {
    let mut script = Script::new("SELECT size FROM blobs WHERE sha256 = ? AND state = 1");
    script.bind(sha256.as_slice());
    script.fetch(connection).await?.first().map(|row| unsigned(row, 0)).transpose()
}

/// Goes through the pieces that overlap the range: one before it that may reach into it, and
/// those that begin in it.
pub(super) async fn bytes(
    connection: &mut SqliteConnection,
    sha256: &Hash,
    offset: u64,
    limit: u32,
) -> Result<Option<BlobBytes>, StoreError> {
    let mut script = Script::new("SELECT id, size FROM blobs WHERE sha256 = ? AND state = 1");
    script.bind(sha256.as_slice());
    let rows = script.fetch(connection).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let (id, size): (i64, u64) = (row.try_get(0)?, unsigned(row, 1)?);
    let mut data = Vec::new();
    let end = size.min(offset.saturating_add(u64::from(limit)));
    if offset < end {
        let from = offset.saturating_sub(BLOB_PIECE as u64 - 1);
        let mut script = Script::new(
            "SELECT position, data FROM pieces WHERE blob = ? AND position >= ? AND position < ?
             ORDER BY position",
        );
        script.bind(id).bind(from.cast_signed()).bind(end.cast_signed());
        for row in script.fetch(connection).await? {
            let (start, piece): (u64, &[u8]) = (unsigned(&row, 0)?, row.try_get(1)?);
            if start > offset + data.len() as u64 {
                // Its last reference has ended meanwhile, and pieces are going.
                return Ok(None);
            }
            let inside = |at: u64| {
                usize::try_from(at.saturating_sub(start)).unwrap_or(usize::MAX).min(piece.len())
            };
            data.extend_from_slice(&piece[inside(offset)..inside(end)]);
        }
    }
    Ok(Some(BlobBytes { data, size }))
}
