//! Tokens of old clients, which have them in the query.

use axum::extract::Request;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Uri};

/// Moves a token from the query of a Matrix route into the header, before anything else looks at
/// the target: nothing that is logged or counted has it.
pub(crate) async fn take_token(mut request: Request) -> Request {
    if !super::is_route(request.uri().path()) {
        return request;
    }
    let Some((uri, token)) = without_token(request.uri()) else { return request };
    *request.uri_mut() = uri;
    if !request.headers().contains_key(AUTHORIZATION)
        && let Ok(mut value) = HeaderValue::try_from(format!("Bearer {token}"))
    {
        value.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, value);
    }
    request
}

fn without_token(uri: &Uri) -> Option<(Uri, String)> {
    let query = uri.query()?;
    let mut token = None;
    let mut rest = Vec::new();
    for pair in query.split('&') {
        match pair.strip_prefix("access_token=") {
            // Its characters need no escapes.
            Some(text) => token = Some(text.to_owned()),
            None => rest.push(pair),
        }
    }
    let token = token?;
    let mut parts = uri.clone().into_parts();
    let target = match rest.join("&") {
        rest if rest.is_empty() => uri.path().to_owned(),
        rest => format!("{}?{rest}", uri.path()),
    };
    parts.path_and_query = Some(target.parse().ok()?);
    Some((Uri::from_parts(parts).ok()?, token))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    async fn taken(uri: &str, header: Option<&str>) -> (String, Option<String>) {
        let mut request = Request::builder().uri(uri);
        if let Some(header) = header {
            request = request.header(AUTHORIZATION, header);
        }
        let request = take_token(request.body(Body::empty()).unwrap()).await;
        let value = request.headers().get(AUTHORIZATION);
        (request.uri().to_string(), value.map(|value| value.to_str().unwrap().to_owned()))
    }

    #[tokio::test]
    async fn a_token_in_the_query_becomes_a_header() {
        let uri = "/_matrix/client/v3/sync?timeout=0&access_token=qpq_x&since=s";
        let (uri, header) = taken(uri, None).await;
        assert_eq!(uri, "/_matrix/client/v3/sync?timeout=0&since=s");
        assert_eq!(header.as_deref(), Some("Bearer qpq_x"));
        let (uri, _) = taken("/_matrix/client/v3/sync?access_token=qpq_x", None).await;
        assert_eq!(uri, "/_matrix/client/v3/sync");
    }

    #[tokio::test]
    async fn a_header_goes_first_and_other_routes_take_none() {
        let uri = "/_matrix/client/v3/sync?access_token=qpq_x";
        let (uri, header) = taken(uri, Some("Bearer qpq_y")).await;
        assert_eq!(
            (uri.as_str(), header.as_deref()),
            ("/_matrix/client/v3/sync", Some("Bearer qpq_y"))
        );
        assert_eq!(taken("/v1/me?access_token=qpq_x", None).await.1, None);
    }
}
