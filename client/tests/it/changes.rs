//! Messages about other messages: edits, deletions, reactions, read markers, and who is writing.

use quicproquo_client::{
    EventData, GroupId, HistoryQuery, Message, MessageId, Outgoing, RelatesTo, Session,
    SessionError, Suite,
};
use serde_json::{Value, json};

use crate::world::{World, all, bot, heard, meet, patient, text, until};

fn about(kind: &str, id: MessageId, body: Value) -> Outgoing {
    let relates_to = Some(RelatesTo { rel: kind.to_owned(), id });
    Outgoing { kind: kind.to_owned(), body, relates_to }
}

async fn change(by: &Session, group: &GroupId, outgoing: Outgoing) -> Message {
    by.send(group.clone(), outgoing, patient()).await.unwrap().value
}

/// Waits until somebody has received a message of a type.
async fn gets(session: &Session, kind: &str, nth: usize) {
    let mut seen = 0;
    let seen = std::cell::RefCell::new(&mut seen);
    until(session, |event| match event {
        EventData::MessageReceived(message) if message.kind == kind => {
            **seen.borrow_mut() += 1;
            **seen.borrow() > nth
        }
        _ => false,
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_see_what_a_message_has_become() {
    let world = World::new().await;
    let (first, second) = (world.client("a").await, world.client("b").await);
    let (alice, bob) = (bot(&first, "alice").await, bot(&second, "bob").await);
    let group = meet(Suite::Native, &alice, &[&bob]).await;
    let sent = alice.send(group.clone(), text("tpyo"), patient()).await.unwrap().value;
    heard(&bob, "tpyo").await;

    let body = json!({ "body": "typo" });
    change(&alice, &group, about("edit", sent.id, body.clone())).await;
    gets(&bob, "edit", 0).await;
    change(&bob, &group, about("reaction", sent.id, json!({ "key": "👍" }))).await;
    gets(&alice, "reaction", 0).await;
    change(&bob, &group, about("read", sent.id, json!({}))).await;
    gets(&alice, "read", 0).await;
    for session in [&alice, &bob] {
        let history = session.history(&group, HistoryQuery { limit: 10, ..Default::default() });
        let [message] = &history.await.unwrap().items[..] else { panic!("one message") };
        assert_eq!((&message.body, &message.kind[..]), (&body, "text"));
        assert!(message.edited_at_ms.is_some());
        assert_eq!(message.reactions[0].by, [bob.identity()]);
        assert_eq!(session.message(&group, &sent.id).await.unwrap(), *message);
    }

    let refused = bob.send(group.clone(), about("delete", sent.id, json!({})), patient()).await;
    assert_eq!(refused.unwrap_err(), SessionError::NotYourMessage);
    change(&alice, &group, about("delete", sent.id, json!({}))).await;
    gets(&bob, "delete", 0).await;
    for session in [&alice, &bob] {
        let message = session.message(&group, &sent.id).await.unwrap();
        assert_eq!((&message.kind[..], &message.body), ("deleted", &Value::Null));
        assert!(message.deleted_at_ms.is_some() && message.reactions.is_empty());
        // Nor does the log say it any more.
        let log = format!("{:?}", all(session).await);
        assert!(!log.contains("tpyo") && !log.contains("typo"), "{log}");
    }
    let edit = about("edit", sent.id, json!({ "body": "again" }));
    let refused = alice.send(group.clone(), edit, patient()).await.unwrap_err();
    assert!(matches!(refused, SessionError::NotEditable(_)), "{refused}");
    first.shutdown().await;
    second.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_about_nothing_is_refused() {
    let world = World::new().await;
    let client = world.client("a").await;
    let alice = bot(&client, "alice").await;
    let group = meet(Suite::Native, &alice, &[]).await;
    let nobody = MessageId::new([7; 16]);
    for kind in ["edit", "delete", "reaction", "read"] {
        let outgoing = about(kind, nobody, json!({ "body": "x", "key": "+" }));
        let refused = alice.send(group.clone(), outgoing, patient()).await.unwrap_err();
        assert_eq!(refused, SessionError::MessageNotFound, "{kind}");
    }
    let sent = alice.send(group.clone(), text("x"), patient()).await.unwrap().value.id;
    for body in [json!({}), json!({ "key": "" }), json!({ "key": "\n" }), json!({ "key": 7 })] {
        let outgoing = about("reaction", sent, body.clone());
        let refused = alice.send(group.clone(), outgoing, patient()).await.unwrap_err();
        assert!(matches!(refused, SessionError::Invalid(_)), "{body}");
    }
    // The relation is that of the type.
    let mut outgoing = about("reaction", sent, json!({ "key": "+" }));
    outgoing.relates_to = Some(RelatesTo { rel: "reply".into(), id: sent });
    let refused = alice.send(group.clone(), outgoing, patient()).await.unwrap_err();
    assert!(matches!(refused, SessionError::Invalid(_)));
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_writing_is_an_event_and_no_message() {
    let world = World::new().await;
    let (first, second) = (world.client("a").await, world.client("b").await);
    let (alice, bob) = (bot(&first, "alice").await, bot(&second, "bob").await);
    let group = meet(Suite::Envelope, &alice, &[&bob]).await;
    let kind = "typing".to_owned();
    let typing = Outgoing { kind, body: json!({ "active": true }), relates_to: None };
    change(&alice, &group, typing).await;
    let is_typing = |event: &EventData| matches!(event, EventData::MemberTyping { by, active: true, .. } if *by == alice.identity());
    until(&bob, is_typing).await;
    for session in [&alice, &bob] {
        let query = HistoryQuery { limit: 10, ..HistoryQuery::default() };
        assert!(session.history(&group, query).await.unwrap().items.is_empty());
        let log = all(session).await;
        assert!(!log.iter().any(|event| event.data.kind().starts_with("message.")), "{log:#?}");
    }
    first.shutdown().await;
    second.shutdown().await;
}
