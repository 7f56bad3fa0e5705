//! Rows for the fuzzers' corpus.

use quicproquo_core::group::Role;
use quicproquo_core::id::{GroupId, MessageId};
use quicproquo_core::identity::IdentityKey;
use quicproquo_core::suite::{Profile, Suite};
use serde::Serialize;

use super::fuzzing::MASTER;
use super::seal::Sealer;
use super::{
    Exported, GroupRecord, IntentRecord, IntentSpec, Lost, MessageContent, OutboxRecord,
    PendingCommit,
};
use crate::event::EventData;
use crate::model::NewGroup;

fn cbor(record: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(record, &mut bytes).unwrap();
    bytes
}

/// One record of each kind.
pub(crate) fn records() -> Vec<Vec<u8>> {
    let (own, group) = (IdentityKey::new([1; 32]), GroupId::from_slice(&[2; 32]).unwrap());
    let new = NewGroup {
        name: "room".into(),
        topic: String::new(),
        members: vec![IdentityKey::new([3; 32])],
        suite: Suite::Native,
        profile: Profile::Standard,
    };
    let mut record = GroupRecord::fresh(Suite::Native, Profile::Standard);
    record.members = vec![(own, Role::Admin)];
    record.pending = Some(PendingCommit {
        hash: [4; 32],
        intent: 1,
        counter: 2,
        welcome: Some(vec![5; 20]),
        added: vec![(own, None)],
    });
    record.lost = Some(Lost {
        stale: true,
        epoch: 3,
        last_ms: 4,
        seen: (5, Some([6; 8])),
        asked: 1,
        asked_at_ms: 7,
    });
    let intent = IntentRecord {
        n: 1,
        group: group.clone(),
        spec: IntentSpec::Create(new),
        packages: vec![(own, vec![8; 10].into())],
        outcome: None,
        created_at_ms: 9,
    };
    let content = MessageContent {
        kind: "text".into(),
        body: serde_json::json!({ "body": "hello" }),
        relates_to: Some(quicproquo_core::content::RelatesTo {
            rel: "reply".into(),
            id: MessageId::new([1; 16]),
        }),
        sent_at_ms: 1,
        suite: Suite::Envelope,
        damaged: false,
    };
    let event = EventData::GroupMembersChanged {
        epoch: 1,
        by: own,
        added: vec![own],
        removed: vec![],
        left: vec![],
    };
    vec![
        cbor(&record),
        cbor(&OutboxRecord::lost(group, 1, 2)),
        cbor(&intent),
        cbor(&content),
        cbor(&event),
    ]
}

/// A record as it lies in a row of the corpus.
pub(crate) fn sealed(record: &[u8]) -> Vec<u8> {
    Sealer::new(&MASTER).seal("groups", b"row", record)
}

/// An identity with rows in many tables.
pub(crate) async fn exported() -> Exported {
    super::archive::tests::sample().await
}
