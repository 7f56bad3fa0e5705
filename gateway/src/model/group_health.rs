//! How a group does, on the wire.

use quicproquo_client::{GroupHealth, GroupState, LinkState};
use serde::Serialize;
use utoipa::ToSchema;

use super::group::state;
use super::rfc3339;

/// How a group does.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = GroupHealth)]
pub(crate) struct GroupHealthDto {
    /// The group's id.
    group_id: String,
    /// Whether what is sent now goes out at once: the bot is an active member, its link to the
    /// node is up, and no change waits.
    #[schema(example = true)]
    healthy: bool,
    /// Where the bot stands in it, as in the group.
    #[schema(example = "active")]
    state: &'static str,
    /// Its epoch.
    #[schema(example = 3)]
    epoch: u64,
    /// Whether the bot's link to the node is up.
    #[schema(example = true)]
    node_reached: bool,
    /// How many are in it.
    #[schema(example = 2)]
    members: u32,
    /// Those of them that are not verified.
    #[schema(example = 1)]
    unverified: u32,
    /// A change that the bot asked for waits for its commit; messages wait for it too.
    change_pending: bool,
    /// Messages of the bot that are not known to be at the node, among its newest 10,000.
    #[schema(example = 0)]
    queued: u32,
    /// When the bot's keys in it were last replaced.
    #[schema(required = true, format = DateTime)]
    keys_updated_at: Option<String>,
    /// When the newest message came or was sent.
    #[schema(required = true, format = DateTime)]
    last_message_at: Option<String>,
}

impl GroupHealthDto {
    /// Of a group, by a bot with this link.
    pub(crate) fn new(group_id: String, health: &GroupHealth, link: &LinkState) -> Self {
        let node_reached = *link == LinkState::Up;
        let active = health.state == GroupState::Active;
        Self {
            group_id,
            healthy: active && node_reached && !health.change_pending,
            state: state(health.state),
            epoch: health.epoch,
            node_reached,
            members: health.members,
            unverified: health.unverified,
            change_pending: health.change_pending,
            queued: health.queued,
            keys_updated_at: health.keys_updated_at_ms.map(rfc3339),
            last_message_at: health.last_message_at_ms.map(rfc3339),
        }
    }
}
