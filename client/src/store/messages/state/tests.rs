//! Real rows, and what readers see of them.

use std::sync::Arc;
use std::time::Duration;

use quicproquo_core::content::RelatesTo;
use quicproquo_core::suite::Suite;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::config::MasterKey;
use crate::model::HistoryQuery;

const OWNER: Owner = Owner(1);
const ALICE: u8 = 1;
const BOB: u8 = 2;
const CAROL: u8 = 3;
const MESSAGE: u8 = 7;

struct Log {
    _dir: TempDir,
    store: Arc<Store>,
    seq: u64,
}

fn key(of: u8) -> IdentityKey {
    IdentityKey::from_slice(&[of; 32]).unwrap()
}

fn id(of: u8) -> MessageId {
    MessageId::new([of; 16])
}

impl Log {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let master = MasterKey::File(dir.path().join("key"));
        let store = Store::open(
            dir.path(),
            &master,
            Duration::from_mins(1),
            1024,
            crate::config::Sync::Full,
        )
        .await
        .unwrap();
        Self { _dir: dir, store, seq: 0 }
    }

    fn group() -> GroupId {
        GroupId::from_slice(&[9; 32]).unwrap()
    }

    /// Writes what a member has said, as receiving does.
    async fn say(&mut self, by: u8, as_id: u8, kind: &str, body: Value, about: Option<u8>) {
        self.seq += 1;
        let relates_to = about.map(|to| RelatesTo { rel: kind.to_owned(), id: id(to) });
        let message = StoredMessage {
            seq: self.seq,
            own: false,
            group: Self::group(),
            sender: key(by),
            id: id(as_id),
            epoch: 1,
            received_at_ms: 1000 * self.seq,
            recipients: 0,
            delivery: DeliveryState::Sent,
            deleted_at_ms: None,
            content: MessageContent {
                kind: kind.to_owned(),
                body,
                relates_to: relates_to.clone(),
                sent_at_ms: 1,
                suite: Suite::Envelope,
                damaged: false,
            },
        };
        let mut batch = self.store.batch();
        batch.message(OWNER, &message);
        if let Some(relation) = relates_to.filter(|relation| relation.rel == "delete") {
            batch.message_deleted(OWNER, &Self::group(), &relation.id, &key(by), 1000 * self.seq);
        }
        self.store.write(batch).await.unwrap();
    }

    async fn text(&mut self, by: u8, as_id: u8, text: &str) {
        self.say(by, as_id, "text", json!({ "body": text }), None).await;
    }

    async fn shown(&self) -> Vec<Message> {
        self.search(HistoryQuery::default()).await
    }

    async fn search(&self, query: HistoryQuery) -> Vec<Message> {
        let query = HistoryQuery { limit: 100, ..query };
        let page = self.store.history(OWNER, &key(ALICE), &Self::group(), query).await.unwrap();
        let mut items = page.items;
        items.reverse();
        items
    }

    /// Bytes of the contents in the table, by position.
    async fn contents(&self) -> Vec<i64> {
        let query = "SELECT length(content) FROM messages ORDER BY seq";
        sqlx::query_scalar(query).fetch_all(&self.store.reads).await.unwrap()
    }
}

#[tokio::test]
async fn only_its_sender_edits_a_message() {
    let mut log = Log::new().await;
    log.text(ALICE, MESSAGE, "first").await;
    log.say(BOB, 8, "edit", json!({ "body": "forged" }), Some(MESSAGE)).await;
    let [message] = &log.shown().await[..] else { panic!("one message") };
    assert_eq!((&message.body["body"], message.edited_at_ms), (&json!("first"), None));
    for (as_id, text) in [(10, "second"), (11, "third")] {
        log.say(ALICE, as_id, "edit", json!({ "body": text }), Some(MESSAGE)).await;
    }
    let [message] = &log.shown().await[..] else { panic!("one message") };
    assert_eq!((&message.body["body"], message.edited_at_ms), (&json!("third"), Some(4000)));
    // What is no content for a text changes nothing.
    log.say(ALICE, 20, "edit", json!({ "text": "?" }), Some(MESSAGE)).await;
    let message = &log.shown().await[0];
    assert_eq!((&message.body["body"], message.edited_at_ms), (&json!("first"), None));
}

