//! Tokens come and go in the database and in memory together. Callers run these as tasks of their
//! own, so that nobody who hangs up leaves the two apart.

use std::sync::Arc;

use super::{Grant, Tokens};
use crate::problem::{Kind, Problem};
use crate::store::{Record, Store};

/// What a login ends.
pub(crate) type Instead<'a> = dyn Fn(Vec<Arc<Grant>>) -> Vec<Arc<Grant>> + Send + Sync + 'a;

impl Tokens {
    /// Makes a token valid, durably, with the answer to the request.
    ///
    /// # Errors
    /// `StorageUnavailable`.
    pub(crate) async fn issue(
        &self,
        store: &Store,
        grant: Grant,
        record: Option<&Record>,
    ) -> Result<(), Problem> {
        let _alone = self.changing().await;
        store.add_token(&grant, record).await?;
        self.insert(grant);
        Ok(())
    }

    /// Revokes a token and those of logins with it, durably, with the answer to the request.
    ///
    /// # Errors
    /// `StorageUnavailable`.
    pub(crate) async fn end(
        &self,
        store: &Store,
        grant: &Grant,
        record: Option<&Record>,
    ) -> Result<(), Problem> {
        let _alone = self.changing().await;
        store.delete_token(&grant.token_id, record).await?;
        self.revoke(grant);
        Ok(())
    }

    /// Makes the token of a login valid in place of those that `instead` picks of all that were
    /// made with the same password.
    ///
    /// # Errors
    /// `TokenInvalid` when the password was revoked meanwhile, `StorageUnavailable`.
    pub(crate) async fn log_in(
        &self,
        store: &Store,
        password: &Grant,
        grant: Grant,
        instead: &Instead<'_>,
    ) -> Result<(), Problem> {
        let _alone = self.changing().await;
        if self.find(&password.hash).is_none() {
            return Err(Problem::new(Kind::TokenInvalid));
        }
        let over = instead(self.made_with(&password.token_id));
        store.add_login(&grant, &over).await?;
        for ended in &over {
            self.revoke(ended);
        }
        self.insert(grant);
        Ok(())
    }

    /// Ends logins.
    ///
    /// # Errors
    /// `StorageUnavailable`.
    pub(crate) async fn log_out(
        &self,
        store: &Store,
        grants: &[Arc<Grant>],
    ) -> Result<(), Problem> {
        let _alone = self.changing().await;
        store.delete_logins(grants).await?;
        for grant in grants {
            self.revoke(grant);
        }
        Ok(())
    }
}
