//! Names and avatars of users. A name is claimed at the node; what a bot sets here it keeps for
//! itself.

use axum::Json;
use axum::extract::State;
use serde_json::{Map, Value, json};

use super::account::{entry, set};
use super::body::Body;
use super::content::OWN;
use super::error::{invalid, not_found};
use super::ids::Caller;
use super::state::display_name;
use crate::auth::Scope;
use crate::extract::Segment;
use crate::problem::Problem;
use crate::state::AppState;

const FIELDS: [&str; 2] = ["displayname", "avatar_url"];

pub(super) async fn whole(
    caller: Caller,
    State(state): State<AppState>,
    Segment(user): Segment<String>,
) -> Result<Json<Value>, Problem> {
    look(&state, &caller, &user).await.map(|fields| Json(fields.into()))
}

pub(super) async fn get(
    caller: Caller,
    State(state): State<AppState>,
    Segment((user, field)): Segment<(String, String)>,
) -> Result<Json<Value>, Problem> {
    known(&field)?;
    let mut fields = look(&state, &caller, &user).await?;
    fields.retain(|name, _| *name == field);
    Ok(Json(fields.into()))
}

pub(super) async fn put(
    caller: Caller,
    State(state): State<AppState>,
    Segment((user, field)): Segment<(String, String)>,
    Body(body): Body<Map<String, Value>>,
) -> Result<Json<Value>, Problem> {
    caller.is(&user)?;
    known(&field)?;
    match body.get(&field) {
        Some(Value::String(text)) => {
            set(&state, &caller, "", &format!("{OWN}.{field}"), &json!({ "value": text })).await
        }
        _ => Err(invalid(format!("{field} is a string"))),
    }
}

fn known(field: &str) -> Result<(), Problem> {
    if FIELDS.contains(&field) { Ok(()) } else { Err(not_found("a profile has no such field")) }
}

async fn look(
    state: &AppState,
    caller: &Caller,
    user: &str,
) -> Result<Map<String, Value>, Problem> {
    caller.bot.need(Scope::GroupsRead)?;
    let identity = caller.ids.identity(&caller.bot, user).await?;
    let name = caller.ids.name(&caller.bot.session, &identity, None).await?;
    let user = caller.ids.user(&identity, name.as_deref());
    let mut fields = Map::new();
    fields.insert("displayname".to_owned(), display_name(&user).into());
    if caller.ids.is_own(&identity) {
        for field in FIELDS {
            let kept = entry(state, caller, "", &format!("{OWN}.{field}")).await?;
            if let Some(text) = kept.as_ref().and_then(|kept| kept.get("value")) {
                fields.insert(field.to_owned(), text.clone());
            }
        }
    }
    Ok(fields)
}
