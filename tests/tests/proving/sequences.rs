//! Sequences of operations on a group, each of which has one outcome that a [model](super::model)
//! knows. A sequence that fails is made as short as it still fails.

use proptest::test_runner::{Config, RngSeed, TestRunner};
use proptest_state_machine::{ReferenceStateMachine as _, StateMachineTest};
use quicproquo_client::{GroupId, GroupState, Role};
use quicproquo_tests::proving::{Kind, World};
use quicproquo_tests::seed::{say, seed, setting};
use tokio::runtime::Runtime;

use super::model::{Ask, Model, Step};

/// Sessions that do what the model says; in the control over a node that loses a row whenever
/// somebody is offline.
struct Sessions<const FORGETFUL: bool> {
    runtime: Runtime,
    world: World,
    group: GroupId,
    /// The number of the first operation after the group was made.
    first: usize,
}

impl<const FORGETFUL: bool> Sessions<FORGETFUL> {
    async fn start(world: &mut World, model: &Model) -> GroupId {
        let keys = world.keys();
        let others = model.room.roster.iter().filter(|member| **member != 0);
        let others = others.map(|member| keys[*member]).collect();
        let made = world.ask(0, None, Kind::Create(others, model.suite)).await;
        world.rest_well().await;
        world.operations[made].group.clone().expect("a group")
    }

    async fn step(world: &mut World, group: &GroupId, step: Step) {
        let node = world.sim.node().clone();
        match step {
            Step::Ask(by, ask) => drop(Self::ask(world, group, by, ask).await),
            Step::Race(by, ask, too) => {
                Self::ask(world, group, by, ask).await;
                Self::ask(world, group, too, Ask::Update).await;
            }
            Step::Offline(member) => {
                node.cut_off(&world.members[member].key, true);
                node.drop_link(&world.members[member].key);
            }
            Step::Online(member) => {
                if FORGETFUL {
                    node.forget_row(&world.members[member].key);
                }
                node.cut_off(&world.members[member].key, false);
            }
            Step::Crash(member) => {
                world.crash(member).await;
                world.start(member).await;
            }
            Step::BreakLink(member) => node.drop_link(&world.members[member].key),
            Step::Exhaust(member) => node.forget_key_packages(&world.members[member].key),
        }
        world.quiet().await;
        world.rest_well().await;
    }

    async fn ask(world: &mut World, group: &GroupId, by: usize, ask: Ask) -> usize {
        let key = |member: usize| world.members[member].key;
        let kind = match ask {
            Ask::Say => Kind::Send,
            Ask::Invite(whom) => Kind::Invite(vec![key(whom)]),
            Ask::Remove(whom) => Kind::Remove(vec![key(whom)]),
            Ask::Promote(whom) => Kind::Promote(key(whom), Role::Admin),
            Ask::Demote(whom) => Kind::Promote(key(whom), Role::Member),
            Ask::Rename => Kind::Rename,
            Ask::Update => Kind::Update,
            Ask::Leave => Kind::Leave,
        };
        world.ask(by, Some(group.clone()), kind).await
    }

    /// What the model says and the sessions do not.
    async fn differences(&self, model: &Model) -> Vec<String> {
        let mut found = Vec::new();
        let world = &self.world;
        let answers = world.operations.iter().rev().take(model.accepted.len()).rev();
        for (operation, accepted) in answers.zip(&model.accepted) {
            if operation.answer.as_ref().map(Result::is_ok) != Some(*accepted) {
                found.push(format!("answered {:?}, accepted {accepted}", operation.answer));
            }
        }
        let keys = world.keys();
        let mut epochs = Vec::new();
        for (index, member) in model.members.iter().enumerate().filter(|(_, it)| it.online) {
            let name = world.members[index].name;
            let Some((_, session)) = &world.members[index].running else {
                found.push(format!("{name} does not live"));
                continue;
            };
            let heard: Vec<_> = world.heard_by(index).iter().map(|it| it - self.first).collect();
            if heard != member.heard {
                found.push(format!("{name} has heard {heard:?}, not {:?}", member.heard));
            }
            let info = session.group(&self.group).await.ok();
            let info =
                info.filter(|info| !matches!(info.state, GroupState::Left | GroupState::Removed));
            if info.is_some() != model.room.roster.contains(&index) {
                found.push(format!("{name} is in the group: {}", info.is_some()));
                continue;
            }
            let Some(info) = info else { continue };
            epochs.push((name, info.epoch));
            let mut roster: Vec<_> = info
                .members
                .iter()
                .map(|member| {
                    let place = keys.iter().position(|key| *key == member.identity);
                    (place, member.role == Role::Admin)
                })
                .collect();
            roster.sort_unstable();
            let right = model.room.roster.iter();
            let right: Vec<_> =
                right.map(|it| (Some(*it), model.room.admins.contains(it))).collect();
            let named = model.room.name.map(|number| format!("name {}", number + self.first));
            if info.state != GroupState::Active
                || roster != right
                || named.is_some_and(|named| named != info.name)
            {
                found.push(format!("{name} has {info:?}"));
            }
        }
        epochs.dedup_by_key(|(_, epoch)| *epoch);
        if epochs.len() > 1 {
            found.push(format!("epochs {epochs:?}"));
        }
        found
    }

    fn fail(mut self, found: &[String]) -> ! {
        let verdict = std::mem::take(&mut self.world.verdict);
        panic!("{verdict}\n{}", found.join("\n"))
    }
}

impl<const FORGETFUL: bool> StateMachineTest for Sessions<FORGETFUL> {
    type SystemUnderTest = Self;
    type Reference = Model;

    fn init_test(model: &Model) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let mut world = runtime.block_on(World::new(0, model.members.len()));
        let group = runtime.block_on(Self::start(&mut world, model));
        let first = world.operations.len();
        Self { runtime, world, group, first }
    }

    fn apply(mut state: Self, model: &Model, step: Step) -> Self {
        state.world.tell(&format!("{step:?}"));
        state.runtime.block_on(Self::step(&mut state.world, &state.group, step));
        let mut found = state.world.verdict.faults.clone();
        found.extend(state.runtime.block_on(state.differences(model)));
        if !found.is_empty() {
            state.fail(&found);
        }
        state
    }

    fn teardown(mut state: Self, _: Model) {
        let verdict = state.runtime.block_on(async {
            state.world.settle().await;
            state.world.judge().await;
            state.world.end().await
        });
        verdict.assert_clean("after the sequence");
    }
}

fn run<const FORGETFUL: bool>(name: &str, cases: u32, shrink: u32) -> Result<(), String> {
    let config = Config {
        cases,
        max_shrink_iters: shrink,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(seed(name)),
        ..Config::default()
    };
    let strategy = Model::sequential_strategy(1..80);
    let test = |(model, steps, seen)| {
        Sessions::<FORGETFUL>::test_sequential(Config::default(), model, steps, seen);
        Ok(())
    };
    TestRunner::new(config).run(&strategy, test).map_err(|error| error.to_string())
}

#[test]
fn a_group_comes_to_what_its_operations_say() {
    let cases = u32::try_from(setting("QPQ_CASES", 5, 2_000)).expect("fewer cases");
    if let Err(error) = run::<false>("proving sequences", cases, 200) {
        panic!("{error}");
    }
    say(&format!("{cases} sequences, each with the outcome of the model"));
}

/// The control.
#[test]
fn a_sequence_in_which_a_row_is_lost_is_seen() {
    let failure = run::<true>("proving sequences control", 12, 2).err();
    assert!(failure.is_some(), "lost rows go unnoticed");
}
