//! Errors as Matrix clients know them: `{"errcode", "error"}`.

use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, LINK};
use http::{HeaderValue, StatusCode};
use serde_json::json;

use crate::problem::{Kind, Problem};

/// Writes the problem a response stands for; other responses pass unchanged.
pub(crate) fn render(mut response: Response) -> Response {
    let status = response.status();
    let problem = match response.extensions_mut().remove::<Problem>() {
        Some(problem) => problem,
        None if status.is_client_error() || status.is_server_error() => {
            Problem::new(Kind::of_status(status))
        }
        None => return response,
    };
    let (status, code) = problem.matrix().unwrap_or_else(|| code(problem.kind()));
    let mut body = json!({ "errcode": code, "error": problem.sentence() });
    if code == "M_LIMIT_EXCEEDED" {
        body["retry_after_ms"] = (problem.comes_again().unwrap_or(1) * 1000).into();
    }
    if code == "M_UNKNOWN_TOKEN" {
        body["soft_logout"] = false.into();
    }
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.remove(CONTENT_LENGTH);
    headers.remove(LINK);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    *response.body_mut() = Body::from(body.to_string());
    response
}

/// The request is understood and refused.
pub(super) fn forbidden(detail: impl Into<String>) -> Problem {
    Problem::new(Kind::RequestInvalid)
        .detail(detail)
        .with_code(StatusCode::FORBIDDEN, "M_FORBIDDEN")
}

/// There is no such thing.
pub(super) fn not_found(detail: impl Into<String>) -> Problem {
    Problem::new(Kind::NotFound).detail(detail)
}

/// A parameter is not what it should be.
pub(super) fn invalid(detail: impl Into<String>) -> Problem {
    Problem::new(Kind::RequestInvalid).detail(detail)
}

fn code(kind: Kind) -> (StatusCode, &'static str) {
    let status = kind.status();
    let code = match kind {
        Kind::JsonInvalid => "M_BAD_JSON",
        Kind::RequestInvalid | Kind::CursorInvalid => "M_INVALID_PARAM",
        Kind::TokenMissing => "M_MISSING_TOKEN",
        Kind::TokenInvalid | Kind::TokenExpired => "M_UNKNOWN_TOKEN",
        Kind::RouteNotFound | Kind::MethodNotAllowed => "M_UNRECOGNIZED",
        Kind::TooLarge => "M_TOO_LARGE",
        Kind::RateLimited => "M_LIMIT_EXCEEDED",
        // A room that one is not invited to, and what members alone may do.
        Kind::InvitationNotFound
        | Kind::LastAdmin
        | Kind::AlreadyMember
        | Kind::GroupInactive
        | Kind::NotEditable
        | Kind::NotVerified => return (StatusCode::FORBIDDEN, "M_FORBIDDEN"),
        _ => match status {
            StatusCode::FORBIDDEN => "M_FORBIDDEN",
            StatusCode::NOT_FOUND | StatusCode::GONE => "M_NOT_FOUND",
            _ => "M_UNKNOWN",
        },
    };
    (status, code)
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;
    use serde_json::Value;

    use super::*;

    async fn rendered(problem: Problem) -> (u16, Value) {
        let response = render(problem.into_response());
        let status = response.status().as_u16();
        let bytes = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap())
    }

    #[tokio::test]
    async fn problems_have_the_codes_of_matrix() {
        for (kind, status, code) in [
            (Kind::TokenMissing, 401, "M_MISSING_TOKEN"),
            (Kind::TokenExpired, 401, "M_UNKNOWN_TOKEN"),
            (Kind::ScopeMissing, 403, "M_FORBIDDEN"),
            (Kind::GroupNotFound, 404, "M_NOT_FOUND"),
            (Kind::InvitationNotFound, 403, "M_FORBIDDEN"),
            (Kind::RouteNotFound, 404, "M_UNRECOGNIZED"),
            (Kind::JsonInvalid, 400, "M_BAD_JSON"),
            (Kind::TooLarge, 413, "M_TOO_LARGE"),
            (Kind::NodeUnreachable, 503, "M_UNKNOWN"),
        ] {
            let (found, body) = rendered(Problem::new(kind)).await;
            assert_eq!((found, body["errcode"].as_str()), (status, Some(code)));
            assert!(body["error"].is_string());
        }
        let (_, limited) = rendered(Problem::new(Kind::RateLimited).retry_after(3)).await;
        assert_eq!(limited["retry_after_ms"], 3000);
        let (status, own) = rendered(forbidden("no")).await;
        assert_eq!((status, &own["error"]), (403, &json!("no")));
    }

    #[tokio::test]
    async fn what_succeeds_passes() {
        let response = render("fine".into_response());
        assert_eq!(response.status(), 200);
        let bare = render(StatusCode::METHOD_NOT_ALLOWED.into_response());
        assert_eq!(bare.headers()[CONTENT_TYPE], "application/json");
    }
}
