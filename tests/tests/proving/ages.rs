//! Months pass: keys are replaced in time, former private halves go, and everybody still talks.

use std::time::Duration;

use quicproquo_client::simulation::Move;
use quicproquo_client::{Event, EventData, GroupId, GroupState, Suite};
use quicproquo_tests::proving::world::block_on;
use quicproquo_tests::proving::{Kind, World};
use sqlx::{ConnectOptions as _, Connection as _};

const DAY_MS: u64 = 24 * 3600 * 1000;

/// Days pass, hour by hour for the timers, and all arrives.
async fn days(world: &mut World, count: u64) {
    days_but(world, count, |_| false).await;
}

/// The same, without what is held up.
async fn days_but(world: &mut World, count: u64, held_up: impl Fn(&Move) -> bool) {
    let until = world.sim.now_ms() + DAY_MS * count;
    while world.sim.now_ms() < until {
        world.pass_time(Some(Duration::from_millis(until - world.sim.now_ms())));
        world.quiet().await;
        world.rest_but(&held_up).await;
    }
}

async fn epoch(world: &World, group: &GroupId) -> u64 {
    let (_, session) = world.members[0].running.as_ref().expect("it runs");
    session.group(group).await.expect("the group").epoch
}

/// The numbers of the hybrid keys in a database that nobody has open.
async fn hybrid_keys(world: &World, index: usize) -> Vec<i64> {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(world.database(index));
    let mut connection = options.connect().await.expect("the database");
    let keys = sqlx::query_scalar("SELECT n FROM hybrid_keys ORDER BY n")
        .fetch_all(&mut connection)
        .await
        .expect("the keys");
    connection.close().await.expect("closed");
    keys
}

#[test]
fn keys_are_replaced_in_time_and_former_halves_go() {
    block_on(async {
        let mut world = World::new(0, 3).await;
        let others = world.keys()[1..].to_vec();
        let mut groups = Vec::new();
        for suite in Suite::ALL {
            let made = world.ask(0, None, Kind::Create(others.clone(), suite)).await;
            world.rest().await;
            groups.push(world.operations[made].group.clone().expect("a group"));
        }
        let first = epoch(&world, &groups[0]).await;
        for week in 1..=20 {
            days(&mut world, 7).await;
            for group in &groups {
                for member in 0..3 {
                    world.ask(member, Some(group.clone()), Kind::Send).await;
                }
            }
            world.rest().await;
            assert!(world.verdict.faults.is_empty(), "week {week}: {}", world.verdict);
        }
        // Each of the three has new keys in each group, about every week.
        let updates = epoch(&world, &groups[0]).await - first;
        assert!((48..=66).contains(&updates), "{updates} commits in 20 weeks");
        world.crash(1).await;
        let keys = hybrid_keys(&world, 1).await;
        // One a week, and those of the last 105 days are there: 15 former ones and the newest.
        assert!(keys.last().is_some_and(|newest| (20..=22).contains(newest)), "{keys:?}");
        assert!((15..=17).contains(&keys.len()), "{keys:?}");
        world.start(1).await;
        world.settle().await;
        world.judge().await;
        world.end().await.assert_clean("after 20 weeks");
    });
}

/// The others seal for the key that the newer copy has put into its leaf, whose private half an
/// older copy lacks.
#[test]
fn an_old_copy_without_the_key_of_its_leaf_is_added_again() {
    block_on(async {
        let mut world = World::new(0, 3).await;
        world.losses = true;
        let others = world.keys()[1..].to_vec();
        let made = world.ask(0, None, Kind::Create(others, Suite::Envelope)).await;
        world.rest().await;
        let group = world.operations[made].group.clone().expect("a group");
        world.back_up(0).await;
        // Twice, so that the package's key and the leaf's are both of the newer copy alone.
        days(&mut world, 15).await;
        world.ask(0, Some(group.clone()), Kind::Send).await;
        world.rest().await;
        world.restore(0).await;
        world.settle().await;
        assert_eq!(world.stands(0, &group).await, Some(GroupState::Active), "{}", world.verdict);
        world.judge().await;
        world.end().await.assert_clean("at the end");
    });
}

/// What waits for a commit that the node never gets is not kept for ever: who has said it is told, and what
/// is said later goes on.
#[test]
fn what_could_not_be_encrypted_in_a_month_has_failed() {
    block_on(async {
        let mut world = World::new(0, 2).await;
        world.losses = true;
        let [alice, bob] = world.keys()[..] else { panic!("two members") };
        let made = world.ask(0, None, Kind::Create(vec![bob], Suite::Envelope)).await;
        world.rest_well().await;
        let group = world.operations[made].group.clone();
        let apart = move |a_move: &Move| match a_move {
            Move::Serve(of) | Move::Push(of, _) => *of == alice,
            _ => false,
        };
        world.ask(0, group.clone(), Kind::Update).await;
        let lost = world.ask(0, group.clone(), Kind::Send).await;
        let failed = |world: &World| {
            let failed = |event: &Event| match &event.data {
                EventData::MessageFailed(message) => Some(format!("{:?}", message.delivery)),
                _ => None,
            };
            world.members[0].log.iter().filter_map(failed).collect::<Vec<_>>()
        };
        days_but(&mut world, 29, apart).await;
        assert!(failed(&world).is_empty(), "{}", world.verdict);
        days_but(&mut world, 2, apart).await;
        let told = failed(&world);
        assert!(told.len() == 1 && told[0].contains("time to live"), "{told:?} {}", world.verdict);
        let later = world.ask(0, group.clone(), Kind::Send).await;
        world.settle().await;
        assert_eq!(failed(&world).len(), 1, "{}", world.verdict);
        let heard = world.heard_by(1);
        assert!(heard.contains(&later) && !heard.contains(&lost), "{heard:?}");
        world.end().await.assert_clean("at the end");
    });
}
