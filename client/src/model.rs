//! What callers see of groups, members, messages and invitations.

use std::time::Duration;

use quicproquo_core::content::RelatesTo;
use quicproquo_core::group::Role;
use quicproquo_core::id::{GroupId, MessageId};
use quicproquo_core::identity::IdentityKey;
use quicproquo_core::suite::{Profile, Suite};
use serde::{Deserialize, Serialize};

/// Names a mutating request, so that repeating it does nothing twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// Chosen by the caller, at most 255 bytes; scoped to the identity.
    pub key: String,
    /// SHA-256 of the request's content: the same key with other content is refused.
    pub fingerprint: [u8; 32],
}

/// How a mutating call behaves.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Makes the call safe to repeat.
    pub idempotency: Option<Idempotency>,
    /// How long to wait for the outcome after it is durable here.
    pub wait: Duration,
    /// Refuse with `EpochMismatch` unless the group is at this epoch.
    pub if_epoch: Option<u64>,
    /// Refuse with `NotVerified` unless every member is [`TrustState::Verified`]; sends only.
    pub verified_only: bool,
}

/// An answer, and whether it was given before.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome<T> {
    /// The answer.
    pub value: T,
    /// True when an earlier request with the same idempotency key did the work.
    pub replayed: bool,
}

/// What to create.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewGroup {
    /// Shown to members; may be empty. At most 256 bytes.
    pub name: String,
    /// Shown to members; may be empty. At most 1,024 bytes.
    pub topic: String,
    /// Who is invited with the first commit.
    pub members: Vec<IdentityKey>,
    /// Decides the post-quantum policy.
    pub suite: Suite,
    /// Whether our extensions and roles apply.
    pub profile: Profile,
}

/// A group as its members know it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupInfo {
    /// Its id.
    pub id: GroupId,
    /// Its name.
    pub name: String,
    /// Its topic.
    pub topic: String,
    /// The epoch (RFC 9420 section 7).
    pub epoch: u64,
    /// Its ciphersuite, and so the post-quantum policy.
    pub suite: Suite,
    /// Whether our extensions and roles apply.
    pub profile: Profile,
    /// Where this identity stands in it.
    pub state: GroupState,
    /// Who is in it at this epoch.
    pub members: Vec<MemberInfo>,
}

/// Where an identity stands in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupState {
    /// Joined, the invitation is not answered.
    Invited,
    /// A member.
    Active,
    /// Asked to leave; a member until the commit.
    Leaving,
    /// Left by own wish.
    Left,
    /// Removed by somebody else.
    Removed,
    /// The invitation was declined.
    Declined,
    /// Its state here is broken; kept raw until it is repaired.
    Isolated,
    /// The group has gone on without this identity, or seems to have: it asks to be added again.
    /// What is sent waits, for a while at least.
    NeedsReadd,
}

impl GroupState {
    /// Whether messages can be sent.
    pub fn is_active(self) -> bool {
        matches!(self, Self::Active | Self::NeedsReadd)
    }
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberInfo {
    /// Who.
    pub identity: IdentityKey,
    /// The name this identity signed for, if it is known.
    pub name: Option<String>,
    /// What it may do.
    pub role: Role,
    /// How well the key is known.
    pub trust: TrustState,
}

/// How well a key is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrustState {
    /// Ourselves, or compared by a person.
    Verified,
    /// Trusted on first use.
    Tofu,
    /// The name pointed to another key before, and the key was not verified since.
    Changed,
}

/// What is known of an identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownIdentity {
    /// Who.
    pub identity: IdentityKey,
    /// The names it signed for that are known here, the first known first.
    pub names: Vec<String>,
    /// How well the key is known.
    pub trust: TrustState,
    /// When it was met first, unix milliseconds.
    pub first_seen_ms: Option<u64>,
    /// When a person compared its safety number, unix milliseconds.
    pub verified_at_ms: Option<u64>,
}

/// A membership change, as far as it has come.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The group after the change, or as it is while pending.
    pub group: GroupInfo,
    /// How far it has come.
    pub state: ChangeState,
}

/// How far a membership change has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeState {
    /// Its commit has won, or it was moot.
    Done,
    /// Durable here; its commit has not come back yet.
    Pending,
}

/// What to change about a group; `None` leaves it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContextChange {
    /// New name.
    pub name: Option<String>,
    /// New topic.
    pub topic: Option<String>,
    /// New roles.
    pub roles: Vec<(IdentityKey, Role)>,
}

/// What to send.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outgoing {
    /// `text`, `file`, or a namespaced type.
    pub kind: String,
    /// The content, for `text` `{"body": ...}`.
    pub body: serde_json::Value,
    /// What it answers or changes.
    pub relates_to: Option<RelatesTo>,
}

