//! Files beside messages, through a real node.

use quicproquo_client::{
    Attachment, EventData, Idempotency, Message, Outgoing, Profile, Session, SessionError, Suite,
};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

use crate::world::{World, bot, group_of, meet, patient, until};

fn bytes(size: usize) -> Vec<u8> {
    (0..size).map(|n| u8::try_from(n % 251).unwrap()).collect()
}

fn place(offset: u64) -> usize {
    usize::try_from(offset).unwrap()
}

async fn upload(session: &Session, name: &str, content: &[u8]) -> Attachment {
    let mime = Some("application/x-test".to_owned());
    let mut upload = session.upload(Some(name.to_owned()), mime).unwrap();
    for part in content.chunks(100_000) {
        upload.write(part).await.unwrap();
    }
    upload.finish(None).await.unwrap().value
}

fn file(attachment: &Attachment) -> Outgoing {
    let body = json!({ "attachment_id": attachment.id, "caption": "look" });
    Outgoing { kind: "file".into(), body, relates_to: None }
}

async fn received(session: &Session, name: &str) -> Message {
    let is_it = |event: &EventData| matches!(event, EventData::MessageReceived(m) if m.body["name"] == name);
    match until(session, is_it).await.pop().unwrap().data {
        EventData::MessageReceived(message) => message,
        other => panic!("{other:?}"),
    }
}

/// What can be read of a part of an attachment, and why it ended.
async fn read(
    session: &Session,
    attachment: &Attachment,
    range: std::ops::Range<u64>,
) -> (Vec<u8>, Result<(), SessionError>) {
    let mut download = session.download(attachment, range).unwrap();
    let mut all = Vec::new();
    loop {
        match download.next().await {
            Ok(Some(part)) => all.extend(part),
            Ok(None) => return (all, Ok(())),
            Err(error) => return (all, Err(error)),
        }
    }
}

