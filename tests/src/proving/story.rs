//! What events say, for the story of a run.

use quicproquo_client::{DeliveryState, Event, EventData, IdentityKey, Message};

use super::world::World;

/// What an event says, for the story.
pub fn said(world: &World, event: &Event) -> String {
    let room = event.group.as_ref().map_or_else(String::new, |group| world.room(group));
    let text = |message: &Message| message.body["body"].as_str().unwrap_or("?").to_owned();
    let names = |keys: &[IdentityKey]| {
        keys.iter().map(|key| world.name(key)).collect::<Vec<_>>().join(", ")
    };
    match &event.data {
        EventData::MessageReceived(message) => {
            let (from, epoch) = (world.name(&message.sender), message.epoch);
            format!("{room} epoch {epoch}: {} from {from}", text(message))
        }
        EventData::MessageSent(message) => {
            format!("{room} epoch {}: {} is sent", message.epoch, text(message))
        }
        EventData::MessageFailed(message) => {
            let reason = match &message.delivery {
                DeliveryState::Failed { reason } => reason.as_str(),
                DeliveryState::Queued | DeliveryState::Sent => "?",
            };
            format!("{room}: {} has failed, {reason}", text(message))
        }
        EventData::GroupMembersChanged { epoch, by, added, removed, .. } => format!(
            "{room} epoch {epoch}: {} has added [{}] and removed [{}]",
            world.name(by),
            names(added),
            names(removed)
        ),
        EventData::GroupRenamed { epoch, by, name, .. } => {
            format!("{room} epoch {epoch}: {} calls it {name}", world.name(by))
        }
        EventData::GroupJoined { epoch, .. } => format!("{room}: joined at epoch {epoch}"),
        // Its hash is another one in each run.
        EventData::MessageUndecryptable { reason, .. } => {
            format!("{room}: a payload cannot be read: {reason}")
        }
        // Names keys, which no seed repeats.
        EventData::InvitationReceived(_) => format!("{room}: invited"),
        other => {
            let told = serde_json::to_value(other).unwrap_or_default();
            format!("{room}: {} {}", other.kind(), told["data"])
        }
    }
}
