//! Blobs: bytes named by their SHA-256, for what is too large for a queue.
//!
//! The bytes are encrypted by the client. The hash of an upload is taken as its pieces come, on
//! the thread of the connection, and kept with the upload in the middle of its work; so the last
//! piece costs no more than the others and an upload survives a restart.

use std::sync::Arc;

use quicproquo_schemas::id::IdentityKey;
use quicproquo_schemas::limits::{BLOB_PIECE, MIN_BLOB_PIECE};
use sha2::digest::common::hazmat::{SerializableState, SerializedState};
use sha2::{Digest, Sha256};

use crate::rates::OverRate;
use crate::server::Shared;
use crate::store::blob::{BlobProgress, Upload};
use crate::store::write::{DirectoryWrite, DirectoryWritten, Piece, PutBlob, ReleaseBlob, Sender};
use crate::store::{BlobBytes, StoreError};
use crate::writer::WriteError;

/// Why a call on a blob is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BlobError {
    #[error("a blob has at most {0} bytes")]
    TooLarge(u64),
    #[error("a blob has at least one byte")]
    Empty,
    #[error("{0}")]
    BadPiece(&'static str),
    #[error("there is no complete blob of this hash")]
    NoSuchBlob,
    #[error("the node's disk is almost full")]
    DiskLow,
    #[error(transparent)]
    OverRate(#[from] OverRate),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A piece, or with an empty chunk a question.
#[derive(Debug)]
pub(crate) struct Put {
    pub(crate) sha256: [u8; 32],
    pub(crate) size: u64,
    pub(crate) offset: u64,
    /// At most [`BLOB_PIECE`] bytes.
    pub(crate) chunk: Arc<[u8]>,
}

/// Stores a piece of a blob of `owner`.
pub(crate) async fn put(
    shared: &Shared,
    owner: IdentityKey,
    put: Put,
) -> Result<BlobProgress, BlobError> {
    let limits = &shared.limits;
    let Put { sha256, size, offset, chunk } = put;
    if size == 0 {
        return Err(BlobError::Empty);
    }
    if size > limits.blob_bytes {
        return Err(BlobError::TooLarge(limits.blob_bytes));
    }
    let end = offset.saturating_add(chunk.len() as u64);
    if !chunk.is_empty() && chunk.len() < MIN_BLOB_PIECE && end < size {
        return Err(BlobError::BadPiece("only the last piece may be so small"));
    }
    if !chunk.is_empty() && shared.health.disk.is_low() {
        return Err(BlobError::DiskLow);
    }
    shared.rates.transfer(Sender::from(&owner), 0, chunk.len() as u64)?;
    let piece = if chunk.is_empty() {
        None
    } else {
        let upload = shared.reads.upload(owner, sha256).await?;
        Some(piece(upload.as_ref(), offset, chunk)?)
    };
    let now = shared.clock.now();
    let write = DirectoryWrite::PutBlob(PutBlob {
        owner,
        sha256,
        size,
        piece,
        expires_at: now + u64::from(limits.blob_ttl_secs),
        upload_expires_at: now + u64::from(limits.upload_ttl_secs),
        quota_bytes: limits.blob_quota_bytes,
        quota_count: limits.blobs,
    });
    match shared.directory.submit(write).await? {
        DirectoryWritten::Blob(progress) => Ok(progress),
        _ => Err(WriteError::Failed.into()),
    }
}

/// Takes the hash on over the new bytes. Where the offset is not the end of the upload the result
/// is of no use, and the writer refuses the piece.
fn piece(upload: Option<&Upload>, offset: u64, data: Arc<[u8]>) -> Result<Piece, BlobError> {
    let mut hash = match upload {
        None => Sha256::new(),
        Some(upload) => resume(&upload.state)?,
    };
    hash.update(&data);
    let state = hash.serialize().to_vec();
    let digest = hash.finalize().into();
    Ok(Piece { upload: upload.map(|upload| upload.id), offset, data, state, digest })
}

fn resume(state: &[u8]) -> Result<Sha256, StoreError> {
    let damaged = || StoreError::Database("the state of an upload is damaged".into());
    let state = SerializedState::<Sha256>::try_from(state).map_err(|_| damaged())?;
    Sha256::deserialize(&state).map_err(|_| damaged())
}

/// Bytes of a complete blob from `offset` on, at most `limit` and a piece; limit 0: a piece.
pub(crate) async fn get(
    shared: &Shared,
    caller: IdentityKey,
    sha256: [u8; 32],
    offset: u64,
    limit: u32,
) -> Result<BlobBytes, BlobError> {
    let most = u32::try_from(BLOB_PIECE).unwrap_or(u32::MAX);
    let limit = if limit == 0 { most } else { limit.min(most) };
    shared.rates.transfer(Sender::from(&caller), 0, u64::from(limit))?;
    shared.reads.blob_bytes(sha256, offset, limit).await?.ok_or(BlobError::NoSuchBlob)
}

/// Ends the owner's reference or upload.
pub(crate) async fn release(
    shared: &Shared,
    owner: IdentityKey,
    sha256: [u8; 32],
) -> Result<(), BlobError> {
    shared.directory.submit(DirectoryWrite::ReleaseBlob(ReleaseBlob { owner, sha256 })).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_goes_on_where_it_was_put_away() {
        let data: Vec<u8> = (0..200_u8).collect();
        let mut upload: Option<Upload> = None;
        let mut last = [0; 32];
        for (index, part) in data.chunks(77).enumerate() {
            let piece = piece(upload.as_ref(), 0, Arc::from(part)).unwrap();
            assert_eq!(piece.upload.is_some(), index > 0);
            last = piece.digest;
            upload = Some(Upload { id: 1, size: 200, received: 0, state: piece.state });
        }
        assert_eq!(last, <[u8; 32]>::from(Sha256::digest(&data)));
        assert!(resume(&[7; 3]).is_err());
    }
}
