//! Blobs in maps.

use std::collections::HashMap;

use quicproquo_schemas::id::IdentityKey;

use crate::store::blob::{BlobChange, BlobView, Upload};
use crate::store::write::{Piece, PutBlob};

type Hash = [u8; 32];

#[derive(Debug, Clone)]
struct Growing {
    upload: Upload,
    bytes: Vec<u8>,
    expires_at: u64,
}

#[derive(Debug, Default, Clone)]
pub(super) struct Blobs {
    next_id: i64,
    complete: HashMap<Hash, Vec<u8>>,
    /// When each reference ends.
    references: HashMap<(IdentityKey, Hash), u64>,
    uploads: HashMap<(IdentityKey, Hash), Growing>,
}

impl Blobs {
    pub(super) fn bytes(&self, sha256: &Hash) -> Option<&Vec<u8>> {
        self.complete.get(sha256)
    }

    pub(super) fn view(&self, owner: &IdentityKey, sha256: &Hash) -> BlobView {
        let key = (*owner, *sha256);
        let references = self.references.keys().filter(|(of, _)| of == owner);
        let uploads = self.uploads.iter().filter(|((of, _), _)| of == owner);
        let sizes: Vec<u64> = references
            .map(|(_, hash)| self.complete[hash].len() as u64)
            .chain(uploads.map(|(_, growing)| growing.upload.size))
            .collect();
        BlobView {
            blob: self.complete.get(sha256).map(|bytes| (0, bytes.len() as u64)),
            owned: self.references.contains_key(&key),
            upload: self.uploads.get(&key).map(|growing| growing.upload.clone()),
            used_bytes: sizes.iter().sum(),
            used_count: sizes.len() as u64,
        }
    }

    pub(super) fn apply(&mut self, put: &PutBlob, change: &BlobChange<'_>) {
        let key = (put.owner, put.sha256);
        match change {
            BlobChange::Refer { .. } => {
                self.uploads.remove(&key);
                self.references.insert(key, put.expires_at);
            }
            BlobChange::Append(piece) => self.append(put, piece),
            BlobChange::Complete(piece) => {
                self.append(put, piece);
                let growing = self.uploads.remove(&key).unwrap();
                self.complete.insert(put.sha256, growing.bytes);
                self.references.insert(key, put.expires_at);
            }
            BlobChange::Discard => drop(self.uploads.remove(&key)),
        }
    }

    fn append(&mut self, put: &PutBlob, piece: &Piece) {
        let next_id = &mut self.next_id;
        let growing = self.uploads.entry((put.owner, put.sha256)).or_insert_with(|| {
            *next_id += 1;
            let upload = Upload { id: *next_id, size: put.size, received: 0, state: Vec::new() };
            Growing { upload, bytes: Vec::new(), expires_at: 0 }
        });
        growing.bytes.extend_from_slice(&piece.data);
        growing.upload.received = growing.bytes.len() as u64;
        growing.upload.state.clone_from(&piece.state);
        growing.expires_at = put.upload_expires_at;
    }

    pub(super) fn release(&mut self, owner: &IdentityKey, sha256: &Hash) {
        self.references.remove(&(*owner, *sha256));
        self.uploads.remove(&(*owner, *sha256));
        self.drop_unreferred();
    }

    pub(super) fn release_all(&mut self, owner: &IdentityKey) {
        self.references.retain(|(of, _), _| of != owner);
        self.uploads.retain(|(of, _), _| of != owner);
        self.drop_unreferred();
    }

    pub(super) fn expire(&mut self, now: u64) {
        self.references.retain(|_, expires_at| *expires_at > now);
        self.uploads.retain(|_, growing| growing.expires_at > now);
        self.drop_unreferred();
    }

    fn drop_unreferred(&mut self) {
        let references = &self.references;
        self.complete.retain(|hash, _| references.keys().any(|(_, of)| of == hash));
    }
}
