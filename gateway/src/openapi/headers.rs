//! Headers of answers, each described once, and named by every answer that can have it.

use serde_json::{Map, Value, json};

use super::finish::{object, operations, referenced};
use super::responses;
use crate::problem::MEDIA_TYPE;

/// Name among the components, header, whether it is always there, pattern of the value, what it
/// says.
const HEADERS: [(&str, &str, bool, &str, &str); 10] = [
    (
        "RequestId",
        "X-Request-Id",
        true,
        "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
        "The id of the request, also in the gateway's log: the caller's, if it sent a UUID in this \
         header.",
    ),
    (
        "RateLimitPolicy",
        "RateLimit-Policy",
        false,
        r#"^"(token|address)";q=[0-9]+;w=[0-9]+$"#,
        "How many requests (`q`) in how many seconds (`w`); absent where nothing is limited.",
    ),
    (
        "RateLimit",
        "RateLimit",
        false,
        r#"^"(token|address)";r=[0-9]+;t=[0-9]+$"#,
        "How many requests are left (`r`), and in how many seconds (`t`) there are more.",
    ),
    (
        "RetryAfter",
        "Retry-After",
        true,
        "^[0-9]+$",
        "In how many seconds a repetition can succeed.",
    ),
    ("Challenge", "WWW-Authenticate", true, "^Bearer$", "How to show a token."),
    (
        "Help",
        "Link",
        true,
        r#"^</problems/[a-z-]+>; rel="help"$"#,
        "The page that describes this kind of problem.",
    ),
    (
        "NextPage",
        "Link",
        false,
        r#"^<.+>; rel="next"$"#,
        "Where the next page is; absent at the end.",
    ),
    (
        "Epoch",
        "ETag",
        true,
        r#"^"[0-9]+"$"#,
        "The group's epoch in quotes, to be given back in `If-Match`.",
    ),
    (
        "ContentRange",
        "Content-Range",
        true,
        r"^bytes ([0-9]+-[0-9]+|\*)/[0-9]+$",
        "Which part of how many bytes.",
    ),
    (
        "IdempotencyReplayed",
        "Idempotency-Replayed",
        false,
        "^true$",
        "`true` when an earlier request with the same key did the work.",
    ),
];

/// Bodies that come with the group's epoch.
const WITH_EPOCH: [&str; 3] = ["Group", "Change", "MemberList"];

/// Names the headers of every answer.
pub(super) fn describe(document: &mut Value) {
    let all = HEADERS.iter().map(|(name, _, required, pattern, text)| {
        let schema = json!({ "type": "string", "pattern": pattern });
        let header = json!({ "description": text, "required": required, "schema": schema });
        ((*name).to_owned(), header)
    });
    document["components"]["headers"] = all.collect::<Map<_, _>>().into();
    for (_, _, operation) in operations(document) {
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let names: Vec<_> = parameters.filter_map(|one| one["name"].as_str()).collect();
        let (once, paged) = (names.contains(&"Idempotency-Key"), names.contains(&"limit"));
        for (status, response) in object(&mut operation["responses"]) {
            if response.get("$ref").is_some() {
                continue;
            }
            common(status.parse().ok(), response);
            let body = response.pointer("/content/application~1json/schema").and_then(referenced);
            if body.is_some_and(|name| WITH_EPOCH.contains(&name)) {
                give(response, "Epoch");
            }
            if once && status.starts_with('2') {
                give(response, "IdempotencyReplayed");
            }
            if paged && status.starts_with('2') {
                give(response, "NextPage");
            }
        }
    }
    for (name, response) in object(&mut document["components"]["responses"]) {
        common(responses::status(name).map(|status| status.as_u16()), response);
    }
}

/// Headers of every answer with a status.
fn common(status: Option<u16>, response: &mut Value) {
    for name in ["RequestId", "RateLimitPolicy", "RateLimit"] {
        give(response, name);
    }
    if response["content"].get(MEDIA_TYPE).is_some() {
        give(response, "Help");
    }
    match status {
        Some(206 | 416) => give(response, "ContentRange"),
        Some(401) => give(response, "Challenge"),
        Some(429 | 503) => give(response, "RetryAfter"),
        _ => {}
    }
}

fn give(response: &mut Value, name: &str) {
    if let Some((_, header, ..)) = HEADERS.iter().find(|(known, ..)| *known == name) {
        response["headers"][*header] = json!({ "$ref": format!("#/components/headers/{name}") });
    }
}
