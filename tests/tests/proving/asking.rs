//! Who asks where a group is, how often, and who answers.

use quicproquo_client::simulation::Move;
use quicproquo_client::{Event, EventData, GroupId, GroupState, IdentityKey, Suite};
use quicproquo_core::group::{RemovalNotice, RepairRequest};
use quicproquo_tests::proving::world::block_on;
use quicproquo_tests::proving::{Kind, World};

const ALICE: usize = 0;
const BOB: usize = 1;
const CAROL: usize = 2;

/// Requests that a client makes before it makes them less often.
const OFTEN: usize = 20;

/// Sends that a client has on their way at once.
const AT_ONCE: usize = 48;

/// A world in which things get lost, and a group of all.
async fn world_of(members: usize) -> (World, GroupId) {
    let mut world = World::new(0, members).await;
    world.losses = true;
    let others = world.keys()[1..].to_vec();
    let made = world.ask(ALICE, None, Kind::Create(others, Suite::Native)).await;
    world.rest_well().await;
    let group = world.operations[made].group.clone().expect("a group");
    (world, group)
}

fn away(world: &World, member: usize, away: bool) {
    let (node, key) = (world.sim.node(), world.keys()[member]);
    node.cut_off(&key, away);
    if away {
        node.drop_link(&key);
    }
}

/// The requests that wait for somebody who is away.
fn requests(world: &World, at: usize) -> Vec<RepairRequest> {
    let waiting = world.sim.node().waiting(&world.keys()[at]);
    waiting.iter().filter_map(|payload| RepairRequest::parse(payload).ok()).collect()
}

/// Lets time pass until the next timer.
async fn tick(world: &mut World) {
    let next = world.sim.next_timer().expect("a timer");
    world.sim.advance_to(next);
    world.quiet().await;
    world.rest().await;
}

/// Lets so many seconds pass.
async fn pass(world: &mut World, seconds: u64) {
    let until = world.sim.now_ms() + seconds * 1000;
    while world.sim.next_timer().is_some_and(|at| at <= until) {
        tick(world).await;
    }
    world.sim.advance_to(until);
    world.quiet().await;
    world.rest().await;
}

/// How many sends of somebody the node has taken.
fn sends(world: &World, name: &str) -> usize {
    let taken = format!("of {name}, takes send");
    world.verdict.story.iter().filter(|line| line.contains(&taken)).count()
}

/// The epochs in which somebody's messages were sent, as it was told.
fn sent_in(world: &World, member: usize) -> Vec<u64> {
    let sent = |event: &Event| match &event.data {
        EventData::MessageSent(message) => Some(message.epoch),
        _ => None,
    };
    world.members[member].log.iter().filter_map(sent).collect()
}

fn answers_of(key: IdentityKey) -> impl Fn(&Move) -> bool {
    move |a_move| matches!(a_move, Move::Answer(of, _) if *of == key)
}

async fn judged(mut world: World) {
    world.settle().await;
    world.judge().await;
    world.end().await.assert_clean("at the end");
}

/// Alice's database is an old copy, and nobody answers her.
#[test]
fn an_old_copy_asks_less_and_less_often_and_in_the_end_also_where_it_is_itself() {
    block_on(async {
        let (mut world, group) = world_of(2).await;
        let epoch = world.epoch(ALICE, &group).await.expect("an epoch");
        world.back_up(ALICE).await;
        world.rest().await;
        world.ask(ALICE, Some(group.clone()), Kind::Send).await;
        world.rest().await;
        away(&world, BOB, true);
        world.restore(ALICE).await;
        world.rest().await;
        let mut at = Vec::new();
        while at.len() < OFTEN + 6 {
            at.resize(requests(&world, BOB).len(), world.sim.now_ms());
            tick(&mut world).await;
        }
        let pauses: Vec<u64> = at.windows(2).map(|two| (two[1] - two[0]) / 1000).collect();
        let mut expected = vec![2, 4, 8, 16, 32];
        expected.resize(OFTEN, 60);
        expected.resize(OFTEN + 5, 600);
        assert_eq!(pauses, expected);
        // What others have sent names no branch, and what it is itself on has one.
        for (before, request) in requests(&world, BOB).iter().enumerate() {
            let here = before >= OFTEN && before % 2 == 1;
            assert_eq!((request.epoch, request.hint.is_some()), (epoch, here), "{before} before");
        }
        let unanswered = |event: &&Event| matches!(&event.data, EventData::GroupNeedsReadd { reason } if reason == "unanswered");
        assert_eq!(world.members[ALICE].log.iter().filter(unanswered).count(), 1);
        away(&world, BOB, false);
        judged(world).await;
    });
}

