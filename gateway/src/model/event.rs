//! Events on the wire.

use quicproquo_client::{Event, EventData};
use serde::Serialize;
use utoipa::ToSchema;

use super::{IdentityDto, InvitationDto, MemberDto, MessageDto, rfc3339};

/// An entry of the bot's event log.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Event)]
pub(crate) struct EventDto {
    /// Its position: give it as `after` to go on behind it.
    #[schema(example = "c1_1f")]
    cursor: String,
    /// What happened.
    #[serde(rename = "type")]
    #[schema(example = "message.received")]
    kind: &'static str,
    /// When it was written.
    #[schema(format = DateTime)]
    occurred_at: String,
    /// The group it is about.
    #[schema(required = true)]
    group_id: Option<String>,
    /// What happened, by type.
    data: EventDataDto,
    /// 1, and more when a consumer did not acknowledge it before.
    #[schema(example = 1)]
    attempt: u32,
    /// Names this delivery to a consumer, which acknowledges it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "c1_1f.9a0be1f3.2")]
    delivery_id: Option<String>,
    /// `true` when it was asked for again: other events of its group may have come before.
    #[serde(skip_serializing_if = "Option::is_none")]
    replayed: Option<bool>,
}

impl EventDto {
    /// An event at its n-th delivery.
    pub(crate) fn new(event: Event, attempt: u32) -> Self {
        Self {
            cursor: event.cursor.to_string(),
            kind: event.data.kind(),
            occurred_at: rfc3339(event.occurred_at_ms),
            group_id: event.group.map(|group| group.to_string()),
            data: event.data.into(),
            attempt,
            delivery_id: None,
            replayed: None,
        }
    }

    /// Delivered to a consumer.
    pub(crate) fn delivered(mut self, delivery_id: String, replayed: bool) -> Self {
        self.delivery_id = Some(delivery_id);
        self.replayed = replayed.then_some(true);
        self
    }

    /// When it was written.
    pub(crate) fn occurred_at(&self) -> &str {
        &self.occurred_at
    }

    /// Its cursor.
    pub(crate) fn cursor(&self) -> &str {
        &self.cursor
    }
}

/// What happened, by the event's type.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = EventData)]
pub(crate) enum EventDataDto {
    /// `message.received`, `message.sent`, `message.failed`: the message.
    Message(Box<MessageDto>),
    /// `message.undecryptable`.
    #[schema(title = "Undecryptable")]
    Undecryptable {
        /// Why, in a stable word: `malformed` (not a message), `envelope` (it does not open),
        /// `downgrade` (no envelope where one is due), `mls` (it does not decrypt),
        /// `unauthorized` (the sender may not do this), `content` (no valid content),
        /// `welcome_refused` (an invitation that cannot be joined), `buffer_full` (too much waits
        /// for the group), `expired` (its group or epoch did not come within 7 days), `internal`
        /// (the protocol stack failed on it), `damaged` (its row in the gateway's database is
        /// broken).
        reason: String,
        /// SHA-256 of the payload, hexadecimal.
        payload_hash: String,
    },
    /// `member.typing`: somebody is writing, or has stopped. It is no message, and the log forgets
    /// it after 30 seconds.
    #[schema(title = "MemberTyping")]
    Typing {
        /// Who.
        sender: IdentityDto,
        /// Whether it is writing.
        active: bool,
        /// When this is over unless it is said again.
        #[schema(format = DateTime)]
        expires_at: String,
    },
    /// `group.joined`: the bot became a member.
    #[schema(title = "GroupJoined")]
    Joined {
        /// The group's name.
        name: String,
        /// The epoch joined.
        epoch: u64,
        /// Who is in it.
        members: Vec<MemberDto>,
    },
    /// `group.members_changed`: members came or went, or roles changed.
    #[schema(title = "MembersChanged")]
    MembersChanged {
        /// The epoch after the change.
        epoch: u64,
        /// Who committed it.
        by: String,
        /// Who came.
        added: Vec<String>,
        /// Who went.
        removed: Vec<String>,
        /// Those of `removed` that asked to leave.
        left: Vec<String>,
    },
    /// `group.renamed`: name or topic changed.
    #[schema(title = "GroupRenamed")]
    Renamed {
        /// The epoch after the change.
        epoch: u64,
        /// Who committed it.
        by: String,
        /// The name now.
        name: String,
        /// The topic now.
        topic: String,
    },
    /// `group.left` (`left` or `removed`), `invitation.ended` (`declined` or `withdrawn`).
    #[schema(title = "Departure")]
    Departure {
        /// Why.
        reason: String,
        /// Whose doing it was, if that is known.
        #[schema(required = true)]
        by: Option<String>,
    },
    /// `group.isolated`, `group.change_failed`, `group.needs_readd` (`forked`, `missed_commit`,
    /// `old_copy` or `unanswered`), `group.repaired` (`rejoined`, `caught_up`, `readable`, `alone` or
    /// `unconfirmed`).
    #[schema(title = "GroupReason")]
    Reason {
        /// Why.
        reason: String,
    },
    /// `invitation.received`: the invitation.
    Invitation(InvitationDto),
    /// `gap.detected`: payloads were lost at the node.
    #[schema(title = "Gap")]
    Gap {
        /// How many.
        lost: u32,
    },
    /// `identity.changed`: a name points to another key than the pinned one.
    #[schema(title = "IdentityChanged")]
    IdentityChanged {
        /// The name.
        name: String,
        /// The pinned key.
        from: String,
        /// The key the name points to now.
        to: String,
    },
    /// `clock.off`: the clock of the gateway and that of the node differ by more than ten minutes.
    #[schema(title = "ClockOff")]
    ClockOff {
        /// By how many seconds the gateway's is ahead; negative: behind.
        ahead_seconds: i64,
    },
    /// `session.displaced`: another instance runs this identity.
    #[schema(title = "SessionDisplaced")]
    Displaced {
        /// The other instance, hexadecimal.
        by: String,
    },
    /// `group.forked`: members are at different states of one epoch.
    #[schema(title = "GroupForked")]
    Forked {
        /// The epoch.
        epoch: u64,
    },
}

