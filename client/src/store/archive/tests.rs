//! Every table comes along, and what does not fit is refused as a whole.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use quicproquo_core::id::{GroupId, MessageId};
use quicproquo_core::identity::Identity;
use quicproquo_core::kem::HybridSecret;
use sqlx::ConnectOptions as _;

use super::*;
use crate::Suite;
use crate::config::{MasterKey, Sync};
use crate::event::EventData;
use crate::model::{DeliveryState, TrustState};
use crate::store::{
    Handover, IdempotencyRecord, IdempotencyTarget, MessageContent, OutboxRecord, Pin,
    StoredMessage, TrustRow,
};

async fn open(dir: &Path) -> Arc<Store> {
    let key = MasterKey::File(dir.join("master.key"));
    Store::open(dir, &key, Duration::MAX, 0, Sync::Full).await.unwrap()
}

async fn create(store: &Store) -> IdentityRecord {
    let hybrid = HybridSecret::generate().unwrap();
    store.create_identity(Identity::generate(), hybrid, 1).await.unwrap()
}

/// An identity with rows in many tables.
async fn filled(store: &Store) -> (Owner, IdentityKey) {
    let record = create(store).await;
    let (owner, identity) = (record.owner, record.identity.key());
    let group = GroupId::random();
    let mut batch = store.batch();
    for n in 1..4 {
        batch.event(owner, n, None, 9, &EventData::GapDetected { lost: 7 });
        batch.hidden_event(
            owner,
            &group,
            n,
            2,
            &EventData::GroupRepaired { reason: "rejoined".into() },
        );
        batch.outbox(owner, n, &OutboxRecord::lost(group.clone(), 1, 0));
        batch.buffer(owner, group.as_bytes(), n, 5, b"payload");
    }
    batch.set_aside(owner, [6; 32], "mls", 7, b"payload");
    batch.inbox(owner, [8; 32], 9);
    batch.key_package(owner, vec![1; 32], 1, false, 3);
    let scope = key_package_scope(&[1; 32]);
    let row = (scope.as_slice(), b"key".as_slice(), Some(b"value".as_slice()));
    batch.mls(owner, [row].into_iter());
    let bob = IdentityKey::new([9; 32]);
    let trust = TrustRow { first_seen_ms: 4, verified_at_ms: Some(5), took_over: false };
    batch.trusts(owner, &bob, &trust);
    for (name, identity) in [("alice", identity), ("bob", bob)] {
        let handover = Handover::None;
        batch.pin(owner, &Pin { name: name.into(), identity, handover, at_ms: 6 });
    }
    let target = IdempotencyTarget::Message(5);
    let request =
        IdempotencyRecord { key: "k".into(), fingerprint: [4; 32], target, created_at_ms: 8 };
    batch.idempotency(owner, request);
    for (seq, sender) in [(5, identity), (6, bob)] {
        let own = sender == identity;
        let content = MessageContent {
            kind: "text".into(),
            body: serde_json::json!({ "body": "hello" }),
            relates_to: None,
            sent_at_ms: 1,
            suite: Suite::Native,
            damaged: false,
        };
        let message = StoredMessage {
            seq,
            own,
            group: group.clone(),
            sender,
            id: MessageId::at(9),
            epoch: 3,
            received_at_ms: 7,
            recipients: u32::from(own),
            delivery: if own { DeliveryState::Queued } else { DeliveryState::Sent },
            deleted_at_ms: None,
            content,
        };
        batch.message(owner, &message);
    }
    batch.message_state(owner, 5, 4, 1, &DeliveryState::Sent);
    store.write(batch).await.unwrap();
    (owner, identity)
}

/// What a database exports of such an identity.
pub(in crate::store) async fn sample() -> Exported {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let (owner, identity) = filled(&store).await;
    store.export(owner, identity).await.unwrap()
}

