//! Sequences of operations on a group, each of which has one outcome that a [model](super::model)
//! knows. A sequence that fails is made as short as it still fails.

use std::collections::BTreeMap;
use std::rc::Rc;

use proptest::test_runner::{Config, RngSeed, TestRunner};
use proptest_state_machine::{ReferenceStateMachine as _, StateMachineTest};
use quicproquo_client::simulation::{Known, obey};
use quicproquo_client::{GroupId, GroupState, Role};
use quicproquo_tests::proving::{Kind, World};
use quicproquo_tests::seed::{say, seed, setting};
use tokio::runtime::Runtime;

use super::model::{Ask, Model, Step};

/// All promises are kept.
const SOUND: u8 = 0;
/// Controls: the node loses a row whenever somebody is offline; it does not tell an old copy of
/// what was sent and acknowledged since; members follow whoever proposes to remove another.
const FORGETFUL: u8 = 1;
const BLIND: u8 = 2;
const OBEDIENT: u8 = 3;

/// Sessions that do what the model says.
struct Sessions<const HOW: u8> {
    runtime: Rc<Runtime>,
    world: World,
    group: GroupId,
    /// The number of the first operation after the group was made.
    first: usize,
    /// What the node knew of whom when its database was copied.
    known: BTreeMap<usize, Known>,
    /// An old copy was put back.
    restored: bool,
}

impl<const HOW: u8> Sessions<HOW> {
    async fn start(world: &mut World, model: &Model) -> GroupId {
        let keys = world.keys();
        let others = model.room.roster.iter().filter(|member| **member != 0);
        let others = others.map(|member| keys[*member]).collect();
        let made = world.ask(0, None, Kind::Create(others, model.suite)).await;
        world.rest_well().await;
        world.operations[made].group.clone().expect("a group")
    }

    async fn step(&mut self, step: Step) {
        let Self { world, group, .. } = self;
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
                if HOW == FORGETFUL {
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
            Step::BackUp(member) => {
                world.back_up(member).await;
                world.rest().await;
                self.known.insert(member, node.known(&world.members[member].key));
            }
            Step::Restore(member) => {
                if HOW == BLIND {
                    node.forget_since(&world.members[member].key, self.known[&member]);
                }
                world.losses = true;
                self.restored = true;
                world.restore(member).await;
            }
            Step::Propose(by, whom, too) => {
                Self::propose(world, group, by, whom).await;
                world.quiet().await;
                world.rest_well().await;
                Self::ask(world, group, too, Ask::Update).await;
            }
        }
        world.quiet().await;
        world.rest_well().await;
        world.losses = false;
    }

    /// A proposal that the session of its proposer knows nothing of.
    async fn propose(world: &mut World, group: &GroupId, by: usize, whom: usize) {
        let Some((_, session)) = &world.members[by].running else { return };
        let whom = world.members[whom].key;
        let payloads = session.forge_removal(group, &whom).await.expect("a member");
        world.foul = true;
        for (to, payload) in payloads {
            world.sim.node().queue(&to, payload);
        }
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
            let refused = world.refused_by(index);
            if refused != member.refused {
                found.push(format!("{name} has refused {refused}, not {}", member.refused));
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

impl<const HOW: u8> StateMachineTest for Sessions<HOW> {
    type SystemUnderTest = Self;
    type Reference = Model;

    fn init_test(model: &Model) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = Rc::new(runtime.expect("a runtime"));
        let mut world = runtime.block_on(World::new(0, model.members.len()));
        let group = runtime.block_on(Self::start(&mut world, model));
        let first = world.operations.len();
        obey(HOW == OBEDIENT);
        Self { runtime, world, group, first, known: BTreeMap::new(), restored: false }
    }

    fn apply(mut state: Self, model: &Model, step: Step) -> Self {
        state.world.tell(&format!("{step:?}"));
        let runtime = Rc::clone(&state.runtime);
        runtime.block_on(state.step(step));
        let mut found = state.world.verdict.faults.clone();
        found.extend(runtime.block_on(state.differences(model)));
        if !found.is_empty() {
            state.fail(&found);
        }
        state
    }

    fn teardown(mut state: Self, _: Model) {
        let verdict = state.runtime.block_on(async {
            state.world.losses = state.restored;
            state.world.settle().await;
            state.world.judge().await;
            state.world.end().await
        });
        verdict.assert_clean("after the sequence");
    }
}

fn run<const HOW: u8>(name: &str, cases: u32, shrink: u32) -> Result<(), String> {
    let config = Config {
        cases,
        max_shrink_iters: shrink,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(seed(name)),
        ..Config::default()
    };
    let strategy = Model::sequential_strategy(1..80);
    let test = |(model, steps, seen)| {
        Sessions::<HOW>::test_sequential(Config::default(), model, steps, seen);
        Ok(())
    };
    TestRunner::new(config).run(&strategy, test).map_err(|error| error.to_string())
}

#[test]
fn a_group_comes_to_what_its_operations_say() {
    let cases = u32::try_from(setting("QPQ_CASES", 5, 2_000)).expect("fewer cases");
    if let Err(error) = run::<SOUND>("proving sequences", cases, 200) {
        panic!("{error}");
    }
    say(&format!("{cases} sequences, each with the outcome of the model"));
}

/// The controls: what protects a group is off, and the model knows better.
#[test]
fn a_sequence_in_which_a_row_is_lost_is_seen() {
    let failure = run::<FORGETFUL>("proving sequences control", 12, 2).err();
    assert!(failure.is_some(), "lost rows go unnoticed");
}

#[test]
fn a_sequence_in_which_an_old_copy_is_not_noticed_is_seen() {
    let failure = run::<BLIND>("proving sequences control", 12, 2).err();
    assert!(failure.is_some(), "old copies go unnoticed");
}

#[test]
fn a_sequence_in_which_members_follow_foreign_proposals_is_seen() {
    let failure = run::<OBEDIENT>("proving sequences control", 12, 2).err();
    assert!(failure.is_some(), "foreign proposals go unnoticed");
}
