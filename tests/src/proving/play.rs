//! The random part of a run: what happens next, one thing after the other.

use std::time::Duration;

use quicproquo_client::simulation::{Failing, Move, Point};
use quicproquo_client::{GroupId, GroupState, IdentityKey, InvitePolicy, Role, Suite};

use super::losses::Loss;
use super::operation::Kind;
use super::world::World;
use super::{Plan, Sabotage};

/// Most groups of a run.
const GROUPS: usize = 3;

/// Time passes in strides of at most this while something else may happen.
const STRIDE: Duration = Duration::from_secs(10);

/// Weights of what may happen.
#[derive(Debug, Clone, Copy)]
pub struct Odds {
    /// Something arrives: a request, an answer, rows; a link comes up.
    pub arrive: u32,
    /// Somebody says something.
    pub send: u32,
    /// Somebody makes a group.
    pub create: u32,
    /// Somebody changes a group.
    pub change: u32,
    /// Somebody leaves or removes somebody.
    pub part: u32,
    /// Somebody answers an invitation.
    pub answer: u32,
    /// A link breaks.
    pub drop_link: u32,
    /// Somebody is cut off from the node, or is no longer.
    pub cut_off: u32,
    /// A process dies between two units of work, or is told in the middle of which it will.
    pub crash: u32,
    /// A dead process starts.
    pub start: u32,
    /// Time passes though something is on its way.
    pub wait: u32,
    /// The node refuses sends for now.
    pub refuse: u32,
    /// A row comes twice.
    pub repeat: u32,
    /// Something is lost for good.
    pub lose: u32,
    /// A disk fails for a few writes.
    pub fail: u32,
}

impl Odds {
    /// Nothing goes wrong.
    pub const CALM: Self = Self {
        arrive: 60,
        send: 14,
        create: 1,
        change: 5,
        part: 0,
        answer: 4,
        drop_link: 0,
        cut_off: 0,
        crash: 0,
        start: 6,
        wait: 2,
        refuse: 0,
        repeat: 0,
        lose: 0,
        fail: 0,
    };

    /// Everything that can, in another mixture each time.
    pub fn draw(rng: &mut fastrand::Rng) -> Self {
        let mut maybe = |most| if rng.bool() { rng.u32(0..=most) } else { 0 };
        Self {
            change: 2 + maybe(8),
            part: maybe(5),
            drop_link: maybe(4),
            cut_off: maybe(2),
            crash: maybe(5),
            wait: 1 + maybe(5),
            refuse: maybe(2),
            repeat: maybe(2),
            fail: maybe(3),
            ..Self::CALM
        }
    }

    fn weights(&self) -> [(What, u32); 15] {
        [
            (What::Arrive, self.arrive),
            (What::Send, self.send),
            (What::Create, self.create),
            (What::Change, self.change),
            (What::Part, self.part),
            (What::Answer, self.answer),
            (What::DropLink, self.drop_link),
            (What::CutOff, self.cut_off),
            (What::Crash, self.crash),
            (What::Start, self.start),
            (What::Wait, self.wait),
            (What::Refuse, self.refuse),
            (What::Repeat, self.repeat),
            (What::Lose, self.lose),
            (What::Fail, self.fail),
        ]
    }
}

#[derive(Debug, Clone, Copy)]
enum What {
    Arrive,
    Send,
    Create,
    Change,
    Part,
    Answer,
    DropLink,
    CutOff,
    Crash,
    Start,
    Wait,
    Refuse,
    Repeat,
    Lose,
    Fail,
}

impl World {
    /// Lets as much happen as the plan says.
    pub async fn play(&mut self, plan: &Plan) {
        for member in 0..self.members.len() {
            // What is kept while nobody answers must not be lost either.
            if self.rng.u32(0..3) == 0
                && let Some((_, session)) = &self.members[member].running
            {
                session.set_invite_policy(InvitePolicy::Ask).await.expect("a policy");
                self.tell(&format!("{} answers invitations itself", self.members[member].name));
            }
        }
        self.create().await;
        let mut sabotage = plan.sabotage;
        let weights = plan.odds.weights();
        let all: u32 = weights.iter().map(|(_, weight)| weight).sum();
        for step in 0..plan.steps {
            let mut drawn = self.rng.u32(0..all);
            let chosen = weights.iter().find(|(_, weight)| {
                let hit = drawn < *weight;
                drawn = drawn.saturating_sub(*weight);
                hit
            });
            if let Some((what, _)) = chosen {
                self.happen(*what).await;
            }
            if step > plan.steps / 3
                && let Some(how) = sabotage
                && self.break_promise(how)
            {
                sabotage = None;
            }
        }
    }

