//! Blobs: uploads of one owner, shared when complete, gone with the last reference.

use sha2::{Digest, Sha256};

use super::*;
use crate::store::blob::BlobProgress;
use crate::store::write::{
    Deletion, DirectoryWrite, DirectoryWritten, Piece, PutBlob, ReleaseBlob,
};

on_each_directory_backend!(
    pieces_come_in_order_and_are_seen_when_complete,
    the_same_bytes_are_stored_once_and_live_until_the_last_release,
    wrong_bytes_are_thrown_away,
    uploads_of_two_owners_do_not_touch,
    the_quota_counts_references_and_uploads,
    references_and_uploads_end_by_themselves,
    blobs_go_with_their_identity,
);

const DATA: &[u8] = b"0123456789abcdef";

fn hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

fn ask(rig: &DirectoryRig<impl DirectoryBackend>, owner: u8, data: &[u8]) -> PutBlob {
    PutBlob {
        owner: key(owner),
        sha256: hash(data),
        size: data.len() as u64,
        piece: None,
        expires_at: rig.now + 30 * DAY,
        upload_expires_at: rig.now + DAY,
        quota_bytes: 64,
        quota_count: 3,
    }
}

/// The bytes from `from` to `to` of `data`, as a client that has looked first.
async fn piece(
    rig: &DirectoryRig<impl DirectoryBackend>,
    owner: u8,
    data: &[u8],
    from: usize,
    to: usize,
) -> DirectoryWrite {
    let mut put = ask(rig, owner, data);
    let upload = rig.reads.upload(put.owner, put.sha256).await.unwrap();
    put.piece = Some(Piece {
        upload: upload.map(|upload| upload.id),
        offset: from as u64,
        data: Arc::from(&data[from..to]),
        state: data[..to].to_vec(),
        digest: hash(&data[..to]),
    });
    DirectoryWrite::PutBlob(put)
}

async fn whole(
    rig: &mut DirectoryRig<impl DirectoryBackend>,
    owner: u8,
    data: &[u8],
) -> Result<DirectoryWritten, Refusal> {
    let write = piece(rig, owner, data, 0, data.len()).await;
    rig.one(write).await
}

#[expect(clippy::unnecessary_wraps, reason = "what it is compared with may be refused")]
fn so_far(received: u64) -> Result<DirectoryWritten, Refusal> {
    Ok(DirectoryWritten::Blob(BlobProgress { received, complete: false }))
}

#[expect(clippy::unnecessary_wraps, reason = "what it is compared with may be refused")]
fn complete(received: u64) -> Result<DirectoryWritten, Refusal> {
    Ok(DirectoryWritten::Blob(BlobProgress { received, complete: true }))
}

fn release(owner: u8, data: &[u8]) -> DirectoryWrite {
    DirectoryWrite::ReleaseBlob(ReleaseBlob { owner: key(owner), sha256: hash(data) })
}

async fn bytes(
    rig: &DirectoryRig<impl DirectoryBackend>,
    data: &[u8],
    offset: u64,
    limit: u32,
) -> Option<Vec<u8>> {
    let part = rig.reads.blob_bytes(hash(data), offset, limit).await.unwrap()?;
    assert_eq!(part.size, data.len() as u64);
    Some(part.data)
}

async fn size(rig: &DirectoryRig<impl DirectoryBackend>, data: &[u8]) -> Option<u64> {
    rig.reads.blob_size(hash(data)).await.unwrap()
}

