//! Members that are on branches of their own, or out of the group on one of them: each learns it.

use quicproquo_client::simulation::Move;
use quicproquo_client::{Event, EventData, GroupId, GroupState, InvitePolicy, Role, Suite};
use quicproquo_tests::proving::world::block_on;
use quicproquo_tests::proving::{Kind, Sabotage, World};

const ALICE: usize = 0;
const BOB: usize = 1;
const CAROL: usize = 2;

/// A world in which things get lost, and a group that the first member has made.
async fn world_of(members: usize, others: usize) -> (World, GroupId) {
    let mut world = World::new(0, members).await;
    world.losses = true;
    let others = world.keys()[1..=others].to_vec();
    let made = world.ask(ALICE, None, Kind::Create(others, Suite::Native)).await;
    world.rest().await;
    let group = world.operations[made].group.clone().expect("a group");
    (world, group)
}

/// Has a member change a group while the queue of another one is full.
async fn unheard_by(world: &mut World, deaf: usize, by: usize, group: &GroupId, kind: Kind) {
    let key = world.keys()[deaf];
    world.sim.node().fill(&key, true);
    world.ask(by, Some(group.clone()), kind).await;
    world.rest().await;
    world.sim.node().fill(&key, false);
}

async fn stand(world: &World, group: &GroupId, expected: &[Option<GroupState>]) {
    for (index, expected) in expected.iter().enumerate() {
        let stands = world.stands(index, group).await;
        assert_eq!(stands, *expected, "{}: {}", world.members[index].name, world.verdict);
    }
}

/// Whether a group, as a member sees it, has somebody in it.
async fn has(world: &World, index: usize, group: &GroupId, member: usize) -> bool {
    let (_, session) = world.members[index].running.as_ref().expect("a session");
    let members = session.group(group).await.expect("a group").members;
    members.iter().any(|it| it.identity == world.members[member].key)
}

async fn judged(mut world: World) {
    world.settle().await;
    world.judge().await;
    world.end().await.assert_clean("at the end");
}

/// Alice has missed Bob's commit when she removes him: he is on a branch of equal length, on which
/// nobody but him and her is. With her next word or his, he learns that he is out.
#[test]
fn who_is_removed_on_another_branch_learns_it_when_it_speaks() {
    block_on(async {
        let (mut world, group) = world_of(2, 1).await;
        let bob = world.keys()[BOB];
        unheard_by(&mut world, ALICE, BOB, &group, Kind::Update).await;
        world.ask(ALICE, Some(group.clone()), Kind::Remove(vec![bob])).await;
        world.rest().await;
        stand(&world, &group, &[Some(GroupState::Active); 2]).await;
        world.ask(BOB, Some(group.clone()), Kind::Send).await;
        world.rest_well().await;
        stand(&world, &group, &[Some(GroupState::Active), Some(GroupState::Removed)]).await;
        judged(world).await;
    });
}

/// The same, and Bob's branch is longer, and somebody whom nobody else knows is on it.
#[test]
fn who_was_added_on_a_longer_branch_of_former_members_learns_that_it_is_out() {
    block_on(async {
        let (mut world, group) = world_of(3, 1).await;
        let [_, bob, carol] = world.keys()[..] else { panic!("three members") };
        world.ask(ALICE, Some(group.clone()), Kind::Promote(bob, Role::Admin)).await;
        world.rest().await;
        unheard_by(&mut world, ALICE, BOB, &group, Kind::Update).await;
        unheard_by(&mut world, ALICE, BOB, &group, Kind::Invite(vec![carol])).await;
        unheard_by(&mut world, ALICE, BOB, &group, Kind::Update).await;
        unheard_by(&mut world, BOB, ALICE, &group, Kind::Remove(vec![bob])).await;
        stand(&world, &group, &[Some(GroupState::Active); 3]).await;
        world.ask(BOB, Some(group.clone()), Kind::Send).await;
        world.rest_well().await;
        let out = Some(GroupState::Removed);
        stand(&world, &group, &[Some(GroupState::Active), out, out]).await;
        judged(world).await;
    });
}

/// A proposal to leave that nobody gets is said again in another way.
#[test]
fn a_proposal_to_leave_that_is_lost_is_not_the_last_word() {
    block_on(async {
        let (mut world, group) = world_of(2, 1).await;
        unheard_by(&mut world, ALICE, BOB, &group, Kind::Leave).await;
        stand(&world, &group, &[Some(GroupState::Active), Some(GroupState::Leaving)]).await;
        world.rest_well().await;
        stand(&world, &group, &[Some(GroupState::Active), Some(GroupState::Left)]).await;
        judged(world).await;
    });
}

