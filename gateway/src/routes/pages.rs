//! Pages that belong to no bot: documentation, kinds of problems, metrics, and the way to them.

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderValue, StatusCode};

use super::{console, docs, problems};
use crate::auth::Admin;
use crate::config::Access;
use crate::metrics::MEDIA_TYPE;
use crate::state::AppState;

/// Who sees what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pages {
    /// `/metrics`.
    pub(crate) metrics: Access,
    /// `/`, `/docs`, `/openapi.json`, `/asyncapi.json`, `/problems`, `/console`.
    pub(crate) docs: Access,
}

/// All of them.
pub(crate) fn router(state: &AppState, shown: Pages) -> Router<AppState> {
    let metrics = Router::new().route("/metrics", get(show_metrics));
    let docs = docs::router().merge(problems::router()).route("/", get(home));
    let pages = behind(state, shown.metrics, metrics).merge(behind(state, shown.docs, docs));
    // The console asks for a token itself, which a browser could not give before it has the page.
    if shown.docs == Access::Closed { pages } else { pages.merge(console::router()) }
}

fn behind(state: &AppState, access: Access, pages: Router<AppState>) -> Router<AppState> {
    match access {
        Access::Open => pages,
        Access::Admin => pages.layer(from_fn_with_state(state.clone(), admin_only)),
        Access::Closed => Router::new(),
    }
}

async fn admin_only(_: Admin, request: Request, next: Next) -> Response {
    next.run(request).await
}

async fn show_metrics(State(state): State<AppState>) -> Response {
    let page = state.metrics.page(&state);
    ([(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE))], page).into_response()
}

/// Relative, so that it leads to the right place behind a proxy's prefix too.
async fn home() -> Response {
    let to = [(LOCATION, HeaderValue::from_static("docs/"))];
    (StatusCode::TEMPORARY_REDIRECT, to).into_response()
}
