//! Extractors: a handler that takes [`Admin`] or [`Bot`] is closed to everybody else.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use http::request::Parts;
use http::{Extensions, HeaderMap};
use quicproquo_client::{GroupId, Session};

use super::{Grant, Scope, Token};
use crate::bots::BotRecord;
use crate::problem::{Kind, Problem};
use crate::state::AppState;

/// The subprotocol a browser offers beside `qpq.token.<token>`, and gets selected.
pub(crate) const WEBSOCKET_PROTOCOL: &str = "qpq.v1";
/// What stands before a token among the subprotocols.
pub(crate) const WEBSOCKET_TOKEN: &str = "qpq.token.";

/// The holder of the admin token.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Admin;

impl FromRequestParts<AppState> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let token = presented(&parts.headers)?;
        if token.hash() == state.admin {
            return Ok(Self);
        }
        match state.tokens.find(&token.hash()) {
            Some(_) => Err(Problem::new(Kind::BotTokenRefused)),
            None => Err(Problem::new(Kind::TokenInvalid)),
        }
    }
}

/// A bot, by one of its tokens.
#[derive(Debug, Clone)]
pub(crate) struct Bot {
    /// Which bot.
    pub(crate) record: Arc<BotRecord>,
    /// What the token permits.
    pub(crate) grant: Arc<Grant>,
    /// The bot's identity at work.
    pub(crate) session: Session,
}

impl Bot {
    /// Refuses tokens without a scope.
    pub(crate) fn need(&self, scope: Scope) -> Result<(), Problem> {
        self.grant.need(scope)
    }

    /// Refuses tokens without a scope or that are limited to other groups.
    pub(crate) fn need_in(&self, scope: Scope, group: &GroupId) -> Result<(), Problem> {
        self.grant.need_in(scope, group)
    }

    /// Refuses tokens without a scope or that are limited to some groups.
    pub(crate) fn need_everywhere(&self, scope: Scope) -> Result<(), Problem> {
        self.grant.need_everywhere(scope)
    }
}

impl FromRequestParts<AppState> for Bot {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let bot = Self::of_token(state, &presented(&parts.headers)?)?;
        parts.extensions.insert(Arc::clone(&bot.grant));
        Ok(bot)
    }
}

impl Bot {
    /// The bot of a token that came otherwise than in a header.
    pub(crate) fn by_token(state: &AppState, text: &str) -> Result<Self, Problem> {
        Self::of_token(state, &Token::parse(text).ok_or(Problem::new(Kind::TokenInvalid))?)
    }

    fn of_token(state: &AppState, token: &Token) -> Result<Self, Problem> {
        let hash = token.hash();
        if hash == state.admin {
            return Err(Problem::new(Kind::AdminTokenRefused));
        }
        let grant = state.tokens.find(&hash).ok_or(Problem::new(Kind::TokenInvalid))?;
        grant.check()?;
        let record = state.bots.find(&grant.bot_id).ok_or(Problem::new(Kind::TokenInvalid))?;
        let session =
            state.client.session(&record.identity).ok_or(Problem::new(Kind::BotStopped))?;
        Ok(Self { record, grant, session })
    }
}

/// What the token of a request permits may be over when its body has come at last.
///
/// # Errors
/// As [`Grant::check`].
pub(crate) fn still_valid(extensions: &Extensions) -> Result<(), Problem> {
    extensions.get::<Arc<Grant>>().map_or(Ok(()), |grant| grant.check())
}

/// The token of a request, from `Authorization` or, for browsers, the WebSocket subprotocols.
pub(crate) fn presented(headers: &HeaderMap) -> Result<Token, Problem> {
    let text = match headers.get(AUTHORIZATION) {
        Some(value) => value.to_str().ok().and_then(bearer),
        None => match offered(headers) {
            Some(text) => Some(text),
            None => return Err(Problem::new(Kind::TokenMissing)),
        },
    };
    text.and_then(Token::parse).ok_or(Problem::new(Kind::TokenInvalid))
}

/// RFC 6750 section 2.1; the scheme's case does not matter (RFC 9110 section 11.1).
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn offered(headers: &HeaderMap) -> Option<&str> {
    let values = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .find_map(|protocol| protocol.trim().strip_prefix(WEBSOCKET_TOKEN))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        [(http::HeaderName::from_static(name), value.parse().unwrap())].into_iter().collect()
    }

    #[test]
    fn a_token_comes_by_header_or_subprotocol() {
        let token = Token::random();
        let text = token.reveal();
        for (name, value) in [
            ("authorization", format!("Bearer {text}")),
            ("authorization", format!("bearer  {text}")),
            ("sec-websocket-protocol", format!("qpq.v1, qpq.token.{text}")),
        ] {
            let found = presented(&headers(name, &value)).unwrap();
            assert_eq!(found.hash(), token.hash(), "{name}: {value}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let missing = presented(&headers("accept", "*/*")).unwrap_err();
        assert_eq!(missing.kind(), Kind::TokenMissing);
        for value in ["Basic abc", "Bearer", "Bearer qpq_short"] {
            let problem = presented(&headers("authorization", value)).unwrap_err();
            assert_eq!(problem.kind(), Kind::TokenInvalid, "{value}");
        }
    }
}
