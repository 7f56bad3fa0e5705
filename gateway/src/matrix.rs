//! The Matrix facade: bots written for Matrix run against the gateway by changing the URL of their
//! homeserver.
//!
//! It is a translation of the same sessions and the same event log as the native API, and keeps
//! nothing of its own but filters and account data. A room is a group, a user an identity, an event
//! a message or a change of a group. Shapes and codes are those of the Matrix Client-Server API,
//! version 1.11.

mod account;
mod body;
mod content;
mod error;
mod filter;
mod ids;
mod login;
mod media;
mod names;
mod outgoing;
mod profile;
mod read;
mod rooms;
mod router;
mod send;
mod state;
mod stubs;
mod sync;
mod token;
mod translate;

use std::sync::Arc;

use axum::extract::{MatchedPath, Request};
use http::Method;

use crate::config::MatrixConfig;
use crate::router::Address;
use crate::state::AppState;

pub(crate) use error::render;
pub(crate) use router::{cors, router};
pub(crate) use token::take_token;

const LOGIN: [&str; 2] = ["/_matrix/client/v3/login", "/_matrix/client/r0/login"];

/// What Matrix clients see.
#[derive(Debug, Clone)]
pub(crate) struct Matrix {
    server_name: Arc<str>,
    /// It has an address of its own.
    apart: bool,
    allowed_origins: Vec<String>,
    open_media: bool,
    unnamed: Arc<names::Unnamed>,
}

impl Matrix {
    /// By its configuration.
    pub(crate) fn new(config: MatrixConfig) -> Self {
        let MatrixConfig { server_name, listen, allowed_origins, open_media } = config;
        Self {
            server_name: server_name.into(),
            apart: listen.is_some(),
            allowed_origins,
            open_media,
            unnamed: Arc::default(),
        }
    }
}

/// Whether the facade is served at this address.
pub(crate) fn is_served(state: &AppState, at: Address) -> bool {
    state.matrix.as_ref().is_some_and(|matrix| matrix.apart == (at == Address::Matrix))
}

/// Whether a request is a login: it counts by itself against the rates, when it knows whose
/// password was right or wrong.
pub(crate) fn counts_itself(request: &Request) -> bool {
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    request.method() == Method::POST && route.is_some_and(|route| LOGIN.contains(&route))
}

/// Whether a path is one of Matrix.
pub(crate) fn is_route(path: &str) -> bool {
    path.starts_with("/_matrix/") || path.starts_with("/.well-known/matrix/")
}
