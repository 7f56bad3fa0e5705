//! The sessions of one database.

use std::sync::Arc;

use quicproquo_core::identity::IdentityKey;

use crate::config::ClientConfig;
use crate::error::{OpenError, SessionError};
use crate::session::Session;

/// One process, one database, many sessions. Clones share everything.
#[derive(Debug, Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

impl Client {
    /// Opens the database, takes its lock and starts all sessions in it.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(config: ClientConfig) -> Result<Self, OpenError> {
        todo!()
    }

    /// Creates an identity, and its session, which registers at the node by itself.
    ///
    /// # Errors
    /// `StorageUnavailable`.
    pub async fn create(&self) -> Result<Session, SessionError> {
        todo!()
    }

    /// Stops a session and deletes everything of its identity in this database.
    ///
    /// # Errors
    /// `StorageUnavailable`. An unknown identity is no error.
    pub async fn delete(&self, identity: &IdentityKey) -> Result<(), SessionError> {
        todo!()
    }

    /// The session of an identity.
    pub fn session(&self, identity: &IdentityKey) -> Option<Session> {
        todo!()
    }

    /// Stops all sessions; what they have accepted is durable.
    pub async fn shutdown(&self) {
        todo!()
    }
}

#[derive(Debug)]
struct Inner {}
