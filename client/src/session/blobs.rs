//! Blobs at the node: bytes that are too large for a message, named by their SHA-256.
//!
//! The node sees the bytes as they are given here, so encrypt them first.

use std::io::SeekFrom;
use std::time::Duration;

use quicproquo_schemas::code::ErrorCode;
use quicproquo_schemas::limits::{BLOB_PIECE, MAX_BLOB};
use sha2::{Digest, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio::time::{Instant, sleep};

use super::Session;
use crate::error::SessionError;
use crate::rpc::{BlobProgress, Request, RpcError};

/// How long a transfer waits for the link to come back, again after each piece.
const PATIENCE: Duration = Duration::from_secs(30);
/// Pause between tries while the link is down.
const AGAIN: Duration = Duration::from_millis(200);

/// The SHA-256 of a blob's bytes, which is its name.
pub type BlobHash = [u8; 32];

/// Tries again while the link is down, for as long as the patience since the last success lasts.
struct Patience(Instant);

impl Patience {
    fn new() -> Self {
        Self(Instant::now() + PATIENCE)
    }

    async fn after(&self, reason: String) -> Result<(), SessionError> {
        if Instant::now() >= self.0 {
            tracing::debug!(reason, "a transfer is given up");
            return Err(SessionError::NodeUnreachable);
        }
        sleep(AGAIN).await;
        Ok(())
    }
}

/// Where the bytes of a blob are.
#[derive(Debug)]
pub(crate) enum Source<'a> {
    Bytes(&'a [u8]),
    /// In a file, from `start` on.
    File {
        file: &'a mut File,
        start: u64,
    },
}

impl Source<'_> {
    async fn read(&mut self, offset: u64, length: usize) -> Result<Vec<u8>, SessionError> {
        match self {
            Self::Bytes(bytes) => {
                let offset = usize::try_from(offset).unwrap_or(usize::MAX);
                let end = offset.saturating_add(length);
                Ok(bytes.get(offset..end).unwrap_or_default().to_vec())
            }
            Self::File { file, start } => {
                let mut bytes = vec![0; length];
                let read = async {
                    file.seek(SeekFrom::Start(*start + offset)).await?;
                    file.read_exact(&mut bytes).await
                };
                match read.await {
                    Ok(_) => Ok(bytes),
                    Err(error) => {
                        tracing::error!(%error, "an upload cannot be read again");
                        Err(SessionError::StorageUnavailable)
                    }
                }
            }
        }
    }
}

impl Session {
    /// Stores a blob of 1 byte to 100 MiB at the node, for 30 days from the last call for it.
    /// An upload that was broken off, by whatever and by however many restarts, goes on where it
    /// ended. Answers its name.
    ///
    /// # Errors
    /// `Invalid` when empty, `TooLarge`, `NodeUnreachable` after 30 s without a link,
    /// `NodeRefused` over the identity's quota.
    pub async fn put_blob(&self, bytes: &[u8]) -> Result<BlobHash, SessionError> {
        let size = bytes.len() as u64;
        if size == 0 {
            return Err(SessionError::Invalid("a blob has at least one byte".into()));
        }
        if size > MAX_BLOB {
            let limit = usize::try_from(MAX_BLOB).unwrap_or(usize::MAX);
            return Err(SessionError::TooLarge { what: "the blob".into(), limit });
        }
        let sha256: BlobHash = Sha256::digest(bytes).into();
        self.put_blob_from(sha256, size, Source::Bytes(bytes)).await?;
        Ok(sha256)
    }

    /// Stores a blob whose pieces are read when they are due.
    pub(crate) async fn put_blob_from(
        &self,
        sha256: BlobHash,
        size: u64,
        mut source: Source<'_>,
    ) -> Result<(), SessionError> {
        let mut patience = Patience::new();
        // An empty piece asks how far the upload is.
        let (mut offset, mut length) = (0, 0);
        loop {
            let piece = source.read(offset, length).await?;
            match self.put_piece(sha256, size, offset, piece).await {
                Ok(BlobProgress { complete: true, .. }) => return Ok(()),
                Ok(BlobProgress { received, .. }) => {
                    patience = Patience::new();
                    offset = received;
                    let left = usize::try_from(size.saturating_sub(offset)).unwrap_or(usize::MAX);
                    length = left.min(BLOB_PIECE);
                }
                Err(
                    RpcError::Coded {
                        code: ErrorCode::BadOffset | ErrorCode::RateLimited,
                        text,
                        ..
                    }
                    | RpcError::Unavailable(text),
                ) => {
                    patience.after(text).await?;
                    (offset, length) = (0, 0);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn put_piece(
        &self,
        sha256: BlobHash,
        size: u64,
        offset: u64,
        piece: Vec<u8>,
    ) -> Result<BlobProgress, RpcError> {
        self.ask_node(|answer| Request::PutBlob { sha256, size, offset, piece, answer }).await
    }

    /// The bytes of a blob; their hash is checked.
    ///
    /// # Errors
    /// `BlobNotFound`, `NodeUnreachable` after 30 s without a link.
    pub async fn get_blob(&self, sha256: BlobHash) -> Result<Vec<u8>, SessionError> {
        let mut bytes = Vec::new();
        loop {
            let (piece, size) = self.blob_piece(sha256, bytes.len() as u64).await?;
            bytes.extend_from_slice(&piece);
            if bytes.len() as u64 >= size {
                break;
            }
        }
        if BlobHash::from(Sha256::digest(&bytes)) == sha256 {
            Ok(bytes)
        } else {
            Err(SessionError::NodeRefused("the bytes are not those of the blob".into()))
        }
    }

    /// Some bytes of a blob from an offset on, and the size of all of it. They are as the node
    /// gives them.
    pub(crate) async fn blob_piece(
        &self,
        sha256: BlobHash,
        offset: u64,
    ) -> Result<(Vec<u8>, u64), SessionError> {
        let patience = Patience::new();
        loop {
            match self.ask_node(|answer| Request::GetBlob { sha256, offset, answer }).await {
                Ok((piece, size)) if size <= MAX_BLOB && !piece.is_empty() => {
                    return Ok((piece, size));
                }
                Ok(_) => return Err(SessionError::NodeRefused("the blob ends early".into())),
                Err(RpcError::Coded { code: ErrorCode::NoSuchBlob, .. }) => {
                    return Err(SessionError::BlobNotFound);
                }
                Err(
                    RpcError::Coded { code: ErrorCode::RateLimited, text, .. }
                    | RpcError::Unavailable(text),
                ) => patience.after(text).await?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Bytes of a blob at the node, if it has it.
    ///
    /// # Errors
    /// `NodeUnreachable`, `NodeRefused`.
    pub async fn blob_size(&self, sha256: BlobHash) -> Result<Option<u64>, SessionError> {
        Ok(self.ask_node(|answer| Request::BlobSize { sha256, answer }).await?)
    }

    /// Lets go of a blob, or of its unfinished upload; others that have stored it keep it.
    ///
    /// # Errors
    /// `NodeUnreachable`, `NodeRefused`.
    pub async fn release_blob(&self, sha256: BlobHash) -> Result<(), SessionError> {
        Ok(self.ask_node(|answer| Request::ReleaseBlob { sha256, answer }).await?)
    }
}
