//! Bots on the wire.

use quicproquo_client::{Health, IdentityKey, InvitePolicy, LinkState, Session, Suite};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{TokenDto, rfc3339};
use crate::auth::{Bot, Token};
use crate::bots::BotRecord;
use crate::problem::Problem;

/// A bot to create.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewBot {
    /// Also claimed as its name at the node: 1 to 63 of a-z, 0-9, `.`, `_` and `-`.
    #[schema(example = "weather", pattern = "^[a-z0-9._-]{1,63}$")]
    name: String,
    /// An invite of the node's operator, where the node asks for one and the gateway has none or
    /// this bot shall use another.
    #[schema(min_length = 1, max_length = 128)]
    invite: Option<String>,
}

/// Longest invite, in bytes.
const MAX_INVITE: usize = 128;

impl NewBot {
    /// Name and invite, when they are well-formed.
    pub(crate) fn check(self) -> Result<(String, Option<String>), Problem> {
        check_name(&self.name)?;
        if self.invite.as_ref().is_some_and(|invite| !(1..=MAX_INVITE).contains(&invite.len())) {
            return Err(Problem::field("/invite", "1 to 128 bytes"));
        }
        Ok((self.name, self.invite))
    }
}

/// Refuses, at `/name`, what cannot be a name.
fn check_name(name: &str) -> Result<(), Problem> {
    if is_name(name) {
        return Ok(());
    }
    Err(Problem::field("/name", "1 to 63 of a-z, 0-9, '.', '_' and '-'"))
}

/// Whether a text can be a name.
pub(crate) fn is_name(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
}

/// What to change about a bot; what is absent stays.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BotChange {
    /// Another name, also claimed at the node. The former one stays the bot's there: an identity
    /// has at most four, and whoever knows it by that name goes on to see it.
    #[schema(example = "weather-2", pattern = "^[a-z0-9._-]{1,63}$")]
    name: Option<String>,
    /// What happens to invitations from now on.
    invite_policy: Option<InvitePolicyDto>,
    /// `running`: a bot that was displaced or exported goes on here. Say so only when it runs
    /// nowhere else.
    state: Option<WantedState>,
}

/// What a change of a bot asks for.
#[derive(Debug, Clone)]
pub(crate) struct WantedBot {
    /// Another name.
    pub(crate) name: Option<String>,
    /// Another policy.
    pub(crate) policy: Option<InvitePolicy>,
    /// It is to run here.
    pub(crate) runs: bool,
}

impl BotChange {
    /// What is asked for, when all of it is well-formed.
    pub(crate) fn check(self) -> Result<WantedBot, Problem> {
        self.name.as_deref().map_or(Ok(()), check_name)?;
        let policy = self.invite_policy.map(InvitePolicyDto::parse).transpose()?;
        let runs = self.state == Some(WantedState::Running);
        Ok(WantedBot { name: self.name, policy, runs })
    }
}

/// What a bot is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WantedState {
    /// Run.
    Running,
}

/// What happens to invitations as they come.
// Variants without fields would take any.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(tag = "policy", rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = InvitePolicy)]
pub(crate) enum InvitePolicyDto {
    /// They are kept until the bot answers them.
    Ask {},
    /// All are accepted.
    All {},
    /// All are declined.
    None {},
    /// Those by some identities are accepted, the others kept.
    Allow {
        /// The identities, 64 hexadecimal digits each.
        identities: Vec<String>,
    },
}

impl InvitePolicyDto {
    /// For the engine.
    pub(crate) fn parse(self) -> Result<InvitePolicy, Problem> {
        Ok(match self {
            Self::Ask {} => InvitePolicy::Ask,
            Self::All {} => InvitePolicy::All,
            Self::None {} => InvitePolicy::None,
            Self::Allow { identities } => {
                let parse = |(index, text): (usize, String)| {
                    text.parse::<IdentityKey>().map_err(|_| {
                        let pointer = format!("/invite_policy/identities/{index}");
                        Problem::field(pointer, "64 hexadecimal digits")
                    })
                };
                let identities: Result<_, _> =
                    identities.into_iter().enumerate().map(parse).collect();
                InvitePolicy::Allow(identities?)
            }
        })
    }
}

