//! A file on its way to the node.

use std::io;

use quicproquo_core::attachment::{BLOB, CHUNK, FileKey, MAX_FILE, SealedFile};
use sha2::{Digest as _, Sha256};
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::OwnedSemaphorePermit;

use super::{Attachment, Session};
use crate::error::SessionError;
use crate::model::{Idempotency, Outcome};
use crate::session::blobs::{BlobHash, Source};
use crate::store::{IdempotencyRecord, IdempotencyTarget, StoredAttachment};

/// A file on its way to the node: its bytes are sealed as they are written, and go on from a file
/// without a name when all are there. Dropping it leaves nothing behind.
pub struct Upload {
    session: Session,
    name: Option<String>,
    mime: Option<String>,
    key: FileKey,
    /// Clear bytes that are not sealed yet: at most a chunk.
    rest: Vec<u8>,
    chunks: u32,
    size: u64,
    content: Sha256,
    sealed: Spooled,
    _place: OwnedSemaphorePermit,
}

/// Never the bytes.
impl std::fmt::Debug for Upload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upload").field("size", &self.size).finish_non_exhaustive()
    }
}

/// The sealed bytes, and the hashes of the blobs they will be.
#[derive(Debug)]
struct Spooled {
    file: File,
    hash: Sha256,
    blobs: Vec<(BlobHash, u64)>,
    hashed: u64,
}

impl Spooled {
    async fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes).await?;
        while !bytes.is_empty() {
            let room = usize::try_from(BLOB - self.hashed).unwrap_or(usize::MAX);
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.hash.update(now);
            self.hashed += now.len() as u64;
            if self.hashed == BLOB {
                self.end_blob();
            }
            bytes = later;
        }
        Ok(())
    }

    fn end_blob(&mut self) {
        if self.hashed > 0 {
            self.blobs.push((self.hash.finalize_reset().into(), self.hashed));
            self.hashed = 0;
        }
    }
}

fn disk(error: &io::Error) -> SessionError {
    tracing::error!(%error, "an upload cannot be kept on disk");
    SessionError::StorageUnavailable
}

impl Session {
    /// Begins to upload a file. Its name and type are told to whoever receives it.
    ///
    /// # Errors
    /// `UploadsBusy`, `StorageUnavailable`.
    pub fn upload(
        &self,
        name: Option<String>,
        mime: Option<String>,
    ) -> Result<Upload, SessionError> {
        let spool = self.store.spool();
        let place = spool.place().ok_or(SessionError::UploadsBusy)?;
        let file = File::from_std(spool.file().map_err(|error| disk(&error))?);
        let hash = Sha256::new();
        Ok(Upload {
            session: self.clone(),
            name,
            mime,
            key: FileKey::random(),
            rest: Vec::with_capacity(CHUNK),
            chunks: 0,
            size: 0,
            content: Sha256::new(),
            sealed: Spooled { file, hash, blobs: Vec::new(), hashed: 0 },
            _place: place,
        })
    }
}

impl Upload {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// `TooLarge` beyond 100 MiB, `StorageUnavailable`.
    pub async fn write(&mut self, mut bytes: &[u8]) -> Result<(), SessionError> {
        self.size += bytes.len() as u64;
        if self.size > MAX_FILE {
            let limit = usize::try_from(MAX_FILE).unwrap_or(usize::MAX);
            return Err(SessionError::TooLarge { what: "the attachment".into(), limit });
        }
        self.content.update(bytes);
        while !bytes.is_empty() {
            // A full chunk is sealed when more comes: the last one is marked.
            if self.rest.len() == CHUNK {
                self.seal(false).await?;
            }
            let room = CHUNK - self.rest.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.rest.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    /// SHA-256 of the bytes so far.
    pub fn content_hash(&self) -> [u8; 32] {
        self.content.clone().finalize().into()
    }

    async fn seal(&mut self, last: bool) -> Result<(), SessionError> {
        let sealed = self.key.seal(self.chunks, last, &self.rest);
        self.chunks += 1;
        self.rest.clear();
        self.sealed.write(&sealed).await.map_err(|error| disk(&error))
    }

    /// Takes the file to the node. With an idempotency key that was used before, the attachment of
    /// that time is the answer, and nothing is taken anywhere.
    ///
    /// # Errors
    /// `NodeUnreachable` after 30 s without a link, `NodeRefused` over the identity's quota, the
    /// idempotency errors, `StorageUnavailable`.
    pub async fn finish(
        mut self,
        idempotency: Option<Idempotency>,
    ) -> Result<Outcome<Attachment>, SessionError> {
        if let Some(attachment) = self.replay(idempotency.as_ref()).await? {
            return Ok(Outcome { value: attachment, replayed: true });
        }
        self.seal(true).await?;
        self.sealed.file.flush().await.map_err(|error| disk(&error))?;
        self.sealed.end_blob();
        let mut start = 0;
        for (hash, size) in self.sealed.blobs.clone() {
            let source = Source::File { file: &mut self.sealed.file, start };
            self.session.put_blob_from(hash, size, source).await?;
            start += size;
        }
        let blobs = self.sealed.blobs.iter().map(|(hash, _)| *hash).collect();
        let file = SealedFile { key: self.key.clone(), blobs, size: self.size };
        let (name, mime) = (self.name.take(), self.mime.take());
        let attachment = StoredAttachment { file, name, mime };
        let Session { store, owner, clock, .. } = &self.session;
        let now = clock.now_ms();
        let record = idempotency.map(|Idempotency { key, fingerprint }| IdempotencyRecord {
            key,
            fingerprint,
            target: IdempotencyTarget::Attachment(attachment.file.id()),
            created_at_ms: now,
        });
        let mut batch = store.batch();
        batch.attachment(*owner, &attachment, record, now);
        store.write(batch).await?;
        Ok(Outcome { value: attachment.into(), replayed: false })
    }

    async fn replay(
        &self,
        idempotency: Option<&Idempotency>,
    ) -> Result<Option<Attachment>, SessionError> {
        let Some(Idempotency { key, fingerprint }) = idempotency else { return Ok(None) };
        let Session { store, owner, .. } = &self.session;
        let Some(known) = store.idempotency(*owner, key)? else { return Ok(None) };
        match known.target {
            IdempotencyTarget::Attachment(id) if known.fingerprint == *fingerprint => {
                Ok(store.uploaded(*owner, &id).await?.map(Into::into))
            }
            _ => Err(SessionError::IdempotencyMismatch),
        }
    }
}
