//! What a webhook is: where to, which events, in which state.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Settings as they are kept, and changed by requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// Where to.
    pub(crate) url: String,
    /// What its owner calls it.
    pub(crate) description: String,
    /// Only these types, separated by commas.
    pub(crate) types: Option<String>,
    /// Only these groups, separated by commas.
    pub(crate) groups: Option<String>,
    /// Whether a message in an answer is sent.
    pub(crate) replies: bool,
    /// Whether events are delivered.
    pub(crate) state: WebhookState,
    /// Why it was disabled by the gateway, or what it has lost.
    pub(crate) reason: Option<String>,
}

/// Whether events are delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WebhookState {
    /// Events are delivered.
    Enabled,
    /// Events wait in the log.
    Disabled,
}

/// What became of an event so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReportState {
    /// It is tried again.
    Pending,
    /// The target has taken it.
    Delivered,
    /// Every attempt failed, and it is set aside; or no attempt comes any more, since the event grew
    /// too old meanwhile or is not for this webhook any more.
    Failed,
}

impl ReportState {
    /// As in the database.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }
}

/// The last attempt to deliver an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// `webhook-id`.
    pub(crate) delivery_id: String,
    /// The event's type.
    pub(crate) event_type: String,
    /// The event's group.
    pub(crate) group_id: Option<String>,
    /// What became of it.
    pub(crate) state: ReportState,
    /// How many attempts there were.
    pub(crate) attempts: u32,
    /// When the last one was, unix milliseconds.
    pub(crate) attempted_at_ms: u64,
    /// When the next one is.
    pub(crate) next_at_ms: Option<u64>,
    /// The status that was answered.
    pub(crate) status: Option<u16>,
    /// Why it failed, in a stable word.
    pub(crate) error: Option<String>,
    /// The message that was sent because of the answer.
    pub(crate) reply_id: Option<String>,
    /// Why the message in the answer was not sent.
    pub(crate) reply_error: Option<String>,
}
