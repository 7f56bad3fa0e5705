//! Export: the session stands still from the moment its rows are read, so that of two copies one
//! never speaks.

use super::actor::Actor;
use super::{Reply, unit::Unit};
use crate::error::SessionError;
use crate::model::LinkState;
use crate::store::{Exported, Halted};

impl Actor {
    /// Takes part in this unit; the rows are read once it is durable.
    pub(super) fn export(&mut self, reply: Reply<Exported>, unit: &mut Unit) {
        unit.batch.halted(&self.identity.key(), Some(&Halted::Exported));
        self.uplink.state = LinkState::Exported;
        self.uplink.close();
        unit.exports.push(reply);
    }

    /// The unit is durable.
    pub(super) async fn answer_exports(&mut self, replies: Vec<Reply<Exported>>) {
        for reply in replies {
            let exported = self.store.export(self.owner, self.identity.key()).await;
            let _ = reply.send(exported.map_err(SessionError::from));
        }
    }
}