async fn pieces_come_in_order_and_are_seen_when_complete(
    mut rig: DirectoryRig<impl DirectoryBackend>,
) {
    let query = DirectoryWrite::PutBlob(ask(&rig, 1, DATA));
    assert_eq!(rig.one(query.clone()).await, so_far(0));
    let write = piece(&rig, 1, DATA, 4, 8).await;
    assert_eq!(rig.one(write).await, Err(Refusal::BadOffset(0)));
    let write = piece(&rig, 1, DATA, 0, 6).await;
    assert_eq!(rig.one(write.clone()).await, so_far(6));
    // A piece that was made for an upload which has gone on is not added.
    assert_eq!(rig.one(write).await, Err(Refusal::BadOffset(6)));
    assert_eq!(rig.one(query.clone()).await, so_far(6));
    assert_eq!(rig.reads.upload(key(1), hash(DATA)).await.unwrap().unwrap().state, DATA[..6]);
    assert_eq!(size(&rig, DATA).await, None);
    assert_eq!(bytes(&rig, DATA, 0, 9).await, None);
    let DirectoryWrite::PutBlob(mut other) = query.clone() else { unreachable!() };
    other.size += 1;
    let refused = rig.one(DirectoryWrite::PutBlob(other)).await;
    assert!(matches!(refused, Err(Refusal::BadBlob(_))), "{refused:?}");

    for (from, to) in [(6, 7), (7, 14)] {
        let write = piece(&rig, 1, DATA, from, to).await;
        assert_eq!(rig.one(write).await, so_far(to as u64));
    }
    let write = piece(&rig, 1, DATA, 14, 16).await;
    assert_eq!(rig.one(write).await, complete(16));
    assert_eq!(rig.one(query).await, complete(16));
    assert_eq!(size(&rig, DATA).await, Some(16));
    assert_eq!(bytes(&rig, DATA, 0, 100).await.unwrap(), DATA);
    assert_eq!(bytes(&rig, DATA, 5, 4).await.unwrap(), b"5678");
    assert_eq!(bytes(&rig, DATA, 14, 4).await.unwrap(), b"ef");
    assert!(bytes(&rig, DATA, 16, 4).await.unwrap().is_empty());
    assert!(bytes(&rig, DATA, u64::MAX, 4).await.unwrap().is_empty());
    assert_eq!(rig.reads.upload(key(1), hash(DATA)).await.unwrap(), None);
}

async fn the_same_bytes_are_stored_once_and_live_until_the_last_release(
    mut rig: DirectoryRig<impl DirectoryBackend>,
) {
    assert_eq!(whole(&mut rig, 1, DATA).await, complete(16));
    assert_eq!(rig.one(DirectoryWrite::PutBlob(ask(&rig, 2, DATA))).await, complete(16));
    rig.one(release(3, DATA)).await.unwrap();
    rig.one(release(1, DATA)).await.unwrap();
    rig.one(release(1, DATA)).await.unwrap();
    assert_eq!(size(&rig, DATA).await, Some(16));
    rig.one(release(2, DATA)).await.unwrap();
    assert_eq!(size(&rig, DATA).await, None);
    rig.sweep(10).await;
    assert_eq!(rig.one(DirectoryWrite::PutBlob(ask(&rig, 2, DATA))).await, so_far(0));
    assert_eq!(whole(&mut rig, 2, DATA).await, complete(16));
    assert_eq!(bytes(&rig, DATA, 0, 100).await.unwrap(), DATA);
}

async fn wrong_bytes_are_thrown_away(mut rig: DirectoryRig<impl DirectoryBackend>) {
    let write = piece(&rig, 1, DATA, 0, 8).await;
    assert_eq!(rig.one(write).await, so_far(8));
    let DirectoryWrite::PutBlob(mut put) = piece(&rig, 1, DATA, 8, 16).await else {
        unreachable!()
    };
    let mut last = put.piece.clone().unwrap();
    last.data = Arc::from([7; 9].as_slice());
    put.piece = Some(last.clone());
    let longer = rig.one(DirectoryWrite::PutBlob(put.clone())).await;
    assert!(matches!(longer, Err(Refusal::BadBlob(_))), "{longer:?}");
    assert_eq!(rig.one(DirectoryWrite::PutBlob(ask(&rig, 1, DATA))).await, so_far(8));
    last.data = Arc::from([7; 8].as_slice());
    last.digest = [7; 32];
    put.piece = Some(last);
    let wrong = rig.one(DirectoryWrite::PutBlob(put)).await;
    assert!(matches!(wrong, Err(Refusal::BadBlob(_))), "{wrong:?}");
    assert_eq!(size(&rig, DATA).await, None);
    assert_eq!(rig.one(DirectoryWrite::PutBlob(ask(&rig, 1, DATA))).await, so_far(0));
    assert_eq!(whole(&mut rig, 1, DATA).await, complete(16));
}

