//! How a WebSocket ends.

use quicproquo_client::SessionError;

use crate::problem::{Kind, Problem};

/// Every close code with its reason, as the description of the stream has them.
pub(crate) fn close_codes() -> impl Iterator<Item = (u16, &'static str)> {
    End::TOLD.into_iter().filter_map(|end| match end {
        End::Close(code, reason) => Some((code, reason)),
        End::Gone => None,
    })
}

/// Why a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The peer is gone.
    Gone,
    /// We close with this code and reason.
    Close(u16, &'static str),
}

impl End {
    pub(super) const TOKEN: Self = Self::Close(4401, "the token is not valid, or not any more");
    pub(super) const FORBIDDEN: Self = Self::Close(4403, "the token does not permit this");
    pub(super) const NO_TOKEN: Self = Self::Close(4408, "no token came in time");
    pub(super) const DISPLACED: Self = Self::Close(4409, "another connection took over");
    pub(super) const EXPIRED: Self = Self::Close(4410, "the cursor is not in the log any more");
    pub(super) const TOO_LARGE: Self = Self::Close(4413, "the message is too large");
    pub(super) const TOO_SLOW: Self = Self::Close(4008, "no write progress for 10 s");
    pub(super) const RESTART: Self = Self::Close(1012, "the gateway stops");
    pub(super) const TEXT_ONLY: Self = Self::Close(1003, "text frames only");
    pub(super) const REFUSED: Self = Self::Close(1008, "the request is not valid");
    pub(super) const INTERNAL: Self = Self::Close(1011, "internal error");

    /// Every end that a peer can be told.
    const TOLD: [Self; 11] = [
        Self::RESTART,
        Self::TEXT_ONLY,
        Self::REFUSED,
        Self::INTERNAL,
        Self::TOO_SLOW,
        Self::TOKEN,
        Self::FORBIDDEN,
        Self::NO_TOKEN,
        Self::DISPLACED,
        Self::EXPIRED,
        Self::TOO_LARGE,
    ];

    /// What a browser is told in the place of an HTTP answer.
    pub(super) fn of_refusal(problem: &Problem) -> Self {
        match problem.kind() {
            Kind::TokenMissing | Kind::TokenInvalid | Kind::TokenExpired => Self::TOKEN,
            Kind::ScopeMissing | Kind::GroupNotAllowed | Kind::AdminTokenRefused => Self::FORBIDDEN,
            Kind::CursorExpired => Self::EXPIRED,
            Kind::BotStopped => Self::RESTART,
            kind if kind.status().is_client_error() => Self::REFUSED,
            _ => Self::INTERNAL,
        }
    }

    /// Why the log cannot be read on.
    pub(super) fn of_log(error: &SessionError) -> Self {
        match error {
            SessionError::CursorExpired | SessionError::CursorInvalid => Self::EXPIRED,
            SessionError::Stopped | SessionError::Displaced(_) => Self::RESTART,
            error => {
                tracing::error!(%error, "cannot read the event log");
                Self::INTERNAL
            }
        }
    }
}
