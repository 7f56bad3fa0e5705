//! A handle on one identity's live MLS state.
//!
//! Calls that change something go to the task that owns the state (`actor`); calls that only
//! read look into the store and never wait for the crypto.

use std::sync::Arc;

use quicproquo_core::id::GroupId;
use quicproquo_core::identity::{IdentityKey, SafetyNumber};
use quicproquo_schemas::id::Instance;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::error::SessionError;
use crate::event::Cursor;
use crate::model::{
    Change, ContextChange, GroupInfo, Health, InvitePolicy, KnownIdentity, LinkState, Message,
    NewGroup, Options, Outcome, Outgoing,
};
use crate::rpc::Driver;
use crate::store::{Exported, IdentityRecord, Owner, Store};
pub use blobs::BlobHash;
use command::{Asked, Command};
pub(crate) use hidden::Hidden;
use recent::Recent;

mod actor;
mod arrived;
pub mod attachments;
mod blobs;
mod budget;
mod buffer;
mod bulk;
mod cache;
mod claim;
mod clocks;
pub(crate) mod command;
mod commit;
mod damage;
mod delivery;
mod departed;
mod direct;
mod dispatch;
mod encrypt;
mod export;
#[cfg(any(test, feature = "simulation"))]
mod foul;
mod halt;
mod hidden;
mod inbox;
mod input;
mod isolate;
mod key_packages;
mod leave;
mod load;
mod log;
mod membership;
mod merge;
mod names;
mod outbox;
mod outgoing;
mod pace;
mod published;
mod reach;
mod readd;
mod reads;
mod receive;
mod recent;
mod recipients;
mod refusal;
mod removed;
mod repair;
mod retention;
mod rotation;
mod said;
mod send;
mod slot;
mod stale;
mod target;
#[cfg(test)]
pub(crate) mod tests;
mod trust;
mod unit;
mod uplink;
mod welcome;

/// A cheap handle; all clones speak to the same task.
#[derive(Debug, Clone)]
pub struct Session {
    identity: IdentityKey,
    owner: Owner,
    commands: mpsc::Sender<Asked>,
    store: Arc<Store>,
    tail: watch::Receiver<Cursor>,
    recent: Arc<Recent>,
    health: watch::Receiver<Health>,
    clock: Clock,
}

/// Calls that wait for the task.
const COMMANDS: usize = 256;

type Reply<T> = oneshot::Sender<Result<T, SessionError>>;

impl Session {
    /// The identity this session acts for.
    pub fn identity(&self) -> IdentityKey {
        self.identity
    }

    /// How the session does, without waiting.
    pub fn health(&self) -> Health {
        self.health.borrow().clone()
    }

    /// Claims a name at the node.
    ///
    /// # Errors
    /// `NameInvalid`, `NameTaken`, `TooManyNames`, `NodeUnreachable` after 10 s without a link.
    pub async fn claim_name(&self, name: &str) -> Result<(), SessionError> {
        let name = name.to_owned();
        self.call(|reply| Command::ClaimName { name, reply }).await
    }

    /// Finds the identity behind a name, verified and pinned on first use.
    ///
    /// # Errors
    /// `NameUnknown`, `NameInvalid`, `NodeUnreachable`.
    pub async fn resolve(&self, name: &str) -> Result<IdentityKey, SessionError> {
        let name = name.to_owned();
        self.call(|reply| Command::Resolve { name, reply }).await
    }

    /// The pinned name of an identity, if one is known.
    ///
    /// # Errors
    /// `StorageUnavailable`.
    pub async fn name_of(&self, identity: &IdentityKey) -> Result<Option<String>, SessionError> {
        Ok(self.store.names_of(self.owner, [*identity].into()).await?.name(identity))
    }

    /// What is known of an identity.
    ///
    /// # Errors
    /// `StorageUnavailable`.
    pub async fn known(&self, identity: &IdentityKey) -> Result<KnownIdentity, SessionError> {
        let names = self.store.names_of(self.owner, [*identity].into()).await?;
        Ok(trust::known(&names, &self.identity, *identity))
    }

