//! The end of a run: everything is mended and comes to rest, and everybody says a last word.

use std::time::Duration;

use quicproquo_client::simulation::Move;
use quicproquo_client::{GroupId, GroupState};

use super::operation::Kind;
use super::world::World;

/// Time in which all must have come to rest.
const PATIENCE: Duration = Duration::from_mins(10);

/// The same where things got lost: who suspects that it was left behind does so for an hour.
const LONG_PATIENCE: Duration = Duration::from_hours(3);

/// Moves after which it will not come to rest any more.
const MOVES: usize = 100_000;

impl World {
    /// Lets everything arrive that is on its way, without time passing.
    pub async fn rest(&mut self) {
        self.rest_but(|_| false).await;
    }

    /// Lets everything arrive but what is held up, without time passing.
    pub async fn rest_but(&mut self, held_up: impl Fn(&Move) -> bool) {
        for _ in 0..MOVES {
            let keys = self.keys();
            let mut moves = self.sim.node().moves(&keys);
            moves.retain(|a_move| !held_up(a_move));
            if !self.arrive_of(&moves).await {
                return;
            }
        }
        self.fault("it does not come to rest".into());
    }

    /// As [`World::rest`], while time passes for as long as somebody waits for something soon.
    pub async fn rest_well(&mut self) {
        let patience = if self.losses { LONG_PATIENCE } else { PATIENCE };
        let until = self.sim.now_ms() + u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
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
            self.members[member].process.fail_never();
            self.start(member).await;
        }
        self.rest_well().await;
        for member in 0..self.members.len() {
            self.ask_again(member).await;
        }
        // Where nothing has to arrive, all that is left is to read.
        self.quiet().await;
        self.rest_well().await;
        self.accept_all().await;
        self.rest_well().await;
        if self.losses {
            // What was lost shows only when somebody goes on.
            self.all_say("everybody says something").await;
        }
        self.last_words = self.operations.len();
        self.all_say("everybody says a last word").await;
    }

    async fn all_say(&mut self, why: &str) {
        self.tell(why);
        for member in 0..self.members.len() {
            for group in self.groups.clone() {
                if self.stands(member, &group).await == Some(GroupState::Active) {
                    self.ask(member, Some(group), Kind::Send).await;
                }
            }
        }
        self.rest_well().await;
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

    /// The epoch of a group, as a member sees it.
    pub async fn epoch(&self, member: usize, group: &GroupId) -> Option<u64> {
        let (_, session) = self.members[member].running.as_ref()?;
        session.group(group).await.ok().map(|group| group.epoch)
    }

    /// Where a member stands in a group.
    pub async fn stands(&self, member: usize, group: &GroupId) -> Option<GroupState> {
        let (_, session) = self.members[member].running.as_ref()?;
        session.group(group).await.ok().map(|group| group.state)
    }
}
