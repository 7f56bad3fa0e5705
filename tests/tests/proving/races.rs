//! Everybody commits at once, round after round: one branch, and everybody gets their change.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use quicproquo_client::simulation::Move;
use quicproquo_client::{GroupId, Role, Suite};
use quicproquo_tests::proving::world::block_on;
use quicproquo_tests::proving::{Kind, Sabotage, Verdict, World};
use quicproquo_tests::seed::{say, seed, setting};

const MEMBERS: usize = 8;
/// Most rounds of one race.
const ROUNDS: u64 = 50;

/// A group of all, in which every second member is an admin.
async fn group(world: &mut World, suite: Suite) -> GroupId {
    let others = world.keys()[1..].to_vec();
    let made = world.ask(0, None, Kind::Create(others.clone(), suite)).await;
    world.rest().await;
    let group = world.operations[made].group.clone().expect("a group");
    for key in others.into_iter().step_by(2) {
        world.ask(0, Some(group.clone()), Kind::Promote(key, Role::Admin)).await;
    }
    world.rest().await;
    group
}

async fn epochs(world: &World, group: &GroupId) -> Vec<u64> {
    let mut epochs = Vec::new();
    for member in &world.members {
        let (_, session) = member.running.as_ref().expect("it lives");
        epochs.push(session.group(group).await.expect("a group").epoch);
    }
    epochs
}

async fn round(world: &mut World, group: &GroupId) {
    for member in 0..MEMBERS {
        // Admins, the second and every other one.
        let kind = if member % 2 == 1 && world.rng.bool() { Kind::Rename } else { Kind::Update };
        world.ask(member, Some(group.clone()), kind).await;
    }
    world.rest().await;
    let epochs = epochs(world, group).await;
    if epochs.iter().any(|epoch| *epoch != epochs[0]) {
        world.fault(format!("after a round the members are at epochs {epochs:?}"));
    }
}

async fn race(seed: u64, rounds: u64, suite: Suite) -> (Verdict, u64) {
    let mut world = World::new(seed, MEMBERS).await;
    let group = group(&mut world, suite).await;
    for _ in 0..rounds {
        round(&mut world, &group).await;
        if !world.verdict.faults.is_empty() {
            break;
        }
        // Stories of many rounds are long, and the last one tells what matters.
        if world.verdict.story.len() > 5_000 {
            world.verdict.story.clear();
        }
    }
    world.settle().await;
    world.judge().await;
    let epoch = epochs(&world, &group).await[0];
    (world.end().await, epoch)
}

/// Races of at most [`ROUNDS`], two at a time: one world is one thread.
#[test]
fn eight_members_who_commit_at_once_converge() {
    let first = seed("proving races");
    let rounds = setting("QPQ_ROUNDS", 16, 1_000);
    let races: Vec<u64> = (first..first + rounds.div_ceil(ROUNDS)).collect();
    let shared = Mutex::new(races);
    let next = || shared.lock().expect("no race has failed").pop();
    let total = AtomicU64::new(0);
    let race_on = || {
        while let Some(seed) = next() {
            let rounds = (rounds - (seed - first) * ROUNDS).min(ROUNDS);
            let suite = if seed % 2 == 0 { Suite::Envelope } else { Suite::Native };
            let (verdict, epoch) = block_on(race(seed, rounds, suite));
            verdict.assert_clean(&format!("QPQ_SEED={seed} QPQ_ROUNDS={rounds}"));
            // Each change had an epoch of its own.
            let commits = rounds * MEMBERS as u64;
            assert!(epoch >= commits, "{commits} changes, and the group is at epoch {epoch}");
            total.fetch_add(commits, Ordering::Relaxed);
        }
    };
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(race_on);
        }
    });
    let commits = total.into_inner();
    assert_eq!(commits, rounds * MEMBERS as u64);
    say(&format!("{rounds} rounds, {commits} changes, each with its epoch, one branch"));
}

/// The control: a queue in which two commits have changed places takes another branch.
#[test]
fn a_queue_in_another_order_is_a_fork() {
    let seed = seed("proving races control");
    let verdict = block_on(async {
        let mut world = World::new(seed, MEMBERS).await;
        let group = group(&mut world, Suite::Envelope).await;
        for member in 0..2 {
            world.ask(member, Some(group.clone()), Kind::Update).await;
        }
        world.rest_but(|a_move| matches!(a_move, Move::Push(..))).await;
        assert!(world.break_promise_to(2, Sabotage::SwapRows), "two commits are queued");
        world.settle().await;
        world.judge().await;
        world.end().await
    });
    assert!(!verdict.faults.is_empty(), "a fork goes unnoticed");
}
