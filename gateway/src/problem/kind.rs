//! Every kind of problem the gateway answers; docs/problems.md describes them for readers.

use http::StatusCode;

/// Declares the kinds: name, slug, status, whether a repetition can succeed, title.
macro_rules! kinds {
    ($($name:ident $slug:literal $status:ident $retry:literal $title:literal;)*) => {
        /// A kind of problem.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Kind {
            $(#[doc = $title] $name,)*
        }

        impl Kind {
            /// Every kind.
            pub(crate) const ALL: &[Self] = &[$(Self::$name),*];

            /// The last part of the problem's type.
            pub(crate) const fn slug(self) -> &'static str {
                match self { $(Self::$name => $slug,)* }
            }

            /// The HTTP status.
            pub(crate) const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            /// Whether the same request can succeed later without a change.
            pub(crate) const fn retryable(self) -> bool {
                match self { $(Self::$name => $retry,)* }
            }

            /// The kind in words.
            pub(crate) const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

kinds! {
    RequestInvalid "request-invalid" BAD_REQUEST false "The request is not valid.";
    JsonInvalid "json-invalid" BAD_REQUEST false "The body is not the JSON that is expected.";
    ArchiveInvalid "archive-invalid" BAD_REQUEST false "The archive does not open.";
    CursorInvalid "cursor-invalid" BAD_REQUEST false "The cursor does not belong to this event log.";
    TokenMissing "token-missing" UNAUTHORIZED false "The request carries no token.";
    TokenInvalid "token-invalid" UNAUTHORIZED false "The token is not known.";
    TokenExpired "token-expired" UNAUTHORIZED false "The token has expired.";
    AdminTokenRefused "admin-token-refused" FORBIDDEN false "The admin token opens no bot route.";
    BotTokenRefused "bot-token-refused" FORBIDDEN false "A bot token opens no admin route.";
    ScopeMissing "scope-missing" FORBIDDEN false "The token lacks a scope.";
    GroupNotAllowed "group-not-allowed" FORBIDDEN false "The token is limited to other groups.";
    HostRefused "host-refused" FORBIDDEN false "The gateway does not answer to this host name.";
    OriginRefused "origin-refused" FORBIDDEN false "The gateway does not answer to pages of this origin.";
    RegistrationRefused "registration-refused" FORBIDDEN false "The node does not admit this identity.";
    WebhookTargetRefused "webhook-target-refused" FORBIDDEN false "The gateway does not deliver to this target.";
    NotAdmin "not-admin" FORBIDDEN false "Only an admin of the group may do this.";
    NotYourMessage "not-your-message" FORBIDDEN false "Only its sender may edit or delete a message.";
    RouteNotFound "route-not-found" NOT_FOUND false "There is no such route.";
    NotFound "not-found" NOT_FOUND false "There is no such resource.";
    BotNotFound "bot-not-found" NOT_FOUND false "There is no such bot.";
    GroupNotFound "group-not-found" NOT_FOUND false "There is no such group.";
    MemberNotFound "member-not-found" NOT_FOUND false "The identity is not a member of the group.";
    InvitationNotFound "invitation-not-found" NOT_FOUND false "There is no such invitation.";
    MessageNotFound "message-not-found" NOT_FOUND false "There is no such message.";
    AttachmentNotFound "attachment-not-found" NOT_FOUND false "There is no such attachment.";
    ConsumerNotFound "consumer-not-found" NOT_FOUND false "There is no such consumer.";
    WebhookNotFound "webhook-not-found" NOT_FOUND false "There is no such webhook.";
    DeliveryNotFound "delivery-not-found" NOT_FOUND false "There is no such delivery.";
    NameUnknown "name-unknown" NOT_FOUND false "Nobody has this name.";
    MethodNotAllowed "method-not-allowed" METHOD_NOT_ALLOWED false "The route does not have this method.";
    RequestTimeout "request-timeout" REQUEST_TIMEOUT true "The request did not arrive in time.";
    GroupInactive "group-inactive" CONFLICT false "The bot is no longer a member of the group.";
    LastAdmin "last-admin" CONFLICT false "The last admin names a successor before leaving or stepping down.";
    AlreadyMember "already-member" CONFLICT false "The identity is a member of the group already.";
    KeyPackageMissing "key-package-missing" CONFLICT true "There is no key package to be had for an identity.";
    KeyPackageRefused "key-package-refused" CONFLICT false "The key package of an identity cannot be used.";
    NameTaken "name-taken" CONFLICT false "The name is taken.";
    TooManyNames "too-many-names" CONFLICT false "The identity holds as many names as it may.";
    IdempotencyRunning "idempotency-running" CONFLICT true "The first request with this idempotency key is still running.";
    ConsumerDisplaced "consumer-displaced" CONFLICT false "A connection of this consumer with another filter took over.";
    BotDisplaced "bot-displaced" CONFLICT false "Another instance runs this bot's identity.";
    SafetyNumberMismatch "safety-number-mismatch" CONFLICT false "The safety number is not the one of the two identities.";
    BotExists "bot-exists" CONFLICT false "The bot is here already.";
    BotExported "bot-exported" CONFLICT false "This bot was exported and goes on elsewhere.";
    NotEditable "not-editable" CONFLICT false "The message cannot be edited.";
    CursorExpired "cursor-expired" GONE false "The cursor is older than what is kept.";
    AttachmentExpired "attachment-expired" GONE false "The node does not keep the attachment any more.";
    EpochMismatch "epoch-mismatch" PRECONDITION_FAILED false "The group has moved on from the epoch in If-Match.";
    NotVerified "not-verified" PRECONDITION_FAILED false "A member of the group is not verified.";
    TooLarge "too-large" PAYLOAD_TOO_LARGE false "The request is too large.";
    MediaTypeRefused "media-type-refused" UNSUPPORTED_MEDIA_TYPE false "The body is not declared as JSON.";
    RangeRefused "range-refused" RANGE_NOT_SATISFIABLE false "The attachment has no such bytes.";
    IdempotencyMismatch "idempotency-mismatch" UNPROCESSABLE_ENTITY false "The idempotency key was used for another request.";
    UpgradeRequired "upgrade-required" UPGRADE_REQUIRED false "This route speaks WebSocket only.";
    RateLimited "rate-limited" TOO_MANY_REQUESTS true "Too many requests in a short time.";
    Internal "internal" INTERNAL_SERVER_ERROR false "Something failed inside the gateway.";
    NodeRefused "node-refused" BAD_GATEWAY false "The node refused the request.";
    AttachmentDamaged "attachment-damaged" BAD_GATEWAY false "The node has something else than what was uploaded.";
    NodeUnreachable "node-unreachable" SERVICE_UNAVAILABLE true "The node cannot be reached.";
    BotStopped "bot-stopped" SERVICE_UNAVAILABLE true "The bot is not running.";
    OutboxFull "outbox-full" SERVICE_UNAVAILABLE true "Too much is waiting to be sent.";
    UploadsBusy "uploads-busy" SERVICE_UNAVAILABLE true "Too many uploads are running.";
    StorageUnavailable "storage-unavailable" SERVICE_UNAVAILABLE true "The database cannot be written.";
    NotReady "not-ready" SERVICE_UNAVAILABLE true "The gateway is not ready.";
}

impl Kind {
    /// The kind of an error response that says no more than its status.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::BAD_REQUEST => Self::RequestInvalid,
            StatusCode::NOT_FOUND => Self::RouteNotFound,
            StatusCode::METHOD_NOT_ALLOWED => Self::MethodNotAllowed,
            StatusCode::REQUEST_TIMEOUT => Self::RequestTimeout,
            StatusCode::PAYLOAD_TOO_LARGE => Self::TooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::MediaTypeRefused,
            StatusCode::UPGRADE_REQUIRED => Self::UpgradeRequired,
            _ => Self::Internal,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_kind_is_documented_with_its_status() {
        let text = include_str!("../../../docs/problems.md");
        for kind in Kind::ALL {
            let row = format!("| `{}` | {} |", kind.slug(), kind.status().as_u16());
            assert!(text.contains(&row), "docs/problems.md lacks {row}");
        }
        let rows = text.lines().filter(|line| line.starts_with("| `")).count();
        assert_eq!(rows, Kind::ALL.len(), "docs/problems.md has rows nothing answers");
    }

    #[test]
    fn slugs_are_unique() {
        let slugs: HashSet<_> = Kind::ALL.iter().map(|kind| kind.slug()).collect();
        assert_eq!(slugs.len(), Kind::ALL.len());
    }
}
