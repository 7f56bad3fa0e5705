//! Acknowledgements, and what of a consumer survives a restart.

use std::time::Duration;

use futures::FutureExt;
use quicproquo_client::{Event, EventData, EventPage, Seals, Sync};
use tokio_util::sync::CancellationToken;

use super::super::ConsumerWriter;
use super::*;
use crate::store::{BotRow, BotState, Store};

fn at(number: u32) -> Cursor {
    format!("c1_{number:x}").parse().unwrap()
}

async fn consumers(folder: &std::path::Path) -> (Consumers, Store) {
    let store = Store::open(folder, Sync::Full, Seals::new(&[7; 32])).await.unwrap();
    let bot = BotRow {
        bot_id: "bot_1".to_owned(),
        name: "one".to_owned(),
        identity: quicproquo_client::IdentityKey::from_slice(&[1; 32]).unwrap(),
        state: BotState::Creating,
        created_at_ms: 1,
    };
    // The second time the bot is there already.
    let _ = store.reserve_bot(&bot).await;
    let (queue, writer) = ConsumerWriter::new(store.clone());
    let tasks = tokio_util::task::TaskTracker::new();
    tasks.spawn(writer.run(CancellationToken::new()));
    (Consumers::new(store.consumers().await.unwrap(), queue), store)
}

const TERMS: Terms =
    Terms { limit: 10, lane_limit: 10, lease: Some(Duration::from_secs(30)), streams: true };

/// A consumer with events 1 to 3 read from its log, and a connection.
async fn reading(all: &Consumers) -> (Connection, Arc<Consumer>) {
    let connection = all.open("bot_1", "main", at(0), &Filter::default(), TERMS).await.unwrap();
    let consumer = all.find_any("bot_1", "main").unwrap();
    let event = |n| Event {
        cursor: at(n),
        occurred_at_ms: 0,
        group: None,
        data: EventData::GapDetected { lost: n },
    };
    let page = EventPage { items: (1..=3).map(event).collect(), next: at(3) };
    let from = consumer.standing().cursor;
    consumer.change(|deal, now| deal.add(from, page, now));
    (connection, consumer)
}

#[tokio::test]
async fn what_is_acknowledged_is_durable() {
    let folder = tempfile::tempdir().unwrap();
    let (all, store) = consumers(folder.path()).await;
    let (_connection, consumer) = reading(&all).await;
    let cursor = consumer.acknowledge(None, &["c1_2".to_owned()], at(9)).unwrap();
    assert_eq!(cursor, at(0), "the first event is open");
    assert_eq!(consumer.acknowledge(Some("c1_2"), &[], at(9)).unwrap(), at(2));
    all.flush(&consumer).await.unwrap();
    store.close().await;
    drop(store);
    let (all, _) = consumers(folder.path()).await;
    assert_eq!(all.find_any("bot_1", "main").unwrap().standing().cursor, at(2));
}

#[tokio::test]
async fn a_deleted_consumer_is_gone_for_good() {
    let folder = tempfile::tempdir().unwrap();
    let (all, store) = consumers(folder.path()).await;
    let (connection, consumer) = reading(&all).await;
    all.delete("bot_1", "main").await.unwrap();
    assert!(connection.displaced.is_cancelled());
    // A late acknowledgement does not bring it back.
    consumer.acknowledge(Some("c1_3"), &[], at(9)).unwrap();
    all.flush(&consumer).await.unwrap();
    assert!(store.consumers().await.unwrap().is_empty());
    assert_eq!(all.delete("bot_1", "main").await.unwrap_err().kind(), Kind::ConsumerNotFound);
    // Nor does what is still heard of it delete another one of its name.
    let (_connection, _) = reading(&all).await;
    drop(connection);
    consumer.acknowledge(Some("c1_3"), &[], at(9)).unwrap();
    all.flush(&consumer).await.unwrap();
    assert_eq!(store.consumers().await.unwrap().len(), 1);
}

#[tokio::test]
async fn who_waits_hears_of_a_lease_that_begins() {
    let folder = tempfile::tempdir().unwrap();
    let (all, _) = consumers(folder.path()).await;
    let mut ends = Vec::new();
    for _ in 0..2 {
        let opened = all.open("bot_1", "main", at(0), &Filter::default(), TERMS).await;
        ends.push(opened.unwrap());
    }
    let [one, other] = &mut ends[..] else { panic!("two connections") };
    assert!(one.look(10).0.is_empty() && other.look(10).0.is_empty());
    assert!(other.wait().now_or_never().is_none(), "nothing has happened since");
    let event = Event {
        cursor: at(1),
        occurred_at_ms: 0,
        group: None,
        data: EventData::GapDetected { lost: 1 },
    };
    let page = EventPage { items: vec![event], next: at(1) };
    let now = Now { at: Instant::now(), ms: 0 };
    let consumer = all.find_any("bot_1", "main").unwrap();
    lock(&consumer.deal).add(at(0), page, now);
    assert_eq!(one.look(10).0.len(), 1);
    assert!(other.wait().now_or_never().is_some(), "it must know when that comes back");
}

#[tokio::test]
async fn nonsense_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (all, _) = consumers(folder.path()).await;
    for name in ["", "a b", "ä", "webhook:1", &"x".repeat(65)] {
        let opened = all.open("bot_1", name, at(0), &Filter::default(), TERMS).await;
        assert!(opened.is_err(), "{name}");
    }
    assert_eq!(all.find_any("bot_1", "nobody").unwrap_err().kind(), Kind::ConsumerNotFound);
    let (_connection, consumer) = reading(&all).await;
    for bad in ["7", "c1_a", "c1_1.x", "c1_1.1", "c1_1.1.1.1"] {
        let refused = consumer.acknowledge(Some(bad), &[], at(9));
        assert_eq!(refused.unwrap_err().kind(), Kind::CursorInvalid, "{bad}");
    }
}
