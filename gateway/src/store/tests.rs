//! What the gateway's database keeps, and keeps apart.

use quicproquo_client::{Cursor, IdentityKey};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::auth::{Grant, Scope, Token};

mod sealed;

fn seals() -> Seals {
    Seals::new(&[7; 32])
}

fn bot(number: u8) -> BotRow {
    BotRow {
        bot_id: format!("bot_{number}"),
        name: format!("name{number}"),
        identity: IdentityKey::from_slice(&[number; 32]).unwrap(),
        state: BotState::Creating,
        created_at_ms: u64::from(number),
    }
}

fn grant(bot: &BotRow) -> Grant {
    Grant {
        token_id: format!("tok_{}", bot.bot_id),
        bot_id: bot.bot_id.clone(),
        label: "first".to_owned(),
        hash: Token::random().hash(),
        scopes: Scope::ALL.into(),
        groups: Some([format!("{:032}", 7).parse().unwrap()].into()),
        created_at_ms: 5,
        expires_at_ms: Some(9),
        login: None,
        revoked: CancellationToken::new(),
    }
}

fn record(key: &str, created_at_ms: u64) -> Record {
    Record {
        key: key.to_owned(),
        fingerprint: [3; 32],
        status: 201,
        answer: json!({"a": 1}),
        created_at_ms,
    }
}

#[tokio::test]
async fn what_was_written_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Sync::Full, seals()).await.unwrap();
    let row = bot(1);
    let first = grant(&row);
    store.reserve_bot(&row).await.unwrap();
    store.activate_bot(&row.bot_id, &first, Some(&record("k", 1))).await.unwrap();
    store.close().await;

    let store = Store::open(folder.path(), Sync::Full, seals()).await.unwrap();
    assert_eq!(store.bots().await.unwrap(), [BotRow { state: BotState::Active, ..row.clone() }]);
    let tokens = store.tokens().await.unwrap();
    assert_eq!(tokens.len(), 1);
    assert_eq!(tokens[0].hash, first.hash);
    assert_eq!(tokens[0].scopes, first.scopes);
    assert_eq!(tokens[0].groups, first.groups);
    assert_eq!(tokens[0].expires_at_ms, Some(9));
    assert_eq!(store.request("k").await.unwrap(), Some(record("k", 1)));
    assert_eq!(store.request("other").await.unwrap(), None);
}

#[tokio::test]
async fn a_second_process_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Sync::Full, seals()).await.unwrap();
    store.check().await.unwrap();
    let second = Store::open(folder.path(), Sync::Full, seals()).await;
    assert!(matches!(second, Err(GatewayError::InUse { .. })), "{second:?}");
}

#[tokio::test]
async fn a_name_is_reserved_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Sync::Full, seals()).await.unwrap();
    store.reserve_bot(&bot(1)).await.unwrap();
    let again = BotRow { name: "name1".to_owned(), ..bot(2) };
    assert!(matches!(store.reserve_bot(&again).await, Err(StoreError::Exists)));
    store.forget_bot("bot_1").await.unwrap();
    store.reserve_bot(&again).await.unwrap();
}

#[tokio::test]
async fn a_retired_bot_has_neither_tokens_nor_consumers() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Sync::Full, seals()).await.unwrap();
    let row = bot(1);
    store.reserve_bot(&row).await.unwrap();
    store.activate_bot(&row.bot_id, &grant(&row), None).await.unwrap();
    let cursor = CursorRow {
        bot_id: row.bot_id.clone(),
        name: "main".to_owned(),
        groups: Some([format!("{:032}", 7).parse().unwrap()].into()),
        cursor: "c1_1f".parse().unwrap(),
    };
    let stray = CursorRow { bot_id: "bot_9".to_owned(), ..cursor.clone() };
    let change =
        |row: &CursorRow| ConsumerChange { row: row.clone(), deliveries: Vec::new(), gone: false };
    let rows = async || {
        let all = store.consumers().await.unwrap().into_iter();
        all.map(|stored| (stored.row, stored.deliveries)).collect::<Vec<_>>()
    };
    store.put_consumers(&[change(&cursor), change(&stray)]).await.unwrap();
    assert_eq!(rows().await, [(cursor.clone(), Vec::new())]);
    let moved = CursorRow { cursor: Cursor::default(), ..cursor };
    let delivery = DeliveryRow {
        state: DeliveryState::Parked,
        attempt: 10,
        delivery_id: "d".to_owned(),
        at_ms: 7,
    };
    let deliveries = vec![(moved.cursor, Some(delivery.clone()))];
    store.put_consumers(&[ConsumerChange { deliveries, ..change(&moved) }]).await.unwrap();
    assert_eq!(rows().await, [(moved.clone(), vec![(moved.cursor, delivery)])]);
    let deliveries = vec![(moved.cursor, None)];
    store.put_consumers(&[ConsumerChange { deliveries, ..change(&moved) }]).await.unwrap();
    assert_eq!(rows().await, [(moved.clone(), Vec::new())]);
    store.put_consumers(&[ConsumerChange { gone: true, ..change(&moved) }]).await.unwrap();
    assert_eq!(rows().await, []);
    store.put_consumers(&[change(&moved)]).await.unwrap();

    store.retire_bot(&row.bot_id, None).await.unwrap();
    assert_eq!(store.bots().await.unwrap()[0].state, BotState::Deleting);
    assert!(store.tokens().await.unwrap().is_empty());
    assert!(store.consumers().await.unwrap().is_empty());
}

#[tokio::test]
async fn old_answers_are_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Sync::Full, seals()).await.unwrap();
    let day = 24 * 60 * 60 * 1000;
    store.put_request(&record("old", day)).await.unwrap();
    store.put_request(&record("young", 2 * day)).await.unwrap();
    assert!(store.request("old").await.unwrap().is_some());
    store.put_request(&record("now", 3 * day + 1)).await.unwrap();
    assert!(store.request("old").await.unwrap().is_none());
    assert!(store.request("young").await.unwrap().is_some());
}

/// As a full disk makes it do.
#[tokio::test]
async fn a_transaction_that_sqlite_has_rolled_back_by_itself_holds_up_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Sync::Full, seals()).await.unwrap();
    let mut tx = store.begin().await.unwrap();
    sqlx::query("ROLLBACK").execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap_err();
    for _ in 0..2 {
        store.commit(store.begin().await.unwrap()).await.unwrap();
    }
}

#[tokio::test]
async fn a_database_that_ends_before_its_mark_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Sync::Full, seals()).await.unwrap();
    store.commit(store.begin().await.unwrap()).await.unwrap();
    store.close().await;
    let old = std::fs::read(folder.path().join("gateway.db")).unwrap();
    let store = Store::open(folder.path(), Sync::Full, seals()).await.unwrap();
    store.commit(store.begin().await.unwrap()).await.unwrap();
    store.close().await;
    std::fs::write(folder.path().join("gateway.db"), old).unwrap();
    let refused = Store::open(folder.path(), Sync::Full, seals()).await.unwrap_err().to_string();
    assert!(refused.contains("ends before what was acknowledged"), "{refused}");
}