/// Bob says once more that he wants to go, and that is held up until he has gone and was added
/// again: he stays.
#[test]
fn a_notice_from_before_a_member_was_added_again_puts_nobody_out() {
    block_on(async {
        let (mut world, group) = world_of(2, 1).await;
        let bob = world.keys()[BOB];
        unheard_by(&mut world, ALICE, BOB, &group, Kind::Leave).await;
        let of_bob = |a_move: &Move| matches!(a_move, Move::Serve(of) if *of == bob);
        for _ in 0..3 {
            world.sim.advance_to(world.sim.now_ms() + 1800 * 1000);
            world.rest_but(of_bob).await;
        }
        world.ask(ALICE, Some(group.clone()), Kind::Remove(vec![bob])).await;
        world.rest_but(of_bob).await;
        stand(&world, &group, &[Some(GroupState::Active), Some(GroupState::Left)]).await;
        world.ask(ALICE, Some(group.clone()), Kind::Invite(vec![bob])).await;
        world.rest_but(of_bob).await;
        stand(&world, &group, &[Some(GroupState::Active); 2]).await;
        let sends = |world: &World| {
            let sent = |line: &&String| line.contains("of bob, takes send");
            world.verdict.story.iter().filter(sent).count()
        };
        let before = sends(&world);
        world.rest_well().await;
        assert!(sends(&world) > before, "the notice was held up: {}", world.verdict);
        stand(&world, &group, &[Some(GroupState::Active); 2]).await;
        judged(world).await;
    });
}

/// Who declines an invitation to a group that has gone on without it is let go.
#[test]
fn who_declines_after_a_commit_that_it_has_missed_is_let_go() {
    block_on(async {
        let (mut world, group) = world_of(3, 1).await;
        let carol = world.keys()[CAROL];
        let (_, session) = world.members[CAROL].running.as_ref().expect("a session");
        session.set_invite_policy(InvitePolicy::Ask).await.expect("a policy");
        world.ask(ALICE, Some(group.clone()), Kind::Invite(vec![carol])).await;
        world.rest().await;
        unheard_by(&mut world, CAROL, ALICE, &group, Kind::Update).await;
        world.ask(CAROL, Some(group.clone()), Kind::Decline).await;
        world.rest_well().await;
        world.ask(BOB, Some(group.clone()), Kind::Send).await;
        world.rest_well().await;
        assert!(!has(&world, ALICE, &group, CAROL).await, "{}", world.verdict);
        judged(world).await;
    });
}

/// Carol and Bob have seen him go by a commit that Alice has missed; if her branch is the one that
/// wins, he is a member there still, and is removed there as well.
#[test]
fn who_has_left_on_a_branch_that_loses_is_let_go_by_the_other_one() {
    // The hints are random.
    for _ in 0..4 {
        block_on(async {
            let (mut world, group) = world_of(3, 2).await;
            let alice = world.keys()[ALICE];
            world.sim.node().fill(&alice, true);
            world.ask(BOB, Some(group.clone()), Kind::Leave).await;
            // Carol's turn comes.
            world.rest_well().await;
            world.sim.node().fill(&alice, false);
            world.ask(ALICE, Some(group.clone()), Kind::Update).await;
            world.rest().await;
            world.ask(ALICE, Some(group.clone()), Kind::Send).await;
            world.rest_well().await;
            assert!(!has(&world, ALICE, &group, BOB).await, "{}", world.verdict);
            judged(world).await;
        });
    }
}

/// Alice has removed Bob, who does not know it, and has left a group in which nobody else was: she
/// still tells him.
#[test]
fn who_was_the_last_still_tells_whom_it_has_removed() {
    block_on(async {
        let (mut world, group) = world_of(2, 1).await;
        let bob = world.keys()[BOB];
        unheard_by(&mut world, BOB, ALICE, &group, Kind::Remove(vec![bob])).await;
        world.ask(ALICE, Some(group.clone()), Kind::Leave).await;
        world.rest().await;
        stand(&world, &group, &[Some(GroupState::Left), Some(GroupState::Active)]).await;
        world.ask(BOB, Some(group.clone()), Kind::Send).await;
        world.rest_well().await;
        stand(&world, &group, &[Some(GroupState::Left), Some(GroupState::Removed)]).await;
        judged(world).await;
    });
}

