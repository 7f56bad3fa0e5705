//! The `OpenAPI` description, from the same types and routes that answer.

mod examples;
mod finish;
mod headers;
mod responses;
#[cfg(test)]
mod tests;
pub(crate) mod unions;

use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, OpenApi as Document, Ref, RefOr, Required, Response, ResponseBuilder,
    ResponsesBuilder, Server,
};
use utoipa::{IntoParams, IntoResponses, Modify, OpenApi};

use crate::model::{
    EventDto, FileContent, MessageDto, ReactionContent, TextContent, TypingContent,
};
use crate::problem::{FieldError, MEDIA_TYPE, ProblemBody};
use crate::router;

/// The document's frame; the routes add themselves.
#[derive(Debug, OpenApi)]
#[openapi(
    info(
        title = "quicproquo gateway",
        description = "End-to-end encrypted group messaging (MLS, RFC 9420, post-quantum) for \
            bots. Create a bot with the admin token, then use the bot's own token on all other \
            routes. Errors are RFC 9457 problems; docs/problems.md lists them. Every changing \
            route takes an `Idempotency-Key`."
    ),
    components(schemas(
        ProblemBody, FieldError, EventDto, MessageDto, FileContent, ReactionContent, TextContent, TypingContent
    )),
    modifiers(&Security),
    tags(
        (name = "bots", description = "Bots and their tokens. Admin token."),
        (name = "me", description = "The caller."),
        (name = "groups", description = "Groups the bot is in."),
        (name = "members", description = "Members of a group."),
        (name = "invitations", description = "Groups somebody added the bot to."),
        (name = "messages", description = "Sending and history."),
        (name = "attachments", description = "Files, to be sent and received."),
        (name = "events", description = "What happened: long poll, server-sent events and WebSocket on one log."),
        (name = "webhooks", description = "Events that the gateway delivers by itself."),
        (name = "identities", description = "Who is who."),
        (name = "health", description = "Whether the gateway works. No token.")
    )
)]
pub(crate) struct Frame;

struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut Document) {
        // Beside this document, so that a prefix of a proxy does no harm.
        document.servers = Some(vec![Server::new(".")]);
        let components = document.components.get_or_insert_default();
        for (name, text) in [
            ("admin_token", "The admin token: bots and tokens. It opens no bot route."),
            ("bot_token", "A token of one bot. It opens no admin route."),
        ] {
            let scheme = HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .bearer_format("qpq_ token")
                .description(Some(text))
                .build();
            components.add_security_scheme(name, SecurityScheme::Http(scheme));
        }
    }
}

/// The `OpenAPI` 3.1 document as pretty JSON with a newline at the end, as it is committed.
pub fn openapi_json() -> String {
    let derived = serde_json::to_value(router::routes().into_openapi()).unwrap_or_default();
    let mut text = finish::text(&finish::finish(derived));
    text.push('\n');
    text
}

/// The header of routes that change something.
pub(crate) struct Idempotent;

impl IntoParams for Idempotent {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![header(
            "Idempotency-Key",
            "Makes the request safe to repeat: the same key and content does the work once and \
             gets the same answer for at least 24 hours. At most 255 characters.",
        )]
    }
}

/// Where a reader of server-sent events comes back to.
pub(crate) struct LastEventId;

impl IntoParams for LastEventId {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![header(
            "Last-Event-ID",
            "With `Accept: text/event-stream`: the `id` of the last event that was read, in the \
             place of `after`. Browsers send it by themselves. A consumer goes on where it has \
             acknowledged.",
        )]
    }
}

/// The headers of routes that change a group.
pub(crate) struct Guarded;

impl IntoParams for Guarded {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let mut headers = Idempotent::into_params(|| None);
        headers.push(header(
            "If-Match",
            "The group's epoch in quotes, as in `ETag`: refused with 412 when the group has \
             moved on.",
        ));
        headers
    }
}

