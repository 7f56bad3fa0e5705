//! What messages write, and how much memory groups take.

use quicproquo_client::{
    Client, ClientConfig, ContextChange, EventData, GroupId, Options, Role, Session, Suite,
};

use crate::world::{World, bot, heard, meet, patient, text, until};

/// Three groups of two, one bot of each in either client.
struct Rooms {
    world: World,
    clients: [Client; 2],
    bots: [Session; 2],
    groups: Vec<GroupId>,
}

impl Rooms {
    async fn new(loaded_bytes: usize) -> Self {
        let world = World::new().await;
        let config = |name| ClientConfig { loaded_bytes, ..world.config(name) };
        let clients =
            [Client::open(config("a")).await.unwrap(), Client::open(config("b")).await.unwrap()];
        let bots = [bot(&clients[0], "alice").await, bot(&clients[1], "bob").await];
        let mut groups = Vec::new();
        for suite in [Suite::Native, Suite::Envelope, Suite::Native] {
            groups.push(meet(suite, &bots[0], &[&bots[1]]).await);
        }
        Self { world, clients, bots, groups }
    }

    async fn end(self) {
        for client in &self.clients {
            client.shutdown().await;
        }
        drop(self.world);
    }
}

/// All groups talk, change and talk again, many inputs to a unit.
async fn talk(rooms: &Rooms) {
    let [alice, bob] = &rooms.bots;
    let (mut said, mut answers) = (Vec::new(), Vec::new());
    for round in 0..3 {
        let mut sends = Vec::new();
        for n in 0..8 {
            for (place, group) in rooms.groups.iter().enumerate() {
                let body = format!("{round} {n} {place}");
                sends.push(alice.send(group.clone(), text(&body), Options::default()));
                said.push(body);
            }
        }
        for send in sends {
            send.await.unwrap();
        }
        for group in &rooms.groups {
            alice.update_keys(group.clone(), patient()).await.unwrap();
            answers.push(format!("answer {}", answers.len()));
            let answer = text(answers.last().unwrap());
            bob.send(group.clone(), answer, patient()).await.unwrap();
        }
    }
    let mut received = heard(bob, said.last().unwrap()).await;
    received.sort();
    said.sort();
    assert_eq!(received, said);
    let received = heard(alice, answers.last().unwrap()).await;
    assert_eq!(received[received.len() - answers.len()..], answers);
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_that_leave_memory_at_once_lose_nothing() {
    let rooms = Rooms::new(0).await;
    talk(&rooms).await;
    for client in &rooms.clients {
        assert_eq!(client.usage().loaded_groups, 0);
    }
    rooms.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_stay_in_memory_while_there_is_room_and_not_longer() {
    let rooms = Rooms::new(usize::MAX).await;
    talk(&rooms).await;
    let usage = rooms.clients[1].usage();
    assert_eq!(usage.loaded_groups, 3);
    let alice = rooms.bots[0].identity();
    // Room for two of the three.
    rooms.clients[0].shutdown().await;
    let limit = usage.loaded_bytes * 3 / 4;
    let config = ClientConfig { loaded_bytes: limit, ..rooms.world.config("a") };
    let client = Client::open(config).await.unwrap();
    let again = client.session(&alice).unwrap();
    for group in &rooms.groups {
        again.send(group.clone(), text("again"), patient()).await.unwrap();
        let usage = client.usage();
        assert!(usage.loaded_bytes <= limit && usage.loaded_groups > 0, "{usage:?}");
    }
    assert_eq!(client.usage().loaded_groups, 2);
    client.shutdown().await;
    assert_eq!(client.usage().loaded_groups, 0, "a session that has ended keeps nothing");
    rooms.clients[1].shutdown().await;
}

/// What both clients have written, in bytes.
fn written(rooms: &Rooms) -> [u64; 2] {
    [&rooms.clients[0], &rooms.clients[1]].map(|client| client.usage().written_bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_writes_few_bytes() {
    let rooms = Rooms::new(usize::MAX).await;
    let [alice, bob] = &rooms.bots;
    // The first message opens branches of the trees of secrets.
    for group in &rooms.groups[..2] {
        alice.send(group.clone(), text("first"), patient()).await.unwrap();
    }
    for (place, group) in rooms.groups[..2].iter().enumerate() {
        let before = written(&rooms);
        for n in 0..10 {
            let body = format!("{place} {n}");
            alice.send(group.clone(), text(&body), patient()).await.unwrap();
            heard(bob, &body).await;
        }
        let after = written(&rooms);
        let one = [0, 1].map(|client| (after[client] - before[client]) / 10);
        // The outbox of an envelope group holds the sealed keys of the recipients.
        let most = [2048 + 1500 * place as u64, 1024];
        assert!(one[0] < most[0] && one[1] < most[1], "{one:?} bytes per message");
    }
    rooms.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_waits_reaches_the_members_of_the_epoch_in_which_it_leaves() {
    let mut world = World::new().await;
    let (client, other) = (world.client("a").await, world.client("b").await);
    let (alice, bob) = (bot(&client, "alice").await, bot(&other, "bob").await);
    let carol = bot(&other, "carol").await;
    let identity = alice.identity();
    let group = meet(Suite::Native, &alice, &[&bob]).await;
    let roles = vec![(bob.identity(), Role::Admin)];
    let admins = ContextChange { roles, ..ContextChange::default() };
    alice.change_context(group.clone(), admins, patient()).await.unwrap();

    world.stop().await;
    alice.send(group.clone(), text("waited"), Options::default()).await.unwrap();
    client.shutdown().await;
    world.start().await;
    bob.invite(group.clone(), vec![carol.identity()], patient()).await.unwrap();
    let client = world.client("a").await;
    let alice = client.session(&identity).unwrap();
    alice.send(group.clone(), text("last"), patient()).await.unwrap();
    until(&carol, |event| matches!(event, EventData::InvitationReceived(_))).await;
    carol.accept(group.clone()).await.unwrap();
    for session in [&bob, &carol] {
        assert_eq!(heard(session, "last").await, ["waited", "last"]);
    }
    client.shutdown().await;
    other.shutdown().await;
}