async fn uploads_of_two_owners_do_not_touch(mut rig: DirectoryRig<impl DirectoryBackend>) {
    let first = piece(&rig, 1, DATA, 0, 8).await;
    let second = piece(&rig, 2, DATA, 0, 4).await;
    assert_eq!(rig.batch(&[first, second]).await, [so_far(8), so_far(4)]);
    rig.one(release(2, DATA)).await.unwrap();
    assert_eq!(rig.one(DirectoryWrite::PutBlob(ask(&rig, 1, DATA))).await, so_far(8));
    assert_eq!(rig.one(DirectoryWrite::PutBlob(ask(&rig, 2, DATA))).await, so_far(0));
    let write = piece(&rig, 2, DATA, 0, 4).await;
    assert_eq!(rig.one(write).await, so_far(4));
    let write = piece(&rig, 1, DATA, 8, 16).await;
    assert_eq!(rig.one(write).await, complete(16));
    // The slower one has it as well now, and its upload is gone.
    let write = piece(&rig, 2, DATA, 4, 8).await;
    assert_eq!(rig.one(write).await, complete(16));
    assert_eq!(rig.reads.upload(key(2), hash(DATA)).await.unwrap(), None);
    rig.one(release(1, DATA)).await.unwrap();
    assert_eq!(bytes(&rig, DATA, 0, 100).await.unwrap(), DATA);
}

async fn the_quota_counts_references_and_uploads(mut rig: DirectoryRig<impl DirectoryBackend>) {
    let (large, other) = ([1; 40], [2; 24]);
    let write = piece(&rig, 1, &large, 0, 1).await;
    assert_eq!(rig.one(write).await, so_far(1));
    assert_eq!(whole(&mut rig, 1, &other).await, complete(24));
    let over = whole(&mut rig, 1, b"x").await;
    assert!(matches!(over, Err(Refusal::QuotaExceeded(_))), "{over:?}");
    // Others have their own, and what is there already counts alike.
    assert_eq!(whole(&mut rig, 2, b"x").await, complete(1));
    let over = rig.one(DirectoryWrite::PutBlob(ask(&rig, 1, b"x"))).await;
    assert!(matches!(over, Err(Refusal::QuotaExceeded(_))), "{over:?}");
    assert_eq!(rig.one(DirectoryWrite::PutBlob(ask(&rig, 1, &other))).await, complete(24));
    rig.one(release(1, &large)).await.unwrap();
    for data in [b"x", b"y"] {
        assert_eq!(whole(&mut rig, 1, data).await, complete(1));
    }
    let over = whole(&mut rig, 1, b"z").await;
    assert!(matches!(over, Err(Refusal::QuotaExceeded(_))), "{over:?}");
}

async fn references_and_uploads_end_by_themselves(mut rig: DirectoryRig<impl DirectoryBackend>) {
    assert_eq!(whole(&mut rig, 1, DATA).await, complete(16));
    let write = piece(&rig, 1, b"slow", 0, 2).await;
    assert_eq!(rig.one(write).await, so_far(2));
    rig.now += DAY;
    rig.sweep(10).await;
    assert_eq!(rig.one(DirectoryWrite::PutBlob(ask(&rig, 1, b"slow"))).await, so_far(0));
    rig.now += 28 * DAY;
    // Asking again renews.
    assert_eq!(rig.one(DirectoryWrite::PutBlob(ask(&rig, 1, DATA))).await, complete(16));
    rig.now += 29 * DAY;
    rig.sweep(10).await;
    assert_eq!(size(&rig, DATA).await, Some(16));
    rig.now += DAY;
    rig.sweep(10).await;
    assert_eq!(size(&rig, DATA).await, None);
}

async fn blobs_go_with_their_identity(mut rig: DirectoryRig<impl DirectoryBackend>) {
    assert_eq!(whole(&mut rig, 1, DATA).await, complete(16));
    assert_eq!(whole(&mut rig, 1, b"shared").await, complete(6));
    assert_eq!(whole(&mut rig, 2, b"shared").await, complete(6));
    let write = piece(&rig, 1, b"slow", 0, 2).await;
    assert_eq!(rig.one(write).await, so_far(2));
    let steps =
        [Deletion::Mark { identity: key(1), heir: None }, Deletion::Finish { identity: key(1) }];
    rig.batch(&steps.map(DirectoryWrite::Deletion)).await;
    assert_eq!(size(&rig, DATA).await, None);
    assert_eq!(bytes(&rig, b"shared", 0, 9).await.unwrap(), b"shared");
    assert_eq!(rig.reads.upload(key(1), hash(b"slow")).await.unwrap(), None);
}
