//! Messages that the node has taken, and whether members can have read them.
//!
//! While a message is on its way, the group may go on to an epoch from which nobody reads the one it
//! was encrypted in. The queue decides: the node says which row of our own queue was to be the next
//! one, and the commits among the rows before it came before the message for everybody. One that
//! came too late is encrypted again, under the same message id: whoever has it knows it.

use std::collections::BTreeSet;
use std::time::Duration;

use quicproquo_core::id::GroupId;
use quicproquo_core::suite::Profile;

use super::actor::Actor;
use super::input::Input;
use super::unit::Unit;
use crate::model::GroupState;
use crate::rpc::Request;
use crate::store::{GroupRecord, StoreError};

/// After so long the node is asked whether the rows that are waited for are there at all: they may
/// have been fetched by somebody else.
const LATE: Duration = Duration::from_secs(5);

/// Stands for the epoch of a message that was encrypted before we were added to its group again.
const ORPHAN: u64 = u64::MAX;

/// Messages that the node has and whose rows before them have not all come.
#[derive(Debug, Default)]
pub(super) struct Reach {
    /// The first row behind it, and the counter of the send.
    waiting: BTreeSet<(u64, u64)>,
    /// Groups with messages that are to be sent again.
    again: BTreeSet<GroupId>,
    /// A timer runs.
    timer: bool,
}

impl Reach {
    /// Another link, or the state was read again: the node is asked once more.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.again.clear();
    }
}

impl GroupRecord {
    /// Another epoch begins with this row of our queue, from which so many past ones can be read.
    pub(super) fn begin_epoch(&mut self, row: Option<u64>, past_epochs: usize) {
        /// Far more than are ever kept.
        const COMMITS: usize = 16;
        let past_epochs = u8::try_from(past_epochs).unwrap_or(u8::MAX);
        // Where a commit came that had to wait is not known: before everything, to be sure.
        self.commits.push((row.unwrap_or_default(), past_epochs));
        let over = self.commits.len().saturating_sub(COMMITS);
        self.commits.drain(..over);
    }

    /// Whether what was encrypted in `epoch`, and queued before our row `own_next`, came when no
    /// member could read that epoch any more. `None`: not known.
    fn is_too_late(&self, epoch: u64, own_next: u64) -> Option<bool> {
        if epoch > self.epoch {
            return None;
        }
        if epoch < self.joined_in {
            // Of a former stay: who has come since is not to read it.
            return Some(false);
        }
        let since = usize::try_from(self.epoch - epoch).unwrap_or(usize::MAX);
        let unknown = since.saturating_sub(self.commits.len());
        let known = &self.commits[self.commits.len().saturating_sub(since)..];
        let mut before = known.iter().take_while(|(position, _)| *position < own_next);
        let mut passed = unknown;
        let too_late = before.any(|(_, past_epochs)| {
            passed += 1;
            passed > usize::from(*past_epochs)
        });
        // Of the oldest commits it is not known whether they came before.
        if !too_late && unknown > 0 { None } else { Some(too_late) }
    }
}

impl Actor {
    /// The node has a message; before the row of our queue that was to be the next one, or 0 when it
    /// does not say.
    pub(super) async fn taken(
        &mut self,
        counter: u64,
        own_next: u64,
        unit: &mut Unit,
    ) -> Result<(), StoreError> {
        if own_next <= self.positions.received_up_to.saturating_add(1) {
            return self.judge(counter, own_next, unit).await;
        }
        let Some(outgoing) = self.outbox.get_mut(&counter) else { return Ok(()) };
        outgoing.sent = true;
        outgoing.ask = false;
        self.reach.waiting.insert((own_next, counter));
        self.plan_late_rows();
        Ok(())
    }

    /// Rows have come: those messages are judged that have waited for them.
    pub(super) async fn judge_waiting(
        &mut self,
        up_to: u64,
        unit: &mut Unit,
    ) -> Result<(), StoreError> {
        while let Some((own_next, counter)) = self.reach.waiting.first().copied()
            && own_next <= up_to.saturating_add(1)
        {
            self.reach.waiting.pop_first();
            self.judge(counter, own_next, unit).await?;
        }
        Ok(())
    }

