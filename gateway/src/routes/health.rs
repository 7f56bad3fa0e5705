//! Whether the gateway works.

use axum::extract::State;
use quicproquo_client::LinkState;
use serde::Serialize;
use utoipa::ToSchema;

use crate::openapi::{Open, Unready};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::state::AppState;

/// The process answers.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Live {
    /// Always `live`.
    #[schema(example = "live")]
    status: &'static str,
}

/// The gateway does useful work.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Ready {
    /// Always `ready`.
    #[schema(example = "ready")]
    status: &'static str,
    /// How many bots there are.
    bots: usize,
    /// How many of them are linked to the node now. An outage of the node does not make the
    /// gateway unready: what bots send is kept.
    linked: usize,
}

/// Whether the process answers.
#[utoipa::path(
    get, path = "/health/live", tag = "health",
    responses((status = 200, body = Live, description = "It answers."), Open)
)]
pub(crate) async fn get_live() -> Reply<Live> {
    Reply::ok(Live { status: "live" })
}

/// Whether the gateway does useful work: its database can be written.
#[utoipa::path(
    get, path = "/health/ready", tag = "health",
    responses((status = 200, body = Ready, description = "It does."), Unready)
)]
pub(crate) async fn get_ready(State(state): State<AppState>) -> Result<Reply<Ready>, Problem> {
    state.is_ready().await?;
    let bots = state.bots.all();
    let linked = bots
        .iter()
        .filter_map(|bot| state.client.session(&bot.identity))
        .filter(|session| session.health().link == LinkState::Up)
        .count();
    Ok(Reply::ok(Ready { status: "ready", bots: bots.len(), linked }))
}
