//! Messages that wait are encrypted when their group can, and the bytes kept with the ratchet that
//! made them.

use quicproquo_core::id::GroupId;
use quicproquo_core::suite::Suite;

use super::actor::Actor;
use super::published::with_published;
use super::recipients::{recipients, wrap};
use super::send::plaintext;
use super::slot::Slot;
use super::unit::Unit;
use crate::guard::guarded;
use crate::model::GroupState;
use crate::store::{OutboxKind, Parcel, StoreError, StoredMessage};

impl Actor {
    /// Encrypts what waits in a group, in order, when the group can encrypt.
    pub(super) async fn release(
        &mut self,
        group: &GroupId,
        unit: &mut Unit,
    ) -> Result<(), StoreError> {
        self.say_again(group, unit);
        let waiting: Vec<(u64, u64)> = self
            .outbox
            .iter()
            .filter(|(_, outgoing)| {
                outgoing.record.group == *group && outgoing.record.parcel.is_none()
            })
            .filter_map(|(counter, outgoing)| match outgoing.record.kind {
                OutboxKind::Message(seq) => Some((*counter, seq)),
                _ => None,
            })
            .collect();
        if waiting.is_empty() {
            return Ok(());
        }
        let active = self.groups.get(group).is_some_and(|slot| slot.record.may_speak());
        if active && self.mls(group).await?.is_none() {
            self.isolate(group, "its rows do not load", unit);
        }
        let slot = self.groups.get(group);
        let isolated = slot.is_some_and(|slot| slot.record.state == GroupState::Isolated);
        let lacking = active && !isolated && self.lacks_keys(group, &[]).await?;
        if isolated
            || lacking
            || self.has_unjudged(group)
            || (active && !self.can_encrypt(group).await?)
        {
            for (counter, _) in waiting {
                self.write_outbox(counter, unit);
            }
            return Ok(());
        }
        let mut room = self.encryption_room();
        let mut done = Vec::new();
        let mut whole = true;
        for &(counter, seq) in &waiting {
            if active && room == 0 {
                self.backlog.insert(group.clone());
                self.write_outbox(counter, unit);
                continue;
            }
            let Some(message) = self.stored_message(seq, unit).await? else {
                self.drop_outgoing(counter, unit);
                continue;
            };
            if message.content.damaged {
                self.fail_message(counter, message, "its content is damaged", unit);
                continue;
            }
            if !active {
                self.fail_message(counter, message, "no longer a member of the group", unit);
                continue;
            }
            if Self::is_stale(&message, unit) {
                self.fail_message(counter, message, "nobody wants it any more", unit);
                continue;
            }
            match self.encrypt(group, &message, unit).await? {
                Some(Ok(parcel)) => {
                    room = room.saturating_sub(parcel.size());
                    done.push((counter, message, parcel));
                }
                Some(Err(reason)) => self.fail_message(counter, message, &reason, unit),
                None => {
                    whole = false;
                    break;
                }
            }
        }
        // Only now may the bytes be kept, since the ratchet that made them will be.
        if whole && !done.is_empty() {
            whole = self.mls(group).await?.is_some_and(|mls| {
                guarded("flush", group.as_bytes(), || mls.flush().is_ok()).unwrap_or(false)
            });
        }
        if whole {
            if !done.is_empty() {
                self.last_words_go_on(group);
            }
            for (counter, message, parcel) in done {
                self.count_message(group, unit);
                self.encrypted(counter, message, parcel, unit);
            }
        } else {
            self.isolate(group, "encrypting failed", unit);
            for (counter, _) in waiting {
                self.write_outbox(counter, unit);
            }
        }
        Ok(())
    }

    fn encrypted(
        &mut self,
        counter: u64,
        mut message: StoredMessage,
        parcel: Parcel,
        unit: &mut Unit,
    ) {
        let record = self.groups.get(&message.group).map(|slot| &slot.record);
        let epoch = record.map_or(message.epoch, |record| record.epoch);
        let others = record.map_or(0, |record| record.members.len().saturating_sub(1));
        let recipients = if parcel.to_members { others } else { parcel.recipients.len() };
        let recipients = u32::try_from(recipients).unwrap_or(u32::MAX);
        if message.epoch != epoch || message.recipients != recipients {
            message.epoch = epoch;
            message.recipients = recipients;
            let (owner, seq) = (self.owner, message.seq);
            unit.batch.message_state(owner, seq, epoch, recipients, &message.delivery);
            self.said.change(&message);
            unit.messages.insert(seq, message.clone());
        }
        if recipients == 0 {
            self.outbox.remove(&counter);
            unit.batch.drop_outbox(self.owner, counter);
            self.message_sent(message, unit);
            return;
        }
        if let Some(outgoing) = self.outbox.get_mut(&counter) {
            outgoing.record.parcel = Some(parcel);
            outgoing.record.epoch = epoch;
            outgoing.written = false;
        }
        self.write_outbox(counter, unit);
    }

    /// `None`: the protocol stack panicked.
    async fn encrypt(
        &mut self,
        group: &GroupId,
        message: &StoredMessage,
        unit: &mut Unit,
    ) -> Result<Option<Result<Parcel, String>>, StoreError> {
        let identity = std::sync::Arc::clone(&self.identity);
        let own = identity.key();
        let published = self.published.clone();
        let kept = unit.plain.remove(&message.seq);
        let Some(mls) = self.mls(group).await? else {
            return Ok(Some(Err("the group's state is broken".into())));
        };
        Ok(guarded("encrypt", group.as_bytes(), || {
            let plain = match kept {
                Some(plain) => plain,
                None => plaintext(message.id, &message.content, mls.profile())
                    .map_err(|error| error.to_string())?,
            };
            let bytes = mls.encrypt(&identity, &plain).map_err(|error| error.to_string())?;
            match mls.suite() {
                Suite::Native => Ok(Parcel::to_members(bytes)),
                suite @ Suite::Envelope => {
                    let others = recipients(mls, |member| *member != own);
                    wrap(suite, &bytes, with_published(others, &published))
                }
            }
        }))
    }

    /// No commit of ours is in flight, and nobody's proposal waits.
    pub(super) async fn can_encrypt(&mut self, group: &GroupId) -> Result<bool, StoreError> {
        let waits = |slot: &Slot| slot.record.pending.is_some() || slot.blocks();
        if self.groups.get(group).is_none_or(waits) {
            return Ok(false);
        }
        let mls = self.mls(group).await?;
        Ok(mls.is_some_and(|mls| mls.is_active() && !mls.has_pending() && !mls.has_proposals()))
    }
}
