//! Invitations on the wire.

use quicproquo_client::Invitation;
use serde::Serialize;
use utoipa::ToSchema;

use super::{IdentityDto, rfc3339};

/// A group somebody added the bot to, not answered yet.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Invitation)]
pub(crate) struct InvitationDto {
    /// Its id.
    invitation_id: String,
    /// The group's id.
    group_id: String,
    /// The group's name.
    group_name: String,
    /// Who added the bot.
    inviter: IdentityDto,
    /// How many members the group has.
    member_count: u32,
    /// When it came.
    #[schema(format = DateTime)]
    received_at: String,
    /// Whether the bot was in this group before.
    known_group: bool,
}

impl From<Invitation> for InvitationDto {
    fn from(invitation: Invitation) -> Self {
        Self {
            invitation_id: invitation.id.to_string(),
            group_id: invitation.id.to_string(),
            group_name: invitation.group_name,
            inviter: IdentityDto::new(&invitation.inviter, invitation.inviter_name),
            member_count: invitation.member_count,
            received_at: rfc3339(invitation.received_at_ms),
            known_group: invitation.known_group,
        }
    }
}