impl From<EventData> for EventDataDto {
    fn from(data: EventData) -> Self {
        let texts = |keys: Vec<_>| keys.iter().map(ToString::to_string).collect();
        match data {
            EventData::MessageReceived(message)
            | EventData::MessageSent(message)
            | EventData::MessageFailed(message) => Self::Message(Box::new(message.into())),
            EventData::MessageUndecryptable { reason, payload_hash } => {
                Self::Undecryptable { reason, payload_hash }
            }
            EventData::MemberTyping { by, name, active, until_ms } => Self::Typing {
                sender: IdentityDto::new(&by, name),
                active,
                expires_at: rfc3339(until_ms),
            },
            EventData::GroupJoined { name, epoch, members } => {
                let members = members.into_iter().map(Into::into).collect();
                Self::Joined { name, epoch, members }
            }
            EventData::GroupMembersChanged { epoch, by, added, removed, left } => {
                Self::MembersChanged {
                    epoch,
                    by: by.to_string(),
                    added: texts(added),
                    removed: texts(removed),
                    left: texts(left),
                }
            }
            EventData::GroupRenamed { epoch, by, name, topic } => {
                Self::Renamed { epoch, by: by.to_string(), name, topic }
            }
            EventData::GroupLeft { reason, by } | EventData::InvitationEnded { reason, by } => {
                Self::Departure { reason, by: by.map(|by| by.to_string()) }
            }
            EventData::GroupIsolated { reason }
            | EventData::GroupNeedsReadd { reason }
            | EventData::GroupRepaired { reason }
            | EventData::GroupChangeFailed { reason } => Self::Reason { reason },
            EventData::GroupForked { epoch } => Self::Forked { epoch },
            EventData::InvitationReceived(invitation) => Self::Invitation(invitation.into()),
            EventData::GapDetected { lost } => Self::Gap { lost },
            EventData::IdentityChanged { name, from, to } => {
                Self::IdentityChanged { name, from: from.to_string(), to: to.to_string() }
            }
            EventData::ClockOff { ahead_secs } => Self::ClockOff { ahead_seconds: ahead_secs },
            EventData::SessionDisplaced { by } => Self::Displaced { by },
        }
    }
}

#[cfg(test)]
mod tests {
    use quicproquo_client::Cursor;

    use super::*;

    #[test]
    fn an_event_has_the_settled_shape() {
        let event = Event {
            cursor: "c1_1f".parse::<Cursor>().unwrap(),
            occurred_at_ms: 0,
            group: None,
            data: EventData::GapDetected { lost: 3 },
        };
        let json = serde_json::to_value(EventDto::new(event, 1)).unwrap();
        let expected = serde_json::json!({
            "cursor": "c1_1f",
            "type": "gap.detected",
            "occurred_at": "1970-01-01T00:00:00.000Z",
            "group_id": null,
            "data": {"lost": 3},
            "attempt": 1,
        });
        assert_eq!(json, expected);
    }
}
