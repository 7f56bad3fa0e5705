//! Rows that somebody has changed in the file of the database: never taken for what they say.

use quicproquo_client::{
    DeliveryState, EventData, HistoryQuery, IdentityKey, InvitePolicy, LinkState, Session, Suite,
    TrustState,
};
use quicproquo_node::{Clock, Operator};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};

use crate::failures::link;
use crate::repair::copy;
use crate::world::{World, all, bot, heard, meet, patient, text, until};

/// A copy of the database of `a`, changed.
async fn changed(world: &World, name: &str, sqls: &[&str]) {
    copy(&world.path().join("a"), &world.path().join(name));
    let path = world.path().join(name).join("client.db");
    let mut database = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    for sql in sqls {
        let done = sqlx::query(AssertSqlSafe((*sql).to_owned())).execute(&mut database).await;
        assert!(done.unwrap().rows_affected() > 0, "{sql}");
    }
    database.close().await.unwrap();
}

/// Sets columns of a row of trust or names to those of another identity's.
fn moved(table: &str, columns: &str, from: &IdentityKey, to: &IdentityKey) -> String {
    format!(
        "UPDATE {table} SET ({columns}) = (SELECT {columns} FROM {table} AS other \
         WHERE other.identity = x'{from}') WHERE identity = x'{to}'"
    )
}

