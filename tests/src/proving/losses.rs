//! What loses something for good: full queues, old copies of a database, forks. Members are told,
//! and in the end everybody is in the group again.

use std::path::PathBuf;

use quicproquo_client::{Cursor, Event, EventData, GroupId};

use super::Sabotage;
use super::operation::Operation;
use super::world::{Member, World};
use crate::files;

/// A copy of a member's database, and what its owner knew.
#[derive(Debug)]
pub struct Backup {
    path: PathBuf,
    log: usize,
    undecryptable: usize,
    cursor: Cursor,
    operations: usize,
    /// Those before that had no answer yet.
    unanswered: Vec<usize>,
}

/// What is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// A queue is full, or is no longer.
    Fill,
    /// A database is copied, or an old copy is put in its place.
    Restore,
    /// Two rows of a queue change places, as those of a peer that fans out one by one may.
    Swap,
}

impl World {
    /// Loses something of a member, or gets ready for it.
    pub(super) async fn lose(&mut self, member: usize, loss: Loss) {
        let (name, key) = (self.members[member].name, self.members[member].key);
        match loss {
            Loss::Fill => {
                let full = self.rng.u32(0..3) == 0;
                self.tell(&format!("{name}'s queue {}", if full { "is full" } else { "has room" }));
                self.sim.node().fill(&key, full);
            }
            Loss::Restore if self.members[member].backup.is_some() => self.restore(member).await,
            Loss::Restore => self.back_up(member).await,
            Loss::Swap => {
                self.members[member].swapped |= self.break_promise_to(member, Sabotage::SwapRows);
            }
        }
    }

    /// Copies the database of a member.
    pub async fn back_up(&mut self, member: usize) {
        self.crash(member).await;
        let Self { members, operations, .. } = &*self;
        let it = &members[member];
        let path = self.path(&format!("{} copy", it.name));
        if path.exists() {
            std::fs::remove_dir_all(&path).expect("remove the former copy");
        }
        files::copy_tree(&self.path(it.name), &path);
        let backup = Backup {
            path,
            log: it.log.len(),
            undecryptable: it.undecryptable.len(),
            cursor: it.cursor,
            operations: operations.len(),
            unanswered: it.unanswered.iter().copied().collect(),
        };
        self.tell(&format!("{}'s database is copied", self.members[member].name));
        self.members[member].backup = Some(backup);
        self.start(member).await;
    }

    /// Puts the copy in the place of the database, if there is one: what the member did since is
    /// forgotten.
    pub async fn restore(&mut self, member: usize) {
        let Some(backup) = self.members[member].backup.take() else { return };
        self.members[member].restored = true;
        self.crash(member).await;
        let it = &mut self.members[member];
        let (name, index) = (it.name, member);
        it.log.truncate(backup.log);
        it.undecryptable.truncate(backup.undecryptable);
        it.cursor = backup.cursor;
        it.unanswered.clear();
        for operation in &mut self.operations[backup.operations..] {
            operation.forgotten |= operation.member == index;
        }
        for operation in backup.unanswered {
            self.operations[operation].forgotten = true;
        }
        let path = self.path(name);
        std::fs::remove_dir_all(&path).expect("remove the database");
        files::copy_tree(&backup.path, &path);
        self.tell(&format!("an old copy of {name}'s database is put in its place"));
        self.start(member).await;
    }

    /// Whether a member was told that rows of its queue were lost.
    pub(super) fn is_disturbed_for(&self, member: usize) -> bool {
        let gap = |event: &Event| matches!(event.data, EventData::GapDetected { .. });
        self.losses && self.members[member].log.iter().any(gap)
    }

    /// Whether something of a group was lost, as somebody was told, or as somebody does not know
    /// any more who made it or has changed it. Then who was in which epoch is not known, and only
    /// what is said in the end must have come to all.
    pub(super) fn is_disturbed(&self, group: &GroupId) -> bool {
        let told = |member: &Member| member.log.iter().any(|event| tells(event, group));
        let forgotten = |it: &Operation| it.forgotten && it.group.as_ref() == Some(group);
        self.losses && (self.members.iter().any(told) || self.operations.iter().any(forgotten))
    }
}

fn tells(event: &Event, of: &GroupId) -> bool {
    match &event.data {
        EventData::GapDetected { .. } => true,
        // By nobody: told by a notice.
        EventData::GroupForked { .. }
        | EventData::GroupNeedsReadd { .. }
        | EventData::GroupLeft { by: None, .. } => event.group.as_ref() == Some(of),
        _ => false,
    }
}
