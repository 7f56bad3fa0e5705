//! Messages that commits overtake on their way to the node.

use quicproquo_client::simulation::Move;
use quicproquo_client::{EventData, GroupId, Suite};
use quicproquo_tests::proving::world::block_on;
use quicproquo_tests::proving::{Kind, World};

const ALICE: usize = 0;
const BOB: usize = 1;
const CAROL: usize = 2;

/// Three in a group, and what Alice sends does not arrive.
async fn held_up(suite: Suite) -> (World, GroupId, impl Fn(&Move) -> bool + Copy) {
    let mut world = World::new(0, 3).await;
    let others = world.keys()[1..].to_vec();
    let made = world.ask(ALICE, None, Kind::Create(others, suite)).await;
    world.rest_well().await;
    let group = world.operations[made].group.clone().expect("a group");
    let alice = world.keys()[ALICE];
    (world, group, move |a_move: &Move| matches!(a_move, Move::Serve(of) if *of == alice))
}

async fn update(world: &mut World, group: &GroupId, times: usize, held: impl Fn(&Move) -> bool) {
    for turn in 0..times {
        let member = if turn % 2 == 0 { BOB } else { CAROL };
        world.ask(member, Some(group.clone()), Kind::Update).await;
        world.rest_but(&held).await;
    }
}

/// How often a member was told that it could not read something.
fn unread(world: &World, member: usize) -> usize {
    let is = |data: &EventData| matches!(data, EventData::MessageUndecryptable { .. });
    world.members[member].log.iter().filter(|event| is(&event.data)).count()
}

/// Said once, and then by everybody; all have heard all of it once and in order.
async fn judged(mut world: World, commits: usize, said: &[usize]) {
    for member in [BOB, CAROL] {
        let heard = world.heard_by(member);
        let heard: Vec<_> = heard.iter().filter(|number| said.contains(number)).collect();
        assert_eq!(heard, said.iter().collect::<Vec<_>>(), "{commits} commits\n{}", world.verdict);
    }
    world.settle().await;
    world.judge().await;
    world.end().await.assert_clean("at the end");
}

#[test]
fn what_more_commits_overtake_than_epochs_are_kept_is_said_again() {
    for suite in [Suite::Envelope, Suite::Native] {
        for commits in 0..=6 {
            block_on(async {
                let (mut world, group, held) = held_up(suite).await;
                let first = world.ask(ALICE, Some(group.clone()), Kind::Send).await;
                let second = world.ask(ALICE, Some(group.clone()), Kind::Send).await;
                // Alice sees none of these commits before the node has her messages.
                let alice = world.keys()[ALICE];
                let deaf = |a_move: &Move| {
                    held(a_move) || matches!(a_move, Move::Push(to, _) if *to == alice)
                };
                update(&mut world, &group, commits, deaf).await;
                world.rest().await;
                let lost = if commits > 3 { 2 } else { 0 };
                assert_eq!(unread(&world, BOB), lost, "{commits} commits");
                judged(world, commits, &[first, second]).await;
            });
        }
    }
}

/// What is said meanwhile stays behind it, although nothing overtakes it any more.
#[test]
fn what_is_said_later_stays_behind_what_is_said_again() {
    block_on(async {
        let (mut world, group, held) = held_up(Suite::Native).await;
        let mut said = vec![world.ask(ALICE, Some(group.clone()), Kind::Send).await];
        update(&mut world, &group, 5, held).await;
        // Alice is in the new epoch and does not know what becomes of the first one.
        said.push(world.ask(ALICE, Some(group.clone()), Kind::Send).await);
        world.rest_but(held).await;
        said.push(world.ask(ALICE, Some(group.clone()), Kind::Send).await);
        world.rest().await;
        assert_eq!(unread(&world, BOB), 1);
        judged(world, 5, &said).await;
    });
}

/// A node that does not say what came before: as far as the sender itself has gone on.
#[test]
fn without_a_place_in_the_queue_it_is_said_again_to_be_sure() {
    for commits in [3, 5] {
        block_on(async {
            let (mut world, group, held) = held_up(Suite::Native).await;
            world.sim.node().be_old();
            let said = world.ask(ALICE, Some(group.clone()), Kind::Send).await;
            update(&mut world, &group, commits, held).await;
            world.rest().await;
            assert_eq!(unread(&world, BOB), usize::from(commits > 3));
            judged(world, commits, &[said]).await;
        });
    }
}