/// The headers of routes that give bytes.
pub(crate) struct Ranged;

impl IntoParams for Ranged {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![
            header("Range", "One range of bytes, like `bytes=0-1023` or `bytes=-500`."),
            header("If-Range", "The `ETag` without which the range does not count."),
            header("If-None-Match", "The `ETag` of what the caller has already: then 304."),
        ]
    }
}

fn header(name: &str, description: &str) -> Parameter {
    let text = utoipa::openapi::ObjectBuilder::new()
        .schema_type(utoipa::openapi::schema::Type::String)
        .build();
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(text))
        .build()
}

type Responses = std::collections::BTreeMap<String, RefOr<Response>>;

const TOO_MANY: (u16, &str) = (
    429,
    "Too many requests in a short time. `Retry-After` says how many seconds to wait, \
     `RateLimit-Policy` and `RateLimit` in every answer what is left.",
);

/// Problems of every route behind a token.
pub(crate) struct Denied;

impl IntoResponses for Denied {
    fn responses() -> Responses {
        problems(&[
            (400, "A parameter or header is not valid."),
            (401, "No token, or one that is not valid."),
            (403, "The token does not open this, or a web page of another site asks."),
            (404, "There is no such thing."),
            TOO_MANY,
            (500, "A fault of the gateway."),
            (503, "The database or the node is not to be had; worth a repetition."),
        ])
    }
}

/// Problems of every route that changes something.
pub(crate) struct Refused;

impl IntoResponses for Refused {
    fn responses() -> Responses {
        let mut all = Denied::responses();
        all.extend(problems(&[
            (408, "The body did not arrive in time."),
            (
                409,
                "The state of things does not permit it, or the first request with this \
                   idempotency key is still running.",
            ),
            (
                412,
                "The group has moved on from the epoch in If-Match, or a member is not verified \
                   and the request requires it.",
            ),
            (413, "The body, or a part of it, is too large."),
            (415, "The body is not declared as JSON."),
            (422, "The idempotency key was used for another request."),
            (502, "The node refused."),
        ]));
        all
    }
}

/// The cursor is older than what is kept.
pub(crate) struct Expired;

impl IntoResponses for Expired {
    fn responses() -> Responses {
        problems(&[(410, "The cursor is older than what is kept.")])
    }
}

/// Problems of routes that need no token.
pub(crate) struct Open;

impl IntoResponses for Open {
    fn responses() -> Responses {
        problems(&[
            (403, "The token does not open this, or a web page of another site asks."),
            TOO_MANY,
            (500, "A fault of the gateway."),
        ])
    }
}

/// Problems of files that the node keeps.
pub(crate) struct Unsatisfied;

impl IntoResponses for Unsatisfied {
    fn responses() -> Responses {
        problems(&[
            (410, "The node does not keep it any more."),
            (416, "It has no such bytes."),
            (502, "The node has something else than what was uploaded."),
        ])
    }
}

/// This route speaks another protocol.
pub(crate) struct Upgrade;

impl IntoResponses for Upgrade {
    fn responses() -> Responses {
        problems(&[(426, "The request does not ask for a WebSocket.")])
    }
}

/// The gateway cannot work now.
pub(crate) struct Unready;

impl IntoResponses for Unready {
    fn responses() -> Responses {
        let mut all = Open::responses();
        all.extend(problems(&[(503, "The gateway is not ready.")]));
        all
    }
}

fn problems(statuses: &[(u16, &str)]) -> Responses {
    let problem = |text: &str| {
        let schema = Ref::from_schema_name("Problem");
        let content = ContentBuilder::new().schema(Some(schema)).build();
        ResponseBuilder::new().description(text).content(MEDIA_TYPE, content).build()
    };
    let build = ResponsesBuilder::new();
    let all = statuses
        .iter()
        .fold(build, |all, (status, text)| all.response(status.to_string(), problem(text)));
    all.build().responses
}
