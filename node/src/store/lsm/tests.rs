//! Opening, damage, copies.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use quicproquo_schemas::id::{IdentityKey, Instance, SendId};

use super::*;
use crate::delivery::order::Order;
use crate::store::plan::{QueueHalf, QueueLimits, SendRow};
use crate::store::write::{
    Authenticate, Delivered, Delivery, Enqueue, Multicast, QueueWrite, QueueWritten, Remove,
    Sender, Sent,
};
use crate::store::{Page, QueueReads, RowContent};
use crate::writer::Half;

const NOW: u64 = 1_000_000;
const RECIPIENT: IdentityKey = IdentityKey::new([5; 32]);
const PAGE: Page = Page { after: 0, rows: 1000, bytes: usize::MAX };

fn clock() -> Clock {
    Clock::from_fn(|| NOW)
}

fn enqueue(serial: u32, len: usize) -> QueueWrite {
    let mut payload = vec![7; len.max(4)];
    payload[..4].copy_from_slice(&serial.to_be_bytes());
    let mut digest = [0; 32];
    digest[..4].copy_from_slice(&serial.to_be_bytes());
    QueueWrite::Enqueue(Enqueue {
        recipient: RECIPIENT,
        sender: Sender(i64::from(serial)),
        channel: None,
        payload: Arc::from(payload),
        digest,
        ttl_secs: 0,
    })
}

fn half(writer: Lsm) -> QueueHalf<Lsm> {
    let limits = QueueLimits {
        rows: 10_000,
        bytes: 1 << 30,
        ttl_secs: 1_000,
        pair_rows: 10_000,
        stranger_rows: 1 << 30,
        stranger_bytes: 1 << 40,
    };
    QueueHalf { backend: writer, limits, tails: Arc::default() }
}

async fn fill(data_dir: &Path, serials: std::ops::Range<u32>, len: usize) {
    let queues = open(data_dir, &clock(), Sync::Full).unwrap();
    let mut half = half(queues.writer);
    for serial in serials {
        let outcome = half.run(&[enqueue(serial, len)], NOW).await.unwrap();
        assert!(matches!(outcome.answers[..], [Ok(QueueWritten::Seq(_))]));
    }
    half.backend.close();
}

async fn serials(data_dir: &Path) -> Vec<u32> {
    let queues = open(data_dir, &clock(), Sync::Full).unwrap();
    let rows = queues.reads.rows(RECIPIENT, PAGE).await.unwrap();
    queues.writer.close();
    let serial = |content: RowContent| match content {
        RowContent::Payload { head, .. } => u32::from_be_bytes(*head.first_chunk().unwrap()),
        RowContent::Gap(_) => u32::MAX,
    };
    rows.into_iter().map(|row| serial(row.content)).collect()
}

/// A body that `sender` shares between two strangers.
async fn share_a_body(half: &mut QueueHalf<Lsm>, sender: IdentityKey, to: [IdentityKey; 2]) {
    let instance = Instance::new([1; 16]);
    let fence = Authenticate { identity: sender, incarnation: 1, instance, attempt: 1 };
    let outcome = half.run(&[QueueWrite::Authenticate(fence)], NOW).await.unwrap();
    let [Ok(QueueWritten::Authenticated(new))] = outcome.answers[..] else { panic!("no session") };
    let id = SendId { incarnation: 1, counter: 1 };
    let delivery = |recipient| Delivery {
        recipient,
        prefix: Arc::default(),
        include_body: true,
        banned: false,
    };
    let send = QueueWrite::Multicast(Multicast {
        sender,
        session: new.session,
        id,
        request: [1; 32],
        deliveries: to.map(delivery).into(),
        body: Arc::from([1; 100]),
        channel: None,
        ttl_secs: 0,
        turn: Arc::<Order>::default().enter(id).unwrap(),
    });
    half.run(&[send], NOW).await.unwrap();
}

fn newest_journal(data_dir: &Path) -> PathBuf {
    let files = fs::read_dir(data_dir.join("queues")).unwrap().map(|entry| entry.unwrap().path());
    let journals = files.filter(|path| path.extension().is_some_and(|ext| ext == "jnl"));
    journals.max().unwrap()
}

/// The end of what was written into a journal.
fn written(journal: &Path) -> u64 {
    let bytes = fs::read(journal).unwrap();
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at as u64 + 1)
}

fn flip(path: &Path, at: u64) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
}

fn refusal(data_dir: &Path) -> StoreError {
    open(data_dir, &clock(), Sync::Full).map(|queues| queues.writer.close()).unwrap_err()
}

#[tokio::test]
async fn what_is_committed_is_there_again_and_ids_go_on() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 0..20, 100).await;
    fill(dir.path(), 20..40, 20_000).await;
    assert_eq!(serials(dir.path()).await, (0..40).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_lost_store_is_not_replaced_by_an_empty_one() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 0..3, 100).await;
    let queues = dir.path().join("queues");
    fs::rename(queues.join("version"), dir.path().join("version")).unwrap();
    assert!(matches!(refusal(dir.path()), StoreError::Corrupt { .. }));
    fs::remove_dir_all(&queues).unwrap();
    assert!(matches!(refusal(dir.path()), StoreError::Missing(_)));
}