/// Bob has missed a commit, and is an old copy too: what a suspicion holds up for a while only must not be
/// said at all.
#[test]
fn who_is_lost_and_an_old_copy_too_says_nothing_until_it_is_led_back() {
    block_on(async {
        let (mut world, group) = world_of(2).await;
        let bob = world.keys()[BOB];
        world.sim.node().fill(&bob, true);
        world.ask(ALICE, Some(group.clone()), Kind::Update).await;
        world.rest().await;
        world.sim.node().fill(&bob, false);
        world.ask(ALICE, Some(group.clone()), Kind::Send).await;
        world.rest().await;
        away(&world, ALICE, true);
        pass(&mut world, 300).await;
        assert_eq!(world.stands(BOB, &group).await, Some(GroupState::NeedsReadd));
        let asked = requests(&world, ALICE).len();
        assert!(asked > 6, "{}", world.verdict);

        // The control: it says what it has to say when nobody answers.
        world.back_up(BOB).await;
        world.ask(BOB, Some(group.clone()), Kind::Send).await;
        pass(&mut world, 60).await;
        assert_eq!(sent_in(&world, BOB).len(), 1, "{}", world.verdict);
        world.restore(BOB).await;
        let before = requests(&world, ALICE).len();
        world.rest().await;
        assert_eq!(requests(&world, ALICE).len(), before + 1, "it asks anew, at once");
        world.ask(BOB, Some(group.clone()), Kind::Send).await;
        pass(&mut world, 600).await;
        assert!(sent_in(&world, BOB).is_empty(), "{}", world.verdict);
        // It is that also after another start.
        world.crash(BOB).await;
        world.start(BOB).await;
        pass(&mut world, 600).await;
        assert!(sent_in(&world, BOB).is_empty(), "{}", world.verdict);
        away(&world, ALICE, false);
        world.rest_well().await;
        let epoch = world.epoch(ALICE, &group).await;
        assert_eq!(sent_in(&world, BOB), Vec::from_iter(epoch), "{}", world.verdict);
        judged(world).await;
    });
}

/// Carol has left, which Bob does not know: he asks her too, and she says that she is out.
#[test]
fn who_is_out_of_a_group_answers_a_member_that_asks() {
    block_on(async {
        let (mut world, group) = world_of(3).await;
        let [_, bob, carol] = world.keys()[..] else { panic!("three members") };
        world.sim.node().fill(&bob, true);
        world.ask(CAROL, Some(group.clone()), Kind::Leave).await;
        world.rest_well().await;
        assert_eq!(world.stands(CAROL, &group).await, Some(GroupState::Left));
        world.sim.node().fill(&bob, false);
        world.ask(ALICE, Some(group.clone()), Kind::Send).await;
        world.rest().await;
        away(&world, ALICE, true);
        let to_bob = |a_move: &Move| matches!(a_move, Move::Push(to, _) if *to == bob);
        let answers = |world: &World| {
            let waiting = world.sim.node().waiting(&bob);
            let notices = waiting.iter().filter_map(|it| RemovalNotice::parse(it).ok());
            let answer = |it: &RemovalNotice| it.removal.answers.is_some();
            notices.filter(answer).map(|it| (it.member, it.by)).collect::<Vec<_>>()
        };
        while world.stands(BOB, &group).await != Some(GroupState::NeedsReadd) {
            let next = world.sim.next_timer().expect("a timer");
            world.sim.advance_to(next);
            world.quiet().await;
            world.rest_but(to_bob).await;
        }
        assert_eq!(answers(&world), [(carol, carol)], "{}", world.verdict);
        away(&world, ALICE, false);
        judged(world).await;
    });
}

