//! Webhooks on the wire.

use std::collections::BTreeSet;

use quicproquo_client::{Cursor, EventData, GroupId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::query::{cursor, limit};
use super::{EventDto, rfc3339};
use crate::problem::{Kind, Problem};
use crate::store::WebhookRow;
use crate::webhooks::{Keys, Report, ReportState, Settings, WebhookState};

const MAX_DESCRIPTION: usize = 200;
const MAX_REPLAYS: usize = 100;
const SHOWN_ONCE: &str = "the secret was shown in the first answer only";

/// A webhook to make.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewWebhook {
    /// Where to deliver: a target that the operator of the gateway allows.
    #[schema(example = "https://hooks.example.org/quicproquo")]
    pub(crate) url: String,
    /// What to call it, at most 200 bytes.
    #[serde(default)]
    #[schema(example = "ticket system")]
    pub(crate) description: String,
    /// Only these types of events; all when absent.
    #[serde(default)]
    #[schema(example = json!(["message.received"]))]
    pub(crate) types: Option<BTreeSet<String>>,
    /// Only events about these groups (ids); all that the token may see when absent.
    #[serde(default)]
    pub(crate) groups: Option<BTreeSet<String>>,
    /// Begin after this cursor; at the log's tail when absent.
    #[serde(default)]
    #[schema(example = "c1_1f")]
    pub(crate) after: Option<String>,
    /// Whether a message in an answer is sent: needs the scope `messages:send`. When absent, what
    /// the token may do.
    #[serde(default)]
    pub(crate) replies: Option<bool>,
}

impl NewWebhook {
    /// Where to begin, if the caller says so.
    pub(crate) fn after(&self) -> Result<Option<Cursor>, Problem> {
        self.after.as_deref().map(|text| cursor("/after", text)).transpose()
    }
}

/// Changes of a webhook; what is absent stays.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct WebhookChange {
    /// Where to deliver.
    #[schema(example = "https://hooks.example.org/quicproquo")]
    pub(crate) url: Option<String>,
    /// What to call it.
    pub(crate) description: Option<String>,
    /// Only these types of events.
    #[schema(example = json!(["message.received"]))]
    pub(crate) types: Option<BTreeSet<String>>,
    /// Only events about these groups.
    pub(crate) groups: Option<BTreeSet<String>>,
    /// `disabled`: events wait in the log. `enabled`: they are delivered, from where it stopped.
    pub(crate) state: Option<WebhookState>,
    /// Whether a message in an answer is sent.
    pub(crate) replies: Option<bool>,
}

/// Checks a description.
pub(crate) fn check_description(text: &str) -> Result<(), Problem> {
    if text.len() <= MAX_DESCRIPTION {
        return Ok(());
    }
    Err(Problem::field("/description", format!("at most {MAX_DESCRIPTION} bytes")))
}

/// Types as a filter reads them.
pub(crate) fn join_types(types: BTreeSet<String>) -> Result<Option<String>, Problem> {
    if types.iter().all(|name| EventData::KINDS.contains(&name.as_str())) && !types.is_empty() {
        return Ok(Some(types.into_iter().collect::<Vec<_>>().join(",")));
    }
    Err(Problem::field("/types", format!("some of {}", EventData::KINDS.join(", "))))
}

/// Groups as a filter reads them.
pub(crate) fn join_groups(groups: BTreeSet<String>) -> Result<Option<String>, Problem> {
    if groups.iter().all(|id| id.parse::<GroupId>().is_ok()) && !groups.is_empty() {
        return Ok(Some(groups.into_iter().collect::<Vec<_>>().join(",")));
    }
    Err(Problem::field("/groups", "group ids"))
}

/// A webhook.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Webhook)]
pub(crate) struct WebhookDto {
    /// Its id.
    #[schema(example = "whk_9a0be1f3355c7d20")]
    webhook_id: String,
    /// Where it delivers.
    #[schema(example = "https://hooks.example.org/quicproquo")]
    url: String,
    /// What its owner calls it.
    description: String,
    /// Only these types of events; `null` means all.
    #[schema(required = true)]
    types: Option<Vec<String>>,
    /// Only events about these groups; `null` means all.
    #[schema(required = true)]
    groups: Option<Vec<String>>,
    /// Whether a message in an answer is sent.
    replies: bool,
    /// Whether events are delivered.
    state: WebhookState,
    /// Why the gateway disabled it: `gone` (the target answered 410); or what it has lost while it
    /// goes on: `events_expired` (events grew too old to be delivered). `null` again once the state
    /// is set.
    #[schema(required = true)]
    reason: Option<String>,
    /// The key of the `v1a` signatures (Ed25519).
    #[schema(example = "whpk_...")]
    public_key: String,
    /// Everything up to here is delivered or set aside; `null` before its first event.
    #[schema(required = true, example = "c1_1f")]
    cursor: Option<String>,
    /// Events that are being delivered or wait behind others of their group.
    open: usize,
    /// Events that are set aside: every attempt failed.
    failed: usize,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
}

impl WebhookDto {
    /// A webhook as it is kept, and its consumer.
    pub(crate) fn new(row: &WebhookRow, keys: &Keys, at: Option<&crate::events::Standing>) -> Self {
        let list = |text: &Option<String>| {
            text.as_ref().map(|text| text.split(',').map(str::to_owned).collect())
        };
        let Settings { url, description, types, groups, replies, state, reason } =
            row.settings.clone();
        Self {
            webhook_id: row.webhook_id.clone(),
            url,
            description,
            types: list(&types),
            groups: list(&groups),
            replies,
            state,
            reason,
            public_key: keys.public(),
            cursor: at.map(|at| at.cursor.to_string()),
            open: at.map_or(0, |at| at.open),
            failed: at.map_or(0, |at| at.parked),
            created_at: rfc3339(row.created_at_ms),
        }
    }
}

