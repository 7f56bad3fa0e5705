//! What the node refuses for good, or takes for nobody: its sender is told, everything else goes on.

use quicproquo_client::simulation::Move;
use quicproquo_client::{Event, EventData, GroupId, GroupState, Suite};
use quicproquo_schemas::limits::DEFAULT_TTL_SECS;
use quicproquo_tests::proving::world::block_on;
use quicproquo_tests::proving::{Kind, World};

const ALICE: usize = 0;
const BOB: usize = 1;

/// Members that have a group together, but the last one.
async fn group_of(members: usize, suite: Suite) -> (World, GroupId) {
    let mut world = World::new(0, members).await;
    let others = world.keys()[1..members - 1].to_vec();
    let made = world.ask(ALICE, None, Kind::Create(others, suite)).await;
    world.rest_well().await;
    let group = world.operations[made].group.clone().expect("a group");
    (world, group)
}

/// Of all that a member was told.
fn told<T>(world: &World, member: usize, of: impl Fn(&Event) -> Option<T>) -> Vec<T> {
    world.members[member].log.iter().filter_map(of).collect()
}

fn failed_change(event: &Event) -> Option<String> {
    match &event.data {
        EventData::GroupChangeFailed { reason } => Some(reason.clone()),
        _ => None,
    }
}

/// The next send of a member is refused for good.
fn reject(world: &World, member: usize) {
    world.sim.node().reject_sends(&world.members[member].key, 1);
}

/// Everybody is where the others are, and hears what anybody says.
async fn all_talk(world: &mut World, group: &GroupId, members: &[usize]) {
    let mut said = Vec::new();
    for member in members {
        said.push((*member, world.ask(*member, Some(group.clone()), Kind::Send).await));
    }
    world.rest_well().await;
    let first = world.epoch(members[0], group).await;
    for member in members {
        assert_eq!(world.stands(*member, group).await, Some(GroupState::Active));
        assert_eq!(world.epoch(*member, group).await, first, "{}", world.verdict);
        let heard = world.heard_by(*member);
        for (sender, number) in &said {
            assert!(sender == member || heard.contains(number), "{}", world.verdict);
        }
    }
}

#[test]
fn a_commit_that_is_refused_changes_nothing() {
    block_on(async {
        for suite in Suite::ALL {
            let (mut world, group) = group_of(3, suite).await;
            let before = world.epoch(ALICE, &group).await;
            reject(&world, ALICE);
            world.ask(ALICE, Some(group.clone()), Kind::Rename).await;
            let waits = world.ask(ALICE, Some(group.clone()), Kind::Send).await;
            world.rest_well().await;
            let failed = told(&world, ALICE, failed_change);
            assert!(failed.len() == 1 && failed[0].contains("TOO_LARGE"), "{failed:?}");
            assert_eq!(world.epoch(ALICE, &group).await, before);
            assert!(world.heard_by(BOB).contains(&waits), "what waited for it goes out");
            all_talk(&mut world, &group, &[ALICE, BOB]).await;
            // The next one is as good as any.
            world.ask(ALICE, Some(group.clone()), Kind::Rename).await;
            world.rest_well().await;
            assert_eq!(world.epoch(BOB, &group).await, before.map(|epoch| epoch + 1));
            world.ask(BOB, Some(group.clone()), Kind::Update).await;
            world.rest_well().await;
            all_talk(&mut world, &group, &[ALICE, BOB]).await;
            assert_eq!(told(&world, ALICE, failed_change).len(), 1);
            world.end().await;
        }
    });
}

#[test]
fn a_welcome_that_is_refused_is_told_and_the_change_stands() {
    block_on(async {
        for suite in Suite::ALL {
            let (mut world, group) = group_of(3, suite).await;
            let [alice, _, carol] = world.keys()[..] else { panic!("three members") };
            world.ask(ALICE, Some(group.clone()), Kind::Invite(vec![carol])).await;
            let commit_comes_back =
                move |a_move: &Move| matches!(a_move, Move::Push(of, _) if *of == alice);
            world.rest_but(commit_comes_back).await;
            reject(&world, ALICE);
            world.rest_well().await;
            let failed = told(&world, ALICE, failed_change);
            assert!(
                failed.len() == 1 && failed[0].contains("a Welcome was refused"),
                "{failed:?} {}",
                world.verdict
            );
            assert_eq!(world.stands(2, &group).await, None, "nobody has told carol");
            all_talk(&mut world, &group, &[ALICE, BOB]).await;
            // Removed and added once more, it joins.
            for kind in [Kind::Remove(vec![carol]), Kind::Invite(vec![carol])] {
                world.ask(ALICE, Some(group.clone()), kind).await;
                world.rest_well().await;
            }
            all_talk(&mut world, &group, &[ALICE, BOB, 2]).await;
            world.end().await;
        }
    });
}

/// Lets half a minute pass, after which what found no room is sent again.
async fn half_a_minute(world: &mut World) {
    world.sim.advance_to(world.sim.now_ms() + 30_000);
    world.quiet().await;
    world.rest().await;
}