/// Bob wants to go while he is not connected, and the group is in another epoch when he is.
#[test]
fn a_proposal_of_a_past_epoch_is_made_anew() {
    block_on(async {
        let (mut world, group) = world_of(3).await;
        away(&world, BOB, true);
        world.ask(BOB, Some(group.clone()), Kind::Leave).await;
        world.ask(ALICE, Some(group.clone()), Kind::Update).await;
        world.rest().await;
        let before = sends(&world, "bob");
        away(&world, BOB, false);
        world.rest_well().await;
        assert_eq!(world.stands(BOB, &group).await, Some(GroupState::Left), "{}", world.verdict);
        assert_eq!(sends(&world, "bob"), before + 1, "the new one alone: {}", world.verdict);
        judged(world).await;
    });
}

/// Alice comes back with more on its way than may be: she does not ask about all of it at once.
#[test]
fn no_more_is_asked_at_once_than_is_sent_at_once() {
    block_on(async {
        let (mut world, group) = world_of(2).await;
        let alice = world.keys()[ALICE];
        away(&world, ALICE, true);
        for _ in 0..AT_ONCE + 10 {
            world.ask(ALICE, Some(group.clone()), Kind::Send).await;
        }
        away(&world, ALICE, false);
        let asked = |world: &World| {
            let asked = |line: &&String| line.contains("of alice, is asked about send");
            world.verdict.story.iter().filter(asked).count()
        };
        let before = asked(&world);
        world.rest_but(answers_of(alice)).await;
        while asked(&world) == before {
            // The backlog is read.
            world.sim.node().make(Move::Answer(alice, 1), 0);
            world.quiet().await;
            world.rest_but(answers_of(alice)).await;
        }
        assert_eq!(asked(&world) - before, AT_ONCE, "{}", world.verdict);
        world.rest_well().await;
        assert_eq!(sent_in(&world, ALICE).len(), AT_ONCE + 10);
        judged(world).await;
    });
}

/// Bob's commit comes while Alice's message is on its way.
#[test]
fn a_message_that_is_on_its_way_is_not_encrypted_again() {
    block_on(async {
        let (mut world, group) = world_of(2).await;
        let alice = world.keys()[ALICE];
        let epoch = world.epoch(ALICE, &group).await.expect("an epoch");
        let said = world.ask(ALICE, Some(group.clone()), Kind::Send).await;
        world.rest_but(answers_of(alice)).await;
        assert_eq!(world.heard_by(BOB), [said], "the node has it");
        world.ask(BOB, Some(group.clone()), Kind::Update).await;
        world.rest_but(answers_of(alice)).await;
        assert_eq!(world.epoch(ALICE, &group).await, Some(epoch + 1));
        assert!(sent_in(&world, ALICE).is_empty());
        world.rest().await;
        assert_eq!(sent_in(&world, ALICE), [epoch], "{}", world.verdict);
        judged(world).await;
    });
}