    /// What two people compare to know that each has the other's key.
    pub fn safety_number(&self, other: &IdentityKey) -> SafetyNumber {
        SafetyNumber::new(&self.identity, other)
    }

    /// A person has compared the safety number: the identity is [`TrustState::Verified`] from now
    /// on. With `shown`, what the other side displays must be that number. Doing it twice is doing
    /// it once.
    ///
    /// [`TrustState::Verified`]: crate::TrustState::Verified
    ///
    /// # Errors
    /// `SafetyNumberMismatch`; `Invalid` for the own identity.
    pub async fn verify(
        &self,
        identity: IdentityKey,
        shown: Option<String>,
    ) -> Result<KnownIdentity, SessionError> {
        self.call(|reply| Command::Verify { identity, verified: true, shown, reply }).await
    }

    /// Takes a verification back.
    ///
    /// # Errors
    /// `Invalid` for the own identity.
    pub async fn unverify(&self, identity: IdentityKey) -> Result<KnownIdentity, SessionError> {
        let (verified, shown) = (false, None);
        self.call(|reply| Command::Verify { identity, verified, shown, reply }).await
    }

    /// Creates a group, with all members added by its first commit.
    ///
    /// # Errors
    /// `NoKeyPackage`, `BadKeyPackage`, `Invalid`, the idempotency errors.
    pub async fn create_group(
        &self,
        new: NewGroup,
        options: Options,
    ) -> Result<Outcome<Change>, SessionError> {
        self.call(|reply| Command::CreateGroup { new, options, reply }).await
    }

    /// Adds members by one commit.
    ///
    /// # Errors
    /// `GroupNotFound`, `GroupInactive`, `NotAdmin`, `AlreadyMember` when all are members,
    /// `NoKeyPackage`, `EpochMismatch`, the idempotency errors.
    pub async fn invite(
        &self,
        group: GroupId,
        members: Vec<IdentityKey>,
        options: Options,
    ) -> Result<Outcome<Change>, SessionError> {
        self.call(|reply| Command::Invite { group, members, options, reply }).await
    }

    /// Removes members by one commit.
    ///
    /// # Errors
    /// `GroupNotFound`, `GroupInactive`, `NotAdmin`, `NotAMember`, `EpochMismatch`.
    pub async fn remove(
        &self,
        group: GroupId,
        members: Vec<IdentityKey>,
        options: Options,
    ) -> Result<Outcome<Change>, SessionError> {
        self.call(|reply| Command::Remove { group, members, options, reply }).await
    }

    /// Changes name, topic or roles.
    ///
    /// # Errors
    /// `GroupNotFound`, `GroupInactive`, `NotAdmin`, `LastAdmin`, `NotAMember`, `Invalid`.
    pub async fn change_context(
        &self,
        group: GroupId,
        change: ContextChange,
        options: Options,
    ) -> Result<Outcome<Change>, SessionError> {
        self.call(|reply| Command::ChangeContext { group, change, options, reply }).await
    }

    /// Replaces own key material in the group (an empty commit with a path).
    ///
    /// # Errors
    /// `GroupNotFound`, `GroupInactive`.
    pub async fn update_keys(
        &self,
        group: GroupId,
        options: Options,
    ) -> Result<Outcome<Change>, SessionError> {
        self.call(|reply| Command::UpdateKeys { group, options, reply }).await
    }

    /// Leaves a group; another member commits it.
    ///
    /// # Errors
    /// `GroupNotFound`, `GroupInactive`, `LastAdmin`.
    pub async fn leave(
        &self,
        group: GroupId,
        options: Options,
    ) -> Result<Outcome<Change>, SessionError> {
        self.call(|reply| Command::Leave { group, options, reply }).await
    }

