//! Runs that once failed, told step by step.

use quicproquo_client::simulation::Move;
use quicproquo_client::{
    Event, EventData, GroupId, GroupState, InvitePolicy, Role, SessionError, Suite,
};
use quicproquo_tests::proving::world::block_on;
use quicproquo_tests::proving::{Kind, Verdict, World};

const ALICE: usize = 0;
const BOB: usize = 1;
const CAROL: usize = 2;

/// A group of all.
async fn group(world: &mut World) -> GroupId {
    let others = world.keys()[1..].to_vec();
    let made = world.ask(ALICE, None, Kind::Create(others, Suite::Native)).await;
    world.rest().await;
    world.operations[made].group.clone().expect("a group")
}

async fn judged(mut world: World) {
    world.settle().await;
    world.judge().await;
    world.end().await.assert_clean("at the end");
}

/// What the group says after the commit that brings somebody back may overtake the Welcome.
#[test]
fn who_comes_back_hears_what_came_before_the_welcome() {
    block_on(async {
        let mut world = World::new(0, 3).await;
        let [alice, _, carol] = world.keys()[..] else { panic!("three members") };
        let group = group(&mut world).await;
        world.ask(ALICE, Some(group.clone()), Kind::Remove(vec![carol])).await;
        world.rest().await;

        // Alice does not learn that her commit has won, so that she sends no Welcome yet.
        world.ask(ALICE, Some(group.clone()), Kind::Invite(vec![carol])).await;
        let of_alice = |a_move: &Move| matches!(a_move, Move::Push(to, _) if *to == alice);
        world.rest_but(of_alice).await;
        let said = world.ask(BOB, Some(group.clone()), Kind::Send).await;
        world.ask(BOB, Some(group.clone()), Kind::Update).await;
        world.rest_but(of_alice).await;
        assert!(!world.heard_by(CAROL).contains(&said), "the Welcome was held up");
        world.rest().await;
        assert!(world.heard_by(CAROL).contains(&said), "{}", world.verdict);
        judged(world).await;
    });
}

/// Alice dies before she learns that the node has her message, and the group goes on without her.
fn a_lost_answer(the_node_forgets: bool) -> Verdict {
    block_on(async {
        let mut world = World::new(0, 3).await;
        let group = group(&mut world).await;
        let alice = world.keys()[ALICE];
        world.ask(ALICE, Some(group.clone()), Kind::Send).await;
        world.rest_but(|a_move| matches!(a_move, Move::Answer(to, _) if *to == alice)).await;
        world.crash(ALICE).await;
        world.ask(BOB, Some(group.clone()), Kind::Update).await;
        world.rest().await;
        if the_node_forgets {
            world.sim.node().forget_sends(&alice);
        }
        world.start(ALICE).await;
        world.settle().await;
        world.judge().await;
        world.end().await
    })
}

#[test]
fn a_send_whose_answer_is_lost_is_asked_about() {
    a_lost_answer(false).assert_clean("at the end");
}

/// The control: who does not ask encrypts again what the others have.
#[test]
fn a_send_that_nobody_knows_of_is_encrypted_again() {
    let verdict = a_lost_answer(true);
    assert!(!verdict.faults.is_empty(), "nobody notices: {verdict}");
}

/// An old copy that can follow the group asks to be added where the group is now.
#[test]
fn an_old_copy_that_can_follow_is_added_again() {
    block_on(async {
        let mut world = World::new(0, 3).await;
        world.losses = true;
        let group = group(&mut world).await;
        world.back_up(ALICE).await;
        world.ask(ALICE, Some(group.clone()), Kind::Send).await;
        world.rest().await;
        world.restore(ALICE).await;
        // Before anybody answers, the group is in another epoch, where Alice can follow.
        world.ask(BOB, Some(group.clone()), Kind::Update).await;
        judged(world).await;
    });
}

