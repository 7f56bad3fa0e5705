//! Which input is handled where.

use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;
use quicproquo_core::id::GroupId;

use super::actor::Actor;
use super::command::Command;
use super::input::Input;
use super::outbox::RETRY;
use super::unit::Unit;
use crate::error::SessionError;
use crate::model::{GroupState, LinkState};
use crate::store::{IntentSpec, StoreError};

impl Actor {
    pub(super) async fn command(&mut self, command: Command, unit: &mut Unit) {
        match command {
            Command::ClaimName { name, reply } => self.claim_name(name, reply, unit),
            Command::Resolve { name, reply } => self.resolve(name, reply, unit),
            Command::Verify { identity, verified, shown, reply } => {
                let result = self.verify(identity, verified, shown.as_deref(), unit);
                unit.reply(reply, result);
            }
            Command::CreateGroup { new, options, reply } => {
                let group = self.clock.new_group();
                self.mutate(group, IntentSpec::Create(new), options, reply, unit).await;
            }
            Command::Invite { group, members, options, reply } => {
                self.mutate(group, IntentSpec::Add(members), options, reply, unit).await;
            }
            Command::Remove { group, members, options, reply } => {
                self.mutate(group, IntentSpec::Remove(members), options, reply, unit).await;
            }
            Command::ChangeContext { group, change, options, reply } => {
                self.mutate(group, IntentSpec::Context(change), options, reply, unit).await;
            }
            Command::UpdateKeys { group, options, reply } => {
                self.mutate(group, IntentSpec::Update, options, reply, unit).await;
            }
            Command::Leave { group, options, reply } => {
                self.mutate(group, IntentSpec::Leave, options, reply, unit).await;
            }
            Command::Send { group, message, options, reply } => {
                self.send(group, message, options, reply, unit).await;
            }
            Command::Accept { invitation, reply } => {
                let result = self.accept(&invitation, unit);
                unit.reply(reply, result);
            }
            Command::Decline { invitation, reply } => {
                let result = self.decline(&invitation, unit);
                unit.reply(reply, result);
            }
            Command::SetInvitePolicy { policy, reply } => {
                unit.batch.invite_policy(&self.identity.key(), &policy);
                self.policy = policy;
                unit.reply(reply, Ok(()));
            }
            Command::Export { reply } => self.export(reply, unit),
            Command::Resume { reply } => {
                self.resume(unit);
                unit.reply(reply, Ok(()));
            }
            Command::Direct(request) => self.uplink.pass(request),
            Command::Stop => {}
        }
    }

