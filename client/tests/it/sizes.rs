//! Groups of ten and of a hundred, in both policies.

use quicproquo_client::{Client, ClientConfig, EventData, InvitePolicy, NewGroup, Session, Suite};

use crate::world::{World, bot, group_of, heard, members, patient, text, until};

#[tokio::test(flavor = "multi_thread")]
async fn envelope_groups_of_ten_and_of_a_hundred_talk_and_change() {
    talk_and_change(Suite::Envelope).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn native_groups_of_ten_and_of_a_hundred_talk_and_change() {
    talk_and_change(Suite::Native).await;
}

async fn talk_and_change(suite: Suite) {
    let world = World::new().await;
    let first = world.client("a").await;
    let alice = bot(&first, "alice").await;
    let config = ClientConfig { key_package_stock: 2, ..world.config("b") };
    let second = Client::open(config).await.unwrap();
    let mut others = Vec::new();
    for n in 0..99 {
        let session = bot(&second, &format!("bot{n}")).await;
        session.set_invite_policy(InvitePolicy::All).await.unwrap();
        others.push(session);
    }
    for size in [10, 100] {
        let (others, left) = (&others[..size - 1], &others[size - 2]);
        let keys = others.iter().map(Session::identity).collect();
        let new = NewGroup { members: keys, ..group_of(suite, &[]) };
        let group = alice.create_group(new, patient()).await.unwrap().value.group.id;
        let said = format!("to {size} in {suite:?}");
        alice.send(group.clone(), text(&said), patient()).await.unwrap();
        for session in others {
            heard(session, &said).await;
        }
        let answer = format!("from the last of {size} in {suite:?}");
        left.send(group.clone(), text(&answer), patient()).await.unwrap();
        for session in others.iter().filter(|it| it.identity() != left.identity()).chain([&alice]) {
            heard(session, &answer).await;
        }
        alice.remove(group.clone(), vec![left.identity()], patient()).await.unwrap();
        until(left, |event| matches!(event, EventData::GroupLeft { .. })).await;
        let after = format!("{} are left in {suite:?}", size - 1);
        alice.send(group.clone(), text(&after), patient()).await.unwrap();
        for session in &others[..size - 2] {
            heard(session, &after).await;
            assert_eq!(members(session, &group).await.len(), size - 1);
        }
    }
    first.shutdown().await;
    second.shutdown().await;
}
