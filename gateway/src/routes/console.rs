//! `/console`: a page for people, which calls the API like any other client.
//!
//! Its files are in the binary. They hold nothing secret: the page asks for a token.

use axum::Router;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};

use crate::state::AppState;

/// Nothing but what the gateway itself serves.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'";
const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! asset {
    ($kind:expr, $name:literal) => {
        (concat!("/console/", $name), $kind, include_str!(concat!("../../assets/console/", $name)))
    };
}

const PAGE: &str = include_str!("../../assets/console/index.html");
const ASSETS: [(&str, &str, &str); 8] = [
    asset!(CSS, "style.css"),
    asset!(SCRIPT, "main.js"),
    asset!(SCRIPT, "admin.js"),
    asset!(SCRIPT, "api.js"),
    asset!(SCRIPT, "bot.js"),
    asset!(SCRIPT, "conversation.js"),
    asset!(SCRIPT, "dom.js"),
    asset!(SCRIPT, "live.js"),
];

/// The page and its files. Their links are relative, so that a prefix of a proxy does no harm.
pub(crate) fn router() -> Router<AppState> {
    let page = Router::new()
        .route("/console", get(async || file(HTML, PAGE)))
        .route("/console/", get(async || Redirect::permanent("../console")));
    ASSETS.into_iter().fold(page, |router, (path, kind, text)| {
        router.route(path, get(async move || file(kind, text)))
    })
}

fn file(kind: &'static str, text: &'static str) -> Response {
    let mut response = text.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