#[tokio::test]
async fn only_its_sender_deletes_a_message_and_then_its_bytes_are_gone() {
    let mut log = Log::new().await;
    log.text(ALICE, MESSAGE, "secret").await;
    log.say(ALICE, 8, "edit", json!({ "body": "secret too" }), Some(MESSAGE)).await;
    // Bob has used the same id.
    log.text(BOB, MESSAGE, "another").await;
    log.say(BOB, 9, "delete", json!({}), Some(MESSAGE)).await;
    let shown = log.shown().await;
    assert_eq!(shown.len(), 2);
    assert_eq!(shown[0].body["body"], "secret too");
    assert_eq!((shown[1].kind.as_str(), shown[1].deleted_at_ms), ("deleted", Some(4000)));
    assert!(log.contents().await[..2].iter().all(|bytes| *bytes > 0));
    assert_eq!(log.contents().await[2], 0);

    log.say(ALICE, 10, "reaction", json!({ "key": "+" }), Some(MESSAGE)).await;
    log.say(ALICE, 11, "delete", json!({}), Some(MESSAGE)).await;
    assert_eq!(log.contents().await[..3], [0, 0, 0]);
}

#[tokio::test]
async fn a_deletion_that_comes_first_counts() {
    let mut log = Log::new().await;
    log.say(ALICE, 8, "delete", json!({}), Some(MESSAGE)).await;
    log.text(ALICE, MESSAGE, "late").await;
    let [message] = &log.shown().await[..] else { panic!("one message") };
    assert_eq!((message.kind.as_str(), &message.body), ("deleted", &Value::Null));
    assert!(message.reactions.is_empty());
}

#[tokio::test]
async fn reactions_are_gathered_by_key_and_member() {
    let mut log = Log::new().await;
    log.text(ALICE, MESSAGE, "hi").await;
    let plus = || json!({ "key": "+" });
    log.say(BOB, 8, "reaction", plus(), Some(MESSAGE)).await;
    log.say(BOB, 9, "reaction", plus(), Some(MESSAGE)).await;
    log.say(ALICE, 10, "reaction", plus(), Some(MESSAGE)).await;
    log.say(ALICE, 11, "reaction", json!({ "key": "tea" }), Some(MESSAGE)).await;
    let reactions = log.shown().await.remove(0).reactions;
    let expected = [("+", vec![key(BOB), key(ALICE)]), ("tea", vec![key(ALICE)])];
    let expected = expected.map(|(key, by)| Reaction { key: key.to_owned(), by });
    assert_eq!(reactions, expected);
    // Nobody takes back what another has said.
    let off = |key: &str| json!({ "key": key, "active": false });
    log.say(BOB, 12, "reaction", off("tea"), Some(MESSAGE)).await;
    assert_eq!(log.shown().await.remove(0).reactions, expected);
    log.say(ALICE, 13, "reaction", off("tea"), Some(MESSAGE)).await;
    log.say(BOB, 14, "reaction", off("+"), Some(MESSAGE)).await;
    let left = [Reaction { key: "+".to_owned(), by: vec![key(ALICE)] }];
    assert_eq!(log.shown().await.remove(0).reactions, left);
}