/// A webhook that was just made.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct WebhookCreated {
    #[serde(flatten)]
    about: WebhookDto,
    /// The secret of the `v1` signatures. Shown once: an answer given again has `null`.
    #[schema(required = true, example = "whsec_...")]
    secret: Option<String>,
    /// Why `secret` is `null`.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_note: Option<&'static str>,
}

impl WebhookCreated {
    /// The answer as it is kept: without the secret.
    pub(crate) fn new(about: WebhookDto) -> Self {
        Self { about, secret: None, secret_note: Some(SHOWN_ONCE) }
    }

    /// Adds the secret for the first answer.
    pub(crate) fn reveal(&mut self, keys: &Keys) {
        self.secret = Some(keys.reveal());
        self.secret_note = None;
    }
}

/// What is delivered: the event, with `timestamp` as Standard Webhooks names it, and whose it is.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct WebhookPayload {
    #[serde(flatten)]
    event: EventDto,
    /// When it happened; as `occurred_at`.
    #[schema(format = DateTime)]
    timestamp: String,
    /// The bot.
    #[schema(example = "bot_9a0be1f3355c7d20")]
    bot_id: String,
    /// The webhook.
    #[schema(example = "whk_9a0be1f3355c7d20")]
    webhook_id: String,
}

impl WebhookPayload {
    /// An event on its way to a webhook.
    pub(crate) fn new(event: EventDto, row: &WebhookRow) -> Self {
        let timestamp = event.occurred_at().to_owned();
        let (bot_id, webhook_id) = (row.bot_id.clone(), row.webhook_id.clone());
        Self { event, timestamp, bot_id, webhook_id }
    }
}

/// What became of an event on its way to a webhook.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = WebhookDelivery)]
pub(crate) struct WebhookDeliveryDto {
    /// Its id: the header `webhook-id` of every attempt.
    #[schema(example = "msg_9a0be1f3355c7d209a0be1f3")]
    delivery_id: String,
    /// The event's cursor.
    #[schema(example = "c1_1f")]
    cursor: String,
    /// The event's type.
    #[schema(example = "message.received")]
    event_type: String,
    /// The event's group.
    #[schema(required = true)]
    group_id: Option<String>,
    /// What became of it.
    state: ReportState,
    /// How many attempts there were.
    #[schema(example = 1)]
    attempts: u32,
    /// When the last attempt was.
    #[schema(format = DateTime)]
    attempted_at: String,
    /// When the next attempt is.
    #[schema(required = true, format = DateTime)]
    next_attempt_at: Option<String>,
    /// The status of the last answer.
    #[schema(required = true, example = 200)]
    status: Option<u16>,
    /// Why the last attempt failed: `target_refused` (by the operator's list), `unreachable`,
    /// `timeout`, `status` (not 2xx) or `gone` (410).
    #[schema(required = true)]
    error: Option<String>,
    /// The message that the answer had sent.
    #[schema(required = true)]
    reply_id: Option<String>,
    /// Why the message in the answer was not sent: the last word of the problem's type.
    #[schema(required = true)]
    reply_error: Option<String>,
}

impl WebhookDeliveryDto {
    /// A delivery as it is kept.
    pub(crate) fn new(cursor: Cursor, report: Report) -> Self {
        Self {
            delivery_id: report.delivery_id,
            cursor: cursor.to_string(),
            event_type: report.event_type,
            group_id: report.group_id,
            state: report.state,
            attempts: report.attempts,
            attempted_at: rfc3339(report.attempted_at_ms),
            next_attempt_at: report.next_at_ms.map(rfc3339),
            status: report.status,
            error: report.error,
            reply_id: report.reply_id,
            reply_error: report.reply_error,
        }
    }
}

/// Which deliveries to list.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeliveryParams {
    /// Only those in this state.
    pub(crate) state: Option<ReportState>,
    /// Go on here: the `next` of the page before.
    before: Option<String>,
    /// At most so many, 1 to 200; 50 when absent.
    #[param(minimum = 1, maximum = 200, example = 50)]
    limit: Option<u32>,
}

impl DeliveryParams {
    /// Where to go on, and how many.
    pub(crate) fn page(&self) -> Result<(Option<u64>, usize), Problem> {
        let parse = |text: &str| {
            let number = text.strip_prefix('d').and_then(|digits| digits.parse().ok());
            number.ok_or_else(|| Problem::new(Kind::CursorInvalid).at("before", "not of this list"))
        };
        Ok((self.before.as_deref().map(parse).transpose()?, limit(self.limit, 50, 200)? as usize))
    }
}

/// What to deliver again.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Replay {
    /// These deliveries, delivered or failed; at most 100.
    #[serde(default)]
    #[schema(example = json!(["msg_9a0be1f3355c7d209a0be1f3"]))]
    pub(crate) delivery_ids: Vec<String>,
    /// All that failed.
    #[serde(default)]
    pub(crate) failed: bool,
}

impl Replay {
    /// Refuses what asks for nothing or for too much.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        if self.delivery_ids.len() > MAX_REPLAYS {
            return Err(Problem::field("/delivery_ids", format!("at most {MAX_REPLAYS}")));
        }
        if self.delivery_ids.is_empty() && !self.failed {
            return Err(Problem::field("", "delivery_ids or failed, or both"));
        }
        Ok(())
    }
}

/// What is delivered again.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Replayed {
    /// How many deliveries.
    #[schema(example = 1)]
    pub(crate) replayed: usize,
}