/// Rows that somebody else has fetched are not waited for for ever.
#[test]
fn a_row_that_never_comes_holds_nothing_up_for_long() {
    block_on(async {
        let (mut world, group, _) = held_up(Suite::Native).await;
        let alice = world.keys()[ALICE];
        let deaf = |a_move: &Move| matches!(a_move, Move::Push(to, _) if *to == alice);
        world.losses = true;
        world.ask(BOB, Some(group.clone()), Kind::Send).await;
        world.rest_but(deaf).await;
        assert!(world.sim.node().forget_row(&alice));
        let said = world.ask(ALICE, Some(group.clone()), Kind::Send).await;
        world.rest().await;
        let sent = |world: &World| {
            let log = world.members[ALICE].log.iter();
            log.filter(|event| matches!(event.data, EventData::MessageSent(_))).count()
        };
        assert_eq!(sent(&world), 0, "what came before it has not come");
        world.pass_time(None);
        world.rest_well().await;
        assert_eq!(sent(&world), 1, "{}", world.verdict);
        assert_eq!(world.heard_by(CAROL).last(), Some(&said));
        world.end().await.assert_clean("at the end");
    });
}

/// Commits that come behind a message do it no harm, however late its sender hears of it.
#[test]
fn what_came_before_the_commits_is_not_said_again() {
    for crash in [false, true] {
        block_on(async {
            let (mut world, group, _) = held_up(Suite::Native).await;
            let alice = world.keys()[ALICE];
            let said = world.ask(ALICE, Some(group.clone()), Kind::Send).await;
            let unanswered = |a_move: &Move| matches!(a_move, Move::Answer(to, _) if *to == alice);
            world.rest_but(unanswered).await;
            update(&mut world, &group, 6, unanswered).await;
            if crash {
                world.crash(ALICE).await;
                world.start(ALICE).await;
            }
            world.rest_well().await;
            let taken = |line: &&String| line.contains("the node, of alice, takes send");
            let sends = world.verdict.story.iter().filter(taken).count();
            assert_eq!(sends, 2, "the Welcome, and the message once\n{}", world.verdict);
            assert_eq!(unread(&world, BOB), 0);
            judged(world, 6, &[said]).await;
        });
    }
}

/// A process that dies while it waits asks again, and says it again.
#[test]
fn what_nobody_could_read_is_said_again_after_a_crash() {
    for whole in [false, true] {
        block_on(async {
            let (mut world, group, held) = held_up(Suite::Native).await;
            let alice = world.keys()[ALICE];
            let said = world.ask(ALICE, Some(group.clone()), Kind::Send).await;
            update(&mut world, &group, 5, held).await;
            // The node has it, and Alice does not know it, or not what came before it.
            let unheard = |a_move: &Move| match a_move {
                Move::Answer(to, _) => !whole && *to == alice,
                Move::Push(to, _) => *to == alice,
                _ => false,
            };
            world.rest_but(unheard).await;
            world.crash(ALICE).await;
            world.start(ALICE).await;
            world.rest_well().await;
            assert_eq!(unread(&world, BOB), 1);
            judged(world, 5, &[said]).await;
        });
    }
}

/// Who joins by a package that others may hold replaces its keys, but not all at once: each commit
/// of many is a race of all, and overtakes what is on its way.
#[test]
fn who_joins_by_last_resort_packages_replaces_its_keys_in_its_turn() {
    block_on(async {
        let mut world = World::new(0, 8).await;
        let others = world.keys()[1..].to_vec();
        for other in &others {
            world.sim.node().keep_last_resorts(other);
        }
        let made = world.ask(ALICE, None, Kind::Create(others, Suite::Native)).await;
        let group = world.operations[made].group.clone().expect("a group");
        world.rest().await;
        let epoch = world.epoch(ALICE, &group).await;
        assert!(epoch <= Some(2), "all at once: epoch {epoch:?}");
        let said = world.ask(ALICE, Some(group.clone()), Kind::Send).await;
        world.rest().await;
        // A new process does not forget its turn.
        for member in [BOB, CAROL] {
            world.crash(member).await;
            world.start(member).await;
        }
        world.rest_well().await;
        assert_eq!(world.epoch(ALICE, &group).await, Some(8), "each has replaced its keys");
        judged(world, 7, &[said]).await;
    });
}