#[tokio::test]
async fn history_is_searched_by_time_and_type() {
    let mut log = Log::new().await;
    log.text(ALICE, 1, "one").await;
    log.say(BOB, 2, "org.example.move", json!([1]), None).await;
    log.say(BOB, 3, "reaction", json!({ "key": "+" }), Some(1)).await;
    log.say(ALICE, 4, "org.example.other", json!({}), None).await;
    log.text(BOB, 5, "two").await;
    let ids = |messages: Vec<Message>| messages.iter().map(|m| m.id).collect::<Vec<_>>();
    assert_eq!(ids(log.shown().await), [1, 2, 4, 5].map(id));
    let kinds = |kinds: &[&str]| HistoryQuery {
        kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
        ..HistoryQuery::default()
    };
    assert_eq!(ids(log.search(kinds(&["text"])).await), [1, 5].map(id));
    assert_eq!(ids(log.search(kinds(&["org.example.move", "reaction"])).await), [2, 3].map(id));
    let between =
        HistoryQuery { since_ms: Some(2000), until_ms: Some(5000), ..HistoryQuery::default() };
    assert_eq!(ids(log.search(between).await), [2, 4].map(id));
}

#[tokio::test]
async fn pages_of_a_search_lead_to_all_that_is_found() {
    let mut log = Log::new().await;
    for n in 1..=60 {
        let kind = if n % 20 == 0 { "org.example.rare" } else { "org.example.common" };
        log.say(BOB, n, kind, json!({}), None).await;
    }
    let (mut before, mut found) = (None, Vec::new());
    loop {
        let query = HistoryQuery {
            kinds: vec!["org.example.rare".to_owned()],
            limit: 1,
            before,
            ..HistoryQuery::default()
        };
        let own = key(ALICE);
        let page = log.store.history(OWNER, &own, &Log::group(), query).await.unwrap();
        assert!(page.items.len() <= 1);
        found.extend(page.items.iter().map(|message| message.id));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(found, [60, 40, 20].map(id));
}

/// However much one member says about a message, what others have said stays.
#[tokio::test]
async fn nobody_pushes_the_changes_of_others_out_of_view() {
    let mut log = Log::new().await;
    log.text(ALICE, MESSAGE, "first").await;
    log.text(BOB, MESSAGE, "the same id").await;
    log.say(ALICE, 8, "edit", json!({ "body": "second" }), Some(MESSAGE)).await;
    log.say(ALICE, 9, "reaction", json!({ "key": "+" }), Some(MESSAGE)).await;
    for n in 10..=255 {
        log.say(BOB, n, "reaction", json!({ "key": n.to_string() }), Some(MESSAGE)).await;
        log.say(CAROL, n, "edit", json!({ "body": "forged" }), Some(MESSAGE)).await;
    }
    log.say(BOB, 1, "reaction", json!({ "key": "x".repeat(256) }), Some(MESSAGE)).await;
    let shown = log.shown().await;
    assert_eq!(shown[0].body["body"], "second");
    for message in &shown {
        let reactions = &message.reactions;
        assert_eq!(reactions[0], Reaction { key: "+".to_owned(), by: vec![key(ALICE)] });
        // Bob's newest 32, of which the last is none.
        assert_eq!(reactions.len(), 1 + 31);
        assert!(reactions[1..].iter().all(|reaction| reaction.by == [key(BOB)]));
    }
}

#[tokio::test]
async fn what_is_no_message_leaves_none_when_it_is_deleted() {
    let mut log = Log::new().await;
    log.text(ALICE, MESSAGE, "hi").await;
    log.say(BOB, 8, "reaction", json!({ "key": "+" }), Some(MESSAGE)).await;
    log.say(BOB, 9, "delete", json!({}), Some(8)).await;
    let [message] = &log.shown().await[..] else { panic!("one message") };
    assert_eq!((message.kind.as_str(), message.reactions.len()), ("text", 0));
}

#[tokio::test]
async fn the_sweep_empties_what_came_after_its_deletion() {
    let mut log = Log::new().await;
    log.say(ALICE, 8, "delete", json!({}), Some(MESSAGE)).await;
    log.text(ALICE, MESSAGE, "late").await;
    log.text(BOB, MESSAGE, "another").await;
    assert!(log.contents().await[1] > 0);
    let mut batch = log.store.batch();
    batch.empty_deleted(OWNER, 1);
    log.store.write(batch).await.unwrap();
    let contents = log.contents().await;
    assert!(contents[1] == 0 && contents[2] > 0, "{contents:?}");
}
