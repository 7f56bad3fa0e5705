//! What a piece of a blob comes to.
//!
//! A blob is named by its SHA-256. Until its last byte has come and the hash is right it is an
//! upload of one owner, which nobody else sees; then it is shared, and lives for as long as
//! anybody refers to it.

use crate::store::Refusal;
use crate::store::write::{Piece, PutBlob};

/// How far a blob is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlobProgress {
    /// Bytes that are here.
    pub(crate) received: u64,
    pub(crate) complete: bool,
}

/// An unfinished upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Upload {
    /// Never used again.
    pub(crate) id: i64,
    pub(crate) size: u64,
    pub(crate) received: u64,
    /// SHA-256 in the middle of its work.
    pub(crate) state: Vec<u8>,
}

/// What an owner has under one hash, and in all.
#[derive(Debug, Clone, Default)]
pub(crate) struct BlobView {
    /// The complete blob: its id and bytes.
    pub(crate) blob: Option<(i64, u64)>,
    /// Whether the owner refers to it.
    pub(crate) owned: bool,
    /// The owner's upload.
    pub(crate) upload: Option<Upload>,
    /// Bytes of all references and uploads of the owner.
    pub(crate) used_bytes: u64,
    /// Their number.
    pub(crate) used_count: u64,
}

/// What changes.
#[derive(Debug)]
pub(crate) enum BlobChange<'a> {
    /// The owner refers to a complete blob until the time of the request; its upload goes.
    Refer { blob: i64, size: u64 },
    /// A piece is added to the upload, which is begun if there is none.
    Append(&'a Piece),
    /// The last piece is added, and the upload becomes the blob, with a reference.
    Complete(&'a Piece),
    /// The upload goes.
    Discard,
}

/// Decides on one request.
pub(crate) fn put<'a>(
    view: &BlobView,
    put: &'a PutBlob,
) -> (Result<BlobProgress, Refusal>, Option<BlobChange<'a>>) {
    match decide(view, put) {
        Ok((progress, change)) => (Ok(progress), change),
        Err(refusal @ Refusal::BadBlob(WRONG_HASH)) => {
            (Err(refusal), view.upload.is_some().then_some(BlobChange::Discard))
        }
        Err(refusal) => (Err(refusal), None),
    }
}

const WRONG_HASH: &str = "the bytes do not have this hash; the upload is thrown away";

type Decision<'a> = Result<(BlobProgress, Option<BlobChange<'a>>), Refusal>;

fn decide<'a>(view: &BlobView, put: &'a PutBlob) -> Decision<'a> {
    if let Some((blob, size)) = view.blob {
        if size != put.size {
            return Err(Refusal::BadBlob("the blob of this hash has another size"));
        }
        if !view.owned {
            // What the owner's own upload of it holds is given back.
            let held = view.upload.as_ref().map_or(0, |upload| upload.size);
            fits(view, put, held)?;
        }
        let progress = BlobProgress { received: size, complete: true };
        return Ok((progress, Some(BlobChange::Refer { blob, size })));
    }
    let received = view.upload.as_ref().map_or(0, |upload| upload.received);
    if view.upload.as_ref().is_some_and(|upload| upload.size != put.size) {
        return Err(Refusal::BadBlob("the upload was begun with another size"));
    }
    let Some(piece) = &put.piece else {
        return Ok((BlobProgress { received, complete: false }, None));
    };
    if piece.offset != received || piece.upload != view.upload.as_ref().map(|upload| upload.id) {
        return Err(Refusal::BadOffset(received));
    }
    if view.upload.is_none() {
        fits(view, put, 0)?;
    }
    let end = received + piece.data.len() as u64;
    if end > put.size {
        return Err(Refusal::BadBlob("more bytes than the size says"));
    }
    if end < put.size {
        let progress = BlobProgress { received: end, complete: false };
        return Ok((progress, Some(BlobChange::Append(piece))));
    }
    if piece.digest != put.sha256 {
        return Err(Refusal::BadBlob(WRONG_HASH));
    }
    Ok((BlobProgress { received: end, complete: true }, Some(BlobChange::Complete(piece))))
}

fn fits(view: &BlobView, put: &PutBlob, held: u64) -> Result<(), Refusal> {
    let bytes = view.used_bytes.saturating_sub(held).saturating_add(put.size);
    if bytes > put.quota_bytes {
        return Err(Refusal::QuotaExceeded("the identity's blobs are as large as they may be"));
    }
    if view.used_count >= put.quota_count {
        return Err(Refusal::QuotaExceeded("the identity has as many blobs as it may"));
    }
    Ok(())
}
