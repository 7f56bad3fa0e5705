//! What every answer gets: the request's id, security headers, a problem's body.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue};
use tracing::Instrument;

use crate::{problem, random};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REFERRER_POLICY: HeaderName = HeaderName::from_static("referrer-policy");

/// Names the request, runs it, and finishes the answer.
pub(crate) async fn edge(request: Request, next: Next) -> Response {
    let id = random::uuid();
    // The path has ids only, and no query: that could carry what people write.
    let span = tracing::debug_span!(
        "request", id = %id, method = %request.method(), path = %request.uri().path()
    );
    let response = next.run(request).instrument(span.clone()).await;
    let mut response = problem::render(response, &format!("urn:uuid:{id}"));
    let status = response.status();
    span.in_scope(|| {
        if status.is_server_error() {
            tracing::warn!(%id, status = status.as_u16(), "answered");
        } else {
            tracing::debug!(status = status.as_u16(), "answered");
        }
    });
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::try_from(id) {
        headers.insert(REQUEST_ID, value);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    let nothing = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(nothing);
    response
}
