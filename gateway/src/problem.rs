//! Errors as RFC 9457 problems.
//!
//! A handler answers a [`Problem`]; the response carries it as an extension, and [`render`] writes
//! the body at the edge, where the request's id is known. What is not a problem yet (an empty
//! error response of the router) becomes one there too.

mod kind;
mod session;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, LINK, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

pub(crate) use kind::Kind;

/// The media type of problems.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";
/// What every type begins with; docs/problems.md and `GET /problems/{type}` describe each.
pub(crate) const URN: &str = "urn:quicproquo:problem:";

/// What went wrong, before it is written.
#[derive(Debug, Clone)]
pub(crate) struct Problem(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    kind: Kind,
    detail: Option<String>,
    errors: Vec<FieldError>,
    current_epoch: Option<u64>,
    oldest: Option<String>,
    newest: Option<String>,
    /// Seconds.
    retry_after: Option<u64>,
    /// How Matrix clients know it, where the kind does not say.
    matrix: Option<(StatusCode, &'static str)>,
}

impl Problem {
    /// A problem of this kind.
    pub(crate) fn new(kind: Kind) -> Self {
        Self(Box::new(Inner {
            kind,
            detail: None,
            errors: Vec::new(),
            current_epoch: None,
            oldest: None,
            newest: None,
            retry_after: None,
            matrix: None,
        }))
    }

    /// One field of the request is wrong.
    pub(crate) fn field(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(Kind::RequestInvalid).at(pointer, detail)
    }

    /// What is special about this occurrence, for people; never internal text.
    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Adds a field's error; the pointer is RFC 6901 into the body, or a parameter's name.
    pub(crate) fn at(mut self, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        self.0.errors.push(FieldError { pointer: pointer.into(), detail: detail.into() });
        self
    }

    /// Tells the group's epoch.
    pub(crate) fn current_epoch(mut self, epoch: u64) -> Self {
        self.0.current_epoch = Some(epoch);
        self
    }

    /// Tells where the log begins and ends.
    pub(crate) fn log(mut self, oldest: &impl ToString, newest: &impl ToString) -> Self {
        self.0.oldest = Some(oldest.to_string());
        self.0.newest = Some(newest.to_string());
        self
    }

    /// Tells when to come again, in seconds.
    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after = Some(seconds);
        self
    }

    /// Gives it a status and code of its own for Matrix clients.
    pub(crate) fn with_code(mut self, status: StatusCode, code: &'static str) -> Self {
        self.0.matrix = Some((status, code));
        self
    }

    /// The same, if they are special.
    pub(crate) fn matrix(&self) -> Option<(StatusCode, &'static str)> {
        self.0.matrix
    }

    /// When to come again, in seconds.
    pub(crate) fn comes_again(&self) -> Option<u64> {
        self.0.retry_after
    }

    /// All of it in a sentence, for people.
    pub(crate) fn sentence(&self) -> String {
        let mut text = self.0.detail.clone().unwrap_or_else(|| self.0.kind.title().to_owned());
        for error in &self.0.errors {
            text.push_str("; ");
            if !error.pointer.is_empty() {
                text.push_str(&error.pointer);
                text.push_str(": ");
            }
            text.push_str(&error.detail);
        }
        text
    }

    /// Its kind.
    pub(crate) fn kind(&self) -> Kind {
        self.0.kind
    }

    /// What the client sees; `instance` names the request.
    pub(crate) fn body(self, instance: String) -> ProblemBody {
        let Inner { kind, detail, errors, current_epoch, oldest, newest, .. } = *self.0;
        ProblemBody {
            kind: format!("{URN}{}", kind.slug()),
            title: kind.title().to_owned(),
            status: kind.status().as_u16(),
            detail,
            instance,
            retryable: kind.retryable(),
            errors,
            current_epoch,
            oldest,
            newest,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.0.kind.status().into_response();
        let headers = response.headers_mut();
        match self.0.kind.status() {
            StatusCode::UNAUTHORIZED => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                let seconds = self.0.retry_after.unwrap_or(1);
                headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
            }
            _ => {}
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Writes the problem a response stands for; other responses pass unchanged.
pub(crate) fn render(mut response: Response, instance: &str) -> Response {
    let status = response.status();
    let problem = match response.extensions_mut().remove::<Problem>() {
        Some(problem) => problem,
        None if status.is_client_error() || status.is_server_error() => {
            Problem::new(Kind::of_status(status))
        }
        None => return response,
    };
    let kind = problem.kind();
    let body = serde_json::to_vec(&problem.body(instance.to_owned())).unwrap_or_default();
    *response.status_mut() = kind.status();
    response.headers_mut().remove(CONTENT_LENGTH);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    let help = format!("</problems/{}>; rel=\"help\"", kind.slug());
    if let Ok(help) = HeaderValue::try_from(help) {
        response.headers_mut().insert(LINK, help);
    }
    *response.body_mut() = Body::from(body);
    response
}

/// A problem (RFC 9457). `type` is stable; its last part names the page that describes it,
/// `GET /problems/{type}`, to which the header `Link` with `rel="help"` leads as well.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody {
    /// A stable URN that names the kind of problem.
    #[serde(rename = "type")]
    #[schema(example = "urn:quicproquo:problem:group-not-found")]
    kind: String,
    /// The kind in words.
    #[schema(example = "There is no such group.")]
    title: String,
    /// The HTTP status.
    #[schema(example = 404)]
    status: u16,
    /// What is special about this occurrence.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// The request's id, also in `X-Request-Id`.
    #[schema(example = "urn:uuid:6f0c1f5e-3d0b-4d0e-9c56-0d6a7a4e1b2c")]
    instance: String,
    /// Whether the same request can succeed later without a change.
    retryable: bool,
    /// Which fields are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<FieldError>,
    /// The group's epoch, with `epoch-mismatch`.
    #[serde(skip_serializing_if = "Option::is_none")]
    current_epoch: Option<u64>,
    /// The cursor before the oldest event that is kept, with `cursor-expired`.
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest: Option<String>,
    /// The newest cursor, with `cursor-expired`.
    #[serde(skip_serializing_if = "Option::is_none")]
    newest: Option<String>,
}

/// What is wrong with one field.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct FieldError {
    /// JSON pointer (RFC 6901) into the body, or the name of a parameter or header.
    #[schema(example = "/members/0")]
    pointer: String,
    /// What is wrong.
    detail: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn json(response: Response) -> serde_json::Value {
        let bytes = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[tokio::test]
    async fn a_problem_is_written_at_the_edge() {
        let problem = Problem::field("/name", "too long").detail("more");
        let response = render(problem.into_response(), "urn:uuid:1");
        assert_eq!(response.status(), 400);
        assert_eq!(response.headers()[CONTENT_TYPE], MEDIA_TYPE);
        let body = json(response).await;
        assert_eq!(body["type"], "urn:quicproquo:problem:request-invalid");
        assert_eq!(body["instance"], "urn:uuid:1");
        assert_eq!(body["errors"][0]["pointer"], "/name");
        assert_eq!(body["retryable"], false);
        assert!(body.get("current_epoch").is_none());
    }

    #[tokio::test]
    async fn a_bare_error_becomes_a_problem() {
        let response = render(StatusCode::METHOD_NOT_ALLOWED.into_response(), "urn:uuid:1");
        assert_eq!(json(response).await["type"], "urn:quicproquo:problem:method-not-allowed");
        let response = render(StatusCode::IM_A_TEAPOT.into_response(), "urn:uuid:1");
        assert_eq!(response.status(), 500);
        let response = render("fine".into_response(), "urn:uuid:1");
        assert_eq!(response.status(), 200);
    }

    #[test]
    fn a_missing_token_says_how_to_authenticate() {
        let response = Problem::new(Kind::TokenMissing).into_response();
        assert_eq!(response.headers()[WWW_AUTHENTICATE], "Bearer");
    }
}