#[test]
fn a_welcome_waits_for_room_in_a_queue() {
    block_on(async {
        for suite in Suite::ALL {
            let (mut world, group) = group_of(3, suite).await;
            let carol = world.keys()[2];
            world.sim.node().fill(&carol, true);
            world.ask(ALICE, Some(group.clone()), Kind::Invite(vec![carol])).await;
            world.rest().await;
            half_a_minute(&mut world).await;
            world.sim.node().fill(&carol, false);
            world.rest().await;
            assert_eq!(world.stands(2, &group).await, None);
            half_a_minute(&mut world).await;
            assert_eq!(
                world.stands(2, &group).await,
                Some(GroupState::Active),
                "{}",
                world.verdict
            );
            all_talk(&mut world, &group, &[ALICE, BOB, 2]).await;
            assert!(told(&world, ALICE, failed_change).is_empty(), "{}", world.verdict);
            world.end().await;
        }
    });
}

#[test]
fn a_welcome_that_finds_no_room_in_a_month_is_told() {
    block_on(async {
        let (mut world, group) = group_of(3, Suite::Native).await;
        let [alice, _, carol] = world.keys()[..] else { panic!("three members") };
        let node = world.sim.node().clone();
        node.fill(&carol, true);
        world.ask(ALICE, Some(group.clone()), Kind::Invite(vec![carol])).await;
        world.rest().await;
        node.cut_off(&alice, true);
        node.drop_link(&alice);
        let month = u64::from(DEFAULT_TTL_SECS) * 1000;
        world.sim.advance_to(world.sim.now_ms() + month - 60_000);
        world.quiet().await;
        node.cut_off(&alice, false);
        world.rest().await;
        half_a_minute(&mut world).await;
        assert!(told(&world, ALICE, failed_change).is_empty(), "{}", world.verdict);
        for _ in 0..3 {
            half_a_minute(&mut world).await;
        }
        let failed = told(&world, ALICE, failed_change);
        assert_eq!(failed, ["the queue of a new member stayed full"], "{}", world.verdict);
        world.end().await;
    });
}

#[test]
fn whose_proposal_to_leave_is_refused_stays() {
    block_on(async {
        for suite in Suite::ALL {
            let (mut world, group) = group_of(3, suite).await;
            reject(&world, BOB);
            world.ask(BOB, Some(group.clone()), Kind::Leave).await;
            world.rest_well().await;
            let failed = told(&world, BOB, failed_change);
            assert!(failed.len() == 1 && failed[0].contains("TOO_LARGE"), "{failed:?}");
            all_talk(&mut world, &group, &[ALICE, BOB]).await;
            // Nobody has its proposal, and it may commit.
            world.ask(BOB, Some(group.clone()), Kind::Update).await;
            world.rest_well().await;
            all_talk(&mut world, &group, &[ALICE, BOB]).await;
            world.ask(BOB, Some(group.clone()), Kind::Leave).await;
            world.rest_well().await;
            assert_eq!(
                world.stands(BOB, &group).await,
                Some(GroupState::Left),
                "{}",
                world.verdict
            );
            world.end().await;
        }
    });
}

#[test]
fn a_message_that_is_refused_has_failed_and_the_next_one_goes() {
    block_on(async {
        for suite in Suite::ALL {
            let (mut world, group) = group_of(3, suite).await;
            reject(&world, ALICE);
            let said = [
                world.ask(ALICE, Some(group.clone()), Kind::Send).await,
                world.ask(ALICE, Some(group.clone()), Kind::Send).await,
            ];
            world.rest_well().await;
            let failed = told(&world, ALICE, |event| match &event.data {
                EventData::MessageFailed(message) => Some(format!("{:?}", message.delivery)),
                _ => None,
            });
            assert!(failed.len() == 1 && failed[0].contains("TOO_LARGE"), "{failed:?}");
            let heard = world.heard_by(BOB);
            assert!(!heard.contains(&said[0]) && heard.contains(&said[1]), "{heard:?}");
            all_talk(&mut world, &group, &[ALICE, BOB]).await;
            world.end().await;
        }
    });
}

/// Bob's commit wins while the node refuses Alice's for now, and she learns of the refusal after that.
#[test]
fn a_refused_send_that_is_of_no_use_any_more_holds_up_no_other() {
    block_on(async {
        for suite in Suite::ALL {
            let (mut world, group) = group_of(3, suite).await;
            let alice = world.keys()[ALICE];
            let before = world.epoch(ALICE, &group).await;
            world.sim.node().refuse_sends(&alice, 1);
            let answers = |a_move: &Move| matches!(a_move, Move::Answer(of, _) if *of == alice);
            for member in [ALICE, BOB] {
                world.ask(member, Some(group.clone()), Kind::Update).await;
                world.rest_but(answers).await;
            }
            assert_eq!(world.epoch(ALICE, &group).await, before.map(|epoch| epoch + 1));
            world.rest_well().await;
            let after = world.epoch(BOB, &group).await;
            assert_eq!(after, before.map(|epoch| epoch + 2), "{}", world.verdict);
            all_talk(&mut world, &group, &[ALICE, BOB]).await;
            world.end().await;
        }
    });
}