    async fn happen(&mut self, what: What) {
        let member = self.rng.usize(0..self.members.len());
        let key = self.members[member].key;
        let name = self.members[member].name;
        let node = self.sim.node().clone();
        match what {
            What::Arrive => {
                if !self.arrive().await {
                    let most = (self.rng.u32(0..16) > 0).then_some(STRIDE);
                    self.pass_time(most);
                }
            }
            What::Send => {
                if let Some(group) = self.some_group(member).await {
                    self.ask(member, Some(group), Kind::Send).await;
                }
            }
            What::Create if self.groups.len() < GROUPS => self.create().await,
            What::Create => {}
            What::Change => self.change(member).await,
            What::Part => self.part(member).await,
            What::Answer => self.answer(member).await,
            What::DropLink => {
                self.tell(&format!("{name}'s link breaks"));
                node.drop_link(&key);
            }
            What::CutOff => {
                let cut_off = self.rng.bool();
                let how = if cut_off { "cut off" } else { "not cut off" };
                self.tell(&format!("{name} is {how}"));
                node.cut_off(&key, cut_off);
                if cut_off {
                    node.drop_link(&key);
                }
            }
            What::Crash if self.rng.u32(0..3) == 0 => self.crash(member).await,
            What::Crash => {
                let point = Point::ALL[self.rng.usize(0..Point::ALL.len())];
                let pass = self.rng.u64(1..=4);
                self.tell(&format!("{name} will die {point:?}, at pass {pass}"));
                self.members[member].process.die_at(point, pass);
            }
            What::Start => {
                let dead = self.members.iter().position(|member| member.running.is_none());
                if let Some(dead) = dead {
                    self.start(dead).await;
                }
            }
            What::Wait => self.pass_time(Some(STRIDE)),
            What::Refuse => {
                let sends = self.rng.u32(1..=3);
                self.tell(&format!("the node will refuse {sends} sends of {name}"));
                node.refuse_sends(&key, sends);
            }
            What::Lose => {
                let losses = [Loss::Fill, Loss::Restore, Loss::Swap];
                let loss = losses[self.rng.usize(0..losses.len())];
                self.lose(member, loss).await;
            }
            What::Fail => {
                let (first, count) = (self.rng.u64(1..=3), self.rng.u64(1..=3));
                let failing = Failing { first, count, done: self.rng.bool() };
                self.tell(&format!("{name}'s disk will fail: {failing:?}"));
                self.members[member].process.fail_writes(failing);
            }
            What::Repeat => {
                if node.repeat_row(&key) {
                    self.tell(&format!("{name}'s newest row is queued once more"));
                }
            }
        }
        self.quiet().await;
    }

    /// One thing arrives, if something is on its way.
    pub async fn arrive(&mut self) -> bool {
        let keys = self.keys();
        let moves = self.sim.node().moves(&keys);
        self.arrive_of(&moves).await
    }

    /// One of these.
    pub(super) async fn arrive_of(&mut self, moves: &[Move]) -> bool {
        if moves.is_empty() {
            return false;
        }
        let a_move = moves[self.rng.usize(0..moves.len())];
        let which = match a_move {
            Move::Answer(_, answers) => self.rng.usize(0..answers),
            Move::Push(_, rows) => self.rng.usize(1..=rows),
            _ => 0,
        };
        let said = self.sim.node().make(a_move, which);
        self.tell(&said);
        self.quiet().await;
        true
    }

