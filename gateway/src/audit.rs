//! What the admin token did that opens what a bot reads, or takes it away: for the log, under a
//! target of its own. Ids of bots and tokens are in it, which name nobody to others.

/// The target, for filters of the log.
const TARGET: &str = "qpq_audit";

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// A bot was made, with its first token.
    BotCreated,
    /// A bot came in an archive, with its first token.
    BotImported,
    /// A bot has another name, another policy, or runs again.
    BotChanged,
    /// Everything of a bot left in an archive.
    BotExported,
    /// A bot is gone.
    BotDeleted,
    /// A token was issued.
    TokenIssued,
    /// A token was revoked.
    TokenRevoked,
}

impl Act {
    fn word(self) -> &'static str {
        match self {
            Self::BotCreated => "bot_created",
            Self::BotImported => "bot_imported",
            Self::BotChanged => "bot_changed",
            Self::BotExported => "bot_exported",
            Self::BotDeleted => "bot_deleted",
            Self::TokenIssued => "token_issued",
            Self::TokenRevoked => "token_revoked",
        }
    }
}

/// Writes it down, once it is done.
pub(crate) fn audit(act: Act, bot_id: &str, token_id: Option<&str>) {
    tracing::info!(target: TARGET, act = act.word(), bot_id, token_id, "the admin token was used");
}