    fn plan_late_rows(&mut self) {
        if !std::mem::replace(&mut self.reach.timer, true) {
            self.after(LATE, Input::RowsLate);
        }
    }

    /// Rows that messages wait for have not come for a while.
    pub(super) fn rows_late(&mut self) {
        self.reach.timer = false;
        if self.reach.waiting.is_empty() {
            return;
        }
        if let Some((up_to, _)) = self.reach.waiting.last().copied()
            && self.uplink.up
        {
            let (after, link) = (self.positions.received_up_to, self.uplink.number);
            let drained = |answer| Request::Drained { after, answer };
            let input = move |result| Input::NoRows { up_to, link, result };
            self.jobs.push(self.uplink.ask(drained, input));
        }
        self.plan_late_rows();
    }

    /// All rows before a message have come.
    async fn judge(
        &mut self,
        counter: u64,
        own_next: u64,
        unit: &mut Unit,
    ) -> Result<(), StoreError> {
        let Some(outgoing) = self.outbox.get(&counter) else { return Ok(()) };
        let Some(seq) = outgoing.message() else { return Ok(()) };
        let (group, epoch) = (outgoing.record.group.clone(), outgoing.record.epoch);
        let full = outgoing.full;
        let record = self.groups.get(&group).map(|slot| &slot.record);
        if record.is_some_and(|record| record.state == GroupState::Isolated) {
            // Commits wait unread. The node is asked again when the group is well.
            if let Some(outgoing) = self.outbox.get_mut(&counter) {
                (outgoing.sent, outgoing.ask) = (true, false);
            }
            return Ok(());
        }
        if record.is_some_and(|record| record.epoch != epoch) {
            // What was said since has waited for this one.
            unit.touched.insert(group.clone());
            if self.was_missed(&group, epoch, own_next) {
                tracing::info!(epoch, "a message came too late to be read: it is sent again");
                if let Some(outgoing) = self.outbox.get_mut(&counter) {
                    (outgoing.sent, outgoing.ask, outgoing.late) = (true, false, true);
                }
                self.reach.again.insert(group);
                return Ok(());
            }
        }
        let message = self.stored_message(seq, unit).await?;
        self.drop_outgoing(counter, unit);
        if let Some(mut message) = message {
            // Those have a gap instead.
            message.recipients = message.recipients.saturating_sub(full);
            self.message_sent(message, unit);
        }
        Ok(())
    }

    /// The group is well again: what was not judged meanwhile is asked about.
    pub(super) fn judge_again(&mut self, group: &GroupId) {
        for outgoing in self.outbox.values_mut() {
            if outgoing.record.group == *group && outgoing.message().is_some() && outgoing.sent {
                outgoing.relink();
            }
        }
        self.reach.again.remove(group);
    }

    /// Another state takes the place of the one that these messages were encrypted with.
    pub(super) fn orphan(&mut self, group: &GroupId, unit: &mut Unit) {
        let owner = self.owner;
        for (counter, outgoing) in &mut self.outbox {
            let left = outgoing.record.parcel.is_some() && outgoing.message().is_some();
            if outgoing.record.group == *group && left {
                outgoing.record.epoch = ORPHAN;
                unit.batch.outbox(owner, *counter, &outgoing.record);
            }
        }
    }

    fn was_missed(&self, group: &GroupId, epoch: u64, own_next: u64) -> bool {
        let Some(slot) = self.groups.get(group) else { return false };
        let too_late = match own_next {
            0 => slot.record.is_too_late(epoch, u64::MAX).filter(|too_late| !too_late),
            own_next => slot.record.is_too_late(epoch, own_next),
        };
        // Whoever has it would show it twice where it has no id of its own.
        let harmless = || slot.record.profile == Profile::Standard && slot.record.may_speak();
        too_late.unwrap_or_else(harmless)
    }

