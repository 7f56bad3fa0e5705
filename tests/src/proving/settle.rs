//! The end of a run: everything is mended and comes to rest, and everybody says a last word.

use std::time::Duration;

use quicproquo_client::simulation::Move;
use quicproquo_client::{GroupState, Idempotency};

use super::operation::Kind;
use super::world::World;

/// Time in which all must have come to rest.
const PATIENCE: Duration = Duration::from_mins(10);

/// Moves after which it will not come to rest any more.
const MOVES: usize = 100_000;

impl World {
    /// Lets everything arrive that is on its way, without time passing.
    pub async fn rest(&mut self) {
        for _ in 0..MOVES {
            if !self.arrive().await {
                return;
            }
        }
        self.fault("it does not come to rest".into());
    }

    /// Lets everything arrive but what is held up, without time passing.
    pub async fn rest_but(&mut self, held_up: impl Fn(&Move) -> bool) {
        loop {
            let keys = self.keys();
            let mut moves = self.sim.node().moves(&keys);
            moves.retain(|a_move| !held_up(a_move));
            if !self.arrive_of(&moves).await {
                return;
            }
        }
    }

    /// As [`World::rest`], while time passes for as long as somebody waits for something soon.
    pub async fn rest_well(&mut self) {
        let until = self.sim.now_ms() + u64::try_from(PATIENCE.as_millis()).unwrap_or(u64::MAX);
        loop {
            self.rest().await;
            match self.sim.next_timer() {
                Some(at) if at <= until && self.verdict.faults.is_empty() => {
                    self.sim.advance_to(at);
                    self.quiet().await;
                }
                _ => return,
            }
        }
    }

    /// Mends everything, lets all come to rest, and lets each member say a last word, which all
    /// others must hear.
    pub async fn settle(&mut self) {
        self.tell("everything is mended");
        let node = self.sim.node().clone();
        for member in 0..self.members.len() {
            let key = self.members[member].key;
            node.cut_off(&key, false);
            node.fill(&key, false);
            self.members[member].process.die_never();
            self.start(member).await;
        }
        self.rest_well().await;
        self.accept_all().await;
        self.rest_well().await;
        self.tell("everybody says a last word");
        for member in 0..self.members.len() {
            for group in self.groups.clone() {
                if self.stands(member, &group).await == Some(GroupState::Active) {
                    self.ask(member, Some(group), Kind::Send).await;
                }
            }
        }
        self.rest_well().await;
        self.ask_for_outcomes().await;
    }

    /// Nobody keeps an invitation for ever.
    async fn accept_all(&mut self) {
        for member in 0..self.members.len() {
            let Some((_, session)) = &self.members[member].running else { continue };
            for invitation in session.invitations().await.expect("invitations") {
                self.ask(member, Some(invitation.id), Kind::Accept).await;
            }
        }
    }

    /// Where a member stands in a group.
    pub async fn stands(
        &self,
        member: usize,
        group: &quicproquo_client::GroupId,
    ) -> Option<GroupState> {
        let (_, session) = self.members[member].running.as_ref()?;
        session.group(group).await.ok().map(|group| group.state)
    }

    /// What was accepted must be done, or have failed for a reason, by now.
    async fn ask_for_outcomes(&mut self) {
        use quicproquo_client::{ChangeState, Options};
        for number in 0..self.operations.len() {
            let operation = &self.operations[number];
            if operation.answer != Some(Ok(())) || !matches!(operation.kind, Kind::Update) {
                continue;
            }
            let (member, group) = (operation.member, operation.group.clone());
            let Some((_, session)) = &self.members[member].running else { continue };
            let key = format!("operation {number}");
            let idempotency = Some(Idempotency { key, fingerprint: [0; 32] });
            let options = Options { idempotency, ..Options::default() };
            let Some(group) = group else { continue };
            let answer = session.update_keys(group, options).await;
            if answer.is_ok_and(|outcome| outcome.value.state == ChangeState::Pending) {
                let name = self.members[member].name;
                self.fault(format!("operation {number} of {name} never comes to an end"));
            }
        }
    }
}