/// An old copy that takes a commit for the winner which has lost, because its own is forgotten,
/// sees another branch; of two branches at one epoch only the hints say which one wins.
#[test]
fn an_old_copy_on_a_branch_of_its_own_is_added_again() {
    // The hints are random.
    for _ in 0..3 {
        block_on(async {
            let mut world = World::new(0, 4).await;
            world.losses = true;
            let [_, bob, _, dave] = world.keys()[..] else { panic!("four members") };
            let group = group(&mut world).await;
            world.ask(ALICE, Some(group.clone()), Kind::Promote(bob, Role::Admin)).await;
            world.rest().await;
            world.back_up(ALICE).await;
            world.rest().await;
            // Alice's commit wins, Bob's comes behind it, and Alice has seen only her own. Bob
            // has nothing left to do then, so that nobody commits again.
            world.ask(ALICE, Some(group.clone()), Kind::Remove(vec![dave])).await;
            world.ask(BOB, Some(group.clone()), Kind::Remove(vec![dave])).await;
            let of_bob =
                |a_move: &Move| matches!(a_move, Move::Push(to, _) | Move::Serve(to) if *to == bob);
            world.rest_but(of_bob).await;
            world.rest_but(|a_move| matches!(a_move, Move::Push(..))).await;
            world.restore(ALICE).await;
            judged(world).await;
        });
    }
}

/// Who accepts an invitation out of an old copy has a group that must be joined again.
#[test]
fn an_invitation_out_of_an_old_copy_is_accepted_and_joined_again() {
    block_on(async {
        let mut world = World::new(0, 2).await;
        world.losses = true;
        let (_, bob) = world.members[BOB].running.as_ref().expect("he lives");
        bob.set_invite_policy(InvitePolicy::Ask).await.expect("a policy");
        let group = group(&mut world).await;
        world.back_up(BOB).await;
        world.rest().await;
        world.ask(ALICE, Some(group.clone()), Kind::Send).await;
        // Until Bob has acknowledged what the copy does not know.
        world.rest_well().await;
        world.restore(BOB).await;
        world.crash(ALICE).await;
        world.rest().await;
        world.ask(BOB, Some(group.clone()), Kind::Accept).await;
        assert_eq!(world.stands(BOB, &group).await, Some(GroupState::NeedsReadd));
        judged(world).await;
    });
}

/// Two admins turn against each other, and the slower one is told why it has failed.
#[test]
fn who_is_no_admin_any_more_is_told_so() {
    block_on(async {
        let mut world = World::new(0, 3).await;
        let [alice, bob, _] = world.keys()[..] else { panic!("three members") };
        let group = group(&mut world).await;
        world.ask(ALICE, Some(group.clone()), Kind::Promote(bob, Role::Admin)).await;
        world.rest().await;
        world.ask(BOB, Some(group.clone()), Kind::Promote(alice, Role::Member)).await;
        world.ask(ALICE, Some(group.clone()), Kind::Remove(vec![bob])).await;
        let of_alice = |a_move: &Move| matches!(a_move, Move::Serve(from) if *from == alice);
        world.rest_but(of_alice).await;
        world.rest().await;
        let reason = SessionError::NotAdmin.to_string();
        let told = |event: &Event| matches!(&event.data, EventData::GroupChangeFailed { reason: why } if *why == reason);
        assert!(world.members[ALICE].log.iter().any(told), "{}", world.verdict);
        judged(world).await;
    });
}

/// Carol's queue is full when she is removed: the commit is lost, and nobody sends her anything
/// of the group since.
fn a_lost_removal(the_admin_is_gone: bool) -> (Option<GroupState>, Verdict) {
    block_on(async {
        let mut world = World::new(0, 3).await;
        world.losses = true;
        let [_, _, carol] = world.keys()[..] else { panic!("three members") };
        let group = group(&mut world).await;
        world.sim.node().fill(&carol, true);
        world.ask(ALICE, Some(group.clone()), Kind::Remove(vec![carol])).await;
        world.rest().await;
        world.sim.node().fill(&carol, false);
        if the_admin_is_gone {
            world.crash(ALICE).await;
        }
        // With what comes next she is told of the gap.
        world.ask(BOB, None, Kind::Create(vec![carol], Suite::Native)).await;
        world.rest_well().await;
        (world.stands(CAROL, &group).await, world.end().await)
    })
}

