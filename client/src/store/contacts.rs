//! Names, pinned to the first key that signed for them.

use std::collections::HashMap;

use quicproquo_core::identity::IdentityKey;

use super::damage::intact;
use super::{Owner, Store, StoreError, batch};
use crate::error::SessionError;
use crate::model::TrustState;

/// A name and the key it is pinned to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Contact {
    pub(crate) identity: IdentityKey,
    pub(crate) name: String,
    /// The name pointed to another key before.
    pub(crate) changed: bool,
}

/// All names an identity knows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names(HashMap<IdentityKey, (String, bool)>);

impl Names {
    pub(crate) fn name(&self, identity: &IdentityKey) -> Option<String> {
        self.0.get(identity).map(|(name, _)| name.clone())
    }

    pub(crate) fn trust(&self, own: &IdentityKey, identity: &IdentityKey) -> TrustState {
        match self.0.get(identity) {
            _ if own == identity => TrustState::Verified,
            Some((_, true)) => TrustState::Changed,
            _ => TrustState::Tofu,
        }
    }

    /// The key a name is pinned to.
    pub(crate) fn pinned(&self, name: &str) -> Option<IdentityKey> {
        self.0.iter().find(|(_, (known, _))| known == name).map(|(identity, _)| *identity)
    }

    pub(crate) fn insert(&mut self, contact: &Contact) {
        self.0.retain(|_, (name, _)| *name != contact.name);
        self.0.insert(contact.identity, (contact.name.clone(), contact.changed));
    }
}

impl Store {
    pub(crate) async fn names(&self, owner: Owner) -> Result<Names, StoreError> {
        let rows: Vec<(Vec<u8>, String, bool)> =
            sqlx::query_as("SELECT identity, name, changed FROM contacts WHERE owner = ?")
                .bind(owner.0)
                .fetch_all(&self.reads)
                .await?;
        let mut names = HashMap::with_capacity(rows.len());
        for (identity, name, changed) in rows {
            let key = batch::identity(&identity);
            if let Some(key) = intact("contacts", owner, hex::encode(identity), key)? {
                names.insert(key, (name, changed));
            }
        }
        Ok(Names(names))
    }

    pub(crate) async fn contact_name(
        &self,
        owner: Owner,
        identity: &IdentityKey,
    ) -> Result<Option<String>, SessionError> {
        let name = sqlx::query_scalar("SELECT name FROM contacts WHERE owner = ? AND identity = ?")
            .bind(owner.0)
            .bind(&identity.as_bytes()[..])
            .fetch_optional(&self.reads)
            .await
            .map_err(StoreError::from)?;
        Ok(name)
    }
}
