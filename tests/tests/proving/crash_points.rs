//! A process dies between two steps of a unit of work: at each point, for each unit that comes in
//! the life of a group, and once more while it recovers.

use quicproquo_client::simulation::Point;
use quicproquo_client::{GroupId, Role, Suite};
use quicproquo_tests::proving::world::block_on;
use quicproquo_tests::proving::{Kind, Verdict, World};
use quicproquo_tests::seed::{part, pick, say, seed};

const MEMBERS: usize = 4;
const ALICE: usize = 0;
const BOB: usize = 1;
const CAROL: usize = 2;
const DAVE: usize = 3;

/// Where a process dies: who, at which point, at which pass.
#[derive(Debug, Clone, Copy)]
struct Death {
    member: usize,
    point: Point,
    pass: u64,
    /// It dies once more, at the same point, at this pass of its next life.
    again: Option<u64>,
}

struct Life {
    world: World,
    death: Option<Death>,
}

impl Life {
    /// Everything that is on its way arrives; who has died starts again.
    async fn rest(&mut self) {
        loop {
            self.world.rest().await;
            let dead = self.world.members.iter().position(|member| member.running.is_none());
            let Some(dead) = dead else { return };
            self.world.start(dead).await;
            let again =
                self.death.as_mut().and_then(|death| Some((death.point, death.again.take()?)));
            if let Some((point, pass)) = again {
                self.world.members[dead].process.die_at(point, pass);
            }
        }
    }

    async fn all_say(&mut self, group: &GroupId) {
        for member in 0..MEMBERS {
            self.world.ask(member, Some(group.clone()), Kind::Send).await;
        }
    }

    /// What comes in the life of a group: joining, speaking, commits that win and that lose, new
    /// keys, leaving and being removed.
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

/// Lives it through, over a node that may take what it has pushed for acknowledged; answers also how often each point was passed by whom.
async fn run(seed: u64, death: Option<Death>, careless: bool) -> (Verdict, Vec<Death>) {
    let world = World::new(seed, MEMBERS).await;
    let mut life = Life { world, death };
    for index in 0..MEMBERS {
        let (point, pass) = match death {
            Some(death) if death.member == index => (death.point, death.pass),
            _ => (Point::BeforeCommit, u64::MAX),
        };
        life.world.members[index].process.die_at(point, pass);
    }
    if careless {
        for member in &life.world.members {
            life.world.sim.node().take_pushed_for_acknowledged(&member.key);
        }
    }
    let suite = if seed.is_multiple_of(2) { Suite::Envelope } else { Suite::Native };
    life.live(suite).await;
    let mut deaths = Vec::new();
    for (member, it) in life.world.members.iter().enumerate() {
        for point in Point::ALL {
            let passes = 1..=it.process.times(point);
            deaths.extend(passes.map(|pass| Death { member, point, pass, again: None }));
        }
    }
    life.world.settle().await;
    life.world.judge().await;
    (life.world.end().await, deaths)
}

/// All deaths of a life without one.
fn deaths(seed: u64) -> Vec<Death> {
    let (verdict, deaths) = block_on(run(seed, None, false));
    verdict.assert_clean("nobody dies");
    assert!(deaths.len() >= 150, "a life has {} crash points", deaths.len());
    deaths
}

#[test]
fn who_dies_at_any_point_goes_on_where_it_was() {
    let seed = seed("proving crash points");
    let mut deaths = deaths(seed);
    let all = deaths.len();
    let mut rng = part(seed, 2);
    rng.shuffle(&mut deaths);
    // Each of the chosen ones once more with a second death while it recovers.
    let chosen = &deaths[..pick(16, all)];
    let mut died = 0;
    for (number, death) in chosen.iter().enumerate() {
        let again = (number % 2 == 1).then(|| rng.u64(1..=3));
        let death = Death { again, ..*death };
        let (verdict, _) = block_on(run(seed, Some(death), false));
        verdict.assert_clean(&format!("QPQ_SEED={seed}, {death:?}"));
        assert!(verdict.crashes > 0, "{death:?} did not happen");
        died += verdict.crashes;
    }
    say(&format!("{} of {all} crash points, {died} deaths, all converge", chosen.len()));
}

/// The control: an acknowledgement before the commit loses what was not committed.
#[test]
fn acknowledging_before_the_commit_is_seen() {
    let seed = seed("proving crash points control");
    // The later, the more there is to lose.
    let mut deaths = deaths(seed).into_iter().rev();
    let seen = deaths.any(|death| {
        death.member == ALICE && death.point == Point::BeforeCommit && {
            let (verdict, _) = block_on(run(seed, Some(death), true));
            !verdict.faults.is_empty()
        }
    });
    assert!(seen, "a loss goes unnoticed");
}
