//! What every answer gets: the request's id, security headers, a problem's body; and its count.

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;
use tracing::Instrument;

use crate::state::AppState;
use crate::{matrix, problem, random};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REFERRER_POLICY: HeaderName = HeaderName::from_static("referrer-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
/// What no route matches is counted together.
const UNMATCHED: &str = "unmatched";

/// Names the request, runs it, and finishes the answer.
pub(crate) async fn edge(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let (begun, in_flight) = (Instant::now(), state.metrics.begin());
    let id = given_id(request.headers()).unwrap_or_else(random::uuid);
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    // The path has ids, and no query: that could carry what people write. Spans can leave the
    // machine, and have the route alone.
    let path = request.uri().path().to_owned();
    let named = route.as_ref().map_or(UNMATCHED, MatchedPath::as_str);
    let span = tracing::debug_span!(
        "request",
        otel.name = format_args!("{method} {named}"),
        otel.kind = "server",
        id = %id,
        http.request.method = %method,
        http.route = named,
        http.response.status_code = tracing::field::Empty,
    );
    let for_matrix = state.matrix.is_some() && matrix::is_route(request.uri().path());
    let response = next.run(request).instrument(span.clone()).await;
    let mut response = if for_matrix {
        matrix::render(response)
    } else {
        problem::render(response, &format!("urn:uuid:{id}"))
    };
    let status = response.status();
    span.record("http.response.status_code", status.as_u16());
    span.in_scope(|| {
        if status.is_server_error() {
            tracing::warn!(%id, status = status.as_u16(), "answered");
        } else {
            tracing::debug!(path, status = status.as_u16(), "answered");
        }
    });
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::try_from(id) {
        headers.insert(REQUEST_ID, value);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    let nothing = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(nothing);
    let route = route.as_ref().map_or(UNMATCHED, MatchedPath::as_str);
    state.metrics.answered(&method, route, status.as_u16(), begun.elapsed());
    drop(in_flight);
    response
}

/// A UUID in `X-Request-Id`, as proxies send it, also without its hyphens; anything else is not
/// looked at, so that nobody writes into logs what they like.
fn given_id(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(REQUEST_ID)?.to_str().ok()?;
    let mut digits = text.replace('-', "");
    let hyphens: Vec<usize> = text.match_indices('-').map(|(at, _)| at).collect();
    let formed = hyphens.is_empty() || hyphens == [8, 13, 18, 23];
    if !formed || digits.len() != 32 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    digits.make_ascii_lowercase();
    for at in [20, 16, 12, 8] {
        digits.insert(at, '-');
    }
    Some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(text: &str) -> Option<String> {
        given_id(&[(REQUEST_ID, text.parse().unwrap())].into_iter().collect())
    }

    #[test]
    fn only_a_uuid_is_taken_for_the_requests_id() {
        let id = "6f0c1f5e-3d0b-4d0e-9c56-0d6a7a4e1b2c";
        for same in [id, &id.to_uppercase(), &id.replace('-', "")] {
            assert_eq!(given(same).as_deref(), Some(id), "{same}");
        }
        let shifted = "6f0c1f5-e3d0b-4d0e-9c56-0d6a7a4e1b2c";
        for other in ["", "1", shifted, &format!("{id}0"), &id.replace('6', "g"), "\u{e4}"] {
            assert_eq!(given(other), None, "{other}");
        }
        assert_eq!(given_id(&HeaderMap::new()), None);
    }
}
