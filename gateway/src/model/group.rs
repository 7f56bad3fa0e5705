//! Groups and members on the wire.

use quicproquo_client::{
    Change, ChangeState, ContextChange, GroupInfo, GroupState, IdentityKey, MemberInfo, NewGroup,
    Profile, Role, Suite, TrustState,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::bot::post_quantum;
use crate::problem::Problem;

const MAX_NAME: usize = 256;
const MAX_TOPIC: usize = 1024;
const MAX_MEMBERS: usize = 1000;

/// Which post-quantum policy a group has, fixed by its ciphersuite.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PostQuantum {
    /// Classical MLS inside a hybrid X25519 and ML-KEM-768 envelope.
    #[default]
    Envelope,
    /// A hybrid ciphersuite inside MLS itself.
    Native,
}

/// Which extensions a group uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Profile)]
pub(crate) enum ProfileDto {
    /// Name, topic and roles are part of the group and enforced by every member.
    #[default]
    Standard,
    /// No extensions, no roles: for peers that know only the published system.
    Plain,
}

/// What a member may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Role)]
pub(crate) enum RoleDto {
    /// Changes members, roles, name and topic.
    Admin,
    /// Reads and writes.
    Member,
}

impl From<RoleDto> for Role {
    fn from(role: RoleDto) -> Self {
        match role {
            RoleDto::Admin => Self::Admin,
            RoleDto::Member => Self::Member,
        }
    }
}

/// A group to create.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewGroup)]
pub(crate) struct NewGroupDto {
    /// Shown to members, at most 256 bytes.
    #[serde(default)]
    #[schema(example = "ops")]
    name: String,
    /// Shown to members, at most 1,024 bytes.
    #[serde(default)]
    topic: String,
    /// Who is invited at once: identities or names.
    #[serde(default)]
    #[schema(example = json!(["weather"]))]
    pub(crate) members: Vec<String>,
    /// The post-quantum policy.
    #[serde(default)]
    post_quantum: PostQuantum,
    /// The extensions.
    #[serde(default)]
    profile: ProfileDto,
}

impl NewGroupDto {
    /// Refuses what is too large, before any name is looked up.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        check_text("/name", &self.name, MAX_NAME)?;
        check_text("/topic", &self.topic, MAX_TOPIC)?;
        check_members(&self.members)
    }

    /// For the engine.
    pub(crate) fn with_members(self, members: Vec<IdentityKey>) -> NewGroup {
        NewGroup {
            name: self.name,
            topic: self.topic,
            members,
            suite: match self.post_quantum {
                PostQuantum::Envelope => Suite::Envelope,
                PostQuantum::Native => Suite::Native,
            },
            profile: match self.profile {
                ProfileDto::Standard => Profile::Standard,
                ProfileDto::Plain => Profile::Plain,
            },
        }
    }
}

/// What to change about a group; what is absent stays.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GroupChange {
    /// The new name, at most 256 bytes.
    #[schema(example = "operations")]
    name: Option<String>,
    /// The new topic, at most 1,024 bytes.
    topic: Option<String>,
}

impl GroupChange {
    /// For the engine.
    pub(crate) fn parse(self) -> Result<ContextChange, Problem> {
        let Self { name, topic } = self;
        if name.is_none() && topic.is_none() {
            return Err(Problem::field("", "name or topic, or both"));
        }
        check_text("/name", name.as_deref().unwrap_or_default(), MAX_NAME)?;
        check_text("/topic", topic.as_deref().unwrap_or_default(), MAX_TOPIC)?;
        Ok(ContextChange { name, topic, roles: Vec::new() })
    }
}

/// Who to add.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewMembers {
    /// Identities or names; all are added by one commit.
    #[schema(min_items = 1, max_items = 1000, example = json!(["weather"]))]
    pub(crate) members: Vec<String>,
}

impl NewMembers {
    /// Refuses none and too many.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        if self.members.is_empty() {
            return Err(Problem::field("/members", "at least one member"));
        }
        check_members(&self.members)
    }
}

/// What to change about a member.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MemberChange {
    /// The new role.
    pub(crate) role: RoleDto,
}

fn check_text(pointer: &str, text: &str, limit: usize) -> Result<(), Problem> {
    if text.len() > limit {
        return Err(Problem::field(pointer, format!("at most {limit} bytes")));
    }
    Ok(())
}

fn check_members(members: &[String]) -> Result<(), Problem> {
    if members.len() > MAX_MEMBERS {
        return Err(Problem::field("/members", format!("at most {MAX_MEMBERS} at once")));
    }
    Ok(())
}

