//! The event log's vocabulary.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use quicproquo_core::id::GroupId;
use quicproquo_core::identity::IdentityKey;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::model::{Invitation, MemberInfo, Message};

/// A position in one identity's event log; opaque to callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Cursor(pub(crate) u64);

impl Cursor {
    /// How many positions lie behind an earlier one; 0 when it is not earlier.
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The position right before this one: reading after it gives what is here, if anything is.
    #[must_use]
    pub fn before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// The position so many behind this one.
    #[must_use]
    pub fn plus(self, positions: u64) -> Self {
        Self(self.0.saturating_add(positions))
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c1_{:x}", self.0)
    }
}

/// Not a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of this event log")]
pub struct CursorError;

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let hex = text.strip_prefix("c1_").ok_or(CursorError)?;
        let canonical = !hex.starts_with('+') && (hex == "0" || !hex.starts_with('0'));
        if !canonical || hex.len() > 15 || hex.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(CursorError);
        }
        u64::from_str_radix(hex, 16).map(Self).map_err(|_| CursorError)
    }
}

fn unknown() -> String {
    "unknown".to_owned()
}

/// One entry of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its position.
    pub cursor: Cursor,
    /// When it was written, unix milliseconds.
    pub occurred_at_ms: u64,
    /// The group it is about.
    pub group: Option<GroupId>,
    /// What happened.
    pub data: EventData,
}

/// A page of the log, oldest first.
#[derive(Debug, Clone, PartialEq)]
pub struct EventPage {
    /// The entries.
    pub items: Vec<Event>,
    /// Where to go on: behind everything looked at, filtered entries included.
    pub next: Cursor,
}

/// An entry of the log that all who read along share while it is new, with room for its encoded
/// form. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct SharedEvent(Arc<(Event, OnceLock<Bytes>)>);

impl SharedEvent {
    pub(crate) fn new(event: Event) -> Self {
        Self(Arc::new((event, OnceLock::new())))
    }

    /// The entry.
    pub fn event(&self) -> &Event {
        &self.0.0
    }

    /// The entry, copied when others have it too.
    pub fn into_event(self) -> Event {
        Arc::try_unwrap(self.0).map_or_else(|shared| shared.0.clone(), |(event, _)| event)
    }

    /// What the first who asked has made of it. All readers of a log must encode alike.
    pub fn encoded(&self, encode: impl FnOnce(&Event) -> Bytes) -> Bytes {
        let (event, encoded) = &*self.0;
        encoded.get_or_init(|| encode(event)).clone()
    }
}

/// A page of the log, oldest first.
#[derive(Debug, Clone)]
pub struct SharedPage {
    /// The entries.
    pub items: Vec<SharedEvent>,
    /// Where to go on: behind everything looked at, filtered entries included.
    pub next: Cursor,
}

impl From<EventPage> for SharedPage {
    fn from(page: EventPage) -> Self {
        Self { items: page.items.into_iter().map(SharedEvent::new).collect(), next: page.next }
    }
}

impl From<SharedPage> for EventPage {
    fn from(page: SharedPage) -> Self {
        Self {
            items: page.items.into_iter().map(SharedEvent::into_event).collect(),
            next: page.next,
        }
    }
}

