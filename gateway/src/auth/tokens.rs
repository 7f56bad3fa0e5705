//! All bot tokens in memory: the database is read once, at the start.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use quicproquo_client::GroupId;
use quicproquo_client::clock::now_ms;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{Scope, TokenHash};

/// The longest sleep at once.
const LONGEST: Duration = Duration::from_hours(24);

/// What a bot token permits.
#[derive(Debug)]
pub(crate) struct Grant {
    /// Its id.
    pub(crate) token_id: String,
    /// Whose it is.
    pub(crate) bot_id: String,
    /// What the admin calls it.
    pub(crate) label: String,
    /// SHA-256 of the token.
    pub(crate) hash: TokenHash,
    /// What it may do.
    pub(crate) scopes: BTreeSet<Scope>,
    /// In which groups; `None` means all.
    pub(crate) groups: Option<HashSet<GroupId>>,
    /// When it was made, unix milliseconds.
    pub(crate) created_at_ms: u64,
    /// When it ends, unix milliseconds.
    pub(crate) expires_at_ms: Option<u64>,
    /// Cancelled when it is revoked: its streams close.
    pub(crate) revoked: CancellationToken,
}

impl Grant {
    /// Whether it is valid no more.
    pub(crate) fn is_expired(&self, now_ms: u64) -> bool {
        self.expires_at_ms.is_some_and(|end| end <= now_ms)
    }

    /// Waits until it is valid no more: revoked, or over.
    pub(crate) async fn ended(&self) {
        let over = async {
            let Some(end) = self.expires_at_ms else { return std::future::pending().await };
            loop {
                match end.saturating_sub(now_ms()) {
                    0 => return,
                    // No timer is good for years.
                    ms => sleep(Duration::from_millis(ms).min(LONGEST)).await,
                }
            }
        };
        tokio::select! {
            () = self.revoked.cancelled() => {}
            () = over => {}
        }
    }

    /// Whether it may touch a group.
    pub(crate) fn allows_group(&self, group: &GroupId) -> bool {
        self.groups.as_ref().is_none_or(|groups| groups.contains(group))
    }
}

/// All bot tokens by hash.
#[derive(Debug, Default)]
pub(crate) struct Tokens(RwLock<HashMap<TokenHash, Arc<Grant>>>);

impl Tokens {
    /// Makes a token valid.
    pub(crate) fn insert(&self, grant: Grant) -> Arc<Grant> {
        let grant = Arc::new(grant);
        let mut tokens = self.0.write().unwrap_or_else(PoisonError::into_inner);
        tokens.insert(grant.hash, Arc::clone(&grant));
        grant
    }

    /// The grant behind a token.
    pub(crate) fn find(&self, hash: &TokenHash) -> Option<Arc<Grant>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(hash).cloned()
    }

    /// A bot's tokens, the oldest first.
    pub(crate) fn of_bot(&self, bot_id: &str) -> Vec<Arc<Grant>> {
        let tokens = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut found: Vec<_> =
            tokens.values().filter(|grant| grant.bot_id == bot_id).cloned().collect();
        found.sort_by(|a, b| (a.created_at_ms, &a.token_id).cmp(&(b.created_at_ms, &b.token_id)));
        found
    }

    /// Makes a token invalid and closes its streams.
    pub(crate) fn revoke(&self, grant: &Grant) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(&grant.hash);
        grant.revoked.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::super::Token;
    use super::*;

    fn grant(bot: &str, created_at_ms: u64) -> Grant {
        Grant {
            token_id: format!("tok_{created_at_ms}"),
            bot_id: bot.to_owned(),
            label: String::new(),
            hash: Token::random().hash(),
            scopes: Scope::ALL.into(),
            groups: None,
            created_at_ms,
            expires_at_ms: Some(100),
            revoked: CancellationToken::new(),
        }
    }

    #[test]
    fn a_revoked_token_is_gone_at_once() {
        let tokens = Tokens::default();
        let second = tokens.insert(grant("bot_1", 2));
        let first = tokens.insert(grant("bot_1", 1));
        tokens.insert(grant("bot_2", 3));
        let ids: Vec<_> = tokens.of_bot("bot_1").iter().map(|g| g.token_id.clone()).collect();
        assert_eq!(ids, ["tok_1", "tok_2"]);
        assert!(tokens.find(&second.hash).is_some());
        tokens.revoke(&second);
        assert!(second.revoked.is_cancelled() && !first.revoked.is_cancelled());
        assert!(tokens.find(&second.hash).is_none());
    }

    #[test]
    fn the_end_is_the_first_moment_it_does_not_hold() {
        let grant = grant("bot_1", 1);
        assert!(!grant.is_expired(99));
        assert!(grant.is_expired(100));
    }
}
