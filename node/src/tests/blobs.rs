//! Blobs over the wire: pieces, resumption over a restart, owners.

use std::path::Path;

use quicproquo_schemas::code::ErrorCode;
use quicproquo_schemas::limits::{BLOB_PIECE, MIN_BLOB_PIECE};
use sha2::{Digest, Sha256};

use super::client::{Client, Session, TestNode, Who, code, config, run};
use crate::{NodeConfig, backup, restore};

fn hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

async fn put(
    session: &Session,
    whole: &[u8],
    offset: usize,
    chunk: &[u8],
) -> Result<(u64, bool), capnp::Error> {
    let mut request = session.calls.put_blob_request();
    request.get().set_sha256(&hash(whole));
    request.get().set_size(whole.len() as u64);
    request.get().set_offset(offset as u64);
    request.get().set_chunk(chunk);
    let answer = request.send().promise.await?;
    let answer = answer.get()?;
    Ok((answer.get_received(), answer.get_complete()))
}

async fn get(session: &Session, hash: &[u8], offset: u64) -> Result<(Vec<u8>, u64), capnp::Error> {
    let mut request = session.calls.get_blob_request();
    request.get().set_sha256(hash);
    request.get().set_offset(offset);
    let answer = request.send().promise.await?;
    let answer = answer.get()?;
    Ok((answer.get_chunk()?.to_vec(), answer.get_size()))
}

async fn size(session: &Session, hash: &[u8]) -> Result<Option<u64>, capnp::Error> {
    let mut request = session.calls.blob_size_request();
    request.get().set_sha256(hash);
    let answer = request.send().promise.await?;
    let answer = answer.get()?;
    Ok(answer.get_known().then(|| answer.get_size()))
}

async fn release(session: &Session, hash: &[u8]) {
    let mut request = session.calls.release_blob_request();
    request.get().set_sha256(hash);
    request.send().promise.await.unwrap();
}

fn data() -> Vec<u8> {
    (0..2 * BLOB_PIECE + 5).map(|n| (n % 251).to_le_bytes()[0]).collect()
}

#[test]
fn an_upload_goes_on_after_a_restart_and_is_seen_by_others_when_it_is_complete() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let (alice, bob) = (Who::new(1), Who::new(2));
        let data = data();
        let sha256 = hash(&data);
        let node = TestNode::start(config(&dir)).await;
        let client = Client::connect(&node).await;
        let a = client.authenticate(&alice).await.unwrap();
        assert_eq!(put(&a, &data, 0, b"").await.unwrap(), (0, false));
        let answer = put(&a, &data, 0, &data[..BLOB_PIECE]).await.unwrap();
        assert_eq!(answer, (BLOB_PIECE as u64, false));
        node.stop().await;

        let node = TestNode::start(config(&dir)).await;
        let client = Client::connect(&node).await;
        let a = client.authenticate(&Who { attempt: 2, ..alice }).await.unwrap();
        let b = client.authenticate(&bob).await.unwrap();
        assert_eq!(put(&a, &data, 0, b"").await.unwrap(), (BLOB_PIECE as u64, false));
        let again = put(&a, &data, 0, &data[..BLOB_PIECE]).await;
        let text = again.as_ref().unwrap_err().extra.clone();
        assert!(text.ends_with(&BLOB_PIECE.to_string()), "{text}");
        assert_eq!(code(again), ErrorCode::BadOffset);
        assert_eq!(size(&b, &sha256).await.unwrap(), None);
        assert_eq!(code(get(&b, &sha256, 0).await), ErrorCode::NoSuchBlob);
        assert_eq!(put(&b, &data, 0, b"").await.unwrap(), (0, false));
        let offset = BLOB_PIECE;
        put(&a, &data, offset, &data[offset..2 * BLOB_PIECE]).await.unwrap();
        let last = put(&a, &data, 2 * offset, &data[2 * BLOB_PIECE..]).await.unwrap();
        assert_eq!(last, (data.len() as u64, true));

        assert_eq!(size(&b, &sha256).await.unwrap(), Some(data.len() as u64));
        let mut read = Vec::new();
        while read.len() < data.len() {
            let (chunk, size) = get(&b, &sha256, read.len() as u64).await.unwrap();
            assert!(!chunk.is_empty() && size == data.len() as u64);
            read.extend(chunk);
        }
        assert!(read == data);
        // Each owner lets go of its own reference alone.
        assert_eq!(put(&b, &data, 0, b"").await.unwrap(), (data.len() as u64, true));
        release(&a, &sha256).await;
        assert_eq!(
            get(&a, &sha256, data.len() as u64 - 5).await.unwrap().0,
            data[data.len() - 5..]
        );
        release(&b, &sha256).await;
        assert_eq!(code(get(&a, &sha256, 0).await), ErrorCode::NoSuchBlob);
        node.stop().await;
    });
}

