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

use crate::config::MatrixConfig;

pub(crate) use error::render;
pub(crate) use router::router;
pub(crate) use token::take_token;

/// What Matrix clients see.
#[derive(Debug, Clone)]
pub(crate) struct Matrix {
    server_name: Arc<str>,
    allowed_origins: Vec<String>,
    open_media: bool,
    unnamed: Arc<names::Unnamed>,
}

impl Matrix {
    /// By its configuration.
    pub(crate) fn new(config: MatrixConfig) -> Self {
        let MatrixConfig { server_name, allowed_origins, open_media } = config;
        Self {
            server_name: server_name.into(),
            allowed_origins,
            open_media,
            unnamed: Arc::default(),
        }
    }
}

/// Whether a path is one of Matrix.
pub(crate) fn is_route(path: &str) -> bool {
    path.starts_with("/_matrix/") || path.starts_with("/.well-known/matrix/")
}