/// How long somebody is writing after having said so, in milliseconds.
pub const TYPING_LIVES_MS: u64 = 30_000;

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum EventData {
    /// Somebody else's message was decrypted.
    #[serde(rename = "message.received")]
    MessageReceived(Message),
    /// An own message is durable at the node.
    #[serde(rename = "message.sent")]
    MessageSent(Message),
    /// An own message was given up; its `delivery` says why.
    #[serde(rename = "message.failed")]
    MessageFailed(Message),
    /// A payload cannot be read and was set aside, or this entry of the log is damaged.
    #[serde(rename = "message.undecryptable")]
    MessageUndecryptable {
        /// Why, in a stable word: `malformed`, `envelope`, `downgrade`, `mls`, `unauthorized`,
        /// `content`, `welcome_refused`, `buffer_full`, `expired`, `damaged`,
        /// `internal`.
        reason: String,
        /// SHA-256 of the payload, or of the damaged row, hex.
        payload_hash: String,
    },
    /// Somebody is writing, or has stopped. It passes: the log forgets it after
    /// [`TYPING_LIVES_MS`].
    #[serde(rename = "member.typing")]
    MemberTyping {
        /// Who.
        by: IdentityKey,
        /// The name, if it is known.
        name: Option<String>,
        /// Whether it is writing.
        active: bool,
        /// When this is over unless it is said again, unix milliseconds.
        until_ms: u64,
    },
    /// This identity became a visible member.
    #[serde(rename = "group.joined")]
    GroupJoined {
        /// The group's name.
        name: String,
        /// The epoch joined.
        epoch: u64,
        /// Who is in it.
        members: Vec<MemberInfo>,
    },
    /// Members came or went, or roles changed.
    #[serde(rename = "group.members_changed")]
    GroupMembersChanged {
        /// The epoch after the change.
        epoch: u64,
        /// Who committed it.
        by: IdentityKey,
        /// Who came.
        added: Vec<IdentityKey>,
        /// Who went.
        removed: Vec<IdentityKey>,
        /// Those of `removed` that asked to leave.
        #[serde(default)]
        left: Vec<IdentityKey>,
    },
    /// Name or topic changed.
    #[serde(rename = "group.renamed")]
    GroupRenamed {
        /// The epoch after the change.
        epoch: u64,
        /// Who committed it.
        by: IdentityKey,
        /// The name now.
        name: String,
        /// The topic now.
        topic: String,
    },
    /// This identity is no longer a member.
    #[serde(rename = "group.left")]
    GroupLeft {
        /// `left` by own wish or `removed` by somebody.
        reason: String,
        /// Who it was, if that is known.
        #[serde(default)]
        by: Option<IdentityKey>,
    },
    /// The state of a group here is broken; its payloads are kept raw.
    #[serde(rename = "group.isolated")]
    GroupIsolated {
        /// What was seen.
        reason: String,
    },
    /// Members of a group are at different states of one epoch.
    #[serde(rename = "group.forked")]
    GroupForked {
        /// The epoch.
        epoch: u64,
    },
    /// The group has gone on without this identity, or seems to have; it asks to be added again.
    #[serde(rename = "group.needs_readd")]
    GroupNeedsReadd {
        /// Why, in a stable word: `forked`, `missed_commit`, `old_copy`; or `unanswered`: many
        /// requests had no answer, so this identity may have been removed.
        reason: String,
    },
    /// A group is well again, or has never been unwell.
    #[serde(rename = "group.repaired")]
    GroupRepaired {
        /// How, in a stable word: `rejoined` (this identity was added again), `caught_up` (what
        /// was missing has come), `readable` (an isolated group reads again, and what was kept
        /// follows), `alone` (nobody else is in it); or `unconfirmed`: for an hour nothing has
        /// confirmed the suspicion, and the group goes on as it was here. `unknown`: written by an
        /// earlier version.
        #[serde(default = "unknown")]
        reason: String,
    },
    /// Somebody added this identity to a group.
    #[serde(rename = "invitation.received")]
    InvitationReceived(Invitation),
    /// An invitation cannot be accepted any more.
    #[serde(rename = "invitation.ended")]
    InvitationEnded {
        /// `declined` by this identity or `withdrawn` by somebody.
        reason: String,
        /// Who it was, if that is known.
        by: Option<IdentityKey>,
    },
    /// A change this identity asked for cannot be made any more.
    #[serde(rename = "group.change_failed")]
    GroupChangeFailed {
        /// Why.
        reason: String,
    },
    /// Payloads to this identity were lost at the node.
    #[serde(rename = "gap.detected")]
    GapDetected {
        /// How many.
        lost: u32,
    },
    /// A name points to another key than the pinned one.
    #[serde(rename = "identity.changed")]
    IdentityChanged {
        /// The name.
        name: String,
        /// The pinned key.
        from: IdentityKey,
        /// The key the name points to now.
        to: IdentityKey,
    },
    /// The clock of this machine and that of the node differ by more than ten minutes.
    #[serde(rename = "clock.off")]
    ClockOff {
        /// By how many seconds ours is ahead; negative: behind.
        ahead_secs: i64,
    },
    /// Another instance runs this identity.
    #[serde(rename = "session.displaced")]
    SessionDisplaced {
        /// The other instance, hex.
        by: String,
    },
}

impl EventData {
    /// What a kind of event says about a message; none for kinds that are about no message.
    pub(crate) fn of_message(kind: &str, message: Message) -> Option<Self> {
        match kind {
            "message.received" => Some(Self::MessageReceived(message)),
            "message.sent" => Some(Self::MessageSent(message)),
            "message.failed" => Some(Self::MessageFailed(message)),
            _ => None,
        }
    }

    /// Stands for a row of the database that does not read.
    pub(crate) fn damaged(row: &[u8]) -> Self {
        let payload_hash = hex::encode(Sha256::digest(row));
        Self::MessageUndecryptable { reason: "damaged".to_owned(), payload_hash }
    }

    /// Every type, as [`EventData::kind`] gives it.
    pub const KINDS: [&str; 20] = [
        "message.received",
        "message.sent",
        "message.failed",
        "message.undecryptable",
        "member.typing",
        "group.joined",
        "group.members_changed",
        "group.renamed",
        "group.left",
        "group.isolated",
        "group.forked",
        "group.needs_readd",
        "group.repaired",
        "group.change_failed",
        "invitation.received",
        "invitation.ended",
        "gap.detected",
        "identity.changed",
        "clock.off",
        "session.displaced",
    ];

    /// The type, as bots see it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::MessageReceived(_) => "message.received",
            Self::MessageSent(_) => "message.sent",
            Self::MessageFailed(_) => "message.failed",
            Self::MessageUndecryptable { .. } => "message.undecryptable",
            Self::MemberTyping { .. } => "member.typing",
            Self::GroupJoined { .. } => "group.joined",
            Self::GroupMembersChanged { .. } => "group.members_changed",
            Self::GroupRenamed { .. } => "group.renamed",
            Self::GroupLeft { .. } => "group.left",
            Self::GroupIsolated { .. } => "group.isolated",
            Self::GroupForked { .. } => "group.forked",
            Self::GroupNeedsReadd { .. } => "group.needs_readd",
            Self::GroupRepaired { .. } => "group.repaired",
            Self::GroupChangeFailed { .. } => "group.change_failed",
            Self::InvitationReceived(_) => "invitation.received",
            Self::InvitationEnded { .. } => "invitation.ended",
            Self::GapDetected { .. } => "gap.detected",
            Self::IdentityChanged { .. } => "identity.changed",
            Self::ClockOff { .. } => "clock.off",
            Self::SessionDisplaced { .. } => "session.displaced",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_has_one_spelling() {
        assert_eq!("c1_1f".parse(), Ok(Cursor(31)));
        assert_eq!(Cursor(31).to_string(), "c1_1f");
        for bad in ["", "1f", "c1_", "c1_01", "c1_1F", "c1_+1", "c1_10000000000000000"] {
            assert_eq!(bad.parse::<Cursor>(), Err(CursorError), "{bad}");
        }
    }
}