    /// Sends a message. The answer is durable here; `delivery` says how far it has come.
    ///
    /// # Errors
    /// `GroupNotFound`, `GroupInactive`, `TooLarge`, `Invalid`, `EpochMismatch`, the
    /// idempotency errors; `MessageNotFound`, `NotYourMessage` and `NotEditable` of what is about
    /// another message.
    pub async fn send(
        &self,
        group: GroupId,
        message: Outgoing,
        options: Options,
    ) -> Result<Outcome<Message>, SessionError> {
        self.call(|reply| Command::Send { group, message, options, reply }).await
    }

    /// Accepts an invitation: the group and what was said in it appear in the log.
    ///
    /// # Errors
    /// `InvitationNotFound`.
    pub async fn accept(&self, invitation: GroupId) -> Result<GroupInfo, SessionError> {
        self.call(|reply| Command::Accept { invitation, reply }).await
    }

    /// Declines an invitation and leaves its group.
    ///
    /// # Errors
    /// `InvitationNotFound`.
    pub async fn decline(&self, invitation: GroupId) -> Result<(), SessionError> {
        self.call(|reply| Command::Decline { invitation, reply }).await
    }

    /// What happens to invitations from now on.
    ///
    /// # Errors
    /// `StorageUnavailable`.
    pub async fn set_invite_policy(&self, policy: InvitePolicy) -> Result<(), SessionError> {
        self.call(|reply| Command::SetInvitePolicy { policy, reply }).await
    }

    /// What happens to invitations now.
    ///
    /// # Errors
    /// `StorageUnavailable`.
    pub async fn invite_policy(&self) -> Result<InvitePolicy, SessionError> {
        Ok(self.store.invite_policy(self.owner).await?)
    }

    /// Goes on after another instance has displaced this one, or after an export: an operator says
    /// that no other runs. While one does, it is displaced. A session that runs just goes on.
    ///
    /// # Errors
    /// `StorageUnavailable`.
    pub async fn resume(&self) -> Result<(), SessionError> {
        self.call(|reply| Command::Resume { reply }).await
    }

    /// Starts the task of a session.
    #[expect(clippy::too_many_arguments, reason = "what a client and its session share")]
    pub(crate) fn start(
        record: IdentityRecord,
        store: &Arc<Store>,
        driver: &Driver,
        clock: Clock,
        instance: Instance,
        stock_target: u32,
        invite: Option<Arc<str>>,
        tracker: &TaskTracker,
    ) -> Self {
        let (commands, queue) = mpsc::channel(COMMANDS);
        let recent = Arc::<Recent>::default();
        let (tail_sender, tail) = watch::channel(Cursor(record.positions.tail));
        let health = Health {
            link: LinkState::Connecting,
            stock: Vec::new(),
            outbox: 0,
            groups: 0,
            clock_ahead_secs: 0,
        };
        let (health_sender, health) = watch::channel(health);
        let (identity, owner) = (record.identity.key(), record.owner);
        let signer = Arc::clone(&record.identity);
        let incarnation = record.incarnation;
        let uplink = uplink::Uplink::new(driver.clone(), signer, incarnation, instance, invite);
        let actor = actor::Actor::new(
            Arc::clone(store),
            record,
            uplink,
            stock_target,
            clock.clone(),
            tail_sender,
            Arc::clone(&recent),
            health_sender,
        );
        tracker.spawn(clock.clone().live(actor.run(queue)));
        Self { identity, owner, commands, store: Arc::clone(store), tail, recent, health, clock }
    }

    /// Everything of the identity, which stands still from now on.
    pub(crate) async fn export(&self) -> Result<Exported, SessionError> {
        self.call(|reply| Command::Export { reply }).await
    }

    /// Stops the task once what it has taken is durable.
    pub(crate) async fn stop(&self) {
        let _ = self.commands.send(Command::Stop.into()).await;
        self.commands.closed().await;
    }

    pub(crate) fn owner(&self) -> Owner {
        self.owner
    }

    async fn call<T>(&self, make: impl FnOnce(Reply<T>) -> Command) -> Result<T, SessionError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(make(reply).into()).await.map_err(|_| SessionError::Stopped)?;
        answer.await.map_err(|_| SessionError::Stopped)?
    }
}