/// The only admin has removed Bob, and is led back to a branch where he is a member still. It cannot
/// tell whether he was added again there, and asks him.
#[test]
fn who_was_removed_on_a_branch_that_loses_is_removed_on_the_other_one() {
    // The hints are random.
    for _ in 0..4 {
        block_on(async {
            let (mut world, group) = world_of(3, 2).await;
            let bob = world.keys()[BOB];
            unheard_by(&mut world, CAROL, ALICE, &group, Kind::Remove(vec![bob])).await;
            world.ask(CAROL, Some(group.clone()), Kind::Update).await;
            world.rest().await;
            world.ask(CAROL, Some(group.clone()), Kind::Send).await;
            world.rest_well().await;
            world.ask(CAROL, Some(group.clone()), Kind::Send).await;
            world.rest_well().await;
            let active = Some(GroupState::Active);
            stand(&world, &group, &[active, Some(GroupState::Removed), active]).await;
            assert!(!has(&world, ALICE, &group, BOB).await, "{}", world.verdict);
            judged(world).await;
        });
    }
}

/// Bob's later copy has joined with a Welcome, and has spoken; the earlier one gets the same
/// Welcome. It must not encrypt with the keys of the other one.
#[test]
fn a_welcome_that_a_later_copy_may_have_used_is_not_spoken_with() {
    block_on(async {
        let mut world = World::new(0, 2).await;
        world.losses = true;
        let bob = world.keys()[BOB];
        world.back_up(BOB).await;
        world.rest().await;
        let made = world.ask(ALICE, None, Kind::Create(vec![bob], Suite::Native)).await;
        world.rest().await;
        let group = world.operations[made].group.clone().expect("a group");
        world.sim.node().repeat_row(&bob);
        for _ in 0..3 {
            world.ask(BOB, Some(group.clone()), Kind::Send).await;
        }
        world.rest_but(|a_move| matches!(a_move, Move::Push(to, _) if *to == bob)).await;
        world.restore(BOB).await;
        world.rest_well().await;
        stand(&world, &group, &[Some(GroupState::Active); 2]).await;
        let said = world.ask(BOB, Some(group.clone()), Kind::Send).await;
        world.rest_well().await;
        assert!(world.heard_by(ALICE).contains(&said), "{}", world.verdict);
        judged(world).await;
    });
}

/// Alice is an old copy, and her queue still has a commit of her later copy; Bob has missed all of those: he
/// is where she is, and not where she has seen that others must be.
#[test]
fn an_old_copy_that_has_seen_more_than_the_others_is_added_where_they_are() {
    block_on(async {
        let (mut world, group) = world_of(2, 1).await;
        let alice = world.keys()[ALICE];
        world.back_up(ALICE).await;
        world.rest().await;
        let bob = world.keys()[BOB];
        world.sim.node().fill(&bob, true);
        world.ask(ALICE, Some(group.clone()), Kind::Update).await;
        world.rest().await;
        world.sim.advance_to(world.sim.now_ms() + 1000);
        world.rest().await;
        world.ask(ALICE, Some(group.clone()), Kind::Update).await;
        world.rest_but(|a_move| matches!(a_move, Move::Push(to, _) if *to == alice)).await;
        world.sim.node().fill(&bob, false);
        world.restore(ALICE).await;
        world.rest_well().await;
        stand(&world, &group, &[Some(GroupState::Active); 2]).await;
        judged(world).await;
    });
}

/// The same where it declines: not even that it goes is encrypted, and the group learns it.
#[test]
fn a_welcome_that_a_later_copy_may_have_used_is_declined_without_a_word() {
    block_on(async {
        let mut world = World::new(0, 2).await;
        world.losses = true;
        let [alice, bob] = world.keys()[..] else { panic!("two members") };
        let (_, session) = world.members[BOB].running.as_ref().expect("a session");
        session.set_invite_policy(InvitePolicy::Ask).await.expect("a policy");
        world.back_up(BOB).await;
        world.rest().await;
        let made = world.ask(ALICE, None, Kind::Create(vec![bob], Suite::Native)).await;
        world.rest().await;
        let group = world.operations[made].group.clone().expect("a group");
        world.sim.node().repeat_row(&bob);
        // The later copy proposes to leave, with the first key of its ratchet, and Alice cannot commit
        // that yet.
        let of_alice = |a_move: &Move| matches!(a_move, Move::Serve(of) if *of == alice);
        world.ask(BOB, Some(group.clone()), Kind::Accept).await;
        world.ask(BOB, Some(group.clone()), Kind::Leave).await;
        let of_both =
            |a_move: &Move| of_alice(a_move) || matches!(a_move, Move::Push(to, _) if *to == bob);
        world.rest_but(of_both).await;
        world.restore(BOB).await;
        world.rest_but(of_alice).await;
        world.ask(BOB, Some(group.clone()), Kind::Decline).await;
        world.rest_but(of_alice).await;
        let read = |event: &Event| !matches!(event.data, EventData::MessageUndecryptable { .. });
        assert!(world.members[ALICE].log.iter().all(read), "{}", world.verdict);
        world.rest_well().await;
        assert!(!has(&world, ALICE, &group, BOB).await, "{}", world.verdict);
        judged(world).await;
    });
}