#[test]
fn who_loses_the_commit_that_removed_it_is_told() {
    let (stands, verdict) = a_lost_removal(false);
    assert_eq!(stands, Some(GroupState::Removed), "{verdict}");
}

/// The control: with nobody there who could have removed her she stays in the dark.
#[test]
fn nobody_else_tells_who_was_removed() {
    let (stands, verdict) = a_lost_removal(true);
    assert_eq!(stands, Some(GroupState::Active), "{verdict}");
}

/// Carol speaks before she learns that she was removed; the others have all been heard since.
#[test]
fn who_was_removed_is_still_heard_with_what_it_said_before_it_knew() {
    block_on(async {
        let mut world = World::new(0, 3).await;
        let [_, _, carol] = world.keys()[..] else { panic!("three members") };
        let group = group(&mut world).await;
        let of_carol =
            |a_move: &Move| matches!(a_move, Move::Serve(of) | Move::Push(of, _) if *of == carol);
        let said = world.ask(CAROL, Some(group.clone()), Kind::Send).await;
        world.ask(ALICE, Some(group.clone()), Kind::Remove(vec![carol])).await;
        world.rest_but(of_carol).await;
        world.ask(ALICE, Some(group.clone()), Kind::Send).await;
        world.rest_but(of_carol).await;
        assert!(!world.heard_by(BOB).contains(&said), "it was held up");
        world.rest().await;
        assert!(world.heard_by(BOB).contains(&said), "{}", world.verdict);
        judged(world).await;
    });
}

/// Carol has published key packages since her database was copied, and done nothing else: the node
/// does not betray the copy. The first invitation cannot be read, and the next one can.
#[test]
fn an_old_copy_whose_packages_alone_are_newer_can_be_invited() {
    block_on(async {
        let mut world = World::new(0, 3).await;
        let [_, bob, carol] = world.keys()[..] else { panic!("three members") };
        let made = world.ask(ALICE, None, Kind::Create(vec![bob], Suite::Native)).await;
        world.rest().await;
        let group = world.operations[made].group.clone().expect("a group");
        world.back_up(CAROL).await;
        world.rest().await;
        let node = world.sim.node().clone();
        node.cut_off(&carol, true);
        node.drop_link(&carol);
        node.forget_key_packages(&carol);
        node.cut_off(&carol, false);
        world.rest_well().await;
        world.losses = true;
        world.restore(CAROL).await;
        world.rest_well().await;
        world.ask(ALICE, Some(group.clone()), Kind::Invite(vec![carol])).await;
        world.rest_but(|a_move| matches!(a_move, Move::Push(to, _) if *to == carol)).await;
        let welcome = node.waiting(&carol).pop().expect("a Welcome");
        world.rest_well().await;
        assert_eq!(world.stands(CAROL, &group).await, None, "{}", world.verdict);
        world.ask(ALICE, Some(group.clone()), Kind::Remove(vec![carol])).await;
        world.rest().await;
        world.ask(ALICE, Some(group.clone()), Kind::Invite(vec![carol])).await;
        world.rest_well().await;
        let stands = world.stands(CAROL, &group).await;
        assert_eq!(stands, Some(GroupState::Active), "{}", world.verdict);

        // Anybody can send such Welcomes, as many as he likes: they lead to new packages once a day.
        let replaced = |world: &World| {
            let taken = |line: &&String| {
                line.contains("of carol, takes") && line.ends_with(" key packages")
            };
            world.verdict.story.iter().filter(taken).count()
        };
        let before = replaced(&world);
        for (nth, hours) in [(1, 0), (2, 1), (3, 24)] {
            world.sim.advance_to(world.sim.now_ms() + hours * 3600 * 1000);
            world.rest_well().await;
            let mut other = welcome.clone();
            *other.last_mut().expect("bytes") ^= nth;
            node.queue(&carol, other);
            world.rest_well().await;
            assert_eq!(replaced(&world) > before, nth == 3, "{nth}: {}", world.verdict);
        }
        judged(world).await;
    });
}

