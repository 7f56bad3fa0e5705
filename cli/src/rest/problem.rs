//! Problems of the gateway (RFC 9457), as a person reads them.

use reqwest::StatusCode;
use serde_json::Value;

/// One sentence: the kind, what is special about it, and which fields are wrong.
pub(super) fn sentence(status: StatusCode, problem: &Value) -> String {
    let Some(title) = problem["title"].as_str() else {
        return format!("the answer was {status}, and no reason was given");
    };
    let mut said = title.trim_end_matches('.').to_owned();
    if let Some(detail) = problem["detail"].as_str() {
        said = format!("{said}: {detail}");
    }
    for error in problem["errors"].as_array().into_iter().flatten() {
        let (pointer, detail) = (error["pointer"].as_str(), error["detail"].as_str());
        let pointer = pointer.unwrap_or_default().trim_start_matches('/');
        said = format!("{said}; {pointer}: {}", detail.unwrap_or_default());
    }
    if let Some(oldest) = problem["oldest"].as_str() {
        said = format!("{said}; the oldest is {oldest}");
    }
    said
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn everything_that_was_said_is_told() {
        let problem = json!({
            "title": "The request is not valid.",
            "detail": "a field is wrong",
            "errors": [{ "pointer": "/name", "detail": "too long" }],
        });
        let said = sentence(StatusCode::UNPROCESSABLE_ENTITY, &problem);
        assert_eq!(said, "The request is not valid: a field is wrong; name: too long");
        let said = sentence(StatusCode::BAD_GATEWAY, &Value::Null);
        assert!(said.contains("502 Bad Gateway"), "{said}");
    }
}