/// Without the numbers of owners, which differ.
fn rows(exported: &Exported) -> Vec<(String, Vec<Cells>)> {
    let tables = exported.tables.iter().cloned();
    let mut rows: Vec<_> = tables
        .map(|(name, rows)| (name, rows.into_iter().map(|row| owned(row, 0)).collect()))
        .collect();
    rows.push(("identities".to_owned(), vec![exported.row.clone()]));
    let keys = exported.hybrid_keys.iter().map(|row| owned(row.clone(), 0));
    rows.push(("hybrid_keys".to_owned(), keys.collect()));
    rows
}

#[tokio::test]
async fn every_row_comes_along_under_the_other_key() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (from, to) = (open(dirs[0].path()).await, open(dirs[1].path()).await);
    create(&to).await;
    let (owner, identity) = filled(&from).await;
    let exported = from.export(owner, identity).await.unwrap();
    assert_eq!(exported.name.as_deref(), Some("alice"));
    let (before, mls) = (rows(&exported), exported.mls.clone());
    let empty = |(_, rows): &&(String, Vec<Cells>)| rows.is_empty();
    let none: Vec<_> = before.iter().filter(empty).map(|(name, _)| name.as_str()).collect();
    assert_eq!(none, ["groups", "attachments", "intents"]);
    assert_eq!(mls.len(), 1);

    let record = to.import(exported).await.unwrap();
    assert_eq!(record.identity.key(), identity);
    assert_ne!(record.owner, owner);
    assert_eq!(to.halted(record.owner).await.unwrap(), Some(Halted::Exported));
    let again = to.export(record.owner, identity).await.unwrap();
    assert_eq!((rows(&again), &again.mls), (before, &mls));
    let twice = to.import(again).await;
    assert!(matches!(twice, Err(StoreError::Write(_))), "an identity is there once");
    assert_eq!(to.identities().await.unwrap().len(), 2);
}

#[tokio::test]
async fn damaged_rows_stay_behind_and_all_others_come() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (from, to) = (open(dirs[0].path()).await, open(dirs[1].path()).await);
    let (owner, identity) = filled(&from).await;
    let options = sqlx::sqlite::SqliteConnectOptions::new();
    let mut connection =
        options.filename(dirs[0].path().join("client.db")).connect().await.unwrap();
    for damage in [
        "UPDATE events SET data = x'00' WHERE seq = 2",
        "UPDATE messages SET content = x'00' WHERE seq = 6",
        "UPDATE mls SET value = x'00'",
    ] {
        sqlx::query(damage).execute(&mut connection).await.unwrap();
    }
    let exported = from.export(owner, identity).await.unwrap();
    assert_eq!(exported.mls.len(), 0);
    let record = to.import(exported).await.unwrap();
    assert_eq!(log(&to, record.owner, &identity).await, [(1, false), (3, false), (6, true)]);
}

/// Positions of the log, and whether it says that what was there is damaged.
async fn log(store: &Store, owner: Owner, own: &IdentityKey) -> Vec<(u64, bool)> {
    let (from, to) = (crate::event::Cursor(0), crate::event::Cursor(6));
    let page = store.events(owner, own, from, to, 10, 0).await.unwrap();
    let damaged = |data: &EventData| matches!(data, EventData::MessageUndecryptable { reason, .. } if reason == "damaged");
    page.items.iter().map(|event| (event.cursor.0, damaged(&event.data))).collect()
}

#[tokio::test]
async fn a_received_message_of_a_former_archive_is_one_event() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (from, to) = (open(dirs[0].path()).await, open(dirs[1].path()).await);
    let (owner, identity) = filled(&from).await;
    let before = log(&from, owner, &identity).await;
    let mut exported = from.export(owner, identity).await.unwrap();
    let own = |name: &str, cell| (name.to_owned(), cell);
    // As they are written with version 1: for one that is here, and for one that was damaged.
    for seq in [4, 6] {
        events(&mut exported).push(vec![
            own("owner", Cell::Int(owner.0)),
            own("seq", Cell::Int(seq)),
            own("kind", Cell::Text("message.received".to_owned())),
            own("occurred_at", Cell::Int(7)),
            own("message", Cell::Int(seq)),
        ]);
    }
    let record = to.import(exported).await.unwrap();
    let mut expected = before;
    expected.insert(3, (4, true));
    assert_eq!(log(&to, record.owner, &identity).await, expected);
}

