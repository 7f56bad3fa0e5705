//! The fence: which Session of an identity is the live one.

use quicproquo_schemas::id::{IdentityKey, SendId};

use super::{IdentityRow, Planner};
use crate::store::Refusal;
use crate::store::write::{Authenticate, Authenticated, DeleteQueue, QueueWritten};

impl Planner<'_> {
    pub(super) fn authenticate(&mut self, request: &Authenticate) -> Result<QueueWritten, Refusal> {
        let before = self.loaded.identities.get(&request.identity);
        let (session, last_send) = match before {
            None => (1, SendId::default()),
            Some(row) => {
                let older = request.incarnation < row.incarnation
                    || (request.incarnation == row.incarnation
                        && request.instance == row.instance
                        && request.attempt < row.attempt);
                if older {
                    return Err(Refusal::Fenced);
                }
                (row.session + 1, row.last_send)
            }
        };
        let row = IdentityRow {
            incarnation: request.incarnation,
            instance: request.instance,
            attempt: request.attempt,
            session,
            last_send,
        };
        self.put_identity(request.identity, row);
        let mut queue = self.queue(request.identity);
        if queue.stranger {
            queue.stranger = false;
            self.put_queue(request.identity, queue);
        }
        let acked_up_to = queue.acked;
        Ok(QueueWritten::Authenticated(Authenticated { session, last_send, acked_up_to }))
    }

    /// Removes the fence and the rows of an identity. The counters of its queue stay, so that
    /// positions do not repeat.
    pub(super) fn delete(&mut self, request: &DeleteQueue) -> Result<QueueWritten, Refusal> {
        if let Some(session) = request.session {
            self.fenced(&request.identity, session)?;
        }
        self.loaded.identities.remove(&request.identity);
        self.effects.identities.remove(&request.identity);
        self.effects.removed_identities.insert(request.identity);
        self.empty_queue(request.identity);
        Ok(QueueWritten::Done)
    }

    /// The identity's row, if `session` is its live Session.
    pub(super) fn fenced(
        &self,
        identity: &IdentityKey,
        session: u64,
    ) -> Result<IdentityRow, Refusal> {
        let row = self.loaded.identities.get(identity).ok_or(Refusal::Fenced)?;
        if row.session == session { Ok(*row) } else { Err(Refusal::Displaced(row.instance)) }
    }

    pub(super) fn put_identity(&mut self, identity: IdentityKey, row: IdentityRow) {
        self.loaded.identities.insert(identity, row);
        self.effects.identities.insert(identity, row);
    }
}