/// A message of a group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Chosen by its sender: unique only together with group and sender.
    pub id: MessageId,
    /// The group.
    pub group: GroupId,
    /// Who sent it, as MLS authenticated it.
    pub sender: IdentityKey,
    /// The sender's name, if it is known.
    pub sender_name: Option<String>,
    /// How well the sender's key is known.
    pub trust: TrustState,
    /// Its type.
    pub kind: String,
    /// Its content.
    pub body: serde_json::Value,
    /// What it answers or changes.
    pub relates_to: Option<RelatesTo>,
    /// The sender's clock, unix milliseconds.
    pub sent_at_ms: u64,
    /// Our clock when it was decrypted (or sent), unix milliseconds.
    pub received_at_ms: u64,
    /// The epoch it was encrypted in.
    pub epoch: u64,
    /// The group's ciphersuite.
    pub suite: Suite,
    /// How far it has come; for received messages `Sent`.
    pub delivery: DeliveryState,
    /// To how many others it went; 0 for received messages.
    pub recipients: u32,
    /// Our clock when its sender last changed it, unix milliseconds; `kind` and `body` are those
    /// of now, and `delivery` that of the change.
    #[serde(default)]
    pub edited_at_ms: Option<u64>,
    /// Our clock when its sender deleted it, unix milliseconds; its `kind` is `deleted` then, and
    /// its content is gone.
    #[serde(default)]
    pub deleted_at_ms: Option<u64>,
    /// How members have reacted to it, the oldest reaction first.
    #[serde(default)]
    pub reactions: Vec<Reaction>,
}

/// A reaction to a message, and who shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reaction {
    /// An emoji, or any short text.
    pub key: String,
    /// Whose it is, the first first.
    pub by: Vec<IdentityKey>,
}

/// How far an own message has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum DeliveryState {
    /// Durable here, the node not reached yet.
    Queued,
    /// Durable at the node.
    Sent,
    /// Given up.
    Failed {
        /// Why.
        reason: String,
    },
}

/// Which messages of a group to list, newest first.
#[derive(Debug, Clone, Default)]
pub struct HistoryQuery {
    /// Only messages of these types; none: all but those that change or mark another message.
    pub kinds: Vec<String>,
    /// Only messages received (or sent) at this time or later, unix milliseconds, our clock.
    pub since_ms: Option<u64>,
    /// Only messages received (or sent) before this time, unix milliseconds, our clock.
    pub until_ms: Option<u64>,
    /// Only messages before this position.
    pub before: Option<crate::Cursor>,
    /// Only messages after this position.
    pub after: Option<crate::Cursor>,
    /// At most so many, 1..=200. A page of a search may have fewer, though there are more.
    pub limit: u32,
}

/// A page of history, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    /// The messages.
    pub items: Vec<Message>,
    /// Give it as `before` for the next page; `None` at the end.
    pub next: Option<crate::Cursor>,
}

/// A group this identity was added to and has not answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Invitation {
    /// Its id (the group's).
    pub id: GroupId,
    /// Who added us.
    pub inviter: IdentityKey,
    /// The inviter's name, if it is known.
    pub inviter_name: Option<String>,
    /// The group's name.
    pub group_name: String,
    /// How many members it has.
    pub member_count: u32,
    /// When it came, unix milliseconds.
    pub received_at_ms: u64,
    /// Whether we were in this group before.
    pub known_group: bool,
}

/// What to do with invitations as they come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "policy", content = "identities")]
pub enum InvitePolicy {
    /// Keep them until they are answered.
    #[default]
    Ask,
    /// Accept all.
    All,
    /// Decline all.
    None,
    /// Accept those by these identities, keep the others.
    Allow(Vec<IdentityKey>),
}

/// How a group does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupHealth {
    /// Where this identity stands in it.
    pub state: GroupState,
    /// The epoch here.
    pub epoch: u64,
    /// How many are in it.
    pub members: u32,
    /// Those of them that are not verified.
    pub unverified: u32,
    /// A change of this identity's waits to win.
    pub change_pending: bool,
    /// Own messages that are not known to be at the node.
    pub queued: u32,
    /// When this identity's keys in it were last replaced, unix milliseconds.
    pub keys_updated_at_ms: Option<u64>,
    /// When the newest message came or was sent, unix milliseconds.
    pub last_message_at_ms: Option<u64>,
}

/// How a session does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The link to the node.
    pub link: LinkState,
    /// One-time key packages at the node per ciphersuite, as last reported.
    pub stock: Vec<(Suite, u32)>,
    /// Own payloads not yet durable at the node.
    pub outbox: u64,
    /// Groups that it is in.
    pub groups: u64,
    /// By how many seconds the clock of this machine was ahead of the node's (behind: negative) when
    /// the link came up last; 0 unless it was more than ten minutes.
    pub clock_ahead_secs: i64,
}

/// The link to the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkState {
    /// Connecting for the first time or again.
    Connecting,
    /// Authenticated and subscribed.
    Up,
    /// The node refuses this identity.
    Refused(String),
    /// Another instance runs this identity; an operator can resume this one.
    Displaced(String),
    /// The identity was exported and goes on elsewhere; an operator can resume this one.
    Exported,
}

impl LinkState {
    /// Whether the session stands still until an operator resumes it.
    pub fn is_halted(&self) -> bool {
        matches!(self, Self::Displaced(_) | Self::Exported)
    }
}