    /// A message of a former epoch may have come too late: what is said next waits, to stay behind
    /// it.
    pub(super) fn has_unjudged(&self, group: &GroupId) -> bool {
        let Some(slot) = self.groups.get(group) else { return false };
        self.outbox.values().any(|outgoing| {
            outgoing.record.epoch != slot.record.epoch
                && outgoing.record.group == *group
                && outgoing.message().is_some()
                && outgoing.record.parcel.is_some()
                && !outgoing.late
        })
    }

    /// Messages that came too late are to be sent anew, and behind them what was said since.
    pub(super) fn say_again(&mut self, group: &GroupId, unit: &mut Unit) {
        if !self.reach.again.contains(group) || self.has_unjudged(group) {
            return;
        }
        self.reach.again.remove(group);
        let messages = self.outbox.iter().filter_map(|(counter, outgoing)| {
            let seq = outgoing.message()?;
            let waits = outgoing.late || outgoing.record.parcel.is_none();
            (waits && outgoing.record.group == *group).then_some((seq, *counter, outgoing.late))
        });
        let mut messages: Vec<_> = messages.collect();
        messages.sort_unstable();
        let first = messages.iter().position(|(.., late)| *late).unwrap_or(messages.len());
        for (_, counter, _) in messages.drain(first..) {
            self.renumber(counter, unit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quicproquo_core::suite::Suite;

    /// A group in this epoch, whose newest epochs began at these rows.
    fn group(epoch: u64, rows: &[u64], past_epochs: usize) -> GroupRecord {
        let mut record = GroupRecord::fresh(Suite::Native, Profile::Standard);
        record.epoch = epoch;
        for row in rows {
            record.begin_epoch(Some(*row), past_epochs);
        }
        record
    }

    #[test]
    fn the_commits_before_a_message_decide() {
        let record = group(5, &[10, 20, 30, 40, 50], 3);
        // Encrypted in epoch 0: unreadable once the fourth commit has come.
        for (own_next, too_late) in [(0, false), (40, false), (41, true), (u64::MAX, true)] {
            assert_eq!(record.is_too_late(0, own_next), Some(too_late), "before row {own_next}");
        }
        assert_eq!(record.is_too_late(1, 50), Some(false));
        assert_eq!(record.is_too_late(1, 51), Some(true));
        assert_eq!(record.is_too_late(2, u64::MAX), Some(false));
        assert_eq!(record.is_too_late(5, u64::MAX), Some(false));
    }

    /// The commit by which a large group becomes a small one is processed by a large one.
    #[test]
    fn of_large_groups_fewer_epochs_can_be_read() {
        let mut record = group(2, &[10, 20], 1);
        assert_eq!(record.is_too_late(0, 20), Some(false));
        assert_eq!(record.is_too_late(0, 21), Some(true));
        record.begin_epoch(Some(30), 3);
        record.epoch = 3;
        assert_eq!(record.is_too_late(1, 31), Some(false));
        assert_eq!(record.is_too_late(0, 31), Some(true));
    }

    #[test]
    fn what_is_not_known_is_not_claimed() {
        let rows: Vec<u64> = (1..=40).map(|n| n * 10).collect();
        let record = group(40, &rows, 3);
        assert_eq!(record.commits.len(), 16);
        // The 20 commits after epoch 20 are known but for the first four.
        assert_eq!(record.is_too_late(20, 245), None);
        assert_eq!(record.is_too_late(20, 251), Some(true));
        // A commit of which it is not known where it came counts as one before.
        let mut record = group(3, &[10, 20, 30], 3);
        record.begin_epoch(None, 3);
        record.epoch = 4;
        assert_eq!(record.is_too_late(0, 31), Some(true));
        assert_eq!(record.is_too_late(0, 30), Some(false));
        // Encrypted with a state that is gone.
        assert_eq!(record.is_too_late(ORPHAN, 31), None);
        record.joined_in = 2;
        assert_eq!(record.is_too_late(1, u64::MAX), Some(false));
    }
}
