//! Sessions that stand still until an operator says otherwise: another instance runs the identity,
//! or it was exported. That survives a restart, or two gateways on copies of one database would
//! take the identity from each other in turns.

use std::time::Duration;

use super::actor::Actor;
use super::input::Input;
use super::unit::Unit;
use crate::model::LinkState;
use crate::store::{Halted, StoreError};

impl Actor {
    /// As the database says.
    pub(super) async fn load_halted(&mut self) -> Result<(), StoreError> {
        match self.store.halted(self.owner).await? {
            Some(Halted::Displaced(by)) => self.uplink.state = LinkState::Displaced(by),
            Some(Halted::Exported) => self.uplink.state = LinkState::Exported,
            // What was not committed did not happen.
            None if self.uplink.state == LinkState::Exported => {
                self.uplink.state = LinkState::Connecting;
            }
            None => {}
        }
        Ok(())
    }

    /// An operator says that this is the one that runs the identity from now on.
    pub(super) fn resume(&mut self, unit: &mut Unit) {
        if self.uplink.state.is_halted() {
            unit.batch.halted(&self.identity.key(), None);
            self.uplink.state = LinkState::Connecting;
            self.after(Duration::ZERO, Input::OpenLink);
        }
    }
}
