//! Files: the attachments of the native API under addresses `mxc://server/<attachment id>`.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use quicproquo_client::{MAX_ATTACHMENT, SessionError};
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::not_found;
use super::ids::Caller;
use crate::extract::{Params, Raw, Segment};
use crate::problem::{Kind, Problem};
use crate::routes::attachments;
use crate::state::AppState;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct UploadParams {
    filename: Option<String>,
}

pub(super) async fn upload(
    caller: Caller,
    State(state): State<AppState>,
    Params(params): Params<UploadParams>,
    request: Raw<MAX_ATTACHMENT>,
) -> Result<Json<Value>, Problem> {
    let name = params.filename.as_deref();
    let done = attachments::upload(&caller.bot, &state, name, request).await?;
    Ok(Json(json!({ "content_uri": caller.ids.file(&done.value.id.to_string()) })))
}

pub(super) async fn config(_: Caller) -> Json<Value> {
    Json(json!({ "m.upload.size": MAX_ATTACHMENT }))
}

pub(super) async fn download(
    caller: Caller,
    Segment((server, id)): Segment<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    give(&caller, &server, &id, &headers).await
}

/// The name in the path is the caller's wish; the file has its own.
pub(super) async fn download_named(
    caller: Caller,
    Segment((server, id, _)): Segment<(String, String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    give(&caller, &server, &id, &headers).await
}

/// For clients that send no token: 128 bits that only members know are what they have instead.
pub(super) async fn open_download(
    caller: Result<Caller, Problem>,
    State(state): State<AppState>,
    Segment((server, id)): Segment<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    open(caller, &state, &server, &id, &headers).await
}

pub(super) async fn open_download_named(
    caller: Result<Caller, Problem>,
    State(state): State<AppState>,
    Segment((server, id, _)): Segment<(String, String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    open(caller, &state, &server, &id, &headers).await
}

async fn open(
    caller: Result<Caller, Problem>,
    state: &AppState,
    server: &str,
    id: &str,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    match caller {
        Err(problem) if problem.kind() == Kind::TokenMissing => {}
        caller => return give(&caller?, server, id, headers).await,
    }
    let missing = || not_found("there is no such file at this server");
    let server_name = state.matrix.as_ref().map(|matrix| &*matrix.server_name);
    let id = id.parse().ok().filter(|_| server_name == Some(server)).ok_or_else(missing)?;
    for bot in state.bots.all() {
        let Some(session) = state.client.session(&bot.identity) else { continue };
        match session.attachment(&id, None).await {
            Ok(found) => return attachments::serve(&session, &found, headers).await,
            Err(SessionError::AttachmentNotFound) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(missing())
}

async fn give(
    caller: &Caller,
    server: &str,
    id: &str,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let id = caller.ids.attachment(&format!("mxc://{server}/{id}"));
    let id = id.ok_or_else(|| not_found("there is no such file at this server"))?;
    attachments::download(&caller.bot, id, headers).await
}
