//! Cursors, acks and displacement of named consumers.

use quicproquo_client::Sync;

use super::super::CursorWriter;
use super::*;
use crate::store::{BotRow, BotState, Store};

fn at(number: u32) -> Cursor {
    format!("c1_{number:x}").parse().unwrap()
}

async fn consumers(folder: &std::path::Path) -> (Consumers, Store) {
    let store = Store::open(folder, Sync::Full).await.unwrap();
    let bot = BotRow {
        bot_id: "bot_1".to_owned(),
        name: "one".to_owned(),
        identity: quicproquo_client::IdentityKey::from_slice(&[1; 32]).unwrap(),
        state: BotState::Creating,
        created_at_ms: 1,
    };
    // The second time the bot is there already.
    let _ = store.reserve_bot(&bot).await;
    let (queue, writer) = CursorWriter::new(store.clone());
    let tasks = tokio_util::task::TaskTracker::new();
    tasks.spawn(writer.run(CancellationToken::new()));
    (Consumers::new(store.consumers().await.unwrap(), queue), store)
}

#[tokio::test]
async fn the_cursor_is_the_lowest_unacknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let (all, _) = consumers(folder.path()).await;
    let lease = all.open("bot_1", "main", at(0)).await.unwrap();
    for number in 1..=4 {
        assert_eq!(lease.deliver(at(number)), Some(1));
    }
    let ack = |ids: &[u32]| ids.iter().map(|n| delivery_id(at(*n), 1)).collect::<Vec<_>>();
    let cursor = |ids: Vec<String>| {
        let all = &all;
        async move { all.acknowledge("bot_1", "main", None, &ids, at(9)).await.unwrap() }
    };
    assert_eq!(cursor(ack(&[2, 3])).await, at(0));
    assert_eq!(cursor(ack(&[1])).await, at(3));
    let again = all.open("bot_1", "main", at(0)).await.unwrap();
    assert!(lease.displaced.is_cancelled() && !again.displaced.is_cancelled());
    assert_eq!(again.start, at(3));
    assert_eq!(again.deliver(at(4)), Some(2), "an unacknowledged event comes again");
}

#[tokio::test]
async fn an_early_ack_does_not_jump_over_open_deliveries() {
    let folder = tempfile::tempdir().unwrap();
    let (all, _) = consumers(folder.path()).await;
    let lease = all.open("bot_1", "main", at(0)).await.unwrap();
    for number in 1..=3 {
        lease.deliver(at(number));
    }
    let again = all.open("bot_1", "main", at(0)).await.unwrap();
    let ids = [delivery_id(at(3), 1)];
    let cursor = all.acknowledge("bot_1", "main", None, &ids, at(9)).await.unwrap();
    assert_eq!(cursor, at(0));
    assert_eq!(again.deliver(at(1)), Some(2));
    assert_eq!(again.deliver(at(3)), None, "acknowledged meanwhile");
}

#[tokio::test]
async fn cursors_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (all, store) = consumers(folder.path()).await;
    let lease = all.open("bot_1", "main", at(5)).await.unwrap();
    lease.deliver(at(6));
    let cursor = all.acknowledge("bot_1", "main", Some("c1_6"), &[], at(9)).await.unwrap();
    assert_eq!(cursor, at(6));
    store.close().await;
    drop((all, lease));
    let (all, _) = consumers(folder.path()).await;
    assert_eq!(all.open("bot_1", "main", at(0)).await.unwrap().start, at(6));
}

#[tokio::test]
async fn what_is_filtered_moves_the_cursor_only_when_nothing_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let (all, _) = consumers(folder.path()).await;
    let lease = all.open("bot_1", "main", at(0)).await.unwrap();
    lease.skip_to(at(3)).await;
    lease.deliver(at(4));
    lease.skip_to(at(5)).await;
    assert_eq!(all.open("bot_1", "main", at(0)).await.unwrap().start, at(3));
}

#[tokio::test]
async fn nonsense_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (all, _) = consumers(folder.path()).await;
    for name in ["", "a b", "ä", &"x".repeat(65)] {
        assert!(all.open("bot_1", name, at(0)).await.is_err(), "{name}");
    }
    let none = all.acknowledge("bot_1", "nobody", None, &[], at(9)).await.unwrap_err();
    assert_eq!(none.kind(), Kind::ConsumerNotFound);
    all.open("bot_1", "main", at(0)).await.unwrap();
    for bad in ["7", "c1_a", "c1_1.x"] {
        let refused = all.acknowledge("bot_1", "main", Some(bad), &[], at(9)).await;
        assert_eq!(refused.unwrap_err().kind(), Kind::CursorInvalid, "{bad}");
    }
}

#[tokio::test]
async fn the_window_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let (all, _) = consumers(folder.path()).await;
    let lease = all.open("bot_1", "main", at(0)).await.unwrap();
    for number in 1..=1000 {
        assert!(lease.has_room());
        lease.deliver(at(number));
    }
    assert!(!lease.has_room());
    lease.acknowledge(Some("c1_1"), &[], at(2000)).await.unwrap();
    assert!(lease.has_room());
}
