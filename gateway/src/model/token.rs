//! Tokens on the wire: never the secret, except in the answer that makes it.

use std::collections::{BTreeSet, HashSet};

use quicproquo_client::GroupId;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::{parse_time, rfc3339};
use crate::auth::{Grant, Scope, Token};
use crate::problem::Problem;
use crate::random;

/// Why an answer given again has no token.
pub(crate) const SHOWN_ONCE: &str = "the token was shown in the first answer only";
const MAX_LABEL: usize = 100;
const MAX_GROUPS: usize = 1000;

/// A token to issue.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NewToken {
    /// What to call it, at most 100 bytes.
    #[schema(example = "dashboard")]
    label: String,
    /// What it may do; all scopes when absent.
    #[schema(example = json!(["messages:read", "groups:read"]))]
    scopes: Option<BTreeSet<Scope>>,
    /// In which groups (ids); all when absent.
    groups: Option<Vec<String>>,
    /// When it ends; never when absent.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

impl NewToken {
    /// What the token will permit.
    pub(crate) fn grant(self, bot_id: &str, token: &Token, now_ms: u64) -> Result<Grant, Problem> {
        if self.label.len() > MAX_LABEL {
            return Err(Problem::field("/label", format!("at most {MAX_LABEL} bytes")));
        }
        let scopes = self.scopes.unwrap_or_else(|| Scope::ALL.into());
        if scopes.is_empty() {
            return Err(Problem::field("/scopes", "at least one scope"));
        }
        let expires_at_ms = match self.expires_at.as_deref().map(parse_time) {
            None => None,
            Some(Some(end)) if end > now_ms => Some(end),
            Some(_) => return Err(Problem::field("/expires_at", "an RFC 3339 time to come")),
        };
        Ok(Grant {
            token_id: random::id("tok_"),
            bot_id: bot_id.to_owned(),
            label: self.label,
            hash: token.hash(),
            scopes,
            groups: self.groups.map(groups).transpose()?,
            created_at_ms: now_ms,
            expires_at_ms,
            login: None,
            revoked: CancellationToken::new(),
        })
    }
}

fn groups(texts: Vec<String>) -> Result<HashSet<GroupId>, Problem> {
    if texts.is_empty() || texts.len() > MAX_GROUPS {
        return Err(Problem::field("/groups", format!("1 to {MAX_GROUPS} group ids")));
    }
    let parse = |(index, text): (usize, String)| {
        text.parse().map_err(|_| Problem::field(format!("/groups/{index}"), "not a group id"))
    };
    texts.into_iter().enumerate().map(parse).collect()
}

/// A token, without its secret.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Token)]
pub(crate) struct TokenDto {
    /// Its id.
    #[schema(example = "tok_9a0be1f3355c7d20")]
    token_id: String,
    /// Whose it is.
    bot_id: String,
    /// What the admin calls it.
    label: String,
    /// What it may do.
    scopes: BTreeSet<Scope>,
    /// In which groups; `null` means all.
    #[schema(required = true)]
    groups: Option<BTreeSet<String>>,
    /// When it was issued.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it ends; `null` means never.
    #[schema(required = true, format = DateTime)]
    expires_at: Option<String>,
}

impl TokenDto {
    /// A token as it is kept.
    pub(crate) fn new(grant: &Grant) -> Self {
        Self {
            token_id: grant.token_id.clone(),
            bot_id: grant.bot_id.clone(),
            label: grant.label.clone(),
            scopes: grant.scopes.clone(),
            groups: grant
                .groups
                .as_ref()
                .map(|groups| groups.iter().map(ToString::to_string).collect()),
            created_at: rfc3339(grant.created_at_ms),
            expires_at: grant.expires_at_ms.map(rfc3339),
        }
    }
}

/// A token that was just issued.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct TokenCreated {
    #[serde(flatten)]
    about: TokenDto,
    /// The token. Shown once: an answer given again has `null`.
    #[schema(required = true, example = "qpq_...")]
    token: Option<String>,
    /// Why `token` is `null`.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_note: Option<&'static str>,
}

impl TokenCreated {
    /// The answer as it is kept: without the token.
    pub(crate) fn new(grant: &Grant) -> Self {
        Self { about: TokenDto::new(grant), token: None, token_note: Some(SHOWN_ONCE) }
    }

    /// Adds the token for the first answer.
    pub(crate) fn reveal(&mut self, token: &Token) {
        self.token = Some(token.reveal().to_owned());
        self.token_note = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(text: &str) -> Result<Grant, Problem> {
        serde_json::from_str::<NewToken>(text).unwrap().grant("bot_1", &Token::random(), 1000)
    }

    #[test]
    fn a_token_may_do_everything_unless_limited() {
        let all = grant("{}").unwrap();
        assert_eq!(all.scopes.len(), Scope::ALL.len());
        assert!(all.groups.is_none() && all.expires_at_ms.is_none());
        let id = "0".repeat(64);
        let some = grant(&format!(r#"{{"scopes":["groups:read"],"groups":["{id}"]}}"#)).unwrap();
        assert!(some.allows_group(&id.parse().unwrap()));
        assert!(!some.allows_group(&"1".repeat(64).parse().unwrap()));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            r#"{"scopes":[]}"#,
            r#"{"groups":[]}"#,
            r#"{"groups":["x"]}"#,
            r#"{"expires_at":"1970-01-01T00:00:01Z"}"#,
            r#"{"expires_at":"tomorrow"}"#,
        ] {
            assert!(grant(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_kept_answer_has_no_secret() {
        let token = Token::random();
        let grant = NewToken::default().grant("bot_1", &token, 1).unwrap();
        let mut answer = TokenCreated::new(&grant);
        let kept = serde_json::to_string(&answer).unwrap();
        assert!(kept.contains(SHOWN_ONCE) && !kept.contains(token.reveal()));
        answer.reveal(&token);
        assert!(serde_json::to_string(&answer).unwrap().contains(token.reveal()));
    }
}
