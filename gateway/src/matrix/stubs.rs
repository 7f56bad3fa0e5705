//! What clients ask for before they do anything, and what has no meaning here.

use axum::Json;
use axum::extract::State;
use http::HeaderMap;
use http::header::HOST;
use serde_json::{Value, json};

use super::account::device;
use super::ids::Caller;
use crate::door::Peer;
use crate::extract::Segment;
use crate::problem::Problem;
use crate::state::AppState;

/// Versions whose routes are those that are here.
const VERSIONS: [&str; 11] =
    ["r0.5.0", "r0.6.0", "r0.6.1", "v1.1", "v1.2", "v1.3", "v1.4", "v1.5", "v1.6", "v1.7", "v1.11"];

pub(super) async fn versions() -> Json<Value> {
    Json(json!({ "versions": VERSIONS, "unstable_features": {} }))
}

/// Where this is, by the name under which it was asked.
pub(super) async fn well_known(
    State(state): State<AppState>,
    peer: Option<axum::Extension<Peer>>,
    headers: HeaderMap,
) -> Json<Value> {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let secure = state.secure && !matches!(peer, Some(axum::Extension(Peer::Local)));
    let scheme = if secure { "https" } else { "http" };
    Json(json!({ "m.homeserver": { "base_url": format!("{scheme}://{host}") } }))
}

pub(super) async fn nothing(_: Caller) -> Json<Value> {
    Json(json!({}))
}

pub(super) async fn push_rules(_: Caller) -> Json<Value> {
    let rules = json!({ "override": [], "content": [], "room": [], "sender": [], "underride": [] });
    Json(json!({ "global": rules }))
}

pub(super) async fn capabilities(_: Caller) -> Json<Value> {
    Json(json!({
        "capabilities": {
            "m.change_password": { "enabled": false },
            "m.room_versions": { "default": "10", "available": { "10": "stable" } },
            "m.set_displayname": { "enabled": false },
            "m.set_avatar_url": { "enabled": false },
            "m.3pid_changes": { "enabled": false },
        }
    }))
}

/// Keys of Matrix's own encryption go nowhere: no room has it.
pub(super) async fn upload_keys(_: Caller) -> Json<Value> {
    Json(json!({ "one_time_key_counts": { "signed_curve25519": 50 } }))
}

pub(super) async fn query_keys(_: Caller) -> Json<Value> {
    Json(json!({ "device_keys": {}, "failures": {} }))
}

pub(super) async fn claim_keys(_: Caller) -> Json<Value> {
    Json(json!({ "one_time_keys": {}, "failures": {} }))
}

pub(super) async fn changed_keys(_: Caller) -> Json<Value> {
    Json(json!({ "changed": [], "left": [] }))
}

fn about(caller: &Caller) -> Value {
    json!({ "device_id": device(&caller.bot), "display_name": caller.bot.grant.label })
}

pub(super) async fn devices(caller: Caller) -> Json<Value> {
    Json(json!({ "devices": [about(&caller)] }))
}

pub(super) async fn one_device(
    caller: Caller,
    Segment(id): Segment<String>,
) -> Result<Json<Value>, Problem> {
    if id == device(&caller.bot) {
        return Ok(Json(about(&caller)));
    }
    Err(super::error::not_found("the caller has no such device"))
}

pub(super) async fn presence(_: Caller) -> Json<Value> {
    Json(json!({ "presence": "online", "currently_active": true }))
}

pub(super) async fn aliases(_: Caller) -> Json<Value> {
    Json(json!({ "aliases": [] }))
}

pub(super) async fn no_alias(_: Caller) -> Problem {
    super::error::not_found("rooms have no aliases here")
}
