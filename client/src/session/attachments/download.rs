//! A file on its way from the node.

use std::ops::Range;

use quicproquo_core::attachment::{BLOB, CHUNK, SealedFile, sealed_len};
use sha2::{Digest as _, Sha256};

use super::{Attachment, Session};
use crate::error::SessionError;

/// A file, or a part of it, on its way from the node: each chunk is opened before it is given out,
/// and of a whole file the last one only when all blobs have the hashes that the sender named.
#[derive(Debug)]
pub struct Download {
    session: Session,
    file: SealedFile,
    /// What is wanted, in clear.
    range: Range<u64>,
    /// The next chunk.
    chunk: u32,
    /// Sealed bytes from the next chunk on.
    sealed: Vec<u8>,
    /// Where the sealed bytes go on at the node.
    at: u64,
    /// Hashes the blob that is read, when all is.
    hash: Option<Sha256>,
}

impl Session {
    /// Reads an attachment from `range.start` up to `range.end`, in clear.
    ///
    /// # Errors
    /// `Invalid` when the range is not within the file.
    pub fn download(
        &self,
        attachment: &Attachment,
        range: Range<u64>,
    ) -> Result<Download, SessionError> {
        if range.start > range.end || range.end > attachment.size {
            return Err(SessionError::Invalid("the range is not within the attachment".into()));
        }
        let file = attachment.file.clone();
        let chunk = u32::try_from(range.start / CHUNK as u64).unwrap_or(u32::MAX);
        let at = file.chunk_at(chunk).start;
        let whole = range.start == 0 && range.end == attachment.size;
        let hash = whole.then(Sha256::new);
        Ok(Download { session: self.clone(), file, range, chunk, sealed: Vec::new(), at, hash })
    }
}

impl Download {
    /// The next bytes. `None`: that was all.
    ///
    /// # Errors
    /// `AttachmentDamaged`, `AttachmentExpired`, `NodeUnreachable` after 30 s without a link.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, SessionError> {
        let start = u64::from(self.chunk) * CHUNK as u64;
        let first = self.chunk == 0 && self.hash.is_some();
        if start >= self.range.end && !(first && self.range.is_empty()) {
            return Ok(None);
        }
        let place = self.file.chunk_at(self.chunk);
        let length = usize::try_from(place.end - place.start).unwrap_or(usize::MAX);
        while self.sealed.len() < length {
            self.fetch().await?;
        }
        let last = self.chunk + 1 == self.file.chunks();
        let opened = self.file.key.open(self.chunk, last, &self.sealed[..length]);
        let mut bytes = opened.map_err(|_| SessionError::AttachmentDamaged)?;
        self.sealed.drain(..length);
        self.chunk += 1;
        let end = usize::try_from(self.range.end - start).unwrap_or(usize::MAX);
        bytes.truncate(end);
        let skip = usize::try_from(self.range.start.saturating_sub(start)).unwrap_or(0);
        bytes.drain(..skip.min(bytes.len()));
        Ok(Some(bytes))
    }

    /// Some more of the sealed bytes.
    async fn fetch(&mut self) -> Result<(), SessionError> {
        let total = sealed_len(self.file.size);
        let number = self.at / BLOB;
        let blob = usize::try_from(number).ok().and_then(|number| self.file.blobs.get(number));
        let Some(blob) = blob.copied() else {
            return Err(SessionError::AttachmentDamaged);
        };
        let size = (total - number * BLOB).min(BLOB);
        let offset = self.at % BLOB;
        let (piece, has) = match self.session.blob_piece(blob, offset).await {
            Ok(piece) => piece,
            Err(SessionError::BlobNotFound) => return Err(SessionError::AttachmentExpired),
            Err(error) => return Err(error),
        };
        if has != size || offset + piece.len() as u64 > size {
            return Err(SessionError::AttachmentDamaged);
        }
        self.at += piece.len() as u64;
        if let Some(hash) = &mut self.hash {
            hash.update(&piece);
            if self.at.is_multiple_of(BLOB) || self.at == total {
                let found: [u8; 32] = hash.finalize_reset().into();
                if found != blob {
                    return Err(SessionError::AttachmentDamaged);
                }
            }
        }
        self.sealed.extend_from_slice(&piece);
        Ok(())
    }
}