    /// Time passes until somebody has waited long enough, at most for a stride.
    pub fn pass_time(&mut self, most: Option<Duration>) {
        let Some(at) = self.sim.next_timer() else { return };
        let most = most.map_or(u64::MAX, |most| {
            self.sim.now_ms() + u64::try_from(most.as_millis()).unwrap_or(u64::MAX)
        });
        self.sim.advance_to(at.min(most));
    }

    async fn create(&mut self) {
        let member = self.rng.usize(0..self.members.len());
        let others = self.others(member);
        let suite = if self.rng.bool() { Suite::Envelope } else { Suite::Native };
        let count = self.rng.usize(1..=others.len());
        self.ask(member, None, Kind::Create(others[..count].to_vec(), suite)).await;
    }

    /// Everybody else, in any order.
    fn others(&mut self, member: usize) -> Vec<IdentityKey> {
        let own = self.members[member].key;
        let mut others = self.keys();
        others.retain(|key| *key != own);
        self.rng.shuffle(&mut others);
        others
    }

    /// A group in which a member can do something.
    pub async fn some_group(&mut self, member: usize) -> Option<GroupId> {
        let (_, session) = self.members[member].running.as_ref()?;
        let groups = session.groups().await.expect("groups");
        // In the order in which they were made.
        let mut usable: Vec<GroupId> = self.groups.clone();
        usable.retain(|id| {
            groups.iter().any(|group| group.id == *id && group.state == GroupState::Active)
        });
        (!usable.is_empty()).then(|| usable.swap_remove(self.rng.usize(0..usable.len())))
    }

    async fn roster(&self, member: usize, group: &GroupId) -> Vec<IdentityKey> {
        let Some((_, session)) = &self.members[member].running else { return Vec::new() };
        let group = session.group(group).await.expect("a group");
        group.members.iter().map(|member| member.identity).collect()
    }

    async fn change(&mut self, member: usize) {
        let Some(group) = self.some_group(member).await else { return };
        let roster = self.roster(member, &group).await;
        let others = self.others(member);
        let strangers: Vec<_> = others.iter().filter(|key| !roster.contains(key)).collect();
        let known: Vec<_> = others.iter().filter(|key| roster.contains(key)).collect();
        let kind = match self.rng.u32(0..5) {
            0 => Kind::Rename,
            2 | 3 if !strangers.is_empty() => Kind::Invite(vec![*strangers[0]]),
            4 if !known.is_empty() => {
                let role = if self.rng.u32(0..4) > 0 { Role::Admin } else { Role::Member };
                Kind::Promote(*known[0], role)
            }
            _ => Kind::Update,
        };
        self.ask(member, Some(group), kind).await;
    }

    async fn part(&mut self, member: usize) {
        let Some(group) = self.some_group(member).await else { return };
        let roster = self.roster(member, &group).await;
        let others = self.others(member);
        let known = others.iter().find(|key| roster.contains(key));
        let kind = match known {
            Some(key) if self.rng.bool() => Kind::Remove(vec![*key]),
            _ => Kind::Leave,
        };
        self.ask(member, Some(group), kind).await;
    }

    fn break_promise(&mut self, how: Sabotage) -> bool {
        let member = self.rng.usize(0..self.members.len());
        self.break_promise_to(member, how)
    }

    /// Who keeps invitations mostly accepts them.
    async fn answer(&mut self, member: usize) {
        let Some((_, session)) = &self.members[member].running else { return };
        let invitations = session.invitations().await.expect("invitations");
        let Some(invitation) = invitations.into_iter().next() else { return };
        let kind = if self.rng.u32(0..4) > 0 { Kind::Accept } else { Kind::Decline };
        self.ask(member, Some(invitation.id), kind).await;
    }

    /// Breaks a promise to this member, if it is the time for it.
    pub fn break_promise_to(&mut self, member: usize, how: Sabotage) -> bool {
        let (key, name) = (self.members[member].key, self.members[member].name);
        let done = match how {
            Sabotage::ForgetRow => self.sim.node().forget_row(&key),
            Sabotage::SwapRows => self.sim.node().swap_rows(&key),
        };
        if done {
            self.tell(&format!("the node breaks a promise to {name}: {how:?}"));
        }
        done
    }
}
