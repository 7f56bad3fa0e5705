//! The log is read from two tables as if it were one.

use std::sync::Arc;
use std::time::Duration;

use quicproquo_core::id::MessageId;
use quicproquo_core::suite::Suite;

use super::*;
use crate::config::{MasterKey, Sync};
use crate::model::DeliveryState;
use crate::store::MessageContent;

const OWNER: Owner = Owner(1);
/// Entries of a log.
const LENGTH: u64 = 60;

fn message(seq: u64, own: bool) -> StoredMessage {
    StoredMessage {
        seq,
        own,
        group: GroupId::from_slice(&[9; 32]).unwrap(),
        sender: IdentityKey::new([u8::from(own); 32]),
        id: MessageId::at(seq),
        epoch: 1,
        received_at_ms: 1000 * seq,
        recipients: u32::from(own),
        delivery: if own { DeliveryState::Queued } else { DeliveryState::Sent },
        deleted_at_ms: None,
        content: MessageContent {
            kind: "text".into(),
            body: serde_json::Value::Null,
            relates_to: None,
            sent_at_ms: 1,
            suite: Suite::Native,
            damaged: false,
        },
    }
}

/// A log in which what is at a position is chosen by a number of four values, and its entries.
async fn filled(store: &Store, choose: impl Fn(u64) -> u64) -> Vec<(u64, &'static str)> {
    let mut batch = store.batch();
    let (mut queued, mut expected) = (Vec::new(), Vec::new());
    for seq in 1..=LENGTH {
        match (choose(seq), queued.first().copied()) {
            (0, _) => {
                batch.message(OWNER, &message(seq, false));
                expected.push((seq, "message.received"));
            }
            (1, Some(about)) => {
                queued.remove(0);
                let own = message(about, true);
                batch.message_state(OWNER, about, 1, 1, &DeliveryState::Sent);
                batch.message_event(OWNER, seq, "message.sent", &own.group, 1000 * seq, about);
                expected.push((seq, "message.sent"));
            }
            (2, _) => {
                batch.event(OWNER, seq, None, 1000 * seq, &EventData::GapDetected { lost: 1 });
                expected.push((seq, "gap.detected"));
            }
            _ => {
                batch.message(OWNER, &message(seq, true));
                queued.push(seq);
            }
        }
    }
    assert!(store.write(batch).await.unwrap().is_empty());
    expected
}

async fn open(dir: &std::path::Path) -> Arc<Store> {
    let key = MasterKey::File(dir.join("master.key"));
    Store::open(dir, &key, Duration::MAX, 0, Sync::Full).await.unwrap()
}

async fn read(store: &Store, limit: u32) -> Vec<(u64, &'static str)> {
    let own = IdentityKey::new([1; 32]);
    let (mut after, tail, mut all) = (Cursor(0), Cursor(LENGTH), Vec::new());
    while after < tail {
        let page = store.events(OWNER, &own, after, tail, limit, 0).await.unwrap();
        assert!(page.items.len() <= limit as usize && page.next > after);
        for event in page.items {
            assert_eq!(event.occurred_at_ms, 1000 * event.cursor.0);
            all.push((event.cursor.0, event.data.kind()));
        }
        after = page.next;
    }
    all
}

#[tokio::test]
async fn pages_of_any_size_have_every_entry_once_and_in_order() {
    let of_four = |mix: u64| move |seq: u64| (seq.wrapping_mul(mix) >> 7) % 4;
    for case in 0_u64..8 {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path()).await;
        let expected = match case {
            0 => filled(&store, |_| 0).await,
            1 => filled(&store, |_| 3).await,
            2 => filled(&store, |seq| if seq <= LENGTH / 2 { 3 } else { 1 }).await,
            3 => filled(&store, |seq| if seq < LENGTH { 3 } else { 0 }).await,
            mix => filled(&store, of_four(0x9E37_79B9 + mix)).await,
        };
        for limit in [1, 2, 3, 7, 100] {
            assert_eq!(read(&store, limit).await, expected, "case {case}, {limit} at once");
        }
    }
}

#[tokio::test]
async fn the_old_beginning_of_the_log_is_found_in_parts() {
    for choice in [0, 2] {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path()).await;
        let expected = filled(&store, |seq| if seq % 2 == 0 { 2 - choice } else { choice }).await;
        assert_eq!(expected.len() as u64, LENGTH);
        let (before, mut up_to) = (1000 * 8, Vec::new());
        while let Some(old) = store.old_events(OWNER, before, 1000 * LENGTH).await.unwrap() {
            up_to.push((old.up_to, old.more));
            let mut batch = store.batch();
            batch.forget_events(OWNER, old.up_to);
            store.write(batch).await.unwrap();
        }
        assert_eq!(up_to, [(3, true), (6, true), (7, false)]);
    }
}