fn events(exported: &mut Exported) -> &mut Vec<Cells> {
    let mut tables = exported.tables.iter_mut();
    &mut tables.find(|(name, _)| name == "events").unwrap().1
}

#[tokio::test]
async fn what_does_not_fit_leaves_nothing() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (from, to) = (open(dirs[0].path()).await, open(dirs[1].path()).await);
    let (owner, identity) = filled(&from).await;
    let spoil: [fn(&mut Exported); 3] = [
        |exported| exported.tables.push(("from_the_future".to_owned(), Vec::new())),
        |exported| events(exported)[0].push(("new_column".to_owned(), Cell::Int(1))),
        |exported| events(exported)[0].push(("seq) SELECT 1; --".to_owned(), Cell::Int(1))),
    ];
    for spoil in spoil {
        let mut exported = from.export(owner, identity).await.unwrap();
        spoil(&mut exported);
        assert!(to.import(exported).await.is_err());
        assert!(to.identities().await.unwrap().is_empty());
    }
    // A seed of somebody else, and none at all.
    for seed in [vec![1; 32], Vec::new()] {
        let mut exported = from.export(owner, identity).await.unwrap();
        let place = exported.row.iter().position(|(column, _)| column == "seed").unwrap();
        exported.row[place].1 = Cell::Bytes(seed.into());
        assert!(to.import(exported).await.is_err());
        assert!(to.identities().await.unwrap().is_empty());
    }
    // A column that came later has its default.
    let mut exported = from.export(owner, identity).await.unwrap();
    exported.row.retain(|(column, _)| column != "forgotten_up_to");
    to.import(exported).await.unwrap();
}

/// What former versions did not write.
const NEW: [(&str, &str); 4] = [
    ("messages", "seal"),
    ("names", "seal"),
    ("trust", "took_over"),
    ("identities", "policy_seal"),
];

#[tokio::test]
async fn an_archive_of_a_former_version_is_bound_as_it_comes() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (from, to) = (open(dirs[0].path()).await, open(dirs[1].path()).await);
    let (owner, identity) = filled(&from).await;
    let exported = from.export(owner, identity).await.unwrap();
    let before = rows(&exported);
    let mut former = exported;
    former.row.retain(|(column, _)| column != "policy_seal");
    for (name, rows) in &mut former.tables {
        for row in rows {
            row.retain(|(column, _)| !NEW.contains(&(name.as_str(), column.as_str())));
        }
    }
    assert_ne!(rows(&former), before);
    let record = to.import(former).await.unwrap();
    assert_eq!(rows(&to.export(record.owner, identity).await.unwrap()), before);
    let seqs: Vec<u64> = to
        .messages_between(record.owner, 5, 6)
        .await
        .unwrap()
        .iter()
        .filter(|message| !message.content.damaged)
        .map(|message| message.seq)
        .collect();
    assert_eq!(seqs, [5, 6]);
    assert_eq!(to.idempotency(record.owner, "k").unwrap().unwrap().fingerprint, [4; 32]);
}

#[tokio::test]
async fn what_was_changed_of_names_and_trust_is_distrusted_where_it_comes() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (from, to) = (open(dirs[0].path()).await, open(dirs[1].path()).await);
    let (owner, identity) = filled(&from).await;
    let bob = IdentityKey::new([9; 32]);
    let known =
        async |store: &Store, owner| store.names(owner).await.unwrap().trust(&identity, &bob);
    assert_eq!(known(&from, owner).await, TrustState::Verified);
    let options = sqlx::sqlite::SqliteConnectOptions::new();
    let mut connection =
        options.filename(dirs[0].path().join("client.db")).connect().await.unwrap();
    sqlx::query("UPDATE trust SET first_seen = 1").execute(&mut connection).await.unwrap();
    assert_eq!(known(&from, owner).await, TrustState::Changed);
    let record = to.import(from.export(owner, identity).await.unwrap()).await.unwrap();
    assert_eq!(known(&to, record.owner).await, TrustState::Changed);
}