    /// Answers of the node, and timers.
    pub(super) async fn answered(
        &mut self,
        input: Input,
        unit: &mut Unit,
    ) -> Result<(), StoreError> {
        match input {
            // The new link asks anew; an old answer must not free what is on its way there.
            Input::Sent { link, .. }
            | Input::SendResult { link, .. }
            | Input::Unpause { link, .. }
            | Input::NoRows { link, .. }
            | Input::Acked { link, .. }
            | Input::AckAgain { link }
            | Input::AckDue { link }
            | Input::Drained { link, .. }
            | Input::DrainedLongEnough { link }
                if link != self.uplink.number => {}
            Input::Sent { counter, result, .. } => self.sent(counter, result, unit).await?,
            Input::SendResult { counter, result, .. } => {
                self.send_result(counter, result, unit).await?;
            }
            Input::Drained { result: Ok(true), .. } | Input::DrainedLongEnough { .. } => {
                self.backlog_read(unit);
            }
            Input::Drained { result: Err(_), .. } => self.after(RETRY, Input::AskDrained),
            Input::AskDrained if self.uplink.up && self.uplink.draining => self.ask_drained(),
            Input::Acked { up_to, result, .. } => self.acked(up_to, &result),
            Input::AckAgain { .. } => self.ack_again(),
            Input::AckDue { .. } => self.ack_due(),
            Input::Unpause { counter, .. } => self.unpause(counter),
            Input::Wake(group) => drop(unit.touched.insert(group)),
            Input::LastWords { group, due_ms, link } => {
                self.last_words_over(group, due_ms, link, unit);
            }
            Input::LinkOver => self.link_over(),
            Input::OpenLink if self.uplink.over => self.uplink.open(),
            Input::Claimed { intent, asked, result } => self.claimed(intent, &asked, result, unit),
            Input::Stock { replaced, result } => self.stock(replaced, result, unit).await?,
            Input::Made(result) => self.made(result, unit),
            Input::MakingFailed(error) => self.making_failed(&error),
            Input::NameClaimed { name, reply, result } => {
                self.name_claimed(name, reply, result, unit);
            }
            Input::NameResolved { name, reply, result } => {
                self.name_resolved(name, reply, result, unit);
            }
            Input::Names { identity, result } => self.names_known(identity, result),
            Input::HybridKey { identity, result } => self.hybrid_key(identity, result, unit),
            Input::IntentWaited(n) => unit.waited.push(n),
            Input::SendWaited(seq) => self.send_waited(seq, unit).await?,
            Input::RowsLate => self.rows_late(),
            Input::NoRows { up_to, result: Ok(true), .. } => {
                self.judge_waiting(up_to, unit).await?;
            }
            Input::UpdateKeys(group) => self.update_if_old(&group, unit),
            Input::NameWaited(name) => self.name_waited(&name, unit),
            Input::CommitProposals { group, epoch } => {
                self.commit_proposals(&group, epoch, unit).await?;
            }
            Input::CommitLate { group, epoch } => self.commit_late(&group, epoch, unit),
            Input::HeldLongEnough(group) => self.held_long_enough(&group, unit),
            Input::AskReadd(group) => self.ask_readd(&group, unit).await?,
            Input::Readd { request } => self.readd(&request, unit),
            Input::ShowEpoch { group, member, heard } => {
                self.show_epoch(&group, member, heard, unit).await?;
            }
            Input::TellRemoved { group, member, asked, tries } => {
                self.tell_removed(&group, member, asked, tries, unit).await?;
            }
            Input::StillOut { group, due_ms, tries } => {
                self.still_out(&group, due_ms, tries, unit).await?;
            }
            Input::Inquire => self.inquire(unit).await?,
            Input::Sweep => self.sweep(unit).await?,
            Input::Forget => self.forget_history(unit).await?,
            Input::Damaged => self.set_damaged_aside(unit).await?,
            Input::RetryIsolated { group, retries } => {
                self.retry_isolated(&group, retries, unit).await?;
            }
            Input::Drained { .. }
            | Input::NoRows { .. }
            | Input::AskDrained
            | Input::OpenLink
            | Input::Nothing
            | Input::Command(_)
            | Input::Link(_)
            | Input::Stop => {}
        }
        Ok(())
    }

    /// Lets every group that was touched go on: waiting messages, then intents, so that changes
    /// one after the other do not keep messages back for ever.
    pub(super) async fn go_on(&mut self, unit: &mut Unit) -> Result<(), StoreError> {
        let woken = std::mem::take(&mut self.uplink.wake);
        unit.touched.extend(woken);
        self.wake_backlog(unit);
        loop {
            self.replay(unit).await?;
            let Some(group) = unit.touched.pop_first() else {
                break;
            };
            // A panic in the protocol stack must not end the session of all other groups.
            let going = AssertUnwindSafe(async {
                self.release(&group, unit).await?;
                self.advance(&group, unit).await
            });
            match going.catch_unwind().await {
                Ok(result) => result?,
                Err(_) => self.isolate(&group, "going on panicked", unit),
            }
        }
        Ok(())
    }

    /// Why this session takes no changes at all.
    pub(super) fn refusal(&self) -> Option<SessionError> {
        match &self.uplink.state {
            LinkState::Displaced(by) => Some(SessionError::Displaced(by.clone())),
            LinkState::Exported => Some(SessionError::Exported),
            _ => None,
        }
    }

    /// The state of a group that callers may use.
    pub(super) fn usable(&self, group: &GroupId) -> Result<&super::slot::Slot, SessionError> {
        let slot = self.groups.get(group).filter(|slot| slot.record.is_visible());
        let slot = slot.ok_or(SessionError::GroupNotFound)?;
        match slot.record.state {
            GroupState::Active | GroupState::NeedsReadd => Ok(slot),
            _ => Err(SessionError::GroupInactive),
        }
    }
}
