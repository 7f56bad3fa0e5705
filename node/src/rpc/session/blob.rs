//! A Session's calls on blobs.

use std::sync::Arc;

use quicproquo_schemas::code::ErrorCode;
use quicproquo_schemas::id::IdentityKey;
use quicproquo_schemas::limits::BLOB_PIECE;
use quicproquo_schemas::session_capnp::session;

use crate::blobs::{self, Put};
use crate::rpc::errors::{Fault, wire};
use crate::server::Shared;

/// 32 bytes.
pub(super) fn hash(bytes: capnp::Result<&[u8]>) -> capnp::Result<[u8; 32]> {
    let hash = <[u8; 32]>::try_from(bytes?);
    wire(hash.map_err(|_| Fault::new(ErrorCode::BadId, "a SHA-256 has 32 bytes")))
}

pub(super) async fn put(
    shared: &Shared,
    owner: IdentityKey,
    params: session::PutBlobParams,
    mut results: session::PutBlobResults,
) -> capnp::Result<()> {
    let put = {
        let params = params.get()?;
        let chunk = params.get_chunk()?;
        if chunk.len() > BLOB_PIECE {
            let text = format_args!("a piece has at most {BLOB_PIECE} bytes");
            return wire(Err(Fault::new(ErrorCode::TooLarge, text)));
        }
        Put {
            sha256: hash(params.get_sha256())?,
            size: params.get_size(),
            offset: params.get_offset(),
            chunk: Arc::from(chunk),
        }
    };
    drop(params);
    let progress = wire(blobs::put(shared, owner, put).await)?;
    results.get().set_received(progress.received);
    results.get().set_complete(progress.complete);
    Ok(())
}

pub(super) async fn get(
    shared: &Shared,
    caller: IdentityKey,
    params: session::GetBlobParams,
    mut results: session::GetBlobResults,
) -> capnp::Result<()> {
    let (sha256, offset, limit) = {
        let params = params.get()?;
        (hash(params.get_sha256())?, params.get_offset(), params.get_limit())
    };
    let part = wire(blobs::get(shared, caller, sha256, offset, limit).await)?;
    results.get().set_chunk(&part.data);
    results.get().set_size(part.size);
    Ok(())
}