#[test]
fn what_is_wrong_with_a_blob_is_said_and_changes_nothing() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let mut small = config(&dir);
        small.limits.blob_bytes = 3 * BLOB_PIECE as u64;
        small.limits.blob_quota_bytes = 2 * BLOB_PIECE as u64 + 10;
        let node = TestNode::start(small).await;
        let client = Client::connect(&node).await;
        let session = client.authenticate(&Who::new(1)).await.unwrap();
        let data = data();
        assert_eq!(code(put(&session, b"", 0, b"").await), ErrorCode::Empty);
        let large = vec![0; 3 * BLOB_PIECE + 1];
        assert_eq!(code(put(&session, &large, 0, b"x").await), ErrorCode::TooLarge);
        let longer = &large[..=BLOB_PIECE];
        assert_eq!(code(put(&session, &data, 0, longer).await), ErrorCode::TooLarge);
        let shorter = &data[..MIN_BLOB_PIECE - 1];
        assert_eq!(code(put(&session, &data, 0, shorter).await), ErrorCode::BadRequest);
        assert_eq!(code(get(&session, &[1; 31], 0).await), ErrorCode::BadId);
        let over = put(&session, &large[..3 * BLOB_PIECE], 0, &large[..BLOB_PIECE]).await;
        assert_eq!(code(over), ErrorCode::QuotaExceeded);

        put(&session, &data, 0, &data[..BLOB_PIECE]).await.unwrap();
        put(&session, &data, BLOB_PIECE, &data[BLOB_PIECE..2 * BLOB_PIECE]).await.unwrap();
        let wrong = put(&session, &data, 2 * BLOB_PIECE, b"wrong").await;
        assert_eq!(code(wrong), ErrorCode::BadBlob);
        assert_eq!(size(&session, &hash(&data)).await.unwrap(), None);
        // It can be begun again: what was thrown away does not count.
        assert_eq!(put(&session, &data, 0, b"").await.unwrap(), (0, false));
        put(&session, &data, 0, &data[..BLOB_PIECE]).await.unwrap();
        node.stop().await;
    });
}

#[test]
fn blobs_and_unfinished_uploads_are_in_a_backup_and_go_on_where_it_is_restored() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let (first, copy, second) =
            (dir.path().join("first"), dir.path().join("copy"), dir.path().join("second"));
        let (alice, bob) = (Who::new(1), Who::new(2));
        let config = |path: &Path| NodeConfig { data_dir: path.to_owned(), ..config(&dir) };
        let clock = config(&first).clock;
        let (whole, begun, late) = (data(), data().split_off(1), data().split_off(2));

        let node = TestNode::start(config(&first)).await;
        let client = Client::connect(&node).await;
        let a = client.authenticate(&alice).await.unwrap();
        for offset in (0..whole.len()).step_by(BLOB_PIECE) {
            let end = whole.len().min(offset + BLOB_PIECE);
            put(&a, &whole, offset, &whole[offset..end]).await.unwrap();
        }
        put(&a, &begun, 0, &begun[..BLOB_PIECE]).await.unwrap();
        backup(&first, &copy, &clock).await.unwrap();
        put(&a, &begun, BLOB_PIECE, &begun[BLOB_PIECE..2 * BLOB_PIECE]).await.unwrap();
        put(&a, &late, 0, &late[..BLOB_PIECE]).await.unwrap();
        node.stop().await;

        restore(&copy, &second, &clock).await.unwrap();
        let node = TestNode::start(config(&second)).await;
        let client = Client::connect(&node).await;
        let a = client.authenticate(&Who { attempt: 2, ..alice }).await.unwrap();
        let b = client.authenticate(&bob).await.unwrap();
        let mut read = Vec::new();
        while read.len() < whole.len() {
            let (chunk, size) = get(&b, &hash(&whole), read.len() as u64).await.unwrap();
            assert!(!chunk.is_empty() && size == whole.len() as u64);
            read.extend(chunk);
        }
        assert!(read == whole);
        assert_eq!(put(&a, &late, 0, b"").await.unwrap(), (0, false));
        assert_eq!(put(&a, &begun, 0, b"").await.unwrap(), (BLOB_PIECE as u64, false));
        put(&a, &begun, BLOB_PIECE, &begun[BLOB_PIECE..2 * BLOB_PIECE]).await.unwrap();
        let last = put(&a, &begun, 2 * BLOB_PIECE, &begun[2 * BLOB_PIECE..]).await.unwrap();
        assert_eq!(last, (begun.len() as u64, true));
        // The owner's reference came along: without it the blob goes.
        release(&a, &hash(&whole)).await;
        assert_eq!(code(get(&b, &hash(&whole), 0).await), ErrorCode::NoSuchBlob);
        node.stop().await;
    });
}
