//! The whole API in one place.

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn_with_state, map_request};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use tower::util::option_layer;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::guard::{Guard, guard};
use crate::matrix;
use crate::openapi::Frame;
use crate::problem::{Kind, Problem};
use crate::rates;
use crate::routes::pages::Pages;
use crate::routes::{
    archives, attachments, bots, consumers, events, groups, health, identities, invitations,
    markers, me, members, messages, pages, reactions, tokens, webhooks,
};
use crate::state::AppState;

mod edge;

/// Every documented route.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(Frame::openapi())
        // Admin token.
        .routes(routes!(bots::create_bot, bots::list_bots))
        .routes(routes!(bots::get_bot, bots::change_bot, bots::delete_bot))
        .routes(routes!(archives::export_bot))
        .routes(routes!(archives::import_bot))
        .routes(routes!(tokens::issue_token, tokens::list_tokens))
        .routes(routes!(tokens::revoke_token))
        // Bot tokens.
        .routes(routes!(me::get_me))
        .routes(routes!(groups::create_group, groups::list_groups))
        .routes(routes!(groups::get_group, groups::change_group))
        .routes(routes!(groups::get_group_health))
        .routes(routes!(groups::leave_group))
        .routes(routes!(groups::update_keys))
        .routes(routes!(members::list_members, members::add_members))
        .routes(routes!(members::change_member, members::remove_member))
        .routes(routes!(invitations::list_invitations))
        .routes(routes!(invitations::accept_invitation))
        .routes(routes!(invitations::decline_invitation))
        .routes(routes!(messages::send_message, messages::list_messages))
        .routes(routes!(messages::get_message, messages::edit_message, messages::delete_message))
        .routes(routes!(reactions::put_reaction, reactions::delete_reaction))
        .routes(routes!(markers::put_typing))
        .routes(routes!(markers::put_read))
        .routes(routes!(attachments::upload_attachment))
        .routes(routes!(attachments::download_attachment))
        .routes(routes!(events::list_events))
        .routes(routes!(events::stream_events))
        .routes(routes!(events::issue_ticket))
        .routes(routes!(events::acknowledge_events))
        .routes(routes!(events::extend_leases))
        .routes(routes!(consumers::list_consumers))
        .routes(routes!(consumers::delete_consumer))
        .routes(routes!(consumers::list_parked))
        .routes(routes!(consumers::replay_parked))
        .routes(routes!(webhooks::create_webhook, webhooks::list_webhooks))
        .routes(routes!(webhooks::get_webhook, webhooks::change_webhook, webhooks::delete_webhook))
        .routes(routes!(webhooks::list_deliveries))
        .routes(routes!(webhooks::replay_deliveries))
        .routes(routes!(identities::get_identity))
        .routes(routes!(identities::verify_identity))
        // No token.
        .routes(routes!(health::get_live))
        .routes(routes!(health::get_ready))
}

/// Where something is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Address {
    /// Where the native API is.
    Main,
    /// Where the facade for Matrix is, when it has an address of its own.
    Matrix,
}

/// The service at an address: routes, documentation, and what applies to all of them.
pub(crate) fn router(state: &AppState, at: Address, shown: Pages, hosts: Guard) -> Router {
    let mut router = Router::new();
    if at == Address::Main {
        router = routes().split_for_parts().0.merge(pages::router(state, shown));
    }
    if matrix::is_served(state, at) {
        router = router.merge(matrix::router(state));
    }
    router
        .fallback(|| async { Problem::new(Kind::RouteNotFound) })
        .method_not_allowed_fallback(async || Problem::new(Kind::MethodNotAllowed))
        .layer(from_fn_with_state(state.clone(), rates::limit))
        .layer(option_layer(matrix::cors(state)))
        // Before the rates: a foreign page must not use up what its visitor's address may do.
        .layer(from_fn_with_state(Arc::new(hosts), guard))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(state.clone(), edge::edge))
        // First of all: a token must not be in what anything else sees of the target.
        .layer(map_request(matrix::take_token))
        .with_state(state.clone())
}

/// The panic hook has logged it.
fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
    response.extensions_mut().insert(Problem::new(Kind::Internal));
    response
}