async fn whole(session: &Session, attachment: &Attachment) -> Vec<u8> {
    let (all, end) = read(session, attachment, 0..attachment.size).await;
    end.unwrap();
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn members_get_what_was_sent_and_nobody_else() {
    let world = World::new().await;
    let (first, second) = (world.client("a").await, world.client("b").await);
    let (alice, bob) = (bot(&first, "alice").await, bot(&second, "bob").await);
    let carol = bot(&second, "carol").await;
    let group = meet(Suite::Envelope, &alice, &[&bob]).await;
    for size in [0, 1, 65_536, 65_537, 3_000_000] {
        let (name, content) = (format!("{size}.bin"), bytes(size));
        let uploaded = upload(&alice, &name, &content).await;
        assert_eq!(uploaded.size, size as u64);
        let sent = alice.send(group.clone(), file(&uploaded), patient()).await.unwrap().value;
        let message = received(&bob, &name).await;
        for body in [&sent.body, &message.body] {
            let mut fields: Vec<&String> = body.as_object().unwrap().keys().collect();
            fields.sort();
            let expected = ["attachment_id", "caption", "encrypted", "mime", "name", "size"];
            assert_eq!(fields, expected, "nothing that opens it");
            assert_eq!(body["attachment_id"], json!(uploaded.id));
        }
        let found = bob.attachment(&uploaded.id, None).await.unwrap();
        assert_eq!((found.name.as_deref(), found.size), (Some(&name[..]), size as u64));
        assert_eq!(found.mime.as_deref(), Some("application/x-test"));
        assert_eq!(whole(&bob, &found).await, content);
        assert_eq!(whole(&alice, &found).await, content);
        let unknown = carol.attachment(&uploaded.id, None).await;
        assert_eq!(unknown, Err(SessionError::AttachmentNotFound));
        let elsewhere = bob.attachment(&uploaded.id, Some(&|id| *id != group)).await;
        assert_eq!(elsewhere, Err(SessionError::AttachmentNotFound));
        assert!(bob.attachment(&uploaded.id, Some(&|id| *id == group)).await.is_ok());
        if size == 3_000_000 {
            for range in [0..1, 65_535..65_537, 70_000..200_000, 2_999_999..3_000_000, 5..5] {
                let (part, end) = read(&bob, &found, range.clone()).await;
                let expected = &content[place(range.start)..place(range.end)];
                assert!(
                    part == expected && end.is_ok(),
                    "{range:?}: {} bytes, {end:?}",
                    part.len()
                );
            }
            assert!(bob.download(&found, 0..3_000_001).is_err());
            // What its sender deletes is nobody's any more.
            let relates_to =
                Some(quicproquo_client::RelatesTo { rel: "delete".into(), id: sent.id });
            let delete = Outgoing { kind: "delete".into(), body: json!({}), relates_to };
            alice.send(group.clone(), delete, patient()).await.unwrap();
            until(&bob, |e| matches!(e, EventData::MessageReceived(m) if m.kind == "delete")).await;
            let gone = bob.attachment(&uploaded.id, None).await;
            assert_eq!(gone, Err(SessionError::AttachmentNotFound));
        }
    }
    first.shutdown().await;
    second.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_in_a_hidden_group_can_be_read_once_the_invitation_is_accepted() {
    let world = World::new().await;
    let (first, second) = (world.client("a").await, world.client("b").await);
    let (alice, bob) = (bot(&first, "alice").await, bot(&second, "bob").await);
    let made = alice.create_group(group_of(Suite::Native, &[&bob]), patient()).await.unwrap();
    let group = made.value.group.id;
    let uploaded = upload(&alice, "early", b"early").await;
    alice.send(group.clone(), file(&uploaded), patient()).await.unwrap();
    until(&bob, |event| matches!(event, EventData::InvitationReceived(_))).await;
    let unknown = bob.attachment(&uploaded.id, None).await;
    assert_eq!(unknown, Err(SessionError::AttachmentNotFound));
    bob.accept(group).await.unwrap();
    received(&bob, "early").await;
    let found = bob.attachment(&uploaded.id, None).await.unwrap();
    assert_eq!(whole(&bob, &found).await, b"early");
    first.shutdown().await;
    second.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_node_changed_is_an_error_and_no_bytes() {
    let mut world = World::new().await;
    let client = world.client("a").await;
    let (alice, bob) = (bot(&client, "alice").await, bot(&client, "bob").await);
    let group = meet(Suite::Native, &alice, &[&bob]).await;
    let content = bytes(200_000);
    let uploaded = upload(&alice, "file", &content).await;
    alice.send(group, file(&uploaded), patient()).await.unwrap();
    received(&bob, "file").await;
    let found = bob.attachment(&uploaded.id, None).await.unwrap();
    assert_eq!(whole(&bob, &found).await, content);

    world.stop().await;
    let database = world.path().join("node/node.db");
    let mut connection = SqliteConnectOptions::new().filename(&database).connect().await.unwrap();
    let data: Vec<u8> =
        sqlx::query_scalar("SELECT data FROM pieces").fetch_one(&mut connection).await.unwrap();
    let mut changed = data.clone();
    changed[100_000] ^= 1;
    sqlx::query("UPDATE pieces SET data = ?").bind(changed).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    world.start().await;

    // Of a whole file the hash is known to be wrong before anything is given out.
    let (all, end) = read(&bob, &found, 0..found.size).await;
    assert_eq!((all.len(), end), (0, Err(SessionError::AttachmentDamaged)));
    // Of a part each chunk is looked at.
    let (some, end) = read(&bob, &found, 1..found.size).await;
    assert_eq!((&some[..], end), (&content[1..65_536], Err(SessionError::AttachmentDamaged)));
    let (last, end) = read(&bob, &found, 150_000..found.size).await;
    assert_eq!((&last[..], end), (&content[150_000..], Ok(())));
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_done_once_and_leaves_nothing_behind() {
    let world = World::new().await;
    let client = world.client("a").await;
    let alice = bot(&client, "alice").await;
    let group = meet(Suite::Native, &alice, &[]).await;
    let once =
        |fingerprint: u8| Some(Idempotency { key: "k".into(), fingerprint: [fingerprint; 32] });
    let again = async |fingerprint: u8| {
        let mut upload = alice.upload(None, None).unwrap();
        upload.write(b"content").await.unwrap();
        upload.finish(once(fingerprint)).await
    };
    let first = again(1).await.unwrap();
    let second = again(1).await.unwrap();
    assert_eq!((first.replayed, second.replayed), (false, true));
    assert_eq!(first.value, second.value);
    assert_eq!(again(2).await, Err(SessionError::IdempotencyMismatch));
    // One key is for one request, of whatever kind.
    let options = quicproquo_client::Options { idempotency: once(1), ..patient() };
    let mixed = alice.send(group.clone(), crate::world::text("x"), options).await;
    assert_eq!(mixed.unwrap_err(), SessionError::IdempotencyMismatch);
    drop(alice.upload(None, None).unwrap());
    assert_eq!(std::fs::read_dir(world.path().join("a/uploads")).unwrap().count(), 0);

    // Eight at once, and a place is free again when one is dropped.
    let running: Vec<_> = (0..8).map(|_| alice.upload(None, None).unwrap()).collect();
    assert_eq!(alice.upload(None, None).unwrap_err(), SessionError::UploadsBusy);
    drop(running);
    let mut large = alice.upload(None, None).unwrap();
    let mib = vec![0; 1024 * 1024];
    for _ in 0..100 {
        large.write(&mib).await.unwrap();
    }
    let refused = large.write(b"x").await.unwrap_err();
    assert!(matches!(refused, SessionError::TooLarge { limit: 104_857_600, .. }), "{refused}");

    // Only what was uploaded can be sent, and a plain group has no place for its key.
    let unknown = json!({ "attachment_id": "00".repeat(16) });
    for (body, expected) in [
        (unknown, "there is no such attachment"),
        (json!({}), "the content of a file has an \"attachment_id\""),
        (Value::Null, "the content of a file is an object"),
    ] {
        let outgoing = Outgoing { kind: "file".into(), body, relates_to: None };
        let refused = alice.send(group.clone(), outgoing, patient()).await.unwrap_err();
        assert_eq!(refused.to_string(), expected);
    }
    let new = group_of(Suite::Envelope, &[]);
    let new = quicproquo_client::NewGroup { profile: Profile::Plain, name: String::new(), ..new };
    let plain = alice.create_group(new, patient()).await.unwrap().value.group.id;
    let refused = alice.send(plain, file(&first.value), patient()).await.unwrap_err();
    assert!(matches!(refused, SessionError::Invalid(_)), "{refused}");
    client.shutdown().await;
}