impl From<InvitePolicy> for InvitePolicyDto {
    fn from(policy: InvitePolicy) -> Self {
        match policy {
            InvitePolicy::Ask => Self::Ask {},
            InvitePolicy::All => Self::All {},
            InvitePolicy::None => Self::None {},
            InvitePolicy::Allow(identities) => {
                Self::Allow { identities: identities.iter().map(ToString::to_string).collect() }
            }
        }
    }
}

/// A bot.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Bot)]
pub(crate) struct BotDto {
    /// Its id.
    #[schema(example = "bot_1f0c9a77e03b5d42")]
    bot_id: String,
    /// Its name, claimed at the node.
    #[schema(example = "weather")]
    name: String,
    /// Its identity: an Ed25519 key, 64 hexadecimal digits.
    #[schema(example = "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29")]
    identity: String,
    /// How it does.
    state: BotStateDto,
    /// When it was created.
    #[schema(format = DateTime)]
    created_at: String,
    /// How it does, in detail.
    health: HealthDto,
    /// What happens to invitations; only when one bot is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    invite_policy: Option<InvitePolicyDto>,
}

/// How a bot does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = BotState)]
pub(crate) enum BotStateDto {
    /// Linked to the node.
    Running,
    /// Running, and looking for the node.
    Connecting,
    /// The node refuses its identity.
    Refused,
    /// Another instance runs its identity.
    Displaced,
    /// It was exported and goes on elsewhere.
    Exported,
    /// Not running.
    Stopped,
}

/// How a bot does, in detail.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = BotHealth)]
pub(crate) struct HealthDto {
    /// Why the node refuses it, or which instance displaced it.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// One-time key packages at the node, as last reported.
    key_packages: Vec<KeyPackageStock>,
    /// Own payloads that are not yet durable at the node.
    outbox: u64,
    /// Groups that it is in.
    groups: u64,
    /// Its consumers; only when one bot is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    consumers: Option<Vec<ConsumerLag>>,
    /// Its webhooks; only when one bot is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    webhooks: Option<Vec<WebhookHealth>>,
    /// By how many seconds the gateway's clock was ahead of the node's (behind: negative) when they
    /// were linked last, if it was more than ten minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    clock_ahead_seconds: Option<i64>,
}

/// How far a consumer is behind.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ConsumerLag {
    /// Its name.
    #[schema(example = "main")]
    pub(crate) name: String,
    /// Positions of the log after the last that it has acknowledged: about as many events.
    pub(crate) lag: u64,
    /// Events that are set aside.
    pub(crate) parked: usize,
}

/// How a webhook does.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct WebhookHealth {
    /// Its id.
    #[schema(example = "whk_9a0be1f3355c7d20")]
    pub(crate) webhook_id: String,
    /// Where it delivers.
    #[schema(example = "https://hooks.example.org/quicproquo")]
    pub(crate) url: String,
    /// Whether it delivers.
    pub(crate) enabled: bool,
    /// As of a consumer.
    pub(crate) lag: u64,
    /// Events of which every attempt failed.
    pub(crate) failed: usize,
    /// Why the newest event that failed did so, or why it was disabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_error: Option<String>,
}

/// How many one-time key packages of a kind the node has.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct KeyPackageStock {
    /// `envelope` or `native`.
    #[schema(example = "envelope")]
    post_quantum: &'static str,
    /// How many.
    count: u32,
}

impl BotDto {
    /// A bot as it does now; `session` is absent while it is not running.
    pub(crate) fn new(record: &BotRecord, session: Option<&Session>) -> Self {
        let stopped = HealthDto {
            reason: None,
            key_packages: Vec::new(),
            outbox: 0,
            groups: 0,
            consumers: None,
            webhooks: None,
            clock_ahead_seconds: None,
        };
        let (state, health) =
            session.map_or((BotStateDto::Stopped, stopped), |session| health(session.health()));
        Self {
            bot_id: record.bot_id.clone(),
            name: record.name.clone(),
            identity: record.identity.to_string(),
            state,
            created_at: rfc3339(record.created_at_ms),
            health,
            invite_policy: None,
        }
    }

