//! Extractors whose rejections are problems.

pub(crate) mod file;
mod json;
mod mutation;
mod strict;

use axum::extract::{FromRequestParts, Path, Query};
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::problem::{Kind, Problem};
use crate::state::AppState;

pub(crate) use json::parse_json;
pub(crate) use mutation::{Mutation, NoBody, Raw, read_all};

/// Bodies of control routes, in bytes: 64 KiB.
pub(crate) const CONTROL_LIMIT: usize = 64 * 1024;
/// Bodies with message content, in bytes: 1 MiB.
pub(crate) const CONTENT_LIMIT: usize = 1024 * 1024;

/// Bodies with an archive, in bytes: 128 MiB.
pub(crate) const ARCHIVE_LIMIT: usize = 128 * 1024 * 1024;

/// Parts of the path; what does not parse does not exist.
#[derive(Debug, Clone)]
pub(crate) struct Segment<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<AppState> for Segment<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(value)) => Ok(Self(value)),
            Err(_) => Err(Problem::new(Kind::NotFound).detail("the id in the path is malformed")),
        }
    }
}

/// Parameters of the query; unknown ones are refused.
#[derive(Debug, Clone)]
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<AppState> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Problem> {
        match Query::<T>::try_from_uri(&parts.uri) {
            Ok(Query(value)) => Ok(Self(value)),
            Err(rejection) => {
                let text = rejection.body_text();
                let detail = text.split_once(": ").map_or(text.as_str(), |(_, detail)| detail);
                Err(Problem::new(Kind::RequestInvalid)
                    .detail("the query is not valid")
                    .at("query", json::plain_words(detail)))
            }
        }
    }
}
