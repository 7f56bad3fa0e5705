//! An old copy of a database with something to send: what the newer one has sent is not said twice.

use quicproquo_client::{Event, EventData, GroupState, Suite};
use quicproquo_tests::proving::world::block_on;
use quicproquo_tests::proving::{Kind, World};

const ALICE: usize = 0;
const BOB: usize = 1;

fn away(world: &World, away: bool) {
    let alice = world.members[ALICE].key;
    world.sim.node().cut_off(&alice, away);
    if away {
        world.sim.node().drop_link(&alice);
    }
}

/// How often a member has heard an operation.
fn times(world: &World, member: usize, operation: usize) -> usize {
    world.heard_by(member).iter().filter(|heard| **heard == operation).count()
}

#[test]
fn an_old_copy_says_once_what_it_has_to_say() {
    block_on(async {
        for suite in Suite::ALL {
            let mut world = World::new(0, 3).await;
            world.losses = true;
            let others = world.keys()[1..].to_vec();
            let made = world.ask(ALICE, None, Kind::Create(others, suite)).await;
            world.rest_well().await;
            let group = world.operations[made].group.clone();
            let first = world.ask(ALICE, group.clone(), Kind::Send).await;
            world.rest_well().await;

            // What is on its way, what waits for a commit and what waits for the link: the newer copy sends
            // it all.
            let flying = world.ask(ALICE, group.clone(), Kind::Send).await;
            world.ask(ALICE, group.clone(), Kind::Update).await;
            let waiting = world.ask(ALICE, group.clone(), Kind::Send).await;
            away(&world, true);
            let message = world.ask(ALICE, group.clone(), Kind::Send).await;
            world.ask(ALICE, group.clone(), Kind::Rename).await;
            world.back_up(ALICE).await;
            away(&world, false);
            world.rest_well().await;
            assert_eq!(times(&world, BOB, message), 1, "{}", world.verdict);
            let newer = world.ask(ALICE, group.clone(), Kind::Send).await;
            world.rest_well().await;

            // What the old copy takes before it knows what it is.
            away(&world, true);
            world.restore(ALICE).await;
            let later = world.ask(ALICE, group.clone(), Kind::Send).await;
            away(&world, false);
            let restored = world.verdict.story.len();
            world.settle().await;

            let id = group.as_ref().expect("a group");
            assert_eq!(
                world.stands(ALICE, id).await,
                Some(GroupState::Active),
                "{}",
                world.verdict
            );
            for operation in [first, flying, waiting, message, newer, later] {
                let heard = times(&world, BOB, operation);
                assert_eq!(heard, 1, "m{operation}: {}", world.verdict);
            }
            let sent = |event: &&Event| matches!(event.data, EventData::MessageSent(_));
            let failed = |event: &&Event| matches!(event.data, EventData::MessageFailed(_));
            let log = &world.members[ALICE].log;
            // All but that of the newer copy, and what everybody says in the end, twice.
            assert_eq!(log.iter().filter(sent).count(), 7, "{}", world.verdict);
            assert_eq!(log.iter().filter(failed).count(), 0, "{}", world.verdict);
            // The node was asked about what it may have, and had nothing sent to it again.
            let again = world.verdict.story.iter().find(|line| line.contains("knows send"));
            assert_eq!(again, None, "{}", world.verdict);
            let asked = |line: &&String| line.contains("of alice, is asked about send");
            let asked = world.verdict.story[restored..].iter().filter(asked).count();
            assert!(asked >= 2, "what is encrypted, and what is not: {}", world.verdict);
            world.judge().await;
            world.end().await.assert_clean("at the end");
        }
    });
}