/// Each acknowledgement is a transaction of the node, and nobody waits for one until a part of the
/// window is used up.
#[test]
fn rows_that_come_soon_after_each_other_are_acknowledged_together() {
    fn acknowledged(world: &World) -> Vec<&str> {
        let of_carol = "the node, of carol, takes an acknowledgement of row ";
        let story = world.verdict.story.iter();
        story.filter_map(|line| Some(line.split_once(of_carol)?.1)).collect()
    }
    block_on(async {
        let mut world = World::new(0, 3).await;
        let group = group(&mut world).await;
        world.rest_well().await;
        let before = acknowledged(&world).len();
        for _ in 0..10 {
            world.ask(ALICE, Some(group.clone()), Kind::Send).await;
            world.rest().await;
        }
        assert_eq!(acknowledged(&world).len(), before, "no time has passed");
        for _ in 0..60 {
            world.ask(BOB, Some(group.clone()), Kind::Send).await;
            world.rest().await;
        }
        assert_eq!(acknowledged(&world).len(), before + 1, "64 rows have come");
        world.rest_well().await;
        let told = acknowledged(&world);
        assert_eq!(told.len(), before + 2, "{}", world.verdict);
        let rows: Vec<u64> = told[before..].iter().map(|row| row.parse().unwrap()).collect();
        assert_eq!(rows[1] - rows[0], 6, "of 70 rows");
        judged(world).await;
    });
}

/// Two branches, one of which has somebody whom the other one does not know. When that one loses, its
/// new member is in no group that goes on, and is told so.
#[test]
fn who_was_added_on_a_branch_that_loses_is_told() {
    // The hints are random.
    for _ in 0..4 {
        block_on(async {
            let mut world = World::new(0, 3).await;
            world.losses = true;
            let [alice, bob, carol] = world.keys()[..] else { panic!("three members") };
            let made = world.ask(CAROL, None, Kind::Create(vec![alice], Suite::Native)).await;
            world.rest().await;
            let group = world.operations[made].group.clone().expect("a group");
            // Carol loses the commit of Alice, and makes another one.
            world.sim.node().fill(&carol, true);
            world.ask(ALICE, Some(group.clone()), Kind::Update).await;
            world.rest().await;
            world.sim.node().fill(&carol, false);
            world.ask(CAROL, Some(group.clone()), Kind::Invite(vec![bob])).await;
            world.rest().await;
            judged(world).await;
        });
    }
}

/// Who was invited and has not answered is a member: the others go through it.
#[test]
fn who_has_not_answered_lets_others_go() {
    block_on(async {
        let mut world = World::new(0, 2).await;
        let bob = world.keys()[BOB];
        let (_, session) = world.members[BOB].running.as_ref().expect("a session");
        session.set_invite_policy(InvitePolicy::Ask).await.expect("a policy");
        world.quiet().await;
        let group = group(&mut world).await;
        for kind in [Kind::Promote(bob, Role::Admin), Kind::Leave] {
            world.ask(ALICE, Some(group.clone()), kind).await;
            world.rest_well().await;
        }
        assert_eq!(world.stands(ALICE, &group).await, Some(GroupState::Left), "{}", world.verdict);
        let (_, session) = world.members[BOB].running.as_ref().expect("a session");
        let waiting = session.invitations().await.expect("the invitations");
        assert!(waiting.iter().map(|it| &it.id).eq([&group]), "it still waits");
        world.ask(BOB, Some(group.clone()), Kind::Accept).await;
        world.rest_well().await;
        let (_, session) = world.members[BOB].running.as_ref().expect("a session");
        let roster = session.group(&group).await.expect("the group").members;
        assert_eq!(roster.iter().map(|it| it.identity).collect::<Vec<_>>(), [bob]);
        judged(world).await;
    });
}