#[tokio::test]
async fn a_first_start_that_was_cut_off_is_done_again() {
    for version in [None, Some("")] {
        let dir = tempfile::tempdir().unwrap();
        let queues = dir.path().join("queues");
        fs::create_dir_all(queues.join("keyspaces")).unwrap();
        fs::File::create(queues.join("0.jnl")).unwrap().set_len(1 << 20).unwrap();
        if let Some(version) = version {
            fs::write(queues.join("version"), version).unwrap();
        }
        fill(dir.path(), 0..3, 100).await;
        assert_eq!(serials(dir.path()).await, [0, 1, 2]);
        // What holds a commit is not taken for a first start.
        fs::remove_file(dir.path().join("queues.mark")).unwrap();
        fs::write(queues.join("version"), "").unwrap();
        assert!(matches!(refusal(dir.path()), StoreError::Corrupt { .. }));
        fs::remove_file(queues.join("version")).unwrap();
        assert!(matches!(refusal(dir.path()), StoreError::Corrupt { .. }));
    }
}

#[tokio::test]
async fn a_keyspace_without_its_tables_is_not_taken_for_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 0..3, 100).await;
    for id in 0..=5 {
        let keyspace = dir.path().join(format!("queues/keyspaces/{id}"));
        let away = dir.path().join("away");
        fs::rename(keyspace.join("current"), &away).unwrap();
        assert!(matches!(refusal(dir.path()), StoreError::Corrupt { .. }));
        fs::rename(&away, keyspace.join("current")).unwrap();
        fs::rename(&keyspace, &away).unwrap();
        assert!(matches!(refusal(dir.path()), StoreError::Corrupt { .. }));
        fs::rename(&away, &keyspace).unwrap();
    }
    assert_eq!(serials(dir.path()).await.len(), 3);
}

#[tokio::test]
async fn every_flipped_byte_of_a_journal_is_noticed_or_harmless() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 0..12, 40).await;
    let journal = newest_journal(dir.path());
    let end = written(&journal);
    let original = fs::read(&journal).unwrap();
    let mut refused = 0;
    for at in (0..end).step_by(7) {
        flip(&journal, at);
        match open(dir.path(), &clock(), Sync::Full) {
            Err(StoreError::Corrupt { .. } | StoreError::Behind { .. }) => refused += 1,
            Err(error) => panic!("byte {at}: {error}"),
            Ok(queues) => {
                let rows = queues.reads.rows(RECIPIENT, PAGE).await.unwrap();
                queues.writer.close();
                assert_eq!(rows.len(), 12, "byte {at} lost rows in silence");
            }
        }
        fs::write(&journal, &original).unwrap();
    }
    assert!(refused > 100, "only {refused} refusals");
    assert_eq!(serials(dir.path()).await.len(), 12);
}

#[tokio::test]
async fn without_the_mark_a_damaged_end_is_lost_in_silence() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 0..12, 40).await;
    let journal = newest_journal(dir.path());
    fs::remove_file(dir.path().join("queues.mark")).unwrap();
    flip(&journal, written(&journal) - 3);
    assert_eq!(serials(dir.path()).await.len(), 11);
}

#[tokio::test]
async fn a_batch_that_power_cut_off_is_dropped_and_the_rest_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 0..10, 40).await;
    let mark = fs::read(dir.path().join("queues.mark")).unwrap();
    fill(dir.path(), 10..11, 12_000).await;
    // As if power had failed before the last batch was synced: a page in its middle is missing,
    // its end is there, and nobody was told.
    fs::write(dir.path().join("queues.mark"), mark).unwrap();
    let journal = newest_journal(dir.path());
    let file = OpenOptions::new().write(true).open(&journal).unwrap();
    file.write_all_at(&[0; 4096], written(&journal) - 8_000).unwrap();
    drop(file);
    assert_eq!(serials(dir.path()).await, (0..10).collect::<Vec<_>>());
    fill(dir.path(), 20..22, 40).await;
    assert_eq!(serials(dir.path()).await.len(), 12);
}

#[tokio::test]
async fn a_copy_is_whole_and_its_positions_are_never_given_out_again() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 0..30, 9_000).await;
    let queues = open(dir.path(), &clock(), Sync::Full).unwrap();
    let copy = tempfile::tempdir().unwrap();
    let copied = queues.reads.copy_to(copy.path()).unwrap();
    assert!(copied.records > 30 && copied.bytes > 30 * 9_000, "{copied:?}");
    queues.writer.close();
    assert_eq!(serials(copy.path()).await, (0..30).collect::<Vec<_>>());
    assert_eq!(revive(copy.path(), &clock()).unwrap(), 1);
    fill(copy.path(), 30..31, 40).await;
    let queues = open(copy.path(), &clock(), Sync::Full).unwrap();
    let rows = queues.reads.rows(RECIPIENT, PAGE).await.unwrap();
    queues.writer.close();
    assert_eq!(rows.len(), 32);
    assert!(matches!(rows[30].content, RowContent::Gap(1)));
    assert!(rows[30].seq > 1 << 32);
}

