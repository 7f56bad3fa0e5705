//! Successful answers.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{ETAG, LINK};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;

const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// A successful answer and its headers.
#[derive(Debug, Clone)]
pub(crate) struct Reply<T> {
    status: StatusCode,
    body: T,
    replayed: bool,
    epoch: Option<u64>,
    link: Option<String>,
}

impl<T> Reply<T> {
    /// An answer with this status.
    pub(crate) fn new(status: StatusCode, body: T) -> Self {
        Self { status, body, replayed: false, epoch: None, link: None }
    }

    /// 200.
    pub(crate) fn ok(body: T) -> Self {
        Self::new(StatusCode::OK, body)
    }

    /// Says that an earlier request with the same key did the work.
    pub(crate) fn replayed(mut self, replayed: bool) -> Self {
        self.replayed = replayed;
        self
    }

    /// Adds the epoch, if there is one, as `ETag`, to be given back in `If-Match`.
    pub(crate) fn epoch(mut self, epoch: impl Into<Option<u64>>) -> Self {
        self.epoch = epoch.into();
        self
    }

    /// What is answered.
    #[cfg(test)]
    pub(crate) fn body(&self) -> &T {
        &self.body
    }

    /// Adds a link to the next page: path and query.
    pub(crate) fn next_page(mut self, target: Option<String>) -> Self {
        self.link = target;
        self
    }
}

impl<T: Serialize> IntoResponse for Reply<T> {
    fn into_response(self) -> Response {
        let mut response = if self.status == StatusCode::NO_CONTENT {
            self.status.into_response()
        } else {
            (self.status, Json(self.body)).into_response()
        };
        let headers = response.headers_mut();
        if self.replayed {
            headers.insert(REPLAYED, HeaderValue::from_static("true"));
        }
        if let Some(value) = self.epoch.and_then(|e| HeaderValue::try_from(format!("\"{e}\"")).ok())
        {
            headers.insert(ETAG, value);
        }
        let link = self.link.map(|target| format!("<{target}>; rel=\"next\""));
        if let Some(value) = link.and_then(|link| HeaderValue::try_from(link).ok()) {
            headers.insert(LINK, value);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_say_what_the_body_does_not() {
        let reply = Reply::ok(1).replayed(true).epoch(7).next_page(Some("/v1/x?after=1".into()));
        let response = reply.into_response();
        assert_eq!(response.headers()[REPLAYED], "true");
        assert_eq!(response.headers()[ETAG], "\"7\"");
        assert_eq!(response.headers()[LINK], "</v1/x?after=1>; rel=\"next\"");
        let response = Reply::new(StatusCode::NO_CONTENT, ()).into_response();
        assert!(response.headers().get("content-type").is_none());
    }
}
