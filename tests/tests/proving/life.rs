//! What comes in the life of a group, with one mishap in it.

use quicproquo_client::simulation::{Failing, Point};
use quicproquo_client::{GroupId, Role, Suite};
use quicproquo_tests::proving::{Kind, Verdict, World};

const MEMBERS: usize = 4;
pub(crate) const ALICE: usize = 0;
const BOB: usize = 1;
const CAROL: usize = 2;
const DAVE: usize = 3;

/// Something that happens to a process.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mishap {
    Death(Death),
    /// The disk of this member fails.
    Disk(usize, Failing),
}

/// Where a process dies: who, at which point, at which pass.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Death {
    pub(crate) member: usize,
    pub(crate) point: Point,
    pub(crate) pass: u64,
    /// It dies once more, at the same point, at this pass of its next life.
    pub(crate) again: Option<u64>,
}

/// A promise that is broken in a life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    None,
    /// The node takes what it has pushed for acknowledged.
    Pushed,
    /// Whoever is told that the disk fails asks for something new instead of asking again.
    Impatient,
}

struct Life {
    world: World,
    mishap: Option<Mishap>,
    impatient: bool,
}

impl Life {
    /// Everything that is on its way arrives; who has died starts again, and who got no answer
    /// asks again.
    async fn rest(&mut self) {
        loop {
            self.world.rest().await;
            let dead = self.world.members.iter().position(|member| member.running.is_none());
            if let Some(dead) = dead {
                self.world.start(dead).await;
                if let Some(Mishap::Death(death)) = &mut self.mishap
                    && let Some(pass) = death.again.take()
                {
                    self.world.members[dead].process.die_at(death.point, pass);
                }
                continue;
            }
            let waits = self.world.members.iter().position(|member| !member.unanswered.is_empty());
            let Some(waits) = waits else { return };
            if self.impatient {
                self.world.ask_anew(waits).await;
            }
            self.world.pass_time(None);
            self.world.quiet().await;
            self.world.ask_again(waits).await;
        }
    }

    async fn all_say(&mut self, group: &GroupId) {
        for member in 0..MEMBERS {
            self.world.ask(member, Some(group.clone()), Kind::Send).await;
        }
    }

    /// Joining, speaking, commits that win and that lose, new keys, leaving and being removed.
    async fn live(&mut self, suite: Suite) {
        let keys = self.world.keys();
        let first = vec![keys[BOB], keys[CAROL]];
        let made = self.world.ask(ALICE, None, Kind::Create(first, suite)).await;
        self.rest().await;
        let Some(group) = self.world.operations[made].group.clone() else {
            return self.world.fault("the group was never made".into());
        };
        self.all_say(&group).await;
        self.rest().await;
        let ask = |kind| (Some(group.clone()), kind);
        let steps = [
            vec![(ALICE, ask(Kind::Promote(keys[BOB], Role::Admin)))],
            // One of them wins.
            vec![
                (ALICE, ask(Kind::Rename)),
                (BOB, ask(Kind::Invite(vec![keys[DAVE]]))),
                (CAROL, ask(Kind::Update)),
            ],
            vec![(DAVE, ask(Kind::Update)), (ALICE, ask(Kind::Send))],
            vec![(CAROL, ask(Kind::Leave)), (BOB, ask(Kind::Send))],
            vec![(ALICE, ask(Kind::Remove(vec![keys[DAVE]]))), (BOB, ask(Kind::Update))],
            vec![(BOB, ask(Kind::Invite(vec![keys[CAROL], keys[DAVE]])))],
        ];
        for step in steps {
            for (member, (group, kind)) in step {
                self.world.ask(member, group, kind).await;
            }
            self.rest().await;
            // Whose turn it is to commit a proposal waits for it.
            self.world.rest_well().await;
            self.rest().await;
        }
        self.all_say(&group).await;
        self.rest().await;
    }
}

/// What a life was like.
pub(crate) struct Lived {
    pub(crate) verdict: Verdict,
    /// How often each point was passed by whom.
    pub(crate) deaths: Vec<Death>,
    /// How many writes each member's disk has had.
    pub(crate) writes: Vec<u64>,
}

/// Lives it through.
pub(crate) async fn live(seed: u64, mishap: Option<Mishap>, broken: Broken) -> Lived {
    let world = World::new(seed, MEMBERS).await;
    let mut life = Life { world, mishap, impatient: broken == Broken::Impatient };
    for index in 0..MEMBERS {
        let process = &life.world.members[index].process;
        let (point, pass) = match mishap {
            Some(Mishap::Death(death)) if death.member == index => (death.point, death.pass),
            _ => (Point::BeforeCommit, u64::MAX),
        };
        process.die_at(point, pass);
        process.fail_writes(match mishap {
            Some(Mishap::Disk(member, failing)) if member == index => failing,
            _ => Failing { first: u64::MAX, count: 0, done: false },
        });
    }
    if broken == Broken::Pushed {
        for member in &life.world.members {
            life.world.sim.node().take_pushed_for_acknowledged(&member.key);
        }
    }
    let suite = if seed.is_multiple_of(2) { Suite::Envelope } else { Suite::Native };
    life.live(suite).await;
    let (mut deaths, mut writes) = (Vec::new(), Vec::new());
    for (member, it) in life.world.members.iter().enumerate() {
        for point in Point::ALL {
            let passes = 1..=it.process.times(point);
            deaths.extend(passes.map(|pass| Death { member, point, pass, again: None }));
        }
        writes.push(it.process.writes());
    }
    life.world.settle().await;
    life.world.judge().await;
    Lived { verdict: life.world.end().await, deaths, writes }
}