    /// Adds what its events are waiting for.
    pub(crate) fn with_readers(
        mut self,
        consumers: Vec<ConsumerLag>,
        webhooks: Vec<WebhookHealth>,
    ) -> Self {
        self.health.consumers = Some(consumers);
        self.health.webhooks = Some(webhooks);
        self
    }

    /// Adds what happens to invitations.
    pub(crate) fn with_policy(mut self, policy: InvitePolicy) -> Self {
        self.invite_policy = Some(policy.into());
        self
    }
}

fn health(health: Health) -> (BotStateDto, HealthDto) {
    let (state, reason) = match health.link {
        LinkState::Connecting => (BotStateDto::Connecting, None),
        LinkState::Up => (BotStateDto::Running, None),
        LinkState::Refused(reason) => (BotStateDto::Refused, Some(reason)),
        LinkState::Displaced(by) => (BotStateDto::Displaced, Some(by)),
        LinkState::Exported => (BotStateDto::Exported, None),
    };
    let stock = health.stock.into_iter();
    let key_packages = stock
        .map(|(suite, count)| KeyPackageStock { post_quantum: post_quantum(suite), count })
        .collect();
    let clock_ahead_seconds = Some(health.clock_ahead_secs).filter(|seconds| *seconds != 0);
    let health = HealthDto {
        reason,
        key_packages,
        outbox: health.outbox,
        groups: health.groups,
        consumers: None,
        webhooks: None,
        clock_ahead_seconds,
    };
    (state, health)
}

/// The post-quantum policy of a ciphersuite.
pub(crate) const fn post_quantum(suite: Suite) -> &'static str {
    match suite {
        Suite::Envelope => "envelope",
        Suite::Native => "native",
    }
}

/// A bot that was just created, with its first token.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct BotCreated {
    #[serde(flatten)]
    bot: BotDto,
    /// The first token's id; the token has every scope.
    token_id: String,
    /// The first token. Shown once: an answer given again has `null`.
    #[schema(required = true, example = "qpq_...")]
    token: Option<String>,
    /// Why `token` is `null`.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_note: Option<&'static str>,
}

impl BotCreated {
    /// The answer as it is kept: without the token.
    pub(crate) fn new(record: &BotRecord, session: &Session, token_id: &str) -> Self {
        Self {
            bot: BotDto::new(record, Some(session)),
            token_id: token_id.to_owned(),
            token: None,
            token_note: Some(super::token::SHOWN_ONCE),
        }
    }

    /// Adds the token for the first answer.
    pub(crate) fn reveal(&mut self, token: &Token) {
        self.token = Some(token.reveal().to_owned());
        self.token_note = None;
    }
}

/// The bot that asks, and what its token permits.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Me {
    /// Its id.
    #[schema(example = "bot_1f0c9a77e03b5d42")]
    bot_id: String,
    /// Its name, claimed at the node.
    name: String,
    /// Its identity: an Ed25519 key, 64 hexadecimal digits.
    identity: String,
    /// How it does.
    state: BotStateDto,
    /// The token that was sent.
    token: TokenDto,
}

impl Me {
    /// The caller.
    pub(crate) fn new(bot: &Bot) -> Self {
        Self {
            bot_id: bot.record.bot_id.clone(),
            name: bot.record.name.clone(),
            identity: bot.record.identity.to_string(),
            state: health(bot.session.health()).0,
            token: TokenDto::new(&bot.grant),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for good in ["a", "weather-2.oslo_x", &"a".repeat(63)] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "Ab", "ä", "a b", &"a".repeat(64)] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn policies_parse_with_a_pointer() {
        let parse = |text: &str| serde_json::from_str::<InvitePolicyDto>(text).unwrap().parse();
        assert_eq!(parse(r#"{"policy":"all"}"#).unwrap(), InvitePolicy::All);
        let key = "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29";
        let allow = parse(&format!(r#"{{"policy":"allow","identities":["{key}"]}}"#)).unwrap();
        assert_eq!(allow, InvitePolicy::Allow(vec![key.parse().unwrap()]));
        assert!(parse(r#"{"policy":"allow","identities":["x"]}"#).is_err());
        for more in [r#"{"policy":"ask","identities":[]}"#, r#"{"policy":"all","x":1}"#] {
            assert!(serde_json::from_str::<InvitePolicyDto>(more).is_err(), "{more}");
        }
    }
}