/// What is still to come of the backlog may be what a change wants, or undo it.
#[test]
fn a_change_waits_for_the_backlog_unless_nobody_could_have_changed_the_group() {
    block_on(async {
        let (mut world, group) = world_of(2).await;
        let alice = world.keys()[ALICE];
        let made = world.ask(ALICE, None, Kind::Create(Vec::new(), Suite::Native)).await;
        world.rest().await;
        let alone = world.operations[made].group.clone().expect("a group");
        let before = (world.epoch(ALICE, &alone).await, world.epoch(BOB, &group).await);
        world.sim.node().drop_link(&alice);
        world.rest_but(answers_of(alice)).await;
        for group in [&alone, &group] {
            world.ask(ALICE, Some(group.clone()), Kind::Rename).await;
        }
        world.rest_but(answers_of(alice)).await;
        let after = |epoch: Option<u64>| epoch.map(|epoch| epoch + 1);
        assert_eq!(world.epoch(ALICE, &alone).await, after(before.0), "{}", world.verdict);
        assert_eq!(world.epoch(BOB, &group).await, before.1, "{}", world.verdict);
        world.rest().await;
        assert_eq!(world.epoch(BOB, &group).await, after(before.1), "{}", world.verdict);
        judged(world).await;
    });
}

/// Bob is lost, and has a commit that did not leave when he is added again.
#[test]
fn a_commit_of_who_is_led_back_meanwhile_is_not_sent() {
    block_on(async {
        let (mut world, group) = world_of(2).await;
        let bob = world.keys()[BOB];
        world.sim.node().fill(&bob, true);
        world.ask(ALICE, Some(group.clone()), Kind::Update).await;
        world.rest().await;
        world.sim.node().fill(&bob, false);
        world.ask(ALICE, Some(group.clone()), Kind::Send).await;
        world.rest().await;
        away(&world, ALICE, true);
        pass(&mut world, 60).await;
        assert!(!requests(&world, ALICE).is_empty(), "{}", world.verdict);
        away(&world, BOB, true);
        world.quiet().await;
        let asked = world.ask(BOB, Some(group.clone()), Kind::Update).await;
        assert_eq!(world.operations[asked].answer, Some(Ok(())));
        away(&world, ALICE, false);
        world.rest().await;
        let (epoch, before) = (world.epoch(ALICE, &group).await, sends(&world, "bob"));
        away(&world, BOB, false);
        world.rest_well().await;
        assert_eq!(world.stands(BOB, &group).await, Some(GroupState::Active));
        // The keys are replaced where the group is.
        let replaced = world.epoch(ALICE, &group).await;
        assert_eq!(replaced, epoch.map(|epoch| epoch + 1), "{}", world.verdict);
        assert_eq!(sends(&world, "bob"), before + 1, "{}", world.verdict);
        judged(world).await;
    });
}

/// Bob is an old copy where the group is, so that he reads the commit that adds him again; the Welcome
/// comes later.
#[test]
fn what_is_said_before_the_welcome_of_who_is_added_again_is_heard() {
    block_on(async {
        let (mut world, group) = world_of(3).await;
        let alice = world.keys()[ALICE];
        world.back_up(BOB).await;
        world.rest().await;
        world.ask(BOB, Some(group.clone()), Kind::Send).await;
        world.rest().await;
        // Carol is not asked, so that it is Alice who adds him.
        away(&world, CAROL, true);
        world.restore(BOB).await;
        let to_alice = |a_move: &Move| matches!(a_move, Move::Push(to, _) if *to == alice);
        world.rest_but(to_alice).await;
        let before = sends(&world, "alice");
        world.sim.node().make(Move::Push(alice, 1), 1);
        world.quiet().await;
        world.rest_but(to_alice).await;
        while sends(&world, "alice") == before {
            let next = world.sim.next_timer().expect("a timer");
            world.sim.advance_to(next);
            world.quiet().await;
            world.rest_but(to_alice).await;
        }
        away(&world, CAROL, false);
        world.rest_but(to_alice).await;
        let said = world.ask(CAROL, Some(group.clone()), Kind::Send).await;
        world.rest_but(to_alice).await;
        assert!(!world.heard_by(BOB).contains(&said), "the Welcome was held up");
        world.rest().await;
        assert!(world.heard_by(BOB).contains(&said), "{}", world.verdict);
        assert_eq!(world.stands(BOB, &group).await, Some(GroupState::Active));
        judged(world).await;
    });
}