#[tokio::test]
async fn the_counters_of_a_failed_batch_are_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let queues = open(dir.path(), &clock(), Sync::Full).unwrap();
    let mut half = half(queues.writer);
    let others = [2, 3].map(|seed| IdentityKey::new([seed; 32]));
    share_a_body(&mut half, IdentityKey::new([1; 32]), others).await;
    let seq = async |half: &mut QueueHalf<Lsm>, serial| match half
        .run(&[enqueue(serial, 100)], NOW)
        .await
        .unwrap()
        .answers[..]
    {
        [Ok(QueueWritten::Seq(seq))] => seq,
        ref answers => panic!("{answers:?}"),
    };
    assert_eq!(seq(&mut half, 0).await, 1);
    assert_eq!(half.backend.heads.get(&RECIPIENT).unwrap().next_seq, 2);
    // A batch finds this damage only after it was told what it comes to.
    half.backend.place.opened().unwrap().state.remove(codec::refs(1)).unwrap();
    let remove = QueueWrite::Remove(Remove { recipient: others[0], seqs: vec![1] });
    half.run(&[enqueue(1, 100), enqueue(2, 100), remove], NOW).await.unwrap_err();
    assert_eq!(seq(&mut half, 3).await, 2);
    half.backend.close();
    assert_eq!(serials(dir.path()).await, [0, 3]);
}

/// Who had no room shares nothing; a body that nobody shares is not kept at all.
#[tokio::test]
async fn a_body_goes_with_the_last_row_that_shares_it() {
    let dir = tempfile::tempdir().unwrap();
    let queues = open(dir.path(), &clock(), Sync::Full).unwrap();
    let mut half = half(queues.writer);
    half.limits.rows = 4;
    half.run(&[0, 1, 2, 3].map(|serial| enqueue(serial, 100)), NOW).await.unwrap();
    let (sender, other) = (IdentityKey::new([1; 32]), IdentityKey::new([2; 32]));
    share_a_body(&mut half, sender, [other, RECIPIENT]).await;
    let kept = |half: &QueueHalf<Lsm>, body| {
        let opened = half.backend.place.opened().unwrap();
        opened.bodies.get(codec::body(body)).unwrap().is_some()
    };
    assert!(kept(&half, 1));
    let remove = QueueWrite::Remove(Remove { recipient: other, seqs: vec![1] });
    half.run(&[remove], NOW).await.unwrap();
    assert!(!kept(&half, 1));
    half.limits.rows = 0;
    share_a_body(&mut half, IdentityKey::new([3; 32]), [other, RECIPIENT]).await;
    assert!(!kept(&half, 1) && !kept(&half, 2));
    half.backend.close();
}

#[tokio::test]
async fn counters_in_memory_are_those_of_the_store_and_not_too_many() {
    let dir = tempfile::tempdir().unwrap();
    let queues = open(dir.path(), &clock(), Sync::Full).unwrap();
    let mut half = half(queues.writer);
    for serial in 0..20 {
        half.run(&[enqueue(serial, 100)], NOW).await.unwrap();
        let opened = half.backend.place.opened().unwrap();
        assert_eq!(half.backend.heads.get(&RECIPIENT), load::queue(&opened, &RECIPIENT).unwrap());
    }
    let row = half.backend.heads.get(&RECIPIENT).unwrap();
    let many = |count: u16| {
        let key = |number: u16| {
            let mut key = [9; 32];
            key[..2].copy_from_slice(&number.to_be_bytes());
            IdentityKey::new(key)
        };
        Effects {
            queues: (0..count).map(|number| (key(number), row)).collect(),
            ..Effects::default()
        }
    };
    let mut heads = Heads::default();
    heads.apply(&many(1));
    heads.apply(&many(4_096));
    assert_eq!(heads.len(), 4_096);
    heads.apply(&many(5_000));
    assert_eq!(heads.len(), 0);
    heads.apply(&many(4_096));
    heads.keep(RECIPIENT, row);
    assert_eq!(heads.len(), 1);
    half.backend.close();
}

/// A send of a former version was kept without the place of its sender.
#[test]
fn kept_sends_of_former_versions_read() {
    let results = vec![Delivered::Queued(7), Delivered::Full];
    let row = SendRow { request: [3; 32], sent: Sent { results, own_next: 9 } };
    let value = codec::put_send(&row, NOW);
    assert_eq!(codec::get_send(&value).unwrap(), row);
    let former = codec::get_send(&value[..value.len() - 9]).unwrap();
    assert_eq!((former.sent.results, former.sent.own_next), (row.sent.results, 0));
    assert!(codec::get_send(&value[..value.len() - 1]).is_err());
}
