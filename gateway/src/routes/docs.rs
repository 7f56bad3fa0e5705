//! The documentation: the `OpenAPI` document and Swagger UI, shipped in the binary.

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::HeaderValue;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::asyncapi::asyncapi_json;
use crate::openapi::openapi_json;
use crate::state::AppState;

const DOCUMENT: &str = "/openapi.json";
/// The same from `/docs/`: links are relative, so that a prefix of a proxy does no harm.
const RELATIVE: &str = "../openapi.json";
/// Swagger UI has small pictures inside its style sheet, and brings two colours of its logo as a
/// style of its own: that one, by its hash, is the only style in a page that is let in.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' \
    'sha256-RL3ie0nH+Lzz2YNqQN83mnU0J1ot4QL7b99vMdIX99w='; \
    img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";

/// `/openapi.json`, `/asyncapi.json` and `/docs`.
pub(crate) fn router() -> Router<AppState> {
    let text = openapi_json();
    let json = HeaderValue::from_static("application/json");
    let answer = move || async move { ([(CONTENT_TYPE, json)], text).into_response() };
    let config = Config::from(RELATIVE)
        .try_it_out_enabled(true)
        .display_request_duration(true)
        .validator_url("none");
    let pages: Router<AppState> = SwaggerUi::new("/docs").config(config).into();
    let json = HeaderValue::from_static("application/json");
    let stream = asyncapi_json();
    let describe = move || async move { ([(CONTENT_TYPE, json)], stream).into_response() };
    Router::new()
        .route(DOCUMENT, get(answer))
        .route("/asyncapi.json", get(describe))
        .merge(pages.layer(from_fn(policy)))
}

async fn policy(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let policy = HeaderValue::from_static(POLICY);
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    if response.status().is_redirection() {
        response.headers_mut().insert(LOCATION, HeaderValue::from_static("docs/"));
    }
    response
}