async fn trust(session: &Session, others: [IdentityKey; 3]) -> [TrustState; 3] {
    let mut found = [TrustState::Tofu; 3];
    for (trust, other) in found.iter_mut().zip(others) {
        *trust = session.known(&other).await.unwrap().trust;
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_verified_by_a_change_in_the_file() {
    use TrustState::{Changed, Tofu, Verified};
    let mut world = World::new().await;
    let (first, second) = (world.client("a").await, world.client("b").await);
    let (alice, bob) = (bot(&first, "alice").await, bot(&second, "bob").await);
    let carol = bot(&second, "carol").await;
    for name in ["bob", "carol"] {
        alice.resolve(name).await.unwrap();
    }
    alice.verify(bob.identity(), None).await.unwrap();
    // Eve, who was verified, has taken over the name of somebody else.
    let dave = bot(&second, "dave").await;
    alice.resolve("dave").await.unwrap();
    second.delete(&dave.identity()).await.unwrap();
    let mut operator = Operator::open(&world.path().join("node"), Clock::system()).await.unwrap();
    assert!(operator.release_name("dave", None).await.unwrap());
    let eve = bot(&second, "eve").await;
    alice.verify(eve.identity(), None).await.unwrap();
    eve.claim_name("dave").await.unwrap();
    assert_eq!(alice.resolve("dave").await, Ok(eve.identity()));
    let others = [bob.identity(), carol.identity(), eve.identity()];
    let before = trust(&alice, others).await;
    assert_eq!(before, [Verified, Tofu, Changed]);
    let own = alice.identity();
    first.shutdown().await;
    second.shutdown().await;
    world.stop().await;

    let [bob, carol, eve] = others;
    let verified = moved("trust", "first_seen, took_over, verified", &bob, &carol);
    let forgotten = format!("UPDATE trust SET took_over = 0 WHERE identity = x'{eve}'");
    let renamed = "UPDATE names SET changed = 0 WHERE name = 'dave'";
    let unnamed = "DELETE FROM names WHERE name = 'dave'";
    let unknown = format!("DELETE FROM trust WHERE identity = x'{eve}'");
    let stolen = format!("UPDATE names SET identity = x'{carol}' WHERE name = 'bob'");
    let (verified, forgotten) = (verified.as_str(), forgotten.as_str());
    let (unknown, stolen) = (unknown.as_str(), stolen.as_str());
    let cases: [(&[&str], [TrustState; 3]); 10] = [
        (&["UPDATE trust SET first_seen = first_seen"], before),
        (&[verified], [Verified, Changed, Changed]),
        (&[forgotten], before),
        (&[renamed], before),
        (&["UPDATE names SET changed = 2 WHERE name = 'dave'", forgotten], before),
        (&[unnamed], before),
        (&[unnamed, forgotten], before),
        (&[renamed, unknown], before),
        (&[stolen], [Verified, Changed, Changed]),
        (&["UPDATE names SET seal = NULL", "UPDATE trust SET verified = NULL"], [Changed; 3]),
    ];
    for (n, (sqls, expected)) in cases.into_iter().enumerate() {
        let name = format!("case-{n}");
        changed(&world, &name, sqls).await;
        let client = world.client(&name).await;
        let found = trust(&client.session(&own).unwrap(), others).await;
        client.shutdown().await;
        assert_eq!(found, expected, "{sqls:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_says_who_sent_it_and_what_became_of_it_or_is_damaged() {
    let mut world = World::new().await;
    let (first, second) = (world.client("a").await, world.client("b").await);
    let (alice, bob) = (bot(&first, "alice").await, bot(&second, "bob").await);
    let group = meet(Suite::Native, &alice, &[&bob]).await;
    let other = meet(Suite::Native, &alice, &[&bob]).await;
    bob.send(group.clone(), text("theirs"), patient()).await.unwrap();
    bob.send(other.clone(), text("elsewhere"), patient()).await.unwrap();
    heard(&alice, "theirs").await;
    heard(&alice, "elsewhere").await;
    alice.send(group.clone(), text("ours"), patient()).await.unwrap();
    until(&alice, |event| matches!(event, EventData::MessageSent(_))).await;
    let (own, theirs) = (alice.identity(), bob.identity());
    first.shutdown().await;
    second.shutdown().await;
    world.stop().await;

    let by = |sender: &IdentityKey, set: &str| {
        format!("UPDATE messages SET {set} WHERE sender = x'{sender}' AND group_id = x'{group}'")
    };
    // SQL, and how many of the three are as they were.
    let cases: Vec<(String, usize)> = vec![
        (by(&own, "epoch = epoch"), 3),
        (by(&theirs, &format!("sender = x'{own}'")), 2),
        (by(&own, &format!("sender = x'{theirs}'")), 2),
        (by(&theirs, &format!("group_id = x'{other}'")), 2),
        (by(&theirs, "message_id = zeroblob(16)"), 2),
        (by(&theirs, "received_at = received_at + 1"), 2),
        (by(&theirs, r#"state = '{"state":"failed","reason":"made up"}'"#), 2),
        (by(&theirs, "epoch = epoch + 1"), 2),
        (by(&theirs, "recipients = 9"), 2),
        (by(&own, r#"state = '{"state":"failed","reason":"made up"}'"#), 2),
        (by(&own, "recipients = 9"), 2),
        (by(&own, "epoch = epoch + 1"), 2),
        (by(&own, "seal = NULL"), 2),
        (by(&own, "seal = zeroblob(41)"), 2),
        (by(&theirs, "seal = zeroblob(41)"), 2),
    ];
    for (n, (sql, whole)) in cases.into_iter().enumerate() {
        let name = format!("case-{n}");
        changed(&world, &name, &[&sql]).await;
        let client = world.client(&name).await;
        let alice = client.session(&own).unwrap();
        let mut found = 0;
        for group in [&group, &other] {
            let query = HistoryQuery { limit: 10, ..HistoryQuery::default() };
            let page = alice.history(group, query).await.unwrap();
            for message in page.items.iter().filter(|message| message.kind == "text") {
                let sender = if message.body["body"] == "ours" { own } else { theirs };
                assert_eq!((message.sender, &message.delivery), (sender, &DeliveryState::Sent));
                assert_eq!(message.group == other, message.body["body"] == "elsewhere", "{sql}");
                found += 1;
            }
        }
        assert_eq!(found, whole, "{sql}");
        client.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_cannot_be_made_of_another_message() {
    let mut world = World::new().await;
    let (first, second) = (world.client("a").await, world.client("b").await);
    let (alice, bob) = (bot(&first, "alice").await, bot(&second, "bob").await);
    let group = meet(Suite::Native, &alice, &[&bob]).await;
    for said in ["pay once", "thank you"] {
        bob.send(group.clone(), text(said), patient()).await.unwrap();
    }
    heard(&alice, "thank you").await;
    alice.send(group.clone(), text("ours"), patient()).await.unwrap();
    until(&alice, |event| matches!(event, EventData::MessageSent(_))).await;
    let before = all(&alice).await;
    let own = alice.identity();
    first.shutdown().await;
    second.shutdown().await;
    world.stop().await;

    let theirs = "UPDATE events SET message = (SELECT MIN(seq) FROM messages WHERE seal IS NULL) \
                  WHERE kind = 'message.sent'";
    let failed = "UPDATE events SET kind = 'message.failed' WHERE kind = 'message.sent'";
    let heard = "UPDATE events SET kind = 'message.received' WHERE kind = 'message.sent'";
    let cases = ["UPDATE events SET kind = kind", theirs, failed, heard];
    for (n, sql) in cases.into_iter().enumerate() {
        let name = format!("case-{n}");
        changed(&world, &name, &[sql]).await;
        let client = world.client(&name).await;
        let after = all(&client.session(&own).unwrap()).await;
        client.shutdown().await;
        assert_eq!(after.len(), before.len(), "{sql}");
        let others: Vec<_> =
            before.iter().zip(&after).filter(|(was, is)| was.data != is.data).collect();
        assert_eq!(others.len(), usize::from(n > 0), "{sql}: {others:?}");
        let damaged = |event: &EventData| matches!(event, EventData::MessageUndecryptable { reason, .. } if reason == "damaged");
        assert!(others.iter().all(|(_, is)| damaged(&is.data)), "{sql}: {others:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_session_may_do_is_not_changed_in_the_file() {
    let mut world = World::new().await;
    let client = world.client("a").await;
    let alice = bot(&client, "alice").await;
    let own = alice.identity();
    alice.set_invite_policy(InvitePolicy::None).await.unwrap();
    client.shutdown().await;
    world.stop().await;
    let policy = |text: &str| format!("UPDATE identities SET invite_policy = '{text}'");
    let all = policy(r#"{"policy":"all"}"#);
    let text = serde_json::to_string(&InvitePolicy::All).unwrap();
    assert_eq!(all, policy(&text), "it is what is written");
    for (n, (sql, found)) in [
        ("UPDATE identities SET tail = tail", InvitePolicy::None),
        (all.as_str(), InvitePolicy::Ask),
        ("UPDATE identities SET policy_seal = NULL", InvitePolicy::Ask),
        ("UPDATE identities SET policy_seal = halted_seal", InvitePolicy::Ask),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("policy-{n}");
        changed(&world, &name, &[sql]).await;
        let client = world.client(&name).await;
        let alice = client.session(&own).unwrap();
        assert_eq!(alice.invite_policy().await.unwrap(), found, "{sql}");
        client.shutdown().await;
    }

    // Of an exported bot and its copy one speaks.
    let client = world.client("a").await;
    let key = quicproquo_client::ArchiveKey::Key([1; 32].into());
    client.export(&own, key).await.unwrap();
    client.shutdown().await;
    for (n, sql) in [
        "UPDATE identities SET tail = tail",
        "UPDATE identities SET halted = NULL",
        "UPDATE identities SET halted = NULL, halted_seal = NULL",
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("halted-{n}");
        changed(&world, &name, &[sql]).await;
        let client = world.client(&name).await;
        link(&client.session(&own).unwrap(), LinkState::Exported).await;
        client.shutdown().await;
    }
}