/// A group.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Group)]
pub(crate) struct GroupDto {
    /// Its id, hexadecimal.
    #[schema(example = "5f2b9c0d1e3a48576b8c9dae0f102132435465768798a9bacbdcedfe0f1a2b3c")]
    pub(crate) group_id: String,
    /// Its name.
    #[schema(example = "ops")]
    name: String,
    /// Its topic.
    topic: String,
    /// Its epoch (RFC 9420 section 7), also in `ETag`.
    #[schema(example = 3)]
    pub(crate) epoch: u64,
    /// Who is in it.
    members: Vec<MemberDto>,
    /// Its ciphersuite, as IANA names it.
    #[schema(example = "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519")]
    ciphersuite: &'static str,
    /// Its post-quantum policy: `envelope` or `native`.
    #[schema(example = "envelope")]
    post_quantum: &'static str,
    /// Its extensions: `standard` or `plain`.
    #[schema(example = "standard")]
    profile: &'static str,
    /// Where the bot stands in it: `active`, `leaving`, `left`, `removed`, `declined`,
    /// `invited`, `isolated` or `needs_readd`.
    #[schema(example = "active")]
    state: &'static str,
}

impl From<GroupInfo> for GroupDto {
    fn from(group: GroupInfo) -> Self {
        Self {
            group_id: group.id.to_string(),
            name: group.name,
            topic: group.topic,
            epoch: group.epoch,
            members: group.members.into_iter().map(Into::into).collect(),
            ciphersuite: ciphersuite(group.suite),
            post_quantum: post_quantum(group.suite),
            profile: match group.profile {
                Profile::Standard => "standard",
                Profile::Plain => "plain",
            },
            state: state(group.state),
        }
    }
}

/// The name of where a bot stands in a group.
pub(crate) const fn state(state: GroupState) -> &'static str {
    match state {
        GroupState::Invited => "invited",
        GroupState::Active => "active",
        GroupState::Leaving => "leaving",
        GroupState::Left => "left",
        GroupState::Removed => "removed",
        GroupState::Declined => "declined",
        GroupState::Isolated => "isolated",
        GroupState::NeedsReadd => "needs_readd",
    }
}

/// A ciphersuite's IANA name.
pub(crate) const fn ciphersuite(suite: Suite) -> &'static str {
    match suite {
        Suite::Envelope => "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519",
        Suite::Native => "MLS_128_MLKEM768X25519_AES128GCM_SHA256_Ed25519",
    }
}

/// A member of a group.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Member)]
pub(crate) struct MemberDto {
    /// Who: 64 hexadecimal digits.
    #[schema(example = "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29")]
    pub(crate) identity: String,
    /// The name this identity signed for, if it is known.
    #[schema(required = true, example = "weather")]
    name: Option<String>,
    /// `admin` or `member`.
    #[schema(example = "member")]
    role: &'static str,
    /// How well the key is known: `verified`, `tofu` (trusted on first use) or `changed`.
    #[schema(example = "tofu")]
    trust: &'static str,
}

impl From<MemberInfo> for MemberDto {
    fn from(member: MemberInfo) -> Self {
        Self {
            identity: member.identity.to_string(),
            name: member.name,
            role: match member.role {
                Role::Admin => "admin",
                Role::Member => "member",
            },
            trust: trust(member.trust),
        }
    }
}

/// A trust state's name.
pub(crate) const fn trust(trust: TrustState) -> &'static str {
    match trust {
        TrustState::Verified => "verified",
        TrustState::Tofu => "tofu",
        TrustState::Changed => "changed",
    }
}

/// A change of a group, as far as it has come.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Change)]
pub(crate) struct ChangeDto {
    /// `done`, or `pending` (durable here, its commit has not come back yet).
    #[schema(example = "done")]
    state: &'static str,
    /// The group's epoch now.
    #[schema(example = 4)]
    epoch: u64,
    /// The group after the change, or as it is while pending.
    group: GroupDto,
}

impl From<Change> for ChangeDto {
    fn from(change: Change) -> Self {
        Self {
            state: match change.state {
                ChangeState::Done => "done",
                ChangeState::Pending => "pending",
            },
            epoch: change.group.epoch,
            group: change.group.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_the_safe_ones() {
        let new: NewGroupDto = serde_json::from_str("{}").unwrap();
        new.check().unwrap();
        let new = new.with_members(Vec::new());
        assert_eq!((new.suite, new.profile), (Suite::Envelope, Profile::Standard));
    }

    #[test]
    fn limits_are_checked() {
        let new = |text: String| serde_json::from_str::<NewGroupDto>(&text).unwrap().check();
        assert!(new(format!(r#"{{"name":"{}"}}"#, "n".repeat(256))).is_ok());
        assert!(new(format!(r#"{{"name":"{}"}}"#, "n".repeat(257))).is_err());
        assert!(new(format!(r#"{{"topic":"{}"}}"#, "n".repeat(1025))).is_err());
        assert!(GroupChange { name: None, topic: None }.parse().is_err());
        assert!(NewMembers { members: Vec::new() }.check().is_err());
    }
}