/// Whoever has lost its group holds what it has to say for a while, also when it has just started again.
#[test]
fn what_is_said_by_who_is_lost_waits_over_a_restart() {
    block_on(async {
        let (mut world, group) = world_of(3, 2).await;
        let others = [world.keys()[ALICE], world.keys()[CAROL]];
        unheard_by(&mut world, BOB, ALICE, &group, Kind::Update).await;
        world.ask(ALICE, Some(group.clone()), Kind::Send).await;
        world.rest().await;
        let node = world.sim.node().clone();
        for key in &others {
            node.cut_off(key, true);
            node.drop_link(key);
        }
        world.sim.advance_to(world.sim.now_ms() + 10_000);
        world.quiet().await;
        world.rest().await;
        assert_eq!(world.stands(BOB, &group).await, Some(GroupState::NeedsReadd));
        world.ask(BOB, Some(group.clone()), Kind::Send).await;
        world.crash(BOB).await;
        world.start(BOB).await;
        world.rest().await;
        let sent = |world: &World| {
            let sent = |event: &Event| match &event.data {
                EventData::MessageSent(message) => Some(message.epoch),
                _ => None,
            };
            world.members[BOB].log.iter().filter_map(sent).collect::<Vec<_>>()
        };
        assert!(sent(&world).is_empty(), "{}", world.verdict);
        for key in &others {
            node.cut_off(key, false);
        }
        world.rest_well().await;
        let epoch = world.epoch(ALICE, &group).await;
        assert_eq!(sent(&world), Vec::from_iter(epoch), "where it is again: {}", world.verdict);
        judged(world).await;
    });
}

/// Has a commit of Alice's and what she says after it change places, and Bob get what she has said.
async fn overtaken(world: &mut World, group: &GroupId) -> usize {
    let bob = world.keys()[BOB];
    let to_bob = move |a_move: &Move| matches!(a_move, Move::Push(to, _) if *to == bob);
    world.ask(ALICE, Some(group.clone()), Kind::Update).await;
    world.rest_but(to_bob).await;
    let said = world.ask(ALICE, Some(group.clone()), Kind::Send).await;
    world.rest_but(to_bob).await;
    assert!(world.break_promise_to(BOB, Sabotage::SwapRows), "a commit and a message");
    world.sim.node().make(Move::Push(bob, 2), 1);
    world.quiet().await;
    said
}

/// A commit that is only late needs nobody's help once it is there.
#[test]
fn a_commit_that_comes_after_all_leads_back() {
    block_on(async {
        let (mut world, group) = world_of(2, 1).await;
        let bob = world.keys()[BOB];
        let pushed = |a_move: &Move| matches!(a_move, Move::Push(..));
        let said = overtaken(&mut world, &group).await;
        world.sim.advance_to(world.sim.now_ms() + 10_000);
        world.quiet().await;
        world.rest_but(pushed).await;
        assert_eq!(world.stands(BOB, &group).await, Some(GroupState::NeedsReadd));
        world.sim.node().make(Move::Push(bob, 1), 1);
        world.quiet().await;
        assert_eq!(world.stands(BOB, &group).await, Some(GroupState::Active), "{}", world.verdict);
        let repaired = |event: &Event| match &event.data {
            EventData::GroupRepaired { reason } => Some(reason.clone()),
            _ => None,
        };
        let reasons: Vec<_> = world.members[BOB].log.iter().filter_map(repaired).collect();
        assert_eq!(reasons, ["caught_up"], "{}", world.verdict);
        assert_eq!(world.heard_by(BOB), [said]);
        judged(world).await;
    });
}

/// One that comes soon enough leads to no doubt, then or later.
#[test]
fn a_commit_that_is_only_overtaken_is_not_missed() {
    block_on(async {
        let (mut world, group) = world_of(2, 1).await;
        let bob = world.keys()[BOB];
        let said = overtaken(&mut world, &group).await;
        world.sim.advance_to(world.sim.now_ms() + 5_000);
        world.quiet().await;
        world.sim.node().make(Move::Push(bob, 1), 1);
        world.rest_well().await;
        assert_eq!(world.heard_by(BOB), [said]);
        let doubts = |event: &Event| matches!(event.data, EventData::GroupNeedsReadd { .. });
        assert!(!world.members[BOB].log.iter().any(doubts), "{}", world.verdict);
        judged(world).await;
    });
}
