//! What a bot token may do.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a bot token may do.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
pub(crate) enum Scope {
    /// Read messages and events.
    #[serde(rename = "messages:read")]
    MessagesRead,
    /// Send messages.
    #[serde(rename = "messages:send")]
    MessagesSend,
    /// List groups and their members.
    #[serde(rename = "groups:read")]
    GroupsRead,
    /// Create, change and leave groups.
    #[serde(rename = "groups:manage")]
    GroupsManage,
    /// List and answer invitations.
    #[serde(rename = "invitations:manage")]
    InvitationsManage,
    /// Verify identities.
    #[serde(rename = "identity:manage")]
    IdentityManage,
    /// Manage webhooks.
    #[serde(rename = "webhooks:manage")]
    WebhooksManage,
}

impl Scope {
    /// Every scope: what the first token of a bot has.
    pub(crate) const ALL: [Self; 7] = [
        Self::MessagesRead,
        Self::MessagesSend,
        Self::GroupsRead,
        Self::GroupsManage,
        Self::InvitationsManage,
        Self::IdentityManage,
        Self::WebhooksManage,
    ];

    /// Its name in tokens and problems.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::MessagesRead => "messages:read",
            Self::MessagesSend => "messages:send",
            Self::GroupsRead => "groups:read",
            Self::GroupsManage => "groups:manage",
            Self::InvitationsManage => "invitations:manage",
            Self::IdentityManage => "identity:manage",
            Self::WebhooksManage => "webhooks:manage",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_json() {
        for scope in Scope::ALL {
            let json = serde_json::to_string(&scope).unwrap();
            assert_eq!(json, format!("\"{}\"", scope.as_str()));
            assert_eq!(serde_json::from_str::<Scope>(&json).unwrap(), scope);
        }
        assert!(serde_json::from_str::<Scope>("\"messages:everything\"").is_err());
    }
}
