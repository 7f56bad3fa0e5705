//! Blobs: pieces up and down.

use quicproquo_schemas::limits::BLOB_PIECE;

use super::link::Live;
use super::{Answer, BlobProgress};

pub(super) fn put(
    live: &Live,
    sha256: &[u8; 32],
    size: u64,
    offset: u64,
    piece: &[u8],
    answer: Answer<BlobProgress>,
) {
    let mut request = live.session.put_blob_request();
    let mut params = request.get();
    params.set_sha256(sha256);
    params.set_size(size);
    params.set_offset(offset);
    params.set_chunk(piece);
    let promise = request.send().promise;
    tokio::task::spawn_local(async move {
        let result = async {
            let response = promise.await?;
            let results = response.get()?;
            let (received, complete) = (results.get_received(), results.get_complete());
            Ok(BlobProgress { received, complete })
        };
        let result: Result<_, capnp::Error> = result.await;
        let _ = answer.send(result.map_err(Into::into));
    });
}

pub(super) fn get(live: &Live, sha256: &[u8; 32], offset: u64, answer: Answer<(Vec<u8>, u64)>) {
    let mut request = live.session.get_blob_request();
    let mut params = request.get();
    params.set_sha256(sha256);
    params.set_offset(offset);
    params.set_limit(u32::try_from(BLOB_PIECE).unwrap_or(u32::MAX));
    let promise = request.send().promise;
    tokio::task::spawn_local(async move {
        let result = async {
            let response = promise.await?;
            let results = response.get()?;
            Ok((results.get_chunk()?.to_vec(), results.get_size()))
        };
        let result: Result<_, capnp::Error> = result.await;
        let _ = answer.send(result.map_err(Into::into));
    });
}

pub(super) fn size(live: &Live, sha256: &[u8; 32], answer: Answer<Option<u64>>) {
    let mut request = live.session.blob_size_request();
    request.get().set_sha256(sha256);
    let promise = request.send().promise;
    tokio::task::spawn_local(async move {
        let result = async {
            let response = promise.await?;
            let results = response.get()?;
            Ok(results.get_known().then(|| results.get_size()))
        };
        let result: Result<_, capnp::Error> = result.await;
        let _ = answer.send(result.map_err(Into::into));
    });
}

pub(super) fn release(live: &Live, sha256: &[u8; 32], answer: Answer<()>) {
    let mut request = live.session.release_blob_request();
    request.get().set_sha256(sha256);
    let promise = request.send().promise;
    tokio::task::spawn_local(async move {
        let _ = answer.send(promise.await.map(drop).map_err(Into::into));
    });
}
