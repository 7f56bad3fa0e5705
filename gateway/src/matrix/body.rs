//! Bodies of Matrix requests: JSON whatever their media type says, unknown fields ignored.

use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;

use crate::auth::still_valid;
use crate::extract::{CONTENT_LIMIT, parse_json, read_all};
use crate::problem::Problem;
use crate::state::AppState;

/// A JSON body; none is an empty object.
#[derive(Debug, Clone)]
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<AppState> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &AppState) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let bytes = read_all(&parts.headers, body, CONTENT_LIMIT).await?;
        still_valid(&parts.extensions)?;
        let text = if bytes.is_empty() { b"{}".as_slice() } else { &bytes };
        Ok(Self(parse_json(text)?))
    }
}
