//! All bot tokens in memory: the database is read once, at the start.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use quicproquo_client::GroupId;
use quicproquo_client::clock::now_ms;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{Scope, TokenHash};
use crate::problem::{Kind, Problem};

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
    /// The Matrix login that made it.
    pub(crate) login: Option<Login>,
    /// Cancelled when it is revoked: its streams close.
    pub(crate) revoked: CancellationToken,
}

/// A Matrix login: a token that ends with the one it was made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Login {
    /// The id of the token that was the password.
    pub(crate) parent: String,
    /// What the client calls its device.
    pub(crate) device_id: String,
}

impl Grant {
    /// Whether it is valid no more.
    pub(crate) fn is_expired(&self, now_ms: u64) -> bool {
        self.expires_at_ms.is_some_and(|end| end <= now_ms)
    }

    /// Refuses what is valid no more.
    ///
    /// # Errors
    /// `TokenInvalid` when it was revoked, `TokenExpired`.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        if self.revoked.is_cancelled() {
            return Err(Problem::new(Kind::TokenInvalid));
        }
        if self.is_expired(now_ms()) { Err(Problem::new(Kind::TokenExpired)) } else { Ok(()) }
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

    /// Refuses a scope that it lacks.
    pub(crate) fn need(&self, scope: Scope) -> Result<(), Problem> {
        if self.scopes.contains(&scope) {
            return Ok(());
        }
        Err(Problem::new(Kind::ScopeMissing)
            .detail(format!("the token lacks the scope {}", scope.as_str())))
    }

    /// Refuses a scope that it lacks, and groups that it is not for.
    pub(crate) fn need_in(&self, scope: Scope, group: &GroupId) -> Result<(), Problem> {
        self.need(scope)?;
        if self.allows_group(group) {
            return Ok(());
        }
        Err(Problem::new(Kind::GroupNotAllowed))
    }

    /// Refuses a scope that it lacks, and everything when it is for some groups only.
    pub(crate) fn need_everywhere(&self, scope: Scope) -> Result<(), Problem> {
        self.need(scope)?;
        if self.groups.is_none() {
            return Ok(());
        }
        Err(Problem::new(Kind::GroupNotAllowed).detail("the token is limited to some groups"))
    }
}

/// All bot tokens by hash.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    all: RwLock<HashMap<TokenHash, Arc<Grant>>>,
    /// One change at a time, of the database and of `all`.
    changing: Mutex<()>,
}

impl Tokens {
    /// Holds up other changes.
    pub(super) async fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().await
    }

    /// Makes a token valid.
    pub(crate) fn insert(&self, grant: Grant) -> Arc<Grant> {
        let grant = Arc::new(grant);
        let mut tokens = self.all.write().unwrap_or_else(PoisonError::into_inner);
        tokens.insert(grant.hash, Arc::clone(&grant));
        grant
    }

    /// The grant behind a token.
    pub(crate) fn find(&self, hash: &TokenHash) -> Option<Arc<Grant>> {
        self.all.read().unwrap_or_else(PoisonError::into_inner).get(hash).cloned()
    }

    /// A bot's tokens, the oldest first.
    pub(crate) fn of_bot(&self, bot_id: &str) -> Vec<Arc<Grant>> {
        let tokens = self.all.read().unwrap_or_else(PoisonError::into_inner);
        let mut found: Vec<_> =
            tokens.values().filter(|grant| grant.bot_id == bot_id).cloned().collect();
        found.sort_by(|a, b| (a.created_at_ms, &a.token_id).cmp(&(b.created_at_ms, &b.token_id)));
        found
    }

    /// The tokens that logins with this one have made, the oldest first.
    pub(crate) fn made_with(&self, token_id: &str) -> Vec<Arc<Grant>> {
        let tokens = self.all.read().unwrap_or_else(PoisonError::into_inner);
        let with = |grant: &&Arc<Grant>| {
            grant.login.as_ref().is_some_and(|login| login.parent == token_id)
        };
        let mut found: Vec<_> = tokens.values().filter(with).cloned().collect();
        found.sort_by(|a, b| (a.created_at_ms, &a.token_id).cmp(&(b.created_at_ms, &b.token_id)));
        found
    }

    /// Makes a token, and those of logins with it, invalid and closes their streams.
    pub(crate) fn revoke(&self, grant: &Grant) {
        let mut ended = vec![grant.hash];
        ended.extend(self.made_with(&grant.token_id).iter().map(|made| made.hash));
        let mut tokens = self.all.write().unwrap_or_else(PoisonError::into_inner);
        for hash in ended {
            if let Some(grant) = tokens.remove(&hash) {
                grant.revoked.cancel();
            }
        }
        grant.revoked.cancel();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

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
            login: None,
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

    /// A request that has found its token just before opens its stream after the revocation.
    #[tokio::test]
    async fn who_still_has_a_revoked_token_is_told() {
        let tokens = Tokens::default();
        let known = tokens.insert(Grant { expires_at_ms: None, ..grant("bot_1", 1) });
        assert!(known.ended().now_or_never().is_none());
        tokens.revoke(&known);
        known.ended().await;
        // Revoked by somebody who has another copy of what the token was.
        let copy = grant("bot_1", 2);
        tokens.revoke(&copy);
        copy.ended().await;
        let over = Grant { expires_at_ms: Some(now_ms()), ..grant("bot_1", 3) };
        over.ended().await;
    }

    #[test]
    fn a_login_ends_with_its_password() {
        let tokens = Tokens::default();
        let password = tokens.insert(grant("bot_1", 1));
        let other = tokens.insert(grant("bot_1", 2));
        let login = Login { parent: password.token_id.clone(), device_id: "D".to_owned() };
        let made = tokens.insert(Grant { login: Some(login), ..grant("bot_1", 3) });
        assert_eq!(tokens.made_with(&password.token_id).len(), 1);
        tokens.revoke(&password);
        assert!(made.revoked.is_cancelled() && tokens.find(&made.hash).is_none());
        assert!(tokens.find(&other.hash).is_some());
    }

    #[test]
    fn scopes_and_groups_are_both_needed() {
        let (own, other) = (GroupId::random(), GroupId::random());
        let (read, send) = (Scope::MessagesRead, Scope::MessagesSend);
        let kind = |refused: Result<(), Problem>| refused.unwrap_err().kind();
        let all = Grant { scopes: [read].into(), ..grant("bot_1", 1) };
        assert!(all.need(read).is_ok());
        assert!(all.need_in(read, &other).is_ok());
        assert!(all.need_everywhere(read).is_ok());
        let some = Grant { groups: Some([own.clone()].into()), ..grant("bot_1", 1) };
        let some = Grant { scopes: [read].into(), ..some };
        assert!(some.need(read).is_ok());
        assert!(some.need_in(read, &own).is_ok());
        assert_eq!(kind(some.need_in(read, &other)), Kind::GroupNotAllowed);
        assert_eq!(kind(some.need_everywhere(read)), Kind::GroupNotAllowed);
        for grant in [&all, &some] {
            assert_eq!(kind(grant.need(send)), Kind::ScopeMissing);
            assert_eq!(kind(grant.need_in(send, &own)), Kind::ScopeMissing);
            assert_eq!(kind(grant.need_everywhere(send)), Kind::ScopeMissing);
        }
    }

    #[test]
    fn the_end_is_the_first_moment_it_does_not_hold() {
        let grant = grant("bot_1", 1);
        assert!(!grant.is_expired(99));
        assert!(grant.is_expired(100));
    }
}
